//! Each hour: from a shard's chunks to blocks, one a monitor and location. Shards take their turns over the hour, so
//! that the disk sees a steady trickle. Reading, merging and packing happen beside the writer; it only gets the
//! finished rows.

use quaywatch_core::{ShardId, Timestamp};
use rusqlite::{Connection, OptionalExtension};

use super::Inner;
use super::error::engine;
use super::pieces::{self, Move};
use super::readers::Limit;
use crate::Result;
use crate::blocks::key::{self, HOUR_MS};
use crate::blocks::rows::{self, RowReader};
use crate::blocks::{BlockCodec, Row, decode_block};
use crate::records::UpkeepDone;

/// Between the turns of two shards: 64 of them fit into the hour.
pub(super) const TURN_MS: i64 = 56_000;
/// The hour's last minute must be sorted first.
const SORTED_AFTER_MS: i64 = 60_000;

/// Moves one due hour of a shard; `None` when none is due.
pub(super) async fn write_blocks(
    inner: &Inner,
    shard: ShardId,
    now: Timestamp,
) -> Result<Option<UpkeepDone>> {
    let _alone = inner.upkeep.lock().await;
    let moved = inner
        .readers
        .read(Limit::None, move |connection| {
            due_hour(connection, shard, now)?.map(|hour| pack_hour(connection, shard, hour)).transpose()
        })
        .await?;
    let Some((checks, moved)) = moved else { return Ok(None) };
    let done = UpkeepDone { checks, bytes: moved.bytes() };
    moved.run(inner, pieces::BLOCKS).await?;
    Ok(Some(done))
}

/// The oldest hour of the shard that has chunks and whose turn has come. Hours without any are leapt over: results
/// of a clock that was once wrong may lie decades apart.
fn due_hour(connection: &Connection, shard: ShardId, now: Timestamp) -> Result<Option<i64>> {
    let due_ms = now.millis() - SORTED_AFTER_MS - TURN_MS * i64::from(shard.0);
    let mut next = connection
        .prepare_cached("SELECT id FROM chunk WHERE id >= ?1 ORDER BY id LIMIT 1")
        .map_err(engine)?;
    let mut hour = 0;
    while hour < due_ms.div_euclid(HOUR_MS) {
        let (from, to) = key::chunk_range(hour, shard.0);
        match next.query_row([from], |row| row.get::<_, i64>(0)).optional().map_err(engine)? {
            Some(id) if id < to => return Ok(Some(hour)),
            // In this hour only later shards have any: the next one may have some of ours.
            Some(id) => hour = key::chunk_hour(id).max(hour + 1),
            None => break,
        }
    }
    Ok(None)
}

pub(super) fn pack_hour(connection: &Connection, shard: ShardId, hour: i64) -> Result<(u64, Move)> {
    let (from, to) = key::chunk_range(hour, shard.0);
    let chunks: Vec<(i64, Vec<u8>)> = connection
        .prepare_cached("SELECT id, data FROM chunk WHERE id >= ?1 AND id < ?2 ORDER BY id")
        .and_then(|mut s| s.query_map([from, to], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
        .map_err(engine)?;
    let mut packer = Packer::new(connection, shard, hour)?;
    let mut merge = Merge::new(&chunks);
    let mut of_monitor = Vec::new();
    while merge.next_monitor(&mut of_monitor) {
        packer.pack(&mut of_monitor)?;
    }
    let mut moved = packer.moved;
    moved.deletes = chunks.iter().map(|(id, data)| (*id, data.len())).collect();
    Ok((packer.checks, moved))
}

/// Goes through sorted chunks side by side, monitor by monitor.
struct Merge<'a>(Vec<Cursor<'a>>);

struct Cursor<'a> {
    id: i64,
    reader: RowReader<'a>,
    head: Option<Row>,
}

impl Cursor<'_> {
    fn advance(&mut self) {
        self.head = self.reader.next().unwrap_or_else(|corrupt| {
            tracing::error!(id = self.id, reason = corrupt.0, "the rest of a damaged chunk is dropped");
            None
        });
    }
}

