//! More is wanted of a target than it bears: everybody gets a turn.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use quaywatch_core::{AccountId, CheckResult, ErrorCode, Job, MonitorId, Plan, Timestamp, Verdict};

use super::super::Order;
use super::sim::{Sim, Target, codes, every, job, plan};
use crate::config::TargetBudget;

/// A check like no other of the same host and port.
fn different(id: i64, interval: Duration) -> Job {
    let plan = Plan { timeout: Duration::from_millis(2_000 + id as u64), ..plan(interval) };
    job(id, "10.1.1.1", &Arc::new(plan))
}

fn at_most(per_port: u32, per_address: u32) -> Sim {
    Sim::new(|config| config.budget = Some(TargetBudget { per_port, per_address }))
}

/// For every monitor, the fewest checks in any minute of these results, minutes beginning with each second.
fn fewest_a_minute(results: &[CheckResult], from: Timestamp, seconds: u64) -> BTreeMap<MonitorId, usize> {
    let mut made: BTreeMap<MonitorId, Vec<u64>> = BTreeMap::new();
    for result in results {
        let times = made.entry(result.monitor).or_default();
        if result.code == ErrorCode::Ok {
            times.push(result.slot.since(from).as_secs());
        }
    }
    let fewest = |times: &Vec<u64>| {
        let within = |second: u64| times.iter().filter(|at| (second..second + 60).contains(*at)).count();
        (0..=seconds - 60).map(within).min().expect("there is a minute")
    };
    made.iter().map(|(monitor, times)| (*monitor, fewest(times))).collect()
}

/// Runs until everything goes its way, then for some minutes; returns the fewest checks of each monitor in a minute.
fn minutes(sim: &mut Sim, settle_s: u64, seconds: u64) -> BTreeMap<MonitorId, usize> {
    sim.run_s(settle_s);
    sim.results();
    sim.world().dials.clear();
    let from = sim.world().now.wall;
    sim.run_s(seconds + 2);
    fewest_a_minute(&sim.results(), from, seconds)
}

#[test]
fn a_hundred_that_share_one_port_are_all_checked_in_turn() {
    let mut sim = at_most(20, 100);
    sim.add((1..=100).map(|id| different(id, Duration::from_secs(1))).collect());
    let fewest = minutes(&mut sim, 20, 120);
    assert_eq!(fewest.len(), 100);
    // Twenty a second for a hundred: twelve a minute for each.
    assert!(fewest.values().all(|n| (11..=12).contains(n)), "{fewest:?}");
    let dials = sim.world().dials.len();
    assert!((2_420..=2_460).contains(&dials), "the budget is used, and no more than it: {dials} in 122 s");
}

#[test]
fn identical_ones_share_instead() {
    let mut sim = at_most(20, 100);
    let plan = every(1);
    sim.add((1..=100).map(|id| job(id, "10.1.1.1", &plan)).collect());
    let fewest = minutes(&mut sim, 20, 60);
    assert!(fewest.values().all(|n| *n >= 59), "{fewest:?}");
    assert!(sim.world().dials.len() <= 62 * 20);
}

#[test]
fn a_slow_one_gets_its_few_checks_among_many_fast_ones() {
    let mut sim = at_most(20, 100);
    sim.add((1..=100).map(|id| different(id, Duration::from_secs(1))).collect());
    sim.add(vec![different(101, Duration::from_secs(20))]);
    let fewest = minutes(&mut sim, 20, 120);
    assert!(fewest[&MonitorId(101)] >= 2, "{fewest:?}");
    assert!(fewest.values().all(|n| *n >= 2 && *n <= 12));
}

#[test]
fn ports_of_one_address_take_turns_too() {
    let mut sim = at_most(20, 100);
    let port = |id: i64| Job { port: 1_000 + (id % 50) as u16, ..different(id, Duration::from_secs(1)) };
    sim.add((1..=300).map(port).collect());
    let fewest = minutes(&mut sim, 20, 120);
    // A hundred a second for three hundred, though no port by itself has too many.
    assert!(fewest.values().all(|n| (19..=21).contains(n)), "{fewest:?}");
}

