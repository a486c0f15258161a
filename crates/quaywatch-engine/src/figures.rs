//! What judging costs, printed; what must not depend on the machine is asserted: rows written.

use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::{Clock, ErrorCode, LocationId, MonitorId, ShardId, Timestamp};
use quaywatch_net::SystemClock;
use quaywatch_notify::notice::ServerWords;
use quaywatch_runner::Batch;
use quaywatch_store::records::{MonitorRecord, ShardState, ShardStep};

use crate::config::EngineConfig;
use crate::judging::{Judging, Loaded};
use crate::simulation::{START, channel, monitor, names, result};
use crate::stats::EngineStats;

const MONITORS: i64 = 100_000;
const BATCH: usize = 1_000;

fn judging() -> Judging {
    let config = EngineConfig::new(ServerWords { name: "watch-1".into(), version: "0".into() }, 7);
    let mut judging = Judging::new(&config, Arc::new(EngineStats::default()));
    judging.tick(START);
    let (accounts, locations) = names();
    judging.set_names(&accounts, &locations, &[channel(1, "ops")]);
    let template = monitor(1, |spec| spec.channels = vec!["ops".into()]);
    for shard in ShardId::all() {
        let ids = (1..=MONITORS).map(MonitorId).filter(|id| id.shard() == shard);
        let monitors = ids.map(|id| MonitorRecord { id, ..template.clone() }).collect();
        let state = ShardState { monitors, ..ShardState::default() };
        let loaded = Loaded { state, orphans: Vec::new(), gap: Duration::ZERO, clock_behind: false };
        assert!(!judging.load(loaded).is_empty());
    }
    judging
}

#[derive(Debug, Default)]
struct Cost {
    ns_per_result: u128,
    results: usize,
    states: usize,
    evidence: usize,
    events: usize,
    notices: usize,
}

/// One result of each monitor, in batches as the runner brings them; what it cost and what it wrote.
fn interval(judging: &mut Judging, at: Timestamp, code: ErrorCode) -> Cost {
    let clock = SystemClock;
    let mut cost = Cost::default();
    let mut spent = Duration::ZERO;
    let ids: Vec<_> = (1..=MONITORS).map(MonitorId).collect();
    for ids in ids.chunks(BATCH) {
        let results = ids.iter().map(|id| result(*id, at, code)).collect();
        let batch = Batch { location: LocationId::LOCAL, at, results, sight: Vec::new() };
        let before = clock.boot();
        judging.tick(at);
        judging.batch(batch);
        judging.timeouts();
        judging.take_rechecks();
        spent += clock.boot().since(before);
    }
    judging.add_lazy_states(true);
    for ShardStep { results, states, evidence, events, outbox, .. } in judging.steps().take(at) {
        cost.results += results.len();
        cost.states += states.len();
        cost.evidence += evidence.len();
        cost.events += events.len();
        cost.notices += outbox.len();
    }
    cost.ns_per_result = spent.as_nanos() / MONITORS as u128;
    cost
}

#[test]
fn all_down_writes_no_more_than_all_up_once_incidents_are_open() {
    let mut judging = judging();
    let mut at = START;
    let mut next = |code| {
        at = at + Duration::from_secs(10);
        interval(&mut judging, at, code)
    };
    let first = next(ErrorCode::Ok);
    let up: Vec<_> = (0..5).map(|_| next(ErrorCode::Ok)).collect();
    let change: Vec<_> = (0..2).map(|_| next(ErrorCode::TcpRefused)).collect();
    let down: Vec<_> = (0..20).map(|_| next(ErrorCode::TcpRefused)).collect();
    let best = |costs: &[Cost]| costs.iter().map(|cost| cost.ns_per_result).min().unwrap_or(0);
    println!("first good result: {first:?}");
    println!("all up:   {} ns a result; {:?}", best(&up), up[4]);
    println!("the change itself: {change:?}");
    println!("all down: {} ns a result; {:?}", best(&down), down[19]);

    let monitors = MONITORS as usize;
    for cost in &up {
        assert_eq!((cost.results, cost.states, cost.evidence, cost.events), (monitors, 0, 0, 0));
    }
    assert_eq!(change[1].events, monitors);
    assert_eq!(change[1].notices, monitors);
    for cost in &down {
        assert_eq!(
            (cost.results, cost.states, cost.evidence, cost.events, cost.notices),
            (monitors, 0, 0, 0, 0),
            "a result, and nothing else"
        );
    }
}
