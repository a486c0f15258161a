//! Between rows and records, by hand.

use std::net::IpAddr;

use quaywatch_core::access::Role;
use quaywatch_core::judge::{CloseReason, Severity, Status};
use quaywatch_core::{AccountId, ChannelId, ErrorCode, IncidentId, LocationId, MonitorId, Timestamp};
use rusqlite::Row;
use rusqlite::types::Type;

use crate::blocks::key;
use crate::records::{
    Acknowledged, Blind, ChannelRecord, EventRecord, IncidentRecord, InputRecord, Interval, MonitorRecord,
    Owner, StateWrite,
};

type RowResult<T> = rusqlite::Result<T>;

/// The columns that [`monitor`] reads.
pub(super) const MONITOR: &str =
    "key, account_id, owner, resource_key, name, revision, spec, paused, created_at";
/// The columns that [`channel`] reads.
pub(super) const CHANNEL: &str = "id, account_id, owner, resource_key, name, kind, settings, revision";
/// The columns that [`incident`] reads.
pub(super) const INCIDENT: &str = "id, account_id, monitor_id, ordinal, severity, opening_code, code, started_at, \
    confirmed_at, ended_at, close_reason, failed_checks, next_sequence, judge_version, \
    acknowledged_at, acknowledged_by";

pub(super) const fn incident_blob(id: IncidentId) -> [u8; 16] {
    *id.0.as_bytes()
}

pub(super) const fn severity_number(severity: Severity) -> u8 {
    match severity {
        Severity::Warning => 0,
        Severity::Critical => 1,
    }
}

pub(super) const fn close_reason_number(reason: CloseReason) -> u8 {
    match reason {
        CloseReason::Recovered => 0,
        CloseReason::Superseded => 1,
        CloseReason::Removed => 2,
        CloseReason::Paused => 3,
    }
}

pub(super) fn monitor(row: &Row<'_>) -> RowResult<MonitorRecord> {
    Ok(MonitorRecord {
        id: key::monitor_of(row.get(0)?),
        account: AccountId(row.get(1)?),
        owner: owner(row, 2)?,
        key: row.get(3)?,
        name: row.get(4)?,
        revision: row.get(5)?,
        spec: row.get(6)?,
        paused: row.get(7)?,
        created_at: Timestamp(row.get(8)?),
    })
}

pub(super) fn channel(row: &Row<'_>) -> RowResult<ChannelRecord> {
    Ok(ChannelRecord {
        id: ChannelId(row.get(0)?),
        account: AccountId(row.get(1)?),
        owner: owner(row, 2)?,
        key: row.get(3)?,
        name: row.get(4)?,
        kind: row.get(5)?,
        settings: row.get(6)?,
        revision: row.get(7)?,
    })
}

/// key, status, since, code, state
pub(super) fn state(row: &Row<'_>) -> RowResult<StateWrite> {
    Ok(StateWrite {
        monitor: key::monitor_of(row.get(0)?),
        status: status(row, 1)?,
        since: Timestamp(row.get(2)?),
        code: code(row, 3)?,
        state: Some(row.get(4)?),
    })
}

/// Both columns are set, or none is.
fn acknowledged(row: &Row<'_>) -> RowResult<Option<Box<Acknowledged>>> {
    Ok(match (row.get::<_, Option<i64>>(14)?, row.get::<_, Option<String>>(15)?) {
        (Some(at), Some(by)) => Some(Box::new(Acknowledged { at: Timestamp(at), by })),
        (Some(_) | None, _) => None,
    })
}

pub(super) fn incident(row: &Row<'_>) -> RowResult<IncidentRecord> {
    Ok(IncidentRecord {
        id: incident_id(row.get(0)?),
        account: AccountId(row.get(1)?),
        monitor: MonitorId(row.get(2)?),
        ordinal: row.get(3)?,
        severity: match row.get(4)? {
            0 => Severity::Warning,
            1 => Severity::Critical,
            other => return Err(unknown(4, other)),
        },
        opening_code: code(row, 5)?,
        code: code(row, 6)?,
        started_at: Timestamp(row.get(7)?),
        confirmed_at: Timestamp(row.get(8)?),
        ended_at: row.get::<_, Option<i64>>(9)?.map(Timestamp),
        close_reason: match row.get(10)? {
            None => None,
            Some(0) => Some(CloseReason::Recovered),
            Some(1) => Some(CloseReason::Superseded),
            Some(2) => Some(CloseReason::Removed),
            Some(3) => Some(CloseReason::Paused),
            Some(other) => return Err(unknown(10, other)),
        },
        failed_checks: row.get(11)?,
        next_sequence: row.get(12)?,
        judge_version: row.get(13)?,
        acknowledged: acknowledged(row)?,
    })
}

