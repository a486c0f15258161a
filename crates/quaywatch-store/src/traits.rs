//! The three ways in. Written for any engine: calls are futures, nothing names a file, a page or a statement.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use quaywatch_core::{AccountId, MonitorId, ShardId, Timestamp};

use crate::records::{
    AcceptedConfig, AccountRecord, Applied, Blind, BlindChange, ChangeRecord, ChangeSet, ChannelRecord,
    CheckRow, DeliveryUpdate, EventRecord, EvidenceRecord, Fence, InboxRecord, IncidentFilter,
    IncidentRecord, InputRecord, Interval, LocationRecord, MonitorRecord, OutboxRecord, Retention,
    RetentionReport, ShardState, ShardStep, StatusRecord, StoreGauges, SummaryRow, UpkeepDone, Window,
};
use crate::{CommitFailed, Result};

/// A boxed future, so that the traits can stand behind `dyn`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One opened store.
pub trait Store: Send + Sync + 'static {
    /// What operations of one account may see and change.
    fn account(&self, account: AccountId) -> Arc<dyn AccountStore>;
    /// What the engine may do to one shard while it holds `fence`.
    fn shard(&self, shard: ShardId, fence: Fence) -> Arc<dyn ShardStore>;
    /// Migration, retention, upkeep, and what belongs to no account.
    fn system(&self) -> Arc<dyn SystemStore>;
}

/// What operations of one account may see and change. Rows of other accounts do not exist here.
pub trait AccountStore: Send + Sync {
    /// Monitors of this account, those in the bin left out, ordered by id.
    fn monitors(&self) -> BoxFuture<'_, Result<Vec<MonitorRecord>>>;
    /// The monitor of that name or key, if there is one (not in the bin).
    fn monitor_named<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<MonitorRecord>>>;
    /// Channels of this account, those in the bin left out.
    fn channels(&self) -> BoxFuture<'_, Result<Vec<ChannelRecord>>>;
    /// Writes additions, changes and removals of configured things in one transaction, with their revisions and
    /// rows of the change feed: all or nothing.
    fn apply(&self, changes: ChangeSet, at: Timestamp) -> BoxFuture<'_, Result<Applied>>;
    /// What is said of each monitor now.
    fn statuses(&self) -> BoxFuture<'_, Result<Vec<StatusRecord>>>;
    /// Raw results of one monitor in a window, oldest first, from log, chunks, blocks and days together; each check
    /// once.
    fn results(&self, monitor: MonitorId, window: Window) -> BoxFuture<'_, Result<Vec<CheckRow>>>;
    /// Hourly summaries of one monitor in a window, oldest first.
    fn summaries(&self, monitor: MonitorId, window: Window) -> BoxFuture<'_, Result<Vec<SummaryRow>>>;
    /// Daily summaries of one monitor, as far as whole days are packed (after two days), oldest first; `hour` is the
    /// day's start.
    fn daily_summaries(&self, monitor: MonitorId, window: Window) -> BoxFuture<'_, Result<Vec<SummaryRow>>>;
    /// When one monitor was not up, within a window, oldest first; an open interval has no end.
    fn intervals(&self, monitor: MonitorId, window: Window) -> BoxFuture<'_, Result<Vec<Interval>>>;
    /// When locations were blind, within a window.
    fn blind(&self, window: Window) -> BoxFuture<'_, Result<Vec<Blind>>>;
    /// Incidents, newest first.
    fn incidents(&self, filter: IncidentFilter) -> BoxFuture<'_, Result<Vec<IncidentRecord>>>;
    /// The events of one incident in order of their sequence.
    fn events(&self, incident: quaywatch_core::IncidentId) -> BoxFuture<'_, Result<Vec<EventRecord>>>;
    /// Stored evidence of one monitor in a window, oldest first.
    fn evidence(&self, monitor: MonitorId, window: Window) -> BoxFuture<'_, Result<Vec<EvidenceRecord>>>;
    /// Inputs other than results that were judged in a window, in the order in which they were applied.
    fn inputs(&self, monitor: MonitorId, window: Window) -> BoxFuture<'_, Result<Vec<InputRecord>>>;
}

