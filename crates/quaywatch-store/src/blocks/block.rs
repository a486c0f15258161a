//! Old results, column by column: the checks of one monitor at one location in one period (an hour, later a day).
//!
//! Slots that follow a grid cost nothing; a slot missing from it costs a bit, one beside it (a recheck) two or three
//! bytes. Outcomes are runs, and empty while all is `ok`. Marks, lost SYNs and resolving times stand only where they
//! are unusual. What remains is the latency, in Rice code. There is no summary in a block: it is summed up from the
//! columns in a microsecond, and would cost as much as half of them.

use super::varint::{self, Reader};
use super::{Corrupt, Decoded, Row, rice};

/// The codec of this module; others get other numbers.
const CODEC: u8 = 1;

const OUTCOMES: u8 = 1;
const FLAGS: u8 = 2;
const RETRANSMITS: u8 = 4;
const DNS_FEW: u8 = 8;
const DNS_MANY: u8 = 16;
const GAPS: u8 = 32;
const BESIDE: u8 = 64;
const USUAL_FLAGS: u8 = 128;

/// No block holds more: a day at a second each, with a recheck for every check, is a tenth of it.
const MAX_ROWS: u64 = 1 << 20;
/// The mark of rechecks and checks on demand (see `ResultFlags::RECHECK`): not looked at when the grid is sought.
const RECHECK: u8 = quaywatch_core::ResultFlags::RECHECK.0;

/// Writes blocks, with room that is used again.
#[derive(Debug, Default)]
pub(crate) struct BlockCodec {
    values: Vec<u32>,
    scratch: Vec<u32>,
}

/// Slots of a period as a grid and what lies beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Grid {
    start: u32,
    step: u32,
    /// Positions from the first to the last slot on the grid, those without a check included.
    positions: u32,
    /// Checks on the grid.
    present: u32,
}

impl BlockCodec {
    /// Appends the block of `rows`, which are of one monitor and location, in strictly ascending order of their slots,
    /// none before `base_ms`. `key` is where the block will stand.
    pub(crate) fn encode(&mut self, rows: &[Row], base_ms: i64, key: i64, out: &mut Vec<u8>) {
        debug_assert!(rows.windows(2).all(|w| w[0].slot_ms < w[1].slot_ms), "slots ascend");
        let start = out.len();
        let grid = find_grid(rows, base_ms);
        let usual_flags = usual_flags(rows);
        let dns = rows.iter().filter(|r| r.dns_us != 0).count();
        let usual_outcomes = rows.iter().all(|r| r.code == 0 && r.latency_us != 0);

        let mut head = 0;
        head |= if usual_outcomes { 0 } else { OUTCOMES };
        head |= if rows.iter().all(|r| r.flags == usual_flags) { 0 } else { FLAGS };
        head |= if rows.iter().all(|r| r.retransmits == 0) { 0 } else { RETRANSMITS };
        head |= if dns == 0 { 0 } else { [DNS_FEW, DNS_MANY][usize::from(dns * 2 > rows.len())] };
        head |= if grid.present == grid.positions { 0 } else { GAPS };
        head |= if grid.present as usize == rows.len() { 0 } else { BESIDE };
        head |= if usual_flags == 0 { 0 } else { USUAL_FLAGS };
        out.extend_from_slice(&[CODEC, head]);
        put_slots(out, rows, base_ms, &grid);
        if head & OUTCOMES != 0 {
            put_outcomes(out, rows);
        }
        if head & USUAL_FLAGS != 0 {
            out.push(usual_flags);
        }
        if head & FLAGS != 0 {
            put_few(out, rows, |r| u32::from(r.flags ^ usual_flags));
        }
        if head & RETRANSMITS != 0 {
            put_few(out, rows, |r| u32::from(r.retransmits));
        }
        if head & DNS_FEW != 0 {
            put_few(out, rows, |r| r.dns_us);
        }
        if head & DNS_MANY != 0 {
            self.put_column(out, rows.iter().map(|r| r.dns_us), true);
        }
        self.put_column(out, rows.iter().map(|r| r.latency_us).filter(|us| *us != 0), false);
        varint::seal(out, start, key as u64);
    }

    fn put_column(&mut self, out: &mut Vec<u8>, values: impl Iterator<Item = u32>, sized: bool) {
        self.values.clear();
        self.values.extend(values);
        if sized {
            let mut column = Vec::new();
            rice::encode(&mut column, &self.values, &mut self.scratch);
            varint::put(out, column.len() as u64);
            out.extend_from_slice(&column);
        } else {
            rice::encode(out, &self.values, &mut self.scratch);
        }
    }
}

