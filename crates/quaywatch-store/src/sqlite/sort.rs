//! Each minute: from the log, where results stand in the order of their commits, to chunks, one a shard and minute,
//! sorted by monitor. A chunk is filed under the hour of its slots, so that an hour's blocks find all of theirs,
//! however late they came.

use std::collections::BTreeMap;

use quaywatch_core::{ShardId, Timestamp};
use rusqlite::{Connection, OptionalExtension};

use super::Inner;
use super::error::engine;
use super::pieces::{self, Move};
use super::readers::Limit;
use crate::Result;
use crate::blocks::rows::{self, RowReader};
use crate::blocks::{Row, key};
use crate::records::UpkeepDone;

const MINUTE_US: i64 = 60_000_000;
const MINUTES_OF_AN_HOUR: i64 = 60;

/// Moves the oldest finished minute of the log; `None` when there is none.
pub(super) async fn sort_minutes(inner: &Inner, now: Timestamp) -> Result<Option<UpkeepDone>> {
    let _alone = inner.upkeep.lock().await;
    let end = now.0.div_euclid(MINUTE_US) * MINUTE_US;
    let sorted = inner.readers.read(Limit::None, move |connection| sort(connection, end)).await?;
    let Some((checks, sorted)) = sorted else { return Ok(None) };
    let done = UpkeepDone { checks, bytes: sorted.bytes() };
    sorted.run(inner, pieces::SORT).await?;
    Ok(Some(done))
}

pub(super) fn sort(connection: &Connection, end: i64) -> Result<Option<(u64, Move)>> {
    let first: Option<i64> = connection
        .prepare_cached("SELECT min(at) FROM log WHERE at < ?1")
        .and_then(|mut s| s.query_row([end], |row| row.get(0)))
        .map_err(engine)?;
    let Some(first) = first else { return Ok(None) };
    let minute = first.div_euclid(MINUTE_US);
    let log = read_log(connection, minute)?;
    let mut sections: Vec<Vec<&[u8]>> = vec![Vec::new(); ShardId::COUNT];
    for (id, _, data) in &log {
        match rows::sections(data) {
            Ok(found) => found.into_iter().for_each(|(shard, section)| {
                if let Some(of_shard) = sections.get_mut(usize::from(shard)) {
                    of_shard.push(section);
                }
            }),
            // Nothing can be read from it, now or later; if it stayed, nothing behind it would be sorted.
            Err(corrupt) => tracing::error!(id, reason = corrupt.0, "a damaged row of the log is dropped"),
        }
    }
    let mut sorted = Move::default();
    let mut checks = 0;
    let mut rows = Vec::new();
    for (shard, sections) in sections.iter().enumerate() {
        rows.clear();
        for section in sections {
            if let Err(corrupt) = RowReader::new(section).and_then(|r| r.read_all(&mut rows)) {
                tracing::error!(shard, reason = corrupt.0, "a damaged part of the log is dropped");
            }
        }
        checks += rows.len() as u64;
        file(connection, shard as u8, minute, &mut rows, &mut sorted)?;
    }
    sorted.last_commit = log.iter().map(|(_, at, _)| *at).max();
    sorted.deletes = log.iter().map(|(id, _, data)| (*id, data.len())).collect();
    Ok(Some((checks, sorted)))
}

/// (id, at, data) of one minute.
fn read_log(connection: &Connection, minute: i64) -> Result<Vec<(i64, i64, Vec<u8>)>> {
    connection
        .prepare_cached("SELECT id, at, data FROM log WHERE at >= ?1 AND at < ?2")
        .and_then(|mut s| {
            s.query_map([minute * MINUTE_US, (minute + 1) * MINUTE_US], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?
            .collect()
        })
        .map_err(engine)
}

/// Makes the chunks of one shard, one for each hour in which there are slots: usually one.
fn file(
    connection: &Connection,
    shard: u8,
    minute: i64,
    rows: &mut Vec<Row>,
    sorted: &mut Move,
) -> Result<()> {
    let mut hours: BTreeMap<i64, Vec<Row>> = BTreeMap::new();
    let hour = |row: &Row| key::hour_of(row.slot_ms);
    if let Some(first) = rows.first().map(hour) {
        if rows.iter().all(|row| hour(row) == first) {
            hours.insert(first, std::mem::take(rows));
        } else {
            for row in rows.drain(..) {
                hours.entry(hour(&row)).or_default().push(row);
            }
        }
    }
    for (hour, mut of_hour) in hours {
        let sequence = (minute - hour * MINUTES_OF_AN_HOUR).clamp(0, i64::from(u16::MAX)) as u16;
        let id = key::chunk(hour, shard, sequence);
        // There already: this minute was sorted before, wholly (a crash came between) or in part.
        merge_existing(connection, id, &mut of_hour)?;
        // Of two results for one slot the first stays.
        of_hour.sort_by_key(Row::identity);
        of_hour.dedup_by_key(|row| row.identity());
        sorted.puts.push_back((id, rows::encode_chunk(&of_hour, id)));
        // The room is used again for the next shard.
        if rows.capacity() < of_hour.capacity() {
            of_hour.clear();
            *rows = of_hour;
        }
    }
    Ok(())
}

fn merge_existing(connection: &Connection, id: i64, into: &mut Vec<Row>) -> Result<()> {
    let existing: Option<Vec<u8>> = connection
        .prepare_cached("SELECT data FROM chunk WHERE id = ?1")
        .and_then(|mut s| s.query_row([id], |row| row.get(0)).optional())
        .map_err(engine)?;
    if let Some(data) = existing {
        let new = std::mem::take(into);
        if let Err(corrupt) = rows::chunk(&data, id).and_then(|r| r.read_all(into)) {
            tracing::error!(id, reason = corrupt.0, "a damaged chunk is replaced");
        }
        into.extend(new);
    }
    Ok(())
}
