//! When not all can go: bounds hold, accounts take turns, and nobody is left without a word.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::{AccountId, ErrorCode, Job, MonitorId, Plan, Timestamp, Verdict};
use quaywatch_net::Descriptors;

use super::sim::{START, Sim, Target, codes, every, own_job, plan};

#[test]
fn one_accounts_dead_targets_do_not_delay_another() {
    let mut sim = Sim::new(|config| config.max_in_flight = 100);
    let dead = Arc::new(Plan { timeout: Duration::from_secs(1), ..plan(Duration::from_secs(10)) });
    let well = every(10);
    sim.world().usually = Target::Silent;
    // 200 a second are wanted, 100 a second can be.
    let jobs = (1..=2_000).map(|id| Job { account: AccountId(1), ..own_job(id, &dead) });
    sim.add(jobs.collect());
    for id in 5_001..=5_100 {
        let job = Job { account: AccountId(2), ..own_job(id, &well) };
        sim.world()
            .targets
            .insert((job.literal().unwrap(), 5432).into(), Target::Open(Duration::from_millis(10)));
        sim.add(vec![job]);
    }
    sim.run_s(60);
    assert!(sim.world().most_flying <= 100);
    let results = sim.results();
    let small: Vec<_> = results.iter().filter(|result| result.monitor.0 > 5_000).collect();
    assert!(small.len() >= 590, "{}", small.len());
    assert!(small.iter().all(|result| result.code == ErrorCode::Ok));
    let late = sim.world().dials.iter().filter(|(_, dial)| dial.timeout == well.timeout).count();
    assert!(late >= 590);
    assert!(sim.stats.missed.read() > 0, "the large account has more than can be done");
}

#[test]
fn what_cannot_be_done_is_told_as_our_own_fault() {
    let mut sim = Sim::new(|config| config.max_in_flight = 10);
    let plan = Arc::new(Plan { timeout: Duration::from_secs(1), ..plan(Duration::from_secs(5)) });
    sim.world().usually = Target::Silent;
    sim.add((1..=500).map(|id| own_job(id, &plan)).collect());
    sim.run_s(60);
    let codes = codes(&sim.results());
    assert!(codes[&ErrorCode::SelfOverload] > 1_000, "{codes:?}");
}

#[test]
fn descriptors_bound_what_is_in_flight_and_their_lack_is_our_own_fault() {
    let descriptors = Descriptors::new(60, 40);
    let mut sim =
        Sim::with(|_| {}, quaywatch_core::egress::EgressPolicy::default(), Some(descriptors.clone()));
    let plan = Arc::new(Plan { timeout: Duration::from_secs(1), ..plan(Duration::from_secs(5)) });
    sim.world().usually = Target::Open(Duration::from_millis(900));
    sim.add((1..=500).map(|id| own_job(id, &plan)).collect());
    sim.run_s(60);
    assert_eq!(sim.world().most_flying, 20);
    let codes = codes(&sim.results());
    assert!(codes[&ErrorCode::SelfResource] > 1_000, "{codes:?}");
    assert!(codes.keys().all(|code| code.verdict() != Verdict::Down));
    drop(sim);
    assert_eq!(descriptors.in_use(), 0);
}

/// Freshness: each active monitor has a result or an `unknown` within 2 × max(interval, timeout + dns_timeout),
/// whatever goes wrong, the time that a look at the anchors and the loop take apart.
#[test]
fn no_monitor_is_ever_left_without_a_word() {
    let mut sim = Sim::new(|config| config.max_in_flight = 300);
    let plan = Arc::new(Plan {
        timeout: Duration::from_secs(2),
        dns_timeout: Duration::from_secs(1),
        ..plan(Duration::from_secs(5))
    });
    sim.name("slow.example", &["10.1.1.1"], Duration::from_secs(1), Duration::from_millis(100));
    let mut last: BTreeMap<MonitorId, Timestamp> = BTreeMap::new();
    for id in 1..=400 {
        let job = match id % 8 {
            0 => super::sim::job(id, "slow.example", &plan),
            _ => own_job(id, &plan),
        };
        let target = match id % 8 {
            1 => Target::Silent,
            2 => Target::Refuses,
            3 => Target::Lost,
            4 => Target::Unreachable,
            _ => Target::Open(Duration::from_millis(1_900)),
        };
        if let Some(ip) = job.literal() {
            sim.world().targets.insert((ip, 5432).into(), target);
        }
        last.insert(MonitorId(id), START);
        sim.add(vec![job]);
    }
    let limit = Duration::from_secs(10) + Duration::from_secs(4);
    for _ in 0..600 {
        sim.run(Duration::from_millis(200));
        let now = sim.world().now.wall;
        for result in sim.results() {
            last.insert(result.monitor, now);
        }
        for (monitor, at) in &last {
            assert!(now.since(*at) <= limit, "{monitor} has been silent for {:?}", now.since(*at));
        }
    }
    assert!(sim.stats.lost.read() > 0);
}
