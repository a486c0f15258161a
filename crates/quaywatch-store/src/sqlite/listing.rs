//! Monitors as lists show them, and how many there are of what.

use quaywatch_core::judge::Status;
use quaywatch_core::{AccountId, ErrorCode, MonitorId, Timestamp};
use rusqlite::{Connection, Row, params};

use super::query::{one, rows};
use super::{convert, listed};
use crate::Result;
use crate::blocks::key;
use crate::records::{
    GroupCount, MonitorRecord, MonitorRow, Owner, PauseRecord, RemovedChannel, RevisionRecord, StatusCounts,
    TagCount,
};

/// Monitors in the bin that one call gives at most.
const MOST_REMOVED: usize = 1_000;

/// The status that a rank in a list stands for.
pub(super) fn status_of(rank: u8) -> Status {
    StatusCounts::ORDER.get(usize::from(rank)).copied().unwrap_or(Status::Pending)
}

/// The rank of a status in a list.
pub(super) fn rank_of(status: Status) -> usize {
    StatusCounts::ORDER.iter().position(|one| *one == status).unwrap_or(0)
}

/// Those that are there, ordered by id.
pub(super) fn by_ids(
    connection: &Connection,
    account: AccountId,
    ids: &[MonitorId],
) -> Result<Vec<MonitorRecord>> {
    let sql = format!(
        "SELECT {} FROM monitor WHERE key = ?1 AND account_id = ?2 AND removed_at IS NULL",
        convert::MONITOR
    );
    let one_of = |id: MonitorId| one(connection, &sql, [key::monitor(id), account.0], convert::monitor);
    sorted(ids).into_iter().filter_map(|id| one_of(id).transpose()).collect()
}

/// Those that are there, ordered by id.
pub(super) fn by_keys(
    connection: &Connection,
    account: AccountId,
    (owner, keys): (&Owner, &[String]),
) -> Result<Vec<MonitorRecord>> {
    let sql = format!(
        "SELECT {} FROM monitor WHERE account_id = ?1 AND resource_key = ?2 AND owner = ?3 AND removed_at IS NULL",
        convert::MONITOR
    );
    let owner = owner.to_text();
    let mut found = Vec::new();
    for key in keys {
        found.extend(one(connection, &sql, params![account.0, key, owner], convert::monitor)?);
    }
    found.sort_unstable_by_key(|monitor: &MonitorRecord| monitor.id);
    found.dedup_by_key(|monitor| monitor.id);
    Ok(found)
}

/// What a monitor is and what it was before, the newest first.
pub(super) fn revisions(
    connection: &Connection,
    account: AccountId,
    id: MonitorId,
    limit: usize,
) -> Result<Vec<RevisionRecord>> {
    let sql = "SELECT revision, spec, revised_at FROM monitor WHERE key = ?1 AND account_id = ?2
               UNION ALL
               SELECT * FROM (SELECT revision, spec, revised_at FROM monitor_revision
                              WHERE account_id = ?2 AND monitor_id = ?3 ORDER BY revision DESC LIMIT ?4)
               ORDER BY 1 DESC LIMIT ?4";
    rows(connection, sql, params![key::monitor(id), account.0, id.0, limit as i64], |row| {
        Ok(RevisionRecord { revision: row.get(0)?, spec: row.get(1)?, at: Timestamp(row.get(2)?) })
    })
}

fn sorted(ids: &[MonitorId]) -> Vec<MonitorId> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    ids
}

const ROW: &str = "m.key, m.account_id, m.owner, m.resource_key, m.name, m.revision, m.spec, m.paused, m.created_at, \
    m.revised_at, m.removed_at, coalesce(m.removed_key, m.resource_key), s.status, s.since, s.code, \
    p.until_at, p.reason, p.paused_at, p.paused_by, \
    (SELECT incident_id FROM interval i WHERE i.monitor_id = (((m.key & 0x3ffffff) << 6) | (m.key >> 26)) \
        AND i.to_at IS NULL)";
const JOINED: &str =
    "monitor m LEFT JOIN judge_state s ON s.key = m.key LEFT JOIN pause p ON p.key = m.key AND m.paused";

fn row(row: &Row<'_>) -> rusqlite::Result<MonitorRow> {
    let monitor = MonitorRecord { key: row.get(11)?, ..convert::monitor(row)? };
    let judged = row.get::<_, Option<u8>>(12)?.is_some();
    let pause = match row.get::<_, Option<i64>>(17)? {
        None => None,
        Some(at) => Some(PauseRecord {
            until: convert::time(row, 15)?,
            reason: row.get(16)?,
            at: Timestamp(at),
            by: row.get(18)?,
        }),
    };
    let status = if judged { convert::status(row, 12)? } else { Status::Pending };
    let since = if judged { Timestamp(row.get(13)?) } else { monitor.created_at };
    // The judge follows a pause a moment later.
    let (status, since) = match &pause {
        Some(pause) if status != Status::Paused => (Status::Paused, pause.at),
        _ if monitor.paused => (Status::Paused, since),
        Some(_) | None => (status, since),
    };
    Ok(MonitorRow {
        status,
        since,
        code: if judged { convert::code(row, 14)? } else { ErrorCode::Ok },
        incident: row.get::<_, Option<[u8; 16]>>(19)?.map(convert::incident_id),
        pause,
        updated_at: Timestamp(row.get(9)?),
        removed_at: convert::time(row, 10)?,
        monitor,
    })
}

