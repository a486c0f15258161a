//! What the machine knows of its own place in the network: default gateways, own addresses, and what is on its links.
//! Read afresh when asked (only after failures), so nothing has to be kept in step with the kernel.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::SockaddrStorage;
use quaywatch_core::egress::Network;

/// Flags of /proc/net/route and /proc/net/ipv6_route (route(8), linux/ipv6_route.h).
const UP: u32 = 0x1;
const GATEWAY: u32 = 0x2;
const REJECT: u32 = 0x200;

/// The default route of one family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultRoute {
    /// The router, with the zone of a link-local address and port 0; `None` on a link without one (point to point).
    pub gateway: Option<SocketAddr>,
    /// The way out.
    pub interface: String,
}

/// The default route for IPv4, with the smallest metric.
#[must_use]
pub fn default_route_v4() -> Option<DefaultRoute> {
    parse_v4(&read("route")?)
}

/// The default route for IPv6, with the smallest metric.
#[must_use]
pub fn default_route_v6() -> Option<DefaultRoute> {
    parse_v6(&read("ipv6_route")?)
}

/// The default route of the family of `ip`.
#[must_use]
pub fn default_route_for(ip: IpAddr) -> Option<DefaultRoute> {
    if ip.to_canonical().is_ipv4() { default_route_v4() } else { default_route_v6() }
}

/// The thread's own view: it may have entered another network namespace than the process.
fn read(file: &str) -> Option<String> {
    fs::read_to_string(format!("/proc/thread-self/net/{file}")).ok()
}

/// Iface Destination Gateway Flags RefCnt Use Metric Mask …, addresses in hexadecimal in the machine's byte order.
fn parse_v4(table: &str) -> Option<DefaultRoute> {
    let routes = table.lines().skip(1).filter_map(|line| {
        let [interface, destination, gateway, flags, _, _, metric, mask, ..] =
            line.split_whitespace().collect::<Vec<_>>()[..]
        else {
            return None;
        };
        let hex = |text| u32::from_str_radix(text, 16).ok();
        let flags = hex(flags)?;
        let is_default = hex(destination)? == 0 && hex(mask)? == 0 && flags & UP != 0 && flags & REJECT == 0;
        let gateway = Ipv4Addr::from(hex(gateway)?.to_ne_bytes());
        let gateway = (flags & GATEWAY != 0).then(|| SocketAddr::from((gateway, 0)));
        is_default.then(|| (metric.parse::<u32>().unwrap_or(u32::MAX), interface.to_owned(), gateway))
    });
    let (_, interface, gateway) = routes.min_by_key(|(metric, ..)| *metric)?;
    Some(DefaultRoute { gateway, interface })
}

/// Destination length source length next-hop metric refcount use flags interface, all in hexadecimal.
fn parse_v6(table: &str) -> Option<DefaultRoute> {
    let routes = table.lines().filter_map(|line| {
        let [destination, length, _, _, next, metric, _, _, flags, interface] =
            line.split_whitespace().collect::<Vec<_>>()[..]
        else {
            return None;
        };
        let flags = u32::from_str_radix(flags, 16).ok()?;
        let is_default = length == "00"
            && destination.bytes().all(|digit| digit == b'0')
            && flags & UP != 0
            && flags & REJECT == 0
            && interface != "lo";
        let next = Ipv6Addr::from_bits(u128::from_str_radix(next, 16).ok()?);
        let gateway = (flags & GATEWAY != 0).then_some(next);
        is_default
            .then(|| (u32::from_str_radix(metric, 16).unwrap_or(u32::MAX), interface.to_owned(), gateway))
    });
    let (_, interface, gateway) = routes.min_by_key(|(metric, ..)| *metric)?;
    let zone = nix::net::if_::if_nametoindex(interface.as_str()).unwrap_or(0);
    let gateway = gateway.map(|ip| {
        let zone = if ip.is_unicast_link_local() { zone } else { 0 };
        SocketAddr::V6(SocketAddrV6::new(ip, 0, 0, zone))
    });
    Some(DefaultRoute { gateway, interface })
}

