//! When what was not up, and when nobody could see: what uptime and looks into the past are computed from.

use quaywatch_core::judge::Status;
use quaywatch_core::{ErrorCode, IncidentId, LocationId, MonitorId, Timestamp};

/// From (inclusive) and to (exclusive).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Inclusive.
    pub from: Timestamp,
    /// Exclusive.
    pub to: Timestamp,
}

/// One change of a monitor's intervals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IntervalWrite {
    /// From here on it is not up.
    Open {
        /// Whose.
        monitor: MonitorId,
        /// Exact to the millisecond.
        from: Timestamp,
        /// What it is.
        status: Status,
        /// Why.
        code: ErrorCode,
        /// The incident, if any.
        incident: Option<IncidentId>,
    },
    /// The open one ends.
    Close {
        /// Whose.
        monitor: MonitorId,
        /// When.
        to: Timestamp,
    },
}

/// A time when a monitor was not up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interval {
    /// Whose.
    pub monitor: MonitorId,
    /// Inclusive.
    pub from: Timestamp,
    /// Exclusive; `None`: still.
    pub to: Option<Timestamp>,
    /// What it was.
    pub status: Status,
    /// Why.
    pub code: ErrorCode,
    /// The incident, if any.
    pub incident: Option<IncidentId>,
}

/// Which intervals are wanted, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IntervalFilter {
    /// Only of this monitor.
    pub monitor: Option<MonitorId>,
    /// Only those that overlap this.
    pub window: Option<Window>,
    /// Only those with one of these; empty: all.
    pub statuses: Vec<Status>,
    /// Only those behind this one, by its beginning and its monitor.
    pub after: Option<(Timestamp, MonitorId)>,
    /// At most this many; 0 = 1,000.
    pub limit: usize,
}

/// One change of what is said of a monitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransitionRecord {
    /// Grows, with gaps: numbers are shared by all accounts.
    pub id: u64,
    /// Of which monitor.
    pub monitor: MonitorId,
    /// When it happened, which may be before it was known.
    pub at: Timestamp,
    /// What it is from then on.
    pub status: Status,
    /// Why.
    pub code: ErrorCode,
    /// The incident it belongs to.
    pub incident: Option<IncidentId>,
}

/// A time when a location could not see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blind {
    /// Which.
    pub location: LocationId,
    /// Inclusive.
    pub from: Timestamp,
    /// Exclusive; `None`: still.
    pub to: Option<Timestamp>,
    /// Why.
    pub code: ErrorCode,
}

/// Opens or ends blind time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlindChange {
    /// The location cannot see from here on.
    Began {
        /// Which.
        location: LocationId,
        /// When.
        at: Timestamp,
        /// Why.
        code: ErrorCode,
    },
    /// The location sees again.
    Ended {
        /// Which.
        location: LocationId,
        /// When.
        at: Timestamp,
    },
}
