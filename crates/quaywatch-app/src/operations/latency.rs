//! How long one monitor took to answer, summed up by equal pieces of time.

use std::time::Duration;

use quaywatch_core::{MonitorId, Timestamp};
use quaywatch_store::records::Window;

use super::refuse::not_built;
use super::{OperationError, Operations};
use crate::caller::Caller;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LatencyQuery {
    /// Of which time.
    pub window: Window,
    /// How long a bucket is; `None`: so that a chart has between 60 and 300 of them.
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
        let _ = (caller, monitor, query);
        Err(not_built())
    }
}
