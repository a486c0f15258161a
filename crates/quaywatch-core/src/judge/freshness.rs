//! What time alone decides: verdicts that grow too old, darkness that must be told, flapping that has settled.
//!
//! All deadlines of a monitor stand here, with one "which is next?". Each is done with the time at which it fell due,
//! whenever the shell gets round to it, so that the outcome does not depend on how often the shell looks.

use std::time::Duration;

use super::confirm::Sight;
use super::machine::{Event, Judge};
use super::moment::Moment;
use super::{Command, Policy, Status};

/// So many intervals of being blocked, or unknown alone, open an incident.
const DARK_INTERVALS: u32 = 3;

/// Results are judged up to this age, and from clocks that are ahead by no more than this.
const LATE: Duration = Duration::from_secs(120);

/// What falls due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// The location with this index has said nothing for too long.
    Stale(usize),
    /// It has been dark for long enough to be told.
    Dark,
    /// Flapping is over.
    Steady,
}

/// Whether a result came too late (or from too far ahead) to be judged: it is recorded all the same. The limit is
/// max(2 intervals, 2 min), and never shorter than a slow check takes.
pub(super) fn is_late(policy: &Policy, slot: Moment, now: Moment) -> bool {
    now > slot.plus(policy.freshness().max(LATE)) || slot > now.plus(LATE)
}

impl Judge {
    /// The next deadline, if anything is pending.
    pub(super) fn earliest(&self, policy: &Policy) -> Option<Moment> {
        self.next_due(policy).map(|(at, _)| at)
    }

    /// Does everything that was due up to `limit`, each at its own time.
    pub(super) fn catch_up(&mut self, policy: &Policy, limit: Moment, out: &mut Vec<Command>) {
        while let Some((at, due)) = self.next_due(policy).filter(|(at, _)| *at <= limit) {
            match due {
                Due::Stale(index) => {
                    let place = &mut self.places.all_mut()[index];
                    place.grow_stale();
                    place.sight = if place.sight == Sight::Returning { Sight::Clear } else { place.sight };
                    self.dirty = true;
                    self.settle(policy, Event::moment(at), out);
                }
                Due::Dark => {
                    self.base.dark = true;
                    self.dirty = true;
                    self.publish(policy, at, None, out);
                }
                Due::Steady => self.grow_steady(out),
            }
        }
    }

    fn next_due(&self, policy: &Policy) -> Option<(Moment, Due)> {
        if self.paused {
            return None;
        }
        let mut next: Option<(Moment, Due)> = None;
        let mut offer = |at: Moment, due: Due| {
            if next.is_none_or(|(earliest, _)| at < earliest) {
                next = Some((at, due));
            }
        };
        let freshness = policy.freshness();
        for (index, place) in self.places.all().iter().enumerate() {
            if !place.stale || place.sight == Sight::Returning {
                offer(place.seen_at.plus(freshness), Due::Stale(index));
            }
        }
        if let Some(at) = self.dark_due(policy) {
            offer(at, Due::Dark);
        }
        if self.flaps.flapping && !self.maintenance && self.base.status.is_seen() {
            offer(self.flaps.steady_at(policy), Due::Steady);
        }
        next
    }

    /// When being dark is told. A location that has just come back (or a server that has just started) gets the time
    /// of one freshness to show something first.
    fn dark_due(&self, policy: &Policy) -> Option<Moment> {
        if self.base.dark || self.base.blind {
            return None;
        }
        let told_at = self.base_from.plus(policy.check_interval.saturating_mul(DARK_INTERVALS));
        match self.base.status {
            Status::Blocked => Some(told_at),
            Status::Unknown => {
                let seen = self.places.all().iter().map(|place| place.seen_at).max();
                Some(seen.map_or(told_at, |seen| told_at.max(seen.plus(policy.freshness()))))
            }
            Status::Pending
            | Status::Up
            | Status::Degraded
            | Status::Down
            | Status::Maintenance
            | Status::Paused => None,
        }
    }
}
