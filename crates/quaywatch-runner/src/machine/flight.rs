//! Checks that are running. A flight is one look at a target, for the monitor that it was begun for and for those
//! with identical checks that ride along. It lives in a slab; its token goes out with every dial and comes back with
//! every report, and carries a generation, so that a late report never meets a later flight.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use quaywatch_core::{Attempt, BootTime, ErrorCode, Evidence, Plan, ResultFlags};

/// 28 bits of generation; a token that waits for a whole round of them is no longer in any queue.
const GENERATIONS: u32 = (1 << 28) - 1;

/// Names a flight: place and generation. On the way to the prober also which attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Token(u64);

impl Token {
    const fn new(place: u32, generation: u32) -> Self {
        Self((generation as u64) << 32 | place as u64)
    }

    pub(super) const fn place(self) -> u32 {
        self.0 as u32
    }

    const fn generation(self) -> u32 {
        (self.0 >> 32) as u32 & GENERATIONS
    }

    /// The number for a dial. The place stands lowest: probers spread by it.
    pub(super) const fn dial(self, attempt: u8) -> u64 {
        self.0 | (attempt as u64) << 60
    }

    /// From the number of a report.
    pub(super) const fn of_report(number: u64) -> (Self, u8) {
        (Self(number & !(0xf << 60)), (number >> 60) as u8)
    }
}

/// What is dialled.
#[derive(Debug, Clone)]
pub(super) enum Addresses {
    /// The name is being resolved.
    Unknown,
    One(IpAddr),
    /// At most 16.
    Many(Arc<[IpAddr]>),
}

impl Addresses {
    pub(super) fn get(&self, index: u8) -> Option<IpAddr> {
        match self {
            Self::Unknown => None,
            Self::One(ip) => (index == 0).then_some(*ip),
            Self::Many(ips) => ips.get(usize::from(index)).copied(),
        }
    }

    pub(super) fn len(&self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::One(_) => 1,
            Self::Many(ips) => u8::try_from(ips.len()).unwrap_or(u8::MAX),
        }
    }
}

/// What a flight saw, before it is a result.
#[derive(Debug, Clone)]
pub(super) struct Observation {
    pub(super) code: ErrorCode,
    pub(super) flags: ResultFlags,
    pub(super) syn_retransmits: u8,
    pub(super) latency_us: Option<NonZeroU32>,
    pub(super) dns_us: u32,
    pub(super) elapsed_us: u32,
    pub(super) evidence: Option<Box<Evidence>>,
}

#[derive(Debug)]
pub(super) struct Flight {
    /// The monitor it was begun for; none once that is gone or has its result.
    pub(super) key: u32,
    pub(super) group: u32,
    pub(super) name: u32,
    pub(super) port: u16,
    /// Whose it is; riders may be another's.
    pub(super) account: u16,
    /// A descriptor is held for a dial that has not gone out.
    pub(super) holds: bool,
    pub(super) talks: bool,
    pub(super) stale: bool,
    /// The next address to dial.
    pub(super) next: u8,
    /// A handshake of it was completed.
    pub(super) full: bool,
    /// The last one that was dialled has failed.
    pub(super) last_failed: bool,
    /// When the next address is tried, whatever the last one does.
    pub(super) next_at: BootTime,
    /// Attempts that have not been reported, as bits.
    pub(super) out: u16,
    /// It has its outcome; what is pending is of no interest.
    pub(super) decided: bool,
    pub(super) dns_us: u32,
    /// When it must have ended, whatever happens.
    pub(super) ends_by: BootTime,
    /// When the first dial went out.
    pub(super) dialled: BootTime,
    pub(super) plan: Arc<Plan>,
    pub(super) addresses: Addresses,
    pub(super) attempts: Vec<Attempt>,
    pub(super) first_bytes: Option<Box<str>>,
    pub(super) dns_detail: Option<Arc<str>>,
    /// It waits for a look at the anchors with this.
    pub(super) held: Option<Box<Observation>>,
    /// Monitors with identical checks.
    pub(super) riders: Vec<u32>,
}

impl Flight {
    /// Notes that an attempt was reported; tells whether it was out.
    pub(super) fn is_back(&mut self, attempt: u8) -> bool {
        let was_out = self.out & 1 << attempt != 0;
        self.out &= !(1 << attempt);
        was_out
    }
}

#[derive(Debug, Default)]
pub(super) struct Flights {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    flight: Option<Flight>,
}

impl Flights {
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn insert(&mut self, flight: Flight) -> Token {
        if let Some(place) = self.free.pop() {
            let slot = &mut self.slots[place as usize];
            slot.flight = Some(flight);
            return Token::new(place, slot.generation);
        }
        let place = u32::try_from(self.slots.len()).expect("flights are bounded by the configuration");
        self.slots.push(Slot { generation: 0, flight: Some(flight) });
        Token::new(place, 0)
    }

    pub(super) fn get(&mut self, token: Token) -> Option<&mut Flight> {
        let slot = self.slots.get_mut(token.place() as usize)?;
        if slot.generation == token.generation() { slot.flight.as_mut() } else { None }
    }

    /// The flight in a place, and its token.
    pub(super) fn at(&mut self, place: u32) -> Option<(Token, &mut Flight)> {
        let slot = self.slots.get_mut(place as usize)?;
        let token = Token::new(place, slot.generation);
        slot.flight.as_mut().map(|flight| (token, flight))
    }

    pub(super) fn remove(&mut self, token: Token) -> Option<Flight> {
        let slot = self.slots.get_mut(token.place() as usize)?;
        if slot.generation != token.generation() {
            return None;
        }
        let flight = slot.flight.take()?;
        slot.generation = (slot.generation + 1) & GENERATIONS;
        self.free.push(token.place());
        Some(flight)
    }

    /// Changes all.
    pub(super) fn each(&mut self, change: impl FnMut(&mut Flight)) {
        self.slots.iter_mut().filter_map(|slot| slot.flight.as_mut()).for_each(change);
    }

    /// Ends all; nothing that was sent out for them is known any more.
    pub(super) fn clear(&mut self, mut each: impl FnMut(Flight)) {
        for (place, slot) in self.slots.iter_mut().enumerate() {
            if let Some(flight) = slot.flight.take() {
                slot.generation = (slot.generation + 1) & GENERATIONS;
                self.free.push(u32::try_from(place).expect("places are 32 bits wide"));
                each(flight);
            }
        }
    }

    /// Flights that should have ended by `now`.
    pub(super) fn overdue(&self, now: BootTime) -> Vec<Token> {
        let overdue = |(place, slot): (usize, &Slot)| {
            slot.flight.as_ref().filter(|flight| flight.ends_by <= now)?;
            Some(Token::new(u32::try_from(place).ok()?, slot.generation))
        };
        self.slots.iter().enumerate().filter_map(overdue).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_carries_place_generation_and_attempt() {
        let token = Token::new(u32::MAX - 1, GENERATIONS);
        for attempt in 0..16 {
            assert_eq!(Token::of_report(token.dial(attempt)), (token, attempt));
        }
        assert_eq!((token.place(), token.generation()), (u32::MAX - 1, GENERATIONS));
    }
}
