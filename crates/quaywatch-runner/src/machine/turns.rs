//! What becomes of a check whose target has had its share for now: it takes an identical check's observation, else it
//! waits for its turn for up to half an interval, else its slot goes by; then it comes first with its next slot.

use std::net::IpAddr;
use std::time::Duration;

use quaywatch_core::ErrorCode;
use quaywatch_core::evidence::Stage as How;
use quaywatch_core::schedule::Millis;

use super::Machine;
use super::due::undialled;
use super::flight::Token;
use super::lines::First;
use super::roster::{NONE, Stage};

/// A second slot in a row without a check is told.
const SKIPS_TOLD: u8 = 2;

impl Machine {
    /// Whether the target's budget lets this check dial now. If not, it has been dealt with.
    pub(super) fn has_leave(&mut self, key: u32, flight: Option<Token>, ip: IpAddr) -> bool {
        let entry = self.roster.entry(key);
        let (port, booked) = (entry.port, entry.booked);
        if booked || self.is_first(key, ip, port) {
            return true;
        }
        if let Some(token) = flight {
            // It was only waiting for its name; whoever rides along waits with it.
            self.unwind(token);
        }
        if !self.share(key, self.roster.plan_of(key).interval) {
            self.stand_in_line(key, ip, port);
        }
        false
    }

    /// Whether a check may go at once, without taking what those who come before it will need.
    fn is_first(&mut self, key: u32, ip: IpAddr, port: u16) -> bool {
        let Some(budgets) = &mut self.budgets else { return true };
        if !self.lines.is_busy(ip) {
            return budgets.book(ip, port, self.now.boot);
        }
        let (account, interval) = (self.roster.entry(key).account, self.roster.plan_of(key).interval);
        self.lines.stand((account, key), (ip, port), interval, self.now.boot);
        let wait = budgets.wait(ip, port, self.lines.spare_before(key), self.now.boot);
        let is_first = wait.is_zero()
            && !self.lines.is_behind(key, 0)
            && !self.lines.has_others(ip, account)
            && budgets.book(ip, port, self.now.boot);
        if is_first {
            self.lines.dialled(key);
        }
        is_first
    }

    /// Waits for its turn, if that can come in time for this slot.
    fn stand_in_line(&mut self, key: u32, ip: IpAddr, port: u16) {
        let Some(budgets) = &self.budgets else { return };
        let (account, interval) = (self.roster.entry(key).account, self.roster.plan_of(key).interval);
        self.lines.stand((account, key), (ip, port), interval, self.now.boot);
        let wait = budgets.wait(ip, port, self.lines.spare_before(key), self.now.boot);
        let gap = budgets.port_gap();
        let lapses = self.lapses(key);
        let patience = Duration::from_millis(u64::try_from(lapses - self.now.ms).unwrap_or(0));
        let before_it = patience.saturating_sub(wait).as_micros() / gap.as_micros().max(1);
        let entry = self.roster.entry_mut(key);
        entry.flight = NONE;
        if wait > patience || self.lines.is_behind(key, usize::try_from(before_it).unwrap_or(usize::MAX)) {
            return self.pass_over(key);
        }
        entry.stage = Stage::Delayed;
        self.lines.make_ready(key, lapses, self.now.boot + wait);
    }

    /// How long a check may wait for its turn.
    fn lapses(&self, key: u32) -> Millis {
        let half = self.roster.plan_of(key).interval / 2;
        self.roster.entry(key).due + Millis::try_from(half.as_millis()).unwrap_or(Millis::MAX / 2)
    }

    /// Its slot goes by; it stays in its round.
    fn pass_over(&mut self, key: u32) {
        self.lines.passed_over(key, self.now.boot);
        self.stats.over_budget.inc();
        let entry = self.roster.entry_mut(key);
        entry.stage = Stage::Idle;
        let due = entry.due;
        self.skip(key, due, ErrorCode::SelfOverload);
    }

    /// Lets those go whose turn has come, and gives up slots whose turn has not come in time.
    pub(super) fn take_turns(&mut self) {
        while let Some(key) = self.lines.lapsed(self.now.ms) {
            let lapses = self.lapses(key);
            if lapses > self.now.ms {
                // It has another slot by now.
                self.lines.make_ready(key, lapses, self.now.boot);
            } else if !self.share(key, self.roster.plan_of(key).interval) {
                self.pass_over(key);
            }
        }
        while let Some(ip) = self.lines.next(self.now.boot) {
            self.serve(ip);
        }
    }

    fn serve(&mut self, ip: IpAddr) {
        let now = self.now.boot;
        while let Some(budgets) = &mut self.budgets {
            match self.lines.first(ip, |port, spare| budgets.wait(ip, port, spare, now)) {
                First::Nobody => return,
                First::After(wait) => return self.lines.look_at(ip, now + wait),
                First::Key(key, port) => {
                    if self.share(key, self.roster.plan_of(key).interval) {
                        continue;
                    }
                    if let Some(budgets) = &mut self.budgets {
                        let booked = budgets.book(ip, port, now);
                        debug_assert!(booked, "nothing was to be waited for");
                    }
                    self.lines.dialled(key);
                    self.stats.delayed.inc();
                    self.roster.entry_mut(key).booked = true;
                    self.queue(key);
                }
            }
        }
    }

    /// A slot goes by without a check. The second in a row is told: nobody may take silence for health.
    pub(super) fn skip(&mut self, key: u32, slot: Millis, code: ErrorCode) {
        let entry = self.roster.entry_mut(key);
        entry.skips = entry.skips.saturating_add(1);
        if entry.skips >= SKIPS_TOLD {
            let why = "two slots in a row went by: the watcher, or its budget for this target, is used up";
            let seen = undialled(code, How::Prepare, why.to_owned());
            self.tell_skipped(key, slot, &seen);
        }
    }
}
