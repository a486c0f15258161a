//! One probe thread: what it holds, and the loop that serves it.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mio::{Events, Poll, Token, Waker};
use quaywatch_core::{BootTime, Clock, ErrorCode};
use slab::Slab;

use super::flight::Flight;
use super::governor::Governor;
use super::wheel::Wheel;
use super::{BulkConfig, BulkStats, Inbox, Post};
use crate::dial::{Dial, Report};
use crate::half_open::reuse_works;
use crate::outcome::Failure;
use crate::own::OwnAddresses;
use crate::socket::Looker;

/// Where reports go.
pub(super) type Deliver = dyn Fn(Vec<Report>) + Send + Sync;

/// Dials begun between two looks at what has come back: some 300 µs, far below what a close may take.
const BURST: usize = 64;
/// Events fetched at once.
const EVENTS: usize = 1_024;
/// A batch this large leaves without waiting.
const BATCH: usize = 256;
/// While anything is in flight the loop wakes this often, so that an absence is noticed as such.
const HEARTBEAT: Duration = Duration::from_millis(250);
/// Nobody's socket.
const WAKE: Token = Token(usize::MAX);

pub(super) struct Worker {
    pub(super) poll: Poll,
    pub(super) inbox: Arc<Inbox>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) deliver: Arc<Deliver>,
    pub(super) stats: Arc<BulkStats>,
    pub(super) config: BulkConfig,
    pub(super) flights: Slab<Flight>,
    /// Keys of flights that are over and whose sockets can be used again: IPv4, IPv6.
    pub(super) idle: [Vec<usize>; 2],
    /// Whether sockets are used again.
    pub(super) reuses: bool,
    pub(super) waiting: VecDeque<Dial>,
    pub(super) wheel: Wheel,
    pub(super) governor: Governor,
    pub(super) looker: Looker,
    pub(super) reports: Vec<Report>,
    /// When the oldest of `reports` was made.
    pub(super) oldest_report: BootTime,
    /// The time of this turn of the loop.
    pub(super) now: BootTime,
    /// The loop was away before this turn: what did not come back meanwhile proves nothing.
    pub(super) stalled: bool,
    pub(super) next_generation: u32,
    pub(super) next_source: usize,
    /// What the gauges were last told.
    pub(super) told: (i64, i64, i64),
    pub(super) due: Vec<usize>,
    pub(super) scratch: Box<[u8; 4_096]>,
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
            reuses: config.reuse && config.sources.is_empty() && reuse_works(),
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

    pub(super) fn report(&mut self, report: Report) {
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
