//! What every engine must do, word for word: one suite over the traits. An engine passes when [`suite`] returns.
//!
//! A case gets a store that nobody used before, and ways to open it again. Times are injected; nothing sleeps.

mod bin;
mod cases;
mod changes;
mod configuration;
mod history;
mod lists;
mod people;
mod proofs;
mod steps;
mod stream;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use quaywatch_core::judge::{Severity, Status};
use quaywatch_core::{
    AccountId, ChannelId, CheckResult, ErrorCode, IncidentId, LocationId, MonitorId, ResultFlags, ShardId,
    Timestamp,
};

use crate::records::{
    ChangeSet, EventRecord, Fence, IncidentRecord, Owner, ResourceChange, ShardStep, StateWrite, Window,
};
use crate::{AccountStore, PeopleStore, ShardStore, Store, SystemStore};

pub use cases::CASES;

/// Opens the store of one case: the first time empty, afterwards with what was committed.
pub type Open<'a> = &'a dyn Fn() -> Arc<dyn Store>;

/// One case of the suite.
pub struct Case {
    /// What it shows, as a sentence.
    pub name: &'static str,
    /// Panics where the engine does otherwise.
    pub run: fn(Open<'_>),
}

/// Runs every case; `fresh` gives each a place of its own, and a way to open it as often as it likes (never twice at
/// a time).
pub fn suite<O: Fn() -> Arc<dyn Store>>(fresh: impl Fn() -> O) {
    for case in CASES {
        tracing::info!(case = case.name, "conformance");
        let open = fresh();
        (case.run)(&open);
    }
}

/// Midnight of 2026-05-01 UTC, in milliseconds: the suite's day begins here.
pub(crate) const DAY: i64 = 1_777_593_600_000;
pub(crate) const SECOND: i64 = 1_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;

/// `ms` after the suite's midnight.
pub(crate) const fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(DAY + ms)
}

pub(crate) const fn window(from: i64, to: i64) -> Window {
    Window { from: at(from), to: at(to) }
}

/// Waits for a future of the store; the suite needs no runtime.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let thread = Arc::new(Unpark(std::thread::current()));
    let waker = thread.into();
    let mut context = std::task::Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(value) => return value,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

struct Unpark(std::thread::Thread);

impl std::task::Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// An opened store with what most cases need.
pub(crate) struct Bench {
    pub store: Arc<dyn Store>,
    pub system: Arc<dyn SystemStore>,
    pub account: Arc<dyn AccountStore>,
    pub people: Arc<dyn PeopleStore>,
    fences: Mutex<BTreeMap<u8, Fence>>,
}

impl Bench {
    pub(crate) fn open(open: Open<'_>) -> Self {
        let store = open();
        let fences = Mutex::default();
        Self {
            system: store.system(),
            account: store.account(AccountId::DEFAULT),
            people: store.people(),
            store,
            fences,
        }
    }

    /// Closes the store, so that it can be opened again.
    pub(crate) fn close(self) {
        wait(self.system.close()).expect("closes");
    }

    /// A shard, claimed once.
    pub(crate) fn own(&self, shard: u8) -> Arc<dyn ShardStore> {
        let mut fences = self.fences.lock().expect("no case panics with it");
        let fence =
            *fences.entry(shard).or_insert_with(|| wait(self.system.claim(ShardId(shard))).expect("a fence"));
        self.store.shard(ShardId(shard), fence)
    }

    pub(crate) fn with_fence(&self, shard: u8, fence: Fence) -> Arc<dyn ShardStore> {
        self.store.shard(ShardId(shard), fence)
    }

