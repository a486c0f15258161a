//! Uptime: four figures over any window, from the intervals in which a monitor was not up, and nothing else.
//!
//! | figure | of what |
//! |---|---|
//! | raw | checks that the target answered (slow ones too) ÷ those and failed checks; unconfirmed failures show here |
//! | confirmed | time not *down* ÷ lifetime |
//! | without maintenance | the same with maintenance taken from both |
//! | without unknown | the same with unknown, blocked and blind time also taken from both: this is *the* uptime |
//!
//! Lifetime is the window without what came before the first result, without pauses and without *pending*. Degraded
//! counts as up. Milliseconds are integers and shares are rounded down, so that 100 % is said only where nothing was
//! down. Time in maintenance in which the target was down counts as down in *confirmed*: the code of a maintenance
//! interval says so.

use crate::code::{ErrorCode, Verdict};
use crate::judge::Status;
use crate::time::Timestamp;

mod spans;
#[cfg(test)]
mod tests;

use spans::Spans;

/// From (inclusive) to (exclusive), in whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Inclusive.
    pub from: Timestamp,
    /// Exclusive.
    pub to: Timestamp,
}

/// A time in which a monitor was not up, as the judge told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotUp {
    /// Inclusive.
    pub from: Timestamp,
    /// Exclusive; `None`: still.
    pub to: Option<Timestamp>,
    /// What it was.
    pub status: Status,
    /// Why; in maintenance, what was underneath.
    pub code: ErrorCode,
}

/// Checks within the window, by what they said of the target. Those that could not see are left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checks {
    /// It answered, slowly or not.
    pub answered: u64,
    /// It failed.
    pub failed: u64,
}

/// What is known of a monitor in a window. Lists may be in any order, overlap, and reach beyond the window.
#[derive(Debug, Clone, Copy)]
pub struct History<'a> {
    /// The window asked about.
    pub window: Span,
    /// What lies after this has not happened yet.
    pub now: Timestamp,
    /// The slot of the first result ever; before it the monitor was pending.
    pub born: Timestamp,
    /// When it was not up.
    pub not_up: &'a [NotUp],
    /// When none of its locations could see (see [`blind_everywhere`]).
    pub blind: &'a [Span],
    /// Maintenance from elsewhere (a calendar), beside what the intervals say.
    pub maintenance: &'a [Span],
    /// Pauses from elsewhere, beside what the intervals say.
    pub pauses: &'a [Span],
    /// Its checks in the window.
    pub checks: Checks,
}

/// A share of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Parts per million that were not down, rounded down.
    pub ppm: u32,
    /// Down, within `of_ms`.
    pub down_ms: u64,
    /// Of how much time.
    pub of_ms: u64,
}

/// A share of checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckShare {
    /// Parts per million that were answered, rounded down.
    pub ppm: u32,
    /// That failed.
    pub failed: u64,
    /// Of how many.
    pub of: u64,
}

/// The four figures; `None` where there is nothing to take a share of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uptime {
    /// By single checks.
    pub raw: Option<CheckShare>,
    /// By confirmed outages.
    pub confirmed: Option<Share>,
    /// The same with maintenance left out.
    pub without_maintenance: Option<Share>,
    /// The same with what could not be seen also left out: *the* uptime.
    pub without_unknown: Option<Share>,
}

/// The figures of one monitor.
#[must_use]
pub fn uptime(history: &History<'_>) -> Uptime {
    let end = history.window.to.min(history.now);
    let begin = history.window.from.max(history.born);
    let when = |wanted: &dyn Fn(&NotUp) -> bool| {
        let chosen = history.not_up.iter().filter(|row| wanted(row));
        Spans::of(chosen.map(|row| Span { from: row.from, to: row.to.unwrap_or(end) }))
    };
    let idle = when(&|row| matches!(row.status, Status::Paused | Status::Pending));
    let idle = idle.or(&Spans::of(history.pauses.iter().copied()));
    let life = Spans::of([Span { from: begin, to: end }]).without(&idle);

    let down = when(&|row| is_down(row));
    let in_maintenance = when(&|row| row.status == Status::Maintenance);
    let in_maintenance = in_maintenance.or(&Spans::of(history.maintenance.iter().copied()));
    let unseen = when(&|row| is_unseen(row)).or(&Spans::of(history.blind.iter().copied()));

    let serving = life.without(&in_maintenance);
    let seen = serving.without(&unseen);
    Uptime {
        raw: check_share(history.checks),
        confirmed: share(&life, &down),
        without_maintenance: share(&serving, &down),
        without_unknown: share(&seen, &down),
    }
}

/// When no location could see: a monitor is blind only while all of its locations are. One list per location.
#[must_use]
pub fn blind_everywhere(per_location: &[&[Span]]) -> Vec<Span> {
    let mut all = per_location.iter().map(|spans| Spans::of(spans.iter().copied()));
    let first = all.next().unwrap_or_default();
    all.fold(first, |common, spans| common.and(&spans)).into_spans()
}

fn is_down(row: &NotUp) -> bool {
    match row.status {
        Status::Down => true,
        Status::Maintenance => row.code.verdict() == Verdict::Down,
        Status::Pending
        | Status::Up
        | Status::Degraded
        | Status::Unknown
        | Status::Blocked
        | Status::Paused => false,
    }
}

fn is_unseen(row: &NotUp) -> bool {
    match row.status {
        Status::Unknown | Status::Blocked => true,
        Status::Maintenance => matches!(row.code.verdict(), Verdict::Unknown | Verdict::Blocked),
        Status::Pending | Status::Up | Status::Degraded | Status::Down | Status::Paused => false,
    }
}

fn share(life: &Spans, down: &Spans) -> Option<Share> {
    let of_ms = life.total_ms();
    let down_ms = life.and(down).total_ms();
    ppm(of_ms - down_ms, of_ms).map(|ppm| Share { ppm, down_ms, of_ms })
}

fn check_share(checks: Checks) -> Option<CheckShare> {
    let of = checks.answered.saturating_add(checks.failed);
    ppm(checks.answered, of).map(|ppm| CheckShare { ppm, failed: checks.failed, of })
}

fn ppm(part: u64, of: u64) -> Option<u32> {
    let ppm = (u128::from(part) * 1_000_000).checked_div(u128::from(of))?;
    u32::try_from(ppm).ok()
}
