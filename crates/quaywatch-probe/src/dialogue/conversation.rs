//! One conversation, step by step. All state is in the struct and none in the futures, so that a deadline may cut in
//! anywhere and the socket can be looked at once more.

use std::io::{self, Read};
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;

use quaywatch_core::{BootTime, Clock, ErrorCode, Signal, Stage};
use socket2::{SockRef, Socket};
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::{CompiledPattern, Script, Seen};
use crate::dial::micros_u32;
use crate::outcome::Failure;
use crate::socket::{self, After, Look, Looker, NotStarted};
use crate::sys::Facts;

/// What went wrong, and how far things had come.
pub(super) type Trouble = (Failure, Stage);

/// As much of the first answer as a pattern is matched against.
const MOST_BYTES: usize = 4_096;

pub(super) struct Conversation {
    /// Only a holder: connected by us, not by tokio, so that a failed one stays ours to ask.
    stream: TcpStream,
    address: SocketAddr,
    started: BootTime,
    clock: Arc<dyn Clock>,
    stage: Stage,
    /// How much of the message has been sent.
    sent: usize,
    seen: Seen,
}

impl Conversation {
    pub(super) fn new(
        socket: Socket,
        address: SocketAddr,
        started: BootTime,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, NotStarted> {
        let stream = TcpStream::from_std(socket.into())?;
        let seen = Seen::default();
        Ok(Self { stream, address, started, clock, stage: Stage::Connect, sent: 0, seen })
    }

    pub(super) async fn run(&mut self, looker: &mut Looker, script: Script<'_>) -> Result<(), Trouble> {
        self.connect(looker).await?;
        if let Some(message) = script.send {
            self.stage = Stage::Send;
            self.send(message).await?;
        }
        match script.expect {
            Some(pattern) => {
                self.stage = Stage::Expect;
                self.expect(pattern).await
            }
            None => {
                self.stage = Stage::Settle;
                self.settle(script).await
            }
        }
    }

    async fn connect(&mut self, looker: &mut Looker) -> Result<(), Trouble> {
        let interest = Interest::WRITABLE | Interest::ERROR;
        loop {
            let ready = self.stream.ready(interest).await.map_err(|error| of_io(&error, Stage::Connect))?;
            self.forget_readiness(interest);
            match looker.look(&self.socket(), ready.is_error()) {
                Look::Waiting(_) => let_others_in().await,
                Look::Answered(facts) => {
                    self.answered(&facts);
                    break;
                }
                Look::Broken(failure, facts) => return Err(self.broken(failure, &facts)),
            }
        }
        if socket::is_ourselves(&self.socket(), self.address) {
            self.seen.latency_us = None;
            return Err((socket::ourselves(&self.socket()), Stage::Connect));
        }
        Ok(())
    }

    fn socket(&self) -> SockRef<'_> {
        SockRef::from(&self.stream)
    }

    /// Before a look, never after: what happens after the look must wake us again.
    fn forget_readiness(&self, interest: Interest) {
        let _ = self.stream.try_io::<()>(interest, || Err(io::ErrorKind::WouldBlock.into()));
    }

    fn answered(&mut self, facts: &Facts) {
        let measured = (facts.retransmits == 0 && facts.rtt_us > 0).then_some(facts.rtt_us);
        let by_clock = || micros_u32(self.clock.boot().since(self.started));
        self.seen.latency_us = Some(measured.unwrap_or_else(by_clock));
        self.seen.retransmits = u8::try_from(facts.retransmits).unwrap_or(u8::MAX);
    }

    fn broken(&mut self, failure: Failure, facts: &Facts) -> Trouble {
        self.seen.retransmits = u8::try_from(facts.retransmits).unwrap_or(u8::MAX);
        if socket::was_answered(&failure, facts) {
            self.answered(facts);
            return (failure, Stage::Settle);
        }
        (failure, Stage::Connect)
    }

    async fn send(&mut self, message: &[u8]) -> Result<(), Trouble> {
        while self.sent < message.len() {
            self.stream.writable().await.map_err(|error| of_io(&error, Stage::Send))?;
            match self.stream.try_write(&message[self.sent..]) {
                Ok(sent) => self.sent += sent,
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(of_io(&error, Stage::Send)),
            }
        }
        Ok(())
    }

    async fn expect(&mut self, pattern: &CompiledPattern) -> Result<(), Trouble> {
        loop {
            if let Some(end) = self.read_answer(pattern) {
                return end;
            }
            self.stream.readable().await.map_err(|error| of_io(&error, Stage::Expect))?;
            self.forget_readiness(Interest::READABLE);
            let_others_in().await;
        }
    }

