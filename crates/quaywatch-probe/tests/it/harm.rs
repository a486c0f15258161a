//! Do no harm: what a check leaves behind at real servers. Over veth and from an address that the server can resolve,
//! since on loopback, or from a nameless address, MariaDB never blocks anybody and such a test would prove nothing.
//!
//! The default check must leave nothing at all; that the same counters and logs do tell of a full handshake is the
//! control. `docs/do-no-harm.md` quotes what these tests print (`cargo test -p quaywatch-probe harm -- --nocapture`).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use quaywatch_core::ErrorCode;
use quaywatch_probe::Dial;
use quaywatch_testkit::netns::{NetNs, Pair};
use quaywatch_testkit::servers::{self, RealServer, Recipe};
use quaywatch_testkit::wait;

use crate::watcher::{Watcher, full, half_open};

const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
const KINDS: [&Recipe; 5] =
    [&servers::MARIADB, &servers::POSTGRES, &servers::REDIS, &servers::OPENSSH, &servers::POSTFIX];
/// As many monitors of one target as might be checked at the same moment.
const AT_ONCE: usize = 20;
const PATIENCE: Duration = Duration::from_secs(20);

/// Two hosts that know each other by name.
fn network() -> Pair {
    let network = Pair::new();
    network.server.hosts("127.0.0.1 localhost\n192.0.2.1 watcher.test\n192.0.2.2 server.test\n");
    network
}

/// Looks `count` times, a few at a time; how often which outcome was seen.
fn look(watcher: &Watcher, dial: Dial, count: usize) -> BTreeMap<ErrorCode, usize> {
    let mut seen = BTreeMap::new();
    let dials: Vec<Dial> = (0..count as u64).map(|token| Dial { token, ..dial }).collect();
    for few in dials.chunks(AT_ONCE) {
        for report in watcher.look(few.to_vec()) {
            *seen.entry(report.code).or_default() += 1;
        }
    }
    seen
}

/// A login of the test's own, from the watcher's host: the words of a server that lets nobody in, or none.
fn maria_says(from: &NetNs) -> String {
    let arguments = ["--no-defaults", "--host=192.0.2.2", "--user=watched", "--password=wrong", "-e", ""];
    let output = from.run("mariadb", &arguments);
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A counter of the server's kernel, by the names of its two lines in `/proc/net/snmp` and `/proc/net/netstat`.
fn kernel_counts(namespace: &NetNs, group: &str, name: &str) -> u64 {
    let text = namespace.ok("cat", &["/proc/net/snmp", "/proc/net/netstat"]);
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(group));
    let (names, values) = (lines.next().expect("names"), lines.next().expect("values"));
    let mut pairs = names.split_whitespace().zip(values.split_whitespace());
    pairs.find(|(known, _)| *known == name).and_then(|(_, value)| value.parse().ok()).expect("a counter")
}

#[test]
fn a_thousand_default_checks_move_no_counter_and_leave_no_line_at_any_server() {
    let network = network();
    let servers: Vec<RealServer<'_>> =
        KINDS.iter().map(|kind| RealServer::start_in(kind, &network.server, SERVER)).collect();
    let watcher = Watcher::inside(&network.watcher);
    let before: Vec<_> = servers.iter().map(|server| (server.counters(), server.log())).collect();
    let kernel = || {
        let opened = kernel_counts(&network.server, "Tcp: ", "PassiveOpens");
        (opened, kernel_counts(&network.server, "TcpExt: ", "EmbryonicRsts"))
    };
    let (opened, embryonic) = kernel();
    for (kind, server) in KINDS.iter().zip(&servers) {
        let seen = look(&watcher, half_open(server.address()), 1_000);
        assert_eq!(seen, BTreeMap::from([(ErrorCode::Ok, 1_000)]), "{}", kind.name);
    }
    assert_eq!(watcher.bulk.stats().late_close.read(), 0);
    assert_eq!(kernel(), (opened, embryonic + 5_000), "each was reset before it became a connection");
    for ((kind, server), (counters, log)) in KINDS.iter().zip(&servers).zip(before) {
        assert_eq!(server.counters(), counters, "{}", kind.name);
        assert_eq!(server.log(), log, "{}", kind.name);
    }
    assert!(
        maria_says(&network.watcher).contains("Access denied"),
        "MariaDB still talks to the watcher's host"
    );
}

#[test]
fn what_full_handshakes_do_to_servers_is_seen_by_the_same_means() {
    let network = network();
    let watcher = Watcher::inside(&network.watcher);
    for kind in KINDS {
        let server = RealServer::start_in(kind, &network.server, SERVER);
        let (counters, log) = (server.counters(), server.log());
        let seen = look(&watcher, full(server.address()), 200);
        let moved: Vec<String> = server
            .counters()
            .iter()
            .filter(|(name, value)| counters[*name] != **value)
            .map(|(name, value)| format!("{name} {} to {value}", counters[name]))
            .collect();
        let new = server.log()[log.len()..].to_owned();
        println!(
            "{}: {seen:?}\n  moved: {}\n  {} lines, such as:",
            kind.name,
            moved.join(", "),
            new.lines().count()
        );
        new.lines().take(6).for_each(|line| println!("    {line}"));
        assert!(!moved.is_empty() || !new.is_empty(), "{}: the control is blind", kind.name);
    }
}

#[test]
fn mariadb_shuts_out_a_host_after_a_hundred_full_handshakes() {
    let network = network();
    let server = RealServer::start_in(&servers::MARIADB, &network.server, SERVER);
    let watcher = Watcher::inside(&network.watcher);
    // One after the other. The server counts an error after it has noticed the close, so that is waited for.
    let mut codes = Vec::new();
    for n in 0..105 {
        codes.push(watcher.see(Dial { token: n, ..full(server.address()) }).code);
        if n < 100 {
            wait::until("the server has counted the error", PATIENCE, || {
                server.counters()["host_cache_connect_errors"] > n
            });
        }
    }
    let blocked = maria_says(&network.watcher);
    println!("first not ok: {:?}\n{blocked}", codes.iter().position(|code| *code != ErrorCode::Ok));
    assert!(blocked.contains("1129"), "{blocked}");
    assert_eq!(codes.iter().position(|code| *code != ErrorCode::Ok), Some(100), "{codes:?}");
    assert_eq!(codes[100], ErrorCode::TcpClosedEarly, "a full check then harms its own verdict too");
}
