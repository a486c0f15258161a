//! The time by which notices are tried again: it reads like wall time, but goes on evenly when the wall clock is set, so
//! that an hour back costs no notice an hour. What is stored is wall time, as it is when it is written.

use quaywatch_core::{BootTime, Timestamp};

/// An even time, begun at some moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    wall: Timestamp,
    boot: BootTime,
}

/// How far the wall clock stands before the even time now, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Shift(i64);

impl Pace {
    pub(crate) const fn new(wall: Timestamp, boot: BootTime) -> Self {
        Self { wall, boot }
    }

    /// The even time.
    pub(crate) fn at(&self, boot: BootTime) -> Timestamp {
        self.wall + boot.since(self.boot)
    }

    /// How far the wall clock stands from it.
    pub(crate) fn shift(&self, wall: Timestamp, boot: BootTime) -> Shift {
        Shift(wall.0 - self.at(boot).0)
    }
}

impl Shift {
    /// Even time as wall time.
    pub(crate) const fn to_wall(self, even: Timestamp) -> Timestamp {
        Timestamp(even.0.saturating_add(self.0))
    }

    /// Wall time as even time.
    pub(crate) const fn to_even(self, wall: Timestamp) -> Timestamp {
        Timestamp(wall.0.saturating_sub(self.0))
    }
}
