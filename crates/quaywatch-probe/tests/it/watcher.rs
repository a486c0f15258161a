//! A prober under test, and what the tests ask of it.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quaywatch_core::spec::Handshake;
use quaywatch_core::{Attempt, Clock};
use quaywatch_net::SystemClock;
use quaywatch_probe::{Bulk, BulkConfig, Dial, Report};
use quaywatch_testkit::netns::NetNs;

/// Longer than any timeout of a test's dial.
const PATIENCE: Duration = Duration::from_secs(30);

/// A bulk prober whose reports are kept.
pub(crate) struct Watcher {
    pub(crate) bulk: Bulk,
    reports: Mutex<Receiver<Vec<Report>>>,
}

impl Watcher {
    /// In the namespace of the calling thread.
    pub(crate) fn here() -> Self {
        Self::with(&BulkConfig::default(), &(Arc::new(SystemClock) as Arc<dyn Clock>))
    }

    pub(crate) fn with(config: &BulkConfig, clock: &Arc<dyn Clock>) -> Self {
        let (sender, reports) = channel();
        let bulk = Bulk::start(config, clock, move |batch| {
            let _ = sender.send(batch);
        });
        Self { bulk: bulk.expect("threads and epoll"), reports: Mutex::new(reports) }
    }

    /// Its threads live in this namespace.
    pub(crate) fn inside(namespace: &NetNs) -> Self {
        namespace.enter(Self::here)
    }

    /// Submits dials and waits for all their reports, in the order of the dials.
    pub(crate) fn look(&self, dials: Vec<Dial>) -> Vec<Report> {
        let tokens: Vec<u64> = dials.iter().map(|dial| dial.token).collect();
        self.bulk.submit(dials);
        let mut reports = self.wait_for(tokens.len());
        reports.sort_by_key(|report| tokens.iter().position(|token| *token == report.token));
        reports
    }

    pub(crate) fn wait_for(&self, count: usize) -> Vec<Report> {
        let receiver = self.reports.lock().expect("no test panics while it holds this");
        let mut reports = Vec::new();
        while reports.len() < count {
            reports.extend(receiver.recv_timeout(PATIENCE).expect("every dial is reported"));
        }
        assert_eq!(reports.len(), count, "one report for each dial");
        reports
    }

    /// One dial, one report.
    pub(crate) fn see(&self, dial: Dial) -> Report {
        self.look(vec![dial]).remove(0)
    }

    /// No report comes for as long as this.
    pub(crate) fn hears_nothing(&self, wait: Duration) -> bool {
        self.reports.lock().expect("no test panics while it holds this").recv_timeout(wait).is_err()
    }
}

pub(crate) fn half_open(address: SocketAddr) -> Dial {
    let timeout = Duration::from_secs(10);
    Dial { token: 1, address, timeout, handshake: Handshake::HalfOpen, settle: Duration::ZERO }
}

pub(crate) fn full(address: SocketAddr) -> Dial {
    Dial { handshake: Handshake::Full, settle: Duration::from_millis(50), ..half_open(address) }
}

/// The same dial again and again, under tokens that count up.
pub(crate) fn times(count: u64, dial: Dial) -> Vec<Dial> {
    (0..count).map(|token| Dial { token, ..dial }).collect()
}

/// What proves a failure.
pub(crate) fn evidence(report: &Report) -> &Attempt {
    report.detail.as_deref().unwrap_or_else(|| panic!("a failure has evidence: {report:?}"))
}
