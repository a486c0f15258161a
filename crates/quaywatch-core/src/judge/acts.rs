//! What people, the server and the locations do to a monitor: pause, revision, removal, maintenance, restart,
//! blindness. None of these is evidence about the target: no outage is ever dated back because of them.

use std::time::Duration;

use super::confirm::{Place, Sight};
use super::flap::Flaps;
use super::machine::{Base, Event, Judge};
use super::moment::Moment;
use super::{CloseReason, Command, Policy, Status};
use crate::code::ErrorCode;
use crate::id::LocationId;

impl Judge {
    /// Nobody looks any more, by will of the owner: the incident ends, and what was seen is forgotten.
    pub(super) fn stop(&mut self, policy: &Policy, reason: CloseReason, now: Moment, out: &mut Vec<Command>) {
        if self.paused {
            return;
        }
        self.close_incident(reason, now.max(self.base_from), out);
        self.paused = true;
        self.begin_anew(now);
        self.publish(policy, now, None, out);
    }

    pub(super) fn resume(&mut self, policy: &Policy, now: Moment, out: &mut Vec<Command>) {
        if !self.paused {
            return;
        }
        self.paused = false;
        self.begin_anew(now);
        self.publish(policy, now, None, out);
    }

    /// Another target, or another way of looking: nothing that was seen is about it.
    pub(super) fn supersede(&mut self, policy: &Policy, now: Moment, out: &mut Vec<Command>) {
        self.close_incident(CloseReason::Superseded, now.max(self.base_from), out);
        self.ever_up = false;
        self.begin_anew(now);
        self.publish(policy, now, None, out);
    }

    pub(super) fn set_maintenance(&mut self, policy: &Policy, on: bool, now: Moment, out: &mut Vec<Command>) {
        if self.maintenance == on {
            return;
        }
        self.maintenance = on;
        self.dirty = true;
        if self.paused {
            return;
        }
        self.publish(policy, now, None, out);
        if !on {
            self.recheck_unconfirmed(|_| now, out);
        }
    }

    /// The server was away. Counts go on where they were; nobody is blamed for the silence of the gap.
    pub(super) fn restart(&mut self, policy: &Policy, gap: Duration, now: Moment, out: &mut Vec<Command>) {
        self.recheck_unconfirmed(|place| place.seen_at.plus(policy.retry_interval).max(now), out);
        for place in self.places.all_mut() {
            let before = *place;
            place.seen_at = now;
            if place.sight == Sight::Lost {
                place.sight = Sight::Returning;
            }
            if gap > policy.freshness() {
                place.forget_beginnings();
            }
            self.dirty |= before.lasting() != place.lasting();
        }
        self.catch_up(policy, now, out);
    }

    pub(super) fn lose(
        &mut self,
        policy: &Policy,
        at: LocationId,
        code: ErrorCode,
        now: Moment,
        out: &mut Vec<Command>,
    ) {
        if let Some(place) = self.places.at_mut(at) {
            place.sight = Sight::Lost;
            place.blind_code = code;
            self.settle(policy, Event::moment(now), out);
        }
    }

    /// It sees again, and gets the time of one freshness to show it.
    pub(super) fn regain(&mut self, policy: &Policy, at: LocationId, now: Moment, out: &mut Vec<Command>) {
        if let Some(place) = self.places.at_mut(at).filter(|place| place.sight == Sight::Lost) {
            place.sight = if place.stale { Sight::Returning } else { Sight::Clear };
            place.seen_at = now;
            self.settle(policy, Event::moment(now), out);
        }
    }

    /// The wall clock was set back: slots before and after cannot be compared. Boundaries of intervals stay where
    /// they are, so that none overlaps another; everything else begins at the new time at the latest.
    pub(super) fn forget_slots(&mut self, now: Moment) {
        self.base_from = self.base_from.min(now);
        self.flaps.last = self.flaps.last.min(now);
        self.dirty = true;
        for place in self.places.all_mut() {
            place.last_slot = Moment::NEVER;
            place.seen_at = now;
        }
    }

    /// As a new monitor, but for its numbers: results of checks from before `now` do not count.
    fn begin_anew(&mut self, now: Moment) {
        for place in self.places.all_mut() {
            let Place { sight, blind_code, location, .. } = *place;
            *place = Place { last_slot: now.before(), sight, blind_code, ..Place::new(location, now) };
        }
        self.base = Base::PENDING;
        self.base_from = now.max(self.base_from);
        self.last_seen = Status::Pending;
        self.flaps = Flaps::NONE;
        self.bad_checks = 0;
        self.reborn = true;
        self.dirty = true;
    }
}
