//! What is said of each monitor of an account now, with its last check. The last check of nearly all is in the log or
//! the newest chunks, which are read from the young end until everybody has one; the few that are checked seldom are
//! looked up in blocks.

use std::collections::BTreeMap;

use quaywatch_core::judge::Status;
use quaywatch_core::{AccountId, ErrorCode, MonitorId, ShardId, Timestamp};
use rusqlite::Connection;

use super::convert;
use super::error::{damaged, engine};
use crate::Result;
use crate::blocks::rows::{self, RowReader};
use crate::blocks::{Corrupt, Row, decode_block, key};
use crate::records::StatusRecord;

/// The longest interval is a day: a last check older than that says nothing.
const HOURS_BACK: usize = 26;

pub(super) fn statuses(connection: &Connection, account: AccountId) -> Result<Vec<StatusRecord>> {
    let mut records: Vec<StatusRecord> = connection
        .prepare_cached(&format!(
            "SELECT m.{}, s.status, s.since, s.code FROM monitor m LEFT JOIN judge_state s ON s.key = m.key
             WHERE m.account_id = ?1 AND m.removed_at IS NULL",
            convert::MONITOR.replace(", ", ", m.")
        ))
        .and_then(|mut s| s.query_map([account.0], status)?.collect())
        .map_err(engine)?;
    records.sort_unstable_by_key(|record| record.monitor.id);
    let mut last = Last::new(&records);
    last.read(connection)?;
    let found = last.found;
    for record in &mut records {
        if let Some(Some(row)) = found.get(&record.monitor.id) {
            record.last = Some(row.to_check().map_err(damaged("results", row.slot_ms))?);
        }
    }
    Ok(records)
}

fn status(row: &rusqlite::Row<'_>) -> rusqlite::Result<StatusRecord> {
    let monitor = convert::monitor(row)?;
    let judged = row.get::<_, Option<u8>>(9)?.is_some();
    Ok(StatusRecord {
        status: if judged { convert::status(row, 9)? } else { Status::Pending },
        since: if judged { Timestamp(row.get(10)?) } else { monitor.created_at },
        code: if judged { convert::code(row, 11)? } else { ErrorCode::Ok },
        last: None,
        monitor,
    })
}

/// The last check of each monitor, as it is sought.
struct Last {
    found: BTreeMap<MonitorId, Option<Row>>,
    /// How many of each shard have none yet.
    missing: [usize; ShardId::COUNT],
}

impl Last {
    fn new(records: &[StatusRecord]) -> Self {
        // What has no status yet was never checked, so there is nothing to look for.
        let found: BTreeMap<_, _> = records
            .iter()
            .filter(|record| record.status != Status::Pending)
            .map(|record| (record.monitor.id, None))
            .collect();
        let mut missing = [0; ShardId::COUNT];
        for id in found.keys() {
            missing[usize::from(id.shard().0)] += 1;
        }
        Self { found, missing }
    }

    fn complete(&self) -> bool {
        self.missing.iter().all(|missing| *missing == 0)
    }

    fn read(&mut self, connection: &Connection) -> Result<()> {
        if !self.complete() {
            self.read_log(connection)?;
        }
        if !self.complete() {
            self.read_chunks(connection)?;
        }
        if !self.complete() {
            self.read_blocks(connection)?;
        }
        Ok(())
    }

    fn read_log(&mut self, connection: &Connection) -> Result<()> {
        let mut select =
            connection.prepare_cached("SELECT id, data FROM log ORDER BY id DESC").map_err(engine)?;
        let mut found = select.query([]).map_err(engine)?;
        while let Some(row) = found.next().map_err(engine)? {
            let id: i64 = row.get(0).map_err(engine)?;
            let data = row.get_ref(1).and_then(|d| Ok(d.as_blob()?)).map_err(engine)?;
            for (shard, section) in rows::sections(data).map_err(damaged("log", id))? {
                RowReader::new(section).and_then(|r| self.take(shard, r)).map_err(damaged("log", id))?;
            }
        }
        Ok(())
    }

