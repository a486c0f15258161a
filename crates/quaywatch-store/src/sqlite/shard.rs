//! What the engine may do to one shard while it holds the fence.

use std::sync::Arc;

use quaywatch_core::{ChannelId, ShardId, Timestamp};
use rusqlite::Row;

use super::query::rows;
use super::readers::Limit;
use super::{Inner, blocks, convert, days, step};
use crate::blocks::key;
use crate::records::{
    DeliveryUpdate, Fence, InboxRecord, OutboxRecord, OutboxWrite, ShardState, ShardStep, UpkeepDone,
};
use crate::{BoxFuture, CommitFailed, Result, ShardStore, StoreError};

/// One shard, as its owner sees it.
pub(super) struct Handle {
    inner: Arc<Inner>,
    shard: ShardId,
    fence: Fence,
}

impl Handle {
    pub(super) const fn new(inner: Arc<Inner>, shard: ShardId, fence: Fence) -> Self {
        Self { inner, shard, fence }
    }
}

impl ShardStore for Handle {
    fn load(&self) -> BoxFuture<'_, Result<ShardState>> {
        let shard = self.shard;
        self.inner.read(Limit::None, move |connection| {
            let (from, to) = key::monitor_range(shard);
            let monitors = format!(
                "SELECT {} FROM monitor WHERE key >= ?1 AND key < ?2 AND removed_at IS NULL ORDER BY key",
                convert::MONITOR
            );
            let states =
                "SELECT key, status, since, code, state FROM judge_state WHERE key >= ?1 AND key < ?2 ORDER BY key";
            let incidents = format!(
                "SELECT {} FROM incident WHERE monitor_id & 63 = ?1 AND ended_at IS NULL ORDER BY monitor_id",
                convert::INCIDENT
            );
            Ok(ShardState {
                monitors: rows(connection, &monitors, [from, to], convert::monitor)?,
                states: rows(connection, states, [from, to], convert::state)?,
                open_incidents: rows(connection, &incidents, [shard.0], convert::incident)?,
            })
        })
    }

    fn commit(&self, step: Box<ShardStep>) -> BoxFuture<'_, std::result::Result<(), CommitFailed>> {
        if step.shard != self.shard.0 {
            let error = StoreError::Conflict(format!(
                "a step of shard {} given to shard {}",
                step.shard, self.shard.0
            ));
            return Box::pin(std::future::ready(Err(CommitFailed { error, step })));
        }
        Box::pin(self.inner.writer.commit(step, self.fence))
    }

    fn inbox(&self) -> BoxFuture<'_, Result<Vec<InboxRecord>>> {
        let shard = self.shard;
        self.inner.read(Limit::None, move |connection| {
            let sql = "SELECT id, received_at, payload FROM inbox WHERE shard = ?1 ORDER BY id";
            rows(connection, sql, [shard.0], |row| {
                Ok(InboxRecord { id: row.get(0)?, received_at: Timestamp(row.get(1)?), payload: row.get(2)? })
            })
        })
    }

    fn undelivered(&self) -> BoxFuture<'_, Result<Vec<OutboxRecord>>> {
        let shard = self.shard;
        self.inner.read(Limit::None, move |connection| {
            let sql = "SELECT o.channel_id, o.due, o.attempts, o.queued_at,
                              e.incident_id, e.sequence, e.at, e.kind, e.snapshot
                       FROM outbox o JOIN incident_event e ON e.account_id = o.account_id
                            AND e.incident_id = o.incident_id AND e.sequence = o.sequence
                       WHERE o.channel_id & 63 = ?1 AND o.state = 0 ORDER BY o.id";
            rows(connection, sql, [shard.0], undelivered)
        })
    }

    fn record_deliveries(&self, updates: Vec<DeliveryUpdate>) -> BoxFuture<'_, Result<()>> {
        let (shard, fence) = (self.shard.0, self.fence);
        self.inner.write(move |tx| {
            step::expect_fence(tx, shard, fence)?;
            if updates.iter().any(|update| update.notice.channel.shard().0 != shard) {
                return Err(StoreError::Conflict(format!(
                    "a channel of another shard in answers of shard {shard}"
                )));
            }
            step::write_deliveries(tx, &updates)
        })
    }

    fn write_blocks(&self, now: Timestamp) -> BoxFuture<'_, Result<Option<UpkeepDone>>> {
        Box::pin(blocks::write_blocks(&self.inner, self.shard, now))
    }

    fn write_days(&self, now: Timestamp) -> BoxFuture<'_, Result<Option<UpkeepDone>>> {
        Box::pin(days::write_days(&self.inner, self.shard, now))
    }
}

fn undelivered(row: &Row<'_>) -> rusqlite::Result<OutboxRecord> {
    let event = convert::event(row, 4)?;
    Ok(OutboxRecord {
        notice: OutboxWrite {
            incident: event.incident,
            sequence: event.sequence,
            channel: ChannelId(row.get(0)?),
            due: Timestamp(row.get(1)?),
        },
        attempts: row.get(2)?,
        queued_at: Timestamp(row.get(3)?),
        event,
    })
}
