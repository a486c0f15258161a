//! What the owner of a monitor should know before it is saved: from its spec alone, and from what one look has seen.

use std::time::Duration;

use quaywatch_core::doc::Problem;
use quaywatch_core::egress::{Egress, EgressPolicy};
use quaywatch_core::spec::{Expectation, Host, Kind};
use quaywatch_core::{Attempt, ErrorCode, MonitorSpec};

use super::reading::warning;
use super::test::AllSeen;

/// Ports whose services are spoken to over UDP, all or most of the time.
const UDP: &[(u16, &str)] = &[
    (53, "DNS"),
    (67, "DHCP"),
    (69, "TFTP"),
    (123, "NTP"),
    (161, "SNMP"),
    (162, "SNMP traps"),
    (500, "IPsec"),
    (514, "syslog"),
    (1194, "OpenVPN"),
    (1812, "RADIUS"),
    (1813, "RADIUS accounting"),
    (1900, "SSDP"),
    (3478, "STUN"),
    (4500, "IPsec"),
    (5060, "SIP"),
    (5353, "mDNS"),
    (51820, "WireGuard"),
];

/// Ports behind which pages are.
const PAGES: [u16; 3] = [80, 443, 8080];

/// Whether the service on this port shuts out who completes connections without logging in.
pub(super) const fn counts_guests(port: u16) -> bool {
    port == 3306
}

/// What the spec alone says.
pub(super) fn of_spec(spec: &MonitorSpec) -> Vec<Problem> {
    let Kind::Tcp(tcp) = &spec.kind;
    let mut found = Vec::new();
    if let Some((_, name)) = UDP.iter().find(|(port, _)| *port == tcp.port) {
        found.push(warning(
            "port",
            "udp",
            format!("port {} is {name}, which is spoken over UDP, all or most of the time", tcp.port),
            "a TCP check says nothing about that part: it may stand while UDP is dead, or the reverse",
        ));
    }
    if PAGES.contains(&tcp.port) && tcp.expectation == Expectation::Open {
        found.push(warning(
            "port",
            "http_beside",
            format!("port {} may answer while every page behind it is an error", tcp.port),
            "watch a page over HTTP as well: the port tells whether the server listens, the page whether it works",
        ));
    }
    let here = MonitorSpec::LOCAL;
    if !spec.locations.iter().any(|location| location == here) {
        found.push(warning(
            "locations",
            "elsewhere",
            "this look was made by the server itself, the monitor will be looked at from elsewhere",
            "what is seen there may differ",
        ));
    }
    found
}

/// An address that the account may not dial. It is no error: the server's owner may allow it tomorrow, or an agent may
/// stand in that network.
pub(super) fn barred(spec: &MonitorSpec, egress: &EgressPolicy) -> Option<Problem> {
    let (Host::Ip(ip), _) = spec.host_and_port() else { return None };
    let Egress::Denied { rule } = egress.judge(*ip) else { return None };
    Some(warning(
        "host",
        "private_address",
        format!("`{ip}` is not dialled from this server: {rule}"),
        "use an agent inside that network, or a public address",
    ))
}

/// What was seen.
pub(super) fn of_looks(spec: &MonitorSpec, seen: &AllSeen) -> Vec<Problem> {
    let (host, _) = spec.host_and_port();
    let mut found = Vec::new();
    // What a literal address says was told by the reader.
    if seen.first.code == ErrorCode::PolicyBlocked && matches!(host, Host::Name(_)) {
        let rule = seen.first.evidence.detail.clone().unwrap_or_default();
        found.push(warning(
            "host",
            "private_address",
            format!("`{host}` resolves to addresses that are not dialled from this server ({rule})"),
            "use an agent inside that network, or a public address",
        ));
    }
    if seen.addresses.iter().any(|attempt| attempt.address.ip().is_loopback()) {
        found.push(warning(
            "host",
            "loopback",
            format!("`{host}` is this server itself"),
            "write the address under which others reach it, unless it is this machine that is meant",
        ));
    }
    if let Some(code) = seen.hung_up {
        let how = if code == ErrorCode::TcpReset { "resets" } else { "closes" };
        found.push(warning(
            "handshake",
            "hangs_up",
            format!("it answers and {how} the connection at once: a proxy before a dead service?"),
            "`handshake: full` looks at that each time; or watch the service behind it as well",
        ));
    }
    if seen.first.evidence.deciding().is_some_and(|attempt| attempt.syn_retransmits > 0) {
        found.push(warning(
            "timeout",
            "lost_syn",
            "the first packet got no answer, a later one did: the way there loses packets",
            "give it a timeout of 20 to 30 seconds",
        ));
    }
    found
}

/// The spec's timeout was too long for a person to wait.
pub(super) fn shortened(longest: Duration) -> Problem {
    warning(
        "timeout",
        "shortened",
        format!("this look waited for at most {} s", longest.as_secs()),
        "the monitor itself waits as long as it says",
    )
}

/// A timeout with room above what was seen, by the usual advice: 5 to 10 s nearby, 10 to 15 s far away, 20 to 30 s
/// where packets are lost.
pub(super) fn timeout(addresses: &[Attempt]) -> Option<Duration> {
    let slowest = addresses.iter().filter_map(|attempt| attempt.latency_us).max()?;
    let lost = addresses.iter().any(|attempt| attempt.latency_us.is_some() && attempt.syn_retransmits > 0);
    let seconds = match slowest {
        _ if lost => 20,
        0..50_000 => 5,
        50_000..150_000 => 10,
        150_000..1_000_000 => 15,
        1_000_000.. => 30,
    };
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use quaywatch_core::{Signal, Stage};

    use super::*;

    fn attempt(latency_us: Option<u32>, syn_retransmits: u8) -> Attempt {
        Attempt {
            address: "192.0.2.1:22".parse().expect("literal"),
            error_code: ErrorCode::Ok,
            stage: Stage::Connect,
            signal: Signal::SynAck,
            latency_us,
            elapsed_us: 0,
            syn_retransmits,
            errno: None,
            icmp: None,
        }
    }

    fn codes(port: u16) -> Vec<&'static str> {
        let spec = MonitorSpec::tcp("x", Host::Name("a".into()), port);
        of_spec(&spec).iter().map(|problem| problem.code).collect()
    }

    #[test]
    fn s08_z13_a_timeout_is_suggested_by_what_was_seen() {
        let seconds = |attempts: &[Attempt]| timeout(attempts).map(|timeout| timeout.as_secs());
        assert_eq!(seconds(&[]), None);
        assert_eq!(seconds(&[attempt(None, 0)]), None);
        assert_eq!(seconds(&[attempt(Some(900), 0), attempt(None, 3)]), Some(5));
        assert_eq!(seconds(&[attempt(Some(900), 0), attempt(Some(180_000), 0)]), Some(15));
        assert_eq!(seconds(&[attempt(Some(900), 1)]), Some(20));
    }

    #[test]
    fn t13_a31_ports_with_pages_or_udp_behind_them_say_so() {
        for port in [80, 443, 8080] {
            assert_eq!(codes(port), ["http_beside"], "{port}");
        }
        assert_eq!(codes(53), ["udp"]);
        assert_eq!(codes(5432), [""; 0]);
    }
}