/// What the engine may do to one shard.
pub trait ShardStore: Send + Sync {
    /// Everything needed to go on judging this shard: monitors, their judges' states, open incidents.
    fn load(&self) -> BoxFuture<'_, Result<ShardState>>;
    /// Writes a step; resolves when it is durable. Running the same step twice changes nothing. The step is queued by
    /// the call itself, before the future is first polled: steps queued together are written together.
    fn commit(&self, step: Box<ShardStep>) -> BoxFuture<'_, std::result::Result<(), CommitFailed>>;
    /// Batches of agents that wait for this shard, oldest first; gone once a step acknowledges them.
    fn inbox(&self) -> BoxFuture<'_, Result<Vec<InboxRecord>>>;
    /// Undelivered notices of the channels of this shard, oldest first, with their events.
    fn undelivered(&self) -> BoxFuture<'_, Result<Vec<OutboxRecord>>>;
    /// Writes what came of attempts to deliver.
    fn record_deliveries(&self, updates: Vec<DeliveryUpdate>) -> BoxFuture<'_, Result<()>>;
    /// Sorts this shard's part of finished hours into blocks, one hour a call; `None` when nothing is left to do.
    fn write_blocks(&self, now: Timestamp) -> BoxFuture<'_, Result<Option<UpkeepDone>>>;
    /// Merges this shard's blocks older than 48 h into day rows, one day a call; `None` when nothing is left to do.
    fn write_days(&self, now: Timestamp) -> BoxFuture<'_, Result<Option<UpkeepDone>>>;
}

/// What belongs to no account.
pub trait SystemStore: Send + Sync {
    /// All accounts.
    fn accounts(&self) -> BoxFuture<'_, Result<Vec<AccountRecord>>>;
    /// Makes an account; a conflict if the name is taken.
    fn create_account(&self, name: String, at: Timestamp) -> BoxFuture<'_, Result<AccountRecord>>;
    /// All declared locations; number 0 is always `local`.
    fn locations(&self) -> BoxFuture<'_, Result<Vec<LocationRecord>>>;
    /// Declares locations by name; known names keep their numbers.
    fn declare_locations(&self, names: Vec<String>) -> BoxFuture<'_, Result<Vec<LocationRecord>>>;
    /// Channels of all accounts, for delivery.
    fn channels(&self) -> BoxFuture<'_, Result<Vec<ChannelRecord>>>;
    /// Takes over a shard: the new fence, larger than any before.
    fn claim(&self, shard: ShardId) -> BoxFuture<'_, Result<Fence>>;
    /// Puts a batch into the inbox of a shard; its number, by which a step acknowledges it.
    fn deliver_inbox(&self, shard: ShardId, payload: Vec<u8>, at: Timestamp) -> BoxFuture<'_, Result<i64>>;
    /// Opens or ends blind time of a location.
    fn blind(&self, change: BlindChange) -> BoxFuture<'_, Result<()>>;
    /// Sorts finished minutes of the log into chunks; `None` when nothing is left to do.
    fn sort_minutes(&self, now: Timestamp) -> BoxFuture<'_, Result<Option<UpkeepDone>>>;
    /// Deletes what is older than its retention, a piece a call (at most 50 ms of the writer).
    fn retain(&self, retention: Retention, now: Timestamp) -> BoxFuture<'_, Result<RetentionReport>>;
    /// The last configuration file that was accepted; [`AccountStore::apply`] remembers it with what it changes.
    fn accepted_config(&self) -> BoxFuture<'_, Result<Option<AcceptedConfig>>>;
    /// Rows of the change feed after `seq`, at most `limit`.
    fn changes_after(&self, seq: i64, limit: usize) -> BoxFuture<'_, Result<Vec<ChangeRecord>>>;
    /// When this server last committed a step: the start of the gap after a restart.
    fn last_commit(&self) -> BoxFuture<'_, Result<Option<Timestamp>>>;
    /// Sizes and times for `/metrics`.
    fn gauges(&self) -> StoreGauges;
    /// Flushes and closes; further calls fail.
    fn close(&self) -> BoxFuture<'_, Result<()>>;
}
