//! Confirming at one location: counts in a row, and what they make of the location.
//!
//! - A verdict changes to *failing* or *slow* after `failures` results of that kind in a row, back after `successes`.
//!   From "nothing known" the first success is enough.
//! - What the watcher could not see neither adds to a count nor resets one. Counts survive darkness; the times at
//!   which unconfirmed streaks began do not, so that no outage is dated back over a time in which nobody saw.
//! - Counts stop at the number that confirms: a target that stays down changes nothing that must be stored.
//! - The cause of a confirmed verdict changes only after `failures` results in a row with the same new code.

use super::Policy;
use super::degraded::Finding;
use super::moment::Moment;
use crate::code::ErrorCode;
use crate::id::LocationId;

/// What the counts made of a location.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Vote {
    /// Nothing yet.
    None = 0,
    /// It answers from there.
    Up = 1,
    /// It answers with a reservation.
    Slow = 2,
    /// It does not answer.
    Down = 3,
    /// It must not be looked at from there.
    Blocked = 4,
}

/// Whether a location is able to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Sight {
    /// As far as we know.
    Clear = 0,
    /// Somebody told us that it cannot.
    Lost = 1,
    /// It can again, but has not shown it yet.
    Returning = 2,
}

/// One location of one monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The first failure of the present streak or outage.
    pub(super) failing_from: Moment,
    /// The first slow result of the present streak.
    pub(super) slow_from: Moment,
    /// The last slot that was judged; older ones are too late. Not kept over a crash.
    pub(super) last_slot: Moment,
    /// When a real result was last judged. Not kept over a crash: a restart sets it.
    pub(super) seen_at: Moment,
    pub(super) location: LocationId,
    /// Failures in a row.
    pub(super) fails: u16,
    /// While down: successes in a row; while slow: good results in a row; else 0.
    pub(super) oks: u16,
    /// Slow successes in a row.
    pub(super) slows: u16,
    /// Forbidden results in a row.
    pub(super) blocks: u16,
    /// Results in a row with `last_bad`.
    pub(super) run: u16,
    pub(super) vote: Vote,
    /// The confirmed cause, while the vote is not up.
    pub(super) code: ErrorCode,
    /// The last code that was not good; ok before there was one.
    pub(super) last_bad: ErrorCode,
    /// Why it could not see, last time; ok before there was one. Not kept over a crash.
    pub(super) blind_code: ErrorCode,
    /// No vote: its last real result is too old.
    pub(super) stale: bool,
    /// Not kept over a crash: the runner says it again.
    pub(super) sight: Sight,
}

impl Place {
    /// A location that has shown nothing yet; it has until `seen_at` + freshness.
    pub(super) const fn new(location: LocationId, seen_at: Moment) -> Self {
        Self {
            failing_from: Moment::NEVER,
            slow_from: Moment::NEVER,
            last_slot: Moment::NEVER,
            seen_at,
            location,
            fails: 0,
            oks: 0,
            slows: 0,
            blocks: 0,
            run: 0,
            vote: Vote::None,
            code: ErrorCode::Ok,
            last_bad: ErrorCode::Ok,
            blind_code: ErrorCode::Ok,
            stale: false,
            sight: Sight::Clear,
        }
    }

    /// The same without what need not survive a crash, for telling whether it must be stored.
    pub(super) const fn lasting(mut self) -> Self {
        self.last_slot = Moment::NEVER;
        self.seen_at = Moment::NEVER;
        self.blind_code = ErrorCode::Ok;
        self.sight = Sight::Clear;
        self
    }

    /// Up, and nothing counted against it: one more good result changes nothing.
    pub(super) const fn is_calm(&self) -> bool {
        matches!(self.vote, Vote::Up)
            && !self.stale
            && self.fails == 0
            && self.slows == 0
            && self.blocks == 0
            && self.run == 0
            && matches!(self.sight, Sight::Clear)
            && matches!(self.blind_code, ErrorCode::Ok)
    }

    /// Something was seen that is not confirmed yet, so it is looked at again soon.
    pub(super) const fn is_unconfirmed(&self) -> bool {
        match self.vote {
            Vote::None => self.fails > 0 || self.blocks > 0,
            Vote::Blocked => self.fails > 0,
            Vote::Up => self.fails > 0 || self.slows > 0 || self.blocks > 0,
            Vote::Slow => self.fails > 0 || self.oks > 0 || self.blocks > 0,
            Vote::Down => self.oks > 0 || self.blocks > 0,
        }
    }

    /// Down (or slow), and nothing counted towards the end of it: one more failure changes nothing but the count of
    /// failed checks.
    pub(super) fn is_failing_steadily(&self) -> bool {
        matches!(self.vote, Vote::Down | Vote::Slow)
            && !self.stale
            && self.oks == 0
            && self.blocks == 0
            && matches!(self.sight, Sight::Clear)
    }

    /// What a fresh location says to the quorum; `None` from a stale one.
    pub(super) const fn fresh_vote(&self) -> Option<Vote> {
        if self.stale { None } else { Some(self.vote) }
    }

    /// Takes one result. True: its vote (or the cause of it) is another one now.
    pub(super) fn observe(&mut self, policy: &Policy, finding: Finding, slot: Moment, now: Moment) -> bool {
        let before = (self.fresh_vote(), self.code);
        self.last_slot = slot;
        match finding {
            Finding::Unseen(code) => {
                self.blind_code = code;
                return false;
            }
            Finding::Good => self.good(policy),
            Finding::Slow(code) => self.slow(policy, code, slot),
            Finding::Failed(code) => self.failed(policy, code, slot),
            Finding::Forbidden(code) => self.forbidden(policy, code),
        }
        if self.is_borne_out_by(finding) {
            self.stale = false;
            self.sight = if self.sight == Sight::Returning { Sight::Clear } else { self.sight };
        }
        if self.sight != Sight::Lost {
            self.blind_code = ErrorCode::Ok;
        }
        if !matches!(finding, Finding::Forbidden(_)) || self.vote == Vote::Blocked {
            self.seen_at = self.seen_at.max(now);
        }
        before != (self.fresh_vote(), self.code)
    }

