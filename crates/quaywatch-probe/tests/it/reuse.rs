//! Half-open checks that use each other's sockets: each must see what it would have seen on a fresh one.

use std::net::SocketAddr;
use std::sync::Arc;

use quaywatch_core::{Clock, ErrorCode, Stage};
use quaywatch_net::SystemClock;
use quaywatch_probe::BulkConfig;
use quaywatch_testkit::netns::{Pair, Routed};
use quaywatch_testkit::port::{Manner, Port};

use crate::watcher::{Watcher, evidence, half_open};

fn at(address: &str) -> SocketAddr {
    address.parse().expect("an address")
}

#[test]
fn one_socket_serves_one_check_after_the_other_and_gives_its_port_back_each_time() {
    let network = Pair::new();
    // With one port a check can begin only when the one before has returned it.
    network.watcher.sysctl("net.ipv4.ip_local_port_range", "40000 40000");
    let watcher = Watcher::inside(&network.watcher);
    for (families, target) in [(1, "192.0.2.2:7000"), (2, "[2001:db8::2]:7000")] {
        let port = network.server.enter(|| Port::open_at(at(target), Manner::Silent));
        for _ in 0..50 {
            let report = watcher.see(half_open(port.address));
            assert_eq!((report.code, report.full, report.syn_retransmits), (ErrorCode::Ok, false, 0));
            assert!(
                report.latency_us.is_some_and(|latency| latency.get() <= report.elapsed_us),
                "{report:?}"
            );
        }
        assert_eq!(watcher.bulk.stats().sockets.read(), families, "one for each family");
        assert_eq!(port.accepted(), 0);
    }
}

#[test]
fn bad_news_on_a_used_socket_is_asked_for_again_on_a_fresh_one() {
    for (reuse, syns) in [(true, 2), (false, 1)] {
        let network = Routed::new();
        let port = network.server.enter(|| Port::open_at(at("198.51.100.2:7000"), Manner::Silent));
        let config = BulkConfig { reuse, ..BulkConfig::default() };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let watcher = network.watcher.enter(|| Watcher::with(&config, &clock));
        for (rejection, expected) in
            [("icmp type admin-prohibited", ErrorCode::AdminProhibited), ("tcp reset", ErrorCode::TcpRefused)]
        {
            network.router.unfilter();
            assert_eq!(watcher.see(half_open(port.address)).code, ErrorCode::Ok);
            network.router.filter("forward", &format!("tcp dport 7000 counter reject with {rejection}"));
            let report = watcher.see(half_open(port.address));
            assert_eq!((report.code, evidence(&report).stage), (expected, Stage::Connect));
            assert_eq!(network.router.counted(), syns, "{rejection}, reuse: {reuse}");
        }
    }
}

#[test]
fn a_fault_of_our_own_is_told_at_once_on_a_used_socket_too() {
    let network = Pair::new();
    let port = network.server.enter(|| Port::open_at(at("192.0.2.2:7000"), Manner::Silent));
    let watcher = Watcher::inside(&network.watcher);
    assert_eq!(watcher.see(half_open(port.address)).code, ErrorCode::Ok);
    network.watcher.ok("ip", &["route", "add", "unreachable", "192.0.2.2/32"]);
    let report = watcher.see(half_open(port.address));
    assert_eq!((report.code, evidence(&report).stage), (ErrorCode::SelfNetwork, Stage::Prepare));
    assert_eq!(evidence(&report).errno.as_deref(), Some("EHOSTUNREACH"));
    network.watcher.ok("ip", &["route", "del", "unreachable", "192.0.2.2/32"]);
    assert_eq!(watcher.see(half_open(port.address)).code, ErrorCode::Ok);
}
