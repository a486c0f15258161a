//! A flight from its first dial to its outcome: one address after the other (RFC 8305) or all at once, and what the
//! reports amount to.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use quaywatch_core::evidence::Stage as How;
use quaywatch_core::spec::{Addresses as Which, Expectation, Handshake};
use quaywatch_core::verdict::{expected, verdict};
use quaywatch_core::{Attempt, ErrorCode, Evidence, Plan, ResultFlags, Signal, Verdict};

use super::Machine;
use super::flight::{Flight, Observation, Token};
use super::roster::NONE;
use crate::ports::{Dial, Report};

/// A check that talks has this long with one address before the next is tried beside it: peers that greet late are
/// common, and a second connection for each would be a nuisance.
const TALK_STAGGER: Duration = Duration::from_secs(1);

impl Machine {
    /// Dials the first address of a flight, or all.
    pub(super) fn dial_first(&mut self, token: Token) {
        let Some(flight) = self.flights.get(token) else { return };
        let all = flight.plan.addresses == Which::All;
        if let Some(group) = self.sharing.group_mut(flight.group) {
            (group.begun, group.begun_at, group.seen) = (self.now.boot, self.now.ms, None);
        }
        self.dial_next(token);
        while all && self.dial_next(token) {}
        self.settle(token);
    }

    /// Dials the next address of a flight, if there is one.
    fn dial_next(&mut self, token: Token) -> bool {
        let now = self.now;
        let Some(flight) = self.flights.get(token) else { return false };
        let (index, Some(ip)) = (flight.next, flight.addresses.get(flight.next)) else { return false };
        flight.next += 1;
        let address = SocketAddr::new(ip, flight.port);
        flight.last_failed = !std::mem::take(&mut flight.holds) && !self.room.take();
        if flight.last_failed {
            flight.attempts.push(unmade(address, ErrorCode::SelfResource));
            return true;
        }
        flight.out |= 1 << index;
        let plan = &flight.plan;
        let handshake = if self.config.half_open { plan.handshake } else { Handshake::Full };
        let passed = now.boot.since(flight.dialled);
        let dial = Dial {
            token: token.dial(index),
            address,
            timeout: plan.timeout.saturating_sub(passed).max(Duration::from_millis(1)),
            handshake,
            settle: plan.settle,
        };
        let more = plan.addresses == Which::First && flight.addresses.len() > flight.next;
        if flight.talks {
            self.leaving.talks.push((dial, std::sync::Arc::clone(plan)));
        } else {
            self.leaving.dials.push(dial);
        }
        if more {
            flight.next_at = now.boot + if flight.talks { TALK_STAGGER } else { self.config.stagger };
            self.staggers.insert((flight.next_at, token), ());
        }
        if index > 0
            && let Some(budgets) = &mut self.budgets
        {
            // Part of a check that has its leave; only counted.
            budgets.count(ip, address.port(), now.boot);
        }
        true
    }

    /// Tries the next address of those whose last one has had its time.
    pub(super) fn next_addresses(&mut self) {
        while let Some((&(at, token), ())) = self.staggers.first_key_value() {
            if at > self.now.boot {
                return;
            }
            self.staggers.pop_first();
            let is_due =
                |flight: &mut Flight| flight.next_at == at && !flight.decided && flight.held.is_none();
            if self.flights.get(token).is_some_and(is_due) {
                self.dial_next(token);
                self.settle(token);
            }
        }
    }

    /// Takes a report.
    pub(super) fn reported(&mut self, report: Report) {
        let (token, index) = Token::of_report(report.token);
        let Some(flight) = self.flights.get(token) else { return };
        if !flight.is_back(index) {
            return;
        }
        self.room.give();
        if flight.decided {
            if flight.out == 0 {
                self.close(token);
            }
            return;
        }
        flight.last_failed = index + 1 == flight.next;
        if index == 0 {
            note_lateness(self, &report, token);
        }
        let Some(flight) = self.flights.get(token) else { return };
        if report.code == ErrorCode::Ok && self.config.evidence_always {
            let address = address_of(flight, index);
            flight.attempts.push(answered(address, &report));
            flight.first_bytes = report.first_bytes;
            let full = report.full;
            return if full { self.settle_full(token) } else { self.settle(token) };
        }
        let plan = &flight.plan;
        if report.code == ErrorCode::Ok
            && plan.expectation == Expectation::Open
            && (plan.addresses == Which::First || flight.addresses.len() == 1)
        {
            let seen = good(flight, &report);
            let ip = flight.addresses.get(index);
            return self.end_good(token, seen, ip);
        }
        let address = address_of(flight, index);
        let attempt = match report.detail {
            Some(attempt) => *attempt,
            None if report.code == ErrorCode::Ok => answered(address, &report),
            None => unmade(address, report.code),
        };
        flight.attempts.push(attempt);
        if report.first_bytes.is_some() {
            flight.first_bytes = report.first_bytes;
        }
        if report.full { self.settle_full(token) } else { self.settle(token) }
    }

    fn settle_full(&mut self, token: Token) {
        if let Some(flight) = self.flights.get(token) {
            flight.full = true;
        }
        self.settle(token);
    }

