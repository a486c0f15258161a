//! What an errno or an ICMP answer of a failed connect means: one table each, pure, so that every row can be tested
//! without a network.
//!
//! The error queue is asked before the errno is believed: only it tells a router's answer from our own routing table
//! (both `EHOSTUNREACH`), and a prohibition out there from one of our own (both `EACCES` with IPv6). What is our own
//! fault is a `self_…` code.

use nix::errno::Errno;
use quaywatch_core::{ErrorCode, Icmp, Signal};

use crate::own::OwnAddresses;

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
        let code = match icmp_means(icmp) {
            // A neighbour that answers no ARP or neighbour solicitation is told to us by our own kernel, in the
            // shape of an ICMP answer from our own address: the host is dead, no rule of ours spoke.
            ErrorCode::HostUnreachable if is_host_unreachable(icmp) => ErrorCode::HostUnreachable,
            _ if ours => ErrorCode::SelfFirewall,
            code => code,
        };
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
        // Made by the kernel from ICMP answers only (icmp_err_convert in net/ipv4/icmp.c).
        Errno::EHOSTDOWN | Errno::ENONET | Errno::ENOPROTOOPT | Errno::EPROTO => {
            (ErrorCode::HostUnreachable, Signal::Icmp)
        }
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
