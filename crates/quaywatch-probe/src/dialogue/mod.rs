//! Checks that talk: a full handshake, bytes to send, an answer to expect, and a polite close. One future a check, on
//! tokio, over a socket of our own: `TcpStream::connect` drops a failed socket, and its error queue with it.

mod conversation;

use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::spec::escape;
use quaywatch_core::{Attempt, BootTime, Clock, ErrorCode, Signal, Stage};

use crate::dial::{Dial, Report, latency, micros_u32};
use crate::outcome::{Failure, errno_name};
use crate::own::OwnAddresses;
use crate::socket::{self, Ending, Looker};
use conversation::{Conversation, Trouble};

/// A pattern ready for use (`Pattern::compile` of core).
pub type CompiledPattern = regex::bytes::Regex;

/// As much of a peer's answer as evidence keeps.
const FIRST_BYTES: usize = 256;
/// A deadline that fires later than this says that this process was away, and then silence proves nothing.
const STALL_AFTER: Duration = Duration::from_secs(1);

/// Runs checks that talk. Cheap to clone.
#[derive(Clone)]
pub struct Dialogue {
    clock: Arc<dyn Clock>,
}

/// What is said and what must be answered.
#[derive(Clone, Copy)]
struct Script<'a> {
    send: Option<&'a [u8]>,
    expect: Option<&'a CompiledPattern>,
    settle: Duration,
}

impl Dialogue {
    /// A prober that takes its times from `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock }
    }

    /// Connects, sends `send`, reads at most 4 KiB until `expect` matches, and closes; without `expect` the connection
    /// is looked at for `dial.settle`. The handshake is a full one whatever the dial says. Needs a tokio runtime with
    /// I/O and time. Dropping the future ends the check.
    pub async fn run(&self, dial: &Dial, send: Option<&[u8]>, expect: Option<&CompiledPattern>) -> Report {
        let mut looker = Looker::new(OwnAddresses::new(Arc::clone(&self.clock)));
        let started = self.clock.boot();
        let begun = socket::begin(dial.address, Ending::Connection, None)
            .and_then(|socket| Conversation::new(socket, dial.address, started, Arc::clone(&self.clock)));
        let mut conversation = match begun {
            Ok(conversation) => conversation,
            Err(failed) => {
                let failure = looker.why_not_started(&failed);
                return self.report(dial, started, Some((failure, Stage::Prepare)), &Seen::default());
            }
        };
        let script = Script { send, expect, settle: dial.settle };
        let talk = conversation.run(&mut looker, script);
        let trouble = match tokio::time::timeout(dial.timeout, talk).await {
            Ok(result) => result.err(),
            Err(_) => self.at_deadline(&mut conversation, &mut looker, script, dial, started),
        };
        let seen = conversation.close();
        self.report(dial, started, trouble, &seen)
    }

    /// Time is up. What has come in by now still counts; what has not is silence only if we were here to listen.
    fn at_deadline(
        &self,
        conversation: &mut Conversation,
        looker: &mut Looker,
        script: Script<'_>,
        dial: &Dial,
        started: BootTime,
    ) -> Option<Trouble> {
        let (failure, stage) = conversation.last_look(looker, script)?;
        let late = self.clock.boot().since(started + dial.timeout) > STALL_AFTER;
        let code = if late && failure.signal != Signal::Rst { ErrorCode::SelfStall } else { failure.code };
        Some((Failure { code, ..failure }, stage))
    }

    fn report(&self, dial: &Dial, started: BootTime, trouble: Option<Trouble>, seen: &Seen) -> Report {
        let elapsed_us = micros_u32(self.clock.boot().since(started));
        let detail = trouble.map(|(failure, stage)| {
            Box::new(Attempt {
                address: dial.address,
                error_code: failure.code,
                stage,
                signal: failure.signal,
                latency_us: seen.latency_us,
                elapsed_us,
                syn_retransmits: seen.retransmits,
                errno: failure.errno.map(errno_name),
                icmp: failure.icmp,
            })
        });
        let code = detail.as_ref().map_or(ErrorCode::Ok, |attempt| attempt.error_code);
        let first = &seen.bytes[..seen.bytes.len().min(FIRST_BYTES)];
        Report {
            token: dial.token,
            code,
            latency_us: seen.latency_us.filter(|_| code == ErrorCode::Ok).map(latency),
            started,
            elapsed_us,
            full: seen.latency_us.is_some(),
            syn_retransmits: seen.retransmits,
            detail,
            first_bytes: (!first.is_empty()).then(|| escape::write(first).into_boxed_str()),
        }
    }
}

/// What is left when a conversation is over.
#[derive(Default)]
struct Seen {
    /// The handshake's time, if it was answered.
    latency_us: Option<u32>,
    retransmits: u8,
    bytes: Vec<u8>,
}
