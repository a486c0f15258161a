//! The engine as it runs: its thread, its tasks, the real store, real webhooks over loopback; only the runner is made up.

mod acts;
mod bulk;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quaywatch_core::egress::EgressPolicy;
use quaywatch_core::judge::{CloseReason, Status};
use quaywatch_core::{AccountId, Clock, ErrorCode, Job, LocationId, MonitorId, Timestamp};
use quaywatch_net::http::{HttpClient, tls};
use quaywatch_net::{Dialler, Resolver, ResolverConfig, SystemClock};
use quaywatch_notify::notice::ServerWords;
use quaywatch_notify::registry::{self, Site};
use quaywatch_notify::{Attempt, BoxFuture, Channel, Notice, Outcome, Rendered};
use quaywatch_runner::{Batch, Sink as _};
use quaywatch_store::records::{
    Applied, ChangeSet, ChannelRecord, IncidentFilter, Owner, ResourceChange, Window,
};
use quaywatch_store::{SqliteStore, Store};
use quaywatch_testkit::sink::{Answer, Sink};

use crate::simulation::{monitor, result};
use crate::{Checks, Engine, EngineConfig, EngineSink, Parts};

/// Tests take this long only where they fail.
const PATIENCE: Duration = Duration::from_secs(20);

/// Remembers what it was asked.
#[derive(Clone, Default)]
struct FakeRunner {
    jobs: Arc<Mutex<Vec<Job>>>,
    removed: Arc<Mutex<Vec<MonitorId>>>,
    rechecks: Arc<Mutex<Vec<MonitorId>>>,
    asked: Arc<Mutex<Vec<MonitorId>>>,
}

impl Checks for FakeRunner {
    fn upsert(&self, jobs: Vec<Job>) {
        self.jobs.lock().expect("no holder panics").extend(jobs);
    }

    fn remove(&self, monitors: Vec<MonitorId>) {
        self.removed.lock().expect("no holder panics").extend(monitors);
    }

    fn recheck(&self, monitors: Vec<(MonitorId, Timestamp)>) {
        self.rechecks.lock().expect("no holder panics").extend(monitors.into_iter().map(|(id, _)| id));
    }

    fn check_now(&self, monitor: MonitorId) {
        self.asked.lock().expect("no holder panics").push(monitor);
    }
}

/// Panics at every attempt.
struct Broken;

impl Channel for Broken {
    fn kind(&self) -> &'static str {
        "broken"
    }

    fn render(&self, _: &Notice, _: &Attempt) -> Rendered {
        panic!("a bug in a channel");
    }

    fn deliver<'a>(&'a self, _: Rendered) -> BoxFuture<'a, Outcome> {
        unreachable!("it never renders")
    }
}

struct Running {
    store: Arc<SqliteStore>,
    engine: Engine,
    sink: EngineSink,
    runner: FakeRunner,
    clock: Arc<dyn Clock>,
    slot: Timestamp,
}

fn channel_of(record: &ChannelRecord, clock: &Arc<dyn Clock>) -> Result<Arc<dyn Channel>, String> {
    if record.kind == "broken" {
        return Ok(Arc::new(Broken));
    }
    let resolver = Resolver::new(ResolverConfig::default(), Arc::clone(clock));
    let dialler = Dialler::new(resolver, EgressPolicy::default(), Arc::clone(clock));
    let client = HttpClient::new(dialler, tls::client_config(tls::roots()), Arc::clone(clock));
    let site = Site { wire: Arc::new(client), clock: Arc::clone(clock), user_agent: "Quaywatch/test".into() };
    let settings = serde_json::from_str(&record.settings).map_err(|error| error.to_string())?;
    registry::build(&record.kind, &settings, &site).map_err(|problems| problems.to_string())
}

async fn start(directory: &Path) -> Running {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = SqliteStore::open_serving(directory, Arc::clone(&clock)).expect("the store opens");
    let config = EngineConfig::new(ServerWords { name: "watch-1".into(), version: "0".into() }, 7);
    let for_channels = Arc::clone(&clock);
    let parts = Parts {
        store: Arc::clone(&store) as Arc<dyn Store>,
        clock: Arc::clone(&clock),
        channels: Arc::new(move |record| channel_of(record, &for_channels)),
    };
    let runner = FakeRunner::default();
    let (given, mut sink) = (runner.clone(), None);
    let engine = Engine::start(config, parts, |to| {
        sink = Some(to);
        Ok::<_, std::convert::Infallible>(given)
    });
    let engine = engine.await.expect("the engine starts");
    let slot = clock.now() - Duration::from_secs(100);
    Running { store, engine, sink: sink.expect("the runner was started"), runner, clock, slot }
}

