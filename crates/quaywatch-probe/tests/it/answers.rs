//! What the other side and the routers between can answer, each made by a kernel.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use quaywatch_core::{ErrorCode, Signal, Stage};
use quaywatch_probe::Dial;
use quaywatch_testkit::netns::{Pair, Routed};
use quaywatch_testkit::port::{FullPort, Manner, Port};

use crate::watcher::{Watcher, evidence, full, half_open};

const SERVER_V4: &str = "198.51.100.2:7000";
const SERVER_V6: &str = "[2001:db8:2::2]:7000";
const ROUTER_V4: &str = "192.0.2.254";
const ROUTER_V6: &str = "2001:db8:1::fe";

fn at(address: &str) -> SocketAddr {
    address.parse().expect("an address")
}

#[test]
fn every_rejection_by_a_router_is_named_with_its_sender() {
    let cases = [
        ("icmp type net-unreachable", 0, ErrorCode::NetUnreachable, "ENETUNREACH"),
        ("icmp type host-unreachable", 1, ErrorCode::HostUnreachable, "EHOSTUNREACH"),
        ("icmp type prot-unreachable", 2, ErrorCode::HostUnreachable, "ENOPROTOOPT"),
        ("icmp type port-unreachable", 3, ErrorCode::TcpRefused, "ECONNREFUSED"),
        ("icmp type net-prohibited", 9, ErrorCode::AdminProhibited, "ENETUNREACH"),
        ("icmp type host-prohibited", 10, ErrorCode::AdminProhibited, "EHOSTUNREACH"),
        ("icmp type admin-prohibited", 13, ErrorCode::AdminProhibited, "EHOSTUNREACH"),
        ("icmpv6 type no-route", 0, ErrorCode::NetUnreachable, "ENETUNREACH"),
        ("icmpv6 type admin-prohibited", 1, ErrorCode::AdminProhibited, "EACCES"),
        ("icmpv6 type addr-unreachable", 3, ErrorCode::HostUnreachable, "EHOSTUNREACH"),
        ("icmpv6 type port-unreachable", 4, ErrorCode::TcpRefused, "ECONNREFUSED"),
        ("icmpv6 type policy-fail", 5, ErrorCode::AdminProhibited, "EACCES"),
        ("icmpv6 type reject-route", 6, ErrorCode::AdminProhibited, "EACCES"),
    ];
    let network = Routed::new();
    let watcher = Watcher::inside(&network.watcher);
    for (rejection, code, expected, errno) in cases {
        let v6 = rejection.starts_with("icmpv6");
        let (target, router) = if v6 { (SERVER_V6, ROUTER_V6) } else { (SERVER_V4, ROUTER_V4) };
        network.router.filter("forward", &format!("tcp dport 7000 counter reject with {rejection}"));
        for dial in [half_open(at(target)), full(at(target))] {
            let report = watcher.see(dial);
            let attempt = evidence(&report);
            assert_eq!((report.code, attempt.signal), (expected, Signal::Icmp), "{rejection}: {report:?}");
            assert_eq!(
                (attempt.stage, attempt.errno.as_deref()),
                (Stage::Connect, Some(errno)),
                "{rejection}"
            );
            let icmp = attempt.icmp.expect("the error queue tells");
            let kind = if v6 { 1 } else { 3 };
            assert_eq!((icmp.v6, icmp.kind, icmp.code), (v6, kind, code), "{rejection}");
            assert_eq!(icmp.sender, router.parse().ok(), "{rejection}");
            assert!(report.elapsed_us < 5_000_000, "{rejection} ends the check at once: {report:?}");
        }
        assert_eq!(network.router.counted(), 2, "{rejection}: one SYN each");
    }
}

#[test]
fn a_router_without_a_route_says_so() {
    let network = Routed::new();
    network.router.ok("ip", &["route", "add", "unreachable", "203.0.113.0/25"]);
    network.router.ok("ip", &["route", "add", "prohibit", "203.0.113.128/25"]);
    network.router.ok("ip", &["-6", "route", "add", "prohibit", "2001:db8:9::/64"]);
    let watcher = Watcher::inside(&network.watcher);
    let cases = [
        ("203.0.113.1:80", ErrorCode::HostUnreachable),
        ("203.0.113.200:80", ErrorCode::AdminProhibited),
        ("100.64.0.1:80", ErrorCode::NetUnreachable),
        ("[2001:db8:8::1]:80", ErrorCode::NetUnreachable),
        ("[2001:db8:9::1]:80", ErrorCode::AdminProhibited),
    ];
    for (target, expected) in cases {
        let report = watcher.see(half_open(at(target)));
        assert_eq!(report.code, expected, "{target}: {report:?}");
        let sender = evidence(&report).icmp.and_then(|icmp| icmp.sender).expect("a sender");
        assert!([ROUTER_V4, ROUTER_V6].contains(&sender.to_string().as_str()), "{target}: {sender}");
    }
}

