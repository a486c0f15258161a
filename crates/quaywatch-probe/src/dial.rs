//! What is asked of a prober and what it answers: the two small records that pass in batches between it and the
//! runner. A success allocates nothing.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use quaywatch_core::spec::Handshake;
use quaywatch_core::{Attempt, BootTime, ErrorCode};

/// One address to look at, once. The egress policy was asked before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dial {
    /// Comes back with the report; the asker's own.
    pub token: u64,
    /// What to dial.
    pub address: SocketAddr,
    /// From the first SYN to the end, settling and dialogue included.
    pub timeout: Duration,
    /// How far the handshake goes. Systems that cannot half-open do the full one and say so.
    pub handshake: Handshake,
    /// How long a full handshake is looked at before it is closed; zero: not at all.
    pub settle: Duration,
}

/// What came of a [`Dial`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Whose report this is.
    pub token: u64,
    /// What was seen.
    pub code: ErrorCode,
    /// Handshake time; `None` for a failure.
    pub latency_us: Option<NonZeroU32>,
    /// When the first SYN was sent, or refused by our own kernel.
    pub started: BootTime,
    /// From the first SYN to the verdict.
    pub elapsed_us: u32,
    /// Whether the handshake was completed: asked for, or because our close came late.
    pub full: bool,
    /// SYNs that were sent again.
    pub syn_retransmits: u8,
    /// What proves a failure.
    pub detail: Option<Box<Attempt>>,
    /// The first bytes of the peer's answer as escaped text, at most 256 bytes of it; of dialogues only.
    pub first_bytes: Option<Box<str>>,
}

const _: () = assert!(size_of::<Report>() <= 64, "reports flow by the thousand");

/// Microseconds as records hold them: saturated at 71 minutes.
pub(crate) fn micros_u32(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

/// A handshake time, which is never nothing.
pub(crate) fn latency(us: u32) -> NonZeroU32 {
    NonZeroU32::new(us).unwrap_or(NonZeroU32::MIN)
}
