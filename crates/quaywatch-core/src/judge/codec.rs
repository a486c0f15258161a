//! A judge as bytes for the store: a version byte, then numbers of as many bytes as they need, then the locations.
//!
//! Small, because a million of them are written when a million monitors are added; strict, because what is read back
//! decides about alerts: unknown numbers, times beyond any calendar, missing and left-over bytes are errors, and no
//! input makes it panic.

use super::Status;
use super::confirm::{Place, Sight, Vote};
use super::flap::{Flaps, REMEMBERED};
use super::incident::Incident;
use super::machine::{Base, Judge};
use super::moment::Moment;
use super::places::Places;
use super::timeline::Open;
use crate::code::ErrorCode;
use crate::id::LocationId;

/// The layout below. A later one reads this one too.
const FORMAT: u8 = 1;

/// More locations than can have a number (11 bits).
const MAX_PLACES: u64 = 2048;

/// Bytes that are no judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stored judge cannot be read: {0}")]
pub struct DecodeError(&'static str);

impl Judge {
    /// The whole state as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer(Vec::with_capacity(64));
        w.byte(FORMAT);
        w.bits(&[
            self.paused,
            self.maintenance,
            self.ever_up,
            self.reborn,
            self.dirty,
            self.interval.is_some(),
        ]);
        w.bits(&[
            self.base.blind,
            self.base.dark,
            self.incident.open,
            self.incident.critical,
            self.flaps.flapping,
        ]);
        for status in [self.base.status, self.shown, self.last_seen, self.incident.status] {
            w.byte(status as u8);
        }
        w.byte(self.base.code.number());
        w.byte(self.incident.code.number());
        if let Some(open) = self.interval {
            w.byte(open.status as u8);
            w.byte(open.code.number());
        }
        for moment in [self.base_from, self.since, self.edge] {
            w.moment(moment);
        }
        w.number(u64::from(self.incident.ordinal));
        w.number(u64::from(self.bad_checks));
        w.byte(self.flaps.len);
        if self.flaps.len > 0 {
            w.moment(self.flaps.last);
        }
        for gap in self.flaps.kept_gaps() {
            w.number(u64::from(*gap));
        }
        w.number(self.places.all().len() as u64);
        for place in self.places.all() {
            w.place(place);
        }
        w.0
    }

    /// Reads what [`Judge::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader(bytes);
        if r.byte()? != FORMAT {
            return Err(DecodeError("its version is not known here"));
        }
        let [paused, maintenance, ever_up, reborn, dirty, has_interval] = r.bits()?;
        let [blind, dark, open, critical, flapping] = r.bits()?;
        let (base_status, shown) = (r.status()?, r.status()?);
        let (last_seen, incident_status) = (r.status()?, r.status()?);
        let (base_code, incident_code) = (r.code()?, r.code()?);
        let interval = if has_interval { Some(Open { status: r.status()?, code: r.code()? }) } else { None };
        let (base_from, since, edge) = (r.moment()?, r.moment()?, r.moment()?);
        let (ordinal, bad_checks) = (r.small()?, r.small()?);
        let flaps = r.flaps(flapping)?;
        let places = r.places()?;
        if !r.0.is_empty() {
            return Err(DecodeError("bytes are left over"));
        }
        let timed = base_from.is_set() && since.is_set() && (interval.is_none() || edge.is_set());
        if !timed
            || (flapping && !flaps.last.is_set())
            || places.all().iter().any(|place| !place.seen_at.is_set())
        {
            return Err(DecodeError("a time is missing"));
        }
        Ok(Self {
            places,
            base_from,
            since,
            edge,
            flaps,
            incident: Incident { ordinal, open, critical, status: incident_status, code: incident_code },
            bad_checks,
            base: Base { status: base_status, code: base_code, blind, dark },
            shown,
            last_seen,
            interval,
            paused,
            maintenance,
            ever_up,
            reborn,
            dirty,
        })
    }
}

