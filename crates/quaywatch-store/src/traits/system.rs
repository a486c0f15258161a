//! The way in for migration, retention, upkeep, and what belongs to no account.

use quaywatch_core::{AccountId, ShardId, Timestamp};

use crate::records::{
    AcceptedConfig, AccountRecord, Applied, BinRecord, BlindChange, ChangeRecord, ChannelRecord, Fence,
    LocationRecord, Retention, RetentionReport, StoreGauges, UpkeepDone,
};
use crate::{BoxFuture, Result};

/// What belongs to no account.
pub trait SystemStore: Send + Sync {
    /// All accounts.
    fn accounts(&self) -> BoxFuture<'_, Result<Vec<AccountRecord>>>;
    /// Makes an account; `Taken` where another is called so.
    fn create_account(&self, name: String, at: Timestamp) -> BoxFuture<'_, Result<AccountRecord>>;
    /// Monitors whose pauses end by now go on, at most `limit`; the changes by account.
    fn end_pauses(&self, at: Timestamp, limit: usize) -> BoxFuture<'_, Result<Vec<(AccountId, Applied)>>>;
    /// When the next pause ends by itself.
    fn next_pause_end(&self) -> BoxFuture<'_, Result<Option<Timestamp>>>;
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
    /// Accounts with more than so many monitors, or more than so many channels, in the bin. Which of them it is too many for, plans say.
    fn bins(&self, fuller_than: u64) -> BoxFuture<'_, Result<Vec<BinRecord>>>;
    /// The last configuration file that was accepted; [`crate::AccountStore::apply`] remembers it with what it changes.
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
