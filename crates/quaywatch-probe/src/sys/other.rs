//! Systems that neither hold the last ACK back nor tell what came by ICMP: a plain connect, whose end shows in whether
//! it has a peer.

use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use nix::errno::Errno;
use quaywatch_core::Icmp;
use socket2::Socket;

use super::{Facts, QueuedError, State};

/// The handshake completes before we are told of it.
pub(crate) const CAN_HALF_OPEN: bool = false;

/// Made by kernels from ICMP answers only.
pub(crate) const FROM_ICMP: &[Errno] = &[Errno::EHOSTDOWN];

/// How far the connection is, without its figures.
pub(crate) fn facts(socket: &Socket) -> io::Result<Facts> {
    let state = match socket.peer_addr() {
        Ok(_) => State::Open,
        Err(_) if is_over(socket)? => State::Dead,
        Err(_) => State::Waiting,
    };
    Ok(Facts { state, rtt_us: 0, retransmits: 0, segments_out: 0 })
}

/// A connect that failed is writable and has no peer.
fn is_over(socket: &Socket) -> io::Result<bool> {
    let mut poll = Poll::new()?;
    poll.registry().register(&mut SourceFd(&socket.as_raw_fd()), Token(0), Interest::WRITABLE)?;
    let mut events = Events::with_capacity(1);
    poll.poll(&mut events, Some(Duration::ZERO))?;
    Ok(!events.is_empty())
}

/// Never asked for here.
pub(crate) fn postpone_ack(_: &Socket) -> io::Result<()> {
    Ok(())
}

/// Only Linux is known to reset and to leave the socket as good as new.
pub(crate) fn disconnect(_: &Socket) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// There is no such queue.
pub(crate) fn want_icmp_v6(_: &Socket) -> io::Result<()> {
    Ok(())
}

/// Not known here: the port is chosen at bind.
pub(crate) fn bind_late(_: &Socket) -> io::Result<()> {
    Ok(())
}

/// Reads nothing.
pub(crate) struct QueueReader;

impl QueueReader {
    pub(crate) const fn new() -> Self {
        Self
    }

    /// There is no such queue.
    pub(crate) fn read(&mut self, _: &Socket, _: fn(Icmp) -> bool) -> Option<QueuedError> {
        None
    }
}
