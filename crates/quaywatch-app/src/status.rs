//! What is said of each monitor now, as rows for a table or a machine.

use quaywatch_core::judge::Status;
use quaywatch_core::{ErrorStatus, MonitorSpec, Timestamp};
use quaywatch_store::records::StatusRecord;
use quaywatch_store::{AccountStore, StoreError};
use serde::Serialize;

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StatusRow {
    /// `m42`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `host:port`.
    pub target: String,
    /// What it is.
    pub status: Status,
    /// Since when.
    pub since: String,
    /// For how many seconds.
    pub for_seconds: u64,
    /// The public word for why; `null` when well.
    pub error_status: Option<&'static str>,
    /// The fine word.
    pub error_code: &'static str,
    /// Handshake time of the last recorded check.
    pub latency_us: Option<u32>,
    /// When it was last looked at.
    pub last_check: Option<String>,
    /// What else there is to know (`location us-east has no verdict yet`).
    pub note: Option<String>,
}

/// Which rows are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatusFilter {
    /// Only names that contain this, whatever the case.
    pub search: Option<String>,
    /// Only what is not up.
    pub failing: bool,
}

/// All rows that are wanted: the worst first, then by name.
///
/// # Errors
/// Where the store cannot be read.
pub async fn rows(
    store: &dyn AccountStore,
    filter: &StatusFilter,
    now: Timestamp,
) -> Result<Vec<StatusRow>, StoreError> {
    let wanted = filter.search.as_ref().map(|s| s.to_lowercase());
    let mut records = store.statuses().await?;
    records.retain(|record| {
        let named = wanted.as_ref().is_none_or(|s| record.monitor.name.to_lowercase().contains(s.as_str()));
        named && (!filter.failing || record.status != Status::Up)
    });
    records.sort_by(|a, b| {
        severity(a.status).cmp(&severity(b.status)).then_with(|| a.monitor.name.cmp(&b.monitor.name))
    });
    Ok(records.iter().map(|record| row(record, now)).collect())
}

/// How urgently a person should look: the order of the table.
const fn severity(status: Status) -> u8 {
    match status {
        Status::Down => 0,
        Status::Degraded => 1,
        Status::Unknown => 2,
        Status::Blocked => 3,
        Status::Pending => 4,
        Status::Maintenance => 5,
        Status::Paused => 6,
        Status::Up => 7,
    }
}

fn row(record: &StatusRecord, now: Timestamp) -> StatusRow {
    let spec = MonitorSpec::from_canonical(&record.monitor.spec).ok();
    let status = if record.monitor.paused { Status::Paused } else { record.status };
    StatusRow {
        id: record.monitor.id.to_string(),
        name: record.monitor.name.clone(),
        target: spec.as_ref().map(MonitorSpec::target).unwrap_or_default(),
        status,
        since: record.since.to_string(),
        for_seconds: now.since(record.since).as_secs(),
        error_status: record.code.status().map(ErrorStatus::as_str),
        error_code: record.code.as_str(),
        latency_us: record.last.and_then(|last| last.latency_us),
        last_check: record.last.map(|last| last.slot.to_string()),
        note: spec.as_ref().and_then(|spec| note(spec, status)),
    }
}

/// What a status alone does not say.
fn note(spec: &MonitorSpec, status: Status) -> Option<String> {
    let elsewhere: Vec<&str> = spec.locations.iter().map(String::as_str).filter(|l| *l != "local").collect();
    if elsewhere.is_empty() {
        return None;
    }
    let waiting = matches!(status, Status::Pending | Status::Unknown);
    waiting.then(|| format!("no agent has reported from {}", elsewhere.join(", ")))
}