impl<'a> Merge<'a> {
    fn new(chunks: &'a [(i64, Vec<u8>)]) -> Self {
        let mut cursors = Vec::with_capacity(chunks.len());
        for (id, data) in chunks {
            match rows::chunk(data, *id) {
                Ok(reader) => {
                    let mut cursor = Cursor { id: *id, reader, head: None };
                    cursor.advance();
                    cursors.push(cursor);
                }
                Err(corrupt) => tracing::error!(id, reason = corrupt.0, "a damaged chunk is dropped"),
            }
        }
        Self(cursors)
    }

    /// Replaces `rows` by those of the next monitor; false at the end.
    fn next_monitor(&mut self, rows: &mut Vec<Row>) -> bool {
        rows.clear();
        let Some(monitor) = self.0.iter().filter_map(|c| c.head.map(|row| row.monitor)).min() else {
            return false;
        };
        for cursor in &mut self.0 {
            while let Some(row) = cursor.head.filter(|row| row.monitor == monitor) {
                rows.push(row);
                cursor.advance();
            }
        }
        true
    }
}

/// Packs the rows of monitor after monitor.
struct Packer<'a> {
    connection: &'a Connection,
    shard: ShardId,
    hour: i64,
    /// Whether the hour has blocks already, into which these results must be merged.
    again: bool,
    codec: BlockCodec,
    checks: u64,
    moved: Move,
}

impl<'a> Packer<'a> {
    fn new(connection: &'a Connection, shard: ShardId, hour: i64) -> Result<Self> {
        let (from, to) = key::block_range(hour, shard.0);
        let again = connection
            .prepare_cached("SELECT 1 FROM block WHERE id >= ?1 AND id < ?2 LIMIT 1")
            .and_then(|mut s| s.exists([from, to]))
            .map_err(engine)?;
        let codec = BlockCodec::default();
        Ok(Self { connection, shard, hour, again, codec, checks: 0, moved: Move::default() })
    }

    /// `rows` are of one monitor.
    fn pack(&mut self, rows: &mut Vec<Row>) -> Result<()> {
        let base_ms = self.hour * HOUR_MS;
        rows.retain(|row| (base_ms..base_ms + HOUR_MS).contains(&row.slot_ms));
        self.checks += rows.len() as u64;
        // Chunks come minute by minute, so one location's rows are nearly always in order already.
        if !rows.is_sorted_by_key(Row::identity) {
            rows.sort_by_key(Row::identity);
        }
        rows.dedup_by_key(|row| row.identity());
        for of_location in rows.chunk_by(|a, b| a.location == b.location) {
            let id = key::block(self.hour, self.shard.0, of_location[0].monitor, of_location[0].location);
            let mut data = Vec::with_capacity(32 + of_location.len() * 2);
            match if self.again { existing_block(self.connection, id)? } else { None } {
                None => self.codec.encode(of_location, base_ms, id, &mut data),
                Some(existing) => {
                    let merged = merge(&existing, base_ms, id, of_location);
                    self.codec.encode(&merged, base_ms, id, &mut data);
                    if existing == data {
                        continue;
                    }
                }
            }
            self.moved.puts.push_back((id, data));
        }
        Ok(())
    }
}

fn existing_block(connection: &Connection, id: i64) -> Result<Option<Vec<u8>>> {
    connection
        .prepare_cached("SELECT data FROM block WHERE id = ?1")
        .and_then(|mut s| s.query_row([id], |row| row.get(0)).optional())
        .map_err(engine)
}

/// An existing block with late rows; of two results for one slot the one that was there stays.
fn merge(existing: &[u8], base_ms: i64, id: i64, late: &[Row]) -> Vec<Row> {
    let mut merged = Vec::new();
    if let Err(corrupt) =
        decode_block(existing, base_ms, id, (late[0].monitor, late[0].location), &mut merged)
    {
        tracing::error!(id, reason = corrupt.0, "a damaged block is replaced");
    }
    merged.extend_from_slice(late);
    merged.sort_by_key(Row::identity);
    merged.dedup_by_key(|row| row.identity());
    merged
}
