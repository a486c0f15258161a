//! What the system tells about a connection beyond what the safe crates do. Linux tells all; elsewhere every
//! handshake is a full one, timed by our own clock, without the details of ICMP answers.

use nix::errno::Errno;
use quaywatch_core::Icmp;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;

#[cfg(target_os = "linux")]
pub(crate) use linux::{
    CAN_HALF_OPEN, FROM_ICMP, QueueReader, bind_late, disconnect, facts, postpone_ack, want_icmp_v6,
};
#[cfg(not(target_os = "linux"))]
pub(crate) use other::{
    CAN_HALF_OPEN, FROM_ICMP, QueueReader, bind_late, disconnect, facts, postpone_ack, want_icmp_v6,
};

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// The SYN is out, nothing came back.
    Waiting,
    /// SYN-ACK came.
    Open,
    /// SYN-ACK and FIN came.
    PeerClosed,
    /// It failed, or broke.
    Dead,
}

/// What the kernel knows of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) state: State,
    /// The handshake's round trip; 0: unknown.
    pub(crate) rtt_us: u32,
    /// Segments sent again; all of them SYNs while nothing else was sent.
    pub(crate) retransmits: u32,
    /// Segments sent, retransmits included; 0: unknown.
    pub(crate) segments_out: u32,
}

impl Facts {
    /// Whether more than the SYN has gone out: the last ACK, and so the peer's program knows of us.
    pub(crate) const fn ack_is_out(&self) -> bool {
        self.segments_out.saturating_sub(self.retransmits) > 1
    }
}

/// An entry of a socket's error queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QueuedError {
    pub(crate) errno: Errno,
    pub(crate) icmp: Icmp,
}
