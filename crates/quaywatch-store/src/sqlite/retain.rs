//! What is older than its retention goes, in pieces that hold the writer for a few milliseconds each. Results are
//! deleted as ranges, as their keys begin with the time.

use std::time::Duration;

use quaywatch_core::{BootTime, Clock, Timestamp};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::Inner;
use super::convert::incident_id;
use super::error::engine;
use crate::Result;
use crate::blocks::key::{self, DAY_MS, HOUR_MS};
use crate::records::{Retention, RetentionReport};

/// A piece stops at the first look at the clock after this.
pub(super) const PIECE: Duration = Duration::from_millis(20);
/// Rows deleted between two looks at the clock.
const ROWS_A_LOOK: i64 = 256;
/// Looks at most, should the clock stand still.
const LOOKS: usize = 8;
/// Blocks are two days old at least when they become days; nothing is deleted before.
const SHORTEST_RAW: Duration = Duration::from_secs(4 * 86_400);
/// Monitors purged between two looks at the clock: each has rows in ten tables.
const PURGED_A_LOOK: i64 = 4;
/// Answers to calls that may come again are kept for a day, and so long again until they are swept.
const ANSWERS: Duration = Duration::from_secs(2 * 86_400);
/// Pages given back to the disk between two looks at the clock.
const PAGES_A_LOOK: i64 = 64;
/// Free pages that are kept anyway: the log and the chunks of an hour come and go in them.
const KEPT_FREE_PAGES: i64 = 4_096;

/// Deletes a piece of what is too old.
pub(super) async fn retain(inner: &Inner, retention: Retention, now: Timestamp) -> Result<RetentionReport> {
    let clock = std::sync::Arc::clone(&inner.clock);
    inner
        .writer
        .upkeep(move |tx| {
            let until = clock.boot() + PIECE;
            let mut report = RetentionReport::default();
            for _ in 0..LOOKS {
                let deleted = delete_some(tx, &retention, now)?;
                report.deleted += deleted;
                report.more = deleted > 0 || give_back_pages(tx)?;
                if !report.more || over(&*clock, until) {
                    break;
                }
            }
            Ok(report)
        })
        .await
}

pub(super) fn over(clock: &dyn Clock, until: BootTime) -> bool {
    clock.boot() >= until
}

/// Deletes some rows of the first table that has rows to delete.
fn delete_some(tx: &Transaction<'_>, retention: &Retention, now: Timestamp) -> Result<u64> {
    let raw = now - retention.raw.max(SHORTEST_RAW);
    let hourly = now - retention.hourly;
    let bin = now - retention.bin;
    let hour = |at: Timestamp| at.millis().max(0) / HOUR_MS;
    let day = |at: Timestamp| at.millis().max(0) / DAY_MS;
    let ranges = [
        ("chunk", key::chunk(hour(raw), 0, 0)),
        ("block", key::block(hour(raw), 0, 0, 0)),
        ("day_raw", key::block(day(raw), 0, 0, 0)),
        ("day_hours", key::block(day(hourly), 0, 0, 0)),
        ("day_total", retention.daily.map_or(0, |daily| key::block(day(now - daily), 0, 0, 0))),
    ];
    for (table, end) in ranges {
        let deleted = delete_below(tx, table, end)?;
        if deleted > 0 {
            return Ok(deleted);
        }
    }
    let dated = [
        ("evidence", "slot", hourly),
        ("input", "at", raw),
        ("change", "at", bin),
        ("audit", "at", hourly),
        ("delivery_attempt", "at", bin),
        ("transition", "at", bin),
        ("idempotency", "created_at", now - ANSWERS),
    ];
    for (table, column, before) in dated {
        let deleted = delete_before(tx, table, column, before)?;
        if deleted > 0 {
            return Ok(deleted);
        }
    }
    if let Some(daily) = retention.daily {
        let deleted = delete_before(tx, "interval", "coalesce(to_at, from_at + 9e18)", now - daily)?;
        if deleted > 0 {
            return Ok(deleted);
        }
    }
    Ok(delete_told(tx, bin)? + purge_monitors(tx, bin)? + purge_channels(tx, bin)?)
}

fn delete_below(tx: &Transaction<'_>, table: &str, end: i64) -> Result<u64> {
    let sql = format!(
        "DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE id < ?1 ORDER BY id LIMIT ?2)"
    );
    run(tx, &sql, [end, ROWS_A_LOOK])
}

