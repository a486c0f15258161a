//! From what a flight saw to results: whose fault it is, who gets it, and when it leaves.

use std::net::IpAddr;
use std::time::Duration;

use quaywatch_core::health::{self, Family, LOOK_LASTS, Look, Opinion};
use quaywatch_core::schedule::Millis;
use quaywatch_core::verdict::proves_our_network;
use quaywatch_core::{Attempt, BootTime, CheckResult, ErrorCode, ResultFlags, Verdict};

use super::Machine;
use super::check::judge;
use super::flight::{Observation, Token};
use super::roster::{NONE, Stage};
use crate::sink::{Batch, Sight};

/// A look that takes longer than this is not coming back; somebody of our own is stuck.
const LOOK_LIMIT: Duration = Duration::from_secs(5);

/// How often to learn which anchors answer, while all is well: gateways change when a machine moves.
const LEARN_EVERY: Duration = Duration::from_secs(60);

/// Results in a batch at most: more at once only make the receiver's memory jump.
const BATCH_MOST: usize = 4_096;

/// How long a failure may wait for others to leave with it.
const URGENT_AFTER: Duration = Duration::from_millis(5);

impl Machine {
    /// The check went well.
    pub(super) fn end_good(&mut self, token: Token, seen: Observation, ip: Option<IpAddr>) {
        if let Some(ip) = ip {
            self.note_reached(ip);
            if let Some(flight) = self.flights.get(token)
                && flight.name != NONE
            {
                let name = flight.name;
                self.names.good(name, ip);
            }
        }
        self.end(token, seen);
    }

    /// Nobody wants to know any more.
    pub(super) fn end_unseen(&mut self, token: Token) {
        self.leave_off(token);
    }

    /// A flight has its outcome, or needs none: what is still out is called back. Dialogues end by themselves.
    fn leave_off(&mut self, token: Token) {
        let Some(flight) = self.flights.get(token) else { return };
        flight.decided = true;
        if flight.out != 0 && !flight.talks {
            let out = std::mem::take(&mut flight.out);
            let tokens: Vec<u64> = (0..16)
                .filter(|attempt| out & 1 << attempt != 0)
                .map(|attempt| token.dial(attempt))
                .collect();
            tokens.iter().for_each(|_| self.room.give());
            self.ports.prober.cancel(&tokens);
            // Some may not have left yet.
            self.leaving.dials.retain(|dial| !tokens.contains(&dial.token));
        }
        if self.flights.get(token).is_some_and(|flight| flight.out == 0) {
            self.close(token);
        }
    }

    /// Ends a check that could not dial.
    pub(super) fn end_undialled(&mut self, key: u32, flight: Option<Token>, seen: Observation) {
        match flight {
            Some(token) => self.end(token, seen),
            None => self.conclude_for(key, &seen, false),
        }
    }

    /// Before a failure counts that could be our own network's: let the anchors prove that it is not.
    pub(super) fn prove(&mut self, token: Token, mut seen: Observation) {
        let Some(flight) = self.flights.get(token) else { return };
        let (key, began) = (flight.key, flight.dialled);
        let attempts = seen.evidence.as_deref().map_or(&[][..], |evidence| &evidence.attempts);
        let Some(deciding) = attempts.first() else { return self.end_good(token, seen, None) };
        let ip = deciding.address.ip();
        if deciding.error_code == ErrorCode::Ok {
            return self.end_good(token, seen, Some(ip));
        }
        let family = Family::of(ip);
        if !self.needs_proof(key, seen.code, attempts) {
            return self.end(token, seen);
        }
        match self.health.opinion(family, began, self.now.boot) {
            Opinion::TheirFault if self.health.was_dead_after(family, began) => {
                self.blame_us(token, &mut seen, family);
                self.end(token, seen);
            }
            Opinion::TheirFault => self.end(token, seen),
            Opinion::OurFault => {
                self.blame_us(token, &mut seen, family);
                self.end(token, seen);
            }
            Opinion::Look => {
                let look = self.looks.of(family);
                look.wanted = true;
                look.held.push(token);
                if let Some(flight) = self.flights.get(token) {
                    flight.held = Some(Box::new(seen));
                }
            }
        }
    }

