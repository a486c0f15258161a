//! The judge of one monitor: takes inputs, keeps the state, and lets the other files of this module decide.

use super::confirm::{Place, Vote};
use super::degraded::{Finding, over_threshold};
use super::flap::Flaps;
use super::freshness::is_late;
use super::incident::Incident;
use super::moment::{Moment, millis};
use super::places::{NOWHERE, Places};
use super::quorum;
use super::timeline::{Change, Open};
use super::{CloseReason, Command, Input, Policy, Status};
use crate::code::ErrorCode;
use crate::id::LocationId;
use crate::time::Timestamp;

/// The judge of one monitor. Small, because there may be a million: one location needs no heap.
#[derive(Debug, Clone, PartialEq)]
pub struct Judge {
    pub(super) places: Places,
    /// When `base` began.
    pub(super) base_from: Moment,
    /// When `shown` began.
    pub(super) since: Moment,
    /// The last boundary of an interval; none begins before it.
    pub(super) edge: Moment,
    pub(super) flaps: Flaps,
    pub(super) incident: Incident,
    /// Failed and slow checks since it was last well.
    pub(super) bad_checks: u32,
    pub(super) base: Base,
    /// The last status that was told.
    pub(super) shown: Status,
    /// The last of up, degraded, down that `base` was; pending before the first.
    pub(super) last_seen: Status,
    pub(super) interval: Option<Open>,
    pub(super) paused: bool,
    pub(super) maintenance: bool,
    pub(super) ever_up: bool,
    /// It was paused or superseded once: its next *pending* is not that of a new monitor.
    pub(super) reborn: bool,
    /// Not stored: something that must be is not yet.
    pub(super) dirty: bool,
}

const _: () = assert!(size_of::<Judge>() < 160, "there may be a million judges");

/// What the checks say, whether or not it is shown (maintenance hides it).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Base {
    pub(super) status: Status,
    pub(super) code: ErrorCode,
    /// Unknown only because its locations are known to be blind.
    pub(super) blind: bool,
    /// Unknown or blocked for so long that it is told.
    pub(super) dark: bool,
}

impl Base {
    pub(super) const PENDING: Self =
        Self { status: Status::Pending, code: ErrorCode::Ok, blind: false, dark: false };
}

/// Why the state is looked at anew.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event {
    /// The slot of a result, the time of an act, or a deadline.
    pub(super) at: Moment,
    /// A result confirmed a worse vote, so that what follows may be dated back to where its streak began.
    pub(super) confirmed: bool,
}

impl Event {
    pub(super) const fn moment(at: Moment) -> Self {
        Self { at, confirmed: false }
    }
}

/// A result as the judge sees it.
#[derive(Clone, Copy)]
struct Sighting {
    location: LocationId,
    slot: Moment,
    code: ErrorCode,
    latency_us: Option<u32>,
}

