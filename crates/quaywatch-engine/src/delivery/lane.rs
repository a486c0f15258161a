//! One channel's queue: notices of one incident go one after another in order of their events, different incidents
//! beside each other. What an outcome means for the notice, for the queue and for the operators is decided here.

use std::collections::btree_map::Entry as Slot;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::{ChannelId, DeliveryKey, IncidentId, Timestamp};
use quaywatch_notify::class::LONGEST_WAIT;
use quaywatch_notify::{Attempt, Class, EventKind, Outcome};
use quaywatch_store::records::{DeliveryState, DeliveryUpdate, EventRecord, OutboxWrite};

use super::breaker::Breaker;
use super::ladder;
use super::lanes::{Effects, Try};
use super::pace::Shift;
use crate::judging::ChannelNote;
use crate::steps::Queued;

/// Attempts at once to one channel, over different incidents: enough that a storm drains, too few to be one.
pub(crate) const MOST_IN_FLIGHT: usize = 16;
/// A notice that is older than this says so.
const LATE_AFTER: Duration = Duration::from_secs(60);
/// How long a receiver that limits us is left alone if it does not say how long.
const QUIET: Duration = Duration::from_secs(30);
/// How many due notices are looked at for one that was never tried; each attempt looks.
const LOOKED_AT: usize = 32;
/// The most events that one channel keeps in memory; those of further notices are read again when their turn comes.
/// About 8 MB.
pub(crate) const MOST_HELD: usize = 4_000;

#[derive(Debug, Default)]
pub(super) struct Lane {
    /// By incident, then in order of events.
    waiting: BTreeMap<(IncidentId, u32), Waiting>,
    /// The first notice of each incident that is not in flight, by the time at which it is due.
    due: BTreeSet<(Timestamp, IncidentId)>,
    /// Under which time an incident stands in `due`.
    listed: BTreeMap<IncidentId, Timestamp>,
    in_flight: BTreeSet<IncidentId>,
    /// Outcomes of notices that went out from memory and whose rows do not exist yet.
    uncommitted: BTreeMap<(IncidentId, u32), Vec<DeliveryUpdate>>,
    breaker: Breaker,
    quiet_until: Timestamp,
    episode: Option<Episode>,
    /// Gone for good, and why.
    disabled: Option<Class>,
    /// Removed by its owner: what waits has one more chance.
    leaving: bool,
    /// Events kept in memory.
    held: usize,
}

/// A time in which the channel does not deliver.
#[derive(Debug, Clone, Copy)]
struct Episode {
    id: IncidentId,
    since: Timestamp,
}

#[derive(Debug)]
struct Waiting {
    write: OutboxWrite,
    event: Option<Arc<EventRecord>>,
    /// When the event happened.
    happened: Timestamp,
    /// The same by the wall clock of that moment, as it is stored with the event.
    stamp: Timestamp,
    queued: Timestamp,
    attempts: u32,
    /// Its row is in the store.
    committed: bool,
    /// The receiver refused its form.
    reduced: bool,
    /// When its next attempt is due.
    due: Timestamp,
}

impl Lane {
    /// Queues a notice. One that is known already is only marked as durable.
    pub(super) fn add(&mut self, notice: Queued, shift: Shift, now: Timestamp, effects: &mut Effects) {
        let key = (notice.write.incident, notice.write.sequence);
        if notice.committed
            && let Some(updates) = self.uncommitted.remove(&key)
        {
            effects.updates.extend(updates);
            // What is left of it in the queue is committed as well; what is finished is finished.
            if let Some(waiting) = self.waiting.get_mut(&key) {
                waiting.committed = true;
            }
            return;
        }
        if !notice.committed && self.uncommitted.contains_key(&key) {
            // It went out from memory already; its step failed once more.
            return;
        }
        match self.waiting.entry(key) {
            Slot::Occupied(mut known) => known.get_mut().committed |= notice.committed,
            Slot::Vacant(slot) => {
                // Its first attempt is due at once, whatever the clock said when it was queued.
                let due = if notice.attempts == 0 {
                    now
                } else {
                    // Tried by the process before. Nor must a clock that was set back make it wait for that long.
                    shift.to_even(notice.write.due).min(now + ladder::AFTER_START)
                };
                let stamp = notice.event.at;
                // What is not in the store yet can be read from nowhere else.
                let event = (self.held < MOST_HELD || !notice.committed).then_some(notice.event);
                self.held += usize::from(event.is_some());
                slot.insert(Waiting {
                    write: notice.write,
                    event,
                    happened: shift.to_even(stamp),
                    stamp,
                    queued: shift.to_even(notice.queued_at),
                    attempts: notice.attempts,
                    committed: notice.committed,
                    reduced: false,
                    due,
                });
                self.line_up(key.0);
            }
        }
    }

