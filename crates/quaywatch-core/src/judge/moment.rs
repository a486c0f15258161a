//! Time inside the judge: whole milliseconds. Slots are milliseconds, intervals are exact to the millisecond, and a
//! time that was never set is one value of the same eight bytes.

use std::time::Duration;

use crate::time::Timestamp;

/// Milliseconds since the epoch, or never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(i64);

/// Far beyond any calendar, and far from any overflow when it becomes microseconds.
const LIMIT_MS: i64 = i64::MAX / 4_000;

impl Moment {
    /// Not set; earlier than every time.
    pub(super) const NEVER: Self = Self(i64::MIN);

    /// The millisecond in which `time` lies.
    pub(super) fn of(time: Timestamp) -> Self {
        Self(time.millis().clamp(-LIMIT_MS, LIMIT_MS))
    }

    /// From stored milliseconds; `None` beyond the limits.
    pub(super) fn from_millis(ms: i64) -> Option<Self> {
        (-LIMIT_MS..=LIMIT_MS).contains(&ms).then_some(Self(ms))
    }

    pub(super) const fn millis(self) -> i64 {
        self.0
    }

    pub(super) const fn is_set(self) -> bool {
        self.0 != i64::MIN
    }

    pub(super) const fn timestamp(self) -> Timestamp {
        Timestamp(self.0.saturating_mul(1_000))
    }

    /// `duration` later. Never stays never.
    pub(super) fn plus(self, duration: Duration) -> Self {
        if self.is_set() { Self(self.0.saturating_add(millis(duration)).min(LIMIT_MS)) } else { self }
    }

    /// The millisecond before.
    pub(super) fn before(self) -> Self {
        if self.is_set() { Self(self.0.saturating_sub(1).max(-LIMIT_MS)) } else { self }
    }

    /// Milliseconds from `earlier` to here; zero if it is not earlier.
    pub(super) fn since(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }
}

/// A duration in whole milliseconds, without the 128-bit arithmetic of `Duration::as_millis`.
pub(super) fn millis(duration: Duration) -> i64 {
    let whole = i64::try_from(duration.as_secs()).unwrap_or(LIMIT_MS);
    whole.saturating_mul(1_000).saturating_add(i64::from(duration.subsec_millis())).min(LIMIT_MS)
}
