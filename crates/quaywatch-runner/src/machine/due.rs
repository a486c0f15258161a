//! From "its slot has come" to "its SYN may go": what happens to slots that cannot have their check, whose turn it is,
//! and who can take an identical check's observation.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::egress::Egress;
use quaywatch_core::evidence::Stage as How;
use quaywatch_core::schedule::Millis;
use quaywatch_core::{BootTime, ErrorCode, Evidence, ResultFlags};
use quaywatch_net::Answer;

use super::Machine;
use super::flight::{Addresses, Flight, Observation, Token};
use super::roster::{NONE, Stage, Target};

/// An identical check's observation may be this old, at most, and a tenth of the interval.
const SHARE_WITHIN: Duration = Duration::from_secs(1);

/// What a check may take beyond its own limits (looks at anchors, the loop's ticks) before it is given up.
const GRACE: Duration = Duration::from_secs(4);

const PLAIN: usize = 0;
const TALKS: usize = 1;

impl Machine {
    /// Takes what is due off the schedule, and puts each monitor's next slot on it.
    pub(super) fn take_due(&mut self) {
        let mut due = std::mem::take(&mut self.due);
        self.wheel.take(self.now.ms, |key, at| due.push((key, at)));
        for (key, at) in due.drain(..) {
            self.fall_due(key, at);
        }
        self.due = due;
    }

    fn fall_due(&mut self, key: u32, due: Millis) {
        let grid = self.roster.grid(key);
        self.wheel.put(key, grid.after(self.now.ms));
        // Of several slots that have come since the last turn, the latest gets the check.
        let slot = if grid.count(due, self.now.ms) == 0 { due } else { grid.at_or_before(self.now.ms) };
        let passed = grid.count(due - 1, self.now.ms);
        self.stats.missed.add(passed.saturating_sub(1));
        let entry = self.roster.entry_mut(key);
        match entry.stage {
            Stage::Idle => {
                entry.due = slot;
                entry.booked = false;
                self.queue(key);
            }
            Stage::Queued | Stage::Delayed if grid.has(slot) => {
                let old = std::mem::replace(&mut entry.due, slot);
                if grid.has(old) {
                    self.stats.missed.inc();
                    let code = if self.starved { ErrorCode::SelfResource } else { ErrorCode::SelfOverload };
                    self.skip(key, old, code);
                }
            }
            Stage::Flying if grid.has(slot) => self.stats.overlapped.inc(),
            // A check out of turn, and one is about to run anyway.
            Stage::Queued | Stage::Delayed | Stage::Flying => {}
            Stage::Free => debug_assert!(false, "what is on the schedule is on the roster"),
        }
    }

    /// Lets a check go at once if nobody waits, else puts it in line.
    pub(super) fn queue(&mut self, key: u32) {
        let lane = usize::from(self.roster.plan_of(key).talks);
        let account = self.roster.entry(key).account;
        if self.lanes[lane].is_empty() && self.has_capacity(lane) && self.may_begin(lane, account) {
            self.go(key);
        } else {
            let entry = self.roster.entry_mut(key);
            entry.stage = Stage::Queued;
            self.lanes[lane].push(entry.account, key);
        }
    }

    /// Lets those in line go, account by account, while there is capacity.
    pub(super) fn admit(&mut self) {
        for lane in [PLAIN, TALKS] {
            while !self.lanes[lane].is_empty() && self.has_capacity(lane) {
                let (aloft, most) = (&self.aloft[lane], self.most_aloft(lane));
                let next = self.lanes[lane].pop_if(|account| aloft.may(account, most));
                let Some((_, key)) = next else { break };
                // It may have been removed or parted from this place in line meanwhile.
                if self.roster.entry(key).stage == Stage::Queued {
                    self.go(key);
                }
            }
        }
    }

    fn has_capacity(&mut self, lane: usize) -> bool {
        let below_bounds = self.flights.len() < self.config.max_in_flight
            && (lane == PLAIN || self.aloft[TALKS].total() < self.config.max_dialogues);
        self.starved = below_bounds && !self.room.has_some();
        below_bounds && !self.starved
    }

    /// Whether there is room that is not kept for other accounts.
    fn may_begin(&self, lane: usize, account: u16) -> bool {
        self.aloft[lane].may(account, self.most_aloft(lane))
    }

