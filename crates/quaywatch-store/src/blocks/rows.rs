//! Young results, row by row: a commit appends them here in a few nanoseconds each (log), and each minute they are
//! sorted by monitor (chunks). A row is a byte that says what it has, the distance to the row before in monitor and
//! slot, and the latency; what is as usual is left out.

use super::varint::{self, Reader, zigzag};
use super::{Corrupt, Decoded, Row};

const VERSION: u8 = 1;

const HAS_LATENCY: u8 = 1;
const HAS_LOCATION: u8 = 2;
const HAS_OUTCOME: u8 = 4;
const HAS_RETRANSMITS: u8 = 8;
const HAS_DNS: u8 = 16;
const ALL: u8 = 31;
/// A row takes a byte each for its tag, monitor and slot at least.
const SMALLEST_ROW: usize = 3;

/// Builds the log row of one commit: a section for each shard that has results.
#[derive(Debug)]
pub(crate) struct LogWriter {
    out: Vec<u8>,
    section: Vec<u8>,
    rows: u64,
}

impl LogWriter {
    pub(crate) fn new() -> Self {
        Self { out: vec![VERSION], section: Vec::new(), rows: 0 }
    }

    /// Starts anew, keeping the room.
    pub(crate) fn clear(&mut self) {
        self.out.clear();
        self.out.push(VERSION);
        self.rows = 0;
    }

    pub(crate) fn section(&mut self, shard: u8, rows: impl ExactSizeIterator<Item = Row>) {
        let count = rows.len();
        if count == 0 {
            return;
        }
        self.section.clear();
        put_rows(&mut self.section, rows);
        self.out.push(shard);
        varint::put(&mut self.out, self.section.len() as u64);
        self.out.extend_from_slice(&self.section);
        self.rows += count as u64;
    }

    pub(crate) const fn rows(&self) -> u64 {
        self.rows
    }

    /// The bytes to store; [`LogWriter::clear`] before the next use.
    pub(crate) fn finish(&mut self) -> &[u8] {
        varint::seal(&mut self.out, 0, 0);
        &self.out
    }
}

/// The sections of a log row: (shard, section).
pub(crate) fn sections(log: &[u8]) -> Decoded<Vec<(u8, &[u8])>> {
    let mut reader = Reader::new(varint::unseal(log, 0)?);
    expect_version(&mut reader)?;
    let mut sections = Vec::new();
    while reader.left() > 0 {
        let shard = reader.byte()?;
        let length = usize::try_from(reader.number()?).map_err(|_| Corrupt("a section that is too long"))?;
        sections.push((shard, reader.take(length)?));
    }
    Ok(sections)
}

/// Writes rows that are sorted by [`Row::identity`] as a chunk.
pub(crate) fn encode_chunk(rows: &[Row], key: i64) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + rows.len() * 8);
    out.push(VERSION);
    put_rows(&mut out, rows.iter().copied());
    varint::seal(&mut out, 0, key as u64);
    out
}

/// Opens a chunk for reading.
pub(crate) fn chunk(bytes: &[u8], key: i64) -> Decoded<RowReader<'_>> {
    let mut reader = Reader::new(varint::unseal(bytes, key as u64)?);
    expect_version(&mut reader)?;
    RowReader::new(reader.take(reader.left())?)
}

fn expect_version(reader: &mut Reader<'_>) -> Decoded<()> {
    if reader.byte()? == VERSION { Ok(()) } else { Err(Corrupt("a format that this version does not know")) }
}

fn put_rows(out: &mut Vec<u8>, rows: impl ExactSizeIterator<Item = Row>) {
    varint::put(out, rows.len() as u64);
    let (mut monitor, mut slot_ms) = (0_i64, 0_i64);
    for row in rows {
        let mut tag = 0;
        if row.latency_us != 0 {
            tag |= HAS_LATENCY;
        }
        if row.location != 0 {
            tag |= HAS_LOCATION;
        }
        if row.code != 0 || row.flags != 0 {
            tag |= HAS_OUTCOME;
        }
        if row.retransmits != 0 {
            tag |= HAS_RETRANSMITS;
        }
        if row.dns_us != 0 {
            tag |= HAS_DNS;
        }
        out.push(tag);
        varint::put(out, zigzag(i64::from(row.monitor) - monitor));
        varint::put(out, zigzag(row.slot_ms.wrapping_sub(slot_ms)));
        (monitor, slot_ms) = (i64::from(row.monitor), row.slot_ms);
        if row.latency_us != 0 {
            varint::put(out, u64::from(row.latency_us));
        }
        if tag & !HAS_LATENCY != 0 {
            put_unusual(out, &row);
        }
    }
}

fn put_unusual(out: &mut Vec<u8>, row: &Row) {
    if row.location != 0 {
        varint::put(out, u64::from(row.location));
    }
    if row.code != 0 || row.flags != 0 {
        out.extend_from_slice(&[row.code, row.flags]);
    }
    if row.retransmits != 0 {
        out.push(row.retransmits);
    }
    if row.dns_us != 0 {
        varint::put(out, u64::from(row.dns_us));
    }
}

