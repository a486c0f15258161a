//! The records that go in and out of the store. They belong to no engine, no wire and no page; each border converts
//! by hand.

mod author;
mod listing;
mod people;

use std::time::Duration;

use quaywatch_core::judge::{CloseReason, Severity, Status};
use quaywatch_core::{
    AccountId, ChannelId, CheckResult, ErrorCode, Evidence, IncidentId, LocationId, MonitorId, ResultFlags,
    ShardId, Timestamp,
};
use serde::{Deserialize, Serialize};

pub use author::{AuditFilter, AuditRecord, Author};
pub use listing::{
    AccountCounts, AccountDetail, AttemptRecord, CursorKey, DeliveryRecord, GroupCount, Idempotency,
    IdempotentCall, IntervalFilter, MonitorCursor, MonitorPage, MonitorQuery, MonitorRow, MonitorSort,
    NoCursor, Pause, PauseRecord, RemovedChannel, StatusCounts, StoredAnswer, TagCount, TagFilter,
    TransitionRecord,
};
pub use people::{
    ExternalIdentity, InvitationRecord, MemberRecord, Membership, NewInvitation, NewPasskey, NewSession,
    NewToken, NewUser, PasskeyRecord, SecretHash, SessionRecord, TokenRecord, UserRecord,
};

/// The number that a writer of a shard must hold; a larger one was given to whoever owns it now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence(pub u64);

/// From (inclusive) and to (exclusive).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Inclusive.
    pub from: Timestamp,
    /// Exclusive.
    pub to: Timestamp,
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRecord {
    /// Its number.
    pub id: AccountId,
    /// What people call it.
    pub name: String,
}

/// A place from which checks run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocationRecord {
    /// Its number.
    pub id: LocationId,
    /// What people call it.
    pub name: String,
}

/// Who owns a configured thing: only its owner may change or remove it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// Made by a call or on a page.
    Api,
    /// From the server's file.
    File,
    /// From `quaywatch apply` under a name.
    Apply(String),
}

impl Owner {
    /// `api`, `file` or `apply:<name>`.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Api => "api".to_owned(),
            Self::File => "file".to_owned(),
            Self::Apply(name) => format!("apply:{name}"),
        }
    }

    /// Reads what [`Owner::to_text`] wrote.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        match text {
            "api" => Some(Self::Api),
            "file" => Some(Self::File),
            other => other.strip_prefix("apply:").map(|name| Self::Apply(name.to_owned())),
        }
    }
}

/// A monitor as stored. `spec` is the canonical text of `MonitorSpec` (see `quaywatch_core::spec`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonitorRecord {
    /// Its number, never reused.
    pub id: MonitorId,
    /// Whose it is.
    pub account: AccountId,
    /// Who may change it.
    pub owner: Owner,
    /// `id:` or the name; unique by (account, owner).
    pub key: String,
    /// Its name, also in `spec`.
    pub name: String,
    /// Counts edits, from 1.
    pub revision: u32,
    /// The spec as canonical text.
    pub spec: String,
    /// Paused by a person at run time (kept over reloads).
    pub paused: bool,
    /// When it was first written.
    pub created_at: Timestamp,
}

/// A channel as stored. `settings` is canonical text; secrets in it are references (`${VAR}`, `file:`) or sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelRecord {
    /// Its number, never reused.
    pub id: ChannelId,
    /// Whose it is.
    pub account: AccountId,
    /// Who may change it.
    pub owner: Owner,
    /// `id:` or the name.
    pub key: String,
    /// Its name; unique in the account.
    pub name: String,
    /// `webhook`, `log`, …
    pub kind: String,
    /// Everything else, as canonical text.
    pub settings: String,
    /// Counts edits, from 1.
    pub revision: u32,
}

