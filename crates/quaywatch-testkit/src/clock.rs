//! A clock that shows what it is told.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use quaywatch_core::{BootTime, Clock, Timestamp};

/// Wall and boot time that move only when a test moves them: together ([`ManualClock::advance`]) or apart
/// ([`ManualClock::set_wall`], as a person or NTP does).
#[derive(Debug)]
pub struct ManualClock {
    wall: AtomicI64,
    boot: AtomicU64,
}

impl ManualClock {
    /// 2026-05-01T16:15:00Z, a thousand seconds after boot.
    #[must_use]
    pub fn new() -> Self {
        Self::at(Timestamp::from_secs(1_777_652_100))
    }

    /// At a moment of wall time, a thousand seconds after boot.
    #[must_use]
    pub fn at(wall: Timestamp) -> Self {
        Self { wall: AtomicI64::new(wall.0), boot: AtomicU64::new(1_000_000_000) }
    }

    /// Lets time pass.
    pub fn advance(&self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).expect("tests do not wait that long");
        self.boot.fetch_add(us, Ordering::SeqCst);
        self.wall.fetch_add(us.cast_signed(), Ordering::SeqCst);
    }

    /// Sets the wall clock; no time passes.
    pub fn set_wall(&self, wall: Timestamp) {
        self.wall.store(wall.0, Ordering::SeqCst);
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.wall.load(Ordering::SeqCst))
    }

    fn boot(&self) -> BootTime {
        BootTime(self.boot.load(Ordering::SeqCst))
    }
}
