//! Results and their sums through log, chunks, blocks and days.

use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::judge::Status;
use quaywatch_core::{CheckResult, ErrorCode, LocationId, MonitorId, ResultFlags, ShardId};

use super::configuration::retain;
use super::{Bench, HOUR, MINUTE, Open, SECOND, at, commit, failed, ok, state, step, wait, window};
use crate::ShardStore;
use crate::records::{CheckRow, Retention, ShardStep, SummaryRow};

const DAY_LENGTH: i64 = 24 * HOUR;

fn sort(bench: &Bench, ms: i64) {
    while wait(bench.system.sort_minutes(at(ms))).expect("sorted").is_some() {}
}

fn pack_hours(shard: &Arc<dyn ShardStore>, ms: i64) {
    while wait(shard.write_blocks(at(ms))).expect("packed").is_some() {}
}

fn pack_days(shard: &Arc<dyn ShardStore>, ms: i64) {
    while wait(shard.write_days(at(ms))).expect("packed").is_some() {}
}

/// Three hours of a minute's interval, with an outage, rechecks, marks and a missed check; committed minute by minute.
fn some_hours(id: MonitorId) -> Vec<CheckResult> {
    let mut results = Vec::new();
    for i in 0..180 {
        let slot = 31_415 + i * MINUTE;
        let latency = 700 + (i as u32 * 37) % 200;
        match i {
            70 => {}
            90..95 => {
                results.push(failed(id, slot, ErrorCode::TcpTimeout));
                let flags = ResultFlags::RECHECK;
                results.push(CheckResult { flags, ..failed(id, slot + 5 * SECOND, ErrorCode::TcpRefused) });
            }
            100 => results.push(CheckResult { code: ErrorCode::AddressPartial, ..ok(id, slot, latency) }),
            101 => {
                results.push(CheckResult { code: ErrorCode::SelfDns, latency_us: None, ..ok(id, slot, 1) });
            }
            110 => results.push(CheckResult { syn_retransmits: 1, dns_us: 1_234, ..ok(id, slot, 1_001_000) }),
            120 => results.push(CheckResult { flags: ResultFlags::FULL, ..ok(id, slot, latency) }),
            _ => results.push(ok(id, slot, latency)),
        }
    }
    results
}

fn commit_by_minutes(shard: &Arc<dyn ShardStore>, id: MonitorId, results: &[CheckResult]) {
    let minute = |result: &CheckResult| result.slot.millis() / MINUTE;
    for of_minute in results.chunk_by(|a, b| minute(a) == minute(b)) {
        let last = of_minute[of_minute.len() - 1].slot.millis() - super::DAY;
        commit(shard, ShardStep { results: of_minute.to_vec(), ..step(id, last + SECOND) });
    }
}

fn as_read(results: &[CheckResult]) -> Vec<CheckRow> {
    let mut rows: Vec<_> = results
        .iter()
        .map(|result| CheckRow {
            location: result.location,
            slot: result.slot,
            code: result.code,
            flags: result.flags,
            syn_retransmits: result.syn_retransmits,
            latency_us: result.latency_us.map(std::num::NonZeroU32::get),
            dns_us: result.dns_us,
        })
        .collect();
    rows.sort_by_key(|row| (row.slot, row.location));
    rows
}

/// Runs `look` while all is in the log, in chunks, half in blocks, in blocks, after a restart, and in a day's row.
fn in_every_layer(open: Open<'_>, look: impl Fn(&Bench, MonitorId, &[CheckResult], &str)) {
    let bench = Bench::open(open);
    let (id, shard) = bench.one();
    let results = some_hours(id);
    commit_by_minutes(&shard, id, &results);
    look(&bench, id, &results, "log");
    sort(&bench, 90 * MINUTE);
    look(&bench, id, &results, "half sorted");
    sort(&bench, 4 * HOUR);
    look(&bench, id, &results, "chunks");
    // The first hour's turn has come, no other's.
    pack_hours(&shard, HOUR + 59 * MINUTE);
    look(&bench, id, &results, "one block");
    pack_hours(&shard, 5 * HOUR);
    look(&bench, id, &results, "blocks");
    bench.close();
    let bench = Bench::open(open);
    look(&bench, id, &results, "after a restart");
    let shard = bench.own(id.shard().0);
    pack_days(&shard, 2 * DAY_LENGTH);
    look(&bench, id, &results, "still blocks");
    pack_days(&shard, 4 * DAY_LENGTH);
    look(&bench, id, &results, "a day");
    assert_eq!(wait(shard.write_days(at(4 * DAY_LENGTH))), Ok(None));
    assert_eq!(wait(shard.write_blocks(at(4 * DAY_LENGTH))), Ok(None));
    assert_eq!(wait(bench.system.sort_minutes(at(4 * DAY_LENGTH))), Ok(None));
}