/// One addition, change or removal by one owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResourceChange {
    /// Adds the monitor, or changes the one with the same (owner, key), or brings it back from the bin.
    PutMonitor {
        /// `id:` or the name.
        key: String,
        /// Its name.
        name: String,
        /// Canonical text.
        spec: String,
    },
    /// Puts a monitor into the bin.
    RemoveMonitor {
        /// Which.
        key: String,
    },
    /// As for monitors.
    PutChannel {
        /// `id:` or the name.
        key: String,
        /// Its name.
        name: String,
        /// `webhook`, `log`, …
        kind: String,
        /// Canonical text.
        settings: String,
    },
    /// Puts a channel into the bin.
    RemoveChannel {
        /// Which.
        key: String,
    },
    /// Adds a monitor; [`crate::StoreError::Taken`] where the owner has one with that key. One in the bin stays there,
    /// under another key.
    AddMonitor {
        /// `id:` or the name.
        key: String,
        /// Its name.
        name: String,
        /// Canonical text.
        spec: String,
    },
    /// Changes the monitor with this number, its key and name included.
    EditMonitor {
        /// Which.
        id: MonitorId,
        /// [`crate::StoreError::Stale`] where it has another one.
        revision: Option<u32>,
        /// `id:` or the name.
        key: String,
        /// Its name.
        name: String,
        /// Canonical text.
        spec: String,
    },
    /// Puts the monitor with this number into the bin.
    BinMonitor {
        /// Which.
        id: MonitorId,
        /// [`crate::StoreError::Stale`] where it has another one.
        revision: Option<u32>,
    },
    /// Takes a monitor out of the bin; [`crate::StoreError::Taken`] where another one has its key by now.
    RestoreMonitor {
        /// Which.
        id: MonitorId,
    },
    /// As for monitors.
    AddChannel {
        /// `id:` or the name.
        key: String,
        /// Its name.
        name: String,
        /// `webhook`, `log`, …
        kind: String,
        /// Canonical text.
        settings: String,
    },
    /// As for monitors.
    EditChannel {
        /// Which.
        id: ChannelId,
        /// [`crate::StoreError::Stale`] where it has another one.
        revision: Option<u32>,
        /// `id:` or the name.
        key: String,
        /// Its name.
        name: String,
        /// `webhook`, `log`, …
        kind: String,
        /// Canonical text.
        settings: String,
    },
    /// As for monitors.
    BinChannel {
        /// Which.
        id: ChannelId,
        /// [`crate::StoreError::Stale`] where it has another one.
        revision: Option<u32>,
    },
    /// As for monitors; also where another channel has its name by now.
    RestoreChannel {
        /// Which.
        id: ChannelId,
    },
}

/// What one owner changes, all or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeSet {
    /// Who.
    pub owner: Owner,
    /// Who acts, for the audit log.
    pub actor: Author,
    /// What.
    pub changes: Vec<ResourceChange>,
    /// The file that says so, to be remembered with what it changes: one without the other would let a later start
    /// take the store for what another text says.
    pub accepted: Option<AcceptedConfig>,
}

/// What an [`ChangeSet`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Monitors written, with their new records (added and changed, also those brought back).
    pub monitors: Vec<MonitorRecord>,
    /// Monitors put into the bin.
    pub removed_monitors: Vec<MonitorId>,
    /// Channels written.
    pub channels: Vec<ChannelRecord>,
    /// Channels put into the bin.
    pub removed_channels: Vec<ChannelId>,
    /// The change feed's number after this.
    pub seq: i64,
}

/// A row of the change feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRecord {
    /// Grows by one.
    pub seq: i64,
    /// Whose thing changed.
    pub account: AccountId,
    /// `monitor`, `channel`, …
    pub kind: String,
    /// Its number.
    pub id: i64,
    /// `put`, `remove`, `pause`, …
    pub op: String,
}

/// The last accepted configuration file. Secrets stand in it as references only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedConfig {
    /// The file's text.
    pub text: String,
    /// SHA-256 of the text, in hex.
    pub hash: String,
    /// When it was accepted.
    pub accepted_at: Timestamp,
}

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

/// One change of a monitor's intervals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IntervalWrite {
    /// From here on it is not up.
    Open {
        /// Whose.
        monitor: MonitorId,
        /// Exact to the millisecond.
        from: Timestamp,
        /// What it is.
        status: Status,
        /// Why.
        code: ErrorCode,
        /// The incident, if any.
        incident: Option<IncidentId>,
    },
    /// The open one ends.
    Close {
        /// Whose.
        monitor: MonitorId,
        /// When.
        to: Timestamp,
    },
}

