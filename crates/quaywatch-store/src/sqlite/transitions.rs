//! The numbered stream of what is said of monitors: a row where an interval opens or closes, written with it.

use std::collections::BTreeMap;

use quaywatch_core::judge::Status;
use quaywatch_core::{AccountId, ErrorCode, MonitorId, Timestamp};
use rusqlite::{Connection, Transaction, params};

use super::convert;
use super::query::{one, rows, run};
use crate::Result;
use crate::blocks::key;
use crate::records::{IntervalWrite, ShardStep, TransitionRecord};

/// Transitions that one call gives at most.
const MOST: usize = 10_000;

/// Appends what the intervals of a step say. A step that is written again finds its rows and adds none.
pub(super) fn append(tx: &Transaction<'_>, step: &ShardStep) -> Result<()> {
    if step.intervals.is_empty() {
        return Ok(());
    }
    let states: BTreeMap<MonitorId, Status> =
        step.states.iter().map(|write| (write.monitor, write.status)).collect();
    for (i, write) in step.intervals.iter().enumerate() {
        match write {
            IntervalWrite::Open { monitor, from, status, code, incident } => {
                let incident = incident.map(convert::incident_blob);
                insert(tx, *monitor, (*from, *status, *code), incident.as_ref())?;
            }
            IntervalWrite::Close { monitor, to } => {
                let follows = step.intervals[i + 1..].iter().any(|later| {
                    matches!(later, IntervalWrite::Open { monitor: whose, from, .. }
                        if whose == monitor && from <= to)
                });
                if !follows {
                    // What has a new target knows nothing yet; all else that is no longer not up is up.
                    let status = match states.get(monitor) {
                        Some(Status::Pending) => Status::Pending,
                        Some(_) | None => Status::Up,
                    };
                    insert(tx, *monitor, (*to, status, ErrorCode::Ok), None)?;
                }
            }
        }
    }
    Ok(())
}

fn insert(
    tx: &Transaction<'_>,
    monitor: MonitorId,
    (at, status, code): (Timestamp, Status, ErrorCode),
    incident: Option<&[u8; 16]>,
) -> Result<()> {
    // Of what lies in the bin nothing is said any more. What is there already is looked for, not ignored: a row that is
    // ignored uses up a number.
    let sql = "INSERT INTO transition (account_id, monitor_id, at, status, code, incident_id)
               SELECT account_id, ?2, ?3, ?4, ?5, ?6 FROM monitor m WHERE key = ?1 AND removed_at IS NULL
               AND NOT EXISTS (SELECT 1 FROM transition t WHERE t.account_id = m.account_id AND t.monitor_id = ?2
                               AND t.at = ?3 AND t.status = ?4)";
    let values = params![key::monitor(monitor), monitor.0, at.0, status as u8, code.number(), incident];
    run(tx, sql, values)?;
    Ok(())
}

/// Those of one account after a number, oldest first.
pub(super) fn after(
    connection: &Connection,
    account: AccountId,
    (after, limit): (u64, usize),
) -> Result<Vec<TransitionRecord>> {
    let sql = "SELECT id, monitor_id, at, status, code, incident_id FROM transition
               WHERE account_id = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    rows(connection, sql, params![account.0, after, limit.min(MOST) as i64], |row| {
        Ok(TransitionRecord {
            id: row.get::<_, i64>(0)? as u64,
            monitor: MonitorId(row.get(1)?),
            at: Timestamp(row.get(2)?),
            status: convert::status(row, 3)?,
            code: convert::code(row, 4)?,
            incident: row.get::<_, Option<[u8; 16]>>(5)?.map(convert::incident_id),
        })
    })
}

/// The number of the last one that there ever was.
pub(super) fn newest(connection: &Connection) -> Result<u64> {
    let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'transition'";
    Ok(one(connection, sql, [], |row| row.get::<_, i64>(0))?.unwrap_or(0) as u64)
}
