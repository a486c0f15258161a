//! What the engine is told at its start.

use std::sync::Arc;

use quaywatch_core::{ChannelId, Clock, Job, MonitorId, Timestamp};
use quaywatch_notify::Channel;
use quaywatch_notify::notice::ServerWords;
use quaywatch_store::Store;
use quaywatch_store::records::{ChannelRecord, Retention};

/// Settings of the engine.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Who signs the notices.
    pub server: ServerWords,
    /// Where pages are found from outside, e.g. `https://watch.example.com`; without it notices carry no links.
    pub public_url: Option<String>,
    /// Who hears of the server's own faults; empty: every channel of account 1.
    pub operator_channels: Vec<ChannelId>,
    /// How long things are kept.
    pub retention: Retention,
    /// Seed of incident ids and jitter. From the system's randomness, except where a run must be repeatable.
    pub seed: u64,
    /// The most results in the input queue; beyond it good ones are dropped first.
    pub most_queued_results: usize,
    /// The most results that wait for a store that takes nothing.
    pub most_unwritten_results: usize,
}

impl EngineConfig {
    /// Settings with the defaults of a server; `seed` from the system's randomness.
    #[must_use]
    pub fn new(server: ServerWords, seed: u64) -> Self {
        Self {
            server,
            public_url: None,
            operator_channels: Vec::new(),
            retention: Retention::default(),
            seed,
            most_queued_results: 250_000,
            most_unwritten_results: crate::steps::MOST_RESULTS,
        }
    }
}

/// Makes a channel of its record, or says why it cannot (a secret that resolves to nothing, settings of another
/// version). No secret may be in the text.
pub type ChannelFactory = Arc<dyn Fn(&ChannelRecord) -> Result<Arc<dyn Channel>, String> + Send + Sync>;

/// What the engine works with.
#[derive(Clone)]
pub struct Parts {
    /// Where everything is remembered.
    pub store: Arc<dyn Store>,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// How channels are made.
    pub channels: ChannelFactory,
}

/// What the engine asks of a runner. None of these may block for long: the engine's only thread calls them.
pub trait Checks: Send {
    /// Checks these from now on; a job that is there already is replaced and keeps its phase.
    fn upsert(&self, jobs: Vec<Job>);
    /// Checks these no more.
    fn remove(&self, monitors: Vec<MonitorId>);
    /// Looks at these again, not later than the given moment.
    fn recheck(&self, monitors: Vec<(MonitorId, Timestamp)>);
    /// Looks at this one now, whatever runs: a person asks.
    fn check_now(&self, monitor: MonitorId);
}

impl Checks for quaywatch_runner::Runner {
    fn upsert(&self, jobs: Vec<Job>) {
        self.upsert(jobs);
    }

    fn remove(&self, monitors: Vec<MonitorId>) {
        self.remove(monitors);
    }

    fn recheck(&self, monitors: Vec<(MonitorId, Timestamp)>) {
        self.recheck(monitors);
    }

    fn check_now(&self, monitor: MonitorId) {
        self.check_now(monitor);
    }
}

impl<T: Checks + Sync> Checks for Arc<T> {
    fn upsert(&self, jobs: Vec<Job>) {
        (**self).upsert(jobs);
    }

    fn remove(&self, monitors: Vec<MonitorId>) {
        (**self).remove(monitors);
    }

    fn recheck(&self, monitors: Vec<(MonitorId, Timestamp)>) {
        (**self).recheck(monitors);
    }

    fn check_now(&self, monitor: MonitorId) {
        (**self).check_now(monitor);
    }
}
