//! Which notice is tried when, and what follows from an attempt. Pure: times and outcomes come in; attempts to make,
//! rows to write and notes for the operators come out. `now` is the even time of [`super::pace`]; what comes out, and
//! what notices come with, is wall time.
//!
//! A lane is one channel's queue. Lanes know nothing of each other, so a slow or dead channel delays nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::{ChannelId, DeliveryKey, Timestamp};
use quaywatch_notify::{Attempt, Outcome};
use quaywatch_store::records::{DeliveryUpdate, EventRecord};

use super::lane::Lane;
use super::pace::Shift;
use crate::judging::ChannelNote;
use crate::steps::Queued;

/// An attempt to make.
#[derive(Debug, Clone)]
pub(crate) struct Try {
    pub(crate) key: DeliveryKey,
    /// The event, if it is still in memory.
    pub(crate) event: Option<Arc<EventRecord>>,
    /// When it happened.
    pub(crate) happened: Timestamp,
    pub(crate) attempt: Attempt,
}

/// What follows from something.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// Attempts to make now.
    pub(crate) tries: Vec<Try>,
    /// Rows to write, in order.
    pub(crate) updates: Vec<DeliveryUpdate>,
    /// What the operators should hear.
    pub(crate) notes: Vec<ChannelNote>,
}

/// All channels' queues.
#[derive(Debug)]
pub(crate) struct Lanes {
    lanes: BTreeMap<ChannelId, Lane>,
    seed: u64,
    shift: Shift,
}

impl Lanes {
    pub(crate) fn new(seed: u64) -> Self {
        Self { lanes: BTreeMap::new(), seed, shift: Shift::default() }
    }

    /// Says how far the wall clock stands from the even time now.
    pub(crate) const fn set_shift(&mut self, shift: Shift) {
        self.shift = shift;
    }

    /// Queues a notice. One that is known already is only marked as durable.
    pub(crate) fn add(&mut self, notice: Queued, now: Timestamp, effects: &mut Effects) {
        let mut inner = Effects::default();
        self.lanes.entry(notice.write.channel).or_default().add(notice, self.shift, now, &mut inner);
        self.tell(inner, effects);
    }

    /// The channel is there, with the settings that it had.
    pub(crate) fn confirmed(&mut self, channel: ChannelId) {
        if let Some(lane) = self.lanes.get_mut(&channel) {
            lane.stay();
        }
    }

    /// The channel's settings changed: whatever was wrong with them may be right now.
    pub(crate) fn changed(&mut self, channel: ChannelId, now: Timestamp) {
        self.lanes.entry(channel).or_default().changed(now);
    }

    /// The channel was removed by its owner. What waits (the ends of incidents of monitors that went with it) is tried
    /// once more, and then given up.
    pub(crate) fn removed(&mut self, channel: ChannelId, now: Timestamp) {
        if let Some(lane) = self.lanes.get_mut(&channel) {
            lane.leave(now);
        }
        self.lanes.retain(|_, lane| !lane.is_over());
    }

    /// The attempts that are due.
    pub(crate) fn poll(&mut self, now: Timestamp, effects: &mut Effects) {
        let mut inner = Effects::default();
        for (channel, lane) in &mut self.lanes {
            lane.poll(*channel, now, &mut inner);
        }
        self.tell(inner, effects);
    }

    /// When [`Lanes::poll`] has something to do; `None` while only outcomes can change anything.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.lanes.values().filter_map(Lane::next_due).min()
    }

    /// An attempt came to its end.
    pub(crate) fn done(
        &mut self,
        key: DeliveryKey,
        outcome: Outcome,
        took: Duration,
        now: Timestamp,
        effects: &mut Effects,
    ) {
        let seed = self.seed;
        let Some(lane) = self.lanes.get_mut(&key.channel) else { return };
        let mut inner = Effects::default();
        lane.done(key, outcome, (took, now), seed, &mut inner);
        if lane.is_over() {
            self.lanes.remove(&key.channel);
        }
        self.tell(inner, effects);
    }

    /// Hands on what follows, in wall time.
    fn tell(&self, inner: Effects, effects: &mut Effects) {
        let wall = |even| self.shift.to_wall(even);
        effects.tries.extend(inner.tries.into_iter().map(|mut attempt| {
            attempt.attempt.at = wall(attempt.attempt.at);
            attempt.happened = wall(attempt.happened);
            attempt
        }));
        effects.updates.extend(inner.updates.into_iter().map(|mut row| {
            row.at = wall(row.at);
            row.notice.due = wall(row.notice.due);
            row
        }));
        effects.notes.extend(inner.notes);
    }

    /// How many notices wait, and when the oldest of them was queued, in even time.
    pub(crate) fn backlog(&self) -> (usize, Option<Timestamp>) {
        let waiting = self.lanes.values().map(Lane::waiting).sum();
        let oldest = self.lanes.values().filter_map(Lane::oldest).min();
        (waiting, oldest)
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.lanes.values().map(Lane::in_flight).sum()
    }

    pub(crate) fn failing(&self) -> usize {
        self.lanes.values().filter(|lane| lane.is_failing()).count()
    }
}