impl Judge {
    /// The judge of a monitor that nobody has looked at yet.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self::with_ordinal(now, 0)
    }

    /// As [`Judge::new`], for a monitor whose last incident had the number `ordinal`: the state was lost, the
    /// incidents were not.
    #[must_use]
    pub fn with_ordinal(now: Timestamp, ordinal: u32) -> Self {
        let now = Moment::of(now);
        Self {
            places: Places::One(Place::new(NOWHERE, now)),
            base_from: now,
            since: now,
            edge: Moment::NEVER,
            flaps: Flaps::NONE,
            incident: Incident::none(ordinal),
            bad_checks: 0,
            base: Base::PENDING,
            shown: Status::Pending,
            last_seen: Status::Pending,
            interval: None,
            paused: false,
            maintenance: false,
            ever_up: false,
            reborn: false,
            dirty: false,
        }
    }

    /// What is said of the monitor.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.shown
    }

    /// Since when.
    #[must_use]
    pub const fn since(&self) -> Timestamp {
        self.since.timestamp()
    }

    /// Why; in maintenance, what is underneath.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        self.base.code
    }

    /// The number of the open incident.
    #[must_use]
    pub const fn open_incident(&self) -> Option<u32> {
        if self.incident.open { Some(self.incident.ordinal) } else { None }
    }

    /// The number of the last incident, open or not; 0 before the first.
    #[must_use]
    pub const fn last_ordinal(&self) -> u32 {
        self.incident.ordinal
    }

    /// Single changes of the open incident are not told now.
    #[must_use]
    pub const fn is_flapping(&self) -> bool {
        self.flaps.flapping
    }

    /// No check has ever seen it up since it was added (or since its target was changed).
    #[must_use]
    pub const fn is_never_up(&self) -> bool {
        !self.ever_up
    }

    /// Something was seen that is not confirmed yet.
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        !self.paused && self.places.all().iter().any(Place::is_unconfirmed)
    }

    /// What each location says on its own: shows regional failures.
    pub fn locations(&self) -> impl Iterator<Item = (LocationId, Status)> {
        self.places.all().iter().filter(|place| place.location != NOWHERE).map(|place| {
            let status = match place.fresh_vote() {
                None => Status::Unknown,
                Some(Vote::None) => Status::Pending,
                Some(Vote::Up) => Status::Up,
                Some(Vote::Slow) => Status::Degraded,
                Some(Vote::Down) => Status::Down,
                Some(Vote::Blocked) => Status::Blocked,
            };
            (place.location, status)
        })
    }

    /// Whether something changed since the last call that must survive a restart. What may be lost in a crash: the
    /// last slots (a restart begins anew with freshness), and how many checks failed since the state was written
    /// (see [`Judge::reckon`]).
    pub const fn take_dirty(&mut self) -> bool {
        let dirty = self.dirty;
        self.dirty = false;
        dirty
    }

    /// After the state was read back: counts the failed checks since it was written. An outage that goes on writes
    /// nothing, so that a minute in which everything is down costs no more than a good one; but then each location
    /// that was down at the last write has failed at every slot up to `until`, the last moment of the process
    /// before, or its recovery would have been written.
    pub fn reckon(&mut self, policy: &Policy, until: Timestamp) {
        let interval = millis(policy.check_interval).max(1).unsigned_abs();
        let until = Moment::of(until);
        if self.paused {
            return;
        }
        for place in self.places.all_mut() {
            if !place.is_failing_steadily() {
                continue;
            }
            let slots = u32::try_from(until.since(place.seen_at) / interval).unwrap_or(u32::MAX);
            self.bad_checks = self.bad_checks.saturating_add(slots);
            place.seen_at = place.seen_at.plus(policy.check_interval.saturating_mul(slots));
            // Written in any case, so that the time in which no process ran is not counted after the next one.
            self.dirty = true;
        }
    }

    /// Takes one input. For a result, `now` is when it is judged; the caller hands over all results that it has
    /// before it calls [`Judge::handle_timeout`], so that a slow caller does not make silence out of a queue.
    pub fn handle(&mut self, policy: &Policy, input: Input, now: Timestamp, out: &mut Vec<Command>) {
        let now = Moment::of(now);
        match input {
            Input::Observed { location, slot, code, latency_us } => {
                let sighting = Sighting { location, slot: Moment::of(slot), code, latency_us };
                if !self.stays_well(policy, sighting, now) {
                    self.observe(policy, sighting, now, out);
                }
            }
            Input::Restarted { gap } => {
                self.follow_locations(policy, now, out);
                self.restart(policy, gap, now, out);
            }
            Input::Paused
            | Input::Resumed
            | Input::Revised { .. }
            | Input::Removed
            | Input::MaintenanceStarted
            | Input::MaintenanceEnded
            | Input::LocationLost { .. }
            | Input::LocationBack { .. }
            | Input::ClockStepped => {
                self.wake(policy, now, out);
                self.act(policy, &input, now, out);
            }
        }
    }

    /// The next moment at which time alone may change something; `None` while paused. It moves with every result.
    #[must_use]
    pub fn next_deadline(&self, policy: &Policy) -> Option<Timestamp> {
        self.earliest(policy).map(Moment::timestamp)
    }

    /// Does what is due. Called too early or too often, it does nothing.
    pub fn handle_timeout(&mut self, policy: &Policy, now: Timestamp, out: &mut Vec<Command>) {
        self.wake(policy, Moment::of(now), out);
    }

    /// Does what fell due under the locations of before, then takes over those of the policy.
    fn wake(&mut self, policy: &Policy, now: Moment, out: &mut Vec<Command>) {
        if self.places.are_unnamed() {
            self.follow_locations(policy, now, out);
        }
        self.catch_up(policy, now, out);
        self.follow_locations(policy, now, out);
    }

    fn act(&mut self, policy: &Policy, act: &Input, now: Moment, out: &mut Vec<Command>) {
        match act {
            Input::Observed { .. } | Input::Restarted { .. } => {}
            Input::Paused => self.stop(policy, CloseReason::Paused, now, out),
            Input::Removed => self.stop(policy, CloseReason::Removed, now, out),
            Input::Resumed => self.resume(policy, now, out),
            Input::Revised { reset: true } => self.supersede(policy, now, out),
            Input::Revised { reset: false } => {
                if !self.paused {
                    self.settle(policy, Event::moment(now), out);
                }
            }
            Input::MaintenanceStarted => self.set_maintenance(policy, true, now, out),
            Input::MaintenanceEnded => self.set_maintenance(policy, false, now, out),
            Input::LocationLost { location, code } => self.lose(policy, *location, *code, now, out),
            Input::LocationBack { location } => self.regain(policy, *location, now, out),
            Input::ClockStepped => self.forget_slots(now),
        }
    }

    /// The common case, ten thousand times a second: one location, all well, another good result. Nothing is told
    /// and nothing must be stored.
    fn stays_well(&mut self, policy: &Policy, sighting: Sighting, now: Moment) -> bool {
        let Places::One(place) = &mut self.places else { return false };
        let well = sighting.code == ErrorCode::Ok
            && place.location == sighting.location
            && place.is_calm()
            && policy.locations.as_ref() == [place.location]
            && !self.paused
            && !self.flaps.flapping
            && !over_threshold(policy, sighting.latency_us)
            && sighting.slot > place.last_slot
            && sighting.slot <= place.seen_at.plus(policy.freshness())
            && !is_late(policy, sighting.slot, now);
        if well {
            place.last_slot = sighting.slot;
            place.seen_at = place.seen_at.max(now);
        }
        well
    }

    fn observe(&mut self, policy: &Policy, sighting: Sighting, now: Moment, out: &mut Vec<Command>) {
        self.follow_locations(policy, now, out);
        let Sighting { location, slot, code, latency_us } = sighting;
        let known = self.places.all().iter().find(|place| place.location == location);
        if self.paused || is_late(policy, slot, now) || known.is_none_or(|place| slot <= place.last_slot) {
            return;
        }
        // What fell due before this slot happened before it; what falls due with or after it is undone by it.
        self.catch_up(policy, slot.min(now).before(), out);
        let finding = Finding::of(policy, code, latency_us);
        let Some(place) = self.places.at_mut(location) else { return };
        let before = *place;
        let turned = place.observe(policy, finding, slot, now);
        let after = *place;
        self.dirty |= before.lasting() != after.lasting();
        self.count_bad_checks(finding);
        if turned {
            let confirmed = after.vote != before.vote && matches!(after.vote, Vote::Down | Vote::Slow);
            self.settle(policy, Event { at: slot, confirmed }, out);
        }
        if !self.maintenance {
            self.ask_to_look_again(policy, before, after, now, out);
        }
    }

    /// Looks at the votes anew and tells what follows.
    pub(super) fn settle(&mut self, policy: &Policy, event: Event, out: &mut Vec<Command>) {
        if self.paused {
            return;
        }
        let Some(verdict) = quorum::assess(self.places.all(), policy, self.base.code) else {
            return self.publish(policy, event.at, None, out);
        };
        if (verdict.status, verdict.blind) == (self.base.status, self.base.blind) {
            let change = self.change_cause(verdict.code).then_some(Change { at: event.at });
            return self.publish(policy, event.at, change, out);
        }
        let worse = verdict.status.badness() > self.base.status.badness();
        let from = if event.confirmed && worse {
            quorum::beginning(self.places.all(), policy, verdict.status, event.at)
        } else {
            event.at
        };
        self.base_from = from.max(self.base_from);
        self.base = Base { status: verdict.status, code: verdict.code, blind: verdict.blind, dark: false };
        self.ever_up |= matches!(verdict.status, Status::Up | Status::Degraded);
        self.dirty = true;
        let change = self.note_seen().then_some(Change { at: event.at });
        self.publish(policy, self.base_from, change, out);
    }

    /// True: the same trouble has another confirmed cause.
    fn change_cause(&mut self, code: ErrorCode) -> bool {
        if !matches!(self.base.status, Status::Degraded | Status::Down) || code == self.base.code {
            return false;
        }
        self.base.code = code;
        self.dirty = true;
        true
    }

    /// True: what is seen is another thing than what was last seen. That a new monitor is up is no change.
    fn note_seen(&mut self) -> bool {
        let (before, status) = (self.last_seen, self.base.status);
        if !status.is_seen() || status == before {
            return false;
        }
        self.last_seen = status;
        before != Status::Pending || status != Status::Up
    }

    fn count_bad_checks(&mut self, finding: Finding) {
        match finding {
            Finding::Slow(_) | Finding::Failed(_) => {
                self.bad_checks = self.bad_checks.saturating_add(1);
            }
            Finding::Good => {
                let calm = |place: &Place| place.fails == 0 && place.slows == 0 && place.vote != Vote::Down;
                if !self.incident.open && self.bad_checks > 0 && self.places.all().iter().all(calm) {
                    self.bad_checks = 0;
                    self.dirty = true;
                }
            }
            Finding::Unseen(_) | Finding::Forbidden(_) => {}
        }
    }

    fn ask_to_look_again(
        &self,
        policy: &Policy,
        before: Place,
        after: Place,
        now: Moment,
        out: &mut Vec<Command>,
    ) {
        if after.is_unconfirmed() {
            let at = now.plus(policy.retry_interval).timestamp();
            out.push(Command::Recheck { location: after.location, at });
        }
        // Down here, but the others do not agree yet: they look at once, not at their next slots.
        if after.vote == Vote::Down && before.vote != Vote::Down && self.base.status != Status::Down {
            for place in self.places.all() {
                if place.location != after.location
                    && !place.stale
                    && place.vote != Vote::Down
                    && place.fails == 0
                {
                    out.push(Command::Recheck { location: place.location, at: now.timestamp() });
                }
            }
        }
    }

    /// Asks every location that has something unconfirmed to look again.
    pub(super) fn recheck_unconfirmed(&self, at: impl Fn(&Place) -> Moment, out: &mut Vec<Command>) {
        if self.paused || self.maintenance {
            return;
        }
        for place in self.places.all().iter().filter(|place| place.is_unconfirmed()) {
            out.push(Command::Recheck { location: place.location, at: at(place).timestamp() });
        }
    }

    /// Takes over the locations of the policy where they are others than before.
    fn follow_locations(&mut self, policy: &Policy, now: Moment, out: &mut Vec<Command>) {
        if self.places.agree_with(policy) {
            return;
        }
        let following = self.places.following(policy, now);
        if following != self.places && !policy.locations.is_empty() {
            self.places = following;
            self.dirty = true;
            self.settle(policy, Event::moment(now), out);
        }
    }
}

impl Status {
    /// It was decided by looking at the target.
    pub(super) const fn is_seen(self) -> bool {
        matches!(self, Self::Up | Self::Degraded | Self::Down)
    }

    const fn badness(self) -> u8 {
        match self {
            Self::Pending | Self::Up | Self::Unknown | Self::Blocked | Self::Maintenance | Self::Paused => 0,
            Self::Degraded => 1,
            Self::Down => 2,
        }
    }
}