    /// Newest hour first, in it shard by shard and newest minute first, until all of the shard are found.
    fn read_chunks(&mut self, connection: &Connection) -> Result<()> {
        let mut select = connection
            .prepare_cached("SELECT id, data FROM chunk WHERE id >= ?1 AND id < ?2 ORDER BY id DESC")
            .map_err(engine)?;
        for hour in newest_hours(connection, "chunk", (key::chunk_hour, |hour| key::chunk(hour, 0, 0)))? {
            for shard in ShardId::all() {
                let (from, to) = key::chunk_range(hour, shard.0);
                let mut found = select.query([from, to]).map_err(engine)?;
                while self.missing[usize::from(shard.0)] > 0
                    && let Some(row) = found.next().map_err(engine)?
                {
                    let id: i64 = row.get(0).map_err(engine)?;
                    let data = row.get_ref(1).and_then(|d| Ok(d.as_blob()?)).map_err(engine)?;
                    rows::chunk(data, id)
                        .and_then(|r| self.take(shard.0, r))
                        .map_err(damaged("chunk", id))?;
                }
            }
            if self.complete() {
                break;
            }
        }
        Ok(())
    }

    fn take(&mut self, shard: u8, mut reader: RowReader<'_>) -> std::result::Result<(), Corrupt> {
        while let Some(row) = reader.next()? {
            let id = MonitorId(i64::from(row.monitor) << 6 | i64::from(shard));
            if let Some(last) = self.found.get_mut(&id) {
                if last.is_none() {
                    self.missing[usize::from(shard & 63)] -= 1;
                }
                if last.is_none_or(|known| known.slot_ms < row.slot_ms) {
                    *last = Some(row);
                }
            }
        }
        Ok(())
    }

    fn read_blocks(&mut self, connection: &Connection) -> Result<()> {
        let hours = newest_hours(connection, "block", (key::block_period, |hour| key::block(hour, 0, 0, 0)))?;
        let mut select = connection
            .prepare_cached("SELECT id, data FROM block WHERE id BETWEEN ?1 AND ?2")
            .map_err(engine)?;
        let mut decoded = Vec::new();
        for (id, last) in self.found.iter_mut().filter(|(_, row)| row.is_none()) {
            for hour in &hours {
                let (from, to) = key::block_of_monitor(*hour, *id);
                let mut found = select.query([from, to]).map_err(engine)?;
                decoded.clear();
                while let Some(row) = found.next().map_err(engine)? {
                    let key: i64 = row.get(0).map_err(engine)?;
                    let data = row.get_ref(1).and_then(|d| Ok(d.as_blob()?)).map_err(engine)?;
                    let whose = (id.within_shard(), key::block_location(key));
                    decode_block(data, *hour * key::HOUR_MS, key, whose, &mut decoded)
                        .map_err(damaged("block", key))?;
                }
                *last = decoded.iter().max_by_key(|row| row.slot_ms).copied();
                if last.is_some() {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// The newest hours that a table has rows of. Not counted from now or from the newest: results of a clock that was
/// once ahead may lie in the future.
fn newest_hours(
    connection: &Connection,
    table: &str,
    (hour_of, first_of): (impl Fn(i64) -> i64, impl Fn(i64) -> i64),
) -> Result<Vec<i64>> {
    let mut last =
        connection.prepare_cached(&format!("SELECT max(id) FROM {table} WHERE id < ?1")).map_err(engine)?;
    let mut hours = Vec::new();
    let mut end = i64::MAX;
    while hours.len() < HOURS_BACK
        && let Some(id) = last.query_row([end], |row| row.get::<_, Option<i64>>(0)).map_err(engine)?
    {
        hours.push(hour_of(id));
        end = first_of(hour_of(id));
    }
    Ok(hours)
}
