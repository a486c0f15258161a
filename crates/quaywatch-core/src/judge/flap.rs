//! Flapping: so many confirmed changes in so short a time that each single one is no news any more.
//!
//! The incident then stays open, intervals go on to record the truth, and the two ends of it are told: that it flaps,
//! and that it is steady (or over). Changes are remembered as the last one and the gaps before it.

use std::time::Duration;

use super::Policy;
use super::moment::{Moment, millis};

/// How many changes are remembered, and so the largest useful `flap_changes`.
pub(super) const REMEMBERED: usize = 8;

/// The last confirmed changes of one monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flaps {
    /// When the last change was seen: the slot that confirmed it.
    pub(super) last: Moment,
    /// Milliseconds between changes, the youngest first; a gap of 49 days or more reads as 49 days.
    pub(super) gaps: [u32; REMEMBERED - 1],
    /// How many changes are remembered.
    pub(super) len: u8,
    /// Single changes are not told now.
    pub(super) flapping: bool,
}

impl Flaps {
    pub(super) const NONE: Self =
        Self { last: Moment::NEVER, gaps: [0; REMEMBERED - 1], len: 0, flapping: false };

    pub(super) fn record(&mut self, at: Moment) {
        if self.len > 0 {
            self.gaps.rotate_right(1);
            self.gaps[0] = u32::try_from(at.since(self.last)).unwrap_or(u32::MAX);
        }
        self.last = self.last.max(at);
        self.len = self.len.saturating_add(1).min(REMEMBERED as u8);
    }

    /// Changes within `window` of the last one, that one included.
    pub(super) fn within(&self, window: Duration) -> u16 {
        let window = u64::try_from(millis(window)).unwrap_or(0);
        let mut age = 0_u64;
        let mut count = u16::from(self.len > 0);
        for gap in self.gaps.iter().take(usize::from(self.len).saturating_sub(1)) {
            age += u64::from(*gap);
            if age > window {
                break;
            }
            count += 1;
        }
        count
    }

    /// How many changes within the window the policy allows no more; `None` while it is below.
    pub(super) fn too_many(&self, policy: &Policy) -> Option<u16> {
        let limit = policy.flap_changes.min(REMEMBERED as u16);
        let count = self.within(policy.flap_window);
        (limit > 0 && count >= limit).then_some(count)
    }

    /// When it will have been in one state for long enough.
    pub(super) fn steady_at(&self, policy: &Policy) -> Moment {
        self.last.plus(policy.flap_hold)
    }
}