impl Running {
    async fn apply(&self, changes: Vec<ResourceChange>) -> Applied {
        let changes = ChangeSet { owner: Owner::File, actor: "test".into(), changes, accepted: None };
        let applied = self.store.account(AccountId::DEFAULT).apply(changes, self.clock.now()).await;
        let applied = applied.expect("the change is taken");
        self.engine.reload(applied.clone()).await.expect("the engine follows");
        applied
    }

    /// One result of each of these monitors, in a slot of its own.
    async fn check(&mut self, ids: &[MonitorId], code: ErrorCode) {
        self.slot = Timestamp(self.slot.0 + 1_000_000);
        let results = ids.iter().map(|id| result(*id, self.slot, code)).collect();
        let batch = Batch { location: LocationId::LOCAL, at: self.slot, results, sight: Vec::new() };
        self.sink.deliver(batch);
        self.engine.flush().await;
    }

    async fn stop(self) {
        self.engine.shutdown().await;
        self.store.system().close().await.expect("the store closes");
    }
}

fn put_channel(name: &str, kind: &str, settings: String) -> ResourceChange {
    ResourceChange::PutChannel { key: name.into(), name: name.into(), kind: kind.into(), settings }
}

fn webhook(name: &str, sink: &Sink) -> ResourceChange {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    put_channel(name, "webhook", format!(r#"{{"url":"{}","secret":"{secret}"}}"#, sink.url()))
}

fn put_monitor(id: i64, channels: &[&str]) -> ResourceChange {
    let record = monitor(id, |spec| spec.channels = channels.iter().map(|&name| name.to_owned()).collect());
    ResourceChange::PutMonitor { key: record.key, name: record.name, spec: record.spec }
}

fn of_type(kind: &'static str) -> impl Fn(&quaywatch_testkit::sink::Received) -> bool {
    move |received| received.taken && received.json()["type"] == kind
}

/// Waits until something is so.
async fn until(what: &str, so: impl Fn() -> bool) {
    let clock = SystemClock;
    let began = clock.boot();
    while !so() {
        assert!(clock.boot().since(began) < PATIENCE, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_goes_down_and_comes_back_over_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let hook = Sink::start();
    let mut running = start(directory.path()).await;
    let applied = running.apply(vec![webhook("ops", &hook), put_monitor(1, &["ops"])]).await;
    let id = applied.monitors[0].id;
    let jobs = |runner: &FakeRunner| {
        let jobs = runner.jobs.lock().expect("no holder panics");
        jobs.iter().map(|job| job.monitor).collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(jobs(&running.runner), [id].into());

    for code in [ErrorCode::Ok, ErrorCode::TcpRefused, ErrorCode::TcpRefused] {
        running.check(&[id], code).await;
    }
    assert_eq!(*running.runner.rechecks.lock().expect("no holder panics"), [id], "looked at again at once");
    let opened = hook.wait("opening", PATIENCE, of_type("incident.opened"));
    let body = opened.json();
    assert_eq!(body["error_status"], "tcp_refused");
    assert_eq!(body["status"], "down");
    assert_eq!(body["previous_status"], "up");
    assert_eq!(body["target"]["address"], "192.0.2.10");
    assert_eq!(body["evidence"][0]["signal"], "rst");
    assert_eq!(body["last_ok"]["latency_us"], 700);
    assert_eq!(body["id"], opened.id());
    assert!(opened.id().ends_with("-0-ch1"), "{}", opened.id());
    let glimpse = running.engine.glimpse(id).await.expect("it is judged");
    assert_eq!((glimpse.status, glimpse.recent.len()), (Status::Down, 3));
    let stats = running.engine.stats();
    until("the record of the delivery", || stats.outbox_depth.read() == 0).await;
    running.stop().await;

    let mut running = start(directory.path()).await;
    let stats = running.engine.stats();
    until("every shard", || stats.loaded.read() == 1).await;
    assert_eq!(jobs(&running.runner), [id].into(), "it is checked again");
    assert_eq!(stats.incidents_open.read(), 1);
    // A later slot than any before.
    running.slot = running.clock.now() - Duration::from_secs(10);
    running.check(&[id], ErrorCode::Ok).await;
    let closed = hook.wait("end", PATIENCE, of_type("incident.closed"));
    assert!(closed.id().ends_with("-1-ch1"), "{}", closed.id());
    assert_eq!(closed.json()["incident"]["id"], body["incident"]["id"]);
    assert_eq!(closed.json()["error_status"], "tcp_refused", "the opening's error");
    let all = Window { from: Timestamp(0), to: Timestamp(i64::MAX) };
    let account = running.store.account(AccountId::DEFAULT);
    let incidents = account.incidents(IncidentFilter::default()).await.expect("incidents");
    assert_eq!(incidents.len(), 1);
    assert_eq!(incidents[0].close_reason, Some(CloseReason::Recovered));
    assert_eq!(account.results(id, all).await.expect("results").len(), 4);
    assert_eq!(account.intervals(id, all).await.expect("intervals").len(), 1);
    running.stop().await;
    assert_eq!(hook.received().len(), 2, "nothing is told twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_hangs_or_panics_delays_no_other() {
    let directory = tempfile::tempdir().expect("a directory");
    let (good, hanging) = (Sink::start(), Sink::start());
    hanging.always(Answer::Hang(Duration::from_secs(60)));
    let mut running = start(directory.path()).await;
    let changes = vec![
        webhook("hanging", &hanging),
        put_channel("broken", "broken", "{}".into()),
        webhook("good", &good),
        put_monitor(1, &["hanging", "broken", "good"]),
        put_monitor(2, &["hanging", "broken", "good"]),
    ];
    let applied = running.apply(changes).await;
    let ids: Vec<_> = applied.monitors.iter().map(|record| record.id).collect();
    for code in [ErrorCode::Ok, ErrorCode::TcpRefused, ErrorCode::TcpRefused, ErrorCode::Ok] {
        running.check(&ids, code).await;
    }
    until("both ends at the good channel", || good.taken("incident.closed").len() == 2).await;
    assert_eq!(good.taken("incident.opened").len(), 2);
    let stats = running.engine.stats();
    until("attempts of the broken channel", || {
        stats.attempts.of(quaywatch_notify::Class::Transient).read() >= 2
    })
    .await;
    // What hangs is left behind within the time of grace.
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_resets_after_taking_gets_the_same_id_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let hook = Sink::start();
    let mut first = true;
    hook.mood(1, move |_| if std::mem::take(&mut first) { Answer::ResetAfter } else { Answer::Take });
    let mut running = start(directory.path()).await;
    let applied = running.apply(vec![webhook("ops", &hook), put_monitor(1, &["ops"])]).await;
    let id = applied.monitors[0].id;
    for code in [ErrorCode::Ok, ErrorCode::TcpRefused, ErrorCode::TcpRefused] {
        running.check(&[id], code).await;
    }
    hook.wait("second attempt", PATIENCE, |received| received.taken);
    let received = hook.received();
    assert_eq!((received.len(), received[0].id()), (2, received[1].id()));
    assert_eq!(running.engine.stats().attempts.of(quaywatch_notify::Class::Unknown).read(), 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn monitors_come_and_go_while_running() {
    let directory = tempfile::tempdir().expect("a directory");
    let hook = Sink::start();
    let mut running = start(directory.path()).await;
    let applied =
        running.apply(vec![webhook("ops", &hook), put_monitor(1, &["ops"]), put_monitor(2, &["ops"])]).await;
    let ids: Vec<_> = applied.monitors.iter().map(|record| record.id).collect();
    for code in [ErrorCode::Ok, ErrorCode::TcpRefused, ErrorCode::TcpRefused] {
        running.check(&ids, code).await;
    }
    until("openings", || hook.taken("incident.opened").len() == 2).await;
    running.apply(vec![ResourceChange::RemoveMonitor { key: "monitor 2".into() }]).await;
    let closed = hook.wait("end", PATIENCE, of_type("incident.closed"));
    assert_eq!(closed.json()["incident"]["close_reason"], "removed");
    assert_eq!(closed.json()["monitor"]["name"], "monitor 2");
    assert_eq!(*running.runner.removed.lock().expect("no holder panics"), [ids[1]]);
    assert!(running.engine.glimpse(ids[1]).await.is_none());
    let glimpse = running.engine.glimpse(ids[0]).await.expect("the other goes on");
    assert_eq!(glimpse.status, Status::Down);
    // Its channel goes with the other one, and still hears the end.
    let key = |name: &str| name.to_owned();
    let changes = vec![
        ResourceChange::RemoveMonitor { key: key("monitor 1") },
        ResourceChange::RemoveChannel { key: key("ops") },
    ];
    running.apply(changes).await;
    until("the last end", || hook.taken("incident.closed").len() == 2).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_asked_to_be_left_alone_is_left_alone_when_channels_are_read_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let hook = Sink::start();
    let mut first = true;
    hook.mood(1, move |_| if std::mem::take(&mut first) { Answer::Limited(3_600) } else { Answer::Take });
    let mut running = start(directory.path()).await;
    let applied = running.apply(vec![webhook("ops", &hook), put_monitor(1, &["ops"])]).await;
    let id = applied.monitors[0].id;
    for code in [ErrorCode::Ok, ErrorCode::TcpRefused, ErrorCode::TcpRefused] {
        running.check(&[id], code).await;
    }
    let stats = running.engine.stats();
    until("the first attempt", || stats.attempts.of(quaywatch_notify::Class::Limited).read() == 1).await;
    let channels = running.store.system().channels().await.expect("channels");
    for _ in 0..10 {
        running.engine.refresh_channels(channels.clone());
        running.engine.flush().await;
    }
    assert_eq!(hook.received().len(), 1, "its hour has not passed");
    // Other settings: whoever changed them wants to see it work.
    let other = put_channel("ops", "webhook", format!(r#"{{"url":"{}"}}"#, hook.url()));
    running.apply(vec![other]).await;
    hook.wait("second attempt", PATIENCE, |received| received.taken);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_fails_is_told_of_once_over_a_restart_and_again_when_it_fails_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let (good, bad) = (Sink::start(), Sink::start());
    bad.always(Answer::Status(401));
    let mut running = start(directory.path()).await;
    let changes = vec![webhook("bad", &bad), webhook("good", &good), put_monitor(1, &["bad"])];
    let applied = running.apply(changes).await;
    let id = applied.monitors[0].id;
    for code in [ErrorCode::Ok, ErrorCode::TcpRefused, ErrorCode::TcpRefused] {
        running.check(&[id], code).await;
    }
    let told = good.wait("the first word", PATIENCE, of_type("channel.failing"));
    let stats = running.engine.stats();
    until("its record", || stats.outbox_depth.read() == 1).await;
    running.stop().await;

    let mut running = start(directory.path()).await;
    let stats = running.engine.stats();
    until("every shard", || stats.loaded.read() == 1).await;
    let retry = || put_channel("bad", "webhook", format!(r#"{{"url":"{}"}}"#, bad.url()));
    let credentials = quaywatch_notify::Class::Credentials;
    running.apply(vec![retry()]).await;
    until("another attempt", || stats.attempts.of(credentials).read() >= 1).await;
    assert_eq!(bad.received().len(), 2);
    // It works, and then no more.
    bad.always(Answer::Take);
    running.apply(vec![webhook("bad", &bad)]).await;
    good.wait("the end", PATIENCE, of_type("channel.recovered"));
    bad.always(Answer::Status(401));
    running.slot = running.clock.now() - Duration::from_secs(10);
    running.check(&[id], ErrorCode::Ok).await;
    let words = |kind| good.received().into_iter().filter(of_type(kind)).collect::<Vec<_>>();
    until("the second word", || words("channel.failing").len() == 2).await;
    running.engine.flush().await;
    let failing = words("channel.failing");
    assert_eq!((failing.len(), words("channel.recovered").len()), (2, 1), "nothing is sent twice");
    assert_eq!(failing[0].body, told.body);
    assert_ne!(failing[0].id(), failing[1].id());
    let recovered = words("channel.recovered")[0].id().replace("-1-", "-0-");
    assert_eq!(recovered, told.id(), "one episode, over the restart");
    running.stop().await;
}
