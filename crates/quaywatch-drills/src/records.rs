//! What the store says, read beside the server or after its end.

use std::path::Path;
use std::sync::Arc;

use quaywatch_core::judge::{Severity, Status};
use quaywatch_core::{AccountId, ShardId, Timestamp, Verdict};
use quaywatch_store::records::{
    Blind, ChannelRecord, CheckRow, EventRecord, Fence, IncidentFilter, IncidentRecord, Interval,
    MonitorRecord, OutboxRecord, Window,
};
use quaywatch_store::{SqliteStore, Store};
use quaywatch_testkit::wait::RealClock;

/// Everything that a drill may meet: to the year 2100.
const EVER: Window = Window { from: Timestamp(0), to: Timestamp::from_secs(4_102_444_800) };

/// The store's whole content, as far as drills ask.
#[derive(Debug, Clone, Default)]
pub(crate) struct Records {
    pub(crate) monitors: Vec<Watched>,
    pub(crate) channels: Vec<ChannelRecord>,
    pub(crate) blind: Vec<Blind>,
    pub(crate) undelivered: Vec<OutboxRecord>,
}

/// One monitor.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    pub(crate) monitor: MonitorRecord,
    pub(crate) status: Status,
    /// Oldest first.
    pub(crate) incidents: Vec<Incident>,
    pub(crate) intervals: Vec<Interval>,
    pub(crate) results: Vec<CheckRow>,
}

/// One incident with all that happened in it.
#[derive(Debug, Clone)]
pub(crate) struct Incident {
    pub(crate) record: IncidentRecord,
    pub(crate) events: Vec<EventRecord>,
}

impl Records {
    /// Reads everything.
    pub(crate) fn read(data: &Path) -> Result<Self, String> {
        Self::load(data, true)
    }

    /// Reads all but the results of single checks.
    pub(crate) fn read_decisions(data: &Path) -> Result<Self, String> {
        Self::load(data, false)
    }

    fn load(data: &Path, with_results: bool) -> Result<Self, String> {
        let store = SqliteStore::open_beside(data, Arc::new(RealClock)).map_err(|e| e.to_string())?;
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|e| e.to_string())?;
        let read = runtime.block_on(load(&store, with_results));
        runtime.block_on(store.system().close()).map_err(|e| e.to_string())?;
        read.map_err(|error| format!("the store cannot be read: {error}"))
    }

    /// The monitor of that name.
    pub(crate) fn of(&self, name: &str) -> Result<&Watched, String> {
        let found = self.monitors.iter().find(|watched| watched.monitor.name == name);
        found.ok_or_else(|| format!("the store has no monitor {name}"))
    }

    /// Nothing of what was never down may have been said to be: no result, no interval, no incident.
    pub(crate) fn expect_never_down(&self, names: impl Fn(&str) -> bool) -> Result<(), String> {
        for watched in self.monitors.iter().filter(|watched| names(&watched.monitor.name)) {
            let name = &watched.monitor.name;
            if let Some(row) = watched.results.iter().find(|row| row.code.verdict() == Verdict::Down) {
                return Err(format!("false down: a check of {name} at {} says {}", row.slot, row.code));
            }
            if let Some(interval) = watched.intervals.iter().find(|i| i.status == Status::Down) {
                return Err(format!("false down: {name} from {} ({})", interval.from, interval.code));
            }
            if let Some(incident) = watched.incidents.iter().find(|i| i.record.severity == Severity::Critical)
            {
                let IncidentRecord { id, started_at, code, .. } = &incident.record;
                return Err(format!("false down: {id} of {name} at {started_at} ({code})"));
            }
        }
        Ok(())
    }

    /// Nothing at all may have been said of these but that they are up: neither down nor unknown, no incident.
    pub(crate) fn expect_always_up(&self, names: impl Fn(&str) -> bool) -> Result<(), String> {
        for watched in self.monitors.iter().filter(|watched| names(&watched.monitor.name)) {
            let name = &watched.monitor.name;
            if let Some(incident) = watched.incidents.first() {
                return Err(format!(
                    "{name} was up all the time, and has an incident: {}",
                    incident.in_words()
                ));
            }
            if let Some(Interval { from, to, status, code, .. }) = watched.intervals.first() {
                return Err(format!(
                    "{name} was up all the time, and {status:?} ({code}) from {from} to {to:?}"
                ));
            }
        }
        self.expect_never_down(names)
    }

    /// A check's slot is its name: none may stand there twice.
    pub(crate) fn expect_single_slots(&self) -> Result<(), String> {
        for watched in &self.monitors {
            let mut slots: Vec<_> = watched.results.iter().map(|row| (row.location, row.slot)).collect();
            slots.sort_unstable();
            if let Some(twice) = slots.windows(2).find(|two| two[0] == two[1]) {
                return Err(format!("{} has two checks with slot {}", watched.monitor.name, twice[0].1));
            }
        }
        Ok(())
    }
}

impl Incident {
    /// For whoever has to find out what went wrong.
    pub(crate) fn in_words(&self) -> String {
        let IncidentRecord { id, started_at, confirmed_at, ended_at, code, close_reason, .. } = &self.record;
        let ended = ended_at.map_or_else(|| "open".to_owned(), |at| at.to_string());
        let events: Vec<String> =
            self.events.iter().map(|event| format!("{} {}", event.at, event.kind)).collect();
        format!(
            "{id} {started_at} (confirmed {confirmed_at}) to {ended} {code} {close_reason:?} [{}]",
            events.join(", ")
        )
    }
}

async fn load(store: &SqliteStore, with_results: bool) -> quaywatch_store::Result<Records> {
    let account = store.account(AccountId::DEFAULT);
    let mut records = Records {
        channels: account.channels().await?,
        blind: account.blind(EVER).await?,
        ..Records::default()
    };
    for status in account.statuses().await? {
        let id = status.monitor.id;
        let filter = IncidentFilter { monitor: Some(id), limit: 1_000_000, ..IncidentFilter::default() };
        let mut incidents = Vec::new();
        for record in account.incidents(filter).await?.into_iter().rev() {
            let events = account.events(record.id).await?;
            incidents.push(Incident { record, events });
        }
        let results = if with_results { account.results(id, EVER).await? } else { Vec::new() };
        records.monitors.push(Watched {
            monitor: status.monitor,
            status: status.status,
            incidents,
            intervals: account.intervals(id, EVER).await?,
            results,
        });
    }
    // Read last: a decision and its notices are one transaction, so none of those above is missing here.
    for shard in ShardId::all() {
        records.undelivered.extend(store.shard(shard, Fence(0)).undelivered().await?);
    }
    Ok(records)
}
