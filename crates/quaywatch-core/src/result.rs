//! The one record that flows from the runner to the judge and the store: small, flat, and without allocation for a
//! check that went well.

use crate::code::{ErrorCode, Verdict};
use crate::evidence::Evidence;
use crate::id::{LocationId, MonitorId};
use crate::job::Epoch;
use crate::time::Timestamp;

/// Marks of a result, as bits; on disk in this shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ResultFlags(pub u8);

impl ResultFlags {
    /// The handshake was completed (asked for, or because our close came late).
    pub const FULL: Self = Self(1);
    /// The observation was made for another, identical check.
    pub const SHARED: Self = Self(2);
    /// Our resolver was down; the last good addresses were dialled.
    pub const STALE_DNS: Self = Self(4);
    /// A recheck or check-now, off the monitor's grid.
    pub const RECHECK: Self = Self(8);
    /// It reached the judge late (agents).
    pub const LATE: Self = Self(16);

    /// Both sets of marks.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all marks of `other` are set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// One check's result. Identified by (monitor, location, slot); a second one with the same identity is dropped.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckResult {
    /// Whose check it was.
    pub monitor: MonitorId,
    /// The scheduled moment, to the millisecond; rechecks and check-now have theirs.
    pub slot: Timestamp,
    /// The place it ran from.
    pub location: LocationId,
    /// Which of the monitor's targets was looked at.
    pub epoch: Epoch,
    /// What it saw.
    pub code: ErrorCode,
    /// Marks.
    pub flags: ResultFlags,
    /// SYNs sent again by the deciding attempt.
    pub syn_retransmits: u8,
    /// Handshake time of the deciding attempt in microseconds, saturated; `None` for a failure.
    pub latency_us: Option<std::num::NonZeroU32>,
    /// Time to resolve the name in microseconds; 0 for literal addresses and cached names.
    pub dns_us: u32,
    /// From the first SYN (or the query) to the verdict, in microseconds.
    pub elapsed_us: u32,
    /// The proof of anything but `ok`.
    pub evidence: Option<Box<Evidence>>,
}

impl CheckResult {
    /// The verdict of this check alone, slowness apart.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        self.code.verdict()
    }
}

const _: () = assert!(size_of::<CheckResult>() <= 48, "the hot record must stay small");
