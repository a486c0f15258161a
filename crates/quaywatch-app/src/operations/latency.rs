//! How long one monitor took to answer, summed up by equal pieces of time.
//!
//! What is still there decides: from the first single result of the window on percentiles are exact, before it they come
//! from hourly histograms, and before the first hour from daily ones.

use std::collections::BTreeMap;
use std::time::Duration;

use quaywatch_core::access::{Level, Policy, Resource};
use quaywatch_core::spec::duration::Human;
use quaywatch_core::{LocationId, MonitorId, Timestamp, Verdict};
use quaywatch_store::StoreError;
use quaywatch_store::records::{CheckRow, Summary, SummaryRow, Window};

use super::past::{self, Watched};
use super::refuse::invalid;
use super::{OperationError, Operations};
use crate::caller::Caller;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
/// Lengths that are chosen where nobody says one.
const LENGTHS: [Duration; 12] = [
    Duration::from_secs(60),
    Duration::from_secs(300),
    Duration::from_secs(900),
    Duration::from_secs(1_800),
    HOUR,
    Duration::from_secs(3 * 3_600),
    Duration::from_secs(6 * 3_600),
    Duration::from_secs(12 * 3_600),
    DAY,
    Duration::from_secs(2 * 86_400),
    Duration::from_secs(7 * 86_400),
    Duration::from_secs(28 * 86_400),
];
/// As many as a chart can show.
const USUAL_BUCKETS: u64 = 300;
/// As many as an answer may hold.
const MOST_BUCKETS: u64 = 5_000;
const SHORTEST: Duration = Duration::from_secs(10);
/// Single results that one question may read; beyond it histograms answer.
const MOST_RESULTS: u128 = 500_000;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LatencyQuery {
    /// Of which time.
    pub window: Window,
    /// How long a bucket is; `None`: so that a chart has a few hundred of them at most. Where single results of the
    /// window are gone it is an hour at least, and where hours are gone a day.
    pub bucket: Option<Duration>,
    /// Only from this location.
    pub location: Option<String>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq)]
pub struct LatencyView {
    /// How long each bucket is.
    pub bucket: Duration,
    /// Those in which something was checked, oldest first; they begin at multiples of their length since 1970 UTC.
    pub buckets: Vec<LatencyBucket>,
    /// The whole window as one.
    pub total: LatencyBucket,
}

/// A piece of time.
#[derive(Debug, Clone, PartialEq)]
pub struct LatencyBucket {
    /// Inclusive.
    pub from: Timestamp,
    /// Exclusive.
    pub to: Timestamp,
    /// Checks that answered, slowly or not.
    pub answered: u64,
    /// Checks that failed.
    pub failed: u64,
    /// Checks that could not see.
    pub unseen: u64,
    /// The figures; `None` where nothing answered.
    pub latency: Option<Latency>,
}

/// Figures of handshake times, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    /// The smallest.
    pub min_us: u32,
    /// The mean.
    pub mean_us: u32,
    /// Half are no larger.
    pub p50_us: u32,
    /// 95 of 100 are no larger.
    pub p95_us: u32,
    /// 99 of 100 are no larger.
    pub p99_us: u32,
    /// The largest.
    pub max_us: u32,
    /// Percentiles come from single results; else from histograms, at most 2.5 % off.
    pub exact: bool,
}

impl Operations {
    /// How long a monitor took to answer.
    ///
    /// # Errors
    /// Where the caller may not, there is no such monitor, or window or bucket make no sense.
    pub async fn summarise_latency(
        &self,
        caller: &Caller,
        monitor: MonitorId,
        query: &LatencyQuery,
    ) -> Result<LatencyView, OperationError> {
        caller.require(Policy::new(Resource::Results, Level::Look))?;
        let watched = self.watched(caller, monitor).await?;
        let window = past::window(query.window, watched.now)?;
        let location = query.location.as_deref().map(|name| watched.places.named(name)).transpose()?;
        let asked = query.bucket.map(|bucket| checked(bucket, window)).transpose()?;
        let history = Read { watched: &watched, window, location };
        let young = history.young(asked).await?;
        let old = history.old(&young).await?;
        let bucket = length(asked, window, &old)?;
        Ok(LatencyView::new(bucket, window, &young, &old))
    }
}

/// A length that somebody asked for.
fn checked(bucket: Duration, window: Window) -> Result<Duration, OperationError> {
    let refuse = |code, message: String, remedy: String| Err(invalid("bucket", code, message, remedy));
    if bucket < SHORTEST || bucket.subsec_nanos() != 0 || bucket > 366 * DAY {
        let message = format!("a bucket of {} cannot be had", Human(bucket));
        return refuse("out_of_range", message, "ask for whole seconds from 10 s to 366 days".to_owned());
    }
    let count = window.to.since(window.from).as_secs() / bucket.as_secs();
    if count > MOST_BUCKETS {
        let message = format!("{count} buckets are too many: at most {MOST_BUCKETS} fit into an answer");
        return refuse("too_many", message, "ask for longer buckets or a shorter window".to_owned());
    }
    Ok(bucket)
}

