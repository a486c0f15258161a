//! Judging: a pure state machine per monitor. Results and acts go in with `now`; decisions come out.
//!
//! The types below are the contract between the judge and the engine. The judge names an incident by its ordinal
//! within its monitor, never by an id, so that replays agree.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::code::ErrorCode;
use crate::id::LocationId;
use crate::time::Timestamp;

mod acts;
mod codec;
mod confirm;
mod degraded;
mod flap;
mod freshness;
mod incident;
mod machine;
mod moment;
mod places;
mod quorum;
mod timeline;

pub use codec::DecodeError;
pub use machine::Judge;

/// Counts changes of the rules by which inputs become commands. Each incident keeps the one that decided it; a
/// replay promises equal commands only within one version.
pub const JUDGE_VERSION: u32 = 1;

/// What is said of a monitor as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Status {
    /// Nothing is known yet.
    Pending = 0,
    /// It answers.
    Up = 1,
    /// It answers, but slowly or only in part.
    Degraded = 2,
    /// It does not answer, by its own counts.
    Down = 3,
    /// We cannot see it.
    Unknown = 4,
    /// We must not look.
    Blocked = 5,
    /// Its owner said that it may be down.
    Maintenance = 6,
    /// Its owner said not to look.
    Paused = 7,
}

impl Status {
    /// The status that a number on disk stands for.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Pending),
            1 => Some(Self::Up),
            2 => Some(Self::Degraded),
            3 => Some(Self::Down),
            4 => Some(Self::Unknown),
            5 => Some(Self::Blocked),
            6 => Some(Self::Maintenance),
            7 => Some(Self::Paused),
            _ => None,
        }
    }
}

/// How a monitor is judged: the part of its spec that the judge reads. Shared by monitors with the same settings.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Policy {
    /// From slot to slot.
    pub check_interval: Duration,
    /// Of a check.
    pub timeout: Duration,
    /// Of resolving.
    pub dns_timeout: Duration,
    /// How soon to look again while something is unconfirmed.
    pub retry_interval: Duration,
    /// Failures in a row, per location, before it counts as failing there.
    pub failures: u16,
    /// Successes in a row, per location, before it counts as well there again.
    pub successes: u16,
    /// Slower than this is slow; microseconds.
    pub threshold_us: Option<u32>,
    /// Where it is checked from.
    pub locations: Box<[LocationId]>,
    /// How many locations must agree; `None`: a majority of those with a fresh verdict.
    pub quorum: Option<u16>,
    /// Confirmed changes within `flap_window` that make it flapping; 0 = never; more than 8 mean 8.
    pub flap_changes: u16,
    /// See `flap_changes`.
    pub flap_window: Duration,
    /// How long it must be steady to stop flapping.
    pub flap_hold: Duration,
    /// False: a monitor that was never up opens no incident.
    pub alert_before_first_success: bool,
}

impl Policy {
    /// For how long a verdict is fresh: 2 × max(interval, timeout + dns_timeout).
    #[must_use]
    pub fn freshness(&self) -> Duration {
        2 * self.check_interval.max(self.timeout + self.dns_timeout)
    }
}

/// What happens to a monitor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Input {
    /// A check's result, as far as the judge needs it.
    Observed {
        /// From where.
        location: LocationId,
        /// Its slot.
        slot: Timestamp,
        /// What it saw.
        code: ErrorCode,
        /// Handshake time, for the threshold.
        latency_us: Option<u32>,
    },
    /// The owner stops checking.
    Paused,
    /// The owner checks again.
    Resumed,
    /// The server starts again with this state as it was stored, or goes on after the machine or the process stood
    /// still; `gap` is how long it was away.
    Restarted {
        /// From the last commit to now.
        gap: Duration,
    },
    /// The spec changed. `reset`: the target or the way of looking is another one, so streaks start
    /// anew and an open incident is closed as superseded.
    Revised {
        /// See above.
        reset: bool,
    },
    /// The monitor is removed: paused in all but the reason with which its open incident is closed. Should it come
    /// back from the bin, `Resumed` goes on with it.
    Removed,
    /// A maintenance window begins.
    MaintenanceStarted,
    /// A maintenance window ends.
    MaintenanceEnded,
    /// A location cannot see (own network, agent offline).
    LocationLost {
        /// Which.
        location: LocationId,
        /// Why.
        code: ErrorCode,
    },
    /// A location sees again.
    LocationBack {
        /// Which.
        location: LocationId,
    },
    /// The wall clock was set back: slots from before and after cannot be compared, so none is too late any more.
    ClockStepped,
}

