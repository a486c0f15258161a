//! What was said of monitors at a moment in the past: read from the intervals, exact to the millisecond.

use std::time::Duration;

use quaywatch_core::access::{Level, Policy, Resource};
use quaywatch_core::doc::{Path, Problems, Span};
use quaywatch_core::judge::Status;
use quaywatch_core::{ErrorCode, IncidentId, MonitorId, MonitorSpec, Timestamp};
use quaywatch_store::StoreError;
use quaywatch_store::records::{Blind, Interval, Window};

use super::monitors::{MonitorQuery, MonitorSort, MonitorView};
use super::page::Page;
use super::past::{self, Places, Watched};
use super::{OperationError, Operations};
use crate::caller::Caller;

/// How soon after a monitor its first result is expected at the latest, where its interval is shorter.
const SOON: Duration = Duration::from_secs(3_600);

/// What was said of a monitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateAt {
    /// Of which.
    pub monitor: MonitorId,
    /// At which moment.
    pub at: Timestamp,
    /// What it was; `None`: it had not been added yet.
    pub status: Option<Status>,
    /// Since when; `None`: since before records, or not known.
    pub since: Option<Timestamp>,
    /// Why.
    pub code: ErrorCode,
    /// The incident that was open.
    pub incident: Option<IncidentId>,
    /// No location of it could see then.
    pub blind: bool,
}

impl Operations {
    /// One monitor at a moment.
    ///
    /// # Errors
    /// Where the caller may not, there is no such monitor, or the moment has not come yet.
    pub async fn read_state_at(
        &self,
        caller: &Caller,
        monitor: MonitorId,
        at: Timestamp,
    ) -> Result<StateAt, OperationError> {
        caller.require(Policy::new(Resource::Monitors, Level::Look))?;
        let watched = self.watched(caller, monitor).await?;
        past::moment(at, watched.now)?;
        let moment = moment(at);
        let rows = watched.store.intervals(monitor, moment).await?;
        let blind = watched.store.blind(moment).await?;
        let asked = Asked { id: monitor, created_at: watched.record.created_at, spec: &watched.spec, at };
        if let Some(state) = not_up(asked, &watched.places, &rows, &blind) {
            return Ok(state);
        }
        let state = StateAt::new(monitor, at);
        match watched.born(at + Duration::from_micros(1)).await? {
            // The slot is whole milliseconds, the question need not be.
            Some(born) => {
                let since = last_end(&watched, at).await?.unwrap_or(born).max(born);
                Ok(StateAt { status: Some(Status::Up), since: Some(since), ..state })
            }
            None => {
                Ok(StateAt { status: Some(Status::Pending), since: Some(watched.record.created_at), ..state })
            }
        }
    }

    /// A page of monitors as they are now, each with what was said of it at a moment. Those that were made later are
    /// left out, so that a page may be short and still have a next one. Since when those that were up were so is not
    /// looked up.
    ///
    /// # Errors
    /// Where the caller may not, the moment has not come yet, a cursor is none, or the query is about what is said now.
    pub async fn list_monitors_at(
        &self,
        caller: &Caller,
        query: &MonitorQuery,
        at: Timestamp,
    ) -> Result<Page<(MonitorView, StateAt)>, OperationError> {
        caller.require(Policy::new(Resource::Monitors, Level::Look))?;
        past::moment(at, self.clock.now())?;
        may_be_asked_of_then(query)?;
        let Page { mut items, next } = self.list_monitors(caller, query).await?.page;
        items.retain(|monitor| monitor.created_at <= at);
        let states = self.states_at(caller, &items, at).await?;
        Ok(Page { items: items.into_iter().zip(states).collect(), next })
    }

