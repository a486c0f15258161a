//! How long things are kept, what upkeep did, and how large everything is.

use std::time::Duration;

/// How long things are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Raw results; default 30 days.
    pub raw: Duration,
    /// Hourly summaries; default 13 months (396 days).
    pub hourly: Duration,
    /// Daily summaries; `None`: for ever.
    pub daily: Option<Duration>,
    /// Things in the bin and delivery logs; default 30 days.
    pub bin: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        Self { raw: 30 * DAY, hourly: 396 * DAY, daily: None, bin: 30 * DAY }
    }
}

/// What a piece of retention did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RetentionReport {
    /// Rows deleted.
    pub deleted: u64,
    /// Whether more is left to do now.
    pub more: bool,
}

/// What a piece of upkeep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UpkeepDone {
    /// Checks moved.
    pub checks: u64,
    /// Bytes written.
    pub bytes: u64,
}

/// Sizes and times of the store.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StoreGauges {
    /// Size of the database in bytes.
    pub bytes: u64,
    /// Size of what is not yet merged into it (the write-ahead log).
    pub wal_bytes: u64,
    /// Steps committed.
    pub commits: u64,
    /// Steps that failed.
    pub failed_commits: u64,
    /// Commit times.
    pub commit_times: quaywatch_core::meter::HistogramReading,
    /// How long each piece of upkeep (sorting, blocks, retention, checkpoints) held the writer.
    pub upkeep_times: quaywatch_core::meter::HistogramReading,
    /// Results written.
    pub results: u64,
    /// Results that were not written while [`StoreGauges::shedding`].
    pub shed_results: u64,
    /// True while raw results are not written because the disk is (nearly) full.
    pub shedding: bool,
    /// Room on the disk, in bytes.
    pub free_bytes: u64,
}
