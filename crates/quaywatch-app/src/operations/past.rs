//! What several questions about the past need: the monitor, its locations, when it was first looked at, when it could
//! not be seen.

use std::collections::BTreeMap;
use std::time::Duration;

use quaywatch_core::uptime::{Span, blind_everywhere};
use quaywatch_core::{ErrorCode, LocationId, MonitorId, MonitorSpec, Timestamp};
use quaywatch_store::records::{Blind, MonitorRecord, Window};
use quaywatch_store::{AccountStore, StoreError};

use super::refuse::invalid;
use super::{OperationError, Operations};
use crate::caller::Caller;

/// A first result comes within an interval of the monitor's creation, unless it was paused; so the search for it
/// begins small.
const FIRST_LOOK: Duration = Duration::from_secs(600);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// One monitor and its account's records.
pub(super) struct Watched {
    pub(super) store: std::sync::Arc<dyn AccountStore>,
    pub(super) record: MonitorRecord,
    pub(super) spec: MonitorSpec,
    pub(super) places: Places,
    pub(super) now: Timestamp,
}

impl Operations {
    /// The monitor with that number, for questions about its past.
    pub(super) async fn watched(&self, caller: &Caller, id: MonitorId) -> Result<Watched, OperationError> {
        let store = self.store.account(caller.account);
        let record = self.stored(caller.account, id).await?;
        let spec = spec(&record)?;
        Ok(Watched { store, record, spec, places: self.places().await?, now: self.clock.now() })
    }

    /// Names of locations.
    pub(super) async fn places(&self) -> Result<Places, OperationError> {
        let locations = self.store.system().locations().await?;
        Ok(Places(locations.into_iter().map(|location| (location.id, location.name)).collect()))
    }
}

/// The spec of a stored monitor.
pub(super) fn spec(record: &MonitorRecord) -> Result<MonitorSpec, StoreError> {
    MonitorSpec::from_canonical(&record.spec).map_err(|error| StoreError::Damaged {
        table: "monitor",
        detail: format!("the spec of {}: {error}", record.id),
    })
}

/// Locations by number.
#[derive(Debug, Clone, Default)]
pub(super) struct Places(BTreeMap<LocationId, String>);

impl Places {
    pub(super) fn name(&self, id: LocationId) -> String {
        self.0.get(&id).cloned().unwrap_or_else(|| format!("location {}", id.0))
    }

    pub(super) fn named(&self, name: &str) -> Result<LocationId, OperationError> {
        let found = self.0.iter().find(|(_, known)| *known == name).map(|(id, _)| *id);
        found.ok_or_else(|| {
            let known: Vec<&str> = self.0.values().map(String::as_str).collect();
            let message = format!("there is no location {}", quaywatch_core::doc::quote(name));
            invalid("location", "unknown_location", message, format!("there are {}", known.join(", ")))
        })
    }

    /// The numbers of a monitor's locations; a name that is no longer declared has none.
    pub(super) fn of(&self, spec: &MonitorSpec) -> Vec<LocationId> {
        spec.locations.iter().filter_map(|name| self.named(name).ok()).collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (LocationId, &String)> {
        self.0.iter().map(|(id, name)| (*id, name))
    }
}

impl Watched {
    /// When it was first looked at: the slot of its first result, to the hour where single results are gone; `None`:
    /// not before `until`.
    pub(super) async fn born(&self, until: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let mut from = self.record.created_at - HOUR;
        let mut step = HOUR + FIRST_LOOK;
        while from < until {
            let window = Window { from, to: (from + step).min(until) };
            if let Some(first) = self.store.results(self.record.id, window).await?.first() {
                return Ok(Some(first.slot));
            }
            if let Some(first) = self.store.summaries(self.record.id, window).await?.first() {
                return Ok(Some(first.hour.max(self.record.created_at)));
            }
            if let Some(first) = self.store.daily_summaries(self.record.id, window).await?.first() {
                return Ok(Some(first.hour.max(self.record.created_at)));
            }
            from = window.to;
            step = (step * 4).min(30 * DAY);
        }
        Ok(None)
    }

