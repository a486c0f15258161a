//! Plain checks go to the bulk prober's threads, those that talk to tokio.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quaywatch_core::{BootTime, Clock, ErrorCode, Opener, Plan, Secret, Speech};
use quaywatch_probe::{Bulk, BulkConfig, BulkStats, CompiledPattern, Dialogue};
use tokio::runtime::Handle;

use super::{NetParts, Tray};
use crate::config::RunnerConfig;
use crate::ports::{Dial, Prober, Report};

/// Compiled patterns kept; more than this many different ones are compiled again for each check.
const PATTERNS: usize = 10_000;
/// What evidence holds in the place of an answer to a secret.
const WITHHELD: &str = "(not kept: the check sends a secret)";

pub(super) struct Real {
    bulk: Bulk,
    dialogue: Dialogue,
    runtime: Handle,
    clock: Arc<dyn Clock>,
    opener: Arc<dyn Opener>,
    reports: Tray<Report>,
    patterns: HashMap<Box<str>, Arc<CompiledPattern>>,
    /// Dialogues of an older round were cancelled; their reports are dropped.
    round: Arc<AtomicU64>,
}

impl Real {
    pub(super) fn start(config: &RunnerConfig, parts: &NetParts, clock: &Arc<dyn Clock>) -> io::Result<Self> {
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
            runtime: parts.runtime.clone(),
            clock: Arc::clone(clock),
            opener: Arc::clone(&parts.opener),
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
            return self.reports.push(unmade(&dial, ErrorCode::SelfResource, self.clock.boot()));
        };
        let (dialogue, plan, reports) = (self.dialogue.clone(), Arc::clone(plan), self.reports.clone());
        let (rounds, round) = (Arc::clone(&self.round), self.round.load(Ordering::Relaxed));
        let (clock, opener) = (Arc::clone(&self.clock), Arc::clone(&self.opener));
        self.runtime.spawn(async move {
            let report = match Words::of(&plan, &*opener) {
                Ok(words) => {
                    let report = dialogue.run(&dial, words.bytes(), pattern.as_deref()).await;
                    words.keep_quiet(report)
                }
                Err(Closed) => unmade(&dial, ErrorCode::SelfSecret, clock.boot()),
            };
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

/// What a check says.
enum Words<'p> {
    Nothing,
    Open(&'p [u8]),
    /// In the clear for as long as the check lasts.
    Secret(Secret<Box<[u8]>>),
}

/// A secret that does not open. Who opens it has said why.
struct Closed;

impl<'p> Words<'p> {
    fn of(plan: &'p Plan, opener: &dyn Opener) -> Result<Self, Closed> {
        match &plan.send {
            None => Ok(Self::Nothing),
            Some(Speech::Open(bytes)) => Ok(Self::Open(bytes)),
            Some(Speech::Hidden(account, hidden)) => {
                opener.open(*account, hidden).map(Self::Secret).map_err(|_| Closed)
            }
        }
    }

    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Nothing => None,
            Self::Open(bytes) => Some(bytes),
            Self::Secret(secret) => Some(secret.reveal()),
        }
    }

    /// An answer to a secret may repeat it, in any form: so it is no evidence.
    fn keep_quiet(&self, mut report: Report) -> Report {
        if let (Self::Secret(_), Some(_)) = (self, &report.first_bytes) {
            report.first_bytes = Some(WITHHELD.into());
        }
        report
    }
}

fn unmade(dial: &Dial, code: ErrorCode, now: BootTime) -> Report {
    Report {
        token: dial.token,
        code,
        latency_us: None,
        started: now,
        elapsed_us: 0,
        full: false,
        syn_retransmits: 0,
        detail: None,
        first_bytes: None,
    }
}
