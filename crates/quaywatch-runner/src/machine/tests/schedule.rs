//! Every slot has its check, once; any number of monitors is spread; changes move nobody else.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use quaywatch_core::schedule::{Grid, Millis};
use quaywatch_core::{CheckResult, Epoch, ErrorCode, Job, MonitorId, Plan, ResultFlags, Timestamp};

use super::super::Order;
use super::sim::{START, Sim, Target, codes, every, job, own_job, plan};

#[test]
fn a_hundred_thousand_monitors_start_without_a_burst_and_run_on_time() {
    let mut sim = Sim::new(|_| {});
    let plan = every(10);
    sim.add((1..=100_000).map(|id| own_job(id, &plan)).collect());
    sim.run_s(30);
    let results = sim.results();
    assert_eq!(codes(&results).keys().collect::<Vec<_>>(), [&ErrorCode::Ok]);
    let dials: Vec<i64> = sim.world().dials.iter().map(|(at, _)| at.millis()).collect();
    assert!(dials[0] - START.millis() < 500, "the first check is soon");
    let mut per_half_second = BTreeMap::new();
    for at in dials {
        *per_half_second.entry(at / 500).or_insert(0) += 1;
    }
    // 5,000 each half second, and at most 500 first looks while they last.
    assert!(per_half_second.values().all(|n| *n < 6_000), "{per_half_second:?}");
    let lateness = sim.stats.lateness.read();
    assert!(lateness.max_us <= 6_000, "{lateness:?}");
    assert_eq!((sim.stats.missed.read(), sim.stats.overlapped.read()), (0, 0));
}

#[test]
fn new_monitors_get_a_first_look_soon_whatever_their_interval() {
    let mut sim = Sim::new(|_| {});
    let plan = every(86_400);
    sim.add((1..=100).map(|id| own_job(id, &plan)).collect());
    sim.run_s(1);
    let results = sim.results();
    assert_eq!(results.len(), 100);
    assert!(results.iter().all(|result| result.flags.has(ResultFlags::RECHECK)), "off their grid");
}

#[test]
fn rechecks_come_when_asked_for_and_move_no_slot() {
    let mut sim = Sim::new(|_| {});
    let plan = every(60);
    sim.add(vec![own_job(1, &plan)]);
    let grid = Grid::new(MonitorId(1), Duration::from_secs(60));
    sim.run_s(60);
    sim.results();
    // Somewhere before the next slot.
    let at = sim.world().now.wall + Duration::from_millis(1_234);
    sim.order(Order::Recheck(vec![(MonitorId(1), at), (MonitorId(99), at)]));
    sim.run_s(120);
    let results = sim.results();
    let slots: Vec<i64> = results.iter().map(|result| result.slot.millis()).collect();
    let first = grid.after(at.millis() - 1_234);
    assert_eq!(slots, [at.millis(), first, first + 60_000]);
    assert!(results[0].flags.has(ResultFlags::RECHECK) && !results[1].flags.has(ResultFlags::RECHECK));
}

#[test]
fn check_now_is_now_and_once_more_if_one_was_running() {
    let mut sim = Sim::new(|_| {});
    let slow = every(3_600);
    sim.add(vec![own_job(1, &slow)]);
    sim.run_s(10);
    sim.results();
    sim.target("10.0.0.2:5432", Target::Open(Duration::from_secs(2)));
    sim.order(Order::CheckNow(MonitorId(1)));
    sim.run_s(1);
    sim.order(Order::CheckNow(MonitorId(1)));
    sim.order(Order::CheckNow(MonitorId(1)));
    sim.run_s(9);
    let results = sim.results();
    assert_eq!(results.len(), 2, "the one that ran, and one after it: {results:?}");
    assert!(results[1].slot >= results[0].slot + Duration::from_secs(2));
}

#[test]
fn a_slot_that_falls_into_a_running_check_is_overlapped_and_no_result() {
    let mut sim = Sim::new(|_| {});
    let plan = Arc::new(Plan { timeout: Duration::from_millis(2_500), ..plan(Duration::from_secs(1)) });
    sim.add(vec![own_job(1, &plan)]);
    sim.world().usually = Target::Silent;
    sim.run_s(60);
    let results = sim.results();
    assert!((19..=20).contains(&results.len()), "every third slot: {}", results.len());
    assert!((38..=40).contains(&sim.stats.overlapped.read()));
    assert_eq!(sim.stats.missed.read(), 0);
    assert!(sim.world().most_flying == 1, "never doubled");
}

