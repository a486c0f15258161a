//! Stopped, asleep, or with its clock set: what was in flight says nothing, nothing is made up for, and checks go on.

use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::schedule::Grid;
use quaywatch_core::{ErrorCode, MonitorId, Plan, ResultFlags, Timestamp};

use super::sim::{START, Sim, Target, codes, every, own_job, plan};
use crate::sink::Sight;

const HOUR_MS: i64 = 3_600_000;

/// 1,000 monitors at 10 s that answer after 300 ms: some 30 are in flight at any time.
fn busy() -> Sim {
    let mut sim = Sim::new(|_| {});
    let plan = every(10);
    sim.world().usually = Target::Open(Duration::from_millis(300));
    sim.add((1..=1_000).map(|id| own_job(id, &plan)).collect());
    sim.run_s(25);
    sim.results();
    sim.world().dials.clear();
    sim
}

#[test]
fn a_stopped_process_voids_what_was_in_flight_and_makes_up_for_nothing() {
    let mut sim = busy();
    let in_flight = sim.machine.flights.len() as u64;
    assert!(in_flight > 10);
    let stopped_at = sim.world().now.wall;
    // All of it would look like timeouts: the answers came, and nobody was there.
    sim.pass(Duration::from_secs(30));
    sim.world().usually = Target::Open(Duration::from_millis(10));
    let back_at = sim.world().now.wall;
    sim.turn();
    assert_eq!(sim.stats.void.read(), in_flight);
    assert_eq!(sim.stats.stalls.read(), 1);
    assert_eq!(sim.sight(), [Sight::Void { from: stopped_at, to: back_at, code: ErrorCode::SelfStall }]);
    assert!(sim.world().dials.is_empty(), "no burst");
    let missed = sim.stats.missed.read();
    assert!((2_990..=3_010).contains(&missed), "three slots each: {missed}");
    sim.run_s(10);
    let results = sim.results();
    assert_eq!(codes(&results).into_keys().collect::<Vec<_>>(), [ErrorCode::Ok], "no failure");
    assert!((985..1_000 + in_flight as usize + 10).contains(&results.len()), "{}", results.len());
    let mut per_second = [0; 11];
    for (at, _) in &sim.world().dials {
        per_second[(at.since(back_at).as_millis() / 1_000) as usize] += 1;
    }
    assert!(per_second.iter().all(|n| *n < 150), "{per_second:?}");
    assert_eq!(sim.stats.missed.read(), missed);
}

#[test]
fn reports_that_waited_while_the_process_was_stopped_are_not_believed() {
    let mut sim = Sim::new(|_| {});
    let plan = Arc::new(Plan { timeout: Duration::from_secs(2), ..plan(Duration::from_secs(60)) });
    sim.add(vec![own_job(1, &plan)]);
    sim.world().usually = Target::Silent;
    sim.run_s(1);
    assert_eq!(sim.machine.flights.len(), 1);
    // The prober's own thread wakes first and reports a timeout; then the runner looks at the clock.
    sim.pass(Duration::from_secs(20));
    sim.turn();
    assert_eq!(sim.results(), [], "a timeout that nobody waited for");
}

#[test]
fn a_short_delay_is_lateness_and_nothing_else() {
    let mut sim = busy();
    sim.pass(Duration::from_millis(900));
    sim.run_s(10);
    assert_eq!((sim.stats.stalls.read(), sim.stats.void.read(), sim.stats.missed.read()), (0, 0, 0));
    let lateness = sim.stats.lateness.read();
    assert!((800_000..=910_000).contains(&lateness.max_us), "{}", lateness.max_us);
}

#[test]
fn an_hour_forward_voids_and_goes_on_by_the_new_time() {
    let mut sim = busy();
    let in_flight = sim.machine.flights.len() as u64;
    let from = sim.world().now.wall;
    sim.set_clock(HOUR_MS);
    sim.pass(Duration::from_millis(5));
    sim.turn();
    assert_eq!((sim.stats.wall_steps.read(), sim.stats.void.read()), (1, in_flight));
    let sight = sim.sight();
    assert!(
        matches!(sight[..], [Sight::Void { from: f, code: ErrorCode::SelfClock, to }]
            if f == from && to >= from + Duration::from_secs(3_600)),
        "{sight:?}"
    );
    let since = sim.world().now.wall;
    sim.run_s(10);
    let results = sim.results();
    assert_eq!(codes(&results).into_keys().collect::<Vec<_>>(), [ErrorCode::Ok]);
    assert!((950..1_100).contains(&results.len()), "{}", results.len());
    assert!(results.iter().all(|result| result.slot >= since));
    assert!(sim.stats.missed.read() >= 359_000, "an hour of slots did not happen");
}

#[test]
fn an_hour_back_goes_on_at_once_and_repeats_no_slot() {
    let mut sim = Sim::new(|_| {});
    let plan = every(10);
    sim.add(vec![own_job(1, &plan)]);
    sim.run_s(3_700);
    let before = sim.results();
    sim.set_clock(-HOUR_MS);
    sim.run_s(7_200);
    let after = sim.results();
    assert_eq!(codes(&after).into_keys().collect::<Vec<_>>(), [ErrorCode::Ok]);
    assert!((720..=722).contains(&after.len()), "one each 10 s: {}", after.len());
    assert!(after.iter().all(|result| before.iter().all(|old| old.slot != result.slot)), "a slot came twice");
    // On the old ground off the grid by a millisecond, on the new on it.
    let grid = Grid::new(MonitorId(1), Duration::from_secs(10));
    let old_end = START + Duration::from_secs(3_700);
    for result in &after {
        let is_old = result.slot <= old_end;
        assert!(grid.has(result.slot.millis() - i64::from(is_old)), "{}", result.slot);
        assert_eq!(result.flags.has(ResultFlags::RECHECK), is_old);
    }
}

#[test]
fn two_seconds_of_correction_are_left_alone() {
    let mut sim = busy();
    sim.set_clock(1_900);
    sim.run_s(10);
    assert_eq!((sim.stats.wall_steps.read(), sim.stats.void.read()), (0, 0));
    assert_eq!(sim.stats.missed.read(), 0);
    let latest = sim.results().iter().map(|result| result.slot).max().unwrap();
    assert!(latest < START + Duration::from_secs(36), "slots follow the time that passed: {latest}");
    assert!(latest > Timestamp(START.0 + 34_000_000));
}

#[test]
fn a_check_that_was_thrown_away_is_made_again_soon() {
    let mut sim = Sim::new(|_| {});
    let plan = every(86_400);
    sim.world().usually = Target::Open(Duration::from_secs(3));
    sim.add((1..=50).map(|id| own_job(id, &plan)).collect());
    sim.run_s(1);
    sim.pass(Duration::from_secs(600));
    sim.run_s(35);
    let results = sim.results();
    assert_eq!(results.len(), 50, "not a day later");
    assert_eq!(codes(&results).into_keys().collect::<Vec<_>>(), [ErrorCode::Ok]);
}
