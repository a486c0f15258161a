//! What a location cannot see. It is one row of the location, never one of a monitor, and nobody's target is blamed.

use std::time::Duration;

use quaywatch_core::judge::Input;
use quaywatch_core::{ErrorCode, LocationId, MonitorId, Timestamp};
use quaywatch_runner::Sight;
use quaywatch_store::records::BlindChange;

use super::Judging;

/// Blindness that lasts longer is told to whoever runs the server.
pub(crate) const TOLD_AFTER: Duration = Duration::from_secs(120);

/// A location that cannot see.
pub(super) struct Blindness {
    pub(super) since: Timestamp,
    pub(super) code: ErrorCode,
    /// It was told.
    pub(super) told: bool,
}

impl Judging {
    pub(super) fn sight(&mut self, location: LocationId, sight: Sight) {
        match sight {
            Sight::Lost { at, code } => self.lost(location, at, code),
            Sight::Back { at } => self.back(location, at),
            Sight::Void { from, to, code } => self.void(location, (from, to), code),
        }
    }

    /// Goes on with blindness that an earlier process wrote down.
    pub(crate) fn resume_blindness(
        &mut self,
        location: LocationId,
        since: Timestamp,
        code: ErrorCode,
        told: bool,
    ) {
        self.blind.insert(location, Blindness { since, code, told });
    }

    fn lost(&mut self, location: LocationId, at: Timestamp, code: ErrorCode) {
        self.blind.entry(location).or_insert_with(|| {
            self.blind_changes.push(BlindChange::Began { location, at, code });
            Blindness { since: at, code, told: false }
        });
        for id in self.monitors_at(location) {
            self.input(id, Input::LocationLost { location, code });
        }
    }

    fn back(&mut self, location: LocationId, at: Timestamp) {
        if let Some(blindness) = self.blind.remove(&location) {
            let at = at.max(blindness.since);
            self.blind_changes.push(BlindChange::Ended { location, at });
            if blindness.told {
                self.tell_recovered(location, blindness.since, at, blindness.code);
            }
        }
        for id in self.monitors_at(location) {
            self.input(id, Input::LocationBack { location });
        }
    }

    /// A result that is no fault of our own proves that the location sees: blindness that an earlier process left
    /// behind ends with it.
    pub(super) fn sees(&mut self, location: LocationId, slot: Timestamp) {
        if self.blind.contains_key(&location) {
            self.back(location, slot);
        }
    }

    /// The machine slept, the process was stopped, or the clock was set.
    fn void(&mut self, location: LocationId, (from, to): (Timestamp, Timestamp), code: ErrorCode) {
        if to < from {
            // The one case in which time goes back: every judge begins at the new time.
            self.now = to;
            for id in self.all_monitors() {
                self.input(id, Input::ClockStepped);
            }
            return;
        }
        let gap = to.since(from);
        if !self.blind.contains_key(&location) {
            self.blind_changes.push(BlindChange::Began { location, at: from, code });
            self.blind_changes.push(BlindChange::Ended { location, at: to });
            if gap > TOLD_AFTER && code != ErrorCode::SelfClock {
                self.tell_fault(location, from, code);
                self.tell_recovered(location, from, to, code);
            }
        }
        for id in self.monitors_at(location) {
            self.input(id, Input::Restarted { gap });
        }
    }

    /// When blindness is next to be told.
    pub(super) fn next_fault(&self) -> Option<Timestamp> {
        self.blind.values().filter(|blind| !blind.told).map(|blind| blind.since + TOLD_AFTER).min()
    }

    pub(super) fn tell_faults(&mut self) {
        if self.next_fault().is_none_or(|at| at > self.now) {
            return;
        }
        let due: Vec<_> = self
            .blind
            .iter_mut()
            .filter(|(_, blind)| !blind.told && blind.since + TOLD_AFTER <= self.now)
            .map(|(location, blind)| {
                blind.told = true;
                (*location, blind.since, blind.code)
            })
            .collect();
        for (location, since, code) in due {
            self.tell_fault(location, since, code);
        }
    }

    pub(super) fn monitors_at(&self, location: LocationId) -> Vec<MonitorId> {
        let here = self.entries.iter().filter(|entry| entry.policy.locations.contains(&location));
        here.map(|entry| entry.card.id).collect()
    }

    fn all_monitors(&self) -> Vec<MonitorId> {
        self.entries.iter().map(|entry| entry.card.id).collect()
    }
}