    fn needs_proof(&mut self, key: u32, code: ErrorCode, attempts: &[Attempt]) -> bool {
        let deciding = &attempts[0];
        let ip = deciding.address.ip();
        match deciding.error_code.verdict() {
            // Already our own fault, or not even tried.
            Verdict::Unknown | Verdict::Blocked => return false,
            Verdict::Up | Verdict::Degraded | Verdict::Down => {}
        }
        let in_family = |attempt: &&Attempt| Family::of(attempt.address.ip()) == Family::of(ip);
        let is_proven =
            attempts.iter().filter(in_family).any(|attempt| proves_our_network(attempt.error_code));
        let begins_to_fail = code.verdict() == Verdict::Down && !self.roster.entry(key).failing;
        if is_proven && !begins_to_fail {
            return false;
        }
        if self.ports.anchors.is_near(ip, self.now.boot) {
            return false;
        }
        let window = 2 * self.roster.usual_interval();
        if begins_to_fail && self.suspicion.failed(ip, self.now.boot, self.roster.len(), window) {
            tracing::warn!(
                "most monitors fail at once in several networks: looking at our own network first"
            );
            self.health.doubt();
        }
        !is_proven || self.suspicion.is_raised(self.now.boot, window)
    }

    /// What nobody answered in this family was our own fault; what the others say stands.
    fn blame_us(&mut self, token: Token, seen: &mut Observation, family: Family) {
        let (Some(flight), Some(evidence)) = (self.flights.get(token), &mut seen.evidence) else { return };
        // Where the deciding one was an answer, most monitors fail at once: it may have come from a box on our own way.
        let any_failure = proves_our_network(evidence.attempts[0].error_code);
        for attempt in &mut evidence.attempts {
            let code = attempt.error_code;
            let is_ours = if any_failure { code != ErrorCode::Ok } else { !proves_our_network(code) };
            if is_ours && Family::of(attempt.address.ip()) == family {
                attempt.error_code = ErrorCode::SelfNetwork;
                attempt.latency_us = None;
            }
        }
        evidence.detail = Some(format!("no anchor answers: {}", self.ports.anchors.describe(family)));
        self.stats.blamed_on_us.inc();
        judge(&flight.plan, seen);
    }

    /// Someone beyond our links answered.
    fn note_reached(&mut self, ip: IpAddr) {
        let family = Family::of(ip);
        if self.health.wants_reached(family) && !self.ports.anchors.is_near(ip, self.now.boot) {
            let change = self.health.reached(family, self.now.boot);
            self.note_change(change);
        }
    }

    fn note_change(&mut self, change: Option<health::Change>) {
        let at = self.now.at;
        match change {
            None => {}
            Some(health::Change::Lost) => {
                tracing::warn!("no anchor answers: this location cannot see");
                self.leaving.sight.push(Sight::Lost { at, code: ErrorCode::SelfNetwork });
                self.leaving.urgent = true;
            }
            Some(health::Change::Back) => {
                tracing::info!("this location sees again");
                self.leaving.sight.push(Sight::Back { at });
                self.leaving.urgent = true;
            }
            Some(health::Change::LookAt(family)) => self.looks.of(family).wanted = true,
        }
    }

    /// Begins the looks that are wanted; while the location is blind, it looks by itself. It also looks now and then
    /// while all is well: an anchor that was never seen to answer proves nothing by its silence, and the first failure
    /// would be too late to learn which ones do.
    pub(super) fn look(&mut self) {
        let now = self.now.boot;
        for family in Family::ALL {
            let is_blind = self.health.is_blind();
            let reached = self.health.has_reached(family);
            let look = self.looks.of(family);
            let is_overdue = look.begun.is_some_and(|begun| now.since(begun) > LOOK_LIMIT);
            if is_overdue {
                self.looked(family, Look { silent: 1, ..Look::default() });
                continue;
            }
            let pause = now.since(look.last);
            let again = is_blind && pause >= LOOK_LASTS;
            let learns = reached && (look.last == BootTime::default() || pause >= LEARN_EVERY);
            if look.begun.is_none() && (look.wanted || again || learns) {
                look.learns = !look.wanted && !again;
                look.wanted = false;
                look.begun = Some(now);
                look.last = now;
                self.stats.anchor_looks.inc();
                self.ports.anchors.look(family);
            }
        }
    }

