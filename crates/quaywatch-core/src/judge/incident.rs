//! From what is said of a monitor to its one incident: opened, updated in place, closed.
//!
//! The incident follows the state, not the inputs: whatever happened, what is open is compared with what should be
//! open, and the difference is told. So nothing is opened twice, and what was held back (maintenance, "tell nobody
//! before the first success") is opened when the reason for holding it back ends.

use super::flap::Flaps;
use super::machine::Judge;
use super::moment::Moment;
use super::{CloseReason, Command, Policy, Severity, Status};
use crate::code::ErrorCode;

/// The open incident, or the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Incident {
    /// Its number; 0 before the first.
    pub(super) ordinal: u32,
    pub(super) open: bool,
    /// It was an outage at some time; going dark does not make it less.
    pub(super) critical: bool,
    /// What was told last.
    pub(super) status: Status,
    /// What was told last.
    pub(super) code: ErrorCode,
}

impl Incident {
    pub(super) const fn none(ordinal: u32) -> Self {
        Self { ordinal, open: false, critical: false, status: Status::Pending, code: ErrorCode::Ok }
    }

    const fn severity(&self) -> Severity {
        if self.critical { Severity::Critical } else { Severity::Warning }
    }
}

/// What the state means for an incident.
enum View {
    /// None is needed.
    Well,
    /// Nothing can be said yet: what is open stays as it is.
    Hidden,
    /// One is needed, about this.
    Bad(Status),
}

impl Judge {
    /// Makes the incident follow the state. `changed`: this is a confirmed change.
    pub(super) fn follow_with_incident(&mut self, policy: &Policy, changed: bool, out: &mut Vec<Command>) {
        if self.paused || self.flaps.flapping || self.begins_to_flap(policy, changed, out) {
            return;
        }
        match self.view() {
            View::Hidden => {}
            View::Well => {
                if self.incident.open {
                    self.close_incident(CloseReason::Recovered, self.base_from, out);
                }
            }
            View::Bad(_) if self.maintenance => {}
            View::Bad(status) if !self.incident.open => self.raise_incident(policy, status, out),
            View::Bad(Status::Degraded) if self.incident.critical => {
                self.close_incident(CloseReason::Recovered, self.base_from, out);
                self.raise_incident(policy, Status::Degraded, out);
            }
            View::Bad(status) => self.update_incident(status, out),
        }
    }

    /// Flapping is over: it closes if that ended up, else it is told what it settled on.
    pub(super) fn grow_steady(&mut self, out: &mut Vec<Command>) {
        self.flaps = Flaps::NONE;
        self.dirty = true;
        if !self.incident.open {
            return;
        }
        if self.base.status == Status::Up {
            self.close_incident(CloseReason::Recovered, self.base_from, out);
            return;
        }
        self.incident.status = self.base.status;
        self.incident.code = self.base.code;
        self.incident.critical = self.base.status == Status::Down;
        out.push(Command::IncidentSteady {
            ordinal: self.incident.ordinal,
            status: self.base.status,
            code: self.base.code,
        });
    }

    /// Closes what is open, if anything is.
    pub(super) fn close_incident(&mut self, reason: CloseReason, ended_at: Moment, out: &mut Vec<Command>) {
        if !self.incident.open {
            return;
        }
        self.incident.open = false;
        out.push(Command::IncidentClosed {
            ordinal: self.incident.ordinal,
            reason,
            ended_at: ended_at.timestamp(),
            failed_checks: self.bad_checks,
        });
        self.bad_checks =
            self.places.all().iter().map(|place| u32::from(place.fails) + u32::from(place.slows)).sum();
    }

    fn view(&self) -> View {
        match self.base.status {
            Status::Up => View::Well,
            Status::Degraded | Status::Down => View::Bad(self.base.status),
            Status::Unknown | Status::Blocked if self.base.dark => View::Bad(self.base.status),
            Status::Unknown | Status::Blocked | Status::Pending | Status::Maintenance | Status::Paused => {
                View::Hidden
            }
        }
    }

    /// A change of an open incident that is one too many is told as flapping instead of as itself.
    fn begins_to_flap(&mut self, policy: &Policy, changed: bool, out: &mut Vec<Command>) -> bool {
        let Some(changes) =
            self.flaps.too_many(policy).filter(|_| changed && self.incident.open && !self.maintenance)
        else {
            return false;
        };
        self.flaps.flapping = true;
        let (ordinal, status) = (self.incident.ordinal, self.base.status);
        out.push(Command::IncidentFlapping { ordinal, changes, status });
        true
    }

    fn raise_incident(&mut self, policy: &Policy, status: Status, out: &mut Vec<Command>) {
        if !self.ever_up && !policy.alert_before_first_success {
            return;
        }
        self.incident = Incident {
            ordinal: self.incident.ordinal.saturating_add(1),
            open: true,
            critical: status == Status::Down,
            status,
            code: self.base.code,
        };
        self.dirty = true;
        out.push(Command::IncidentOpened {
            ordinal: self.incident.ordinal,
            severity: self.incident.severity(),
            status,
            started_at: self.base_from.timestamp(),
            code: self.base.code,
            never_up: !self.ever_up,
            failed_checks: self.bad_checks,
        });
    }

    fn update_incident(&mut self, status: Status, out: &mut Vec<Command>) {
        if (self.incident.status, self.incident.code) == (status, self.base.code) {
            return;
        }
        self.incident.critical |= status == Status::Down;
        self.incident.status = status;
        self.incident.code = self.base.code;
        self.dirty = true;
        out.push(Command::IncidentUpdated {
            ordinal: self.incident.ordinal,
            severity: self.incident.severity(),
            status,
            code: self.base.code,
            failed_checks: self.bad_checks,
        });
    }
}
