//! Checks as they are read back, and their sums.

use quaywatch_core::{ErrorCode, LocationId, ResultFlags, Timestamp};

/// One check as read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckRow {
    /// From where.
    pub location: LocationId,
    /// Its slot.
    pub slot: Timestamp,
    /// What it saw.
    pub code: ErrorCode,
    /// Marks.
    pub flags: ResultFlags,
    /// SYNs sent again.
    pub syn_retransmits: u8,
    /// Handshake time.
    pub latency_us: Option<u32>,
    /// Resolving time.
    pub dns_us: u32,
}

/// One hour of one monitor at one location, summed up.
#[derive(Debug, Clone, PartialEq)]
pub struct SummaryRow {
    /// From where.
    pub location: LocationId,
    /// The hour's start.
    pub hour: Timestamp,
    /// The sums.
    pub summary: Summary,
}

/// Count by verdict, min, max, sum, and a sparse log histogram with fixed boundaries (γ = 1.05 from 1 µs): merged by
/// addition, at most 2.5 % off in a percentile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Checks that were `ok`, slow ones included.
    pub up: u32,
    /// Advisory outcomes.
    pub degraded: u32,
    /// Failures.
    pub down: u32,
    /// Own faults.
    pub unknown: u32,
    /// Forbidden.
    pub blocked: u32,
    /// Smallest latency in microseconds; 0 without any.
    pub min_us: u32,
    /// Largest latency.
    pub max_us: u32,
    /// Sum of latencies.
    pub sum_us: u64,
    /// (bucket, count), ascending, no zeros. Bucket `i` holds latencies in [1.05^i, 1.05^(i+1)) µs.
    pub histogram: Vec<(u16, u32)>,
}