/// Those that are there or in the bin, in the order of the numbers.
pub(super) fn monitor_rows(
    connection: &Connection,
    account: AccountId,
    ids: impl IntoIterator<Item = MonitorId>,
) -> Result<Vec<MonitorRow>> {
    let sql = format!("SELECT {ROW} FROM {JOINED} WHERE m.key = ?1 AND m.account_id = ?2");
    let one_of = |id: MonitorId| one(connection, &sql, [key::monitor(id), account.0], row);
    ids.into_iter().filter_map(|id| one_of(id).transpose()).collect()
}

/// As [`monitor_rows`], ordered by id.
pub(super) fn rows_of(
    connection: &Connection,
    account: AccountId,
    ids: &[MonitorId],
) -> Result<Vec<MonitorRow>> {
    monitor_rows(connection, account, sorted(ids))
}

/// Those in the bin, removed last first.
pub(super) fn removed_monitors(
    connection: &Connection,
    account: AccountId,
    after: Option<(Timestamp, MonitorId)>,
    limit: usize,
) -> Result<Vec<MonitorRow>> {
    let (at, id) = after.map_or((i64::MAX, 0), |(at, id)| (at.0, id.0));
    let sql = format!(
        "SELECT {ROW} FROM {JOINED}
         WHERE m.account_id = ?1 AND m.removed_at IS NOT NULL
           AND (m.removed_at, ((m.key & 0x3ffffff) << 6) | (m.key >> 26)) < (?2, ?3)
         ORDER BY m.removed_at DESC, ((m.key & 0x3ffffff) << 6) | (m.key >> 26) DESC LIMIT ?4"
    );
    rows(connection, &sql, params![account.0, at, id, limit.min(MOST_REMOVED) as i64], row)
}

/// Those in the bin, removed last first.
pub(super) fn removed_channels(connection: &Connection, account: AccountId) -> Result<Vec<RemovedChannel>> {
    let sql = format!(
        "SELECT {}, removed_at, coalesce(removed_key, resource_key) FROM channel
         WHERE account_id = ?1 AND removed_at IS NOT NULL ORDER BY removed_at DESC, id DESC",
        convert::CHANNEL
    );
    rows(connection, &sql, [account.0], |row| {
        let mut channel = convert::channel(row)?;
        channel.key = row.get(9)?;
        Ok(RemovedChannel { channel, removed_at: Timestamp(row.get(8)?) })
    })
}

/// How many monitors are what.
pub(super) fn status_counts(connection: &Connection, account: AccountId) -> Result<StatusCounts> {
    let sql = "SELECT rank, n FROM status_count WHERE account_id = ?1";
    let found = rows(connection, sql, [account.0], |row| Ok((row.get::<_, u8>(0)?, row.get::<_, i64>(1)?)))?;
    let mut counts = StatusCounts::default();
    for (rank, n) in found {
        counts.add(status_of(rank), n as u64);
    }
    Ok(counts)
}

/// All groups, by their paths.
pub(super) fn groups(connection: &Connection, account: AccountId) -> Result<Vec<GroupCount>> {
    let sql = "SELECT grp, rank, n FROM group_count WHERE account_id = ?1 ORDER BY grp, rank";
    let found = rows(connection, sql, [account.0], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, u8>(1)?, row.get::<_, i64>(2)?))
    })?;
    let mut groups: Vec<GroupCount> = Vec::new();
    for (group, rank, n) in found {
        if groups.last().is_none_or(|last| last.group != group) {
            groups.push(GroupCount { group, counts: StatusCounts::default() });
        }
        if let Some(last) = groups.last_mut() {
            last.counts.add(status_of(rank), n as u64);
        }
    }
    Ok(groups)
}

/// All tags, by name and value.
pub(super) fn tags(connection: &Connection, account: AccountId) -> Result<Vec<TagCount>> {
    let sql = "SELECT name, value, count(*) FROM label WHERE account_id = ?1 AND kind = ?2
               GROUP BY name, value ORDER BY name, value";
    rows(connection, sql, params![account.0, listed::TAG], |row| {
        Ok(TagCount { name: row.get(0)?, value: row.get(1)?, monitors: row.get::<_, i64>(2)? as u64 })
    })
}

/// Those that name a channel so.
pub(super) fn monitors_naming(
    connection: &Connection,
    account: AccountId,
    names: &[String],
    limit: usize,
) -> Result<Vec<MonitorRecord>> {
    let mut ids = Vec::new();
    for name in names {
        let sql =
            "SELECT id FROM label WHERE account_id = ?1 AND kind = ?2 AND name = ?3 ORDER BY id LIMIT ?4";
        let values = params![account.0, listed::CHANNEL, name, limit as i64];
        ids.extend(rows(connection, sql, values, |row| Ok(MonitorId(row.get(0)?)))?);
    }
    let mut ids = sorted(&ids);
    ids.truncate(limit);
    by_ids(connection, account, &ids)
}