/// Reads rows one by one.
#[derive(Debug, Clone)]
pub(crate) struct RowReader<'a> {
    reader: Reader<'a>,
    left: u64,
    monitor: i64,
    slot_ms: i64,
}

impl<'a> RowReader<'a> {
    /// Of a section, or of a chunk's body.
    pub(crate) fn new(section: &'a [u8]) -> Decoded<Self> {
        let mut reader = Reader::new(section);
        let left = reader.number()?;
        if left > (reader.left() / SMALLEST_ROW) as u64 {
            return Err(Corrupt("more rows than bytes"));
        }
        Ok(Self { reader, left, monitor: 0, slot_ms: 0 })
    }

    /// The next row, `None` at the end.
    pub(crate) fn next(&mut self) -> Decoded<Option<Row>> {
        if self.left == 0 {
            self.reader.end()?;
            return Ok(None);
        }
        self.left -= 1;
        let tag = self.reader.byte()?;
        if tag & !ALL != 0 {
            return Err(Corrupt("a row of an unknown kind"));
        }
        self.monitor = self.monitor.wrapping_add(self.reader.distance()?);
        self.slot_ms = self.slot_ms.wrapping_add(self.reader.distance()?);
        let latency_us = if tag & HAS_LATENCY != 0 { self.reader.number_u32()? } else { 0 };
        let mut row = Row {
            slot_ms: self.slot_ms,
            monitor: u32::try_from(self.monitor).map_err(|_| Corrupt("a monitor out of range"))?,
            latency_us,
            dns_us: 0,
            location: 0,
            code: 0,
            flags: 0,
            retransmits: 0,
        };
        if tag & !HAS_LATENCY != 0 {
            self.unusual(tag, &mut row)?;
        }
        Ok(Some(row))
    }

    fn unusual(&mut self, tag: u8, row: &mut Row) -> Decoded<()> {
        if tag & HAS_LOCATION != 0 {
            row.location =
                u16::try_from(self.reader.number()?).map_err(|_| Corrupt("a location out of range"))?;
        }
        if tag & HAS_OUTCOME != 0 {
            row.code = self.reader.byte()?;
            row.flags = self.reader.byte()?;
        }
        if tag & HAS_RETRANSMITS != 0 {
            row.retransmits = self.reader.byte()?;
        }
        if tag & HAS_DNS != 0 {
            row.dns_us = self.reader.number_u32()?;
        }
        Ok(())
    }

    /// Appends all rows that are left to `rows`.
    pub(crate) fn read_all(mut self, rows: &mut Vec<Row>) -> Decoded<()> {
        while let Some(row) = self.next()? {
            rows.push(row);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_row() -> impl Strategy<Value = Row> {
        (
            any::<i32>(),
            0..(1_u32 << 26),
            prop_oneof![Just(0_u32), 1..5_000_u32, any::<u32>()],
            prop_oneof![Just(0_u32), any::<u32>()],
            prop_oneof![Just(0_u16), 0..2048_u16],
            (any::<u8>(), any::<u8>(), any::<u8>()),
        )
            .prop_map(|(slot, monitor, latency_us, dns_us, location, (code, flags, retransmits))| {
                Row {
                    slot_ms: 1_777_652_121_204 + i64::from(slot),
                    monitor,
                    latency_us,
                    dns_us,
                    location,
                    code,
                    flags,
                    retransmits,
                }
            })
    }

    proptest! {
        #[test]
        fn a_log_row_gives_back_what_each_shard_put_in(
            shards in proptest::collection::btree_map(0..64_u8, proptest::collection::vec(any_row(), 1..20), 0..5),
        ) {
            let mut log = LogWriter::new();
            log.section(9, [].into_iter());
            for (shard, rows) in &shards {
                log.section(*shard, rows.iter().copied());
            }
            let bytes = log.finish().to_vec();
            let mut back = std::collections::BTreeMap::new();
            for (shard, section) in sections(&bytes).expect("our own bytes") {
                let mut rows = Vec::new();
                RowReader::new(section).and_then(|r| r.read_all(&mut rows)).expect("our own bytes");
                back.insert(shard, rows);
            }
            prop_assert_eq!(back, shards);
        }

        #[test]
        fn garbage_is_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut rows = Vec::new();
            let _ = RowReader::new(&bytes).and_then(|r| r.read_all(&mut rows));
            prop_assert!(rows.len() <= bytes.len());
            prop_assert!(chunk(&bytes, 1).is_err() || bytes.is_empty());
        }

        #[test]
        fn a_chunk_with_a_wrong_bit_or_in_a_wrong_place_is_refused(
            rows in proptest::collection::vec(any_row(), 1..20), at in any::<proptest::sample::Index>(), bit in 0_u32..8,
        ) {
            let mut bytes = encode_chunk(&rows, 77);
            let mut back = Vec::new();
            chunk(&bytes, 77).and_then(|r| r.read_all(&mut back)).expect("our own bytes");
            prop_assert_eq!(&back, &rows);
            prop_assert!(chunk(&bytes, 78).is_err());
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            prop_assert!(chunk(&bytes, 77).is_err());
        }
    }
}
