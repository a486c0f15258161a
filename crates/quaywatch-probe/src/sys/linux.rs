//! The only unsafe code of the project's probing: `TCP_INFO` (tcp(7)), for which no safe crate has a reader, and
//! connect(2) to `AF_UNSPEC`, for which none has an address. And the error queue (ip(7), `IP_RECVERR`), through nix's safe reader.
#![expect(
    unsafe_code,
    reason = "getsockopt(TCP_INFO) and connect(AF_UNSPEC) have no safe wrappers; this file holds nothing else unsafe"
)]

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use quaywatch_core::Icmp;
use socket2::Socket;

use super::{Facts, QueuedError, State};

/// `TCP_QUICKACK` 0 before connect holds the last ACK back for some 200 ms.
pub(crate) const CAN_HALF_OPEN: bool = true;

/// Made by the kernel from ICMP answers only (icmp_err_convert in net/ipv4/icmp.c).
pub(crate) const FROM_ICMP: &[Errno] = &[Errno::EHOSTDOWN, Errno::ENONET, Errno::ENOPROTOOPT, Errno::EPROTO];

/// The common prefix of the kernel's `struct tcp_info` (linux/tcp.h, an ABI that only ever grows at its end), up to
/// the last field that is read. The C libraries' own declarations end at different places.
#[repr(C)]
#[derive(Default)]
struct TcpInfo {
    state: u8,
    /// ca_state, retransmits, probes, backoff, options, window scales, flags.
    _bytes: [u8; 7],
    /// rto, ato, snd_mss, rcv_mss, unacked, sacked, lost, retrans, fackets, four ages, pmtu, rcv_ssthresh.
    _words: [u32; 15],
    rtt_us: u32,
    /// rttvar, snd_ssthresh, snd_cwnd, advmss, reordering, rcv_rtt, rcv_space.
    _more_words: [u32; 7],
    total_retrans: u32,
    /// pacing_rate, max_pacing_rate, bytes_acked, bytes_received.
    _longs: [u64; 4],
    segs_out: u32,
    _segs_in: u32,
}

const _: () = assert!(
    size_of::<TcpInfo>() == 144
        && std::mem::offset_of!(TcpInfo, rtt_us) == 68
        && std::mem::offset_of!(TcpInfo, total_retrans) == 100
        && std::mem::offset_of!(TcpInfo, segs_out) == 136
);

/// enum in linux/net/tcp_states.h.
const SYN_SENT: u8 = 2;
const SYN_RECV: u8 = 3;
const CLOSE: u8 = 7;
const CLOSE_WAIT: u8 = 8;

/// What the kernel knows of the connection: one system call.
pub(crate) fn facts(socket: &Socket) -> io::Result<Facts> {
    let mut info = TcpInfo::default();
    let mut length = size_of::<TcpInfo>() as libc::socklen_t;
    // SAFETY: the descriptor is open for as long as `socket` is borrowed. The kernel writes at most `length` bytes,
    // which is the size of `info`; `info` is plain integers, for which every bit pattern is valid, and what the kernel
    // leaves unwritten (an old kernel's shorter struct) keeps its zeroes.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    Errno::result(result)?;
    Ok(Facts {
        state: match info.state {
            SYN_SENT | SYN_RECV => State::Waiting,
            CLOSE => State::Dead,
            CLOSE_WAIT => State::PeerClosed,
            _ => State::Open,
        },
        rtt_us: info.rtt_us,
        retransmits: info.total_retrans,
        segments_out: info.segs_out,
    })
}

/// Holds the ACK of the SYN-ACK back, so that a reset can go out instead. Before connect.
pub(crate) fn postpone_ack(socket: &Socket) -> io::Result<()> {
    socket.set_tcp_quickack(false)
}

/// Ends a connection whose last ACK is withheld, and leaves the socket as good as new: connect(2) to `AF_UNSPEC`. The
/// kernel sends the same reset as close(2) with `SO_LINGER` 0 would, gives the local port back and forgets all it
/// measured (tcp_disconnect in net/ipv4/tcp.c); options stay, but for `TCP_QUICKACK`.
pub(crate) fn disconnect(socket: &Socket) -> io::Result<()> {
    let nowhere = libc::sockaddr { sa_family: libc::AF_UNSPEC as libc::sa_family_t, sa_data: [0; 14] };
    let length = size_of::<libc::sockaddr>() as libc::socklen_t;
    // SAFETY: the descriptor is open for as long as `socket` is borrowed, and the kernel reads `length` bytes of
    // `nowhere`, which is its size.
    let result = unsafe { libc::connect(socket.as_raw_fd(), &raw const nowhere, length) };
    Errno::result(result)?;
    Ok(())
}

/// IPv4 fills the error queue of a connecting socket by itself, IPv6 only when asked.
pub(crate) fn want_icmp_v6(socket: &Socket) -> io::Result<()> {
    Ok(setsockopt(socket, sockopt::Ipv6RecvErr, &true)?)
}

/// Lets the port be chosen at connect, when the destination is known: one port serves many destinations.
pub(crate) fn bind_late(socket: &Socket) -> io::Result<()> {
    Ok(setsockopt(socket, sockopt::IpBindAddressNoPort, &true)?)
}

/// The most entries looked at: a connect that failed has one, with packets that were too big a few before it.
const MOST_ENTRIES: usize = 4;

/// Reads error queues with one buffer.
pub(crate) struct QueueReader {
    control: Vec<u8>,
}

impl QueueReader {
    pub(crate) fn new() -> Self {
        Self { control: nix::cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6) }
    }

    /// The first ICMP answer in the queue that `wanted` accepts; those before it are dropped.
    pub(crate) fn read(&mut self, socket: &Socket, wanted: fn(Icmp) -> bool) -> Option<QueuedError> {
        (0..MOST_ENTRIES).map_while(|_| self.next(socket)).flatten().find(|entry| wanted(entry.icmp))
    }

    /// The outer `None`: the queue is empty. The inner: the entry is no ICMP answer.
    fn next(&mut self, socket: &Socket) -> Option<Option<QueuedError>> {
        // The packet that was answered comes along; nobody wants it.
        let mut packet = [0; 1];
        let mut parts = [IoSliceMut::new(&mut packet)];
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut self.control), flags).ok()?;
        Some(message.cmsgs().ok()?.find_map(|control| entry(&control)))
    }
}

fn entry(control: &ControlMessageOwned) -> Option<QueuedError> {
    let (error, sender) = if let ControlMessageOwned::Ipv4RecvErr(error, sender) = control {
        let known = sender.filter(|sender| i32::from(sender.sin_family) == libc::AF_INET);
        (error, known.map(|sender| IpAddr::V4(Ipv4Addr::from(u32::from_be(sender.sin_addr.s_addr)))))
    } else if let ControlMessageOwned::Ipv6RecvErr(error, sender) = control {
        let known = sender.filter(|sender| i32::from(sender.sin6_family) == libc::AF_INET6);
        (error, known.map(|sender| IpAddr::V6(Ipv6Addr::from(sender.sin6_addr.s6_addr)).to_canonical()))
    } else {
        return None;
    };
    let v6 = match error.ee_origin {
        libc::SO_EE_ORIGIN_ICMP => false,
        libc::SO_EE_ORIGIN_ICMP6 => true,
        _ => return None,
    };
    let errno = Errno::from_raw(i32::try_from(error.ee_errno).unwrap_or(0));
    Some(QueuedError { errno, icmp: Icmp { v6, kind: error.ee_type, code: error.ee_code, sender } })
}
