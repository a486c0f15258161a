//! What tests of operations need: a real store in a directory of its own, a clock that obeys, callers of every kind, and
//! history made in one line.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::access::{Access, Role};
use quaywatch_core::doc::{Node, Path, Problems};
use quaywatch_core::spec::{Context, Defaults};
use quaywatch_core::{
    AccountId, CheckResult, Clock, Epoch, ErrorCode, Job, LocationId, MonitorId, MonitorSpec, ResultFlags,
    ShardId, Timestamp, UserId,
};
use quaywatch_engine::{Checks, Engine, EngineConfig, EngineSink, Parts};
use quaywatch_notify::notice::ServerWords;
use quaywatch_runner::{Batch, Sink as _};
use quaywatch_store::records::{
    ChangeSet, ChannelRecord, Fence, Owner, ResourceChange, Retention, ShardStep,
};
use quaywatch_store::{ShardStore, SqliteStore, Store};
use quaywatch_testkit::clock::ManualClock;

use super::Operations;
use super::settings::Settings;
use crate::caller::{Actor, Caller};
use crate::config;

/// Midnight of 2026-05-01 UTC: where the clock begins.
pub(crate) const MIDNIGHT: Timestamp = Timestamp::from_secs(1_777_593_600);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// Operations on a store of their own.
pub(crate) struct Kit {
    pub(crate) operations: Operations,
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) clock: Arc<ManualClock>,
    fences: Vec<Fence>,
    pub(crate) directory: tempfile::TempDir,
}

impl Kit {
    pub(crate) async fn new() -> Self {
        Self::with("monitors: []\n").await
    }

    /// With a server's file.
    pub(crate) async fn with(file: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let clock = Arc::new(ManualClock::at(MIDNIGHT));
        let shared: Arc<dyn Clock> = clock.clone();
        let store = SqliteStore::open_serving(directory.path(), Arc::clone(&shared)).expect("a new store");
        let config = config::read(file, "q.yaml", &|_| None).expect("a good file");
        let settings = Arc::new(Settings::new(&config));
        let operations = Operations::new(store.clone(), shared, settings);
        let mut fences = Vec::new();
        for shard in ShardId::all() {
            fences.push(store.system().claim(shard).await.expect("a fence"));
        }
        store.system().declare_locations(config.locations.clone()).await.expect("declared");
        Self { operations, store, clock, fences, directory }
    }

    /// A monitor as its fields in JSON say.
    pub(crate) async fn monitor_of(&self, account: AccountId, fields: &str) -> MonitorId {
        let locations = self.store.system().locations().await.expect("locations");
        let locations: Vec<String> = locations.into_iter().map(|location| location.name).collect();
        let channels = self.store.account(account).channels().await.expect("channels");
        let channels: Vec<String> = channels.into_iter().flat_map(|c| [c.id.to_string(), c.name]).collect();
        let context = Context { locations: &locations, channels: &channels, ..Context::default() };
        let (node, mut problems) = (Node::from_json(fields).expect("JSON"), Problems::new());
        let spec = MonitorSpec::read(&node, &Path::Root, &Defaults::default(), &context, &mut problems);
        let spec = spec.unwrap_or_else(|| panic!("{problems}"));
        let (key, name) = (spec.identity().to_owned(), spec.name.clone());
        let put = ResourceChange::PutMonitor { key, name, spec: spec.to_canonical() };
        let set = ChangeSet { owner: Owner::Api, actor: "test".into(), changes: vec![put], accepted: None };
        let turn = self.operations.changes.turn().await;
        turn.apply(account, set, self.clock.now()).await.expect("applied").monitors[0].id
    }

