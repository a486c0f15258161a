//! What leaves a runner: batches of results, and what it could not see.

use quaywatch_core::{CheckResult, ErrorCode, LocationId, Timestamp};

/// Where results go. The server's is its engine, an agent's is its spool.
pub trait Sink: Send {
    /// Takes a batch. Must not block: checks never wait for what comes after them.
    fn deliver(&mut self, batch: Batch);
}

/// What a runner saw since the last batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// The place it saw it from.
    pub location: LocationId,
    /// When the batch was closed, by the schedule's time: the wall's, as far as it was not set since (at most two
    /// seconds off).
    pub at: Timestamp,
    /// In the order in which they came to be known.
    pub results: Vec<CheckResult>,
    /// What could not be seen.
    pub sight: Vec<Sight>,
}

/// A change in what a location can see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// From `at` on, this location cannot see.
    Lost {
        /// Since when.
        at: Timestamp,
        /// Why.
        code: ErrorCode,
    },
    /// From `at` on, it sees again.
    Back {
        /// Since when.
        at: Timestamp,
    },
    /// The checks that were in flight between the two moments say nothing: the machine slept, the process was
    /// stopped, or the clock was set.
    Void {
        /// The last moment at which everything was as it should be.
        from: Timestamp,
        /// When that was noticed. May lie before `from`, where the clock was set back.
        to: Timestamp,
        /// `self_stall` or `self_clock`.
        code: ErrorCode,
    },
}
