//! One account brings, pauses and removes very much at once, and another's outage is judged, written and told beside it.

use std::sync::atomic::{AtomicBool, Ordering};

use quaywatch_store::records::MonitorRecord;

use super::*;

/// How many monitors the large account has.
const MANY: i64 = 20_000;
/// In one turn, they would take the engine more than that.
const SOON: Duration = Duration::from_millis(150);

/// The longest that the engine's thread let somebody wait, who asked again and again until `stop`.
async fn longest_wait(engine: &Engine, clock: &Arc<dyn Clock>, stop: &AtomicBool) -> Duration {
    let mut longest = Duration::ZERO;
    while !stop.load(Ordering::Relaxed) {
        let asked = clock.boot();
        engine.glimpse(MonitorId(1)).await.expect("it is there");
        longest = longest.max(clock.boot().since(asked));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    longest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_of_very_many_monitors_keeps_no_result_of_others_waiting() {
    let directory = tempfile::tempdir().expect("a directory");
    let hook = Sink::start();
    let mut running = start(directory.path()).await;
    let applied = running.apply(vec![webhook("ops", &hook), put_monitor(1, &["ops"])]).await;
    let id = applied.monitors[0].id;
    let many: Vec<MonitorRecord> = (1_000..1_000 + MANY).map(|id| monitor(id, |_| ())).collect();
    let change = |seq, change: &dyn Fn(&MonitorRecord) -> MonitorRecord| Applied {
        monitors: many.iter().map(change).collect(),
        seq,
        ..Applied::default()
    };
    let changes = [
        ("added", change(10, &Clone::clone)),
        ("paused", change(11, &|record| MonitorRecord { paused: true, ..record.clone() })),
        ("resumed", change(12, &Clone::clone)),
        (
            "removed",
            Applied {
                removed_monitors: many.iter().map(|record| record.id).collect(),
                seq: 13,
                ..Applied::default()
            },
        ),
    ];
    let mut codes = [ErrorCode::TcpRefused, ErrorCode::Ok].into_iter().cycle();
    for (what, change) in changes {
        let (stop, code) = (AtomicBool::new(false), codes.next().expect("for ever"));
        let (engine, clock) = (&running.engine, Arc::clone(&running.clock));
        let reload = async {
            engine.reload(change).await.expect("followed");
            let took = clock.boot();
            stop.store(true, Ordering::Relaxed);
            took
        };
        // Two failures are an outage, one success its end: decided and written in the midst of it.
        let mut sink = running.sink.clone();
        let (slot, before) = (running.slot, clock.boot());
        let decide = async {
            for n in 1..=2 {
                let slot = Timestamp(slot.0 + n * 1_000_000);
                let results = vec![result(id, slot, code)];
                sink.deliver(Batch { location: LocationId::LOCAL, at: slot, results, sight: Vec::new() });
            }
            engine.flush().await;
            clock.boot()
        };
        let (ended, decided, longest) = tokio::join!(reload, decide, longest_wait(engine, &clock, &stop));
        let (whole, own) = (ended.since(before), decided.since(before));
        println!(
            "{MANY} {what} in {whole:?}; another's decision durable after {own:?}, longest wait {longest:?}"
        );
        assert!(longest < SOON, "{what}: {longest:?}");
        assert!(own < whole, "{what}: the small one does not wait for the large one");
        running.slot = Timestamp(slot.0 + 2_000_000);
    }
    until("every end", || hook.taken("incident.closed").len() == 2).await;
    assert_eq!(hook.taken("incident.opened").len(), 2);
    running.stop().await;
}
