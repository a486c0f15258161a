//! The upkeep of what is stored. One file a job, one line in [`ALL`]; each does its work in pieces that the store keeps
//! short, so that none ever holds up a commit.

mod day;
mod hour;
mod minute;
mod retain;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::{Clock, Timestamp};
use quaywatch_store::records::Retention;
use quaywatch_store::{StoreError, SystemStore};
use tokio_util::sync::CancellationToken;

use crate::delivery::ShardStores;

/// Every job.
const ALL: &[Job] = &[minute::JOB, hour::JOB, day::JOB, retain::JOB];

/// A job: its name, when it is due next after a moment, and what it does then.
#[derive(Clone, Copy)]
pub(crate) struct Job {
    name: &'static str,
    /// The first moment after the given one at which something is due.
    next: fn(Timestamp) -> Timestamp,
    /// Does everything that is due now, at the first run also what was missed.
    run: for<'a> fn(&'a Site, Turn) -> Work<'a>,
}

type Work<'a> = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>>;

/// One run of a job.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn {
    pub(crate) now: Timestamp,
    /// The last process may have left anything undone.
    pub(crate) first: bool,
}

/// What jobs work with.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) system: Arc<dyn SystemStore>,
    pub(crate) shards: ShardStores,
    pub(crate) retention: Retention,
}

/// Between two pieces others come first.
const BREATH: Duration = Duration::from_millis(20);
/// A job that failed is tried again after this.
const AFTER_FAILURE: Duration = Duration::from_secs(10);
/// Wall time may be set, so nothing sleeps longer than this at once.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// The start of a server has other things to do.
const AFTER_START: Duration = Duration::from_secs(20);

/// The running jobs.
pub(crate) struct Upkeep(CancellationToken);

impl Upkeep {
    pub(crate) fn stop(&self) {
        self.0.cancel();
    }
}

/// Starts every job on the current runtime.
pub(crate) fn start(site: &Site) -> Upkeep {
    let token = CancellationToken::new();
    for job in ALL {
        let (site, token) = (site.clone(), token.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = token.cancelled() => {}
                () = forever(*job, site) => {}
            }
        });
    }
    Upkeep(token)
}

async fn forever(job: Job, site: Site) {
    tokio::time::sleep(AFTER_START).await;
    let mut first = true;
    loop {
        let now = site.clock.now();
        let turn = Turn { now, first };
        if let Err(error) = (job.run)(&site, turn).await {
            tracing::warn!(job = job.name, %error, "upkeep failed and is tried again");
            tokio::time::sleep(AFTER_FAILURE).await;
            continue;
        }
        first = false;
        sleep_until(&site, (job.next)(now)).await;
    }
}

async fn sleep_until(site: &Site, at: Timestamp) {
    loop {
        let left = at.since(site.clock.now());
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(LONGEST_SLEEP)).await;
    }
}

/// Lets others come first.
async fn breathe() {
    tokio::time::sleep(BREATH).await;
}

/// The start of the period in which `now` lies, plus `offset`, moved on to be after `now`.
fn after(now: Timestamp, period: Duration, offset: Duration) -> Timestamp {
    let period_us = i64::try_from(period.as_micros()).expect("a period fits");
    let start = Timestamp(now.0.div_euclid(period_us) * period_us) + offset;
    if start > now { start } else { start + period }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_has_a_name_of_its_own_and_is_due_in_the_future() {
        let names: std::collections::BTreeSet<_> = ALL.iter().map(|job| job.name).collect();
        assert_eq!(names.len(), ALL.len());
        for job in ALL {
            for second in (0..90_000).step_by(7) {
                let now = Timestamp::from_secs(1_777_652_000 + second);
                let next = (job.next)(now);
                assert!(next > now && next.since(now) <= Duration::from_secs(3_600), "{}", job.name);
            }
        }
    }
}
