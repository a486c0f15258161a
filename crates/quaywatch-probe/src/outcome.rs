//! What an errno or an ICMP answer of a failed connect means: one table each, pure, so that every row can be tested
//! without a network.
//!
//! The error queue is asked before the errno is believed: only it tells a router's answer from our own routing table
//! (both `EHOSTUNREACH`), and a prohibition out there from one of our own (both `EACCES` with IPv6). What is our own
//! fault is a `self_…` code.

use nix::errno::Errno;
use quaywatch_core::{ErrorCode, Icmp, Signal};

use crate::own::OwnAddresses;
use crate::sys::FROM_ICMP;

/// Why a dial failed, before anybody knows whose it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: ErrorCode,
    pub(crate) signal: Signal,
    pub(crate) errno: Option<Errno>,
    pub(crate) icmp: Option<Icmp>,
}

impl Failure {
    /// From the errno alone: nothing came from outside, or nothing that the kernel kept.
    pub(crate) fn of_errno(errno: Errno) -> Self {
        let (code, signal) = errno_means(errno);
        Self { code, signal, errno: Some(errno), icmp: None }
    }

    /// From an entry of the error queue; `errno` is the entry's.
    pub(crate) fn of_icmp(icmp: Icmp, errno: Option<Errno>, own: &mut OwnAddresses) -> Self {
        let ours = icmp.sender.is_some_and(|sender| own.contains(sender));
        // A neighbour that answers no ARP or neighbour solicitation is told to us by our own kernel, in the shape of
        // an ICMP answer from our own address: the host is dead, no rule of ours spoke.
        let code =
            if ours && !is_host_unreachable(icmp) { ErrorCode::SelfFirewall } else { icmp_means(icmp) };
        Self { code, signal: Signal::Icmp, errno, icmp: Some(icmp) }
    }

    /// Nobody answered within the time allowed.
    pub(crate) const fn silence() -> Self {
        Self { code: ErrorCode::TcpTimeout, signal: Signal::Silence, errno: None, icmp: None }
    }

    /// A fault of this machine that no errno tells.
    pub(crate) const fn local(code: ErrorCode) -> Self {
        Self { code, signal: Signal::Local, errno: None, icmp: None }
    }

    /// Something that the peer did.
    pub(crate) const fn seen(code: ErrorCode, signal: Signal) -> Self {
        Self { code, signal, errno: None, icmp: None }
    }
}

/// An errno of socket(2), bind(2) or connect(2), when the error queue holds nothing.
fn errno_means(errno: Errno) -> (ErrorCode, Signal) {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "there are 130 of them, and the rest is ours to explain"
    )]
    match errno {
        Errno::ECONNREFUSED => (ErrorCode::TcpRefused, Signal::Rst),
        Errno::ETIMEDOUT => (ErrorCode::TcpTimeout, Signal::Silence),
        // EPIPE is a reset that came after a FIN.
        Errno::ECONNRESET | Errno::ECONNABORTED | Errno::EPIPE => (ErrorCode::TcpReset, Signal::Rst),
        errno if FROM_ICMP.contains(&errno) => (ErrorCode::HostUnreachable, Signal::Icmp),
        Errno::EACCES | Errno::EPERM => (ErrorCode::SelfFirewall, Signal::Local),
        Errno::EADDRNOTAVAIL
        | Errno::EADDRINUSE
        | Errno::EAGAIN
        | Errno::EMFILE
        | Errno::ENFILE
        | Errno::ENOBUFS
        | Errno::ENOMEM => (ErrorCode::SelfResource, Signal::Local),
        // EHOSTUNREACH and ENETUNREACH: our routing table; EINVAL: a blackhole route, or a link-local address
        // without its link; EAFNOSUPPORT: a family switched off; ENETDOWN, ENODEV, ENXIO: the link went away.
        _ => (ErrorCode::SelfNetwork, Signal::Local),
    }
}

/// Codes of ICMP type 3 (RFC 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1) and of ICMPv6 type 1 (RFC 4443
/// section 3.1). Port unreachable is how most firewalls refuse.
fn icmp_means(icmp: Icmp) -> ErrorCode {
    match (icmp.v6, icmp.kind, icmp.code) {
        (false, 3, 3) | (true, 1, 4) => ErrorCode::TcpRefused,
        (false, 3, 0 | 5 | 6 | 11) | (true, 1, 0 | 2) => ErrorCode::NetUnreachable,
        // ICMPv6's “policy failed” and “reject route” are finer words for “prohibited”.
        (false, 3, 9 | 10 | 13 | 14 | 15) | (true, 1, 1 | 5 | 6) => ErrorCode::AdminProhibited,
        // Host and protocol unreachable, time exceeded (a routing loop), parameter problem.
        _ => ErrorCode::HostUnreachable,
    }
}

