//! What checks saw: results, latency, uptime, intervals.

use quaywatch_app::operations::intervals::IntervalView;
use quaywatch_app::operations::latency as app;
use quaywatch_app::operations::results::ResultView;
use quaywatch_app::operations::uptime::UptimeView;
use quaywatch_core::uptime::{CheckShare, Share};
use quaywatch_core::{IncidentId, MonitorId};
use schemars::JsonSchema;
use serde::Serialize;

use super::evidence::Attempt;
use super::ids::Id;
use super::time::{Seconds, Time};
use super::words::{Outcome, Status, Verdict};

/// One check.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CheckResult {
    /// Its slot.
    at: Time,
    /// From where.
    location: String,
    /// What it means.
    verdict: Verdict,
    #[serde(flatten)]
    outcome: Outcome,
    /// From SYN to SYN-ACK; null for a failure.
    latency_us: Option<u32>,
    /// Time to resolve the name; 0 for literal and cached addresses.
    dns_us: u32,
    /// From the beginning to the verdict, where proof is kept.
    elapsed_us: Option<u32>,
    syn_retransmits: u8,
    /// The handshake was completed.
    full: bool,
    /// The observation was made for another, identical check.
    shared: bool,
    /// Our resolver was down; the last good addresses were dialled.
    stale_dns: bool,
    /// A recheck or check-now.
    recheck: bool,
    /// It reached the judge late.
    late: bool,
    /// The address that decided, with its port: by the proof where there is one; else that of a monitor whose host is an
    /// address, where it looked at that one already. Null of names: of their good checks no address is kept.
    address: Option<String>,
    /// Each address that was dialled, the deciding one first, where proof is kept.
    attempts: Vec<Attempt>,
    /// What else the proof says, in one line.
    detail: Option<String>,
}

impl From<ResultView> for CheckResult {
    fn from(view: ResultView) -> Self {
        Self {
            at: Time(view.at),
            location: view.location,
            verdict: view.verdict.into(),
            outcome: view.error_code.into(),
            latency_us: view.latency_us,
            dns_us: view.dns_us,
            elapsed_us: view.elapsed_us,
            syn_retransmits: view.syn_retransmits,
            full: view.full,
            shared: view.shared,
            stale_dns: view.stale_dns,
            recheck: view.recheck,
            late: view.late,
            address: view.address.map(|address| address.to_string()),
            attempts: view.attempts.iter().map(Attempt::from).collect(),
            detail: view.detail,
        }
    }
}

/// How long a monitor took to answer.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LatencySummary {
    /// How long each bucket is.
    bucket: Seconds,
    /// Those in which something was checked, oldest first.
    buckets: Vec<LatencyBucket>,
    /// The whole window as one.
    total: LatencyBucket,
}

/// A piece of time.
#[derive(Debug, Serialize, JsonSchema)]
struct LatencyBucket {
    from: Time,
    to: Time,
    /// Checks that answered, slowly or not.
    answered: u64,
    /// Checks that failed.
    failed: u64,
    /// Checks that could not see.
    unseen: u64,
    /// Null where nothing answered.
    latency: Option<LatencyFigures>,
}

/// Figures of handshake times.
#[derive(Debug, Serialize, JsonSchema)]
struct LatencyFigures {
    min_us: u32,
    mean_us: u32,
    p50_us: u32,
    p95_us: u32,
    p99_us: u32,
    max_us: u32,
    /// Percentiles come from single results; else from histograms, at most 2.5 % off.
    exact: bool,
}

impl From<app::LatencyView> for LatencySummary {
    fn from(view: app::LatencyView) -> Self {
        Self {
            bucket: Seconds(view.bucket),
            buckets: view.buckets.into_iter().map(LatencyBucket::from).collect(),
            total: view.total.into(),
        }
    }
}

impl From<app::LatencyBucket> for LatencyBucket {
    fn from(bucket: app::LatencyBucket) -> Self {
        Self {
            from: Time(bucket.from),
            to: Time(bucket.to),
            answered: bucket.answered,
            failed: bucket.failed,
            unseen: bucket.unseen,
            latency: bucket.latency.map(|latency| LatencyFigures {
                min_us: latency.min_us,
                mean_us: latency.mean_us,
                p50_us: latency.p50_us,
                p95_us: latency.p95_us,
                p99_us: latency.p99_us,
                max_us: latency.max_us,
                exact: latency.exact,
            }),
        }
    }
}

/// The four figures of a window; null where there is nothing to take a share of.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct UptimeFigures {
    from: Time,
    to: Time,
    /// When the monitor was first looked at; before it there is no lifetime.
    born: Option<Time>,
    /// By single checks.
    raw: Option<ShareOfChecks>,
    /// By confirmed outages.
    confirmed: Option<ShareOfTime>,
    /// The same with maintenance left out.
    without_maintenance: Option<ShareOfTime>,
    /// The same with what could not be seen left out too: the uptime.
    without_unknown: Option<ShareOfTime>,
    /// How often it was down; what lies within one incident is one outage.
    outages: u64,
}

/// A share of time.
#[derive(Debug, Serialize, JsonSchema)]
struct ShareOfTime {
    /// In percent, rounded down to four places.
    percent: f64,
    down_ms: u64,
    of_ms: u64,
}

/// A share of checks.
#[derive(Debug, Serialize, JsonSchema)]
struct ShareOfChecks {
    /// In percent, rounded down to four places.
    percent: f64,
    failed: u64,
    of: u64,
}

impl From<Share> for ShareOfTime {
    fn from(share: Share) -> Self {
        Self { percent: percent(share.ppm), down_ms: share.down_ms, of_ms: share.of_ms }
    }
}

impl From<CheckShare> for ShareOfChecks {
    fn from(share: CheckShare) -> Self {
        Self { percent: percent(share.ppm), failed: share.failed, of: share.of }
    }
}

fn percent(ppm: u32) -> f64 {
    f64::from(ppm) / 10_000.0
}

impl From<UptimeView> for UptimeFigures {
    fn from(view: UptimeView) -> Self {
        Self {
            from: Time(view.window.from),
            to: Time(view.window.to),
            born: view.born.map(Time),
            raw: view.uptime.raw.map(Into::into),
            confirmed: view.uptime.confirmed.map(Into::into),
            without_maintenance: view.uptime.without_maintenance.map(Into::into),
            without_unknown: view.uptime.without_unknown.map(Into::into),
            outages: view.outages,
        }
    }
}

/// A time in which a monitor was not up.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Interval {
    monitor: Id<MonitorId>,
    /// May lie before the window.
    from: Time,
    /// Null: still.
    to: Option<Time>,
    status: Status,
    #[serde(flatten)]
    outcome: Outcome,
    /// The sentence for it.
    message: &'static str,
    incident: Option<Id<IncidentId>>,
    /// It was we who could not see: no location of the monitor could.
    blind: bool,
}

impl From<IntervalView> for Interval {
    fn from(view: IntervalView) -> Self {
        Self {
            monitor: Id(view.monitor),
            from: Time(view.from),
            to: view.to.map(Time),
            status: view.status.into(),
            outcome: view.code.into(),
            message: view.sentence,
            incident: view.incident.map(Id),
            blind: view.blind,
        }
    }
}
