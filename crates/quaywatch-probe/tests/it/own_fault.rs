//! The watcher's own faults: each is told as one and never as the target's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::{Clock, ErrorCode, Signal, Stage, Verdict};
use quaywatch_net::SystemClock;
use quaywatch_probe::{BulkConfig, Dial};
use quaywatch_testkit::netns::{NetNs, Pair, Routed};
use quaywatch_testkit::port::{FullPort, Manner, Port};

use crate::watcher::{Watcher, evidence, full, half_open, times};

fn at(address: &str) -> SocketAddr {
    address.parse().expect("an address")
}

#[test]
fn no_route_of_our_own() {
    let network = NetNs::new("alone");
    network.ok("ip", &["route", "add", "unreachable", "198.51.100.0/25"]);
    network.ok("ip", &["route", "add", "blackhole", "198.51.100.128/25"]);
    let watcher = Watcher::inside(&network);
    for (target, errno) in [
        ("203.0.113.1:80", "ENETUNREACH"),
        ("[2001:db8::1]:80", "ENETUNREACH"),
        ("198.51.100.1:80", "EHOSTUNREACH"),
        ("198.51.100.200:80", "EINVAL"),
    ] {
        for dial in [half_open(at(target)), full(at(target))] {
            let report = watcher.see(dial);
            let attempt = evidence(&report);
            assert_eq!(report.code, ErrorCode::SelfNetwork, "{target}: {report:?}");
            assert_eq!(report.code.verdict(), Verdict::Unknown);
            assert_eq!((attempt.stage, attempt.signal), (Stage::Prepare, Signal::Local));
            assert_eq!((attempt.errno.as_deref(), attempt.icmp), (Some(errno), None), "{target}");
        }
    }
}

#[test]
fn a_firewall_of_our_own() {
    let network = Pair::new();
    let watcher = Watcher::inside(&network.watcher);
    for (target, own, rejection) in [
        ("192.0.2.2:7000", "192.0.2.1", "reject"),
        ("192.0.2.2:7000", "192.0.2.1", "reject with icmp type admin-prohibited"),
        ("[2001:db8::2]:7000", "2001:db8::1", "reject"),
        ("[2001:db8::2]:7000", "2001:db8::1", "reject with icmpv6 type admin-prohibited"),
    ] {
        network.watcher.filter("output", &format!("tcp dport 7000 {rejection}"));
        for dial in [half_open(at(target)), full(at(target))] {
            let report = watcher.see(dial);
            assert_eq!(report.code, ErrorCode::SelfFirewall, "{target} {rejection}: {report:?}");
            let sender = evidence(&report).icmp.and_then(|icmp| icmp.sender).expect("a sender");
            assert_eq!(sender.to_string(), own);
            assert!(report.elapsed_us < 5_000_000, "told at once: {report:?}");
        }
    }
    network.watcher.unfilter();
    network.watcher.ok("ip", &["route", "add", "prohibit", "192.0.2.2/32"]);
    let report = watcher.see(half_open(at("192.0.2.2:7000")));
    assert_eq!((report.code, evidence(&report).errno.as_deref()), (ErrorCode::SelfFirewall, Some("EACCES")));
}

#[test]
fn the_same_answer_from_a_router_is_not_ours() {
    let network = Routed::new();
    network.router.filter("forward", "tcp dport 7000 reject with icmpv6 type admin-prohibited");
    let report = Watcher::inside(&network.watcher).see(half_open(at("[2001:db8:2::2]:7000")));
    assert_eq!(report.code, ErrorCode::AdminProhibited);
}

#[test]
fn no_ports_left() {
    let network = Pair::new();
    let port = network.server.enter(|| Port::open_at(at("192.0.2.2:7000"), Manner::Silent));
    network.watcher.sysctl("net.ipv4.ip_local_port_range", "40000 40000");
    let watcher = Watcher::inside(&network.watcher);
    // The first dial holds the only port for as long as it settles.
    let holder = Dial { token: 1, settle: Duration::from_secs(1), ..full(port.address) };
    let second = Dial { token: 2, ..half_open(port.address) };
    let reports = watcher.look(vec![holder, second]);
    assert_eq!((reports[0].token, reports[0].code), (1, ErrorCode::Ok));
    let attempt = evidence(&reports[1]);
    assert_eq!((reports[1].code, attempt.signal), (ErrorCode::SelfResource, Signal::Local));
    assert_eq!((attempt.stage, attempt.errno.as_deref()), (Stage::Prepare, Some("EADDRNOTAVAIL")));
}

