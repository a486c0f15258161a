//! Identical checks and busy targets: one dial for many where that is honest, and never more than a target bears.

use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::{AccountId, ErrorCode, Job, MonitorId, Plan, ResultFlags, Speech, Verdict};

use super::super::Order;
use super::sim::{Sim, Target, codes, every, job, plan};
use crate::config::TargetBudget;

#[test]
fn identical_checks_share_one_observation_as_rows_of_their_own() {
    let mut sim = Sim::new(|config| config.budget = None);
    let plan = every(10);
    sim.add((1..=1_000).map(|id| job(id, "10.1.1.1", &plan)).collect());
    sim.run_s(15);
    sim.results();
    sim.world().dials.clear();
    let shared_before = sim.stats.shared.read();
    sim.run_s(10);
    let results = sim.results();
    assert!((990..=1_010).contains(&results.len()), "{}", results.len());
    let dials = sim.world().dials.len();
    assert!((9..=11).contains(&dials), "one a second: {dials}");
    let shared = results.iter().filter(|result| result.flags.has(ResultFlags::SHARED)).count() as u64;
    assert!(shared >= 980 && sim.stats.shared.read() - shared_before >= shared);
    assert!(results.iter().all(|result| result.latency_us.is_some()));
}

#[test]
fn what_differs_is_not_shared() {
    let mut sim = Sim::new(|config| config.budget = None);
    let one = every(60);
    let other = Arc::new(Plan { timeout: Duration::from_secs(3), ..plan(Duration::from_secs(60)) });
    let talk = Arc::new(Plan { send: Some(Speech::Open(b"x"[..].into())), ..plan(Duration::from_secs(60)) });
    sim.world().usually = Target::Open(Duration::from_millis(900));
    let with_port = |job: Job, port| Job { port, ..job };
    sim.add(vec![
        job(1, "10.1.1.1", &one),
        job(2, "10.1.1.1", &other),
        job(3, "10.1.1.2", &one),
        with_port(job(4, "10.1.1.1", &one), 80),
        job(5, "10.1.1.1", &talk),
        job(6, "10.1.1.1", &talk),
    ]);
    (1..=6).for_each(|id| sim.order(Order::CheckNow(MonitorId(id))));
    sim.run_s(1);
    assert_eq!((sim.results().len(), sim.world().dials.len()), (6, 6));
}

#[test]
fn a_recheck_never_takes_an_observation_begun_before_it_was_due() {
    let mut sim = Sim::new(|config| config.budget = None);
    let slow = every(3_600);
    sim.add(vec![job(1, "10.1.1.1", &slow), job(2, "10.1.1.1", &slow)]);
    sim.run_s(60);
    sim.results();
    sim.world().dials.clear();
    sim.world().usually = Target::Open(Duration::from_millis(500));
    sim.order(Order::CheckNow(MonitorId(1)));
    sim.run(Duration::from_millis(200));
    sim.order(Order::CheckNow(MonitorId(2)));
    sim.run_s(1);
    assert_eq!(sim.world().dials.len(), 2, "it looked for itself");
    let results = sim.results();
    assert!(results.iter().all(|result| !result.flags.has(ResultFlags::SHARED)));
}

#[test]
fn a_removed_monitor_hands_its_flight_to_those_who_ride_along() {
    let mut sim = Sim::new(|config| config.budget = None);
    sim.world().usually = Target::Open(Duration::from_millis(3_000));
    let plan = every(5);
    sim.add((1..=100).map(|id| job(id, "10.1.1.1", &plan)).collect());
    sim.run_s(2);
    let flyers: Vec<MonitorId> = (1..=50).map(MonitorId).collect();
    sim.order(Order::Remove(flyers));
    sim.run_s(10);
    let results = sim.results();
    assert!(results.iter().all(|result| result.monitor.0 > 50));
    assert!(results.len() >= 100);
    // Nothing is left of them.
    sim.order(Order::Remove((51..=100).map(MonitorId).collect()));
    sim.run_s(5);
    assert_eq!((sim.machine.flights.len(), sim.machine.roster.len()), (0, 0));
}