    /// The channel's settings changed: whatever was wrong with them may be right now.
    pub(super) fn changed(&mut self, now: Timestamp) {
        self.leaving = false;
        self.disabled = None;
        self.quiet_until = Timestamp(0);
        self.all_due(now);
    }

    /// The channel was perhaps removed and is back.
    pub(super) const fn stay(&mut self) {
        self.leaving = false;
    }

    /// The channel was removed: what waits is tried once more.
    pub(super) fn leave(&mut self, now: Timestamp) {
        self.all_due(now);
        self.leaving = true;
    }

    /// How many notices wait or are on their way.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// When the oldest of them was queued, in even time.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.waiting.values().map(|waiting| waiting.queued).min()
    }

    /// How many are on their way.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// The operators were told that it fails.
    pub(super) const fn is_failing(&self) -> bool {
        self.episode.is_some()
    }

    /// Enters the incident's first notice among those that are due some time.
    fn line_up(&mut self, incident: IncidentId) {
        self.take_off(incident);
        if self.in_flight.contains(&incident) {
            return;
        }
        if let Some(due) = self.first_of(incident).map(|first| first.due) {
            self.due.insert((due, incident));
            self.listed.insert(incident, due);
        }
    }

    fn take_off(&mut self, incident: IncidentId) {
        if let Some(due) = self.listed.remove(&incident) {
            self.due.remove(&(due, incident));
        }
    }

    pub(super) fn poll(&mut self, channel: ChannelId, now: Timestamp, effects: &mut Effects) {
        if let Some(class) = self.disabled {
            return self.bury_all(class, "the channel is disabled", now, effects);
        }
        while let Some((incident, fresh)) = self.startable(now) {
            let room = if self.breaker.is_open() { 1 } else { MOST_IN_FLIGHT };
            let too_soon = self.breaker.not_before(fresh).is_some_and(|at| at > now);
            if self.quiet_until > now || too_soon || self.in_flight.len() >= room {
                return;
            }
            self.start(channel, incident, now, effects);
        }
    }

    /// The incident whose notice is tried next, and whether that notice was never tried. While the endpoint is left
    /// alone, one that was never tried goes first: it may look sooner.
    fn startable(&self, now: Timestamp) -> Option<(IncidentId, bool)> {
        let mut due = self.due.iter().take_while(|(at, _)| *at <= now).map(|(_, incident)| *incident);
        let first = due.next()?;
        let fresh = |incident: IncidentId| self.first_of(incident).is_some_and(|w| w.attempts == 0);
        if fresh(first) {
            return Some((first, true));
        }
        let other = if self.breaker.is_open() { due.take(LOOKED_AT - 1).find(|i| fresh(*i)) } else { None };
        Some(other.map_or((first, false), |incident| (incident, true)))
    }

    fn first_of(&self, incident: IncidentId) -> Option<&Waiting> {
        self.waiting.range((incident, 0)..=(incident, u32::MAX)).next().map(|(_, waiting)| waiting)
    }

    fn start(&mut self, channel: ChannelId, incident: IncidentId, now: Timestamp, effects: &mut Effects) {
        let Some(first) = self.first_of(incident) else { return };
        let sequence = first.write.sequence;
        let key = DeliveryKey { incident, sequence, channel };
        if first.attempts > 0 && ladder::expired(first.queued, now) {
            let outcome = Outcome::new(Class::Expired, "given up after 24 h");
            return self.finish(
                (incident, sequence),
                DeliveryState::Dead,
                outcome,
                (Duration::ZERO, now),
                effects,
            );
        }
        let late = Some(now.since(first.happened)).filter(|late| *late > LATE_AFTER);
        let attempt =
            Attempt { key: key.to_string(), at: now, late, combined: false, reduced: first.reduced };
        effects.tries.push(Try { key, event: first.event.clone(), happened: first.happened, attempt });
        self.take_off(incident);
        self.in_flight.insert(incident);
    }

    /// As [`Lane::poll`] decides: the earliest moment at which it would start something.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        if self.disabled.is_some() {
            return self.due.first().map(|(at, _)| *at);
        }
        let room = if self.breaker.is_open() { 1 } else { MOST_IN_FLIGHT };
        if self.in_flight.len() >= room {
            return None;
        }
        let start = |(at, incident): &(Timestamp, IncidentId)| {
            let fresh = self.first_of(*incident).is_some_and(|waiting| waiting.attempts == 0);
            (*at).max(self.quiet_until).max(self.breaker.not_before(fresh).unwrap_or(*at))
        };
        let looked_at = if self.breaker.is_open() { LOOKED_AT } else { 1 };
        self.due.iter().take(looked_at).map(start).min()
    }

    pub(super) fn done(
        &mut self,
        key: DeliveryKey,
        outcome: Outcome,
        (took, now): (Duration, Timestamp),
        seed: u64,
        effects: &mut Effects,
    ) {
        self.in_flight.remove(&key.incident);
        let place = (key.incident, key.sequence);
        let Some(waiting) = self.waiting.get_mut(&place) else { return };
        let class = outcome.class;
        if class != Class::Limited {
            waiting.attempts += 1;
        }
        let age = (took, now);
        match class {
            Class::Transient
            | Class::Unknown
            | Class::Limited
            | Class::Payload
            | Class::Credentials
            | Class::Config
                if self.leaving =>
            {
                self.finish(place, DeliveryState::Dead, outcome, age, effects);
            }
            Class::Sent => {
                self.finish(place, DeliveryState::Sent, outcome, age, effects);
                self.works(key.channel, now, effects);
            }
            Class::Transient | Class::Unknown => {
                self.breaker.failed(now, took);
                let due = now + ladder::pause(&key, waiting.attempts, seed);
                self.later(place, due, &outcome, age, effects);
                if self.breaker.is_open() {
                    self.fails(&key, &outcome, now, effects);
                }
            }
            Class::Limited if ladder::expired(waiting.queued, now) => {
                self.finish(place, DeliveryState::Dead, outcome, age, effects);
            }
            Class::Limited => {
                self.quiet_until = now + outcome.retry_after.unwrap_or(QUIET).min(LONGEST_WAIT);
                self.later(place, self.quiet_until, &outcome, age, effects);
            }
            Class::Payload if !waiting.reduced => {
                waiting.reduced = true;
                self.later(place, now, &outcome, age, effects);
            }
            Class::Payload | Class::Recipient => {
                self.fails(&key, &outcome, now, effects);
                self.finish(place, DeliveryState::Dead, outcome, age, effects);
            }
            Class::Credentials | Class::Config => {
                self.breaker.failed(now, took);
                self.later(place, now + ladder::HOURLY, &outcome, age, effects);
                self.fails(&key, &outcome, now, effects);
            }
            Class::Gone | Class::RefusedByPolicy => {
                self.fails(&key, &outcome, now, effects);
                self.disabled = Some(class);
                self.finish(place, DeliveryState::Dead, outcome, age, effects);
            }
            Class::Expired => self.finish(place, DeliveryState::Dead, outcome, age, effects),
        }
        self.line_up(key.incident);
    }

    /// It is tried again.
    fn later(
        &mut self,
        place: (IncidentId, u32),
        due: Timestamp,
        outcome: &Outcome,
        age: (Duration, Timestamp),
        effects: &mut Effects,
    ) {
        if let Some(waiting) = self.waiting.get_mut(&place) {
            waiting.due = due;
            let row = row(waiting, DeliveryState::Queued, outcome.clone(), age);
            self.write(place, row, effects);
        }
        self.line_up(place.0);
    }

    /// It is over with this notice.
    fn finish(
        &mut self,
        place: (IncidentId, u32),
        state: DeliveryState,
        outcome: Outcome,
        age: (Duration, Timestamp),
        effects: &mut Effects,
    ) {
        if let Some(waiting) = self.waiting.get(&place) {
            let row = row(waiting, state, outcome, age);
            self.write(place, row, effects);
        }
        if let Some(Waiting { event: Some(_), .. }) = self.waiting.remove(&place) {
            self.held -= 1;
        }
        self.line_up(place.0);
    }

    /// Removed, and nothing of it is left.
    pub(super) fn is_over(&self) -> bool {
        self.leaving && self.waiting.is_empty() && self.in_flight.is_empty() && self.uncommitted.is_empty()
    }

    /// Writes a row, or keeps it until the notice's own row is there.
    fn write(&mut self, place: (IncidentId, u32), row: DeliveryUpdate, effects: &mut Effects) {
        if self.waiting.get(&place).is_some_and(|waiting| waiting.committed) {
            effects.updates.extend(self.uncommitted.remove(&place).into_iter().flatten());
            effects.updates.push(row);
        } else {
            self.uncommitted.entry(place).or_default().push(row);
        }
    }

    fn works(&mut self, channel: ChannelId, now: Timestamp, effects: &mut Effects) {
        let was_open = self.breaker.is_open();
        self.breaker.succeeded();
        if was_open || self.episode.is_some() {
            self.all_due(now);
        }
        if let Some(episode) = self.episode.take() {
            effects.notes.push(self.note(
                channel,
                EventKind::ChannelRecovered,
                episode,
                &Outcome::new(Class::Sent, ""),
            ));
        }
    }

    fn fails(&mut self, key: &DeliveryKey, outcome: &Outcome, now: Timestamp, effects: &mut Effects) {
        if self.episode.is_some() {
            return;
        }
        let oldest = self.waiting.values().min_by_key(|waiting| (waiting.stamp, waiting.write.incident));
        let since = oldest.map_or(now, |waiting| waiting.stamp);
        let first = oldest.map_or(key.incident, |waiting| waiting.write.incident);
        let bits = first.0.as_u128() as u64;
        // The same after a restart, as long as the same notice waits.
        let id = crate::judging::derived_id(since, bits ^ key.channel.0 as u64);
        let episode = Episode { id, since };
        self.episode = Some(episode);
        let kind = match outcome.class {
            Class::Gone | Class::RefusedByPolicy => EventKind::ChannelDisabled,
            Class::Sent
            | Class::Transient
            | Class::Limited
            | Class::Unknown
            | Class::Payload
            | Class::Recipient
            | Class::Credentials
            | Class::Config
            | Class::Expired => EventKind::ChannelFailing,
        };
        effects.notes.push(self.note(key.channel, kind, episode, outcome));
    }

    fn note(&self, channel: ChannelId, kind: EventKind, episode: Episode, outcome: &Outcome) -> ChannelNote {
        ChannelNote {
            channel,
            kind,
            episode: episode.id,
            class: outcome.class,
            answer: outcome.answer.clone(),
            waiting: self.waiting.len(),
            since: episode.since,
        }
    }

    /// The endpoint is well again: nothing has to climb down its ladder first.
    fn all_due(&mut self, now: Timestamp) {
        self.breaker.succeeded();
        for waiting in self.waiting.values_mut() {
            waiting.due = waiting.due.min(now);
        }
        let incidents: BTreeSet<_> = self.waiting.keys().map(|(incident, _)| *incident).collect();
        for incident in incidents {
            self.line_up(incident);
        }
    }

    fn bury_all(&mut self, class: Class, why: &str, now: Timestamp, effects: &mut Effects) {
        let places: Vec<_> =
            self.waiting.keys().filter(|(incident, _)| !self.in_flight.contains(incident)).copied().collect();
        for place in places {
            let outcome = Outcome::new(class, why);
            self.finish(place, DeliveryState::Dead, outcome, (Duration::ZERO, now), effects);
        }
    }
}

fn row(
    waiting: &Waiting,
    state: DeliveryState,
    outcome: Outcome,
    (took, at): (Duration, Timestamp),
) -> DeliveryUpdate {
    DeliveryUpdate {
        notice: OutboxWrite { due: waiting.due, ..waiting.write.clone() },
        state,
        attempts: waiting.attempts,
        at,
        class: outcome.class.as_str().to_owned(),
        answer: outcome.answer,
        took,
        remote_id: outcome.remote_id,
    }
}
