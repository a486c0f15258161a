//! Blocks: round trips, damaged bytes, and what a block may cost.

use proptest::prelude::*;

use super::*;
use crate::blocks::key::HOUR_MS;

const BASE: i64 = 493_000 * HOUR_MS;
const KEY: i64 = 0x1234_5678;

fn row(slot_ms: i64, latency_us: u32) -> Row {
    Row {
        slot_ms: BASE + slot_ms,
        monitor: 7,
        latency_us,
        dns_us: 0,
        location: 3,
        code: 0,
        flags: 0,
        retransmits: 0,
    }
}

fn encode(rows: &[Row]) -> Vec<u8> {
    let mut out = Vec::new();
    BlockCodec::default().encode(rows, BASE, KEY, &mut out);
    out
}

fn back(bytes: &[u8]) -> Decoded<Vec<Row>> {
    let mut rows = Vec::new();
    decode(bytes, BASE, KEY, (7, 3), &mut rows).map(|()| rows)
}

/// An hour as it may come: a schedule with missed slots, a changed interval, rechecks, failures, marks.
fn any_hour() -> impl Strategy<Value = Vec<Row>> {
    let schedule =
        (0_i64..60_000, prop_oneof![Just(1_000_i64), Just(10_000), Just(60_000), 1_i64..400_000], 0_i64..400);
    let check = (
        prop_oneof![9 => Just(true), 1 => Just(false)],
        prop_oneof![Just(0_u32), 1_u32..3_000, 1_u32..3_000, any::<u32>()],
        prop_oneof![8 => Just(0_u32), 1 => any::<u32>()],
        prop_oneof![8 => Just(0_u8), 1 => any::<u8>()],
        prop_oneof![8 => Just(0_u8), 1 => any::<u8>()],
        prop_oneof![8 => Just(0_u8), 1 => any::<u8>()],
    );
    let beside = proptest::collection::vec(0..HOUR_MS, 0..12);
    (schedule, proptest::collection::vec(check, 0..400), beside, any::<bool>()).prop_map(
        |((phase, step, _), checks, beside, dns_everywhere)| {
            let mut rows: Vec<Row> = checks
                .iter()
                .enumerate()
                .map(|(i, check)| (phase + i as i64 * step, check))
                .chain(beside.iter().copied().zip(&checks))
                .filter(|(slot, check)| *slot < HOUR_MS && check.0)
                .map(|(slot, (_, latency, dns, code, flags, retransmits))| Row {
                    code: *code,
                    flags: *flags,
                    retransmits: *retransmits,
                    dns_us: if dns_everywhere { dns / 2 + 1_000 } else { *dns },
                    ..row(slot, *latency)
                })
                .collect();
            rows.sort_by_key(|r| r.slot_ms);
            rows.dedup_by_key(|r| r.slot_ms);
            rows
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_hour_survives_the_disk(rows in any_hour()) {
        prop_assert_eq!(back(&encode(&rows)), Ok(rows));
    }

    #[test]
    fn garbage_is_refused_without_a_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(back(&bytes).is_err());
        // With the right first byte and check sum, so that the columns themselves are read.
        bytes.insert(0, CODEC);
        varint::seal(&mut bytes, 0, KEY as u64);
        if let Ok(rows) = back(&bytes) {
            prop_assert!(rows.windows(2).all(|w| w[0].slot_ms < w[1].slot_ms));
        }
    }

    #[test]
    fn a_changed_byte_is_noticed_and_even_resealed_never_panics(
        rows in any_hour(), at in any::<proptest::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut bytes = encode(&rows);
        let at = at.index(bytes.len());
        if bytes[at] != byte {
            bytes[at] = byte;
            prop_assert!(back(&bytes).is_err());
            let mut body = bytes[..bytes.len() - 4].to_vec();
            varint::seal(&mut body, 0, KEY as u64);
            let _ = back(&body);
        }
    }
}

#[test]
fn a_block_is_refused_in_another_blocks_place() {
    let bytes = encode(&[row(5, 800)]);
    assert!(decode(&bytes, BASE, KEY + 1, (7, 3), &mut Vec::new()).is_err());
}

#[test]
fn a_regular_hour_without_failures_costs_its_latencies_and_a_few_bytes() {
    let same: Vec<Row> = (0..60).map(|i| row(31_415 + i * 60_000, 800)).collect();
    // Codec, head, count, start (3), step, median (2), k, a bit a check, check sum.
    assert_eq!(encode(&same).len(), 1 + 1 + 1 + 3 + 1 + 2 + 1 + 8 + 4);
}

#[test]
fn a_missing_check_costs_a_bit_and_a_recheck_a_few_bytes() {
    let full: Vec<Row> = (0..60).map(|i| row(31_415 + i * 60_000, 800)).collect();
    let mut gap = full.clone();
    gap.remove(17);
    assert!(encode(&gap).len() <= encode(&full).len() + 60 / 8 + 1);
    let mut recheck = full.clone();
    recheck.insert(18, Row { flags: RECHECK, ..row(31_415 + 17 * 60_000 + 5_123, 0) });
    recheck[18].code = 2;
    let grown = encode(&recheck).len() - encode(&full).len();
    assert!(grown <= 18, "{grown} bytes for a failed recheck");
    assert_eq!(back(&encode(&recheck)), Ok(recheck));
}

#[test]
fn ten_minutes_of_an_outage_cost_less_than_the_same_time_up() {
    let noisy = |i: i64| 800 + (i * 7_919 % 240) as u32;
    let up: Vec<Row> = (0..60).map(|i| row(31_415 + i * 60_000, noisy(i))).collect();
    let mut outage = up.clone();
    for row in &mut outage[20..30] {
        (row.code, row.latency_us) = (1, 0);
    }
    assert!(encode(&outage).len() <= encode(&up).len());
}