#[test]
fn no_descriptors_left() {
    // In a process of its own: the limit is the process's.
    const CHILD: &str = "QUAYWATCH_TEST_FEW_DESCRIPTORS";
    if std::env::var_os(CHILD).is_none() {
        let this = std::env::current_exe().expect("a path");
        let mut child = Command::new("prlimit");
        child.arg("--nofile=48").arg(this).args(["--exact", "own_fault::no_descriptors_left", "--nocapture"]);
        let output = child.env(CHILD, "1").output().expect("prlimit, of util-linux");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    }
    let silent = FullPort::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let open = Port::open(Manner::Silent);
    let watcher = Watcher::here();
    // Leaves many sockets for the next half-open check; they must give way.
    assert!(
        watcher.look(times(25, half_open(open.address))).iter().all(|report| report.code == ErrorCode::Ok)
    );
    assert!(watcher.bulk.stats().sockets.read() > 5);
    let dial = Dial { timeout: Duration::from_millis(500), ..full(silent.address) };
    let reports = watcher.look(times(60, dial));
    let of = |code| reports.iter().filter(move |report| report.code == code);
    assert!(of(ErrorCode::SelfResource).count() >= 20, "{reports:?}");
    assert!(of(ErrorCode::TcpTimeout).count() >= 20, "{reports:?}");
    assert_eq!(of(ErrorCode::SelfResource).count() + of(ErrorCode::TcpTimeout).count(), 60);
    for report in of(ErrorCode::SelfResource) {
        assert_eq!(evidence(report).errno.as_deref(), Some("EMFILE"));
    }
    // And it recovers by itself.
    assert_eq!(watcher.see(Dial { token: 99, ..dial }).code, ErrorCode::TcpTimeout);
}

#[test]
fn a_connection_to_ourselves_is_refused() {
    let network = NetNs::new("mirror");
    // One port only: a connect to it takes it as its own, and meets itself.
    network.sysctl("net.ipv4.ip_local_port_range", "40000 40000");
    let watcher = Watcher::inside(&network);
    for ip in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        let target = SocketAddr::new(ip, 40_000);
        let unsettled = Dial { settle: Duration::ZERO, ..full(target) };
        for dial in [half_open(target), full(target), unsettled] {
            let report = watcher.see(dial);
            assert_eq!((report.code, report.full), (ErrorCode::TcpRefused, false), "{report:?}");
            assert_eq!(evidence(&report).stage, Stage::Connect);
        }
    }
}

#[test]
fn dials_leave_from_the_sources_that_were_given() {
    let network = Pair::new();
    network.watcher.address("eth0", "192.0.2.11/24");
    network.watcher.address("eth0", "192.0.2.12/24");
    let port = network.server.enter(|| Port::open_at(at("192.0.2.2:7000"), Manner::Silent));
    network
        .server
        .filter("input", "ip saddr { 192.0.2.11, 192.0.2.12 } tcp flags & (syn | ack) == syn counter");
    let sources = vec!["192.0.2.11".parse().expect("an address"), "192.0.2.12".parse().expect("an address")];
    let config = BulkConfig { sources, ..BulkConfig::default() };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let watcher = network.watcher.enter(|| Watcher::with(&config, &clock));
    let reports = watcher.look(times(20, half_open(port.address)));
    assert!(reports.iter().all(|report| report.code == ErrorCode::Ok), "{reports:?}");
    assert_eq!(network.server.counted(), 20);
    // No source of that family: the kernel chooses.
    let v6 = network.server.enter(|| Port::open_at(at("[2001:db8::2]:7000"), Manner::Silent));
    assert_eq!(watcher.see(half_open(v6.address)).code, ErrorCode::Ok);
}