/// Exactly “host unreachable”, or “address unreachable” with ICMPv6.
const fn is_host_unreachable(icmp: Icmp) -> bool {
    matches!((icmp.v6, icmp.kind, icmp.code), (false, 3, 1) | (true, 1, 3))
}

/// Whether an ICMP answer ends a connect that is under way, as the kernel would judge it: "packet too big" does not.
pub(crate) const fn is_fatal(icmp: Icmp) -> bool {
    match (icmp.v6, icmp.kind) {
        (false, 3) => icmp.code != 4,
        (false, 11 | 12) | (true, 1 | 3 | 4) => true,
        _ => false,
    }
}

/// The name of an errno as people look it up.
pub(crate) fn errno_name(errno: Errno) -> String {
    format!("{errno:?}")
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;

    use quaywatch_core::Verdict;
    use quaywatch_net::SystemClock;

    use super::*;

    #[test]
    fn every_errno_has_its_code() {
        let cases = [
            (ErrorCode::TcpRefused, &["ECONNREFUSED"][..]),
            (ErrorCode::TcpTimeout, &["ETIMEDOUT"]),
            (ErrorCode::TcpReset, &["ECONNRESET", "ECONNABORTED", "EPIPE"]),
            (ErrorCode::HostUnreachable, &["EHOSTDOWN", "ENONET", "ENOPROTOOPT", "EPROTO"]),
            (ErrorCode::SelfFirewall, &["EACCES", "EPERM"]),
            (
                ErrorCode::SelfResource,
                &["EADDRNOTAVAIL", "EADDRINUSE", "EAGAIN", "EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"],
            ),
            (
                ErrorCode::SelfNetwork,
                &["EHOSTUNREACH", "ENETUNREACH", "ENETDOWN", "ENODEV", "EINVAL", "EAFNOSUPPORT"],
            ),
        ];
        let all = || (1..134).map(Errno::from_raw);
        for (code, names) in cases {
            for name in names {
                let errno = all().find(|errno| errno_name(*errno) == *name).expect("a name of an errno");
                let failure = Failure::of_errno(errno);
                assert_eq!((failure.code, failure.errno), (code, Some(errno)), "{name}");
            }
        }
        let named =
            |errno: &Errno| cases.iter().any(|(_, names)| names.contains(&errno_name(*errno).as_str()));
        for errno in all().filter(|errno| !named(errno)) {
            assert_eq!(
                Failure::of_errno(errno).code.verdict(),
                Verdict::Unknown,
                "{errno:?} is not known: ours"
            );
        }
    }

    #[test]
    fn an_icmp_answer_is_ours_if_its_sender_is() {
        let mut own = OwnAddresses::new(Arc::new(SystemClock));
        let mut code = |v6, kind, code, sender: &str| {
            let sender: Option<IpAddr> = sender.parse().ok();
            Failure::of_icmp(Icmp { v6, kind, code, sender }, None, &mut own).code
        };
        assert_eq!(code(false, 3, 13, "203.0.113.9"), ErrorCode::AdminProhibited);
        assert_eq!(code(false, 3, 13, "127.0.0.1"), ErrorCode::SelfFirewall);
        assert_eq!(code(true, 1, 1, "2001:db8::9"), ErrorCode::AdminProhibited);
        assert_eq!(code(true, 1, 1, "::1"), ErrorCode::SelfFirewall);
        assert_eq!(code(false, 3, 3, ""), ErrorCode::TcpRefused, "a sender that the kernel does not tell");
        assert_eq!(code(false, 3, 1, "127.0.0.1"), ErrorCode::HostUnreachable, "no ARP answer");
        assert_eq!(code(true, 1, 3, "::1"), ErrorCode::HostUnreachable, "no neighbour advertisement");
        assert_eq!(code(false, 11, 0, "203.0.113.9"), ErrorCode::HostUnreachable);
    }

    #[test]
    fn only_what_ends_a_connect_is_fatal() {
        let icmp = |v6, kind, code| Icmp { v6, kind, code, sender: None };
        assert!(!is_fatal(icmp(false, 3, 4)) && !is_fatal(icmp(true, 2, 0)), "packet too big");
        assert!(!is_fatal(icmp(false, 5, 1)) && !is_fatal(icmp(false, 4, 0)), "redirect, source quench");
        assert!((0..16).filter(|code| *code != 4).all(|code| is_fatal(icmp(false, 3, code))));
        assert!((0..7).all(|code| is_fatal(icmp(true, 1, code))));
        assert!(is_fatal(icmp(false, 11, 0)) && is_fatal(icmp(true, 3, 0)));
    }
}