    /// Ends a flight if it is decided, or goes on to its next address.
    fn settle(&mut self, token: Token) {
        loop {
            let Some(flight) = self.flights.get(token) else { return };
            if flight.attempts.is_empty() {
                return;
            }
            if flight.plan.addresses == Which::First
                && flight.attempts.last().is_some_and(|a| decides(flight, a))
                || flight.out == 0 && flight.next >= flight.addresses.len()
            {
                return self.decide(token);
            }
            // The next one goes as soon as the last one has failed.
            let goes_on = flight.plan.addresses == Which::First && flight.last_failed;
            if !(goes_on && self.dial_next(token)) {
                return;
            }
        }
    }

    fn decide(&mut self, token: Token) {
        let Some(flight) = self.flights.get(token) else { return };
        if flight.key == NONE {
            return self.end_unseen(token);
        }
        let seen = judged(flight, self.now.boot.since(flight.dialled));
        self.prove(token, seen);
    }
}

/// Whether one attempt ends a check that is content with one good address.
fn decides(flight: &Flight, attempt: &Attempt) -> bool {
    matches!(expected(flight.plan.expectation, attempt), ErrorCode::Ok | ErrorCode::TcpOpenUnexpected)
}

fn note_lateness(machine: &mut Machine, report: &Report, token: Token) {
    let started = machine.timeline.at(report.started);
    if let Some(flight) = machine.flights.get(token)
        && flight.key != NONE
    {
        let due = quaywatch_core::Timestamp::from_millis(machine.roster.entry(flight.key).due);
        machine.stats.lateness.observe(started.since(due));
    }
}

fn address_of(flight: &Flight, index: u8) -> SocketAddr {
    let ip = flight.addresses.get(index).expect("only addresses of the flight were dialled");
    SocketAddr::new(ip, flight.port)
}

fn flags(flight: &Flight, full: bool) -> ResultFlags {
    let flags = if full { ResultFlags::FULL } else { ResultFlags::default() };
    if flight.stale { flags.with(ResultFlags::STALE_DNS) } else { flags }
}

/// The observation of a check that went well: nothing is allocated.
fn good(flight: &Flight, report: &Report) -> Observation {
    Observation {
        code: ErrorCode::Ok,
        flags: flags(flight, report.full),
        syn_retransmits: report.syn_retransmits,
        latency_us: report.latency_us,
        dns_us: flight.dns_us,
        elapsed_us: report.elapsed_us,
        evidence: None,
    }
}

/// The observation of any other check, with its evidence; what it means is put in by [`judge`].
fn judged(flight: &mut Flight, passed: Duration) -> Observation {
    let attempts = std::mem::take(&mut flight.attempts);
    let elapsed_us = match &attempts[..] {
        [one] => one.elapsed_us,
        _ => u32::try_from(passed.as_micros()).unwrap_or(u32::MAX),
    };
    let evidence = Evidence {
        attempts,
        stage: None,
        elapsed_us,
        dns_us: (flight.name != NONE).then_some(flight.dns_us),
        detail: flight.dns_detail.as_deref().filter(|_| flight.stale).map(str::to_owned),
        first_bytes: flight.first_bytes.take().map(String::from),
    };
    let mut seen = Observation {
        code: ErrorCode::Ok,
        flags: flags(flight, flight.full),
        syn_retransmits: 0,
        latency_us: None,
        dns_us: flight.dns_us,
        elapsed_us,
        evidence: Some(Box::new(evidence)),
    };
    judge(&flight.plan, &mut seen);
    seen
}

/// Puts the verdict over its attempts into an observation, and the deciding one first.
pub(super) fn judge(plan: &Plan, seen: &mut Observation) {
    let Some(evidence) = &mut seen.evidence else { return };
    let attempts = &mut evidence.attempts;
    let (code, index) = verdict(plan, attempts);
    attempts[..=index].rotate_right(1);
    // Latency is a target's that answered as it should; of a partly dead one, the best that answered.
    let latency_us = match code.verdict() {
        Verdict::Up => attempts[0].latency_us,
        Verdict::Degraded => attempts.iter().filter_map(|attempt| attempt.latency_us).min(),
        Verdict::Down | Verdict::Unknown | Verdict::Blocked => None,
    };
    seen.code = code;
    seen.syn_retransmits = attempts[0].syn_retransmits;
    seen.latency_us = latency_us.and_then(NonZeroU32::new);
}

/// An attempt that was answered, as evidence.
fn answered(address: SocketAddr, report: &Report) -> Attempt {
    Attempt {
        address,
        error_code: report.code,
        stage: How::Connect,
        signal: Signal::SynAck,
        latency_us: report.latency_us.map(NonZeroU32::get),
        elapsed_us: report.elapsed_us,
        syn_retransmits: report.syn_retransmits,
        errno: None,
        icmp: None,
    }
}

/// An attempt that was not made.
fn unmade(address: SocketAddr, code: ErrorCode) -> Attempt {
    Attempt {
        address,
        error_code: code,
        stage: How::Prepare,
        signal: Signal::Local,
        latency_us: None,
        elapsed_us: 0,
        syn_retransmits: 0,
        errno: None,
        icmp: None,
    }
}
