//! When monitors were not up, and why. Time in which none of a monitor's locations could see is recorded once for the
//! location; here it is shown as the monitor's.

use quaywatch_core::access::{Level, Policy, Resource};
use quaywatch_core::judge::Status;
use quaywatch_core::{ErrorCode, IncidentId, MonitorId, Timestamp, reason};
use quaywatch_store::records::{Interval, IntervalFilter, Window};

use super::page::{Page, Paging};
use super::past::{self, Unseen};
use super::{OperationError, Operations};
use crate::caller::Caller;

/// Which intervals are wanted, those that began last first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntervalQuery {
    /// Only of this monitor; without it blind time is left out, since it is the same for all.
    pub monitor: Option<MonitorId>,
    /// Only those that overlap this.
    pub window: Window,
    /// Only these; empty: all.
    pub statuses: Vec<Status>,
    /// Which page.
    pub paging: Paging,
}

/// A time in which a monitor was not up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntervalView {
    /// Whose.
    pub monitor: MonitorId,
    /// Inclusive; may lie before the window.
    pub from: Timestamp,
    /// Exclusive; `None`: still.
    pub to: Option<Timestamp>,
    /// What it was.
    pub status: Status,
    /// Why; in maintenance, what was underneath.
    pub code: ErrorCode,
    /// The sentence for it.
    pub sentence: &'static str,
    /// The incident it belongs to.
    pub incident: Option<IncidentId>,
    /// It was we who could not see: no location of the monitor could.
    pub blind: bool,
}

impl Operations {
    /// When monitors were not up, those that began last first.
    ///
    /// # Errors
    /// Where the caller may not, there is no such monitor, or window or cursor are none.
    pub async fn list_intervals(
        &self,
        caller: &Caller,
        query: &IntervalQuery,
    ) -> Result<Page<IntervalView>, OperationError> {
        caller.require(Policy::new(Resource::Results, Level::Look))?;
        let now = self.clock.now();
        let window = past::window(query.window, now)?;
        let after = query.paging.numbers::<2>()?;
        let limit = query.paging.size();
        let Some(monitor) = query.monitor else {
            return self.intervals_of_all(caller, query, window).await;
        };
        let watched = self.watched(caller, monitor).await?;
        let rows = watched.store.intervals(monitor, window).await?;
        let blind = watched.blind(window).await?;
        let mut all = merge(monitor, &rows, &blind);
        all.retain(|row| query.statuses.is_empty() || query.statuses.contains(&row.status));
        all.retain(|row| after.is_none_or(|after| [row.from.0, row.monitor.0] < after));
        all.reverse();
        Ok(Page::cut(all, limit, cursor))
    }

    async fn intervals_of_all(
        &self,
        caller: &Caller,
        query: &IntervalQuery,
        window: Window,
    ) -> Result<Page<IntervalView>, OperationError> {
        let limit = query.paging.size();
        let filter = IntervalFilter {
            monitor: None,
            window: Some(window),
            statuses: query.statuses.clone(),
            after: query.paging.numbers::<2>()?.map(|[from, id]| (Timestamp(from), MonitorId(id))),
            limit: limit + 1,
        };
        let rows = self.account(caller).account_intervals(filter).await?;
        Ok(Page::cut(rows.iter().map(IntervalView::of).collect(), limit, cursor))
    }
}

/// Where the next page begins: behind this row.
fn cursor(row: &IntervalView) -> String {
    format!("{}.{}", row.from.0, row.monitor.0)
}

/// What was recorded of the monitor, with what was recorded of its locations in the gaps between: a time in which it was
/// known to be down stays that, although nobody could see it any more.
fn merge(monitor: MonitorId, rows: &[Interval], blind: &[Unseen]) -> Vec<IntervalView> {
    let mut all: Vec<IntervalView> = rows.iter().map(IntervalView::of).collect();
    for unseen in blind {
        for (from, to) in gaps(unseen, rows) {
            all.push(IntervalView {
                monitor,
                from,
                to,
                status: Status::Unknown,
                code: unseen.code,
                sentence: reason::of(unseen.code).sentence,
                incident: None,
                blind: true,
            });
        }
    }
    all.sort_by_key(|row| row.from);
    all
}

