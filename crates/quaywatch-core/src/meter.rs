//! Counters that the hot paths move and `/metrics` reads: plain atomics, no registry, no labels, no locks.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn inc(&self) {
        self.add(1);
    }

    /// `n` more.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The number now.
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// Sets the number.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Moves the number.
    pub fn add(&self, delta: i64) {
        self.0.fetch_add(delta, Ordering::Relaxed);
    }

    /// The number now.
    pub fn read(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Upper bounds of a [`Histogram`]'s buckets in microseconds; the last bucket takes the rest.
pub const BOUNDS_US: [u64; 20] = [
    50,
    100,
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    120_000_000,
];

/// How durations are spread, in fixed buckets from 50 µs to two minutes.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
    max_us: AtomicU64,
}

/// A histogram's numbers at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistogramReading {
    /// Counts by bucket, not cumulated; one more than [`BOUNDS_US`].
    pub buckets: [u64; BOUNDS_US.len() + 1],
    /// Sum of all values in microseconds.
    pub sum_us: u64,
    /// The largest value ever, in microseconds.
    pub max_us: u64,
}

impl Histogram {
    /// Takes one value.
    pub fn observe(&self, value: Duration) {
        self.observe_us(u64::try_from(value.as_micros()).unwrap_or(u64::MAX));
    }

    /// Takes one value in microseconds.
    pub fn observe_us(&self, us: u64) {
        let bucket = BOUNDS_US.partition_point(|bound| *bound < us);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
        if us > self.max_us.load(Ordering::Relaxed) {
            self.max_us.fetch_max(us, Ordering::Relaxed);
        }
    }

    /// The numbers now.
    pub fn read(&self) -> HistogramReading {
        let mut reading = HistogramReading {
            sum_us: self.sum_us.load(Ordering::Relaxed),
            max_us: self.max_us.load(Ordering::Relaxed),
            ..HistogramReading::default()
        };
        for (to, from) in reading.buckets.iter_mut().zip(&self.buckets) {
            *to = from.load(Ordering::Relaxed);
        }
        reading
    }
}

impl HistogramReading {
    /// How many values were taken.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_falls_into_the_bucket_whose_bound_it_does_not_pass() {
        let histogram = Histogram::default();
        histogram.observe_us(50);
        histogram.observe_us(51);
        histogram.observe(Duration::from_secs(600));
        let reading = histogram.read();
        assert_eq!((reading.buckets[0], reading.buckets[1], reading.buckets[20]), (1, 1, 1));
        assert_eq!((reading.count(), reading.max_us), (3, 600_000_000));
    }
}