#[test]
fn every_result_says_which_target_it_is_of() {
    let mut sim = Sim::new(|config| config.batch_after = Duration::from_millis(500));
    let (old, new) = (Duration::from_millis(10), Duration::from_millis(20));
    sim.target("10.1.1.1:5432", Target::Open(old));
    sim.target("10.1.1.2:5432", Target::Open(new));
    let plan = every(60);
    let at = |host, epoch| Job { epoch: Epoch(epoch), ..job(1, host, &plan) };
    let seen = |sim: &Sim| {
        let seen = |result: &CheckResult| {
            (result.epoch.0, result.latency_us.map(|us| Duration::from_micros(us.get().into())))
        };
        sim.results().iter().map(seen).collect::<Vec<_>>()
    };
    sim.add(vec![at("10.1.1.1", 1)]);
    sim.order(Order::CheckNow(MonitorId(1)));
    sim.run(Duration::from_millis(100));
    assert_eq!(seen(&sim), [], "its result waits to leave");
    sim.add(vec![at("10.1.1.2", 2)]);
    sim.order(Order::CheckNow(MonitorId(1)));
    sim.run_s(1);
    assert_eq!(seen(&sim), [(1, Some(old)), (2, Some(new))]);
    // A revision of something else.
    sim.add(vec![at("10.1.1.2", 3)]);
    sim.order(Order::CheckNow(MonitorId(1)));
    sim.run_s(1);
    assert_eq!(seen(&sim), [(3, Some(new))]);
}

#[test]
fn successes_travel_together_and_failures_at_once() {
    let mut sim = Sim::new(|_| {});
    let plan = every(1);
    sim.add((1..=500).map(|id| own_job(id, &plan)).collect());
    sim.run_s(10);
    let arrived = sim.arrived();
    assert!(arrived.len() <= 210, "a batch each 50 ms: {}", arrived.len());
    sim.target("10.0.0.8:5432", Target::Refuses);
    sim.results();
    sim.run_s(1);
    let at = sim
        .world()
        .dials
        .iter()
        .rev()
        .find(|(_, dial)| dial.address.to_string() == "10.0.0.8:5432")
        .unwrap()
        .0;
    let refused_at = at + Duration::from_millis(1);
    let boot_of = |wall: Timestamp| 1_000_000_000 + wall.since(START).as_micros() as u64;
    let left = sim.arrived().into_iter().find(|(at, _)| at.0 >= boot_of(refused_at)).unwrap().0;
    assert!(left.0 - boot_of(refused_at) <= 10_000, "{} µs", left.0 - boot_of(refused_at));
}

#[derive(Debug, Clone)]
enum Act {
    Add { id: i64, interval_ms: u64 },
    Remove { id: i64 },
    Retarget { id: i64 },
    Recheck { id: i64, in_ms: i64 },
    Run { ms: u64 },
    Stop { ms: u64 },
    SetClock { by_ms: i64 },
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let interval = prop_oneof![Just(1_000), Just(1_700), Just(5_000), Just(61_000)];
    let act = prop_oneof![
        6 => (1_i64..12, interval).prop_map(|(id, interval_ms)| Act::Add { id, interval_ms }),
        2 => (1_i64..12).prop_map(|id| Act::Remove { id }),
        1 => (1_i64..12).prop_map(|id| Act::Retarget { id }),
        2 => (1_i64..12, 0_i64..8_000).prop_map(|(id, in_ms)| Act::Recheck { id, in_ms }),
        6 => (1_u64..20_000).prop_map(|ms| Act::Run { ms }),
        1 => (1_100_u64..100_000).prop_map(|ms| Act::Stop { ms }),
        1 => prop_oneof![-7_200_000_i64..-2_100, 2_100_i64..7_200_000, -1_900_i64..1_900]
            .prop_map(|by_ms| Act::SetClock { by_ms }),
    ];
    prop::collection::vec(act, 1..60)
}

/// From when to when a monitor was to be checked, by the schedule's time, and how its slots are named.
#[derive(Debug, Clone, Copy)]
struct Window {
    id: i64,
    grid: Grid,
    after: Millis,
    until: Millis,
    used_until: Millis,
    shift: Millis,
}

/// What should happen, told in another way: windows of undisturbed time.
struct Model {
    now: Millis,
    /// Wall − schedule.
    off: Millis,
    used_until: Millis,
    shift: Millis,
    open: BTreeMap<i64, Window>,
    closed: Vec<Window>,
}

impl Model {
    fn open(&mut self, id: i64, interval_ms: u64) {
        let grid = Grid::new(MonitorId(id), Duration::from_millis(interval_ms));
        let same = self.open.get(&id).is_some_and(|window| window.grid == grid);
        if same {
            return;
        }
        self.close(id);
        let Self { now, used_until, shift, .. } = *self;
        self.open.insert(id, Window { id, grid, after: now, until: Millis::MAX, used_until, shift });
    }

    fn close(&mut self, id: i64) {
        if let Some(window) = self.open.remove(&id) {
            self.closed.push(Window { until: self.now, ..window });
        }
    }