/// The length that is used: as asked, or as fits; never shorter than what the oldest part is kept in.
fn length(asked: Option<Duration>, window: Window, old: &Old) -> Result<Duration, OperationError> {
    let least = old.grain();
    match asked {
        Some(bucket) if bucket.as_secs() % least.as_secs().max(1) == 0 => Ok(bucket),
        Some(bucket) => {
            let message = format!(
                "a bucket of {} cannot be had: a part of this window is only kept by the {}",
                Human(bucket),
                if least == HOUR { "hour" } else { "day" }
            );
            let remedy = format!("ask for a multiple of {}, or a younger window", Human(least));
            Err(invalid("bucket", "out_of_reach", message, remedy))
        }
        None => {
            let span = window.to.since(window.from).as_secs();
            let fits = |length: &&Duration| **length >= least && span / length.as_secs() <= USUAL_BUCKETS;
            Ok(*LENGTHS.iter().find(fits).unwrap_or(&LENGTHS[LENGTHS.len() - 1]))
        }
    }
}

/// Reading what there is.
struct Read<'w> {
    watched: &'w Watched,
    window: Window,
    location: Option<LocationId>,
}

/// Single results, from a whole hour on.
#[derive(Default)]
struct Young {
    rows: Vec<CheckRow>,
    /// Where they begin; the window's end where there are none.
    from: Timestamp,
}

/// What is left of older results.
#[derive(Default)]
struct Old {
    hours: Vec<SummaryRow>,
    days: Vec<SummaryRow>,
}

impl Old {
    /// The shortest piece of time that all of it can be told apart by.
    fn grain(&self) -> Duration {
        match (self.days.is_empty(), self.hours.is_empty()) {
            (false, _) => DAY,
            (true, false) => HOUR,
            (true, true) => Duration::ZERO,
        }
    }
}

impl Read<'_> {
    async fn young(&self, asked: Option<Duration>) -> Result<Young, OperationError> {
        let mut from = self.window.from.max(self.watched.record.created_at - HOUR);
        let interval = self.watched.spec.check_interval.as_micros().max(1);
        let places = self.watched.spec.locations.len().max(1) as u128;
        let expected = self.window.to.since(from).as_micros() / interval * places;
        let mut young = Young { rows: Vec::new(), from: self.window.to };
        if expected > MOST_RESULTS {
            if asked.is_some_and(|bucket| bucket < HOUR) {
                let message = format!("about {expected} results would have to be read for this");
                let remedy = "ask for buckets of whole hours, or for a shorter window";
                return Err(invalid("bucket", "too_many", message, remedy));
            }
            return Ok(young);
        }
        while from < self.window.to {
            let part = Window { from, to: (floor(from, DAY) + DAY).min(self.window.to) };
            let mut rows = self.watched.store.results(self.watched.record.id, part).await?;
            if let (true, Some(first)) = (young.from == self.window.to, rows.first()) {
                // What is deleted is deleted by whole days: the hour of the first that is left is whole.
                young.from = floor(first.slot, HOUR).max(self.window.from);
            }
            rows.retain(|row| self.location.is_none_or(|location| row.location == location));
            young.rows.append(&mut rows);
            from = part.to;
        }
        Ok(young)
    }

    async fn old(&self, young: &Young) -> Result<Old, StoreError> {
        let id = self.watched.record.id;
        let here = |row: &SummaryRow| self.location.is_none_or(|location| row.location == location);
        let mut old = Old::default();
        if young.from <= self.window.from {
            return Ok(old);
        }
        let before = Window { from: self.window.from, to: young.from };
        let mut hours = self.watched.store.summaries(id, before).await?;
        let until = hours.first().map_or(young.from, |first| floor(first.hour, DAY));
        if self.window.from < until {
            let days = Window { from: self.window.from, to: until };
            old.days = self.watched.store.daily_summaries(id, days).await?;
            old.days.retain(here);
        }
        hours.retain(here);
        old.hours = hours;
        Ok(old)
    }
}

/// The last multiple of `length` since 1970 that is not after `at`.
fn floor(at: Timestamp, length: Duration) -> Timestamp {
    let us = i64::try_from(length.as_micros()).expect("lengths are checked");
    Timestamp(at.0.div_euclid(us) * us)
}

/// What is gathered for one bucket.
#[derive(Default)]
struct Gathered {
    /// Single latencies.
    exact: Vec<u32>,
    /// What is known in sums only.
    sums: Option<Summary>,
    answered: u64,
    failed: u64,
    unseen: u64,
}

