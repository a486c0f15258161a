//! The targets of the kill drill: what was open and closed when, by the drill's own hand.

use std::time::Duration;

use quaywatch_core::{BootTime, Clock as _, Timestamp};
use quaywatch_testkit::random::Random;
use quaywatch_testkit::wait::RealClock;

use crate::door::Door;

/// A moment that is known up to the time that the act took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Around {
    pub(super) before: Timestamp,
    pub(super) after: Timestamp,
}

/// When a target was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Closed {
    pub(super) from: Around,
    pub(super) to: Option<Around>,
}

/// A target's past, for whoever compares.
#[derive(Debug, Clone, Default)]
pub(super) struct Past(pub(super) Vec<Closed>);

impl Past {
    /// Whether it may have been closed at some moment of a span.
    pub(super) fn closed_within(&self, from: Timestamp, to: Timestamp) -> bool {
        self.0.iter().any(|closed| closed.from.before <= to && closed.to.is_none_or(|end| end.after >= from))
    }

    /// Whether it may have been open at some moment of a span.
    pub(super) fn open_within(&self, from: Timestamp, to: Timestamp) -> bool {
        !self.0.iter().any(|closed| closed.from.after < from && closed.to.is_none_or(|end| end.before > to))
    }
}

struct Target {
    door: Door,
    past: Past,
    /// When it changes next.
    next: BootTime,
}

/// All targets.
pub(super) struct World {
    targets: Vec<Target>,
    random: Random,
}

impl World {
    /// So many targets, all open.
    pub(super) fn new(count: usize, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let now = RealClock.boot();
        let targets = (0..count)
            .map(|_| Target { door: Door::open(), past: Past::default(), next: now + open_for(&mut random) })
            .collect();
        Self { targets, random }
    }

    /// Ports, in order.
    pub(super) fn ports(&self) -> impl Iterator<Item = u16> {
        self.targets.iter().map(|target| target.door.address().port())
    }

    /// Opens and closes what is due.
    pub(super) fn turn(&mut self) {
        let now = RealClock.boot();
        for target in self.targets.iter_mut().filter(|target| target.next <= now) {
            let open = !target.door.is_open();
            target.set(open);
            let pause = if open { open_for(&mut self.random) } else { closed_for(&mut self.random) };
            target.next = now + pause;
        }
    }

    /// Opens everything.
    pub(super) fn open_all(&mut self) {
        self.targets.iter_mut().for_each(|target| target.set(true));
    }

    /// Whether it is open now, in order.
    pub(super) fn is_open(&self) -> Vec<bool> {
        self.targets.iter().map(|target| target.door.is_open()).collect()
    }

    pub(super) fn pasts(&self) -> Vec<Past> {
        self.targets.iter().map(|target| target.past.clone()).collect()
    }
}

impl Target {
    fn set(&mut self, open: bool) {
        if open == self.door.is_open() {
            return;
        }
        let before = RealClock.now();
        self.door.set(open);
        let around = Around { before, after: RealClock.now() };
        match self.past.0.last_mut().filter(|_| open) {
            Some(last) => last.to = Some(around),
            None => self.past.0.push(Closed { from: around, to: None }),
        }
    }
}

/// Some of these are over before anybody can confirm them, some outlive a life of the server.
fn closed_for(random: &mut Random) -> Duration {
    let most = if random.chance(20) { 9_000 } else { 3_000 };
    Duration::from_millis(200 + random.below(most))
}

fn open_for(random: &mut Random) -> Duration {
    Duration::from_millis(500 + random.below(6_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_past_knows_what_was_open_and_closed_when() {
        let at = Timestamp::from_secs;
        let around = |second| Around { before: at(second), after: at(second) };
        let first = Closed { from: around(10), to: Some(around(20)) };
        let past = Past(vec![first, Closed { from: around(30), to: None }]);
        assert!(past.closed_within(at(5), at(10)) && past.closed_within(at(20), at(25)));
        assert!(!past.closed_within(at(21), at(29)) && past.closed_within(at(40), at(50)));
        assert!(past.open_within(at(10), at(12)), "its first moment may still have been open");
        assert!(!past.open_within(at(11), at(19)) && past.open_within(at(15), at(25)));
        assert!(!past.open_within(at(31), at(99)));
    }
}