fn different(id: i64, plan: &Arc<Plan>) -> Job {
    let plan = Arc::new(Plan { timeout: Duration::from_millis(2_000 + id as u64), ..(**plan).clone() });
    job(id, "10.1.1.1", &plan)
}

#[test]
fn a_target_is_hit_twenty_times_a_second_at_most() {
    let mut sim = Sim::new(|_| {});
    let plan = every(10);
    // 60 a second are wanted, none like the other.
    sim.add((1..=600).map(|id| different(id, &plan)).collect());
    sim.run_s(20);
    sim.results();
    sim.world().dials.clear();
    sim.run_s(30);
    let dials = sim.world().dials.len();
    assert!((590..=625).contains(&dials), "{dials} in 30 s");
    let results = sim.results();
    let codes = codes(&results);
    assert!(
        codes.contains_key(&ErrorCode::SelfOverload),
        "what is skipped twice in a row is told: {codes:?}"
    );
    assert!(sim.stats.over_budget.read() > 0 && sim.stats.delayed.read() > 0);
    assert!(results.iter().all(|result| result.verdict() != Verdict::Down));
}

#[test]
fn within_the_budget_a_crowd_is_only_delayed() {
    let mut sim = Sim::new(|config| config.budget = Some(TargetBudget { per_port: 20, per_address: 100 }));
    let plan = every(30);
    // Ten a second on average, but all at once.
    sim.add((1..=300).map(|id| different(id, &plan)).collect());
    sim.run_s(31);
    sim.results();
    sim.world().dials.clear();
    (1..=300).for_each(|id| sim.order(Order::CheckNow(MonitorId(id))));
    sim.run_s(14);
    assert!(sim.world().dials.len() <= 20 * 15 + 20, "{}", sim.world().dials.len());
    sim.run_s(16);
    assert_eq!(codes(&sim.results()).into_keys().collect::<Vec<_>>(), [ErrorCode::Ok]);
}

#[test]
fn accounts_share_only_under_the_same_policy() {
    use quaywatch_core::egress::{Accounts, EgressPolicy};
    let egress = EgressPolicy::new(Accounts::Multi, vec![], vec![]);
    let mut sim = Sim::with(|_| {}, egress, None);
    let plan = every(60);
    // Account 1 is the server's own and may dial private addresses; account 7 may not, and must not see them through
    // account 1's check either.
    let foreign = Job { account: AccountId(7), ..job(2, "10.1.1.1", &plan) };
    sim.add(vec![job(1, "10.1.1.1", &plan), foreign]);
    (1..=2).for_each(|id| sim.order(Order::CheckNow(MonitorId(id))));
    sim.run_s(1);
    let results = sim.results();
    let of = |id: i64| results.iter().find(|result| result.monitor == MonitorId(id)).unwrap().code;
    assert_eq!((of(1), of(2)), (ErrorCode::Ok, ErrorCode::PolicyBlocked));
}

#[test]
fn a_policy_that_parts_accounts_parts_their_checks() {
    use quaywatch_core::egress::{Accounts, EgressPolicy};
    let mut sim = Sim::new(|config| config.budget = None);
    let plan = every(10);
    let foreign = |id| Job { account: AccountId(7), ..job(id, "10.1.1.1", &plan) };
    sim.add((1..=20).map(|id| job(id, "10.1.1.1", &plan)).chain((21..=40).map(foreign)).collect());
    sim.run_s(12);
    assert!(sim.results().iter().all(|result| result.code == ErrorCode::Ok));
    assert!(sim.stats.shared.read() > 0);
    sim.order(Order::Bind(EgressPolicy::new(Accounts::Multi, vec![], vec![])));
    sim.run_s(12);
    for result in
        sim.results().iter().filter(|result| result.slot > sim.world().now.wall - Duration::from_secs(11))
    {
        let wanted = if result.monitor.0 > 20 { ErrorCode::PolicyBlocked } else { ErrorCode::Ok };
        assert_eq!(result.code, wanted);
    }
}
