//! Is the way out of this machine alive? Asked after a first failure, before it counts. Any answer of an anchor
//! counts, friendly or not: a refused connection proves the way as well as an accepted one. Which anchors are asked
//! and what their silence means is decided in `quaywatch_core::health`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt::Ipv4RecvErr,
    sockopt::Ipv6RecvErr,
};
use quaywatch_core::Clock;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::timeout;

use crate::race::Race;
use crate::resolve;
use crate::routes::Interfaces;

/// Ports of a router on which something answers or refuses, more often than not: name service and its web pages.
const GATEWAY_PORTS: [u16; 3] = [53, 80, 443];

/// A port that nobody listens on (the first one of traceroute): a router says "port unreachable".
const NOBODYS_PORT: u16 = 33_434;

/// Something near or far whose answer proves the way to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Anchor {
    /// A router, by address (the port is not used): asked in several ways at once.
    Gateway(SocketAddr),
    /// A name server: asked for the root's.
    Resolver(SocketAddr),
    /// A TCP port: a handshake is tried.
    Tcp(SocketAddr),
}

impl Anchor {
    /// Its address.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        match self {
            Self::Gateway(address) | Self::Resolver(address) | Self::Tcp(address) => *address,
        }
    }
}

/// Whether `anchor` answers within `limit`, in any way. Must be called on a tokio runtime.
pub async fn anchor_answers(anchor: Anchor, clock: &Arc<dyn Clock>, limit: Duration) -> bool {
    let ask = async {
        match anchor {
            Anchor::Gateway(address) => gateway_answers(address).await,
            Anchor::Resolver(address) => resolve::answers_anything(address, &**clock, limit).await,
            Anchor::Tcp(address) => tcp_answers(address).await,
        }
    };
    timeout(limit, ask).await.unwrap_or(false)
}

async fn gateway_answers(address: SocketAddr) -> bool {
    let at = |port| {
        let mut address = address;
        address.set_port(port);
        address
    };
    let mut race = Race::default();
    race.join(0, ping_answers(at(0)));
    race.join(0, udp_answers(at(NOBODYS_PORT)));
    for port in GATEWAY_PORTS {
        race.join(0, tcp_answers(at(port)));
    }
    while !race.is_empty() {
        if race.next().await.1 {
            return true;
        }
    }
    false
}

/// SYN-ACK, RST, or an ICMP message from beyond this machine.
async fn tcp_answers(address: SocketAddr) -> bool {
    let Ok(socket) = open(address, Type::STREAM, Protocol::TCP) else { return false };
    // The connection is of no use to anybody: leave no TIME_WAIT behind.
    let _ = socket.set_linger(Some(Duration::ZERO));
    match socket.connect(&address.into()) {
        Ok(()) => return true,
        Err(error) if error.raw_os_error() == Some(Errno::EINPROGRESS as i32) => {}
        Err(error) => return is_answer(&socket, &error),
    }
    let Ok(socket) = watch(socket) else { return false };
    if socket.writable().await.is_err() {
        return false;
    }
    match socket.get_ref().take_error() {
        Ok(None) => true,
        Ok(Some(error)) => is_answer(socket.get_ref(), &error),
        Err(_) => false,
    }
}

/// A datagram to a port that nobody listens on: "port unreachable" is an answer, if it is not our own firewall's.
async fn udp_answers(address: SocketAddr) -> bool {
    let Ok(socket) = open(address, Type::DGRAM, Protocol::UDP) else { return false };
    if socket.connect(&address.into()).is_err() || socket.send(&[0]).is_err() {
        return false;
    }
    let Ok(socket) = watch(socket) else { return false };
    // A refusal alone does not make a socket readable.
    socket.ready(Interest::READABLE | Interest::ERROR).await.is_ok()
        && came_from_beyond(socket.get_ref()) == Some(true)
}

/// An echo request through an unprivileged ping socket; where those are not permitted, no answer.
async fn ping_answers(address: SocketAddr) -> bool {
    const ECHO_V4: [u8; 8] = [8, 0, 0, 0, 0, 0, 0, 1];
    const ECHO_V6: [u8; 8] = [128, 0, 0, 0, 0, 0, 0, 1];
    let (protocol, echo) =
        if address.is_ipv4() { (Protocol::ICMPV4, ECHO_V4) } else { (Protocol::ICMPV6, ECHO_V6) };
    let Ok(socket) = open(address, Type::DGRAM, protocol) else { return false };
    // The kernel fills in id and checksum.
    if socket.connect(&address.into()).is_err() || socket.send(&echo).is_err() {
        return false;
    }
    let Ok(socket) = watch(socket) else { return false };
    loop {
        let Ok(mut ready) = socket.ready(Interest::READABLE | Interest::ERROR).await else { return false };
        match ready.try_io(|fd| recv(fd.get_ref())) {
            Ok(Ok(length)) => return length > 0,
            Ok(Err(_)) => return came_from_beyond(socket.get_ref()) == Some(true),
            Err(_) => {}
        }
    }
}

#[expect(
    deprecated,
    reason = "unsound only for types that lie about their descriptor; a socket2::Socket owns its"
)]
fn watch(socket: Socket) -> io::Result<AsyncFd<Socket>> {
    AsyncFd::with_interest(socket, Interest::READABLE | Interest::WRITABLE | Interest::ERROR)
}

fn recv(socket: &Socket) -> io::Result<usize> {
    let mut buffer = [std::mem::MaybeUninit::uninit(); 64];
    socket.recv(&mut buffer)
}

fn open(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind.nonblocking().cloexec(), Some(protocol))?;
    if address.is_ipv4() {
        setsockopt(&socket, Ipv4RecvErr, &true)?;
    } else {
        setsockopt(&socket, Ipv6RecvErr, &true)?;
    }
    Ok(socket)
}

/// Whether a failed handshake was somebody's answer: an ICMP message of another machine, or RST, which leaves no trace
/// in the error queue.
fn is_answer(socket: &Socket, error: &io::Error) -> bool {
    came_from_beyond(socket).unwrap_or_else(|| {
        matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::ECONNREFUSED | Errno::ECONNRESET))
    })
}

/// Whether the ICMP message in the socket's error queue (ip(7), `IP_RECVERR`) came from another machine, and not from
/// our own firewall or for want of a neighbour. `None`: there is none.
fn came_from_beyond(socket: &Socket) -> Option<bool> {
    let mut data = [0; 512];
    let mut iov = [io::IoSliceMut::new(&mut data)];
    let mut control = nix::cmsg_space!([u8; 128]);
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut iov, Some(&mut control), flags).ok()?;
    let mut control = message.cmsgs().ok()?;
    let sender = control.find_map(|message| {
        if let ControlMessageOwned::Ipv4RecvErr(_, Some(sender)) = message {
            Some(IpAddr::V4(Ipv4Addr::from_bits(u32::from_be(sender.sin_addr.s_addr))))
        } else if let ControlMessageOwned::Ipv6RecvErr(_, Some(sender)) = message {
            Some(IpAddr::V6(Ipv6Addr::from(sender.sin6_addr.s6_addr)))
        } else {
            None
        }
    });
    let is_anothers = |sender: &IpAddr| {
        !sender.is_unspecified() && Interfaces::read().is_ok_and(|own| !own.is_own(*sender))
    };
    Some(sender.as_ref().is_some_and(is_anothers))
}