/// A time when a monitor was not up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interval {
    /// Whose.
    pub monitor: MonitorId,
    /// Inclusive.
    pub from: Timestamp,
    /// Exclusive; `None`: still.
    pub to: Option<Timestamp>,
    /// What it was.
    pub status: Status,
    /// Why.
    pub code: ErrorCode,
    /// The incident, if any.
    pub incident: Option<IncidentId>,
}

/// A time when a location could not see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blind {
    /// Which.
    pub location: LocationId,
    /// Inclusive.
    pub from: Timestamp,
    /// Exclusive; `None`: still.
    pub to: Option<Timestamp>,
    /// Why.
    pub code: ErrorCode,
}

/// Opens or ends blind time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlindChange {
    /// The location cannot see from here on.
    Began {
        /// Which.
        location: LocationId,
        /// When.
        at: Timestamp,
        /// Why.
        code: ErrorCode,
    },
    /// The location sees again.
    Ended {
        /// Which.
        location: LocationId,
        /// When.
        at: Timestamp,
    },
}

/// An incident as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentRecord {
    /// Its id.
    pub id: IncidentId,
    /// Whose.
    pub account: AccountId,
    /// Of which monitor.
    pub monitor: MonitorId,
    /// Its number within the monitor.
    pub ordinal: u32,
    /// How bad.
    pub severity: Severity,
    /// Why it was opened.
    pub opening_code: ErrorCode,
    /// Why it is still open, or was last.
    pub code: ErrorCode,
    /// The first failure's slot.
    pub started_at: Timestamp,
    /// When it was confirmed.
    pub confirmed_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it ended.
    pub close_reason: Option<CloseReason>,
    /// Failed checks so far.
    pub failed_checks: u32,
    /// The next event's number.
    pub next_sequence: u32,
    /// The judge that decided it.
    pub judge_version: u32,
    /// Who said that they look after it, if anybody did.
    pub acknowledged: Option<Box<Acknowledged>>,
}

/// Somebody looks after an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// Since when.
    pub at: Timestamp,
    /// Who, as notices call them.
    pub by: String,
}

/// Which incidents are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IncidentFilter {
    /// Only of this monitor.
    pub monitor: Option<MonitorId>,
    /// Only those that are open.
    pub open: bool,
    /// Only those that are over.
    pub closed: bool,
    /// Only those that somebody looks after (`true`), or that nobody does (`false`).
    pub acknowledged: Option<bool>,
    /// Only those that are as bad as this.
    pub severity: Option<Severity>,
    /// Only those that were opened for, or last were about, one of these; empty: all.
    pub codes: Vec<ErrorCode>,
    /// Only older ones than this, by its start and its id.
    pub after: Option<(Timestamp, IncidentId)>,
    /// Only those that overlap this.
    pub window: Option<Window>,
    /// At most this many; 0 = 1,000.
    pub limit: usize,
}

/// Something that happened in an incident. Never changed once written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// Of which incident.
    pub incident: IncidentId,
    /// From 0, without gaps.
    pub sequence: u32,
    /// When.
    pub at: Timestamp,
    /// `incident.opened`, `incident.closed`, …
    pub kind: String,
    /// Names, target, evidence, last good answer of that moment, as JSON: what a notice is rendered from.
    pub snapshot: String,
}

/// The proof of one failed check.
#[derive(Debug, Clone, PartialEq)]
pub struct EvidenceRecord {
    /// Whose.
    pub monitor: MonitorId,
    /// From where.
    pub location: LocationId,
    /// Which check.
    pub slot: Timestamp,
    /// What it saw.
    pub code: ErrorCode,
    /// The incident, where there is one.
    pub incident: Option<IncidentId>,
    /// The proof.
    pub evidence: Evidence,
}

/// A notice to be queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxWrite {
    /// Of which incident.
    pub incident: IncidentId,
    /// Which event.
    pub sequence: u32,
    /// To which channel.
    pub channel: ChannelId,
    /// Not before.
    pub due: Timestamp,
}

/// An undelivered notice with the event that it tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRecord {
    /// The notice.
    pub notice: OutboxWrite,
    /// Attempts so far.
    pub attempts: u32,
    /// When it was queued.
    pub queued_at: Timestamp,
    /// The event.
    pub event: EventRecord,
}

