//! When each monitor is looked at: a fixed place on the wall clock's grid, one structure for all monitors, and what
//! happens to both when the clock is set.
//!
//! Slots lie on a grid from the epoch, so that a restart, a second server or a replay finds the same ones. Where on
//! the grid is a hash of the monitor's id, so that any number of monitors spreads evenly over the interval, and
//! adding, changing or removing one never moves another. Between steps of the wall clock, time is counted by the
//! machine's clock since boot, which cannot be set.

mod timeline;
mod wheel;

use std::time::Duration;

use crate::id::MonitorId;

pub use timeline::{Moment, Step, Timeline};
pub use wheel::Wheel;

/// A moment of the schedule in milliseconds since the epoch.
pub type Millis = i64;

/// The finalizer of splitmix64 (Steele, Lea, Flood 2014): each bit of the input moves each bit of the output. Fixed
/// for ever: phases come from it.
#[must_use]
pub const fn splitmix64(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The slots of one monitor: every `interval` from `phase` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    interval: Millis,
    phase: Millis,
}

impl Grid {
    /// The slots of `monitor` at `interval`, which is taken as at least a millisecond.
    #[must_use]
    pub fn new(monitor: MonitorId, interval: Duration) -> Self {
        let interval = Millis::try_from(interval.as_millis()).unwrap_or(Millis::MAX).max(1);
        Self { interval, phase: spread(monitor, interval) }
    }

    /// From slot to slot.
    #[must_use]
    pub const fn interval(self) -> Millis {
        self.interval
    }

    /// From the epoch's multiples of the interval to the slot.
    #[must_use]
    pub const fn phase(self) -> Millis {
        self.phase
    }

    /// The first slot later than `at`.
    #[must_use]
    pub const fn after(self, at: Millis) -> Millis {
        at - (at - self.phase).rem_euclid(self.interval) + self.interval
    }

    /// The last slot not later than `at`.
    #[must_use]
    pub const fn at_or_before(self, at: Millis) -> Millis {
        at - (at - self.phase).rem_euclid(self.interval)
    }

    /// Whether `at` is a slot.
    #[must_use]
    pub const fn has(self, at: Millis) -> bool {
        (at - self.phase).rem_euclid(self.interval) == 0
    }

    /// How many slots lie in (`after`, `until`].
    #[must_use]
    pub fn count(self, after: Millis, until: Millis) -> u64 {
        let slots =
            (until - self.phase).div_euclid(self.interval) - (after - self.phase).div_euclid(self.interval);
        u64::try_from(slots).unwrap_or(0)
    }
}

/// A place in `0..window` that is the monitor's own: `(splitmix64(id) × window) >> 64`.
#[must_use]
pub fn spread(monitor: MonitorId, window: Millis) -> Millis {
    let hash = splitmix64(monitor.0.cast_unsigned());
    let place = (u128::from(hash) * u128::from(window.max(0).cast_unsigned())) >> 64;
    Millis::try_from(place).expect("the place is below the window")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_fixed_for_ever() {
        // The first outputs of the reference implementation seeded with 0 and 1.
        assert_eq!(splitmix64(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(splitmix64(1), 0x910a_2dec_8902_5cc1);
        let grid = Grid::new(MonitorId(1), Duration::from_secs(60));
        assert_eq!(grid.phase(), 33_993);
        assert_eq!(grid.after(1_700_000_000_000), 1_700_000_013_993);
    }

    #[test]
    fn slots_are_counted_as_they_are_walked() {
        let grid = Grid::new(MonitorId(7), Duration::from_millis(1_700));
        for from in [-5_000, 0, grid.phase(), grid.phase() + 1, 123_456] {
            let mut at = from;
            let mut walked = 0;
            while grid.after(at) <= from + 50_000 {
                at = grid.after(at);
                walked += 1;
                assert!(grid.has(at) && !grid.has(at + 1));
                assert_eq!((grid.at_or_before(at), grid.at_or_before(at + 1)), (at, at));
            }
            assert_eq!(grid.count(from, from + 50_000), walked);
        }
        assert_eq!(grid.count(9_000, 1_000), 0, "backwards there are none");
    }

    #[test]
    fn monitors_spread_evenly_over_the_interval() {
        let interval = Duration::from_secs(60);
        let mut per_second = [0_u32; 60];
        for id in 1..=1_000_000 {
            per_second[usize::try_from(Grid::new(MonitorId(id), interval).phase() / 1_000).unwrap()] += 1;
        }
        // 16,667 ± 129 (one standard deviation of an even spread): within five.
        assert!(per_second.iter().all(|n| (16_020..17_320).contains(n)), "{per_second:?}");
    }
}