    /// Time stood still or jumped to `to`.
    fn gap(&mut self, to: Millis, stepped: bool) {
        if stepped {
            self.used_until = self.used_until.max(self.now);
            self.shift += i64::from(to <= self.used_until);
        }
        for id in self.open.keys().copied().collect::<Vec<_>>() {
            let window = self.open[&id];
            self.closed.push(Window { until: self.now, ..window });
            let (used_until, shift) = (self.used_until, self.shift);
            self.open.insert(id, Window { after: to, used_until, shift, ..window });
        }
        self.now = to;
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 150,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(21),
        ..ProptestConfig::default()
    })]

    /// Whatever is added, changed, removed, stopped or set: each slot has one check, no slot is lost but those that
    /// fell into a gap, and nobody's change moves another.
    #[test]
    fn each_slot_once_and_none_lost(acts in acts()) {
        let mut sim = Sim::new(|_| {});
        let start = START.millis();
        let mut model =
            Model { now: start, off: 0, used_until: Millis::MIN, shift: 0, open: BTreeMap::new(), closed: vec![] };
        let mut jobs: BTreeMap<i64, Job> = BTreeMap::new();
        for act in acts {
            match act {
                Act::Add { id, interval_ms } => {
                    let mut new = own_job(id, &Arc::new(plan(Duration::from_millis(interval_ms))));
                    if let Some(old) = jobs.get(&id) {
                        new.port = old.port;
                    }
                    jobs.insert(id, new.clone());
                    sim.add(vec![new]);
                    sim.turn();
                    model.open(id, interval_ms);
                }
                Act::Remove { id } => {
                    jobs.remove(&id);
                    sim.order(Order::Remove(vec![MonitorId(id)]));
                    sim.turn();
                    model.close(id);
                }
                Act::Retarget { id } => {
                    let Some(job) = jobs.get_mut(&id) else { continue };
                    job.port += 1;
                    sim.add(vec![job.clone()]);
                    sim.turn();
                    // What was in flight is dropped with the old target.
                    let interval = u64::try_from(model.open[&id].grid.interval()).unwrap();
                    model.close(id);
                    model.open(id, interval);
                }
                Act::Recheck { id, in_ms } => {
                    let at = Timestamp::from_millis(model.now + in_ms);
                    sim.order(Order::Recheck(vec![(MonitorId(id), at)]));
                    sim.turn();
                }
                Act::Run { ms } => {
                    sim.run(Duration::from_millis(ms));
                    model.now += ms as i64;
                }
                Act::Stop { ms } => {
                    sim.pass(Duration::from_millis(ms));
                    sim.turn();
                    model.gap(model.now + ms as i64, false);
                }
                Act::SetClock { by_ms } => {
                    sim.set_clock(by_ms);
                    sim.turn();
                    model.off += by_ms;
                    if model.off.abs() > 2_000 {
                        model.gap(model.now + model.off, true);
                        model.off = 0;
                    }
                }
            }
        }
        sim.run(Duration::from_millis(100));
        sim.machine.finish();
        model.now += 100;
        check(&model, &sim.results(), &sim)?;
    }
}

/// Checks end within this: what a window's last slots may lack.
const IN_FLIGHT: Millis = 30;

fn check(model: &Model, results: &[CheckResult], sim: &Sim) -> Result<(), TestCaseError> {
    let mut by_slot: BTreeMap<(MonitorId, Timestamp), Vec<&CheckResult>> = BTreeMap::new();
    for result in results {
        by_slot.entry((result.monitor, result.slot)).or_default().push(result);
    }
    let mut lost = 0;
    let windows = model
        .closed
        .iter()
        .copied()
        .chain(model.open.values().map(|window| Window { until: model.now, ..*window }));
    let mut expected = 0;
    for window in windows {
        let mut slot = window.grid.after(window.after);
        while slot <= window.until {
            let shift = if slot <= window.used_until { window.shift } else { 0 };
            let name = (MonitorId(window.id), Timestamp::from_millis(slot + shift));
            match by_slot.get(&name).map_or(0, Vec::len) {
                1 => expected += 1,
                0 if slot + IN_FLIGHT >= window.until => {}
                0 => lost += 1,
                n => prop_assert!(false, "{n} results for {name:?}"),
            }
            slot = window.grid.after(slot);
        }
    }
    // A check out of turn may run over a slot; that is counted.
    prop_assert!(
        lost <= sim.stats.overlapped.read(),
        "{lost} lost, {} overlapped",
        sim.stats.overlapped.read()
    );
    let extra = results.iter().filter(|result| result.flags.has(ResultFlags::RECHECK)).count();
    prop_assert!(
        results.len() <= expected + extra,
        "{} results, {expected} slots, {extra} extra",
        results.len()
    );
    Ok(())
}