    /// Takes in what is there. `None`: nothing has been decided yet.
    fn read_answer(&mut self, pattern: &CompiledPattern) -> Option<Result<(), Trouble>> {
        let mut chunk = [0; MOST_BYTES];
        loop {
            let room = MOST_BYTES - self.seen.bytes.len();
            if room == 0 {
                return Some(Err(mismatch(Signal::Data)));
            }
            match (&*self.socket()).read(&mut chunk[..room]) {
                Ok(0) if self.seen.bytes.is_empty() => {
                    let closed = Failure::seen(ErrorCode::TcpClosedEarly, Signal::Fin);
                    return Some(Err((closed, Stage::Expect)));
                }
                Ok(0) => return Some(Err(mismatch(Signal::Fin))),
                Ok(read) => {
                    self.seen.bytes.extend_from_slice(&chunk[..read]);
                    if pattern.is_match(&self.seen.bytes) {
                        return Some(Ok(()));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Some(Err(of_io(&error, Stage::Expect))),
            }
        }
    }

    async fn settle(&mut self, script: Script<'_>) -> Result<(), Trouble> {
        let watch = async {
            loop {
                match self.settled_so_far(script) {
                    Settled::Quiet => {}
                    Settled::Goodbye => return Ok(()),
                    Settled::Trouble(trouble) => return Err(trouble),
                }
                self.stream.readable().await.map_err(|error| of_io(&error, Stage::Settle))?;
                self.forget_readiness(Interest::READABLE);
                let_others_in().await;
            }
        };
        if script.settle.is_zero() {
            return Ok(());
        }
        match tokio::time::timeout(script.settle, watch).await {
            Ok(end) => end,
            Err(_) => self.settled_so_far(script).trouble().map_or(Ok(()), Err),
        }
    }

    /// How the peer has taken it. After a message of ours an answer and a goodbye are no trouble.
    fn settled_so_far(&mut self, script: Script<'_>) -> Settled {
        let mut bytes = mem::take(&mut self.seen.bytes);
        let after = socket::drain(&self.socket(), &mut [0; MOST_BYTES], |read| {
            bytes.extend_from_slice(&read[..read.len().min(MOST_BYTES - bytes.len())]);
        });
        self.seen.bytes = bytes;
        match after {
            After::Quiet => Settled::Quiet,
            After::Over(failure) => {
                let answered = script.send.is_some() && !self.seen.bytes.is_empty();
                if answered && failure.signal == Signal::Fin {
                    Settled::Goodbye
                } else {
                    Settled::Trouble((failure, Stage::Settle))
                }
            }
        }
    }

    /// What can be said at the deadline, wherever it cut in.
    pub(super) fn last_look(&mut self, looker: &mut Looker, script: Script<'_>) -> Option<Trouble> {
        if self.stage == Stage::Connect {
            match looker.look(&self.socket(), true) {
                Look::Waiting(facts) => {
                    self.seen.retransmits = u8::try_from(facts.retransmits).unwrap_or(u8::MAX);
                    return Some((Failure::silence(), Stage::Connect));
                }
                Look::Broken(failure, facts) => return Some(self.broken(failure, &facts)),
                Look::Answered(facts) => self.answered(&facts),
            }
        }
        let unanswered = |stage| (Failure::seen(ErrorCode::TcpBannerTimeout, Signal::Silence), stage);
        let all_sent = script.send.is_none_or(|message| self.sent == message.len());
        if !all_sent {
            return Some(unanswered(Stage::Send));
        }
        match script.expect {
            Some(pattern) => match self.read_answer(pattern) {
                Some(end) => end.err(),
                None if self.seen.bytes.is_empty() => Some(unanswered(Stage::Expect)),
                None => Some(mismatch(Signal::Data)),
            },
            None => self.settled_so_far(script).trouble(),
        }
    }

    /// Closes as a well-mannered client does, with a FIN: unread bytes would make it a reset.
    pub(super) fn close(mut self) -> Seen {
        let _ = socket::drain(&self.socket(), &mut [0; MOST_BYTES], |_| {});
        mem::take(&mut self.seen)
    }
}

/// How a peer has taken a connection that asks for nothing more.
enum Settled {
    /// Nothing has happened, or it only talks.
    Quiet,
    /// It has answered and closed: that is how it ends a conversation. There will be no more.
    Goodbye,
    /// It has ended the connection without.
    Trouble(Trouble),
}

impl Settled {
    fn trouble(self) -> Option<Trouble> {
        match self {
            Self::Trouble(trouble) => Some(trouble),
            Self::Quiet | Self::Goodbye => None,
        }
    }
}

/// A socket whose peer floods it, or has closed it, is ready for ever, and waiting for it does not wait: without this
/// the loop would never come back to the runtime, whose other tasks and deadlines would stand still.
async fn let_others_in() {
    tokio::task::coop::consume_budget().await;
}

/// Not an error, only a reason to wait.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn mismatch(signal: Signal) -> Trouble {
    (Failure::seen(ErrorCode::TcpBannerMismatch, signal), Stage::Expect)
}

fn of_io(error: &io::Error, stage: Stage) -> Trouble {
    (Failure::of_errno(socket::errno_of(error)), stage)
}
