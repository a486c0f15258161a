//! Plain checks go to the bulk prober's threads, those that talk to tokio.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quaywatch_core::{BootTime, Clock, ErrorCode, Plan};
use quaywatch_probe::{Bulk, BulkConfig, BulkStats, CompiledPattern, Dialogue};
use tokio::runtime::Handle;

use super::Tray;
use crate::config::RunnerConfig;
use crate::ports::{Dial, Prober, Report};

/// Compiled patterns kept; more than this many different ones are compiled again for each check.
const PATTERNS: usize = 10_000;

pub(super) struct Real {
    bulk: Bulk,
    dialogue: Dialogue,
    runtime: Handle,
    clock: Arc<dyn Clock>,
    reports: Tray<Report>,
    patterns: HashMap<Box<str>, Arc<CompiledPattern>>,
    /// Dialogues of an older round were cancelled; their reports are dropped.
    round: Arc<AtomicU64>,
}

impl Real {
    pub(super) fn start(config: &RunnerConfig, runtime: Handle, clock: &Arc<dyn Clock>) -> io::Result<Self> {
        let reports = Tray::default();
        let tray = reports.clone();
        let bulk = BulkConfig {
            threads: config.threads,
            max_in_flight: config.max_in_flight.div_ceil(config.threads.max(1)),
            stall_after: config.stall_after,
            reuse: config.reuse_sockets,
            ..BulkConfig::default()
        };
        Ok(Self {
            bulk: Bulk::start(&bulk, clock, move |batch| tray.extend(batch))?,
            dialogue: Dialogue::new(Arc::clone(clock)),
            runtime,
            clock: Arc::clone(clock),
            reports,
            patterns: HashMap::new(),
            round: Arc::default(),
        })
    }

    pub(super) fn bulk_stats(&self) -> Arc<BulkStats> {
        self.bulk.stats()
    }

    fn pattern(&mut self, plan: &Plan) -> Result<Option<Arc<CompiledPattern>>, ()> {
        let Some(pattern) = &plan.expect else { return Ok(None) };
        if let Some(known) = self.patterns.get(&*pattern.0) {
            return Ok(Some(Arc::clone(known)));
        }
        let compiled = Arc::new(pattern.compile().map_err(|_| ())?);
        if self.patterns.len() < PATTERNS {
            self.patterns.insert(pattern.0.clone(), Arc::clone(&compiled));
        }
        Ok(Some(compiled))
    }
}

impl Prober for Real {
    fn submit(&mut self, dials: Vec<Dial>) {
        self.bulk.submit(dials);
    }

    fn talk(&mut self, dial: Dial, plan: &Arc<Plan>) {
        let Ok(pattern) = self.pattern(plan) else {
            // It compiled when the monitor was read; here it is our own trouble, not the target's.
            return self.reports.push(unmade(&dial, self.clock.boot()));
        };
        let (dialogue, plan, reports) = (self.dialogue.clone(), Arc::clone(plan), self.reports.clone());
        let (rounds, round) = (Arc::clone(&self.round), self.round.load(Ordering::Relaxed));
        self.runtime.spawn(async move {
            let report = dialogue.run(&dial, plan.send.as_deref(), pattern.as_deref()).await;
            if rounds.load(Ordering::Relaxed) == round {
                reports.push(report);
            }
        });
    }

    fn drain(&mut self, into: &mut Vec<Report>) {
        self.reports.take(into);
    }

    fn cancel(&mut self, tokens: &[u64]) {
        self.bulk.cancel(tokens);
    }

    fn cancel_all(&mut self) {
        self.bulk.cancel_all();
        self.round.fetch_add(1, Ordering::Relaxed);
    }
}

fn unmade(dial: &Dial, now: BootTime) -> Report {
    Report {
        token: dial.token,
        code: ErrorCode::SelfResource,
        latency_us: None,
        started: now,
        elapsed_us: 0,
        full: false,
        syn_retransmits: 0,
        detail: None,
        first_bytes: None,
    }
}
