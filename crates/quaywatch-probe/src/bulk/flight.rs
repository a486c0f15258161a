//! One dial under way, and the small functions about it.

use std::net::SocketAddr;
use std::time::Duration;

use mio::Token;
use quaywatch_core::{BootTime, Stage};
use socket2::Socket;

use crate::dial::micros_u32;
use crate::socket::Ending;
use crate::sys::Facts;

/// One dial under way.
pub(super) struct Flight {
    pub(super) socket: Socket,
    pub(super) token: u64,
    pub(super) address: SocketAddr,
    pub(super) started: BootTime,
    pub(super) deadline: BootTime,
    pub(super) settle: Duration,
    /// Tells this flight from an earlier one under the same key, of which an event may still be in hand.
    pub(super) generation: u32,
    /// The handshake's time, once answered.
    pub(super) latency_us: u32,
    pub(super) retransmits: u8,
    pub(super) ending: Ending,
    pub(super) settling: bool,
    /// Its socket has had a dial before: bad news is then not believed at once.
    pub(super) reused: bool,
    /// It is over, and only its socket is kept.
    pub(super) idle: bool,
}

/// What the evidence of a failure says besides the failure.
#[derive(Clone, Copy)]
pub(super) struct Told {
    pub(super) stage: Stage,
    pub(super) latency_us: Option<u32>,
    pub(super) full: bool,
    pub(super) retransmits: u8,
}

/// The kernel's own measure, which no load of ours can bend; after a lost SYN it has none, and our clock must do.
pub(super) fn handshake_us(flight: &Flight, facts: &Facts, now: BootTime) -> u32 {
    if facts.retransmits == 0 && facts.rtt_us > 0 {
        facts.rtt_us
    } else {
        micros_u32(now.since(flight.started))
    }
}

/// Whether it is dialled by IPv4; mapped addresses are.
pub(super) fn is_v4(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_ipv4()
}

pub(super) fn saturate(retransmits: u32) -> u8 {
    u8::try_from(retransmits).unwrap_or(u8::MAX)
}

/// The slab's key below, the flight's generation above.
pub(super) const fn token_of(key: usize, generation: u32) -> Token {
    Token(((generation as usize) << 32) | key)
}

pub(super) const fn parts_of(token: Token) -> (usize, u32) {
    (token.0 & 0xFFFF_FFFF, (token.0 >> 32) as u32)
}
