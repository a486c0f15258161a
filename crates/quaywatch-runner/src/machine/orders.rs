//! What the runner is told: monitors that come, change and go, and checks out of turn. A long list is carried out over
//! several turns, so that a reload delays no check.

use quaywatch_core::egress::EgressPolicy;
use quaywatch_core::schedule::{Millis, spread};
use quaywatch_core::{Job, MonitorId, Timestamp};

use super::Machine;
use super::roster::{Change, NONE, Placed, Stage};

/// Jobs added or forgotten in one turn: some two milliseconds of work.
const JOBS_A_TURN: usize = 4_096;

/// A new monitor is not left waiting for its first slot: up to this many milliseconds of first looks, one each.
const FIRST_LOOKS_AHEAD: Millis = 5_000;

/// A slot this near is the first look.
const WORTH_A_LOOK: Millis = 2_000;

/// Where first looks have no room, monitors with long intervals get theirs within this time.
const FIRST_LOOK_WITHIN: Millis = 60_000;

/// An order to the machine.
pub(crate) enum Order {
    /// Add these, or take over their changes.
    Upsert(Vec<Job>),
    /// Forget these.
    Remove(Vec<MonitorId>),
    /// Look at these not later than said: something about them is unconfirmed.
    Recheck(Vec<(MonitorId, Timestamp)>),
    /// Look now: a person asks.
    CheckNow(MonitorId),
    /// Another egress policy.
    Bind(EgressPolicy),
    /// Ask for all names afresh.
    ExpireNames,
}

impl Machine {
    /// Carries out orders in the order in which they came, as many as a turn may.
    pub(super) fn carry_out(&mut self) {
        let mut jobs_left = JOBS_A_TURN;
        while let Some(order) = self.orders.pop_front() {
            match order {
                Order::Upsert(mut jobs) => {
                    let rest = jobs.split_off(jobs.len().min(jobs_left));
                    jobs_left -= jobs.len();
                    for job in &jobs {
                        self.upsert(job);
                    }
                    if !rest.is_empty() {
                        self.orders.push_front(Order::Upsert(rest));
                        return;
                    }
                }
                Order::Remove(mut ids) => {
                    let rest = ids.split_off(ids.len().min(jobs_left));
                    jobs_left -= ids.len();
                    ids.into_iter().for_each(|id| self.forget(id));
                    if !rest.is_empty() {
                        self.orders.push_front(Order::Remove(rest));
                        return;
                    }
                }
                Order::Recheck(list) => list.into_iter().for_each(|(id, at)| self.recheck(id, at)),
                Order::CheckNow(id) => self.check_now(id),
                Order::Bind(egress) => self.bind(egress),
                Order::ExpireNames => self.names.expire(),
            }
        }
    }

    /// Who may share with whom depends on the policies, so it is found out anew.
    fn bind(&mut self, egress: EgressPolicy) {
        if self.roster.bind(egress) {
            self.sharing.clear();
            self.flights.each(|flight| flight.group = NONE);
            for key in 0..u32::try_from(self.roster.entries.len()).expect("entries are 32 bits wide") {
                if self.roster.entry(key).stage != Stage::Free {
                    self.sharing.join(&mut self.roster, key);
                }
            }
        }
    }

    fn upsert(&mut self, job: &Job) {
        if let Some(key) = self.roster.find(job.monitor)
            && self.is_other_target(key, job)
        {
            // What is in flight looks at what the monitor no longer is.
            self.detach(key);
        }
        let Some(Placed { key, change }) = self.roster.place(job, &mut self.names, &mut self.sharing) else {
            tracing::warn!(monitor = %job.monitor, "a monitor with an impossible id is not checked");
            return;
        };
        match change {
            Change::New | Change::Target { interval: true } => {
                let due = self.first_look(key);
                self.wheel.put(key, due);
            }
            Change::Target { interval: false } => {
                let due = self.first_look(key).min(self.wheel.due(key).unwrap_or(Millis::MAX));
                self.wheel.put(key, due);
            }
            Change::Interval => self.wheel.put(key, self.roster.grid(key).after(self.now.ms)),
            Change::Nothing => {}
        }
    }

    fn is_other_target(&self, key: u32, job: &Job) -> bool {
        matches!(self.roster.compare(key, job, &self.names), Change::Target { .. } | Change::New)
    }

    /// When a new monitor is looked at first: soon, but never many at once.
    fn first_look(&mut self, key: u32) -> Millis {
        let grid = self.roster.grid(key);
        let slot = grid.after(self.now.ms);
        let next = self.first_looks.max(self.now.ms) + 1;
        if next - self.now.ms <= FIRST_LOOKS_AHEAD && next + WORTH_A_LOOK < slot {
            self.first_looks = next;
            return next;
        }
        if grid.interval() <= FIRST_LOOK_WITHIN {
            return slot;
        }
        let crowd = Millis::try_from(self.roster.len()).unwrap_or(Millis::MAX);
        slot.min(self.now.ms + 1 + spread(self.roster.entry(key).id(), crowd.max(FIRST_LOOK_WITHIN)))
    }

    fn forget(&mut self, id: MonitorId) {
        let Some(key) = self.roster.find(id) else { return };
        self.detach(key);
        self.wheel.remove(key);
        self.roster.remove(key, &mut self.names, &mut self.sharing);
    }

    fn recheck(&mut self, id: MonitorId, at: Timestamp) {
        let Some(key) = self.roster.find(id) else { return };
        // Never the millisecond of the check before: results are told apart by it.
        self.put_sooner(key, at.millis().max(self.now.ms + 1));
    }

    fn check_now(&mut self, id: MonitorId) {
        let Some(key) = self.roster.find(id) else { return };
        let is_due = self.wheel.due(key).is_some_and(|due| due <= self.now.ms);
        let entry = self.roster.entry_mut(key);
        if entry.stage == Stage::Idle && !is_due {
            self.put_sooner(key, self.now.ms + 1);
        } else {
            // What runs, waits for its turn, or is just due, has a slot of before, and so is no answer.
            entry.again = true;
        }
    }

    /// Makes a monitor due at `at`, unless it is due before that.
    pub(super) fn put_sooner(&mut self, key: u32, at: Millis) {
        if self.wheel.due(key).is_none_or(|due| at < due) {
            self.wheel.put(key, at);
        }
    }

    /// Parts a monitor from whatever it waits for.
    pub(super) fn detach(&mut self, key: u32) {
        self.lines.leave(key);
        let entry = self.roster.entry_mut(key);
        let place = std::mem::replace(&mut entry.flight, NONE);
        entry.stage = Stage::Idle;
        entry.again = false;
        let Some((token, flight)) = self.flights.at(place) else { return };
        flight.riders.retain(|rider| *rider != key);
        if flight.key == key {
            // The flight goes on for those who ride along; for nobody, it ends unseen.
            flight.key = flight.riders.pop().unwrap_or(NONE);
            if flight.key == NONE {
                self.end_unseen(token);
            }
        }
    }
}
