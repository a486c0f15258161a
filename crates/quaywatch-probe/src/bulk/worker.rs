//! One probe thread: what it has in flight, and the loop that serves it.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use quaywatch_core::{Attempt, BootTime, Clock, ErrorCode, Signal, Stage};
use slab::Slab;
use socket2::Socket;

use super::governor::Governor;
use super::wheel::Wheel;
use super::{BulkConfig, BulkStats, Inbox, Post};
use crate::dial::{Dial, Report, latency, micros_u32};
use crate::outcome::{Failure, errno_name};
use crate::own::OwnAddresses;
use crate::socket::{self, After, Ending, Look, Looker, NotStarted};
use crate::sys::{Facts, State};

/// Where reports go.
pub(super) type Deliver = dyn Fn(Vec<Report>) + Send + Sync;

/// Dials begun between two looks at what has come back: some 300 µs, far below what a close may take.
const BURST: usize = 64;
/// Events fetched at once.
const EVENTS: usize = 1_024;
/// A batch this large leaves without waiting.
const BATCH: usize = 256;
/// Sockets kept for the next half-open check of their family. A reused one needs four system calls where a new one
/// needs eight, and a third less CPU time (measured); more than are usually in flight at once would only hold
/// descriptors.
const KEPT: usize = 128;
/// While anything is in flight the loop wakes this often, so that an absence is noticed as such.
const HEARTBEAT: Duration = Duration::from_millis(250);
/// Nobody's socket.
const WAKE: Token = Token(usize::MAX);

/// One dial under way.
struct Flight {
    socket: Socket,
    token: u64,
    address: SocketAddr,
    started: BootTime,
    deadline: BootTime,
    settle: Duration,
    /// Tells this flight from an earlier one under the same key, of which an event may still be in hand.
    generation: u32,
    /// The handshake's time, once answered.
    latency_us: u32,
    retransmits: u8,
    ending: Ending,
    settling: bool,
    /// It is over, and only its socket is kept: see [`Worker::keep`].
    idle: bool,
}

pub(super) struct Worker {
    poll: Poll,
    inbox: Arc<Inbox>,
    clock: Arc<dyn Clock>,
    deliver: Arc<Deliver>,
    stats: Arc<BulkStats>,
    config: BulkConfig,
    flights: Slab<Flight>,
    /// Keys of flights that are over and whose sockets can be used again: IPv4, IPv6.
    idle: [Vec<usize>; 2],
    waiting: VecDeque<Dial>,
    wheel: Wheel,
    governor: Governor,
    looker: Looker,
    reports: Vec<Report>,
    /// When the oldest of `reports` was made.
    oldest_report: BootTime,
    /// The time of this turn of the loop.
    now: BootTime,
    /// The loop was away before this turn: what did not come back meanwhile proves nothing.
    stalled: bool,
    next_generation: u32,
    next_source: usize,
    /// What the gauges were last told.
    told: (i64, i64, i64),
    due: Vec<usize>,
    scratch: Box<[u8; 4_096]>,
}

