//! Incidents with their events and the proof of what failed.

use quaywatch_core::judge::{CloseReason, Severity};
use quaywatch_core::{AccountId, ErrorCode, Evidence, IncidentId, LocationId, MonitorId, Timestamp};

use super::Window;

/// An incident as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentRecord {
    /// Its id.
    pub id: IncidentId,
    /// Whose.
    pub account: AccountId,
    /// Of which monitor.
    pub monitor: MonitorId,
    /// Its number within the monitor.
    pub ordinal: u32,
    /// How bad.
    pub severity: Severity,
    /// Why it was opened.
    pub opening_code: ErrorCode,
    /// Why it is still open, or was last.
    pub code: ErrorCode,
    /// The first failure's slot.
    pub started_at: Timestamp,
    /// When it was confirmed.
    pub confirmed_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it ended.
    pub close_reason: Option<CloseReason>,
    /// Failed checks so far.
    pub failed_checks: u32,
    /// The next event's number.
    pub next_sequence: u32,
    /// The judge that decided it.
    pub judge_version: u32,
    /// Who said that they look after it, if anybody did.
    pub acknowledged: Option<Box<Acknowledged>>,
}

/// Somebody looks after an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// Since when.
    pub at: Timestamp,
    /// Who, as notices call them.
    pub by: String,
}

/// Which incidents are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IncidentFilter {
    /// Only of this monitor.
    pub monitor: Option<MonitorId>,
    /// Only those that are open.
    pub open: bool,
    /// Only those that are over.
    pub closed: bool,
    /// Only those that somebody looks after (`true`), or that nobody does (`false`).
    pub acknowledged: Option<bool>,
    /// Only those that are as bad as this.
    pub severity: Option<Severity>,
    /// Only those that were opened for, or last were about, one of these; empty: all.
    pub codes: Vec<ErrorCode>,
    /// Only older ones than this, by its start and its id.
    pub after: Option<(Timestamp, IncidentId)>,
    /// Only those that overlap this.
    pub window: Option<Window>,
    /// At most this many; 0 = 1,000.
    pub limit: usize,
}

/// Something that happened in an incident. Never changed once written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// Of which incident.
    pub incident: IncidentId,
    /// From 0, without gaps.
    pub sequence: u32,
    /// When.
    pub at: Timestamp,
    /// `incident.opened`, `incident.closed`, …
    pub kind: String,
    /// Names, target, evidence, last good answer of that moment, as JSON: what a notice is rendered from.
    pub snapshot: String,
}

/// The proof of one failed check.
#[derive(Debug, Clone, PartialEq)]
pub struct EvidenceRecord {
    /// Whose.
    pub monitor: MonitorId,
    /// From where.
    pub location: LocationId,
    /// Which check.
    pub slot: Timestamp,
    /// What it saw.
    pub code: ErrorCode,
    /// The incident, where there is one.
    pub incident: Option<IncidentId>,
    /// The proof.
    pub evidence: Evidence,
}
