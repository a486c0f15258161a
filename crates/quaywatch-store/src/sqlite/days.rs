//! After two days: from blocks of an hour to rows of a day. A day stands in three tables, columns, sums of its hours
//! and its whole sum, as each is kept for another time and deleted as one range.

use std::collections::BTreeMap;

use quaywatch_core::{ShardId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::Inner;
use super::blocks::TURN_MS;
use super::error::engine;
use super::readers::Limit;
use crate::Result;
use crate::blocks::key::{self, DAY_MS, HOUR_MS};
use crate::blocks::{BlockCodec, Row, SummaryBuilder, decode_block, encode_hours, encode_one};
use crate::records::{Summary, UpkeepDone};

/// How long blocks stay blocks.
const BLOCKS_FOR_MS: i64 = 48 * HOUR_MS;
const HOURS: i64 = 24;
/// So many monitors are moved in one transaction: about 6,000 blocks at a minute's interval.
const MONITORS_A_PIECE: u32 = 256;

/// Moves one due day of a shard; `None` when none is due.
pub(super) async fn write_days(inner: &Inner, shard: ShardId, now: Timestamp) -> Result<Option<UpkeepDone>> {
    let _alone = inner.upkeep.lock().await;
    let due = inner.readers.read(Limit::None, move |connection| due_day(connection, shard, now)).await?;
    let Some((day, monitors)) = due else { return Ok(None) };
    let mut done = UpkeepDone::default();
    let mut first = *monitors.start();
    while first <= *monitors.end() {
        let piece = inner.readers.read(Limit::None, move |c| Piece::read(c, shard, day, first)).await?;
        done.checks += piece.checks;
        done.bytes += piece.rows.iter().map(DayRow::bytes).sum::<u64>();
        if piece.blocks > 0 {
            inner.writer.upkeep(move |tx| piece.write(tx, shard, day, first)).await?;
        }
        first += MONITORS_A_PIECE;
    }
    Ok(Some(done))
}

/// The oldest day of the shard that has blocks and is due, and which monitors have some.
fn due_day(
    connection: &Connection,
    shard: ShardId,
    now: Timestamp,
) -> Result<Option<(i64, std::ops::RangeInclusive<u32>)>> {
    let due_ms = now.millis() - BLOCKS_FOR_MS - TURN_MS * i64::from(shard.0);
    let mut next = connection
        .prepare_cached("SELECT id FROM block WHERE id >= ?1 ORDER BY id LIMIT 1")
        .map_err(engine)?;
    let mut day = 0;
    while day < due_ms.div_euclid(DAY_MS) {
        // Days without any block are leapt over.
        let from = key::block(day * HOURS, 0, 0, 0);
        let first: Option<i64> = next.query_row([from], |row| row.get(0)).optional().map_err(engine)?;
        let Some(first) = first else { break };
        let found = key::block_period(first) / HOURS;
        if found > day {
            day = found;
            continue;
        }
        if let Some(monitors) = monitors_of(connection, shard, day)? {
            return Ok(Some((day, monitors)));
        }
        day += 1;
    }
    Ok(None)
}

fn monitors_of(
    connection: &Connection,
    shard: ShardId,
    day: i64,
) -> Result<Option<std::ops::RangeInclusive<u32>>> {
    let mut ends = connection
        .prepare_cached(
            "SELECT (SELECT min(id) FROM block WHERE id >= ?1 AND id < ?2),
                    (SELECT max(id) FROM block WHERE id >= ?1 AND id < ?2)",
        )
        .map_err(engine)?;
    let mut monitors: Option<(u32, u32)> = None;
    for hour in day * HOURS..(day + 1) * HOURS {
        let (from, to) = key::block_range(hour, shard.0);
        let (min, max): (Option<i64>, Option<i64>) =
            ends.query_row([from, to], |row| Ok((row.get(0)?, row.get(1)?))).map_err(engine)?;
        if let (Some(min), Some(max)) = (min, max) {
            let (min, max) = (key::block_monitor(min), key::block_monitor(max));
            let known = monitors.unwrap_or((min, max));
            monitors = Some((known.0.min(min), known.1.max(max)));
        }
    }
    Ok(monitors.map(|(min, max)| min..=max))
}

/// The days of some monitors of one shard.
#[derive(Default)]
struct Piece {
    rows: Vec<DayRow>,
    checks: u64,
    blocks: u64,
}

/// One monitor's day at one location.
struct DayRow {
    id: i64,
    raw: Vec<u8>,
    hours: Vec<u8>,
    total: Vec<u8>,
}

impl DayRow {
    fn bytes(&self) -> u64 {
        (self.raw.len() + self.hours.len() + self.total.len()) as u64
    }
}

impl Piece {
    fn read(connection: &Connection, shard: ShardId, day: i64, first: u32) -> Result<Self> {
        let mut piece = Self::default();
        let mut days: BTreeMap<(u32, u16), Vec<Row>> = BTreeMap::new();
        let mut select = connection
            .prepare_cached("SELECT id, data FROM block WHERE id >= ?1 AND id < ?2 ORDER BY id")
            .map_err(engine)?;
        for hour in day * HOURS..(day + 1) * HOURS {
            let mut found = select.query(range(hour, shard, first)).map_err(engine)?;
            while let Some(row) = found.next().map_err(engine)? {
                let id: i64 = row.get(0).map_err(engine)?;
                let data = row.get_ref(1).and_then(|d| Ok(d.as_blob()?)).map_err(engine)?;
                let whose = (key::block_monitor(id), key::block_location(id));
                piece.blocks += 1;
                if let Err(corrupt) =
                    decode_block(data, hour * HOUR_MS, id, whose, days.entry(whose).or_default())
                {
                    tracing::error!(id, reason = corrupt.0, "a damaged block is dropped");
                }
            }
        }
        let mut codec = BlockCodec::default();
        let mut sums = SummaryBuilder::new();
        for ((monitor, location), mut rows) in days {
            let id = key::block(day, shard.0, monitor, location);
            if rows.is_empty() || !merge_existing(connection, id, day, (monitor, location), &mut rows)? {
                continue;
            }
            piece.checks += rows.len() as u64;
            piece.rows.push(pack(&mut codec, &mut sums, day, id, &rows));
        }
        Ok(piece)
    }

    fn write(self, tx: &Transaction<'_>, shard: ShardId, day: i64, first: u32) -> Result<()> {
        let put = |sql, id: i64, data: &[u8]| {
            tx.prepare_cached(sql).and_then(|mut s| s.execute(params![id, data])).map_err(engine)
        };
        for row in &self.rows {
            put("INSERT OR REPLACE INTO day_raw (id, data) VALUES (?1, ?2)", row.id, &row.raw)?;
            put("INSERT OR REPLACE INTO day_hours (id, data) VALUES (?1, ?2)", row.id, &row.hours)?;
            put("INSERT OR REPLACE INTO day_total (id, data) VALUES (?1, ?2)", row.id, &row.total)?;
        }
        let mut delete = tx.prepare_cached("DELETE FROM block WHERE id >= ?1 AND id < ?2").map_err(engine)?;
        for hour in day * HOURS..(day + 1) * HOURS {
            delete.execute(range(hour, shard, first)).map_err(engine)?;
        }
        Ok(())
    }
}

/// The blocks of an hour for the monitors of a piece.
const fn range(hour: i64, shard: ShardId, first: u32) -> [i64; 2] {
    [
        key::block(hour, shard.0, first, 0),
        key::block(hour, shard.0, first, 0) + key::block(0, 0, MONITORS_A_PIECE, 0),
    ]
}

/// Puts the day's row before late results, if there is one. False: the day's columns are gone already, and with them
/// the means to tell a late result from one that was counted.
fn merge_existing(
    connection: &Connection,
    id: i64,
    day: i64,
    whose: (u32, u16),
    rows: &mut Vec<Row>,
) -> Result<bool> {
    let existing: Option<Option<Vec<u8>>> = connection
        .prepare_cached("SELECT (SELECT data FROM day_raw WHERE id = ?1) FROM day_total WHERE id = ?1")
        .and_then(|mut s| s.query_row([id], |row| row.get(0)).optional())
        .map_err(engine)?;
    match existing {
        None => Ok(true),
        Some(None) => Ok(false),
        Some(Some(data)) => {
            let late = std::mem::take(rows);
            if let Err(corrupt) = decode_block(&data, day * DAY_MS, id, whose, rows) {
                tracing::error!(id, reason = corrupt.0, "a damaged day is replaced");
            }
            rows.extend(late);
            rows.sort_by_key(Row::identity);
            rows.dedup_by_key(|row| row.identity());
            Ok(true)
        }
    }
}

fn pack(codec: &mut BlockCodec, sums: &mut SummaryBuilder, day: i64, id: i64, rows: &[Row]) -> DayRow {
    let mut raw = Vec::with_capacity(64 + rows.len() * 2);
    codec.encode(rows, day * DAY_MS, id, &mut raw);
    let hours: Vec<(u8, Summary)> = rows
        .chunk_by(|a, b| key::hour_of(a.slot_ms) == key::hour_of(b.slot_ms))
        .map(|of_hour| ((key::hour_of(of_hour[0].slot_ms) - day * HOURS) as u8, sums.sum(of_hour.iter())))
        .collect();
    let total = encode_one(&sums.sum(rows.iter()), id);
    DayRow { id, raw, hours: encode_hours(&hours, id), total }
}