/// The parts of a blind time that no row covers. `rows` are in order and do not overlap.
fn gaps(unseen: &Unseen, rows: &[Interval]) -> Vec<(Timestamp, Option<Timestamp>)> {
    let ends_before = |end: Option<Timestamp>, at: Timestamp| end.is_some_and(|end| end <= at);
    let mut parts = Vec::new();
    let mut from = unseen.from;
    for row in rows {
        if ends_before(row.to, from) || ends_before(unseen.to, row.from) {
            continue;
        }
        if from < row.from {
            parts.push((from, Some(row.from)));
        }
        match row.to {
            Some(to) => from = to,
            None => return parts,
        }
    }
    if !ends_before(unseen.to, from) {
        parts.push((from, unseen.to));
    }
    parts
}

/// Where nobody looked, no outcome says why.
fn sentence(status: Status, code: ErrorCode) -> &'static str {
    match (status, code) {
        (Status::Paused, ErrorCode::Ok) => "Paused, or switched off: nobody looked",
        (Status::Pending, ErrorCode::Ok) => "Not looked at yet: the first result was awaited",
        _ => reason::of(code).sentence,
    }
}

impl IntervalView {
    fn of(row: &Interval) -> Self {
        Self {
            monitor: row.monitor,
            from: row.from,
            to: row.to,
            status: row.status,
            code: row.code,
            sentence: sentence(row.status, row.code),
            incident: row.incident,
            blind: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(from: i64, to: Option<i64>) -> Interval {
        Interval {
            monitor: MonitorId(1),
            from: Timestamp(from),
            to: to.map(Timestamp),
            status: Status::Down,
            code: ErrorCode::TcpRefused,
            incident: None,
        }
    }

    #[test]
    fn time_in_which_nobody_looked_says_so() {
        for status in [Status::Paused, Status::Pending] {
            let row = Interval { status, code: ErrorCode::Ok, ..row(1, None) };
            let sentence = IntervalView::of(&row).sentence;
            assert!(
                sentence.contains("looked") && sentence != reason::of(ErrorCode::Ok).sentence,
                "{sentence}"
            );
        }
        assert_eq!(IntervalView::of(&row(1, None)).sentence, reason::of(ErrorCode::TcpRefused).sentence);
    }

    fn shown(rows: &[Interval], blind: &[(i64, Option<i64>)]) -> Vec<(i64, Option<i64>, bool)> {
        let blind: Vec<Unseen> = blind
            .iter()
            .map(|(from, to)| Unseen {
                from: Timestamp(*from),
                to: to.map(Timestamp),
                code: ErrorCode::SelfNetwork,
            })
            .collect();
        let all = merge(MonitorId(1), rows, &blind);
        all.iter().map(|row| (row.from.0, row.to.map(|to| to.0), row.blind)).collect()
    }

    #[test]
    fn blind_time_fills_the_gaps_between_what_was_seen() {
        let rows = [row(10, Some(20)), row(30, Some(40))];
        assert_eq!(
            shown(&rows, &[(15, Some(35)), (50, None)]),
            [(10, Some(20), false), (20, Some(30), true), (30, Some(40), false), (50, None, true)]
        );
        assert_eq!(shown(&rows, &[(5, Some(45))]).len(), 5);
        assert_eq!(shown(&[row(10, None)], &[(5, None)]), [(5, Some(10), true), (10, None, false)]);
        assert_eq!(shown(&rows, &[(12, Some(18))]).len(), 2, "nothing new");
        assert_eq!(shown(&[], &[(1, Some(2))]), [(1, Some(2), true)]);
    }
}
