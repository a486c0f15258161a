//! Packed keys. One signed 64-bit number is the row's id in the engine, so a key costs no index of its own; the shard
//! stands before the monitor, so that a shard's hour is written and deleted as one range.

use quaywatch_core::{MonitorId, ShardId};

/// Milliseconds of an hour.
pub(crate) const HOUR_MS: i64 = 3_600_000;
/// Milliseconds of a day.
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;

const LOCATION_BITS: u32 = 11;
const MONITOR_BITS: u32 = 26;
const SHARD_BITS: u32 = 6;
const SEQUENCE_BITS: u32 = 16;
const PERIOD_MAX: i64 = (1 << 20) - 1;

/// `period:20 | shard:6 | monitor div 64:26 | location:11`; the period is an hour (blocks) or a day (days).
pub(crate) const fn block(period: i64, shard: u8, monitor: u32, location: u16) -> i64 {
    (((period << SHARD_BITS | shard as i64) << MONITOR_BITS) | monitor as i64) << LOCATION_BITS
        | location as i64
}

/// The smallest key of a shard in a period; that of the next shard is the end of the range.
pub(crate) const fn block_range(period: i64, shard: u8) -> (i64, i64) {
    let start = block(period, shard, 0, 0);
    (start, start + (1 << (MONITOR_BITS + LOCATION_BITS)))
}

/// The keys of all locations of one monitor, both ends included.
pub(crate) const fn block_of_monitor(period: i64, monitor: MonitorId) -> (i64, i64) {
    let start = block(period, (monitor.0 & 63) as u8, (monitor.0 >> 6) as u32, 0);
    (start, start + (1 << LOCATION_BITS) - 1)
}

pub(crate) const fn block_period(key: i64) -> i64 {
    key >> (LOCATION_BITS + MONITOR_BITS + SHARD_BITS)
}

pub(crate) const fn block_monitor(key: i64) -> u32 {
    ((key >> LOCATION_BITS) & ((1 << MONITOR_BITS) - 1)) as u32
}

pub(crate) const fn block_location(key: i64) -> u16 {
    (key & ((1 << LOCATION_BITS) - 1)) as u16
}

/// `hour:20 | shard:6 | sequence:16`: the sequence is the minute in which the results were committed, counted from
/// the hour of their slots.
pub(crate) const fn chunk(hour: i64, shard: u8, sequence: u16) -> i64 {
    (hour << SHARD_BITS | shard as i64) << SEQUENCE_BITS | sequence as i64
}

/// The keys of a shard's hour; the end is not included.
pub(crate) const fn chunk_range(hour: i64, shard: u8) -> (i64, i64) {
    let start = chunk(hour, shard, 0);
    (start, start + (1 << SEQUENCE_BITS))
}

pub(crate) const fn chunk_hour(key: i64) -> i64 {
    key >> (SEQUENCE_BITS + SHARD_BITS)
}

/// `shard:6 | monitor div 64:26`: the key of a row a monitor, so that a shard is loaded as one range.
/// A number that no monitor can have gets a key that no row has, and not that of another monitor.
pub(crate) const fn monitor(id: MonitorId) -> i64 {
    if id.0 < 0 || id.0 > u32::MAX as i64 {
        return -1;
    }
    (id.0 & 63) << MONITOR_BITS | id.0 >> 6
}

/// The monitor of such a key.
pub(crate) const fn monitor_of(key: i64) -> MonitorId {
    MonitorId((key & ((1 << MONITOR_BITS) - 1)) << 6 | key >> MONITOR_BITS)
}

/// The keys of a shard's monitors; the end is not included.
pub(crate) const fn monitor_range(shard: ShardId) -> (i64, i64) {
    ((shard.0 as i64) << MONITOR_BITS, (shard.0 as i64 + 1) << MONITOR_BITS)
}

/// The hour in which a slot lies. Slots before 1970 and after 2089 do not exist; they are cut to the ends.
pub(crate) fn hour_of(slot_ms: i64) -> i64 {
    slot_ms.div_euclid(HOUR_MS).clamp(0, PERIOD_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_unpack_to_what_was_packed_and_stay_positive() {
        let key = block(PERIOD_MAX, 63, (1 << 26) - 1, 2047);
        assert_eq!(key, i64::MAX);
        let key = block(493_000, 5, 70_000, 3);
        assert_eq!((block_period(key), block_monitor(key), block_location(key)), (493_000, 70_000, 3));
        let id = MonitorId(70_000 * 64 + 5);
        assert_eq!(block_of_monitor(493_000, id).0, key - 3);
        assert_eq!(monitor_of(monitor(id)), id);
        let (from, to) = monitor_range(id.shard());
        assert!((from..to).contains(&monitor(id)));
        assert_eq!(chunk_hour(chunk(493_000, 63, 65_535)), 493_000);
    }
}
