//! What one check says, before anything is counted: good, slow, failed, unseen or forbidden.
//!
//! A slow success is a success for *down* and counts for *degraded* only. "Slow" stands for every advisory outcome:
//! some of a name's addresses dead, a certificate that ends soon, an answer above the threshold.

use super::Policy;
use crate::code::{ErrorCode, Verdict};

/// What one check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    /// All is well.
    Good,
    /// It answered, with a reservation.
    Slow(ErrorCode),
    /// It failed.
    Failed(ErrorCode),
    /// We could not see: our own fault.
    Unseen(ErrorCode),
    /// We must not look.
    Forbidden(ErrorCode),
}

impl Finding {
    pub(super) fn of(policy: &Policy, code: ErrorCode, latency_us: Option<u32>) -> Self {
        match code.verdict() {
            Verdict::Up if over_threshold(policy, latency_us) => Self::Slow(ErrorCode::TcpSlow),
            Verdict::Up => Self::Good,
            Verdict::Degraded => Self::Slow(code),
            Verdict::Down => Self::Failed(code),
            Verdict::Unknown => Self::Unseen(code),
            Verdict::Blocked => Self::Forbidden(code),
        }
    }
}

/// "Slower than this is slow": the threshold itself is not.
pub(super) fn over_threshold(policy: &Policy, latency_us: Option<u32>) -> bool {
    match (policy.threshold_us, latency_us) {
        (Some(threshold), Some(latency)) => latency > threshold,
        (None, _) | (_, None) => false,
    }
}