/// The machine's addresses and the networks on its links, at one moment.
#[derive(Debug, Clone, Default)]
pub struct Interfaces {
    own: Vec<(IpAddr, Option<Network>)>,
}

impl Interfaces {
    /// Reads them.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn read() -> io::Result<Self> {
        let own = getifaddrs()?.filter_map(|interface| {
            let ip = ip_of(&interface.address?)?;
            // Behind a link without a carrier nobody is near, whatever its netmask says.
            let is_running = interface.flags.contains(InterfaceFlags::IFF_RUNNING);
            let mask = interface.netmask.as_ref().filter(|_| is_running);
            let prefix = mask.and_then(ip_of).map(prefix_of);
            Some((ip, prefix.and_then(|prefix| Network::new(ip, prefix))))
        });
        Ok(Self { own: own.collect() })
    }

    /// Every address of the machine.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.own.iter().map(|(ip, _)| *ip)
    }

    /// Whether `ip` is the machine itself: one of its addresses, or loopback.
    #[must_use]
    pub fn is_own(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        ip.is_loopback() || self.addresses().any(|own| own == ip)
    }

    /// Whether `ip` is reached without a router: the machine itself or a neighbour on a link. The way there proves
    /// nothing about the way to the rest of the world, and needs no proof of it.
    #[must_use]
    pub fn is_on_link(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.is_own(ip)
            || self.own.iter().filter_map(|(_, network)| *network).any(|network| network.contains(ip))
    }
}

fn ip_of(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
}

fn prefix_of(mask: IpAddr) -> u8 {
    let bits = match mask {
        IpAddr::V4(v4) => v4.to_bits().leading_ones(),
        IpAddr::V6(v6) => v6.to_bits().leading_ones(),
    };
    u8::try_from(bits).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_route_with_the_smallest_metric_is_found() {
        // As a little-endian machine shows it.
        let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                     wlan0\t00000000\t010200C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
                     eth0\t00000000\t016433C6\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
                     eth0\t006433C6\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        if cfg!(target_endian = "little") {
            let route = parse_v4(table).unwrap();
            assert_eq!(route.gateway, Some("198.51.100.1:0".parse().unwrap()));
            assert_eq!(route.interface, "eth0");
        }
        let point_to_point = "head\ntun0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n";
        assert_eq!(
            parse_v4(point_to_point),
            Some(DefaultRoute { gateway: None, interface: "tun0".to_owned() })
        );
        assert_eq!(parse_v4("head\n"), None);
    }

    #[test]
    fn the_default_route_for_ipv6_is_found_and_the_rejecting_one_is_not() {
        let zeros = "0".repeat(32);
        let table = format!(
            "{zeros} 00 {zeros} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 eth0\n\
             {zeros} 00 {zeros} 00 20010db8000000000000000000000001 00000040 00000001 00000000 00000003 eth1\n\
             {zeros} 00 {zeros} 00 {zeros} ffffffff 00000001 00000000 00200200 lo\n"
        );
        assert_eq!(parse_v6(&table).unwrap().gateway, Some("[2001:db8::1]:0".parse().unwrap()));
        let none = format!("{zeros} 00 {zeros} 00 {zeros} ffffffff 00000001 00000000 00200200 lo\n");
        assert_eq!(parse_v6(&none), None);
    }

    #[test]
    fn loopback_is_ourselves_and_on_link() {
        let interfaces = Interfaces::read().unwrap();
        for (ip, own) in
            [("127.0.0.1", true), ("127.3.2.1", true), ("::ffff:127.0.0.1", true), ("203.0.113.9", false)]
        {
            assert_eq!(interfaces.is_own(ip.parse().unwrap()), own, "{ip}");
            assert_eq!(interfaces.is_on_link(ip.parse().unwrap()), own, "{ip}");
        }
    }
}
