//! What the engine counts: plain atomics, read by `/metrics`.

use quaywatch_core::meter::{Counter, Gauge, Histogram};
use quaywatch_notify::Class;

/// Counters and gauges of the engine and of delivery.
#[derive(Debug, Default)]
pub struct EngineStats {
    /// Results judged.
    pub judged: Counter,
    /// Results that came too late to be judged for alerts; recorded all the same.
    pub late: Counter,
    /// Results that were there already (the same monitor, location and slot).
    pub duplicates: Counter,
    /// Results of monitors that are no longer here.
    pub strays: Counter,
    /// Results of a target that their monitor no longer has.
    pub outdated: Counter,
    /// Confirmed changes of status.
    pub transitions: Counter,
    /// Incidents opened since the start.
    pub incidents_opened: Counter,
    /// Incidents open now.
    pub incidents_open: Gauge,
    /// Monitors judged now.
    pub monitors: Gauge,
    /// Results in the input queue.
    pub queue_depth: Gauge,
    /// Results dropped because the input queue was full: neither judged nor recorded.
    pub dropped_input: Counter,
    /// Results judged but not recorded, because the store could not take them.
    pub not_recorded: Counter,
    /// Evidence rows stored.
    pub evidence_stored: Counter,
    /// Failures whose evidence told nothing new.
    pub evidence_repeated: Counter,
    /// Groups committed.
    pub groups: Counter,
    /// Groups of which some step failed.
    pub failed_groups: Counter,
    /// Steps given up because the store will never take them.
    pub lost_steps: Counter,
    /// From handing a group to the store until it was durable.
    pub commit_times: Histogram,
    /// From the arrival of a deciding result until its decision was durable.
    pub decision_times: Histogram,
    /// 1 while notices go out from memory because the store takes nothing.
    pub emergency: Gauge,
    /// 1 from the moment when every shard was loaded.
    pub loaded: Gauge,
    /// Shards loaded so far.
    pub shards_loaded: Gauge,
    /// Notices not yet delivered.
    pub outbox_depth: Gauge,
    /// Age of the oldest notice that is not yet delivered, in seconds.
    pub oldest_undelivered_s: Gauge,
    /// Attempts to deliver, by class of outcome.
    pub attempts: ByClass,
    /// How long attempts took.
    pub attempt_times: Histogram,
    /// From the event to its delivery.
    pub delivery_delays: Histogram,
    /// Channels that do not deliver now.
    pub failing_channels: Gauge,
    /// Notices given up.
    pub dead_notices: Counter,
}

/// A counter for each class.
#[derive(Debug, Default)]
pub struct ByClass([Counter; Class::ALL.len()]);

impl ByClass {
    /// The counter of a class.
    #[must_use]
    pub fn of(&self, class: Class) -> &Counter {
        &self.0[Class::ALL.iter().position(|known| *known == class).expect("`ALL` holds every class")]
    }

    /// Each class with its count.
    pub fn read(&self) -> impl Iterator<Item = (Class, u64)> {
        Class::ALL.iter().zip(&self.0).map(|(class, counter)| (*class, counter.read()))
    }
}