/// How a notice stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DeliveryState {
    /// Waits for its (next) attempt.
    Queued = 0,
    /// The receiver took it.
    Sent = 1,
    /// Given up, with the reason in the last attempt.
    Dead = 2,
}

/// What came of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryUpdate {
    /// Which notice.
    pub notice: OutboxWrite,
    /// How it stands now; `notice.due` is the next attempt's time.
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempts: u32,
    /// When this attempt was made.
    pub at: Timestamp,
    /// The class of the outcome (`sent`, `transient`, …).
    pub class: String,
    /// The service's answer, cut and without secrets.
    pub answer: String,
    /// How long it took.
    pub took: Duration,
    /// What the service calls the message.
    pub remote_id: Option<String>,
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

/// What is said of a monitor now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusRecord {
    /// The monitor.
    pub monitor: MonitorRecord,
    /// What it is.
    pub status: Status,
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub code: ErrorCode,
    /// The last recorded check, if the raw data still has it.
    pub last: Option<CheckRow>,
}

/// One check as read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckRow {
    /// From where.
    pub location: LocationId,
    /// Its slot.
    pub slot: Timestamp,
    /// What it saw.
    pub code: ErrorCode,
    /// Marks.
    pub flags: ResultFlags,
    /// SYNs sent again.
    pub syn_retransmits: u8,
    /// Handshake time.
    pub latency_us: Option<u32>,
    /// Resolving time.
    pub dns_us: u32,
}

/// One hour of one monitor at one location, summed up.
#[derive(Debug, Clone, PartialEq)]
pub struct SummaryRow {
    /// From where.
    pub location: LocationId,
    /// The hour's start.
    pub hour: Timestamp,
    /// The sums.
    pub summary: Summary,
}

/// Count by verdict, min, max, sum, and a sparse log histogram with fixed boundaries (γ = 1.05 from 1 µs): merged by
/// addition, at most 2.5 % off in a percentile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Checks that were `ok`, slow ones included.
    pub up: u32,
    /// Advisory outcomes.
    pub degraded: u32,
    /// Failures.
    pub down: u32,
    /// Own faults.
    pub unknown: u32,
    /// Forbidden.
    pub blocked: u32,
    /// Smallest latency in microseconds; 0 without any.
    pub min_us: u32,
    /// Largest latency.
    pub max_us: u32,
    /// Sum of latencies.
    pub sum_us: u64,
    /// (bucket, count), ascending, no zeros. Bucket `i` holds latencies in [1.05^i, 1.05^(i+1)) µs.
    pub histogram: Vec<(u16, u32)>,
}

/// How long things are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Raw results; default 30 days.
    pub raw: Duration,
    /// Hourly summaries; default 13 months (396 days).
    pub hourly: Duration,
    /// Daily summaries; `None`: for ever.
    pub daily: Option<Duration>,
    /// Things in the bin and delivery logs; default 30 days.
    pub bin: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        Self { raw: 30 * DAY, hourly: 396 * DAY, daily: None, bin: 30 * DAY }
    }
}

/// What a piece of retention did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RetentionReport {
    /// Rows deleted.
    pub deleted: u64,
    /// Whether more is left to do now.
    pub more: bool,
}

/// What a piece of upkeep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UpkeepDone {
    /// Checks moved.
    pub checks: u64,
    /// Bytes written.
    pub bytes: u64,
}

/// Sizes and times of the store.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StoreGauges {
    /// Size of the database in bytes.
    pub bytes: u64,
    /// Size of what is not yet merged into it (the write-ahead log).
    pub wal_bytes: u64,
    /// Steps committed.
    pub commits: u64,
    /// Steps that failed.
    pub failed_commits: u64,
    /// Commit times.
    pub commit_times: quaywatch_core::meter::HistogramReading,
    /// How long each piece of upkeep (sorting, blocks, retention, checkpoints) held the writer.
    pub upkeep_times: quaywatch_core::meter::HistogramReading,
    /// Results written.
    pub results: u64,
    /// Results that were not written while [`StoreGauges::shedding`].
    pub shed_results: u64,
    /// True while raw results are not written because the disk is (nearly) full.
    pub shedding: bool,
    /// Room on the disk, in bytes.
    pub free_bytes: u64,
}