#[test]
fn a_packet_that_lives_too_short_is_told_as_host_unreachable() {
    let network = Routed::new();
    network.watcher.sysctl("net.ipv4.ip_default_ttl", "1");
    let report = Watcher::inside(&network.watcher).see(half_open(at(SERVER_V4)));
    let icmp = evidence(&report).icmp.expect("the error queue tells");
    assert_eq!((report.code, icmp.kind, icmp.code), (ErrorCode::HostUnreachable, 11, 0));
}

#[test]
fn a_reset_by_a_router_is_refused() {
    let network = Routed::new();
    network.router.filter("forward", "tcp dport 7000 reject with tcp reset");
    let watcher = Watcher::inside(&network.watcher);
    for target in [SERVER_V4, SERVER_V6] {
        let report = watcher.see(half_open(at(target)));
        let attempt = evidence(&report);
        assert_eq!((report.code, attempt.signal), (ErrorCode::TcpRefused, Signal::Rst));
        assert_eq!(attempt.icmp, None);
    }
}

#[test]
fn t21_a_dropped_syn_is_a_timeout_that_counts_its_syns() {
    let network = Routed::new();
    network.router.filter("forward", "tcp dport 7000 counter drop");
    let watcher = Watcher::inside(&network.watcher);
    for target in [SERVER_V4, SERVER_V6] {
        let report = watcher.see(Dial { timeout: Duration::from_millis(1_500), ..half_open(at(target)) });
        let attempt = evidence(&report);
        assert_eq!((report.code, attempt.signal), (ErrorCode::TcpTimeout, Signal::Silence), "{report:?}");
        assert_eq!((report.syn_retransmits, attempt.syn_retransmits), (1, 1), "one more SYN after a second");
    }
    assert_eq!(network.router.counted(), 4);
}

#[test]
fn a_lost_syn_is_counted_and_the_time_is_from_the_first() {
    let network = Routed::new();
    let port = network.server.enter(|| Port::open_at(at(SERVER_V4), Manner::Silent));
    let watcher = Watcher::inside(&network.watcher);
    for dial in [half_open(port.address), full(port.address)] {
        // A fresh limit each time: it lets one SYN through to `drop`, the next does not match any more.
        network.router.filter(
            "forward",
            "tcp dport 7000 tcp flags & (syn | ack) == syn limit rate 1/hour burst 1 packets counter drop",
        );
        let report = watcher.see(dial);
        assert_eq!((report.code, report.syn_retransmits), (ErrorCode::Ok, 1), "{report:?}");
        let latency = report.latency_us.expect("a latency").get();
        assert!((1_000_000..1_900_000).contains(&latency), "{report:?}");
        assert_eq!(network.router.counted(), 1);
    }
}

#[test]
fn t21_a_full_accept_queue_over_a_network_is_a_timeout() {
    let network = Pair::new();
    let port = network.server.enter(|| FullPort::at(at("192.0.2.2:7000")));
    let watcher = Watcher::inside(&network.watcher);
    let report = watcher.see(Dial { timeout: Duration::from_millis(500), ..half_open(port.address) });
    assert_eq!(report.code, ErrorCode::TcpTimeout);
}

#[test]
fn a_dead_neighbour_is_the_targets_fault_although_our_own_kernel_says_so() {
    let network = Pair::new();
    let watcher = Watcher::inside(&network.watcher);
    for (target, own) in [("192.0.2.77:80", "192.0.2.1"), ("[2001:db8::77]:80", "2001:db8::1")] {
        let report = watcher.see(half_open(at(target)));
        let attempt = evidence(&report);
        assert_eq!(report.code, ErrorCode::HostUnreachable, "{report:?}");
        let sender: Option<IpAddr> = attempt.icmp.and_then(|icmp| icmp.sender);
        assert!(sender.is_none_or(|sender| sender.to_string() == own), "{report:?}");
    }
}

#[test]
fn a_mapped_address_is_dialled_as_the_ipv4_address_that_it_is() {
    let network = Pair::new();
    let port = network.server.enter(|| Port::open_at(at("192.0.2.2:7000"), Manner::Silent));
    let watcher = Watcher::inside(&network.watcher);
    assert_eq!(watcher.see(half_open(at("[::ffff:192.0.2.2]:7000"))).code, ErrorCode::Ok);
    assert_eq!(port.accepted(), 0);
}