    /// When none of its locations could see, within a window; what is going on ends `now`.
    pub(super) async fn blind(&self, window: Window) -> Result<Vec<Unseen>, StoreError> {
        let rows = self.store.blind(window).await?;
        Ok(unseen(&rows, &self.places.of(&self.spec), self.now))
    }
}

/// A time in which no location of a monitor could see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unseen {
    pub(super) from: Timestamp,
    /// `None`: still.
    pub(super) to: Option<Timestamp>,
    /// Why the last of them stopped seeing.
    pub(super) code: ErrorCode,
}

/// When all of `locations` were blind at once.
pub(super) fn unseen(rows: &[Blind], locations: &[LocationId], now: Timestamp) -> Vec<Unseen> {
    let of = |location: LocationId| -> Vec<Span> {
        let rows = rows.iter().filter(|row| row.location == location);
        rows.map(|row| Span { from: row.from, to: row.to.unwrap_or(now) }).collect()
    };
    let lists: Vec<Vec<Span>> = locations.iter().map(|location| of(*location)).collect();
    let lists: Vec<&[Span]> = lists.iter().map(Vec::as_slice).collect();
    let everywhere = blind_everywhere(&lists);
    let code = |from: Timestamp| {
        let began = rows.iter().filter(|row| locations.contains(&row.location) && row.from <= from);
        began.max_by_key(|row| row.from).map_or(ErrorCode::SelfStall, |row| row.code)
    };
    let goes_on = |to: Timestamp| {
        let open =
            |location: &LocationId| rows.iter().any(|row| row.location == *location && row.to.is_none());
        to.millis() == now.millis() && locations.iter().all(open)
    };
    everywhere
        .into_iter()
        .map(|span| Unseen {
            from: span.from,
            to: (!goes_on(span.to)).then_some(span.to),
            // Spans are whole milliseconds, rows need not be.
            code: code(span.from + Duration::from_micros(999)),
        })
        .collect()
}

/// A window that can be asked about: not reversed, and cut off at `now`.
pub(super) fn window(asked: Window, now: Timestamp) -> Result<Window, OperationError> {
    let from = asked.from.max(Timestamp(0));
    if asked.to <= asked.from {
        let message = format!("the window ends ({}) before it begins ({})", asked.to, asked.from);
        return Err(invalid("to", "backwards", message, "exchange the two"));
    }
    if from >= now {
        let message = format!("the window begins in the future ({from})");
        return Err(invalid("from", "in_the_future", message, "ask for a time that has been"));
    }
    Ok(Window { from, to: asked.to.min(now) })
}

/// A moment that has been.
pub(super) fn moment(at: Timestamp, now: Timestamp) -> Result<(), OperationError> {
    if at <= now {
        return Ok(());
    }
    Err(invalid("at", "in_the_future", format!("{at} has not come yet"), "ask for a moment that has been"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blind(location: u16, from: i64, to: Option<i64>, code: ErrorCode) -> Blind {
        let at = Timestamp::from_secs;
        Blind { location: LocationId(location), from: at(from), to: to.map(at), code }
    }

    #[test]
    fn a_monitor_is_blind_only_while_all_its_locations_are() {
        let rows = [
            blind(0, 10, Some(30), ErrorCode::SelfNetwork),
            blind(1, 20, Some(40), ErrorCode::AgentOffline),
            blind(0, 90, None, ErrorCode::SelfStall),
            blind(1, 95, None, ErrorCode::AgentOffline),
        ];
        let at = Timestamp::from_secs;
        let found = unseen(&rows, &[LocationId(0), LocationId(1)], at(100));
        assert_eq!(
            found,
            [
                Unseen { from: at(20), to: Some(at(30)), code: ErrorCode::AgentOffline },
                Unseen { from: at(95), to: None, code: ErrorCode::AgentOffline },
            ]
        );
        assert_eq!(unseen(&rows, &[LocationId(0)], at(100)).len(), 2);
        assert_eq!(unseen(&rows, &[LocationId(2)], at(100)), []);
    }

    #[test]
    fn a_window_is_cut_off_at_now_and_never_reversed() {
        let at = Timestamp::from_secs;
        let ask = |from, to| window(Window { from: at(from), to: at(to) }, at(100));
        assert_eq!(ask(10, 200).ok(), Some(Window { from: at(10), to: at(100) }));
        assert!(ask(20, 10).is_err() && ask(150, 200).is_err() && ask(20, 20).is_err());
    }
}