    /// A look came back: those who waited for it go on.
    pub(super) fn looked(&mut self, family: Family, look: Look) {
        let own = self.looks.of(family);
        let Some(asked) = own.begun.take() else { return };
        let held = std::mem::take(&mut own.held);
        if own.learns && held.is_empty() && look.answered == 0 {
            // Nobody asks whose fault anything is, and silence teaches nothing.
            return;
        }
        let change = self.health.looked(family, look, (asked, self.now.boot));
        self.note_change(change);
        for token in held {
            let Some(flight) = self.flights.get(token) else { continue };
            let (Some(mut seen), began) = (flight.held.take(), flight.dialled) else { continue };
            match self.health.opinion(family, began, self.now.boot) {
                Opinion::Look => {
                    // It was sent after this look was begun, and waits for another.
                    flight.held = Some(seen);
                    let look = self.looks.of(family);
                    look.wanted = true;
                    look.held.push(token);
                    continue;
                }
                Opinion::OurFault => self.blame_us(token, &mut seen, family),
                Opinion::TheirFault if self.health.was_dead_after(family, began) => {
                    self.blame_us(token, &mut seen, family);
                }
                Opinion::TheirFault => {}
            }
            self.end(token, *seen);
        }
    }

    /// Gives a flight's outcome to its monitor and to those who ride along.
    pub(super) fn end(&mut self, token: Token, mut seen: Observation) {
        if seen.code == ErrorCode::Ok && !self.config.evidence_always {
            seen.evidence = None;
        }
        let Some(flight) = self.flights.get(token) else { return };
        let key = std::mem::replace(&mut flight.key, NONE);
        let riders = std::mem::take(&mut flight.riders);
        let (place, group) = (token.place(), flight.group);
        self.leave_off(token);
        if key != NONE {
            self.conclude_for(key, &seen, false);
        }
        for rider in &riders {
            self.conclude_for(*rider, &seen, true);
        }
        if let Some(group) = self.sharing.group_mut(group)
            && (group.flight == place || group.flight == NONE)
        {
            group.flight = NONE;
            group.seen = Some(Box::new(seen));
        }
    }

    /// One monitor's result.
    pub(super) fn conclude_for(&mut self, key: u32, seen: &Observation, shared: bool) {
        let entry = self.roster.entry_mut(key);
        entry.stage = Stage::Idle;
        entry.flight = NONE;
        entry.skips = 0;
        entry.failing = seen.code.verdict() == Verdict::Down;
        let (due, again) = (entry.due, std::mem::take(&mut entry.again));
        if shared {
            self.stats.shared.inc();
        }
        self.push(key, due, seen, if shared { ResultFlags::SHARED } else { ResultFlags::default() });
        if again {
            self.put_sooner(key, self.now.ms + 1);
        }
    }

    /// The result of a slot that went by.
    pub(super) fn tell_skipped(&mut self, key: u32, slot: Millis, seen: &Observation) {
        self.push(key, slot, seen, ResultFlags::default());
    }

    fn push(&mut self, key: u32, due: Millis, seen: &Observation, flags: ResultFlags) {
        let is_extra = !self.roster.grid(key).has(due) || self.timeline.is_shifted(due);
        let flags = flags.with(seen.flags);
        let leaving = &mut self.leaving;
        if leaving.results.is_empty() {
            leaving.since = self.now.boot;
        }
        leaving.urgent |= seen.code != ErrorCode::Ok;
        leaving.results.push(CheckResult {
            monitor: self.roster.entry(key).id(),
            slot: self.timeline.slot(due),
            location: self.config.location,
            epoch: self.roster.entry(key).epoch,
            code: seen.code,
            flags: if is_extra { flags.with(ResultFlags::RECHECK) } else { flags },
            syn_retransmits: seen.syn_retransmits,
            latency_us: seen.latency_us,
            dns_us: seen.dns_us,
            elapsed_us: seen.elapsed_us,
            evidence: seen.evidence.clone(),
        });
        self.stats.results[usize::from(seen.code.number())].inc();
    }

    /// Hands results over: failures within two ticks, the rest when some have come together.
    pub(super) fn deliver(&mut self, all: bool) {
        let leaving = &mut self.leaving;
        let now = self.now.boot;
        if leaving.results.is_empty() && leaving.sight.is_empty() {
            return;
        }
        let is_time = all
            || leaving.urgent && now.since(leaving.last) >= URGENT_AFTER
            || now.since(leaving.since) >= self.config.batch_after
            || leaving.results.len() >= BATCH_MOST;
        if !is_time {
            return;
        }
        let room = leaving.results.len();
        let results = std::mem::replace(&mut leaving.results, Vec::with_capacity(room));
        let sight = std::mem::take(&mut leaving.sight);
        (leaving.urgent, leaving.last) = (false, now);
        self.stats.batches.inc();
        self.sink.deliver(Batch { location: self.config.location, at: self.now.at, results, sight });
    }
}