    fn most_aloft(&self, lane: usize) -> usize {
        let sockets = self.room.most().min(self.config.max_in_flight);
        if lane == PLAIN { sockets } else { sockets.min(self.config.max_dialogues) }
    }

    /// A check's turn: an observation to share, a name to resolve, or an address to dial.
    fn go(&mut self, key: u32) {
        let interval = self.roster.plan_of(key).interval;
        if self.share(key, SHARE_WITHIN.min(interval / 10)) {
            return;
        }
        match self.roster.entry(key).target {
            Target::Ip(ip) => self.start(key, &Addresses::One(ip)),
            Target::Name(name) => match self.names.fresh(name, self.now.boot) {
                Some(answer) => {
                    let known = Answer { took_us: 0, ..answer.clone() };
                    self.start_resolved(key, None, &known);
                }
                None => self.resolve(key, name),
            },
        }
    }

    /// Takes the observation of an identical check: of one in flight, or of one that began within `window`. A check
    /// out of turn wants to know how things are since it was due, not before.
    pub(super) fn share(&mut self, key: u32, window: Duration) -> bool {
        let entry = self.roster.entry(key);
        let Some(group) = self.sharing.group(entry.group) else { return false };
        let is_extra = !self.roster.grid(key).has(entry.due);
        if is_extra && group.begun_at < entry.due {
            return false;
        }
        if let Some((token, flight)) = self.flights.at(group.flight) {
            flight.riders.push(key);
            self.lines.served(key);
            let entry = self.roster.entry_mut(key);
            (entry.stage, entry.flight) = (Stage::Flying, token.place());
            return true;
        }
        let is_recent = self.now.boot.since(group.begun) <= window;
        let Some(seen) = group.seen.as_deref().filter(|_| is_recent).cloned() else { return false };
        self.lines.served(key);
        self.conclude_for(key, &seen, true);
        true
    }

    /// Begins a flight that waits for the addresses of its name.
    fn resolve(&mut self, key: u32, name: u32) {
        let limit = self.roster.plan_of(key).plan.dns_timeout;
        let account = self.roster.entry(key).account;
        let token = self.open(key, Addresses::Unknown);
        self.names.wait(name, account, token, limit);
    }

    /// An answer came: those who waited for it go on.
    pub(super) fn resolved(&mut self, question: crate::ports::Question, answer: &Answer) {
        for token in self.names.take(question, answer.clone()) {
            let Some(flight) = self.flights.get(token) else { continue };
            if flight.key == NONE {
                self.close(token);
                continue;
            }
            let key = flight.key;
            self.start_resolved(key, Some(token), answer);
        }
    }

    fn start_resolved(&mut self, key: u32, flight: Option<Token>, answer: &Answer) {
        if answer.outcome != ErrorCode::Ok {
            let seen = unresolved(answer);
            return self.end_undialled(key, flight, seen);
        }
        let addresses = match &*answer.addresses {
            [one] => Addresses::One(*one),
            _ => Addresses::Many(Arc::clone(&answer.addresses)),
        };
        match self.allowed(key, &addresses) {
            Ok(addresses) => self.start_allowed(key, flight, addresses, Some(answer)),
            Err(seen) => self.end_undialled(key, flight, seen),
        }
    }

    fn start(&mut self, key: u32, addresses: &Addresses) {
        match self.allowed(key, addresses) {
            Ok(addresses) => self.start_allowed(key, None, addresses, None),
            Err(seen) => self.end_undialled(key, None, seen),
        }
    }

    /// The addresses that the egress policy lets this account dial; or that it lets none.
    fn allowed(&self, key: u32, addresses: &Addresses) -> Result<Addresses, Observation> {
        let egress = &self.roster.account(self.roster.entry(key).account).egress;
        let rule = |ip: IpAddr| match egress.judge(ip) {
            Egress::Allowed => None,
            Egress::Denied { rule } => Some((ip, rule)),
        };
        let mut denied = (0..addresses.len()).filter_map(|i| addresses.get(i)).filter_map(rule);
        let Some((ip, why)) = denied.next() else { return Ok(addresses.clone()) };
        if denied.count() + 1 == usize::from(addresses.len()) {
            return Err(undialled(ErrorCode::PolicyBlocked, How::Prepare, format!("{ip}: {why}")));
        }
        let rest = (0..addresses.len()).filter_map(|i| addresses.get(i)).filter(|ip| rule(*ip).is_none());
        Ok(Addresses::Many(rest.collect()))
    }

