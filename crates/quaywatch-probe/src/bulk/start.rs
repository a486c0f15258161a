//! How dials begin: on a fresh socket, or on one whose half-open check is over.
//!
//! `connect(AF_UNSPEC)` resets a half-open check as close(2) would and leaves its socket as good as new. The next check
//! then needs four system calls where a fresh one needs seven, and a third less CPU time. The price: the kernel goes on
//! from the old connection's sequence numbers, so a target could guess those of the next check on the socket that it
//! was looked at with, and forge an answer in another target's name if it also guesses the port. Bad news on a reused
//! socket is therefore asked for again on a fresh one; [`super::BulkConfig::reuse`] turns all of it off.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use mio::unix::SourceFd;
use mio::{Interest, Token};
use nix::errno::Errno;
use quaywatch_core::{BootTime, Stage};
use socket2::Socket;

use super::flight::{Flight, Told, is_v4, parts_of, token_of};
use super::worker::Worker;
use crate::dial::Dial;
use crate::outcome::Failure;
use crate::socket::{self, Ending, NotStarted};

/// Sockets kept for the next half-open check of their family: more than are usually in flight at once would only hold
/// descriptors.
const KEPT: usize = 128;

impl Worker {
    /// Begins a dial.
    pub(super) fn start(&mut self, dial: &Dial) {
        self.stats.dials.inc();
        let deadline = self.clock.boot() + dial.timeout;
        if Ending::of(dial.handshake) == Ending::Reset
            && let Some(key) = self.idle[usize::from(!is_v4(dial.address))].pop()
        {
            return self.start_on(key, dial, deadline);
        }
        self.start_fresh(dial, deadline);
    }

    /// Begins a dial on a socket of its own.
    fn start_fresh(&mut self, dial: &Dial, deadline: BootTime) {
        let ending = Ending::of(dial.handshake);
        let started = self.clock.boot();
        let (socket, token) = match self.begin(dial, ending) {
            Ok(begun) => begun,
            Err(failed) => {
                let failure = self.looker.why_not_started(&failed);
                return self.not_started(dial, started, failure);
            }
        };
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
            reused: false,
            idle: false,
        });
        debug_assert_eq!(key, parts_of(token).0);
        self.wheel.set(key, deadline, self.now);
    }

    /// Sends the SYN from a new socket. Idle ones give way where descriptors are short.
    fn begin(&mut self, dial: &Dial, ending: Ending) -> Result<(Socket, Token), NotStarted> {
        let source = self.source_for(dial.address);
        self.stats.sockets.inc();
        let mut begun = socket::begin(dial.address, ending, source);
        if matches!(&begun, Err(NotStarted { errno: Errno::EMFILE | Errno::ENFILE, .. })) && self.close_idle()
        {
            begun = socket::begin(dial.address, ending, source);
        }
        begun.and_then(|socket| self.register(socket, ending))
    }

    /// Begins a dial on the socket of one that is over. It is still registered, under the same token.
    fn start_on(&mut self, key: usize, dial: &Dial, deadline: BootTime) {
        let started = self.clock.boot();
        let flight = &mut self.flights[key];
        if let Err(errno) = socket::begin_again(&flight.socket, dial.address) {
            let socket = Some(self.flights.remove(key).socket);
            let failure = self.looker.why_not_started(&NotStarted { errno, socket });
            return self.not_started(dial, started, failure);
        }
        flight.token = dial.token;
        flight.address = dial.address;
        flight.started = started;
        flight.deadline = deadline;
        flight.settle = dial.settle;
        flight.latency_us = 0;
        flight.reused = true;
        flight.idle = false;
        self.wheel.set(key, deadline, self.now);
    }

    /// Dials once more, on a fresh socket, in the time that is left.
    pub(super) fn ask_again(&mut self, key: usize) {
        self.wheel.clear(key);
        let flight = self.flights.remove(key);
        let dial = Dial {
            token: flight.token,
            address: flight.address,
            timeout: flight.deadline.since(self.now),
            handshake: quaywatch_core::spec::Handshake::HalfOpen,
            settle: flight.settle,
        };
        let deadline = flight.deadline;
        drop(flight);
        self.start_fresh(&dial, deadline);
    }

    /// Resets a half-open check and keeps its socket for the next. Not where a SYN was lost: a late ICMP answer could
    /// stand in its error queue; nor where a source or, by a link-local address, a link is bound: they stay bound.
    pub(super) fn keep(&mut self, key: usize) -> bool {
        let flight = &mut self.flights[key];
        let idle = &mut self.idle[usize::from(!is_v4(flight.address))];
        let fits = self.reuses
            && flight.ending == Ending::Reset
            && flight.retransmits == 0
            && !matches!(flight.address, SocketAddr::V6(v6) if v6.scope_id() != 0);
        if !fits || idle.len() >= KEPT || !socket::release(&flight.socket) {
            return false;
        }
        flight.idle = true;
        idle.push(key);
        true
    }

    /// Whether there were any.
    fn close_idle(&mut self) -> bool {
        let keys: Vec<usize> = self.idle.iter_mut().flat_map(std::mem::take).collect();
        for key in &keys {
            self.flights.remove(*key);
        }
        !keys.is_empty()
    }

    /// Dials under way, which idle sockets are not.
    pub(super) fn in_flight(&self) -> usize {
        self.flights.len() - self.idle[0].len() - self.idle[1].len()
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

    /// The end of a dial that never was under way.
    pub(super) fn not_started(&mut self, dial: &Dial, started: BootTime, failure: Failure) {
        let told = Told { stage: Stage::Prepare, latency_us: None, full: false, retransmits: 0 };
        self.report_failure(dial.token, dial.address, started, failure, told);
    }
}