/// Appends the rows of the block at `key` (of that monitor and location) to `rows`, oldest first. On an error `rows` is as it was.
pub(crate) fn decode(
    bytes: &[u8],
    base_ms: i64,
    key: i64,
    (monitor, location): (u32, u16),
    rows: &mut Vec<Row>,
) -> Decoded<()> {
    let mut reader = Reader::new(varint::unseal(bytes, key as u64)?);
    if reader.byte()? != CODEC {
        return Err(Corrupt("a codec that this version does not know"));
    }
    let first = rows.len();
    let empty = Row {
        slot_ms: base_ms,
        monitor,
        latency_us: 0,
        dns_us: 0,
        location,
        code: 0,
        flags: 0,
        retransmits: 0,
    };
    let done = decode_columns(&mut reader, empty, rows, first);
    if done.is_err() {
        rows.truncate(first);
    }
    done
}

fn decode_columns(reader: &mut Reader<'_>, empty: Row, rows: &mut Vec<Row>, first: usize) -> Decoded<()> {
    let head = reader.byte()?;
    take_slots(reader, head, empty, rows)?;
    let rows = &mut rows[first..];
    let with_latency = if head & OUTCOMES == 0 {
        rows.iter_mut().for_each(|r| r.latency_us = 1);
        rows.len()
    } else {
        take_outcomes(reader, rows)?
    };
    if head & USUAL_FLAGS != 0 {
        let usual = reader.byte()?;
        rows.iter_mut().for_each(|r| r.flags = usual);
    }
    if head & FLAGS != 0 {
        take_few(reader, rows, |r, v| {
            r.flags ^= byte(v)?;
            Ok(())
        })?;
    }
    if head & RETRANSMITS != 0 {
        take_few(reader, rows, |r, v| {
            r.retransmits = byte(v)?;
            Ok(())
        })?;
    }
    if head & DNS_FEW != 0 {
        take_few(reader, rows, |r, v| {
            r.dns_us = v;
            Ok(())
        })?;
    }
    let mut values = Vec::new();
    if head & DNS_MANY != 0 {
        let length = usize::try_from(reader.number()?).map_err(|_| Corrupt("a column that is too long"))?;
        rice::decode(&mut Reader::new(reader.take(length)?), rows.len(), &mut values)?;
        rows.iter_mut().zip(&values).for_each(|(r, v)| r.dns_us = *v);
    }
    rice::decode(reader, with_latency, &mut values)?;
    reader.end()?;
    for (row, value) in rows.iter_mut().filter(|r| r.latency_us != 0).zip(&values) {
        if *value == 0 {
            return Err(Corrupt("a latency of nothing"));
        }
        row.latency_us = *value;
    }
    Ok(())
}

fn byte(value: u32) -> Decoded<u8> {
    u8::try_from(value).map_err(|_| Corrupt("a value out of range"))
}

/// The marks that most rows have, as far as two looks tell: those of the first row or none.
fn usual_flags(rows: &[Row]) -> u8 {
    let first = rows.first().map_or(0, |r| r.flags);
    if rows.iter().filter(|r| r.flags == first).count() * 2 > rows.len() { first } else { 0 }
}

fn find_grid(rows: &[Row], base_ms: i64) -> Grid {
    let none = Grid { start: 0, step: 0, positions: 0, present: 0 };
    let Some(step) = find_step(rows) else { return none };
    let offset = |row: &Row| (row.slot_ms - base_ms) as u32;
    // The grid goes through the slot that begins the first whole step.
    let mut last = None;
    let mut phase = 0;
    for slot in rows.iter().filter(|r| r.flags & RECHECK == 0).map(offset) {
        if last.is_some_and(|last| slot - last == step) {
            phase = slot % step;
            break;
        }
        last = Some(slot);
    }
    let mut on_grid = rows.iter().map(offset).filter(|slot| slot % step == phase);
    let Some(start) = on_grid.next() else { return none };
    let (count, end) = on_grid.fold((1, start), |(count, _), slot| (count + 1, slot));
    let positions = (end - start) / step + 1;
    // A bit for every position must not cost more than the checks themselves.
    if positions / 8 > count * 3 || u64::from(positions) > MAX_ROWS {
        none
    } else {
        Grid { start, step, positions, present: count }
    }
}

/// The commonest distance between two checks of the schedule.
fn find_step(rows: &[Row]) -> Option<u32> {
    let mut scheduled = rows.iter().filter(|r| r.flags & RECHECK == 0).map(|r| r.slot_ms);
    let mut last = scheduled.next()?;
    let mut steps: Vec<u32> = scheduled
        .map(|slot| {
            let step = (slot - last) as u32;
            last = slot;
            step
        })
        .collect();
    let guess = *steps.first()?;
    if steps.iter().filter(|s| **s == guess).count() * 2 > steps.len() {
        return Some(guess);
    }
    steps.sort_unstable();
    steps.chunk_by(|a, b| a == b).max_by_key(|run| run.len()).and_then(|run| run.first()).copied()
}