    /// The target's budget, then the dial.
    fn start_allowed(
        &mut self,
        key: u32,
        flight: Option<Token>,
        addresses: Addresses,
        answer: Option<&Answer>,
    ) {
        let first = addresses.get(0).expect("there is an address, and it is allowed");
        if !self.has_leave(key, flight, first) {
            return;
        }
        let token = flight.unwrap_or_else(|| self.open(key, Addresses::Unknown));
        let boot = self.now.boot;
        let Some(flight) = self.flights.get(token) else { return };
        flight.addresses = addresses;
        flight.dialled = boot;
        if let Some(answer) = answer {
            flight.dns_us = answer.took_us;
            flight.stale = answer.stale;
            flight.dns_detail.clone_from(&answer.detail);
        }
        self.dial_first(token);
    }

    /// Opens a flight for a check.
    fn open(&mut self, key: u32, addresses: Addresses) -> Token {
        let holds = self.room.take();
        let entry = self.roster.entry(key);
        let plan = self.roster.plan_of(key);
        let talks = plan.talks;
        let limit = plan.plan.timeout + plan.plan.dns_timeout + GRACE;
        let name = match entry.target {
            Target::Ip(_) => NONE,
            Target::Name(name) => name,
        };
        let group = entry.group;
        let token = self.flights.insert(Flight {
            key,
            group,
            name,
            port: entry.port,
            account: entry.account,
            holds,
            talks,
            stale: false,
            full: false,
            next: 0,
            last_failed: false,
            next_at: BootTime(0),
            out: 0,
            decided: false,
            dns_us: 0,
            ends_by: self.now.boot + limit,
            dialled: BootTime(0),
            plan: Arc::clone(&plan.plan),
            addresses,
            attempts: Vec::new(),
            first_bytes: None,
            dns_detail: None,
            held: None,
            riders: Vec::new(),
        });
        let entry = self.roster.entry_mut(key);
        self.aloft[usize::from(talks)].began(entry.account);
        (entry.stage, entry.flight) = (Stage::Flying, token.place());
        if let Some(group) = self.sharing.group_mut(group) {
            group.flight = token.place();
        }
        token
    }

    /// Ends a flight that has not dialled, without a result; its riders go back in line.
    pub(super) fn unwind(&mut self, token: Token) {
        let Some(flight) = self.close(token) else { return };
        for rider in flight.riders {
            let entry = self.roster.entry_mut(rider);
            (entry.stage, entry.flight) = (Stage::Queued, NONE);
            self.lanes[PLAIN].push(entry.account, rider);
        }
    }

    /// Frees a flight and what it holds.
    pub(super) fn close(&mut self, token: Token) -> Option<Flight> {
        let flight = self.flights.remove(token)?;
        if flight.holds {
            self.room.give();
        }
        self.aloft[usize::from(flight.talks)].ended(flight.account);
        if let Some(group) = self.sharing.group_mut(flight.group)
            && group.flight == token.place()
        {
            group.flight = NONE;
        }
        Some(flight)
    }
}

fn unresolved(answer: &Answer) -> Observation {
    let detail = answer.detail.as_deref().map(str::to_owned);
    Observation {
        code: answer.outcome,
        flags: ResultFlags::default(),
        syn_retransmits: 0,
        latency_us: None,
        dns_us: answer.took_us,
        elapsed_us: answer.took_us,
        evidence: Some(Box::new(Evidence {
            stage: Some(How::Resolve),
            elapsed_us: answer.took_us,
            dns_us: Some(answer.took_us),
            detail,
            ..Evidence::default()
        })),
    }
}

pub(super) fn undialled(code: ErrorCode, stage: How, detail: String) -> Observation {
    Observation {
        code,
        flags: ResultFlags::default(),
        syn_retransmits: 0,
        latency_us: None,
        dns_us: 0,
        elapsed_us: 0,
        evidence: Some(Box::new(Evidence {
            stage: Some(stage),
            detail: Some(detail),
            ..Evidence::default()
        })),
    }
}
