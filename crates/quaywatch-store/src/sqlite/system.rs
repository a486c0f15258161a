//! What belongs to no account.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use quaywatch_core::{AccountId, LocationId, ShardId, Timestamp};
use rusqlite::{Connection, Row, Transaction, params};

use super::error::engine;
use super::query::{exists, one, rows};
use super::readers::Limit;
use super::{Inner, apply, bin, convert, pause, retain, sort};
use crate::records::{
    AcceptedConfig, AccountRecord, Applied, BinRecord, BlindChange, ChangeRecord, ChannelRecord, Fence,
    LocationRecord, Retention, RetentionReport, StoreGauges, UpkeepDone,
};
use crate::{BoxFuture, Result, StoreError, SystemStore};

/// The server's own view.
pub(super) struct Handle(Arc<Inner>);

impl Handle {
    pub(super) const fn new(inner: Arc<Inner>) -> Self {
        Self(inner)
    }
}

impl SystemStore for Handle {
    fn accounts(&self) -> BoxFuture<'_, Result<Vec<AccountRecord>>> {
        self.0.read(Limit::None, |connection| {
            rows(connection, "SELECT id, name FROM account ORDER BY id", [], |row| {
                Ok(AccountRecord { id: AccountId(row.get(0)?), name: row.get(1)? })
            })
        })
    }

    fn create_account(&self, name: String, at: Timestamp) -> BoxFuture<'_, Result<AccountRecord>> {
        self.0.write(move |tx| make_account(tx, &name, at))
    }

    fn locations(&self) -> BoxFuture<'_, Result<Vec<LocationRecord>>> {
        self.0.read(Limit::None, locations)
    }

    fn declare_locations(&self, names: Vec<String>) -> BoxFuture<'_, Result<Vec<LocationRecord>>> {
        self.0.write(move |tx| {
            let known = locations(tx)?;
            let mut next = apply::next(tx, "next_location")?;
            let mut new: Vec<String> = Vec::new();
            for name in names {
                if known.iter().all(|location| location.name != name) && !new.contains(&name) {
                    new.push(name);
                }
            }
            for name in new {
                if next > i64::from(LocationId::MAX.0) {
                    return Err(StoreError::Conflict(format!(
                        "there is no number left for location `{name}`"
                    )));
                }
                tx.execute(
                    "INSERT INTO location (id, account_id, name) VALUES (?1, ?2, ?3)",
                    params![next, AccountId::DEFAULT.0, name],
                )
                .map_err(engine)?;
                next += 1;
            }
            apply::set_next(tx, "next_location", next)?;
            locations(tx)
        })
    }

    fn channels(&self) -> BoxFuture<'_, Result<Vec<ChannelRecord>>> {
        self.0.read(Limit::None, |connection| {
            let sql =
                format!("SELECT {} FROM channel WHERE removed_at IS NULL ORDER BY id", convert::CHANNEL);
            rows(connection, &sql, [], convert::channel)
        })
    }

    fn claim(&self, shard: ShardId) -> BoxFuture<'_, Result<Fence>> {
        self.0.write(move |tx| {
            let fence: i64 = tx
                .query_row(
                    "INSERT INTO fence (shard, fence) VALUES (?1, 1)
                     ON CONFLICT (shard) DO UPDATE SET fence = fence + 1 RETURNING fence",
                    [shard.0],
                    |row| row.get(0),
                )
                .map_err(engine)?;
            Ok(Fence(fence as u64))
        })
    }

    fn deliver_inbox(&self, shard: ShardId, payload: Vec<u8>, at: Timestamp) -> BoxFuture<'_, Result<i64>> {
        self.0.write(move |tx| {
            tx.execute(
                "INSERT INTO inbox (shard, received_at, payload) VALUES (?1, ?2, ?3)",
                params![shard.0, at.0, payload],
            )
            .map_err(engine)?;
            Ok(tx.last_insert_rowid())
        })
    }

    fn blind(&self, change: BlindChange) -> BoxFuture<'_, Result<()>> {
        self.0.write(move |tx| {
            match change {
                // At most one is open a location: what is blind already stays so, for the first reason.
                BlindChange::Began { location, at, code } => tx.execute(
                    "INSERT OR IGNORE INTO blind (location_id, from_at, code) SELECT ?1, ?2, ?3
                     WHERE NOT EXISTS (SELECT 1 FROM blind WHERE location_id = ?1 AND to_at IS NULL)",
                    params![location.0, at.0, code.number()],
                ),
                BlindChange::Ended { location, at } => tx.execute(
                    "UPDATE blind SET to_at = max(from_at, ?2) WHERE location_id = ?1 AND to_at IS NULL",
                    params![location.0, at.0],
                ),
            }
            .map_err(engine)?;
            Ok(())
        })
    }

    fn sort_minutes(&self, now: Timestamp) -> BoxFuture<'_, Result<Option<UpkeepDone>>> {
        Box::pin(sort::sort_minutes(&self.0, now))
    }

    fn retain(&self, retention: Retention, now: Timestamp) -> BoxFuture<'_, Result<RetentionReport>> {
        Box::pin(retain::retain(&self.0, retention, now))
    }

    fn bins(&self, fuller_than: u64) -> BoxFuture<'_, Result<Vec<BinRecord>>> {
        self.0.read(Limit::None, move |connection| bin::bins(connection, fuller_than))
    }

    fn accepted_config(&self) -> BoxFuture<'_, Result<Option<AcceptedConfig>>> {
        self.0.read(Limit::None, |connection| {
            one(connection, "SELECT text, hash, accepted_at FROM config", [], |row| {
                Ok(AcceptedConfig {
                    text: row.get(0)?,
                    hash: row.get(1)?,
                    accepted_at: Timestamp(row.get(2)?),
                })
            })
        })
    }

    fn changes_after(&self, seq: i64, limit: usize) -> BoxFuture<'_, Result<Vec<ChangeRecord>>> {
        self.0.read(Limit::None, move |connection| {
            let sql = "SELECT seq, account_id, kind, id, op FROM change WHERE seq > ?1 ORDER BY seq LIMIT ?2";
            rows(connection, sql, params![seq, limit as i64], change)
        })
    }

    fn last_commit(&self) -> BoxFuture<'_, Result<Option<Timestamp>>> {
        self.0.read(Limit::None, |connection| {
            let sql = "SELECT max(at) FROM (SELECT max(at) AS at FROM log
                       UNION ALL SELECT value FROM meta WHERE key = 'last_commit')";
            Ok(one(connection, sql, [], |row| row.get::<_, Option<i64>>(0))?.flatten().map(Timestamp))
        })
    }

    fn gauges(&self) -> StoreGauges {
        let (inner, stats) = (&*self.0, &self.0.stats);
        let size = |path: std::path::PathBuf| std::fs::metadata(path).map_or(0, |file| file.len());
        StoreGauges {
            bytes: size(inner.directory.database()),
            wal_bytes: size(inner.directory.wal()),
            commits: stats.commits.read(),
            failed_commits: stats.failed_commits.read(),
            commit_times: stats.commit_times.read(),
            upkeep_times: stats.upkeep_times.read(),
            results: stats.results.read(),
            shed_results: stats.shed_results.read(),
            shedding: stats.shedding.load(Ordering::Relaxed),
            free_bytes: stats.free_bytes.load(Ordering::Relaxed),
        }
    }

    fn end_pauses(&self, at: Timestamp, limit: usize) -> BoxFuture<'_, Result<Vec<(AccountId, Applied)>>> {
        self.0.write(move |tx| pause::end_pauses(tx, at, limit))
    }
    fn next_pause_end(&self) -> BoxFuture<'_, Result<Option<Timestamp>>> {
        self.0.read(Limit::None, pause::next_end)
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.0.close().await;
            Ok(())
        })
    }
}

/// Makes an account.
pub(super) fn make_account(tx: &Transaction<'_>, name: &str, at: Timestamp) -> Result<AccountRecord> {
    if exists(tx, "SELECT 1 FROM account WHERE name = ?1", [name])? {
        return Err(StoreError::Taken(format!("there is an account `{name}` already")));
    }
    tx.execute("INSERT INTO account (name, created_at) VALUES (?1, ?2)", params![name, at.0])
        .map_err(engine)?;
    Ok(AccountRecord { id: AccountId(tx.last_insert_rowid()), name: name.to_owned() })
}

fn locations(connection: &Connection) -> Result<Vec<LocationRecord>> {
    rows(connection, "SELECT id, name FROM location ORDER BY id", [], |row| {
        Ok(LocationRecord { id: LocationId(row.get(0)?), name: row.get(1)? })
    })
}

fn change(row: &Row<'_>) -> rusqlite::Result<ChangeRecord> {
    Ok(ChangeRecord {
        seq: row.get(0)?,
        account: AccountId(row.get(1)?),
        kind: row.get(2)?,
        id: row.get(3)?,
        op: row.get(4)?,
    })
}