pub(super) fn results_are_the_same_in_every_layer(open: Open<'_>) {
    in_every_layer(open, |bench, id, results, layer| {
        let all = wait(bench.account.results(id, window(0, DAY_LENGTH))).expect("results");
        assert_eq!(all, as_read(results), "{layer}");
        // A window: from is inside, to is not.
        let (from, to) = (31_415 + 50 * MINUTE, 31_415 + 130 * MINUTE);
        let some = wait(bench.account.results(id, window(from, to))).expect("results");
        let expected: Vec<_> =
            as_read(results).into_iter().filter(|r| (at(from)..at(to)).contains(&r.slot)).collect();
        assert_eq!(some, expected, "{layer}");
        assert!(bench.slots(id, window(-DAY_LENGTH, 0)).is_empty(), "{layer}");
        assert!(bench.slots(id, window(4 * HOUR, DAY_LENGTH)).is_empty(), "{layer}");
    });
}

pub(super) fn summaries_are_the_same_in_every_layer(open: Open<'_>) {
    let first = std::cell::RefCell::new(None::<Vec<SummaryRow>>);
    in_every_layer(open, |bench, id, results, layer| {
        let hours = wait(bench.account.summaries(id, window(0, DAY_LENGTH))).expect("summaries");
        let expected = first.borrow_mut().get_or_insert_with(|| hours.clone()).clone();
        assert_eq!(hours, expected, "{layer}");
        assert_eq!(
            hours.iter().map(|h| h.hour).collect::<Vec<_>>(),
            [at(0), at(HOUR), at(2 * HOUR)],
            "{layer}"
        );
        let outage = &hours[1].summary;
        assert_eq!((outage.up, outage.down, outage.degraded, outage.unknown), (52, 10, 1, 1), "{layer}");
        let latencies: Vec<u32> = as_read(results)
            .iter()
            .filter(|r| (at(HOUR)..at(2 * HOUR)).contains(&r.slot))
            .filter_map(|r| r.latency_us)
            .collect();
        assert_eq!(Some(&outage.min_us), latencies.iter().min(), "{layer}");
        assert_eq!(Some(&outage.max_us), latencies.iter().max(), "{layer}");
        assert_eq!(outage.sum_us, latencies.iter().map(|us| u64::from(*us)).sum::<u64>(), "{layer}");
        // An hour that is cut by the window is given whole.
        let cut = wait(bench.account.summaries(id, window(90 * MINUTE, 100 * MINUTE))).expect("summaries");
        assert_eq!(cut, expected[1..2], "{layer}");
    });
}

pub(super) fn a_check_is_given_once_however_often_it_came(open: Open<'_>) {
    let bench = Bench::open(open);
    let (id, shard) = bench.one();
    let first = ok(id, 10 * SECOND, 800);
    let again = failed(id, 10 * SECOND, ErrorCode::TcpRefused);
    let read = |layer: &str| {
        let rows = wait(bench.account.results(id, window(0, HOUR))).expect("results");
        assert_eq!(rows, as_read(std::slice::from_ref(&first)), "{layer}");
    };
    let send = |result: &CheckResult, ms| {
        commit(&shard, ShardStep { results: vec![result.clone(), result.clone()], ..step(id, ms) });
    };
    send(&first, 11 * SECOND);
    send(&again, 12 * SECOND);
    read("log");
    sort(&bench, 5 * MINUTE);
    send(&again, 6 * MINUTE);
    read("chunk and log");
    sort(&bench, 2 * HOUR);
    pack_hours(&shard, 3 * HOUR);
    send(&again, 3 * HOUR);
    read("block and log");
    sort(&bench, 4 * HOUR);
    pack_hours(&shard, 5 * HOUR);
    read("block");
    pack_days(&shard, 4 * DAY_LENGTH);
    send(&again, 4 * DAY_LENGTH);
    read("day and log");
    sort(&bench, 5 * DAY_LENGTH);
    pack_hours(&shard, 5 * DAY_LENGTH);
    read("day and block");
    pack_days(&shard, 8 * DAY_LENGTH);
    read("day");
}