impl Worker {
    pub(super) fn new(
        config: &BulkConfig,
        clock: Arc<dyn Clock>,
        deliver: Arc<Deliver>,
        stats: Arc<BulkStats>,
    ) -> io::Result<(Self, Arc<Inbox>)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        let inbox = Arc::new(Inbox { post: Mutex::default(), waker });
        let worker = Self {
            poll,
            inbox: Arc::clone(&inbox),
            looker: Looker::new(OwnAddresses::new(Arc::clone(&clock))),
            now: clock.boot(),
            clock,
            deliver,
            stats,
            config: config.clone(),
            flights: Slab::new(),
            idle: [Vec::new(), Vec::new()],
            waiting: VecDeque::new(),
            wheel: Wheel::new(),
            governor: Governor::new(config.max_in_flight),
            reports: Vec::new(),
            oldest_report: BootTime(0),
            stalled: false,
            next_generation: 0,
            next_source: 0,
            told: (0, 0, 0),
            due: Vec::new(),
            scratch: Box::new([0; 4_096]),
        };
        Ok((worker, inbox))
    }

    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            let wait = self.wait();
            if let Err(error) = self.poll.poll(&mut events, wait)
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "a probe thread cannot wait for events and ends");
                return;
            }
            self.begin_turn(wait);
            let mut woken = false;
            for event in &events {
                if event.token() == WAKE {
                    woken = true;
                } else {
                    self.answer(event.token(), event.is_error());
                }
            }
            self.look_at_due();
            if woken && self.fetch_post() {
                return;
            }
            self.start_burst();
            self.end_turn();
        }
    }

    /// How long the loop may sleep; `None` while there is nothing to do.
    fn wait(&self) -> Option<Duration> {
        if !self.waiting.is_empty() && self.in_flight() < self.governor.cap() {
            return Some(Duration::ZERO);
        }
        let deadline = self.wheel.next_in(self.now).map(|next| next.min(HEARTBEAT));
        let batch = (!self.reports.is_empty())
            .then(|| (self.oldest_report + self.config.batch_after).since(self.now));
        [deadline, batch].into_iter().flatten().min()
    }

    /// Reads the clock, and finds out whether this thread was away. Without events the loop should have been back
    /// after `wait`; with them earlier, so an absence can seem too short by at most the heartbeat.
    fn begin_turn(&mut self, wait: Option<Duration>) {
        let before = mem::replace(&mut self.now, self.clock.boot());
        let lag = wait.map_or(Duration::ZERO, |wait| self.now.since(before).saturating_sub(wait));
        if lag >= Duration::from_millis(1) {
            self.stats.loop_lag.observe(lag);
        }
        self.stalled = lag > self.config.stall_after;
        if self.stalled {
            self.stats.stalls.inc();
        }
    }

    /// Something happened to the socket behind `token`.
    fn answer(&mut self, token: Token, told_of_error: bool) {
        let (key, generation) = parts_of(token);
        match self.flights.get(key) {
            Some(flight) if flight.generation == generation && !flight.idle => {}
            _ => return,
        }
        if self.flights[key].settling {
            self.look_at_settling(key, false);
        } else {
            self.look(key, told_of_error, false);
        }
    }

    /// Deadlines: every socket is looked at once more before silence is believed.
    fn look_at_due(&mut self) {
        let mut due = mem::take(&mut self.due);
        self.wheel.due(self.now, &mut due);
        for key in due.drain(..) {
            if self.flights[key].settling {
                self.look_at_settling(key, true);
            } else {
                self.look(key, true, true);
            }
        }
        self.due = due;
    }

    /// Looks at an unanswered connect.
    fn look(&mut self, key: usize, told_of_error: bool, last: bool) {
        let flight = &self.flights[key];
        match self.looker.look(&flight.socket, told_of_error) {
            Look::Answered(facts) => self.answered(key, facts),
            Look::Waiting(facts) if last => {
                self.flights[key].retransmits = saturate(facts.retransmits);
                self.fail(key, Failure::silence(), Stage::Connect);
            }
            Look::Waiting(_) => {}
            Look::Broken(failure, facts) => {
                let answered = socket::was_answered(&failure, &facts);
                let looks_on = flight.ending == Ending::Connection && !flight.settle.is_zero();
                let flight = &mut self.flights[key];
                flight.retransmits = saturate(facts.retransmits);
                match (answered, looks_on) {
                    (false, _) => self.fail(key, failure, Stage::Connect),
                    // Who asks for no more than an open port has the answer: the port was open.
                    (true, false) => self.answered(key, facts),
                    (true, true) => {
                        flight.latency_us = handshake_us(flight, &facts, self.clock.boot());
                        self.fail(key, failure, Stage::Settle);
                    }
                }
            }
        }
    }

    /// SYN-ACK came.
    fn answered(&mut self, key: usize, facts: Facts) {
        let now = self.clock.boot();
        let flight = &mut self.flights[key];
        flight.retransmits = saturate(facts.retransmits);
        flight.latency_us = handshake_us(flight, &facts, now);
        match flight.ending {
            Ending::Reset => self.reset(key, facts, now),
            Ending::Connection => {
                // A self-connect needs a port that the kernel gives out; servers of old have ports below.
                if flight.address.port() >= 1_024 && socket::is_ourselves(&flight.socket, flight.address) {
                    let failure = socket::ourselves(&flight.socket);
                    return self.fail(key, failure, Stage::Connect);
                }
                if flight.settle.is_zero() {
                    socket::drain(&flight.socket, &mut self.scratch[..], |_| {});
                    return self.succeed(key, now, true);
                }
                flight.settling = true;
                let until = flight.deadline.min(now + flight.settle);
                self.wheel.clear(key);
                self.wheel.set(key, until, self.now);
                if facts.state == State::PeerClosed {
                    self.look_at_settling(key, false);
                }
            }
        }
    }

    /// Closes a half-open check: with a reset if the last ACK is still withheld, otherwise with a FIN.
    fn reset(&mut self, key: usize, facts: Facts, now: BootTime) {
        let flight = &self.flights[key];
        let late = facts.ack_is_out();
        if late {
            if socket::is_ourselves(&flight.socket, flight.address) {
                let failure = socket::ourselves(&flight.socket);
                return self.fail(key, failure, Stage::Connect);
            }
            // Failing to be polite is no reason to fail.
            let _ = flight.socket.set_linger(None);
            socket::drain(&flight.socket, &mut self.scratch[..], |_| {});
            self.stats.late_close.inc();
        }
        if facts.retransmits == 0 {
            let since_syn = now.since(flight.started);
            self.stats
                .close_lag
                .observe(since_syn.saturating_sub(Duration::from_micros(facts.rtt_us.into())));
        }
        self.governor.closed(late);
        self.succeed(key, now, late);
    }

    /// Looks at an established connection, for the last time at the end of its settling.
    fn look_at_settling(&mut self, key: usize, last: bool) {
        match socket::drain(&self.flights[key].socket, &mut self.scratch[..], |_| {}) {
            After::Over(failure) => self.fail(key, failure, Stage::Settle),
            After::Quiet if last => self.succeed(key, self.now, true),
            After::Quiet => {}
        }
    }

    /// The end of a dial that went well. The socket closes when the flight is dropped, unless it is kept.
    fn succeed(&mut self, key: usize, now: BootTime, full: bool) {
        self.wheel.clear(key);
        let kept = !full && self.keep(key);
        let flight = &self.flights[key];
        let report = Report {
            token: flight.token,
            code: ErrorCode::Ok,
            latency_us: Some(latency(flight.latency_us)),
            started: flight.started,
            elapsed_us: micros_u32(now.since(flight.started)),
            full,
            syn_retransmits: flight.retransmits,
            detail: None,
            first_bytes: None,
        };
        if !kept {
            self.flights.remove(key);
        }
        self.report(report);
    }

    /// Resets a half-open check and keeps its socket for the next. Not where a SYN was lost: a late ICMP answer could
    /// stand in its error queue; nor where sources are bound, which stay bound.
    fn keep(&mut self, key: usize) -> bool {
        let flight = &mut self.flights[key];
        let idle = &mut self.idle[usize::from(!is_v4(flight.address))];
        let fits =
            flight.ending == Ending::Reset && flight.retransmits == 0 && self.config.sources.is_empty();
        if !fits || idle.len() >= KEPT || !socket::release(&flight.socket) {
            return false;
        }
        flight.idle = true;
        idle.push(key);
        true
    }

    fn in_flight(&self) -> usize {
        self.flights.len() - self.idle[0].len() - self.idle[1].len()
    }

    /// The end of a dial that did not.
    fn fail(&mut self, key: usize, failure: Failure, stage: Stage) {
        self.wheel.clear(key);
        let flight = self.flights.remove(key);
        let failure = self.judge_absence(failure, stage);
        let latency_us = (stage != Stage::Connect).then_some(flight.latency_us);
        let full = stage != Stage::Connect;
        let facts = Told { stage, latency_us, full, retransmits: flight.retransmits };
        self.report_failure(flight.token, flight.address, flight.started, failure, facts);
    }

    /// After an absence, silence may have been ours, and what ended an established connection may have happened long
    /// after the look that was asked for. Only an answer to the SYN still stands.
    fn judge_absence(&self, failure: Failure, stage: Stage) -> Failure {
        if self.stalled && (stage == Stage::Settle || failure.signal == Signal::Silence) {
            return Failure { code: ErrorCode::SelfStall, ..failure };
        }
        failure
    }

    fn report_failure(
        &mut self,
        token: u64,
        address: SocketAddr,
        started: BootTime,
        failure: Failure,
        told: Told,
    ) {
        let elapsed_us = micros_u32(self.clock.boot().since(started));
        self.report(Report {
            token,
            code: failure.code,
            latency_us: None,
            started,
            elapsed_us,
            full: told.full,
            syn_retransmits: told.retransmits,
            detail: Some(Box::new(Attempt {
                address,
                error_code: failure.code,
                stage: told.stage,
                signal: failure.signal,
                latency_us: told.latency_us,
                elapsed_us,
                syn_retransmits: told.retransmits,
                errno: failure.errno.map(errno_name),
                icmp: failure.icmp,
            })),
            first_bytes: None,
        });
    }

    fn report(&mut self, report: Report) {
        if self.reports.is_empty() {
            self.oldest_report = self.now;
        }
        self.reports.push(report);
    }

    /// Fetches what was submitted. True: stop.
    fn fetch_post(&mut self) -> bool {
        let post = mem::take(&mut *self.inbox.lock());
        let Post { dials, cancel_all, mut cancel, stop } = post;
        if cancel_all {
            self.waiting.clear();
            let flying = self.flights.iter().filter(|(_, flight)| !flight.idle);
            let keys: Vec<usize> = flying.map(|(key, _)| key).collect();
            self.forget(&keys);
        }
        let room = self.config.max_waiting.saturating_sub(self.waiting.len());
        let (taken, refused) = dials.split_at(room.min(dials.len()));
        self.waiting.extend(taken);
        for dial in refused {
            self.not_started(dial, self.now, Failure::local(ErrorCode::SelfOverload));
        }
        if !cancel.is_empty() {
            cancel.sort_unstable();
            self.waiting.retain(|dial| cancel.binary_search(&dial.token).is_err());
            let named = |flight: &Flight| !flight.idle && cancel.binary_search(&flight.token).is_ok();
            let named = self.flights.iter().filter(|(_, flight)| named(flight));
            let keys: Vec<usize> = named.map(|(key, _)| key).collect();
            self.forget(&keys);
        }
        stop
    }

    /// Closes without a word.
    fn forget(&mut self, keys: &[usize]) {
        for &key in keys {
            self.wheel.clear(key);
            self.flights.remove(key);
        }
    }

    /// Begins a few of the dials that wait.
    fn start_burst(&mut self) {
        let room = self.governor.cap().saturating_sub(self.in_flight());
        for _ in 0..room.min(BURST) {
            let Some(dial) = self.waiting.pop_front() else { return };
            self.start(&dial);
        }
    }

    fn start(&mut self, dial: &Dial) {
        let ending = Ending::of(dial.handshake);
        if ending == Ending::Reset
            && let Some(key) = self.idle[usize::from(!is_v4(dial.address))].pop()
        {
            return self.start_again(key, dial);
        }
        let source = self.source_for(dial.address);
        let started = self.clock.boot();
        self.stats.dials.inc();
        let begun =
            socket::begin(dial.address, ending, source).and_then(|socket| self.register(socket, ending));
        let (socket, token) = match begun {
            Ok(begun) => begun,
            Err(failed) => {
                let failure = self.looker.why_not_started(&failed);
                return self.not_started(dial, started, failure);
            }
        };
        let deadline = started + dial.timeout;
        let key = self.flights.insert(Flight {
            socket,
            token: dial.token,
            address: dial.address,
            started,
            deadline,
            settle: dial.settle,
            generation: parts_of(token).1,
            latency_us: 0,
            retransmits: 0,
            ending,
            settling: false,
            idle: false,
        });
        debug_assert_eq!(key, parts_of(token).0);
        self.wheel.set(key, deadline, self.now);
    }

    /// Begins a dial on the socket of one that is over. It is still registered, under the same token.
    fn start_again(&mut self, key: usize, dial: &Dial) {
        let started = self.clock.boot();
        self.stats.dials.inc();
        let flight = &mut self.flights[key];
        if let Err(errno) = socket::begin_again(&flight.socket, dial.address) {
            let socket = Some(self.flights.remove(key).socket);
            let failure = self.looker.why_not_started(&NotStarted { errno, socket });
            return self.not_started(dial, started, failure);
        }
        flight.token = dial.token;
        flight.address = dial.address;
        flight.started = started;
        flight.deadline = started + dial.timeout;
        flight.settle = dial.settle;
        flight.latency_us = 0;
        flight.idle = false;
        self.wheel.set(key, started + dial.timeout, self.now);
    }

    /// After connect: an unconnected socket counts as hung up.
    fn register(&mut self, socket: Socket, ending: Ending) -> Result<(Socket, Token), NotStarted> {
        self.next_generation = self.next_generation.wrapping_add(1);
        let token = token_of(self.flights.vacant_key(), self.next_generation);
        let interest = match ending {
            Ending::Reset => Interest::WRITABLE,
            Ending::Connection => Interest::WRITABLE | Interest::READABLE,
        };
        self.poll.registry().register(&mut SourceFd(&socket.as_raw_fd()), token, interest)?;
        Ok((socket, token))
    }

    fn source_for(&mut self, target: SocketAddr) -> Option<IpAddr> {
        let v4 = target.ip().to_canonical().is_ipv4();
        let count = self.config.sources.len();
        let found = (0..count)
            .map(|step| (self.next_source + step) % count)
            .find(|index| self.config.sources[*index].is_ipv4() == v4)?;
        self.next_source = found + 1;
        Some(self.config.sources[found])
    }

    fn not_started(&mut self, dial: &Dial, started: BootTime, failure: Failure) {
        let told = Told { stage: Stage::Prepare, latency_us: None, full: false, retransmits: 0 };
        self.report_failure(dial.token, dial.address, started, failure, told);
    }

    /// Hands reports over and tells the gauges.
    fn end_turn(&mut self) {
        self.governor.turn(self.now, self.in_flight());
        let old = self.now.since(self.oldest_report) >= self.config.batch_after;
        if !self.reports.is_empty() && (old || self.reports.len() >= BATCH) {
            let room = self.reports.len();
            (self.deliver)(mem::replace(&mut self.reports, Vec::with_capacity(room)));
        }
        let signed = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let tell = (signed(self.in_flight()), signed(self.waiting.len()), signed(self.governor.cap()));
        let told = mem::replace(&mut self.told, tell);
        if told != tell {
            self.stats.in_flight.add(tell.0 - told.0);
            self.stats.waiting.add(tell.1 - told.1);
            self.stats.cap.add(tell.2 - told.2);
        }
    }
}

/// What the evidence of a failure says besides the failure.
#[derive(Clone, Copy)]
struct Told {
    stage: Stage,
    latency_us: Option<u32>,
    full: bool,
    retransmits: u8,
}

/// The kernel's own measure, which no load of ours can bend; after a lost SYN it has none, and our clock must do.
fn handshake_us(flight: &Flight, facts: &Facts, now: BootTime) -> u32 {
    if facts.retransmits == 0 && facts.rtt_us > 0 {
        facts.rtt_us
    } else {
        micros_u32(now.since(flight.started))
    }
}

/// Whether it is dialled by IPv4; mapped addresses are.
fn is_v4(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_ipv4()
}

fn saturate(retransmits: u32) -> u8 {
    u8::try_from(retransmits).unwrap_or(u8::MAX)
}

/// The slab's key below, the flight's generation above.
const fn token_of(key: usize, generation: u32) -> Token {
    Token(((generation as usize) << 32) | key)
}

const fn parts_of(token: Token) -> (usize, u32) {
    (token.0 & 0xFFFF_FFFF, (token.0 >> 32) as u32)
}
