//! Single checks asked for by a person: the same machine as the server's, without a schedule, without budgets, and
//! with evidence for successes too.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use quaywatch_core::{CheckResult, Clock, ErrorCode, Job, LocationId, MonitorId};
use tokio::sync::oneshot;

use crate::config::RunnerConfig;
use crate::net::NetParts;
use crate::runner::Runner;
use crate::sink::{Batch, Sight, Sink};

/// Makes single checks, many at once.
pub struct OneShot {
    runner: Runner,
    waiting: Waiting,
    next: AtomicI64,
}

type Waiting = Arc<Mutex<HashMap<MonitorId, oneshot::Sender<Outcome>>>>;

enum Outcome {
    Seen(Box<CheckResult>),
    /// The machine was away while the check ran.
    Void(ErrorCode),
}

impl OneShot {
    /// Gets ready to check. `half_open`: whether half-open handshakes work here.
    ///
    /// # Errors
    /// If the system gives no thread or no epoll instance.
    pub fn start(parts: &NetParts, clock: Arc<dyn Clock>, half_open: bool) -> io::Result<Self> {
        let config = RunnerConfig {
            budget: None,
            share: false,
            evidence_always: true,
            half_open,
            tick: std::time::Duration::from_millis(1),
            batch_after: std::time::Duration::ZERO,
            ..RunnerConfig::new(LocationId::LOCAL)
        };
        let waiting = Waiting::default();
        let sink = Box::new(Handover(Arc::clone(&waiting)));
        let runner = Runner::start(config, parts, clock, sink)?;
        Ok(Self { runner, waiting, next: AtomicI64::new(1) })
    }

    /// One check of `job`, by the same rules as those of a monitor. The result carries evidence whatever it is, all
    /// attempts included; the monitor's id is of no meaning. `None` if the check was thrown away twice, because the
    /// machine slept or its clock was set meanwhile, or because the runner was shut down.
    pub async fn check(&self, job: &Job) -> Option<CheckResult> {
        for _ in 0..2 {
            match self.check_once(job).await? {
                Outcome::Seen(result) => return Some(*result),
                Outcome::Void(code) => tracing::warn!(%code, "a check says nothing and is made again"),
            }
        }
        None
    }

    async fn check_once(&self, job: &Job) -> Option<Outcome> {
        let monitor = MonitorId(self.next.fetch_add(1, Ordering::Relaxed));
        let (sender, receiver) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(monitor, sender);
        // Leaves with this future, finished or not.
        let _leaves = Leaves { of: self, monitor };
        self.runner.upsert(vec![Job { monitor, ..job.clone() }]);
        self.runner.check_now(monitor);
        receiver.await.ok()
    }
}

impl Drop for OneShot {
    fn drop(&mut self) {
        self.runner.shutdown();
    }
}

struct Leaves<'a> {
    of: &'a OneShot,
    monitor: MonitorId,
}

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.of.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.monitor);
        self.of.runner.remove(vec![self.monitor]);
    }
}

/// Hands each result to whoever waits for it.
struct Handover(Waiting);

impl Sink for Handover {
    fn deliver(&mut self, batch: Batch) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for result in batch.results {
            if let Some(sender) = waiting.remove(&result.monitor) {
                // Whoever asked may have gone.
                let _ = sender.send(Outcome::Seen(Box::new(result)));
            }
        }
        for sight in batch.sight {
            if let Sight::Void { code, .. } = sight {
                for (_, sender) in waiting.drain() {
                    let _ = sender.send(Outcome::Void(code));
                }
            }
        }
    }
}
