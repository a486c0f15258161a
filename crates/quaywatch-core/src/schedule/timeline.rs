//! The schedule's own time: the wall's at the last anchor, plus what passed since by the clock that cannot be set.
//!
//! Small corrections of the wall clock are left alone: they would shift every lateness for nothing. A larger
//! difference means that somebody set it; then the schedule takes the new time over. Back in time, moments come round
//! that already had their checks: those slots are named a millisecond later each time, so that no name is used twice.

use std::time::Duration;

use super::Millis;
use crate::time::{BootTime, Timestamp};

/// Both clocks, read together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The wall's.
    pub wall: Timestamp,
    /// The machine's since boot.
    pub boot: BootTime,
}

/// The wall clock was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The schedule's time just before.
    pub from: Timestamp,
    /// Its time now.
    pub to: Timestamp,
}

/// Turns time since boot into the schedule's time, and sees when the wall clock was set.
#[derive(Debug, Clone, Copy)]
pub struct Timeline {
    anchor: Moment,
    tolerance: Duration,
    /// The latest moment that was ever due; slots up to here have been used.
    used_until: Millis,
    /// How many times the wall clock was set back behind `used_until`.
    shift: Millis,
}

impl Timeline {
    /// A timeline that starts now and takes a new wall time over when it is off by more than `tolerance`.
    #[must_use]
    pub const fn new(now: Moment, tolerance: Duration) -> Self {
        Self { anchor: now, tolerance, used_until: Millis::MIN, shift: 0 }
    }

    /// The schedule's time at `boot`.
    #[must_use]
    pub fn at(&self, boot: BootTime) -> Timestamp {
        match boot.0.checked_sub(self.anchor.boot.0) {
            Some(passed) => self.anchor.wall + Duration::from_micros(passed),
            None => self.anchor.wall - self.anchor.boot.since(boot),
        }
    }

    /// Compares the clocks. On a step the timeline stands at the new wall time when this returns.
    pub fn observe(&mut self, now: Moment) -> Option<Step> {
        let from = self.at(now.boot);
        let off = now.wall.since(from).max(from.since(now.wall));
        if off <= self.tolerance {
            return None;
        }
        self.anchor = now;
        if from.millis() > self.used_until {
            self.used_until = from.millis();
        }
        if now.wall.millis() <= self.used_until {
            self.shift += 1;
        }
        Some(Step { from, to: now.wall })
    }

    /// The name of the slot that is due at `due`.
    #[must_use]
    pub const fn slot(&self, due: Millis) -> Timestamp {
        if due <= self.used_until {
            Timestamp::from_millis(due + self.shift)
        } else {
            Timestamp::from_millis(due)
        }
    }

    /// Whether the slot due at `due` bears another name than its grid's.
    #[must_use]
    pub const fn is_shifted(&self, due: Millis) -> bool {
        due <= self.used_until && self.shift != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn moment(wall_s: i64, boot_s: u64) -> Moment {
        Moment { wall: Timestamp::from_secs(wall_s), boot: BootTime(boot_s * SECOND) }
    }

    fn timeline() -> Timeline {
        Timeline::new(moment(1_000_000, 500), Duration::from_secs(2))
    }

    #[test]
    fn time_follows_the_clock_that_cannot_be_set() {
        let mut line = timeline();
        assert_eq!(line.observe(moment(1_000_012, 510)), None, "two seconds are left alone");
        assert_eq!(line.at(BootTime(510 * SECOND)), Timestamp::from_secs(1_000_010));
        assert_eq!(line.at(BootTime(499 * SECOND)), Timestamp::from_secs(999_999));
    }

    #[test]
    fn suspend_is_no_step() {
        // Both clocks went on while the machine slept.
        assert_eq!(timeline().observe(moment(1_003_600, 4_100)), None);
    }

    #[test]
    fn a_step_forward_takes_the_new_time_over() {
        let mut line = timeline();
        let step = line.observe(moment(1_003_610, 510)).unwrap();
        assert_eq!((step.from, step.to), (Timestamp::from_secs(1_000_010), Timestamp::from_secs(1_003_610)));
        assert_eq!(line.at(BootTime(511 * SECOND)), Timestamp::from_secs(1_003_611));
        assert_eq!(line.slot(1_003_620_000), Timestamp::from_secs(1_003_620));
        assert_eq!(line.observe(moment(1_003_611, 511)), None, "told once");
    }

    #[test]
    fn moments_that_come_round_again_get_names_of_their_own() {
        let mut line = timeline();
        line.observe(moment(996_410, 510)).unwrap();
        assert_eq!(line.slot(996_500_000), Timestamp::from_millis(996_500_001));
        assert!(line.is_shifted(996_500_000) && !line.is_shifted(1_000_010_001));
        assert_eq!(line.slot(1_000_010_001), Timestamp::from_millis(1_000_010_001), "new ground");
        line.observe(moment(992_820, 520)).unwrap();
        assert_eq!(line.slot(996_500_000), Timestamp::from_millis(996_500_002), "and again");
    }
}