    /// Its last real result is too old: it has no vote until it shows something again. What was confirmed about an
    /// incident stays (it must be confirmed to be over); *up* does not.
    pub(super) fn grow_stale(&mut self) {
        self.stale = true;
        if self.vote == Vote::Up {
            self.vote = Vote::None;
        }
        self.forget_beginnings();
    }

    /// An unconfirmed streak keeps its count, but begins (for dating back) with the next result.
    pub(super) fn forget_beginnings(&mut self) {
        if self.vote != Vote::Down {
            self.failing_from = Moment::NEVER;
        }
        if self.vote != Vote::Slow {
            self.slow_from = Moment::NEVER;
        }
    }

    /// A stale location votes again once a result agrees with what it would vote: one unconfirmed failure does not
    /// make it *up*, one unconfirmed success does not make it *down*.
    const fn is_borne_out_by(&self, finding: Finding) -> bool {
        match finding {
            Finding::Good | Finding::Slow(_) => matches!(self.vote, Vote::Up | Vote::Slow),
            Finding::Failed(_) => matches!(self.vote, Vote::Down),
            Finding::Forbidden(_) => matches!(self.vote, Vote::Blocked),
            Finding::Unseen(_) => false,
        }
    }

    fn good(&mut self, policy: &Policy) {
        self.end_streaks();
        self.slows = 0;
        self.run = 0;
        if self.vote != Vote::Slow {
            self.slow_from = Moment::NEVER;
        }
        self.count_success(policy);
    }

    fn slow(&mut self, policy: &Policy, code: ErrorCode, slot: Moment) {
        self.end_streaks();
        self.count_run(policy, code);
        self.slows = next(self.slows, policy.failures);
        if !self.slow_from.is_set() {
            self.slow_from = slot;
        }
        if self.vote == Vote::Slow {
            self.oks = 0;
            self.change_cause(policy, code);
            return;
        }
        self.count_success(policy);
        if self.vote == Vote::Up && reached(self.slows, policy.failures) {
            self.become_confirmed(Vote::Slow, code);
        }
    }

    fn failed(&mut self, policy: &Policy, code: ErrorCode, slot: Moment) {
        self.count_run(policy, code);
        self.oks = 0;
        self.slows = 0;
        self.blocks = 0;
        if self.vote != Vote::Slow {
            self.slow_from = Moment::NEVER;
        }
        // Seen again after darkness, an outage that was known before is dated from here.
        if !self.failing_from.is_set() || (self.vote == Vote::Down && self.stale) {
            self.failing_from = slot;
        }
        self.fails = next(self.fails, policy.failures);
        if self.vote == Vote::Down {
            self.change_cause(policy, code);
        } else if reached(self.fails, policy.failures) {
            self.become_confirmed(Vote::Down, code);
        }
    }

    fn forbidden(&mut self, policy: &Policy, code: ErrorCode) {
        self.blocks = next(self.blocks, policy.failures);
        if self.vote != Vote::Blocked && reached(self.blocks, policy.failures) {
            let blocks = self.blocks;
            *self = Self {
                last_slot: self.last_slot,
                blind_code: self.blind_code,
                sight: self.sight,
                stale: self.stale,
                blocks,
                ..Self::new(self.location, self.seen_at)
            };
            self.become_confirmed(Vote::Blocked, code);
        }
    }

    /// A success of any kind ends streaks of failures and of forbidden looks.
    fn end_streaks(&mut self) {
        self.fails = 0;
        self.blocks = 0;
        if self.vote != Vote::Down {
            self.failing_from = Moment::NEVER;
        }
    }

    /// One more success towards leaving what was confirmed.
    fn count_success(&mut self, policy: &Policy) {
        match self.vote {
            Vote::Up => return,
            Vote::None | Vote::Blocked => {}
            Vote::Slow | Vote::Down => {
                self.oks = next(self.oks, policy.successes);
                if !reached(self.oks, policy.successes) {
                    return;
                }
            }
        }
        if self.vote == Vote::Slow {
            self.slow_from = Moment::NEVER;
        }
        self.vote = Vote::Up;
        self.code = ErrorCode::Ok;
        self.oks = 0;
        self.failing_from = Moment::NEVER;
    }

    fn count_run(&mut self, policy: &Policy, code: ErrorCode) {
        self.run = if code == self.last_bad { next(self.run, policy.failures) } else { 1 };
        self.last_bad = code;
    }

    fn change_cause(&mut self, policy: &Policy, code: ErrorCode) {
        if code != self.code && reached(self.run, policy.failures) {
            self.code = code;
        }
    }

    fn become_confirmed(&mut self, vote: Vote, code: ErrorCode) {
        self.vote = vote;
        self.code = code;
        self.oks = 0;
        if vote == Vote::Down {
            self.slow_from = Moment::NEVER;
        } else {
            self.failing_from = Moment::NEVER;
        }
    }
}

/// One more, up to the number that confirms.
fn next(count: u16, confirms: u16) -> u16 {
    count.saturating_add(1).min(confirms.max(1))
}

/// Whether a count confirms; a policy of 0 means 1.
fn reached(count: u16, confirms: u16) -> bool {
    count >= confirms.max(1)
}
