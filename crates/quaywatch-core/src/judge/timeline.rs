//! What is said of the monitor, and the intervals in which it is anything but up.
//!
//! At most one interval is open, none overlaps the one before, and each boundary is the exact slot (or act, or
//! deadline) that made it. Three states have no interval: *up*; the *pending* of a new monitor, which ends with its
//! first result; and *unknown* only because its locations are blind, which is one row of the location.
//! In maintenance the interval says so, and its code says what was underneath: downtime inside maintenance is not lost.

use super::machine::Judge;
use super::moment::Moment;
use super::{Command, Policy, Status};
use crate::code::ErrorCode;

/// The open interval, if there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Open {
    pub(super) status: Status,
    pub(super) code: ErrorCode,
}

/// A confirmed change of what is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    /// The slot that confirmed it.
    pub(super) at: Moment,
}

impl Judge {
    /// Tells what follows from the state: its change from `from` on, intervals, the incident. Nothing when all of it
    /// was told before.
    pub(super) fn publish(
        &mut self,
        policy: &Policy,
        from: Moment,
        change: Option<Change>,
        out: &mut Vec<Command>,
    ) {
        let told = out.len();
        let start = from.max(self.edge);
        let shown = self.shown_now();
        if shown != self.shown {
            let (from, to) = (self.shown, shown);
            self.shown = shown;
            self.since = start;
            out.push(Command::Changed { from, to, since: start.timestamp(), code: self.code() });
        }
        let wanted = self.wanted_interval();
        let turns = wanted != self.interval;
        if turns && self.interval.is_some() {
            out.push(Command::IntervalClosed { to: start.timestamp() });
        }
        if let Some(change) = change.filter(|_| !self.maintenance || self.flaps.flapping) {
            self.flaps.record(change.at);
            self.dirty = true;
        }
        self.follow_with_incident(policy, change.is_some(), out);
        if turns {
            self.edge = start;
            self.interval = wanted;
            if let Some(Open { status, code }) = wanted {
                let incident = self.incident.open.then_some(self.incident.ordinal);
                out.push(Command::IntervalOpened { from: start.timestamp(), status, code, incident });
            }
        }
        self.dirty |= out.len() > told;
    }

    fn shown_now(&self) -> Status {
        if self.paused {
            Status::Paused
        } else if self.maintenance {
            Status::Maintenance
        } else {
            self.base.status
        }
    }

    fn wanted_interval(&self) -> Option<Open> {
        let open = |code| Some(Open { status: self.shown, code });
        match self.shown {
            Status::Up => None,
            Status::Pending => self.reborn.then_some(Open { status: Status::Pending, code: ErrorCode::Ok }),
            Status::Unknown if self.base.blind => None,
            Status::Degraded | Status::Down | Status::Unknown | Status::Blocked | Status::Maintenance => {
                open(self.base.code)
            }
            Status::Paused => open(ErrorCode::Ok),
        }
    }
}
