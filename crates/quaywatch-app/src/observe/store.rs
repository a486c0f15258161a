//! What the store says of itself: size, commits, and whether the disk is full.

use std::sync::Arc;

use quaywatch_store::Store;

use super::{Family, Reading, Source, Wanted};

/// Readings of the store.
pub struct StoreSource(pub Arc<dyn Store>);

impl Source for StoreSource {
    fn collect(&self, _: &Wanted, families: &mut Vec<Family>) {
        let gauges = self.0.system().gauges();
        let single = Family::single;
        families.extend([
            single(
                "quaywatch_commit_seconds",
                "Time of a commit, until it is durable.",
                Reading::Histogram(Box::new(gauges.commit_times)),
            ),
            single("quaywatch_commits", "Groups of steps committed.", Reading::Counter(gauges.commits)),
            single(
                "quaywatch_failed_commits",
                "Groups of steps that failed.",
                Reading::Counter(gauges.failed_commits),
            ),
            single(
                "quaywatch_recorded_results",
                "Results written to the store.",
                Reading::Counter(gauges.results),
            ),
            single(
                "quaywatch_shed_results",
                "Results not written because the disk was (nearly) full.",
                Reading::Counter(gauges.shed_results),
            ),
            single("quaywatch_database_bytes", "Size of the database.", bytes(gauges.bytes)),
            single("quaywatch_wal_bytes", "Size of the write-ahead log.", bytes(gauges.wal_bytes)),
            single(
                "quaywatch_disk_free_bytes",
                "Room on the disk of the data directory.",
                bytes(gauges.free_bytes),
            ),
            single(
                "quaywatch_shedding",
                "1 while raw results are not written because the disk is (nearly) full.",
                Reading::Gauge(f64::from(u8::from(gauges.shedding))),
            ),
        ]);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a size for a chart needs no more than 53 bits")]
fn bytes(value: u64) -> Reading {
    Reading::Gauge(value as f64)
}