pub(super) fn late_results_are_merged_into_what_is_packed(open: Open<'_>) {
    let bench = Bench::open(open);
    let (id, shard) = bench.one();
    let results = some_hours(id);
    let (late, in_time): (Vec<_>, Vec<_>) = results.iter().cloned().partition(|r| r.slot.millis() % 7 == 0);
    assert!(late.len() > 10 && in_time.len() > 100);
    let (later, late) = late.split_at(late.len() / 2);
    let all = |bench: &Bench| wait(bench.account.results(id, window(0, DAY_LENGTH))).expect("results");
    commit_by_minutes(&shard, id, &in_time);
    sort(&bench, 5 * HOUR);
    pack_hours(&shard, 5 * HOUR);
    commit(&shard, ShardStep { results: late.to_vec(), ..step(id, 6 * HOUR) });
    sort(&bench, 7 * HOUR);
    pack_hours(&shard, 7 * HOUR);
    assert_eq!(all(&bench), as_read(&[&in_time[..], late].concat()));
    pack_days(&shard, 4 * DAY_LENGTH);
    commit(&shard, ShardStep { results: later.to_vec(), ..step(id, 4 * DAY_LENGTH) });
    let complete = wait(bench.account.summaries(id, window(0, DAY_LENGTH))).expect("summaries");
    assert_eq!(complete.iter().map(|hour| hour.summary.checks()).sum::<u64>(), results.len() as u64);
    sort(&bench, 5 * DAY_LENGTH);
    pack_hours(&shard, 5 * DAY_LENGTH);
    assert_eq!(all(&bench), as_read(&results));
    pack_days(&shard, 8 * DAY_LENGTH);
    assert_eq!(all(&bench), as_read(&results));
    assert_eq!(wait(bench.account.summaries(id, window(0, DAY_LENGTH))), Ok(complete));
    let days = wait(bench.account.daily_summaries(id, window(0, DAY_LENGTH))).expect("a day");
    assert_eq!((days.len(), days[0].hour, days[0].summary.checks()), (1, at(0), results.len() as u64));
}