fn put_slots(out: &mut Vec<u8>, rows: &[Row], base_ms: i64, grid: &Grid) {
    varint::put(out, u64::from(grid.positions));
    let offsets = || rows.iter().map(|row| (row.slot_ms - base_ms) as u32);
    let on_grid = |slot: &u32| grid.positions > 0 && slot % grid.step == grid.start % grid.step;
    if grid.positions > 0 {
        varint::put(out, u64::from(grid.start));
        // Whole seconds, which intervals usually are, take a byte.
        let step = u64::from(grid.step);
        varint::put(out, if step % 1_000 == 0 { step / 1_000 * 2 } else { step * 2 + 1 });
        if grid.present != grid.positions {
            let at = out.len();
            out.resize(at + grid.positions.div_ceil(8) as usize, 0);
            for slot in offsets().filter(on_grid) {
                let position = ((slot - grid.start) / grid.step) as usize;
                out[at + position / 8] |= 1 << (position % 8);
            }
        }
    }
    if grid.present as usize != rows.len() {
        varint::put(out, rows.len() as u64 - u64::from(grid.present));
        let mut last = 0;
        for slot in offsets().filter(|slot| !on_grid(slot)) {
            varint::put(out, u64::from(slot - last));
            last = slot;
        }
    }
}

fn take_slots(reader: &mut Reader<'_>, head: u8, empty: Row, rows: &mut Vec<Row>) -> Decoded<()> {
    let positions = reader.number()?;
    if positions > MAX_ROWS {
        return Err(Corrupt("more slots than a period has"));
    }
    let first = rows.len();
    if positions > 0 {
        let start = reader.number_u32()?;
        let step = reader.number()?;
        let step = if step & 1 == 0 { (step >> 1).saturating_mul(1_000) } else { step >> 1 };
        if step == 0 || step.saturating_mul(positions) > u64::from(u32::MAX) {
            return Err(Corrupt("slots out of range"));
        }
        let present =
            if head & GAPS == 0 { None } else { Some(reader.take(positions.div_ceil(8) as usize)?) };
        for position in 0..positions {
            if present.is_none_or(|bits| bits[(position / 8) as usize] >> (position % 8) & 1 == 1) {
                let slot_ms = empty.slot_ms.saturating_add((u64::from(start) + position * step) as i64);
                rows.push(Row { slot_ms, ..empty });
            }
        }
    } else if head & GAPS != 0 {
        return Err(Corrupt("gaps in no grid"));
    }
    if head & BESIDE != 0 {
        let count = reader.number()?;
        if count > reader.left() as u64 {
            return Err(Corrupt("more slots than bytes"));
        }
        let mut slot_ms = empty.slot_ms;
        for _ in 0..count {
            slot_ms = slot_ms.saturating_add(i64::from(reader.number_u32()?));
            rows.push(Row { slot_ms, ..empty });
        }
        rows[first..].sort_unstable_by_key(|r| r.slot_ms);
    }
    if rows[first..].windows(2).any(|w| w[0].slot_ms >= w[1].slot_ms) {
        return Err(Corrupt("two checks for one slot"));
    }
    Ok(())
}

fn put_outcomes(out: &mut Vec<u8>, rows: &[Row]) {
    for run in rows.chunk_by(|a, b| (a.code, a.latency_us != 0) == (b.code, b.latency_us != 0)) {
        varint::put(out, (run.len() as u64) << 1 | u64::from(run[0].latency_us != 0));
        out.push(run[0].code);
    }
}

/// How many rows have a latency; those rows are marked with a latency of 1.
fn take_outcomes(reader: &mut Reader<'_>, rows: &mut [Row]) -> Decoded<usize> {
    let (mut left, mut with_latency) = (rows, 0);
    while !left.is_empty() {
        let head = reader.number()?;
        let code = reader.byte()?;
        let count = usize::try_from(head >> 1).unwrap_or(usize::MAX);
        if count == 0 {
            return Err(Corrupt("an empty run"));
        }
        let (run, rest) = left.split_at_mut_checked(count).ok_or(Corrupt("more outcomes than slots"))?;
        for row in run.iter_mut() {
            row.code = code;
            row.latency_us = (head & 1) as u32;
        }
        with_latency += if head & 1 == 1 { count } else { 0 };
        left = rest;
    }
    Ok(with_latency)
}

/// A column that is zero nearly everywhere: (distance to the one before, value) of the others.
fn put_few(out: &mut Vec<u8>, rows: &[Row], value: impl Fn(&Row) -> u32) {
    varint::put(out, rows.iter().filter(|r| value(r) != 0).count() as u64);
    let mut last = 0;
    for (i, row) in rows.iter().enumerate() {
        let value = value(row);
        if value != 0 {
            varint::put(out, (i - last) as u64);
            varint::put(out, u64::from(value));
            last = i;
        }
    }
}

fn take_few(
    reader: &mut Reader<'_>,
    rows: &mut [Row],
    mut set: impl FnMut(&mut Row, u32) -> Decoded<()>,
) -> Decoded<()> {
    let count = reader.number()?;
    let mut at = 0_usize;
    for _ in 0..count {
        at = at.saturating_add(usize::try_from(reader.number()?).unwrap_or(usize::MAX));
        let row = rows.get_mut(at).ok_or(Corrupt("a value for no check"))?;
        set(row, reader.number_u32()?)?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "block_tests.rs"]
mod tests;