impl Gathered {
    fn add(&mut self, row: &CheckRow) {
        match row.code.verdict() {
            Verdict::Up | Verdict::Degraded => self.answered += 1,
            Verdict::Down => self.failed += 1,
            Verdict::Unknown | Verdict::Blocked => self.unseen += 1,
        }
        self.exact.extend(row.latency_us);
    }

    fn add_sums(&mut self, summary: &Summary) {
        self.answered += u64::from(summary.up) + u64::from(summary.degraded);
        self.failed += u64::from(summary.down);
        self.unseen += u64::from(summary.unknown) + u64::from(summary.blocked);
        self.sums.get_or_insert_default().merge(summary);
    }

    fn into_bucket(mut self, from: Timestamp, to: Timestamp) -> LatencyBucket {
        self.exact.sort_unstable();
        let latency = match &mut self.sums {
            None => exact(&self.exact),
            Some(sums) => {
                // A bucket over the border between the two: its single results join the histogram.
                sums.add_latencies(&self.exact);
                estimated(sums)
            }
        };
        LatencyBucket { from, to, answered: self.answered, failed: self.failed, unseen: self.unseen, latency }
    }
}

impl LatencyView {
    fn new(bucket: Duration, window: Window, young: &Young, old: &Old) -> Self {
        let mut gathered: BTreeMap<Timestamp, Gathered> = BTreeMap::new();
        let mut total = Gathered::default();
        for row in &young.rows {
            gathered.entry(floor(row.slot, bucket)).or_default().add(row);
            total.add(row);
        }
        for row in old.hours.iter().chain(&old.days) {
            gathered.entry(floor(row.hour, bucket)).or_default().add_sums(&row.summary);
            total.add_sums(&row.summary);
        }
        let buckets =
            gathered.into_iter().map(|(from, found)| found.into_bucket(from, from + bucket)).collect();
        Self { bucket, buckets, total: total.into_bucket(window.from, window.to) }
    }
}

/// Figures of sorted latencies.
fn exact(sorted: &[u32]) -> Option<Latency> {
    let (min_us, max_us) = (*sorted.first()?, *sorted.last()?);
    let sum: u64 = sorted.iter().map(|us| u64::from(*us)).sum();
    let rank = |percent: usize| sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1];
    Some(Latency {
        min_us,
        mean_us: u32::try_from(sum / sorted.len() as u64).unwrap_or(u32::MAX),
        p50_us: rank(50),
        p95_us: rank(95),
        p99_us: rank(99),
        max_us,
        exact: true,
    })
}

fn estimated(sums: &Summary) -> Option<Latency> {
    let mean = sums.mean_us()?;
    Some(Latency {
        min_us: sums.min_us,
        mean_us: u32::try_from(mean).unwrap_or(u32::MAX),
        p50_us: sums.quantile_us(0.50)?,
        p95_us: sums.quantile_us(0.95)?,
        p99_us: sums.quantile_us(0.99)?,
        max_us: sums.max_us,
        exact: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_single_results_are_results_themselves() {
        let sorted: Vec<u32> = (1..=200).collect();
        let found = exact(&sorted).expect("there are some");
        assert_eq!(
            (found.min_us, found.p50_us, found.p95_us, found.p99_us, found.max_us),
            (1, 100, 190, 198, 200)
        );
        assert_eq!(exact(&[7]).map(|found| (found.p50_us, found.p99_us)), Some((7, 7)));
        assert_eq!(exact(&[]), None);
    }

    #[test]
    fn a_chart_gets_a_length_that_fits_and_nobody_gets_a_million_buckets() {
        let day = Window { from: Timestamp(0), to: Timestamp(0) + DAY };
        let year = Window { from: Timestamp(0), to: Timestamp(0) + 365 * DAY };
        let length = |window, old: &Old| length(None, window, old).expect("one that fits");
        assert_eq!(length(day, &Old::default()), Duration::from_secs(300));
        assert_eq!(length(year, &Old::default()), 2 * DAY);
        let row = SummaryRow { location: LocationId::LOCAL, hour: Timestamp(0), summary: Summary::default() };
        let hourly = Old { hours: vec![row.clone()], days: Vec::new() };
        assert_eq!(length(day, &hourly), HOUR);
        let daily = Old { hours: Vec::new(), days: vec![row] };
        assert_eq!(length(day, &daily), DAY);
        assert!(super::length(Some(Duration::from_secs(60)), day, &hourly).is_err());
        assert!(checked(Duration::from_secs(10), year).is_err());
        assert!(checked(Duration::from_millis(10_500), day).is_err());
        assert!(checked(Duration::from_secs(60), day).is_ok());
    }
}
