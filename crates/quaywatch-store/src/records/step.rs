//! What the engine commits of a shard at once, and what it needs to go on with it.

use quaywatch_core::judge::Status;
use quaywatch_core::{CheckResult, ErrorCode, MonitorId, ShardId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    ActWrite, EventRecord, EvidenceRecord, IncidentRecord, IntervalWrite, MonitorRecord, OutboxWrite,
};

/// The number that a writer of a shard must hold; a larger one was given to whoever owns it now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence(pub u64);

/// What one shard commits at once, whole or not at all. A value: it can be run again.
#[derive(Debug, Clone, Default)]
pub struct ShardStep {
    /// Whose step.
    pub shard: u8,
    /// `now` of the step: never below the last.
    pub at: Timestamp,
    /// Results to be recorded, in any order; evidence is apart.
    pub results: Vec<CheckResult>,
    /// Judges' states that changed.
    pub states: Vec<StateWrite>,
    /// Intervals opened and closed, in order.
    pub intervals: Vec<IntervalWrite>,
    /// Incidents opened or changed (the whole record).
    pub incidents: Vec<IncidentRecord>,
    /// Events, immutable.
    pub events: Vec<EventRecord>,
    /// Which of the events people caused.
    pub acts: Vec<ActWrite>,
    /// Evidence worth keeping.
    pub evidence: Vec<EvidenceRecord>,
    /// Notices queued.
    pub outbox: Vec<OutboxWrite>,
    /// Inputs other than results that were applied (for replay), with their sequence numbers.
    pub inputs: Vec<InputRecord>,
    /// Batches of agents that are now dealt with.
    pub inbox_acks: Vec<i64>,
}

impl ShardStep {
    /// A step with nothing in it.
    #[must_use]
    pub fn new(shard: ShardId, at: Timestamp) -> Self {
        Self { shard: shard.0, at, ..Self::default() }
    }

    /// Whether writing it would change nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.results.is_empty() && !self.has_decisions() && self.inbox_acks.is_empty()
    }

    /// Whether it holds anything but raw results: then somebody waits for it.
    #[must_use]
    pub fn has_decisions(&self) -> bool {
        !(self.states.is_empty()
            && self.intervals.is_empty()
            && self.incidents.is_empty()
            && self.events.is_empty()
            && self.acts.is_empty()
            && self.evidence.is_empty()
            && self.outbox.is_empty()
            && self.inputs.is_empty())
    }
}

/// A judge's state, encoded by `quaywatch_core::judge`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateWrite {
    /// Whose.
    pub monitor: MonitorId,
    /// What the monitor is now, for reading without decoding.
    pub status: Status,
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub code: ErrorCode,
    /// The encoded judge; `None` removes it.
    pub state: Option<Vec<u8>>,
}

/// An input of the judge other than a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputRecord {
    /// Whose.
    pub monitor: MonitorId,
    /// When.
    pub at: Timestamp,
    /// `paused`, `resumed`, `revised`, `removed`, `restarted`, `location_lost`, …
    pub kind: String,
    /// What else it says, as JSON.
    pub detail: String,
}

/// A batch that waits for the owner of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxRecord {
    /// Its number, for the acknowledgement.
    pub id: i64,
    /// When it came.
    pub received_at: Timestamp,
    /// What the agent sent, for this shard.
    pub payload: Vec<u8>,
}

/// Everything needed to go on judging a shard.
#[derive(Debug, Clone, Default)]
pub struct ShardState {
    /// Its monitors, by id.
    pub monitors: Vec<MonitorRecord>,
    /// The stored judges, by monitor id.
    pub states: Vec<StateWrite>,
    /// Its open incidents.
    pub open_incidents: Vec<IncidentRecord>,
}
