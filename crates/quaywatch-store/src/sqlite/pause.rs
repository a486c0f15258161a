//! Pauses: a person's word about a monitor of any owner. They change no revision, so a file that is read again leaves
//! them alone.

use quaywatch_core::{AccountId, MonitorId, Timestamp};
use rusqlite::{Connection, Transaction, params};
use serde_json::json;

use super::audit::{self, Entry};
use super::query::{one, rows, run};
use super::{apply, convert, listed};
use crate::blocks::key;
use crate::records::{Applied, Author, MonitorRecord, Pause};
use crate::{Result, StoreError};

/// Who lets monitors go on whose time has come.
const CLOCK: &str = "clock";

/// Pauses monitors, or lets them go on.
pub(super) fn set_paused(
    tx: &Transaction<'_>,
    account: AccountId,
    ids: &[MonitorId],
    pause: Option<&Pause>,
    by: (Timestamp, &Author),
) -> Result<Applied> {
    let mut applied = Applied::default();
    for id in ids {
        let sql = format!(
            "SELECT {}, until_at, reason FROM monitor LEFT JOIN pause USING (key)
             WHERE key = ?1 AND account_id = ?2 AND removed_at IS NULL",
            convert::MONITOR
        );
        let known = one(tx, &sql, [key::monitor(*id), account.0], |row| {
            let pause = Pause {
                until: convert::time(row, 9)?,
                reason: row.get::<_, Option<String>>(10)?.unwrap_or_default(),
            };
            Ok((convert::monitor(row)?, pause))
        })?;
        let (monitor, now) = known.ok_or_else(|| StoreError::Missing(format!("monitor {id}")))?;
        let now = monitor.paused.then_some(now);
        if now.as_ref() != pause {
            write(tx, &monitor, pause, by)?;
            applied.monitors.push(MonitorRecord { paused: pause.is_some(), ..monitor });
        }
    }
    applied.seq = apply::last_change(tx)?;
    Ok(applied)
}

fn write(
    tx: &Transaction<'_>,
    monitor: &MonitorRecord,
    pause: Option<&Pause>,
    by: (Timestamp, &Author),
) -> Result<()> {
    let (at, author) = by;
    let row = key::monitor(monitor.id);
    run(tx, "UPDATE monitor SET paused = ?2 WHERE key = ?1", params![row, pause.is_some()])?;
    match pause {
        Some(pause) => run(
            tx,
            "INSERT INTO pause (key, until_at, reason, paused_at, paused_by) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (key) DO UPDATE SET until_at = excluded.until_at, reason = excluded.reason",
            params![row, pause.until.map(|at| at.0), pause.reason, at.0, author.actor],
        )?,
        None => run(tx, "DELETE FROM pause WHERE key = ?1", [row])?,
    };
    listed::pause(tx, monitor.account, monitor.id, pause.is_some())?;
    let op = if pause.is_some() { "pause" } else { "resume" };
    apply::append_change(tx, at, monitor.account, ("monitor", monitor.id.0, op))?;
    let after = pause.map(|pause| {
        json!({"until": pause.until.map(|at| at.to_string()), "reason": pause.reason}).to_string()
    });
    let action = if pause.is_some() { "monitor.paused" } else { "monitor.resumed" };
    let entry = Entry { after: after.as_deref(), ..Entry::of(action, "monitor", monitor.id.0) };
    audit::write(tx, by, monitor.account, entry)
}

/// Lets go on whose pauses end by now.
pub(super) fn end_pauses(
    tx: &Transaction<'_>,
    at: Timestamp,
    limit: usize,
) -> Result<Vec<(AccountId, Applied)>> {
    let sql = "SELECT account_id, key FROM pause JOIN monitor USING (key)
               WHERE until_at <= ?1 AND removed_at IS NULL ORDER BY until_at LIMIT ?2";
    let mut due: Vec<(i64, i64)> = rows(tx, sql, [at.0, limit as i64], |row| Ok((row.get(0)?, row.get(1)?)))?;
    due.sort_unstable();
    let author = Author::from(CLOCK);
    due.chunk_by(|a, b| a.0 == b.0)
        .map(|chunk| {
            let account = AccountId(chunk[0].0);
            let ids: Vec<MonitorId> = chunk.iter().map(|(_, key)| key::monitor_of(*key)).collect();
            Ok((account, set_paused(tx, account, &ids, None, (at, &author))?))
        })
        .collect()
}

/// When the next one ends by itself.
pub(super) fn next_end(connection: &Connection) -> Result<Option<Timestamp>> {
    let sql = "SELECT min(until_at) FROM pause JOIN monitor USING (key)
               WHERE until_at IS NOT NULL AND removed_at IS NULL";
    Ok(one(connection, sql, [], |row| convert::time(row, 0))?.flatten())
}