/// How bad an incident is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Degraded, blocked or unknown: no downtime.
    Warning,
    /// Down.
    Critical,
}

/// Why an incident ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseReason {
    /// The monitor is well again.
    Recovered,
    /// What is checked is another thing now.
    Superseded,
    /// The monitor was removed.
    Removed,
    /// The monitor was paused.
    Paused,
}

/// What the judge decides. The engine writes and tells; it adds nothing of its own.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// The status changed.
    Changed {
        /// Before.
        from: Status,
        /// After.
        to: Status,
        /// Since when: the slot of the first failure for an outage, of the first slow result for a degradation
        /// (both dated back), else the deciding slot, act or deadline. Never before the last boundary of an interval.
        since: Timestamp,
        /// Why.
        code: ErrorCode,
    },
    /// From `from` on, the monitor is not up: a row of `interval` is opened. At most one is open at a time. A status
    /// that is not up has one, but for the first `pending` of a new monitor, and `unknown` while all its locations are
    /// lost: that is one row of the location, not one of each monitor.
    IntervalOpened {
        /// Exact to the millisecond.
        from: Timestamp,
        /// What it is instead.
        status: Status,
        /// Why; in maintenance, what is underneath (`ok`, or why it would be down, degraded, unknown or blocked).
        code: ErrorCode,
        /// The incident it belongs to, if it has one.
        incident: Option<u32>,
    },
    /// The open interval ends.
    IntervalClosed {
        /// Exact to the millisecond; never before its start.
        to: Timestamp,
    },
    /// A new incident.
    IncidentOpened {
        /// Its number within the monitor, from 1.
        ordinal: u32,
        /// How bad.
        severity: Severity,
        /// The status it is about.
        status: Status,
        /// The slot of the first failure.
        started_at: Timestamp,
        /// Why.
        code: ErrorCode,
        /// The monitor has never been up.
        never_up: bool,
        /// Failed (or slow) checks so far; over a restart, as [`Judge::reckon`] counts them.
        failed_checks: u32,
    },
    /// Its cause or severity changed.
    IncidentUpdated {
        /// Which.
        ordinal: u32,
        /// Now.
        severity: Severity,
        /// Now.
        status: Status,
        /// Now.
        code: ErrorCode,
        /// Failed checks so far.
        failed_checks: u32,
    },
    /// It flaps: single changes are not told any more.
    IncidentFlapping {
        /// Which.
        ordinal: u32,
        /// Changes within the window.
        changes: u16,
        /// The status at this moment.
        status: Status,
    },
    /// It is steady again, in a state that is not up (a flapping that ends up closes instead).
    IncidentSteady {
        /// Which.
        ordinal: u32,
        /// The status at this moment.
        status: Status,
        /// Why.
        code: ErrorCode,
    },
    /// It is over.
    IncidentClosed {
        /// Which.
        ordinal: u32,
        /// Why.
        reason: CloseReason,
        /// When.
        ended_at: Timestamp,
        /// Failed checks in all.
        failed_checks: u32,
    },
    /// Look again from `location`, not later than `at` (the next slot may come first).
    Recheck {
        /// From where.
        location: LocationId,
        /// Not later than.
        at: Timestamp,
    },
}