/// For tables whose rows are added in the order of their time, more or less: only the oldest rows are looked at.
fn delete_before(tx: &Transaction<'_>, table: &str, column: &str, before: Timestamp) -> Result<u64> {
    let sql = format!(
        "DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} ORDER BY rowid LIMIT ?2) AND {column} < ?1"
    );
    run(tx, &sql, [before.0, ROWS_A_LOOK])
}

/// Notices that were delivered or given up long ago.
fn delete_told(tx: &Transaction<'_>, before: Timestamp) -> Result<u64> {
    let sql = "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox ORDER BY id LIMIT ?2)
               AND state != 0 AND queued_at < ?1";
    run(tx, sql, [before.0, ROWS_A_LOOK])
}

/// Monitors that have been in the bin for long enough go, with everything that is known of them by name. Their
/// results leave with the days in which they stand; their numbers are never given out again.
fn purge_monitors(tx: &Transaction<'_>, before: Timestamp) -> Result<u64> {
    let due: Vec<(i64, i64)> = tx
        .prepare_cached("SELECT key, account_id FROM monitor WHERE removed_at < ?1 LIMIT ?2")
        .and_then(|mut s| s.query_map([before.0, PURGED_A_LOOK], |r| Ok((r.get(0)?, r.get(1)?)))?.collect())
        .map_err(engine)?;
    let mut deleted = 0;
    for (key, account) in due {
        deleted += purge_monitor(tx, account, key)?;
    }
    Ok(deleted)
}

/// Deletes a monitor with everything that is known of it by name; how many rows.
pub(super) fn purge_monitor(tx: &Transaction<'_>, account: i64, key: i64) -> Result<u64> {
    let monitor = key::monitor_of(key).0;
    let mut deleted = purge_incidents(tx, account, monitor)?;
    for table in ["monitor_revision", "interval", "evidence", "input", "transition"] {
        let sql = format!("DELETE FROM {table} WHERE account_id = ?1 AND monitor_id = ?2");
        deleted += run(tx, &sql, [account, monitor])?;
    }
    for table in ["pause", "judge_state", "monitor"] {
        deleted += run(tx, &format!("DELETE FROM {table} WHERE key = ?1"), [key])?;
    }
    Ok(deleted)
}

fn purge_incidents(tx: &Transaction<'_>, account: i64, monitor: i64) -> Result<u64> {
    let incidents: Vec<[u8; 16]> = tx
        .prepare_cached("SELECT id FROM incident WHERE account_id = ?1 AND monitor_id = ?2")
        .and_then(|mut s| s.query_map([account, monitor], |row| row.get(0))?.collect())
        .map_err(engine)?;
    let mut deleted = 0;
    for id in incidents {
        tracing::debug!(incident = %incident_id(id), "an incident of a removed monitor is deleted");
        for table in ["delivery_attempt", "outbox", "incident_event"] {
            let sql = format!("DELETE FROM {table} WHERE account_id = ?1 AND incident_id = ?2");
            deleted += run(tx, &sql, params![account, id])?;
        }
        deleted += run(tx, "DELETE FROM incident WHERE account_id = ?1 AND id = ?2", params![account, id])?;
    }
    Ok(deleted)
}

fn purge_channels(tx: &Transaction<'_>, before: Timestamp) -> Result<u64> {
    run(tx, "DELETE FROM channel WHERE removed_at < ?1", [before.0])
}

/// Gives some free pages back to the disk when there are far more than come and go; whether there were.
fn give_back_pages(tx: &Transaction<'_>) -> Result<bool> {
    let number = |pragma: &str| -> Result<i64> {
        tx.query_row(pragma, [], |row| row.get(0)).optional().map_err(engine).map(|n| n.unwrap_or(0))
    };
    let (free, all) = (number("PRAGMA freelist_count")?, number("PRAGMA page_count")?);
    if free <= KEPT_FREE_PAGES + all / 8 {
        return Ok(false);
    }
    step_through(tx, &format!("PRAGMA incremental_vacuum({PAGES_A_LOOK})"))?;
    Ok(true)
}

/// The engine frees a page at each step.
fn step_through(connection: &Connection, sql: &str) -> Result<()> {
    let mut statement = connection.prepare_cached(sql).map_err(engine)?;
    let mut rows = statement.query([]).map_err(engine)?;
    while rows.next().map_err(engine)?.is_some() {}
    Ok(())
}

fn run(tx: &Transaction<'_>, sql: &str, params: impl rusqlite::Params) -> Result<u64> {
    tx.prepare_cached(sql).and_then(|mut s| s.execute(params)).map(|n| n as u64).map_err(engine)
}
