//! The way in for the engine: one shard, for as long as the fence in hand is the newest.

use quaywatch_core::Timestamp;

use crate::records::{DeliveryUpdate, InboxRecord, OutboxRecord, ShardState, ShardStep, UpkeepDone};
use crate::{BoxFuture, CommitFailed, Result};

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