    async fn states_at(
        &self,
        caller: &Caller,
        monitors: &[MonitorView],
        at: Timestamp,
    ) -> Result<Vec<StateAt>, OperationError> {
        let store = self.store.account(caller.account);
        let places = self.places().await?;
        let blind = store.blind(moment(at)).await?;
        let mut states = Vec::with_capacity(monitors.len());
        for monitor in monitors {
            let MonitorView { id, created_at, spec, .. } = monitor;
            let rows = store.intervals(*id, moment(at)).await?;
            let asked = Asked { id: *id, created_at: *created_at, spec, at };
            let state = match not_up(asked, &places, &rows, &blind) {
                Some(state) => state,
                // The first result comes soon after the monitor; only in that time it must be looked for.
                None if at < *created_at + 2 * spec.check_interval.max(SOON) => {
                    let first = Window { from: *created_at - SOON, to: at + Duration::from_micros(1) };
                    let seen = !store.results(*id, first).await?.is_empty();
                    let status = if seen { Status::Up } else { Status::Pending };
                    StateAt { status: Some(status), ..StateAt::new(*id, at) }
                }
                None => StateAt { status: Some(Status::Up), ..StateAt::new(*id, at) },
            };
            states.push(state);
        }
        Ok(states)
    }
}

impl StateAt {
    const fn new(monitor: MonitorId, at: Timestamp) -> Self {
        Self { monitor, at, status: None, since: None, code: ErrorCode::Ok, incident: None, blind: false }
    }
}

/// The shortest window that holds the moment.
fn moment(at: Timestamp) -> Window {
    Window { from: at, to: at + Duration::from_micros(1) }
}

/// What a monitor is may be asked of any moment; what is said of it is known of now alone, and a list that took the one
/// for the other would lie.
fn may_be_asked_of_then(query: &MonitorQuery) -> Result<(), OperationError> {
    let is_by_state = matches!(query.sort, MonitorSort::Status | MonitorSort::Since);
    let asked = [
        ("status", !query.filter.statuses.is_empty()),
        ("paused", query.filter.paused.is_some()),
        ("sort", is_by_state),
    ];
    let mut problems = Problems::new();
    for (name, _) in asked.into_iter().filter(|(_, is_asked)| *is_asked) {
        let message = format!("`{name}` asks for what is said of monitors now, and `at` for a past moment");
        problems.error(
            &Path::Root.key(name),
            Span::default(),
            "about_now",
            message,
            "leave out one of the two",
        );
    }
    if problems.is_fine() { Ok(()) } else { Err(OperationError::Invalid(problems)) }
}

/// Which monitor, and of which moment.
#[derive(Debug, Clone, Copy)]
struct Asked<'s> {
    id: MonitorId,
    created_at: Timestamp,
    spec: &'s MonitorSpec,
    at: Timestamp,
}

/// What is recorded of the moment; `None`: nothing, so it was up, or pending.
fn not_up(asked: Asked<'_>, places: &Places, rows: &[Interval], blind: &[Blind]) -> Option<StateAt> {
    let Asked { id, created_at, spec, at } = asked;
    let state = StateAt::new(id, at);
    if let Some(row) = rows.first() {
        let (status, since) = (Some(row.status), Some(row.from));
        return Some(StateAt { status, since, code: row.code, incident: row.incident, ..state });
    }
    if at < created_at {
        return Some(state);
    }
    let unseen = *past::unseen(blind, &places.of(spec), at + Duration::from_millis(1)).first()?;
    let (status, since) = (Some(Status::Unknown), Some(unseen.from));
    Some(StateAt { status, since, code: unseen.code, blind: true, ..state })
}

/// When the last time before the moment ended in which it was not up.
async fn last_end(watched: &Watched, at: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    let mut window = Window { from: at - SOON, to: at };
    let mut step = 24 * SOON;
    while window.to > watched.record.created_at {
        let rows = watched.store.intervals(watched.record.id, window).await?;
        let blind = watched.blind(window).await?;
        let ends = rows.iter().filter_map(|row| row.to).chain(blind.iter().filter_map(|row| row.to));
        if let Some(last) = ends.filter(|end| *end <= at).max() {
            return Ok(Some(last));
        }
        window = Window { from: window.from - step, to: window.from };
        step = (step * 4).min(365 * 24 * SOON);
    }
    Ok(None)
}