/// incident_id, sequence, at, kind, snapshot from `first` on
pub(super) fn event(row: &Row<'_>, first: usize) -> RowResult<EventRecord> {
    Ok(EventRecord {
        incident: incident_id(row.get(first)?),
        sequence: row.get(first + 1)?,
        at: Timestamp(row.get(first + 2)?),
        kind: row.get(first + 3)?,
        snapshot: row.get(first + 4)?,
    })
}

/// monitor_id, from_at, to_at, status, code, incident_id
pub(super) fn interval(row: &Row<'_>) -> RowResult<Interval> {
    Ok(Interval {
        monitor: MonitorId(row.get(0)?),
        from: Timestamp(row.get(1)?),
        to: row.get::<_, Option<i64>>(2)?.map(Timestamp),
        status: status(row, 3)?,
        code: code(row, 4)?,
        incident: row.get::<_, Option<[u8; 16]>>(5)?.map(incident_id),
    })
}

/// location_id, from_at, to_at, code
pub(super) fn blind(row: &Row<'_>) -> RowResult<Blind> {
    Ok(Blind {
        location: LocationId(row.get(0)?),
        from: Timestamp(row.get(1)?),
        to: row.get::<_, Option<i64>>(2)?.map(Timestamp),
        code: code(row, 3)?,
    })
}

/// monitor_id, at, kind, detail
pub(super) fn input(row: &Row<'_>) -> RowResult<InputRecord> {
    Ok(InputRecord {
        monitor: MonitorId(row.get(0)?),
        at: Timestamp(row.get(1)?),
        kind: row.get(2)?,
        detail: row.get(3)?,
    })
}

pub(super) const fn incident_id(bytes: [u8; 16]) -> IncidentId {
    IncidentId(uuid::Uuid::from_bytes(bytes))
}

pub(super) fn code(row: &Row<'_>, column: usize) -> RowResult<ErrorCode> {
    let number = row.get(column)?;
    ErrorCode::from_number(number).ok_or_else(|| unknown(column, i64::from(number)))
}

pub(super) fn status(row: &Row<'_>, column: usize) -> RowResult<Status> {
    const ALL: [Status; 8] = [
        Status::Pending,
        Status::Up,
        Status::Degraded,
        Status::Down,
        Status::Unknown,
        Status::Blocked,
        Status::Maintenance,
        Status::Paused,
    ];
    let number: u8 = row.get(column)?;
    ALL.iter().copied().find(|s| *s as u8 == number).ok_or_else(|| unknown(column, i64::from(number)))
}

/// An address, or nothing for the server's own host.
pub(super) fn address(row: &Row<'_>, column: usize) -> RowResult<Option<IpAddr>> {
    let Some(text) = row.get_ref(column)?.as_str_or_null()? else { return Ok(None) };
    if text.is_empty() {
        return Ok(None);
    }
    text.parse()
        .map(Some)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(e)))
}

/// A word that stands for a role.
pub(super) fn role(row: &Row<'_>, column: usize) -> RowResult<Role> {
    let text = row.get_ref(column)?.as_str()?;
    text.parse().map_err(|e| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(e)))
}

/// A time that may be missing.
pub(super) fn time(row: &Row<'_>, column: usize) -> RowResult<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp))
}

fn owner(row: &Row<'_>, column: usize) -> RowResult<Owner> {
    let text = row.get_ref(column)?.as_str()?;
    Owner::from_text(text).ok_or_else(|| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, format!("`{text}` is no owner").into())
    })
}

fn unknown(column: usize, number: i64) -> rusqlite::Error {
    rusqlite::Error::IntegralValueOutOfRange(column, number)
}
