//! What comes back: answers, deadlines, and the report that each dial ends with.

use std::mem;
use std::net::SocketAddr;
use std::time::Duration;

use mio::Token;
use quaywatch_core::{Attempt, BootTime, ErrorCode, Signal, Stage};

use super::flight::{Told, handshake_us, parts_of, saturate};
use super::worker::Worker;
use crate::dial::{Report, latency, micros_u32};
use crate::outcome::{Failure, errno_name};
use crate::socket::{self, After, Ending, Look};
use crate::sys::{Facts, State};

impl Worker {
    /// Something happened to the socket behind `token`.
    pub(super) fn answer(&mut self, token: Token, told_of_error: bool) {
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
    pub(super) fn look_at_due(&mut self) {
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
            // A reused socket's sequence numbers can be foretold, so bad news on it could be forged.
            Look::Broken(..) if flight.reused && !last => self.ask_again(key),
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

    pub(super) fn report_failure(
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
}
