//! How much is looked at, and how little is done at once, where accounts and bins are large.

use quaywatch_core::AccountId;
use rusqlite::params_from_iter;

use super::bin;
use super::tests::{database, place, serve};
use crate::conformance::{Bench, at, file_change, put, remove, wait};

fn plan(place: &std::path::Path, sql: &str, values: &[i64]) -> Vec<String> {
    let connection = database(place);
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("a statement");
    let rows = statement.query_map(params_from_iter(values), |row| row.get(3)).expect("a plan");
    rows.collect::<Result<_, _>>().expect("rows")
}

#[test]
fn of_an_account_only_what_lies_in_the_bin_is_looked_at() {
    let place = place();
    let _store = serve(place.path());
    let plan = plan(place.path(), &bin::beyond_sql(), &[1, 20, 1_000]);
    let of = |table: &str| plan.iter().find(|step| step.contains(table)).expect("it is looked at").as_str();
    // Of the index only what is in the bin is part; what is there is found by it and by nothing else.
    assert!(of("monitor_bin").starts_with("SEARCH m USING INDEX monitor_bin (removed_at>?)"), "{plan:?}");
    assert!(of("SEARCH i").contains("incident_monitor (account_id=? AND monitor_id=?)"), "{plan:?}");
    assert!(of("SEARCH o").contains("(account_id=? AND incident_id=?)"), "{plan:?}");
    assert!(!plan.iter().any(|step| step.starts_with("SCAN") && !step.contains("SCAN m")), "{plan:?}");
}

#[test]
fn what_lies_in_the_bin_is_counted_by_an_index_alone() {
    let place = place();
    let _store = serve(place.path());
    let plan = plan(place.path(), bin::IN_BIN, &[1, 20]);
    let steps: Vec<&String> = plan.iter().filter(|step| step.contains("monitor")).collect();
    assert_eq!(steps, ["SEARCH monitor USING COVERING INDEX monitor_name (account_id=?)"], "{plan:?}");
}

#[test]
fn of_accounts_with_few_channels_no_channel_is_read() {
    let place = place();
    let _store = serve(place.path());
    let plan = plan(place.path(), bin::BINS, &[20]);
    let mut steps: Vec<&String> = plan.iter().filter(|step| step.contains("_channel_")).collect();
    // What is asked for and given is one text, and counted in both places.
    steps.dedup();
    let all = "SCAN channel USING COVERING INDEX sqlite_autoindex_channel_1";
    let of_one = "SEARCH o USING INDEX sqlite_autoindex_channel_1 (account_id=?)";
    assert_eq!(steps, [all, of_one], "{plan:?}");
}

#[test]
fn a_large_bin_is_cut_in_pieces() {
    let place = place();
    let bench = Bench::open(&|| serve(place.path()));
    let names: Vec<String> = (0..500).map(|i| format!("host-{i}")).collect();
    bench.add(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let all = file_change(names.iter().map(|name| remove(name)).collect());
    wait(bench.account.apply(all, at(1))).expect("removed");
    wait(bench.account.apply(file_change(vec![put("lives", "{}")]), at(2))).expect("applied");

    let mut left = wait(bench.account.beyond_in_bin(20, 1_000)).expect("read");
    assert_eq!(left.len(), 480);
    let before = bench.system.gauges().upkeep_times.count();
    while !left.is_empty() {
        let count = left.len();
        left = wait(bench.account.purge(left)).expect("purged");
        assert!((1..=32).contains(&(count - left.len())), "{count}, then {}", left.len());
    }
    let pieces = bench.system.gauges().upkeep_times.count() - before;
    assert!(pieces >= 480 / 32, "{pieces} transactions");
    let rest = wait(bench.account.removed_monitors(None, 100)).expect("the bin");
    assert_eq!(rest.len(), 20);
    // Removed in one moment, those of the largest numbers count as the last.
    assert_eq!(rest.last().map(|row| row.monitor.name.as_str()), Some("host-480"));
    assert_eq!(wait(bench.system.bins(0)).expect("bins")[0].account, AccountId::DEFAULT);
}