    /// Puts monitors of these names; their ids.
    pub(crate) fn add(&self, names: &[&str]) -> Vec<MonitorId> {
        let changes = names.iter().map(|name| put(name, &format!(r#"{{"name":"{name}"}}"#))).collect();
        let applied = wait(self.account.apply(file_change(changes), at(0))).expect("applied");
        applied.monitors.iter().map(|monitor| monitor.id).collect()
    }

    /// One monitor and the shard that judges it.
    pub(crate) fn one(&self) -> (MonitorId, Arc<dyn ShardStore>) {
        let id = self.add(&["orders database"])[0];
        (id, self.own(id.shard().0))
    }

    pub(crate) fn slots(&self, monitor: MonitorId, window: Window) -> Vec<i64> {
        let rows = wait(self.account.results(monitor, window)).expect("results");
        rows.iter().map(|row| row.slot.millis() - DAY).collect()
    }
}

pub(crate) fn file_change(changes: Vec<ResourceChange>) -> ChangeSet {
    ChangeSet { owner: Owner::File, actor: "file".into(), changes, accepted: None }
}

pub(crate) fn put(key: &str, spec: &str) -> ResourceChange {
    ResourceChange::PutMonitor { key: key.to_owned(), name: key.to_owned(), spec: spec.to_owned() }
}

pub(crate) fn remove(key: &str) -> ResourceChange {
    ResourceChange::RemoveMonitor { key: key.to_owned() }
}

pub(crate) fn put_channel(key: &str, name: &str) -> ResourceChange {
    let settings = r#"{"url":"https://hooks.example.com","secret":"${OPS_WEBHOOK_SECRET}"}"#.to_owned();
    ResourceChange::PutChannel {
        key: key.to_owned(),
        name: name.to_owned(),
        kind: "webhook".to_owned(),
        settings,
    }
}

/// A good answer at `slot` milliseconds after midnight.
pub(crate) fn ok(monitor: MonitorId, slot: i64, latency_us: u32) -> CheckResult {
    CheckResult {
        monitor,
        slot: at(slot),
        location: LocationId::LOCAL,
        epoch: quaywatch_core::Epoch::default(),
        code: ErrorCode::Ok,
        flags: ResultFlags::default(),
        syn_retransmits: 0,
        latency_us: std::num::NonZeroU32::new(latency_us),
        dns_us: 0,
        elapsed_us: latency_us,
        evidence: None,
    }
}

pub(crate) fn failed(monitor: MonitorId, slot: i64, code: ErrorCode) -> CheckResult {
    CheckResult { code, latency_us: None, ..ok(monitor, slot, 1) }
}

/// A step of the monitor's shard, committed at `ms`.
pub(crate) fn step(monitor: MonitorId, ms: i64) -> ShardStep {
    ShardStep::new(monitor.shard(), at(ms))
}

/// Commits, and expects that it works.
pub(crate) fn commit(shard: &Arc<dyn ShardStore>, step: ShardStep) {
    wait(shard.commit(Box::new(step))).expect("committed");
}

pub(crate) fn state(monitor: MonitorId, status: Status, ms: i64) -> StateWrite {
    let code = if status == Status::Down { ErrorCode::TcpRefused } else { ErrorCode::Ok };
    StateWrite { monitor, status, since: at(ms), code, state: Some(vec![status as u8, 7]) }
}

pub(crate) fn incident_id(n: u8) -> IncidentId {
    IncidentId::new(DAY as u64 + u64::from(n), [n; 10])
}

pub(crate) fn incident(n: u8, monitor: MonitorId, started: i64) -> IncidentRecord {
    IncidentRecord {
        id: incident_id(n),
        account: AccountId::DEFAULT,
        monitor,
        ordinal: u32::from(n),
        severity: Severity::Critical,
        opening_code: ErrorCode::TcpRefused,
        code: ErrorCode::TcpRefused,
        started_at: at(started),
        confirmed_at: at(started + 5 * SECOND),
        ended_at: None,
        close_reason: None,
        failed_checks: 2,
        next_sequence: 1,
        judge_version: 1,
        acknowledged: None,
    }
}

pub(crate) fn event(n: u8, sequence: u32, ms: i64) -> EventRecord {
    EventRecord {
        incident: incident_id(n),
        sequence,
        at: at(ms),
        kind: if sequence == 0 { "incident.opened" } else { "incident.closed" }.to_owned(),
        snapshot: format!(r#"{{"sequence":{sequence}}}"#),
    }
}

pub(crate) const OPS: ChannelId = ChannelId(1);
