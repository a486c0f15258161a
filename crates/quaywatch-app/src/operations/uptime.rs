//! The four figures of uptime over a window. Time is reckoned from intervals alone; only the raw figure counts checks,
//! from summaries of whole days and hours and, at the edges, from single results.

use std::collections::BTreeSet;
use std::time::Duration;

use quaywatch_core::access::{Level, Policy, Resource};
use quaywatch_core::judge::Status;
use quaywatch_core::uptime::{Checks, History, NotUp, Span, Uptime, uptime};
use quaywatch_core::{MonitorId, Timestamp, Verdict};
use quaywatch_store::StoreError;
use quaywatch_store::records::{Interval, SummaryRow, Window};

use super::past::{self, Unseen, Watched};
use super::refuse::invalid;
use super::{OperationError, Operations};
use crate::caller::Caller;

/// Windows in one question.
const MOST_WINDOWS: usize = 50;
const HOUR_US: i64 = 3_600_000_000;
const DAY_US: i64 = 24 * HOUR_US;
const DAY: Duration = Duration::from_secs(86_400);

/// Figures of one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UptimeView {
    /// As asked, cut off at now.
    pub window: Window,
    /// When the monitor was first looked at; before it there is no lifetime. `None`: not before the window's end.
    pub born: Option<Timestamp>,
    /// The figures.
    pub uptime: Uptime,
    /// How often it was down within the window. What lies within one incident, with moments in which nobody could see, is
    /// one outage.
    pub outages: u64,
}

impl Operations {
    /// The figures of one monitor, one answer for each window.
    ///
    /// # Errors
    /// Where the caller may not, there is no such monitor, a window ends before it begins, or there are too many.
    pub async fn read_uptime(
        &self,
        caller: &Caller,
        monitor: MonitorId,
        windows: &[Window],
    ) -> Result<Vec<UptimeView>, OperationError> {
        caller.require(Policy::new(Resource::Results, Level::Look))?;
        if windows.is_empty() || windows.len() > MOST_WINDOWS {
            let message = format!("between one and {MOST_WINDOWS} windows can be asked about at once");
            return Err(invalid("windows", "out_of_range", message, "ask for fewer at a time"));
        }
        let watched = self.watched(caller, monitor).await?;
        let windows: Vec<Window> =
            windows.iter().map(|asked| past::window(*asked, watched.now)).collect::<Result<_, _>>()?;
        let hull = Window {
            from: windows.iter().map(|w| w.from).min().expect("there is one at least"),
            to: windows.iter().map(|w| w.to).max().expect("there is one at least"),
        };
        let intervals = watched.store.intervals(monitor, hull).await?;
        let blind = watched.blind(hull).await?;
        let born = watched.born(hull.to).await?;
        let mut views = Vec::with_capacity(windows.len());
        for window in windows {
            views.push(one(&watched, window, born, &intervals, &blind).await?);
        }
        Ok(views)
    }
}

async fn one(
    watched: &Watched,
    window: Window,
    born: Option<Timestamp>,
    intervals: &[Interval],
    blind: &[Unseen],
) -> Result<UptimeView, StoreError> {
    let rows: Vec<NotUp> = intervals
        .iter()
        .map(|row| NotUp { from: row.from, to: row.to, status: row.status, code: row.code })
        .collect();
    let blind: Vec<Span> =
        blind.iter().map(|row| Span { from: row.from, to: row.to.unwrap_or(watched.now) }).collect();
    let born_in_time = born.filter(|born| *born < window.to);
    let uptime = uptime(&History {
        window: Span { from: window.from, to: window.to },
        now: watched.now,
        born: born_in_time.unwrap_or(window.to),
        not_up: &rows,
        blind: &blind,
        maintenance: &[],
        pauses: &[],
        checks: checks(watched, window).await?,
    });
    Ok(UptimeView { window, born: born_in_time, uptime, outages: outages(intervals, window) })
}

fn outages(intervals: &[Interval], window: Window) -> u64 {
    let overlaps = |row: &&Interval| row.from < window.to && row.to.is_none_or(|to| to > window.from);
    let mut incidents = BTreeSet::new();
    let down = intervals.iter().filter(overlaps).filter(|row| row.status == Status::Down);
    down.filter(|row| row.incident.is_none_or(|incident| incidents.insert(incident))).count() as u64
}

/// How the checks of a window ended. Whole days are read as days where they are packed, whole hours as hours, and what
/// is left at the edges as single results; hours of which those are gone count where they begin.
async fn checks(watched: &Watched, window: Window) -> Result<Checks, StoreError> {
    let id = watched.record.id;
    let mut sum = Tally::default();
    let hours = Window {
        from: Timestamp(window.from.0.div_euclid(HOUR_US) * HOUR_US),
        to: Timestamp(window.to.0.div_euclid(HOUR_US) * HOUR_US),
    };
    let first_whole =
        if hours.from < window.from { hours.from + Duration::from_secs(3_600) } else { hours.from };
    // The edges. Both may lie in the same hour.
    if first_whole > hours.to {
        sum.add_raw(watched, window).await?;
        return Ok(sum.0);
    }
    sum.add_raw(watched, Window { from: window.from, to: first_whole }).await?;
    sum.add_raw(watched, Window { from: hours.to, to: window.to }).await?;
    let mut whole = Window { from: first_whole, to: hours.to };
    let first_day = Timestamp((whole.from.0 + DAY_US - 1).div_euclid(DAY_US) * DAY_US);
    let last_day = Timestamp(whole.to.0.div_euclid(DAY_US) * DAY_US);
    if first_day < last_day {
        let days = watched.store.daily_summaries(id, Window { from: first_day, to: last_day }).await?;
        if let Some(packed) = days.last().map(|day| day.hour + DAY) {
            sum.add(&days);
            sum.add_hours(watched, Window { from: whole.from, to: first_day }).await?;
            whole.from = packed;
        }
    }
    sum.add_hours(watched, whole).await?;
    Ok(sum.0)
}

#[derive(Default)]
struct Tally(Checks);

impl Tally {
    fn add(&mut self, rows: &[SummaryRow]) {
        for row in rows {
            self.0.answered += u64::from(row.summary.up) + u64::from(row.summary.degraded);
            self.0.failed += u64::from(row.summary.down);
        }
    }

    async fn add_hours(&mut self, watched: &Watched, window: Window) -> Result<(), StoreError> {
        if window.from < window.to {
            self.add(&watched.store.summaries(watched.record.id, window).await?);
        }
        Ok(())
    }

    async fn add_raw(&mut self, watched: &Watched, window: Window) -> Result<(), StoreError> {
        if window.from >= window.to {
            return Ok(());
        }
        for row in watched.store.results(watched.record.id, window).await? {
            match row.code.verdict() {
                Verdict::Up | Verdict::Degraded => self.0.answered += 1,
                Verdict::Down => self.0.failed += 1,
                Verdict::Unknown | Verdict::Blocked => {}
            }
        }
        Ok(())
    }
}
