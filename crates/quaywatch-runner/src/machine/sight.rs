//! When the runner cannot trust what it sees: it was stopped, the machine slept, or the clock was set. What was in
//! flight says nothing then, and what was due meanwhile is not made up for; checks just go on.

use std::collections::BTreeMap;

use quaywatch_core::ErrorCode;
use quaywatch_core::evidence::Stage as How;
use quaywatch_core::schedule::{Millis, Moment, Step, spread};

use super::Machine;
use super::Now;
use super::due::undialled;
use super::flight::Flight;
use super::roster::{NONE, Stage};
use crate::sink::Sight;

/// Checks whose result was thrown away are made again within this time, half an interval at most, spread out.
const AGAIN_WITHIN: Millis = 30_000;

impl Machine {
    /// Moves on to `moment`, and sees whether time did what it should since the last turn.
    pub(super) fn notice_gaps(&mut self, moment: Moment) {
        let last = self.now;
        let step = self.timeline.observe(moment);
        let at = self.timeline.at(moment.boot);
        // Small errors of clocks read one after the other must not turn the schedule back.
        let ms = if step.is_none() { at.millis().max(last.ms) } else { at.millis() };
        self.now = Now { boot: moment.boot, at, ms };
        let away = moment.boot.since(last.boot);
        let is_stall = away > self.config.stall_after;
        if !is_stall && step.is_none() {
            return;
        }
        if is_stall {
            self.stats.stalls.inc();
            tracing::warn!(
                away_ms = away.as_millis() as u64,
                "the runner was away; checks in flight are void"
            );
        }
        let code = if step.is_some() { ErrorCode::SelfClock } else { ErrorCode::SelfStall };
        let thrown_away = self.void(Sight::Void { from: last.at, to: at, code });
        match step {
            Some(step) => self.step(step),
            None => self.skip_what_passed(),
        }
        for key in thrown_away {
            self.look_again(key);
        }
    }

    /// What is in flight, or waits to be, says nothing any more. Returns whose checks that were.
    fn void(&mut self, sight: Sight) -> Vec<u32> {
        self.ports.prober.cancel_all();
        let mut monitors = Vec::new();
        let mut note = |flight: Flight| {
            monitors.extend((flight.key != NONE).then_some(flight.key));
            monitors.extend(flight.riders);
        };
        self.flights.clear(&mut note);
        self.stats.void.add(monitors.len() as u64);
        self.aloft.iter_mut().for_each(super::aloft::Aloft::clear);
        self.staggers = BTreeMap::new();
        self.lines.clear();
        self.room.clear();
        self.lanes.iter_mut().for_each(super::fair::Fair::clear);
        self.names.void();
        self.sharing.forget_observations();
        self.health.doubt();
        self.suspicion = quaywatch_core::health::Suspicion::default();
        for look in &mut self.looks.families {
            (look.wanted, look.begun) = (false, None);
            look.held.clear();
        }
        self.leaving.dials.clear();
        self.leaving.talks.clear();
        self.leaving.sight.push(sight);
        self.leaving.urgent = true;
        for entry in &mut self.roster.entries {
            if matches!(entry.stage, Stage::Queued | Stage::Delayed) {
                self.stats.missed.inc();
            }
            if entry.stage != Stage::Free {
                (entry.stage, entry.flight, entry.again) = (Stage::Idle, NONE, false);
            }
        }
        monitors
    }

    /// A check that says nothing is made again, soon, but not together with all others.
    fn look_again(&mut self, key: u32) {
        let window = (self.roster.grid(key).interval() / 2).min(AGAIN_WITHIN);
        self.put_sooner(key, self.now.ms + 1 + spread(self.roster.entry(key).id(), window));
    }

    /// Time was lost: slots that fell into it are missed.
    fn skip_what_passed(&mut self) {
        let mut due = std::mem::take(&mut self.due);
        self.wheel.take(self.now.ms, |key, at| due.push((key, at)));
        for (key, at) in due.drain(..) {
            let grid = self.roster.grid(key);
            self.stats.missed.add(grid.count(at - 1, self.now.ms));
            self.wheel.put(key, grid.after(self.now.ms));
            if !grid.has(at) {
                self.look_again(key);
            }
        }
        self.due = due;
    }

    /// The wall clock was set: every monitor goes on from its next slot by the new time. What was to come out of turn
    /// comes after the same time as before.
    fn step(&mut self, step: Step) {
        self.stats.wall_steps.inc();
        tracing::warn!(from = %step.from, to = %step.to, "the wall clock was set");
        let (from, to) = (step.from.millis(), self.now.ms);
        let mut missed = 0;
        let roster = &self.roster;
        self.wheel.rebuild(to, |key, due| {
            let grid = roster.grid(key);
            missed += grid.count(from.max(due - 1), to);
            if grid.has(due) { grid.after(to) } else { grid.after(to).min(to + (due - from).max(1)) }
        });
        self.stats.missed.add(missed);
        self.first_looks = self.first_looks.min(to);
    }

    /// Once a second: checks that should long have ended are given up, and said to be unknown.
    pub(super) fn sweep(&mut self) {
        const EVERY: std::time::Duration = std::time::Duration::from_secs(1);
        if self.now.boot.since(self.swept) < EVERY {
            return;
        }
        self.swept = self.now.boot;
        self.lines.sweep(self.now.boot);
        for token in self.flights.overdue(self.now.boot) {
            self.stats.lost.inc();
            let why = "the check never came back from whoever made it".to_owned();
            if let Some(flight) = self.flights.get(token) {
                (0..std::mem::take(&mut flight.out).count_ones()).for_each(|_| self.room.give());
            }
            self.end(token, undialled(ErrorCode::SelfStall, How::Prepare, why));
        }
    }
}