impl Flaps {
    fn kept_gaps(&self) -> &[u32] {
        &self.gaps[..usize::from(self.len).saturating_sub(1).min(REMEMBERED - 1)]
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    fn bits(&mut self, bits: &[bool]) {
        self.byte(bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit)));
    }

    /// Seven bits a byte, the lowest first, the highest bit set where more follow.
    fn number(&mut self, mut number: u64) {
        while number > 0x7f {
            self.byte(number as u8 | 0x80);
            number >>= 7;
        }
        self.byte(number as u8);
    }

    /// Zero for never, else one more than twice the milliseconds, or twice their complement below the epoch.
    fn moment(&mut self, moment: Moment) {
        let ms = moment.millis();
        let zigzag = (ms.wrapping_shl(1) ^ (ms >> 63)) as u64;
        self.number(if moment.is_set() { zigzag + 1 } else { 0 });
    }

    fn place(&mut self, place: &Place) {
        self.number(u64::from(place.location.0));
        self.byte(place.vote as u8);
        self.byte(place.sight as u8);
        self.bits(&[place.stale]);
        for code in [place.code, place.last_bad, place.blind_code] {
            self.byte(code.number());
        }
        for count in [place.fails, place.oks, place.slows, place.blocks, place.run] {
            self.number(u64::from(count));
        }
        for moment in [place.failing_from, place.slow_from, place.last_slot, place.seen_at] {
            self.moment(moment);
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8, DecodeError> {
        let (first, rest) = self.0.split_first().ok_or(DecodeError("it ends too early"))?;
        self.0 = rest;
        Ok(*first)
    }

    fn bits<const N: usize>(&mut self) -> Result<[bool; N], DecodeError> {
        let byte = self.byte()?;
        if u32::from(byte) >> N != 0 {
            return Err(DecodeError("it has marks that are not known here"));
        }
        Ok(std::array::from_fn(|bit| byte >> bit & 1 == 1))
    }

    fn number(&mut self) -> Result<u64, DecodeError> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if part << shift >> shift != part || (byte == 0 && shift > 0) {
                return Err(DecodeError("a number is not written as it should be"));
            }
            number |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(DecodeError("a number is too long"))
    }

    fn small<T: TryFrom<u64>>(&mut self) -> Result<T, DecodeError> {
        T::try_from(self.number()?).map_err(|_| DecodeError("a number is too large"))
    }

    fn moment(&mut self) -> Result<Moment, DecodeError> {
        let Some(zigzag) = self.number()?.checked_sub(1) else { return Ok(Moment::NEVER) };
        let ms = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
        Moment::from_millis(ms).ok_or(DecodeError("a time is beyond any calendar"))
    }

    fn status(&mut self) -> Result<Status, DecodeError> {
        Status::from_number(self.byte()?).ok_or(DecodeError("a status is not known here"))
    }

    fn code(&mut self) -> Result<ErrorCode, DecodeError> {
        ErrorCode::from_number(self.byte()?).ok_or(DecodeError("a code is not known here"))
    }

    fn flaps(&mut self, flapping: bool) -> Result<Flaps, DecodeError> {
        let mut flaps = Flaps { len: self.byte()?, flapping, ..Flaps::NONE };
        if usize::from(flaps.len) > REMEMBERED {
            return Err(DecodeError("it remembers too many changes"));
        }
        if flaps.len > 0 {
            flaps.last = self.moment()?;
        }
        let kept = flaps.kept_gaps().len();
        for gap in &mut flaps.gaps[..kept] {
            *gap = self.small()?;
        }
        Ok(flaps)
    }

    fn places(&mut self) -> Result<Places, DecodeError> {
        let count = self.number()?;
        if count > MAX_PLACES {
            return Err(DecodeError("it has too many locations"));
        }
        (0..count).map(|_| self.place()).collect::<Result<Vec<_>, _>>().map(Places::from_vec)
    }

    fn place(&mut self) -> Result<Place, DecodeError> {
        let location = LocationId(self.small()?);
        let vote = vote(self.byte()?)?;
        let sight = sight(self.byte()?)?;
        let [stale] = self.bits()?;
        let (code, last_bad, blind_code) = (self.code()?, self.code()?, self.code()?);
        let (fails, oks, slows) = (self.small()?, self.small()?, self.small()?);
        let (blocks, run) = (self.small()?, self.small()?);
        let (failing_from, slow_from) = (self.moment()?, self.moment()?);
        let (last_slot, seen_at) = (self.moment()?, self.moment()?);
        Ok(Place {
            failing_from,
            slow_from,
            last_slot,
            seen_at,
            location,
            fails,
            oks,
            slows,
            blocks,
            run,
            vote,
            code,
            last_bad,
            blind_code,
            stale,
            sight,
        })
    }
}

fn vote(number: u8) -> Result<Vote, DecodeError> {
    match number {
        0 => Ok(Vote::None),
        1 => Ok(Vote::Up),
        2 => Ok(Vote::Slow),
        3 => Ok(Vote::Down),
        4 => Ok(Vote::Blocked),
        _ => Err(DecodeError("a vote is not known here")),
    }
}

fn sight(number: u8) -> Result<Sight, DecodeError> {
    match number {
        0 => Ok(Sight::Clear),
        1 => Ok(Sight::Lost),
        2 => Ok(Sight::Returning),
        _ => Err(DecodeError("a location's sight is not known here")),
    }
}
