//! From the votes of the locations to what is said of the monitor, and since when.
//!
//! Only fresh votes count. A majority of them must agree that it is down (1 of 1, 2 of 2, 2 of 3); an explicit number
//! is capped by how many there are. Failing and slow locations together make it degraded: down is at least slow.
//! A failure seen by fewer is regional and leaves the monitor up. Nobody fresh: blocked if somebody was told not to
//! look, else unknown.

use super::confirm::{Place, Sight, Vote};
use super::moment::{Moment, millis};
use super::{Policy, Status};
use crate::code::ErrorCode;
use crate::id::LocationId;

/// What the locations say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) status: Status,
    pub(super) code: ErrorCode,
    /// Unknown only because every location is known to be blind: told once for the location, not per monitor.
    pub(super) blind: bool,
}

#[derive(Default)]
struct Tally {
    up: usize,
    slow: usize,
    down: usize,
    blocked: usize,
    undecided: usize,
}

impl Tally {
    fn of(places: &[Place]) -> Self {
        let mut tally = Self::default();
        for vote in places.iter().filter_map(Place::fresh_vote) {
            *match vote {
                Vote::None => &mut tally.undecided,
                Vote::Up => &mut tally.up,
                Vote::Slow => &mut tally.slow,
                Vote::Down => &mut tally.down,
                Vote::Blocked => &mut tally.blocked,
            } += 1;
        }
        tally
    }

    fn need(&self, policy: &Policy) -> usize {
        let fresh = (self.up + self.slow + self.down).max(1);
        policy.quorum.map_or(fresh / 2 + 1, |asked| usize::from(asked).clamp(1, fresh))
    }
}

/// What is said of the monitor now; `None`: not decided, it stays what it was. `code` is what was said last: a cause
/// is kept as long as any location still gives it, so that two locations with two causes do not chatter.
pub(super) fn assess(places: &[Place], policy: &Policy, code: ErrorCode) -> Option<Verdict> {
    let tally = Tally::of(places);
    let need = tally.need(policy);
    let seen = |status, code| Some(Verdict { status, code, blind: false });
    if tally.down >= need {
        seen(Status::Down, cause(places, |vote| vote == Vote::Down, code))
    } else if tally.down + tally.slow >= need {
        seen(Status::Degraded, cause(places, is_not_well, code))
    } else if tally.up + tally.slow + tally.down > 0 {
        seen(Status::Up, ErrorCode::Ok)
    } else if tally.blocked > 0 {
        seen(Status::Blocked, cause(places, |vote| vote == Vote::Blocked, code))
    } else if tally.undecided > 0 {
        None
    } else {
        let blind = !places.is_empty() && places.iter().all(|place| place.sight != Sight::Clear);
        Some(Verdict { status: Status::Unknown, code: blind_cause(places), blind })
    }
}

/// When a worsening began that the location at `place` has just confirmed: the first failure since which no location
/// that agrees has seen a success. Those that agree began within one interval of each other, because each looks once
/// an interval; an older beginning is a regional failure that was there before.
pub(super) fn beginning(places: &[Place], policy: &Policy, status: Status, at: Moment) -> Moment {
    let mut begun: Vec<Moment> = places.iter().filter_map(|place| begun_at(place, status)).collect();
    begun.sort_unstable();
    let need = Tally::of(places).need(policy);
    let Some(reached) = begun.get(need.saturating_sub(1)).copied().filter(|moment| moment.is_set()) else {
        return at;
    };
    let horizon = reached.millis().saturating_sub(millis(policy.check_interval));
    begun.into_iter().find(|moment| moment.is_set() && moment.millis() >= horizon).unwrap_or(at)
}

fn begun_at(place: &Place, status: Status) -> Option<Moment> {
    match (place.fresh_vote()?, status) {
        (Vote::Down, _) => Some(place.failing_from),
        (Vote::Slow, Status::Degraded) => Some(place.slow_from),
        (Vote::Slow | Vote::None | Vote::Up | Vote::Blocked, _) => None,
    }
}

const fn is_not_well(vote: Vote) -> bool {
    matches!(vote, Vote::Down | Vote::Slow)
}

fn cause(places: &[Place], agrees: impl Fn(Vote) -> bool, said: ErrorCode) -> ErrorCode {
    let mut first = None;
    for place in places.iter().filter(|place| place.fresh_vote().is_some_and(&agrees)) {
        if place.code == said {
            return said;
        }
        first = first.or(Some(place.code));
    }
    first.unwrap_or(said)
}

/// Why nobody sees: what the first location said that said anything. Silence from `local` is our own standstill, from
/// any other place an agent that is away.
fn blind_cause(places: &[Place]) -> ErrorCode {
    let said = places.iter().map(|place| place.blind_code).find(|code| *code != ErrorCode::Ok);
    said.unwrap_or_else(|| match places.first().map(|place| place.location) {
        Some(LocationId::LOCAL) | None => ErrorCode::SelfStall,
        Some(_) => ErrorCode::AgentOffline,
    })
}
