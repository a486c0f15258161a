//! Incidents, the notices of one, and what was not up.

use quaywatch_core::{AccountId, ChannelId, IncidentId, Timestamp};
use rusqlite::{Connection, Row, named_params, params};

use super::convert::{self, incident_blob};
use super::query::{rows, rows_asked};
use crate::Result;
use crate::records::{
    AttemptRecord, DeliveryRecord, DeliveryState, IncidentFilter, IncidentRecord, Interval, IntervalFilter,
};

/// Given where the caller names no limit.
const USUAL: usize = 1_000;

/// A limit as the engine takes it.
fn limit(limit: usize) -> i64 {
    if limit == 0 { USUAL as i64 } else { i64::try_from(limit).unwrap_or(i64::MAX) }
}

/// Numbers as a list in a statement.
fn numbers<N: ToString>(numbers: impl IntoIterator<Item = N>) -> String {
    numbers.into_iter().map(|number| number.to_string()).collect::<Vec<_>>().join(", ")
}

/// Those that are wanted, newest first.
pub(super) fn incidents(
    connection: &Connection,
    account: AccountId,
    filter: &IncidentFilter,
) -> Result<Vec<IncidentRecord>> {
    let mut sql = format!("SELECT {} FROM incident WHERE account_id = :account", convert::INCIDENT);
    let terms = [
        (filter.monitor.is_some(), "monitor_id = :monitor"),
        (filter.open, "ended_at IS NULL"),
        (filter.closed, "ended_at IS NOT NULL"),
        (filter.acknowledged == Some(true), "acknowledged_at IS NOT NULL"),
        (filter.acknowledged == Some(false), "acknowledged_at IS NULL"),
        (filter.severity.is_some(), "severity = :severity"),
        (filter.window.is_some(), "started_at < :to AND (ended_at IS NULL OR ended_at > :from)"),
        (filter.after.is_some(), "(started_at, id) < (:after, :after_id)"),
    ];
    for (_, term) in terms.iter().filter(|(asked, _)| *asked) {
        sql.push_str(" AND ");
        sql.push_str(term);
    }
    if !filter.codes.is_empty() {
        let codes = numbers(filter.codes.iter().map(|code| code.number()));
        sql.push_str(&format!(" AND (code IN ({codes}) OR opening_code IN ({codes}))"));
    }
    sql.push_str(" ORDER BY started_at DESC, id DESC LIMIT :limit");
    let values = named_params! {
        ":account": account.0,
        ":monitor": filter.monitor.map(|monitor| monitor.0),
        ":severity": filter.severity.map(convert::severity_number),
        ":from": filter.window.map(|window| window.from.0),
        ":to": filter.window.map(|window| window.to.0),
        ":after": filter.after.map(|(at, _)| at.0),
        ":after_id": filter.after.map(|(_, id)| incident_blob(id)),
        ":limit": limit(filter.limit),
    };
    rows_asked(connection, &sql, values, convert::incident)
}

/// How the notices of one incident stand.
pub(super) fn deliveries(
    connection: &Connection,
    account: AccountId,
    incident: IncidentId,
) -> Result<Vec<DeliveryRecord>> {
    let sql = "SELECT o.channel_id, o.sequence, o.state, o.attempts, o.queued_at, d.at, d.class, d.answer
               FROM outbox o LEFT JOIN delivery_attempt d ON d.account_id = o.account_id
                    AND d.incident_id = o.incident_id AND d.sequence = o.sequence
                    AND d.channel_id = o.channel_id AND d.attempt = o.attempts
               WHERE o.account_id = ?1 AND o.incident_id = ?2 ORDER BY o.sequence, o.channel_id";
    rows(connection, sql, params![account.0, incident_blob(incident)], delivery)
}

fn delivery(row: &Row<'_>) -> rusqlite::Result<DeliveryRecord> {
    let last = match convert::time(row, 5)? {
        Some(at) => Some(AttemptRecord { at, class: row.get(6)?, answer: row.get(7)? }),
        None => None,
    };
    Ok(DeliveryRecord {
        channel: ChannelId(row.get(0)?),
        sequence: row.get(1)?,
        state: match row.get(2)? {
            0 => DeliveryState::Queued,
            1 => DeliveryState::Sent,
            2 => DeliveryState::Dead,
            other => return Err(rusqlite::Error::IntegralValueOutOfRange(2, other)),
        },
        attempts: row.get(3)?,
        queued_at: Timestamp(row.get(4)?),
        last,
    })
}

const INTERVAL: &str = "monitor_id, from_at, to_at, status, code, incident_id";

/// When monitors were not up, those that began last first.
pub(super) fn intervals(
    connection: &Connection,
    account: AccountId,
    filter: &IntervalFilter,
) -> Result<Vec<Interval>> {
    let mut sql = format!("SELECT {INTERVAL} FROM interval WHERE account_id = :account");
    let terms = [
        (filter.monitor.is_some(), "monitor_id = :monitor"),
        (filter.window.is_some(), "from_at < :to AND (to_at IS NULL OR to_at > :from)"),
        (filter.after.is_some(), "(from_at, monitor_id) < (:after, :after_monitor)"),
    ];
    for (_, term) in terms.iter().filter(|(asked, _)| *asked) {
        sql.push_str(" AND ");
        sql.push_str(term);
    }
    if !filter.statuses.is_empty() {
        let statuses = numbers(filter.statuses.iter().map(|status| *status as u8));
        sql.push_str(&format!(" AND status IN ({statuses})"));
    }
    sql.push_str(" ORDER BY from_at DESC, monitor_id DESC LIMIT :limit");
    let values = named_params! {
        ":account": account.0,
        ":monitor": filter.monitor.map(|monitor| monitor.0),
        ":from": filter.window.map(|window| window.from.0),
        ":to": filter.window.map(|window| window.to.0),
        ":after": filter.after.map(|(at, _)| at.0),
        ":after_monitor": filter.after.map(|(_, monitor)| monitor.0),
        ":limit": limit(filter.limit),
    };
    rows_asked(connection, &sql, values, convert::interval)
}

/// What was not up at a moment.
pub(super) fn intervals_at(
    connection: &Connection,
    account: AccountId,
    at: Timestamp,
) -> Result<Vec<Interval>> {
    let sql = "SELECT i.monitor_id, from_at, to_at, status, code, incident_id FROM interval i
               JOIN monitor m ON m.key = (((i.monitor_id & 63) << 26) | (i.monitor_id >> 6))
               WHERE i.account_id = ?1 AND from_at <= ?2 AND (to_at IS NULL OR to_at > ?2)
                     AND m.removed_at IS NULL
               ORDER BY i.monitor_id";
    rows(connection, sql, [account.0, at.0], convert::interval)
}