    /// A monitor of account 1 that is checked each minute.
    pub(crate) async fn monitor(&self, name: &str) -> MonitorId {
        let fields = format!(r#"{{"name":"{name}","host":"192.0.2.10","port":5432}}"#);
        self.monitor_of(AccountId::DEFAULT, &fields).await
    }

    /// Another account.
    pub(crate) async fn account(&self, name: &str) -> AccountId {
        self.store.system().create_account(name.into(), self.clock.now()).await.expect("made").id
    }

    pub(crate) fn shard(&self, monitor: MonitorId) -> Arc<dyn ShardStore> {
        let shard = monitor.shard();
        self.store.shard(shard, self.fences[usize::from(shard.0)])
    }

    /// A step of the monitor's shard, with whatever `fill` puts into it.
    pub(crate) async fn commit(&self, monitor: MonitorId, fill: impl FnOnce(&mut ShardStep)) {
        let mut step = ShardStep::new(monitor.shard(), self.clock.now());
        fill(&mut step);
        self.shard(monitor).commit(Box::new(step)).await.expect("committed");
    }

    /// Records results, and lets the clock stand behind the last.
    pub(crate) async fn record(&self, results: Vec<CheckResult>) {
        let last = results.iter().map(|result| result.slot).max().expect("there are results");
        if last > self.clock.now() {
            self.clock.advance(last.since(self.clock.now()) + Duration::from_secs(1));
        }
        let monitor = results[0].monitor;
        self.commit(monitor, |step| step.results = results).await;
    }

    /// Lets time pass and does all upkeep that is due then.
    pub(crate) async fn after(&self, time: Duration, retention: Retention) {
        self.clock.advance(time);
        let (system, now) = (self.store.system(), self.clock.now());
        while system.sort_minutes(now).await.expect("sorted").is_some() {}
        for shard in ShardId::all() {
            let shard = self.store.shard(shard, self.fences[usize::from(shard.0)]);
            while shard.write_blocks(now).await.expect("blocks").is_some() {}
            while shard.write_days(now).await.expect("days").is_some() {}
        }
        while system.retain(retention, now).await.expect("retained").more {}
    }
}

/// An engine on the store of a kit, and whoever hands it results in place of a runner. Its shards are the engine's from
/// then on: [`Kit::commit`] is refused.
pub(crate) struct Watching {
    pub(crate) engine: Arc<Engine>,
    sink: EngineSink,
    clock: Arc<ManualClock>,
    ticking: tokio::task::JoinHandle<()>,
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.ticking.abort();
    }
}

impl Kit {
    /// Starts an engine that follows what operations change. Nothing is delivered.
    pub(crate) async fn watch(&self) -> Watching {
        self.watch_by(self.store.clone()).await
    }

    /// The same, where the engine sees the store as `store` shows it.
    pub(crate) async fn watch_by(&self, store: Arc<dyn Store>) -> Watching {
        let server = ServerWords { name: "watch-1".into(), version: "0".into() };
        let clock: Arc<dyn Clock> = self.clock.clone();
        let channels = Arc::new(|_: &ChannelRecord| Err("nothing is delivered here".to_owned()));
        let mut sink = None;
        let engine = Engine::start(EngineConfig::new(server, 7), Parts { store, clock, channels }, |to| {
            sink = Some(to);
            Ok::<_, std::convert::Infallible>(NoChecks)
        });
        let engine = Arc::new(engine.await.expect("the engine starts"));
        self.operations.attach(Arc::clone(&engine));
        // The engine leaves some time between two commits: for it, time must pass.
        let clock = self.clock.clone();
        let ticking = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(1)).await;
                clock.advance(Duration::from_millis(10));
            }
        });
        Watching { ticking, engine, sink: sink.expect("a runner was asked for"), clock: self.clock.clone() }
    }
}

impl Watching {
    /// A second later, one result; judged and durable when this returns.
    pub(crate) async fn check(&mut self, monitor: MonitorId, code: ErrorCode) -> Timestamp {
        self.clock.advance(Duration::from_secs(1));
        let slot = self.clock.now();
        let result = if code == ErrorCode::Ok { ok(monitor, slot, 900) } else { failed(monitor, slot, code) };
        let batch = Batch { location: LocationId::LOCAL, at: slot, results: vec![result], sight: Vec::new() };
        self.sink.deliver(batch);
        self.engine.flush().await;
        slot
    }
}

/// Checks nothing.
struct NoChecks;

impl Checks for NoChecks {
    fn upsert(&self, _: Vec<Job>) {}

    fn remove(&self, _: Vec<MonitorId>) {}

    fn recheck(&self, _: Vec<(MonitorId, Timestamp)>) {}

    fn check_now(&self, _: MonitorId) {}
}

/// Somebody with a role in an account.
pub(crate) fn caller(account: AccountId, role: Role) -> Caller {
    Caller {
        account,
        actor: Actor::User(UserId(3)),
        access: Access::Role(role),
        session: None,
        address: None,
        request_id: None,
    }
}

/// The owner of account 1.
pub(crate) fn owner() -> Caller {
    caller(AccountId::DEFAULT, Role::Owner)
}

/// A good answer.
pub(crate) fn ok(monitor: MonitorId, slot: Timestamp, latency_us: u32) -> CheckResult {
    CheckResult {
        monitor,
        slot,
        location: LocationId::LOCAL,
        epoch: Epoch::default(),
        code: ErrorCode::Ok,
        flags: ResultFlags::default(),
        syn_retransmits: 0,
        latency_us: NonZeroU32::new(latency_us),
        dns_us: 0,
        elapsed_us: latency_us,
        evidence: None,
    }
}

/// A failure.
pub(crate) fn failed(monitor: MonitorId, slot: Timestamp, code: ErrorCode) -> CheckResult {
    CheckResult { code, latency_us: None, ..ok(monitor, slot, 1) }
}
