//! What was said of monitors at a moment in the past: read from the intervals, exact to the millisecond.

use std::time::Duration;

use quaywatch_core::access::{Level, Policy, Resource};
use quaywatch_core::judge::Status;
use quaywatch_core::{ErrorCode, IncidentId, MonitorId, MonitorSpec, Timestamp};
use quaywatch_store::StoreError;
use quaywatch_store::records::{Blind, Interval, MonitorRecord, Window};

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
        if let Some(state) = not_up(&watched.record, &watched.spec, &watched.places, at, (&rows, &blind)) {
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

    /// The monitors of a page (as the list of monitors gives them) at a moment, in their order. Since when those that
    /// were up were so is not looked up.
    ///
    /// # Errors
    /// Where the caller may not, or the moment has not come yet.
    pub async fn list_states_at(
        &self,
        caller: &Caller,
        monitors: &[MonitorRecord],
        at: Timestamp,
    ) -> Result<Vec<StateAt>, OperationError> {
        caller.require(Policy::new(Resource::Monitors, Level::Look))?;
        past::moment(at, self.clock.now())?;
        let store = self.store.account(caller.account);
        let places = self.places().await?;
        let blind = store.blind(moment(at)).await?;
        let mut states = Vec::with_capacity(monitors.len());
        for record in monitors {
            let rows = store.intervals(record.id, moment(at)).await?;
            let spec = past::spec(record)?;
            let state = match not_up(record, &spec, &places, at, (&rows, &blind)) {
                Some(state) => state,
                // The first result comes soon after the monitor; only in that time it must be looked for.
                None if at < record.created_at + 2 * spec.check_interval.max(SOON) => {
                    let first = Window { from: record.created_at - SOON, to: at + Duration::from_micros(1) };
                    let seen = !store.results(record.id, first).await?.is_empty();
                    let status = if seen { Status::Up } else { Status::Pending };
                    StateAt { status: Some(status), ..StateAt::new(record.id, at) }
                }
                None => StateAt { status: Some(Status::Up), ..StateAt::new(record.id, at) },
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

/// What is recorded of the moment; `None`: nothing, so it was up, or pending.
fn not_up(
    record: &MonitorRecord,
    spec: &MonitorSpec,
    places: &Places,
    at: Timestamp,
    (rows, blind): (&[Interval], &[Blind]),
) -> Option<StateAt> {
    let state = StateAt::new(record.id, at);
    if let Some(row) = rows.first() {
        let (status, since) = (Some(row.status), Some(row.from));
        return Some(StateAt { status, since, code: row.code, incident: row.incident, ..state });
    }
    if at < record.created_at {
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