#[test]
fn who_waits_may_leave_move_and_be_asked_for() {
    let mut sim = at_most(5, 100);
    sim.world().usually = Target::Open(Duration::from_millis(300));
    let second = Duration::from_secs(1);
    sim.add((1..=100).map(|id| different(id, second)).collect());
    sim.run_s(10);
    (1..=100).for_each(|id| sim.order(Order::CheckNow(MonitorId(id))));
    sim.order(Order::Remove((1..=94).map(MonitorId).collect()));
    let elsewhere = |id| Job { host: job(id, "10.1.1.2", &every(1)).host, ..different(id, second) };
    sim.add((95..=97).map(elsewhere).collect());
    sim.run_s(5);
    sim.results();
    sim.run_s(60);
    let results = sim.results();
    let codes = codes(&results);
    assert_eq!(
        codes.keys().collect::<Vec<_>>(),
        [&ErrorCode::Ok],
        "six on two targets are no crowd: {codes:?}"
    );
    assert!(codes[&ErrorCode::Ok] >= 355);
    assert_eq!(sim.machine.lines.len(), 0, "nobody stands in line for nothing");
}

/// One account brings a thousand monitors of an address that another looks at every two seconds.
#[test]
fn what_one_account_brings_blinds_no_other_at_the_same_target() {
    for port in [5432, 6000] {
        let mut sim = at_most(20, 100);
        let own = |id| Job { account: AccountId(1), ..different(id, Duration::from_secs(2)) };
        sim.add((1..=5).map(own).collect());
        sim.run_s(20);
        sim.results();
        let theirs = |id: i64| Job {
            account: AccountId(2),
            // At the port of the others, or at many other ports of the address.
            port: if port == 5432 { port } else { port + (id % 100) as u16 },
            ..different(id, Duration::from_secs(if id < 1_500 { 3_600 } else { 1 }))
        };
        sim.add((1_000..2_000).map(theirs).collect());
        sim.run_s(60);
        let own: Vec<_> = sim.results().into_iter().filter(|result| result.monitor.0 < 1_000).collect();
        assert!(own.iter().all(|result| result.code == ErrorCode::Ok), "{:?}", codes(&own));
        assert!((146..=154).contains(&own.len()), "every slot had its check: {}", own.len());
    }
}

#[test]
fn a_clock_that_is_set_leaves_nobody_in_line() {
    let mut sim = at_most(20, 100);
    sim.add((1..=100).map(|id| different(id, Duration::from_secs(1))).collect());
    sim.run_s(20);
    sim.set_clock(3_600_000);
    let fewest = minutes(&mut sim, 20, 120);
    assert!(fewest.values().all(|n| (11..=12).contains(n)), "{fewest:?}");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        rng_seed: RngSeed::Fixed(6),
        ..ProptestConfig::default()
    })]

    /// Over any minute, each of N monitors that are too many for a budget of B a second is checked at least
    /// floor(60 × B ÷ N) − 1 times; and nobody is said to be down for it.
    #[test]
    fn whoever_was_passed_over_comes_first(
        budget in 2_u32..40,
        crowd in 1.05_f64..12.0,
        interval_s in 1_u64..=6,
        first in 0_i64..100_000,
        answers_ms in 1_u64..400,
    ) {
        let wanted = f64::from(budget) * crowd * interval_s as f64;
        let n = (wanted.ceil() as i64).min(1_500);
        let mut sim = at_most(budget, 1_000);
        sim.world().usually = Target::Open(Duration::from_millis(answers_ms));
        let interval = Duration::from_secs(interval_s);
        sim.add((1..=n).map(|id| different(first + id, interval)).collect());
        let round = n as u64 / u64::from(budget);
        let fewest = minutes(&mut sim, 10 + 2 * round, 150);
        let fair = (60 * budget as usize / n as usize).saturating_sub(1);
        let worst = fewest.values().min().copied().unwrap_or(0);
        prop_assert!(worst >= fair, "{worst} of {fair}: {n} at {interval:?}, {budget} a second");
        prop_assert_eq!(fewest.len(), n as usize);
        let dials = sim.world().dials.len();
        prop_assert!(dials <= 153 * budget as usize + budget as usize, "{dials}");
    }
}

#[test]
fn who_is_passed_over_is_never_down() {
    let mut sim = at_most(20, 100);
    sim.add((1..=400).map(|id| different(id, Duration::from_secs(2))).collect());
    sim.run_s(60);
    let results = sim.results();
    assert!(results.iter().all(|result| result.verdict() != Verdict::Down));
    assert!(codes(&results).contains_key(&ErrorCode::SelfOverload));
}