pub(super) fn locations_and_neighbours_are_kept_apart(open: Open<'_>) {
    let bench = Bench::open(open);
    let names: Vec<String> = (0..200).map(|i| format!("host-{i}")).collect();
    let ids = bench.add(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let elsewhere = LocationId(5);
    let of = |id: MonitorId| -> Vec<CheckResult> {
        let latency = id.0 as u32 * 10;
        (0..5)
            .flat_map(|i| {
                let here = ok(id, id.0 * 20 + i * MINUTE, latency);
                [CheckResult { location: elsewhere, ..ok(id, id.0 * 20 + i * MINUTE, latency + 1) }, here]
            })
            .collect()
    };
    let shards: Vec<_> = (0..64).map(|shard| bench.own(shard)).collect();
    for id in &ids {
        commit_by_minutes(&shards[usize::from(id.shard().0)], *id, &of(*id));
    }
    let check = |layer: &str| {
        for id in ids.iter().step_by(7) {
            let rows = wait(bench.account.results(*id, window(0, HOUR))).expect("results");
            assert_eq!(rows, as_read(&of(*id)), "{id} in {layer}");
            let hours = wait(bench.account.summaries(*id, window(0, HOUR))).expect("summaries");
            let said: Vec<_> = hours.iter().map(|h| (h.location, h.summary.up, h.summary.max_us)).collect();
            let latency = id.0 as u32 * 10;
            assert_eq!(
                said,
                [(LocationId::LOCAL, 5, latency), (elsewhere, 5, latency + 1)],
                "{id} in {layer}"
            );
        }
    };
    check("log");
    sort(&bench, HOUR);
    check("chunks");
    for shard in &shards {
        pack_hours(shard, 3 * HOUR);
    }
    check("blocks");
    for shard in &shards {
        pack_days(shard, 4 * DAY_LENGTH);
    }
    check("days");
}

pub(super) fn every_status_has_its_last_check(open: Open<'_>) {
    let bench = Bench::open(open);
    let ids = bench.add(&["often", "seldom", "never"]);
    let shards: Vec<_> = ids.iter().map(|id| bench.own(id.shard().0)).collect();
    let (often, seldom) = (ids[0], ids[1]);
    let send = |i: usize, result: CheckResult, ms| {
        let status = if result.code == ErrorCode::Ok { Status::Up } else { Status::Down };
        let states = vec![state(ids[i], status, ms)];
        commit(&shards[i], ShardStep { results: vec![result], states, ..step(ids[i], ms) });
    };
    send(1, failed(seldom, 10 * SECOND, ErrorCode::TcpRefused), 11 * SECOND);
    let check = |last: i64, layer: &str| {
        let statuses = wait(bench.account.statuses()).expect("statuses");
        let said: Vec<_> = statuses
            .iter()
            .map(|s| (s.monitor.id, s.status, s.code, s.last.map(|l| (l.slot, l.code))))
            .collect();
        let expected = [
            (often, Status::Up, ErrorCode::Ok, Some((at(last), ErrorCode::Ok))),
            (seldom, Status::Down, ErrorCode::TcpRefused, Some((at(10 * SECOND), ErrorCode::TcpRefused))),
            (ids[2], Status::Pending, ErrorCode::Ok, None),
        ];
        assert_eq!(said, expected, "{layer}");
    };
    send(0, ok(often, 20 * SECOND, 1), 21 * SECOND);
    check(20 * SECOND, "log");
    sort(&bench, HOUR);
    check(20 * SECOND, "chunks");
    send(0, ok(often, 2 * HOUR, 1), 2 * HOUR + SECOND);
    check(2 * HOUR, "chunks and log");
    sort(&bench, 3 * HOUR);
    for shard in &shards {
        pack_hours(shard, 2 * HOUR + 59 * MINUTE);
    }
    send(0, ok(often, 2 * HOUR + MINUTE, 1), 3 * HOUR);
    check(2 * HOUR + MINUTE, "block, chunk and log");
}

pub(super) fn a_clock_that_was_wrong_holds_nothing_up(open: Open<'_>) {
    let bench = Bench::open(open);
    let (id, shard) = bench.one();
    let (past, future) = (-super::DAY + HOUR, 20_000 * DAY_LENGTH);
    let results = [past, 10 * SECOND, future].map(|slot| ok(id, slot, 5)).to_vec();
    commit(&shard, ShardStep { results, states: vec![state(id, Status::Up, 0)], ..step(id, 11 * SECOND) });
    let everything = || bench.slots(id, window(-super::DAY, 30_000 * DAY_LENGTH));
    sort(&bench, HOUR);
    assert_eq!(everything(), [past, 10 * SECOND, future]);
    for shard in ShardId::all() {
        pack_hours(&bench.own(shard.0), 3 * HOUR);
        pack_days(&bench.own(shard.0), 4 * DAY_LENGTH);
    }
    assert_eq!(everything(), [past, 10 * SECOND, future]);
    assert_eq!(wait(bench.account.daily_summaries(id, window(0, DAY_LENGTH))).expect("days").len(), 1);
    assert!(wait(bench.account.statuses()).expect("statuses")[0].last.is_some());
}

pub(super) fn each_layer_is_deleted_after_its_own_time(open: Open<'_>) {
    let bench = Bench::open(open);
    let (id, shard) = bench.one();
    commit_by_minutes(&shard, id, &some_hours(id));
    sort(&bench, 5 * HOUR);
    for shard in ShardId::all() {
        let shard = bench.own(shard.0);
        pack_hours(&shard, 5 * HOUR);
        pack_days(&shard, 5 * DAY_LENGTH);
    }
    let raw = || bench.slots(id, window(0, DAY_LENGTH)).len();
    let hours = || wait(bench.account.summaries(id, window(0, DAY_LENGTH))).expect("summaries").len();
    let days = || wait(bench.account.daily_summaries(id, window(0, DAY_LENGTH))).expect("days").len();
    let mut retention = Retention::default();
    retain(&bench, retention, 30 * DAY_LENGTH);
    assert_eq!((raw(), hours(), days()), (184, 3, 1));
    retain(&bench, retention, 32 * DAY_LENGTH);
    assert_eq!((raw(), hours(), days()), (0, 3, 1));
    retain(&bench, retention, 398 * DAY_LENGTH);
    assert_eq!((raw(), hours(), days()), (0, 0, 1));
    retain(&bench, retention, 10_000 * DAY_LENGTH);
    assert_eq!(days(), 1);
    retention.daily = Some(Duration::from_secs(500 * 86_400));
    retain(&bench, retention, 502 * DAY_LENGTH);
    assert_eq!(days(), 0);
    // Nothing young is touched by the shortest of times.
    commit(&shard, ShardStep { results: vec![ok(id, HOUR, 5)], ..step(id, HOUR) });
    sort(&bench, 2 * HOUR);
    retain(&bench, Retention { raw: Duration::ZERO, ..retention }, 3 * HOUR);
    assert_eq!(raw(), 1);
}
