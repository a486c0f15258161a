//! What a runner counts. Read by `/metrics`; moved without locks.

use quaywatch_core::ErrorCode;
use quaywatch_core::meter::{Counter, Gauge, Histogram};

/// The readings of one runner.
#[derive(Debug)]
pub struct RunnerStats {
    /// First SYN sent − slot.
    pub lateness: Histogram,
    /// Results by the number of their code.
    pub results: [Counter; 256],
    /// Slots that passed without a check, for want of capacity or because we were away.
    pub missed: Counter,
    /// Slots that fell while a check of the same monitor was running.
    pub overlapped: Counter,
    /// Checks not made, because their target had its share.
    pub over_budget: Counter,
    /// Checks made later than due, because their target had its share.
    pub delayed: Counter,
    /// Results that took the observation of an identical check.
    pub shared: Counter,
    /// Checks in flight whose result was thrown away: suspend, stall, clock step.
    pub void: Counter,
    /// Times that the wall clock was set.
    pub wall_steps: Counter,
    /// Times that the loop was away too long: suspend, a stopped process, a starved machine.
    pub stalls: Counter,
    /// Checks that never came back and were given up.
    pub lost: Counter,
    /// Looks at the anchors.
    pub anchor_looks: Counter,
    /// Failures that the anchors turned into `unknown`.
    pub blamed_on_us: Counter,
    /// Batches delivered.
    pub batches: Counter,
    /// Monitors on the schedule.
    pub monitors: Gauge,
    /// Checks in flight, dialogues included.
    pub in_flight: Gauge,
    /// Dialogues in flight.
    pub dialogues: Gauge,
    /// Checks due that wait for capacity.
    pub queued: Gauge,
    /// Names being resolved or waiting for it.
    pub resolving: Gauge,
    /// Failures that wait for a look at the anchors.
    pub held: Gauge,
    /// 1 while the location cannot see.
    pub blind: Gauge,
}

impl Default for RunnerStats {
    fn default() -> Self {
        Self {
            lateness: Histogram::default(),
            results: std::array::from_fn(|_| Counter::default()),
            missed: Counter::default(),
            overlapped: Counter::default(),
            over_budget: Counter::default(),
            delayed: Counter::default(),
            shared: Counter::default(),
            void: Counter::default(),
            wall_steps: Counter::default(),
            stalls: Counter::default(),
            lost: Counter::default(),
            anchor_looks: Counter::default(),
            blamed_on_us: Counter::default(),
            batches: Counter::default(),
            monitors: Gauge::default(),
            in_flight: Gauge::default(),
            dialogues: Gauge::default(),
            queued: Gauge::default(),
            resolving: Gauge::default(),
            held: Gauge::default(),
            blind: Gauge::default(),
        }
    }
}

impl RunnerStats {
    /// How many results had this code.
    #[must_use]
    pub fn results_with(&self, code: ErrorCode) -> u64 {
        self.results[usize::from(code.number())].read()
    }

    /// How many results there were.
    #[must_use]
    pub fn results_total(&self) -> u64 {
        self.results.iter().map(Counter::read).sum()
    }
}
