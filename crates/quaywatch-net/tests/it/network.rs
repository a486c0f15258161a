//! What the machine knows of its network, and which anchors answer, where the kernel makes the faults.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use quaywatch_net::routes::{Interfaces, default_route_for};
use quaywatch_net::{Anchor, anchor_answers};
use quaywatch_testkit::netns::Routed;

use crate::dial::clock;

/// Asks an anchor from inside the namespace that the calling thread is in.
fn answers(anchor: Anchor, limit: Duration) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(anchor_answers(anchor, &clock(), limit))
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A network in which everything is reachable: IPv6 links take a moment to come up.
fn network() -> Routed {
    let net = Routed::new();
    net.watcher.enter(|| {
        let ready = || {
            ["192.0.2.254:0", "[2001:db8:1::fe]:0", "198.51.100.2:7", "[2001:db8:2::2]:7"]
                .iter()
                .all(|address| answers(Anchor::Gateway(at(address)), SOON))
        };
        assert!((0..20).any(|_| ready()), "the network does not come up");
    });
    net
}

const LIMIT: Duration = Duration::from_secs(2);
const SOON: Duration = Duration::from_millis(500);

#[test]
fn the_gateway_of_each_family_is_found_and_neighbours_are_told_from_strangers() {
    let net = network();
    net.watcher.enter(|| {
        for (target, gateway) in [("198.51.100.2", "192.0.2.254:0"), ("2001:db8:2::2", "[2001:db8:1::fe]:0")]
        {
            let target: IpAddr = target.parse().unwrap();
            assert_eq!(default_route_for(target).unwrap().gateway, Some(at(gateway)));
            assert!(!Interfaces::read().unwrap().is_on_link(target), "{target}");
        }
        let interfaces = Interfaces::read().unwrap();
        for (ip, own) in
            [("192.0.2.1", true), ("2001:db8:1::1", true), ("192.0.2.9", false), ("2001:db8:1::fe", false)]
        {
            let ip: IpAddr = ip.parse().unwrap();
            assert_eq!((interfaces.is_own(ip), interfaces.is_on_link(ip)), (own, true), "{ip}");
        }
    });
    net.watcher.ok("ip", &["route", "del", "default"]);
    net.watcher.enter(|| {
        assert_eq!(default_route_for("198.51.100.2".parse().unwrap()), None);
        assert!(default_route_for("2001:db8:2::2".parse().unwrap()).is_some());
    });
}

#[test]
fn a_gateway_answers_as_long_as_anything_comes_back() {
    let net = network();
    let gateways = ["192.0.2.254:0", "[2001:db8:1::fe]:0"];
    let all = |wanted: bool, limit: Duration, what: &str| {
        net.watcher.enter(|| {
            for gateway in gateways {
                assert_eq!(answers(Anchor::Gateway(at(gateway)), limit), wanted, "{gateway}: {what}");
            }
        });
    };
    all(true, LIMIT, "no rules");
    // One kind of answer each.
    net.router.filter("input", "meta l4proto { udp, icmp } drop; icmpv6 type echo-request drop");
    all(true, LIMIT, "only refusals");
    net.router.filter("input", "meta l4proto { tcp, icmp } drop; icmpv6 type echo-request drop");
    all(true, LIMIT, "only port unreachable");
    net.router.filter("input", "meta l4proto { tcp, udp, icmp } drop; icmpv6 type echo-request drop");
    all(false, SOON, "silence");
    net.router.unfilter();
    // Our own firewall's answer proves nothing.
    net.watcher.filter("output", "meta l4proto { tcp, udp, icmp } reject; icmpv6 type echo-request reject");
    all(false, SOON, "our own firewall");
    net.watcher.unfilter();
    all(true, LIMIT, "no rules any more");
    net.router.ok("ip", &["link", "set", "eth0", "down"]);
    all(false, SOON, "cable cut");
}

#[test]
fn ping_alone_is_an_answer_where_unprivileged_ping_is_permitted() {
    let net = network();
    net.watcher.sysctl("net.ipv4.ping_group_range", "0 2147483647");
    net.router.filter("input", "meta l4proto { tcp, udp } drop");
    net.watcher.enter(|| {
        for gateway in ["192.0.2.254:0", "[2001:db8:1::fe]:0"] {
            assert!(answers(Anchor::Gateway(at(gateway)), LIMIT), "{gateway}");
        }
    });
}

#[test]
fn a_far_anchor_answers_by_syn_ack_refusal_or_a_routers_word() {
    let net = network();
    let targets = ["198.51.100.2:7", "[2001:db8:2::2]:7"];
    let all = |wanted: bool, limit: Duration, what: &str| {
        net.watcher.enter(|| {
            for target in targets {
                assert_eq!(answers(Anchor::Tcp(at(target)), limit), wanted, "{target}: {what}");
            }
        });
    };
    all(true, LIMIT, "refused");
    net.router.filter("forward", "meta l4proto tcp reject with icmpx type admin-prohibited");
    all(true, LIMIT, "rejected by the router");
    net.router.filter("forward", "meta l4proto tcp drop");
    all(false, SOON, "dropped");
    net.router.unfilter();
    net.watcher.ok("ip", &["route", "del", "default"]);
    net.watcher.ok("ip", &["-6", "route", "del", "default"]);
    all(false, SOON, "no route of our own");
}

#[test]
fn a_name_server_that_says_anything_is_an_anchor() {
    let net = network();
    let handle = net.server.handle();
    let (ready, started) = std::sync::mpsc::channel();
    // Says REFUSED to everything: the question comes back with two bits of its header changed.
    std::thread::spawn(move || {
        handle.join_thread();
        let socket = UdpSocket::bind("198.51.100.2:53").unwrap();
        ready.send(()).unwrap();
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            buffer[2] |= 0x80;
            buffer[3] |= 5;
            let _ = socket.send_to(&buffer[..length], from);
        }
    });
    started.recv().unwrap();
    net.watcher.enter(|| {
        assert!(answers(Anchor::Resolver(at("198.51.100.2:53")), LIMIT));
        assert!(!answers(Anchor::Resolver(at("198.51.100.254:53")), LIMIT), "nobody listens there");
    });
}
