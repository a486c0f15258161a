//! One account brings very much at once; the checks of another are made as if nothing happened.

use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::{AccountId, ErrorCode, Job, MonitorId, Plan, Timestamp};

use super::super::Order;
use super::sim::{Sim, Target, every, job, own_job, plan};

const SMALL: AccountId = AccountId(1);
const LARGE: AccountId = AccountId(2);

/// How late each of the small account's checks was, in order. Its targets alone are at port 25.
fn lateness(sim: &Sim, interval: Duration) -> Vec<Duration> {
    let of_small = |dials: &[(Timestamp, crate::ports::Dial)]| {
        let late = dials.iter().filter(|(_, dial)| dial.address.port() == 25);
        let late = late.map(|(at, dial)| {
            let number = dial.address.to_string();
            let number = number.trim_end_matches(":25").rsplit('.').next().unwrap().parse().unwrap();
            let grid = quaywatch_core::schedule::Grid::new(MonitorId(number), interval);
            at.since(Timestamp::from_millis(grid.at_or_before(at.millis())))
        });
        late.collect::<Vec<_>>()
    };
    let mut late = of_small(&sim.world().dials);
    late.sort();
    late
}

fn p99(late: &[Duration]) -> Duration {
    late[late.len() * 99 / 100]
}

fn small(host: impl Fn(i64) -> String, plan: &Arc<Plan>) -> Vec<Job> {
    (1..=100).map(|id| Job { account: SMALL, port: 25, ..job(id, &host(id), plan) }).collect()
}

#[test]
fn a_hundred_thousand_monitors_come_change_and_go_and_delay_no_check_of_another_account() {
    // So few at once that the large account's dead targets would take all there is.
    let mut sim = Sim::new(|config| config.max_in_flight = 5_000);
    let fast = every(1);
    sim.add(small(|id| format!("192.0.2.{id}"), &fast));
    sim.run_s(10);
    sim.world().dials.clear();
    sim.run_s(20);
    let alone = lateness(&sim, Duration::from_secs(1));

    sim.world().usually = Target::Silent;
    for id in 1..=100 {
        sim.target(&format!("192.0.2.{id}:25"), Target::Open(Duration::from_millis(10)));
    }
    let slow = Arc::new(Plan { timeout: Duration::from_secs(3), ..plan(Duration::from_secs(30)) });
    let many = || (1_001..=101_000).map(|id| Job { account: LARGE, ..own_job(id, &slow) });
    sim.world().dials.clear();
    sim.add(many().collect());
    sim.run_s(20);
    assert!(sim.stats.queued.read() > 10_000, "the large account wants more than there is");
    let other = Arc::new(Plan { timeout: Duration::from_secs(4), ..(*slow).clone() });
    sim.add(many().map(|job| Job { plan: Arc::clone(&other), ..job }).collect());
    sim.run_s(10);
    sim.order(Order::Remove((1_001..=101_000).map(MonitorId).collect()));
    sim.run_s(5);
    assert_eq!(sim.stats.monitors.read(), 100);

    let crowded = lateness(&sim, Duration::from_secs(1));
    assert!(crowded.len() >= 3_490, "{}", crowded.len());
    println!("p99 alone {:?}, beside a hundred thousand {:?}", p99(&alone), p99(&crowded));
    assert!(p99(&crowded) <= p99(&alone) + Duration::from_millis(5), "{:?}", p99(&crowded));
}

#[test]
fn silent_names_of_one_account_delay_no_name_of_another() {
    let mut sim = Sim::new(|_| ());
    let fast = every(1);
    for id in 1..=100 {
        // Asked for again with each check.
        let ttl = Duration::from_millis(100);
        sim.name(&format!("n{id}.example"), &[&format!("192.0.2.{id}")], Duration::from_millis(20), ttl);
    }
    sim.add(small(|id| format!("n{id}.example"), &fast));
    sim.run_s(10);
    let slow = every(30);
    for id in 1_001..=21_000 {
        sim.name(&format!("n{id}.example"), &[], Duration::from_secs(60), Duration::ZERO);
        sim.change_name(&format!("n{id}.example"), |answer| answer.outcome = ErrorCode::DnsTimeout);
    }
    sim.world().dials.clear();
    let many = (1_001..=21_000).map(|id| Job { account: LARGE, ..job(id, &format!("n{id}.example"), &slow) });
    sim.add(many.collect());
    sim.run_s(30);
    assert!(sim.stats.resolving.read() > 15_000, "very many wait for their turn");
    let late = lateness(&sim, Duration::from_secs(1));
    assert!(late.len() >= 2_990, "{}", late.len());
    assert!(p99(&late) <= Duration::from_millis(40), "{:?}", p99(&late));
}

#[test]
fn a_person_who_asks_gets_a_check_that_began_later_even_where_one_waits_in_line() {
    let mut sim = Sim::new(|config| config.max_in_flight = 1);
    sim.world().usually = Target::Open(Duration::from_millis(500));
    let plan = every(60);
    sim.add(vec![job(1, "192.0.2.1", &plan), job(2, "192.0.2.2", &plan), job(3, "192.0.2.3", &plan)]);
    // Each of the three has its first look, one after another.
    sim.run(Duration::from_millis(100));
    let asked = sim.world().now.wall;
    sim.order(Order::CheckNow(MonitorId(3)));
    sim.run_s(5);
    let answer =
        sim.results().into_iter().find(|result| result.monitor == MonitorId(3) && result.slot > asked);
    assert!(answer.is_some(), "the look that waited is of before");
}
