//! Incidents: listed, read with their proof and what happened in order, acknowledged, commented on.

use quaywatch_core::judge::{Severity, Status};
use quaywatch_core::{ErrorCode, Evidence, IncidentId, MonitorId, Timestamp};
use quaywatch_store::records::{IncidentRecord, Window};

use super::page::{Page, Paging};
use super::refuse::not_built;
use super::{OperationError, Operations};
use crate::caller::Caller;

/// Which incidents are wanted, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IncidentQuery {
    /// Only of this monitor.
    pub monitor: Option<MonitorId>,
    /// Only open ones (`true`), only ended ones (`false`).
    pub open: Option<bool>,
    /// Only of this severity.
    pub severity: Option<Severity>,
    /// Only those that somebody acknowledged (`true`), or that nobody did (`false`).
    pub acknowledged: Option<bool>,
    /// Only those with one of these causes; empty: all.
    pub codes: Vec<ErrorCode>,
    /// Only those that overlap this.
    pub window: Option<Window>,
    /// Which page.
    pub paging: Paging,
}

/// An incident in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentView {
    /// What is recorded of it.
    pub record: IncidentRecord,
    /// The monitor, by the name and target it has now; it may lie in the bin.
    pub monitor: Subject,
    /// Who acknowledged it, if anybody did.
    pub acknowledged: Option<Acknowledgement>,
    /// How long it lasts, or lasted.
    pub lasted: std::time::Duration,
    /// The words for its cause.
    pub explanation: Explanation,
}

/// The monitor that something is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Its number.
    pub id: MonitorId,
    /// Its name.
    pub name: String,
    /// Its host; empty where it is no longer known.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Its group's path.
    pub group: Option<String>,
}

/// Somebody is on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Who: `user:u3`, `token:tok5`, `cli:0`.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// What they said.
    pub note: Option<String>,
}

/// What an outcome means, for this very target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What happened, in one line.
    pub sentence: String,
    /// Why, most likely.
    pub cause: String,
    /// Where to look first; empty where all is well.
    pub remedy: String,
}

/// An incident with everything that is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct IncidentDetail {
    /// As in the list.
    pub incident: IncidentView,
    /// What proves it, oldest first: the first failure, the last, and each that told something new.
    pub evidence: Vec<ProofView>,
    /// What happened, in order.
    pub timeline: Vec<TimelineEntry>,
}

/// The proof of one failed check.
#[derive(Debug, Clone, PartialEq)]
pub struct ProofView {
    /// From where.
    pub location: String,
    /// The check's slot.
    pub at: Timestamp,
    /// What it saw.
    pub code: ErrorCode,
    /// Every address that was dialled, and what came of it; names, phases, times.
    pub evidence: Evidence,
    /// The same in one line.
    pub detail: String,
}

/// One thing that happened in an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineEntry {
    /// From 0, without gaps.
    pub sequence: u32,
    /// When.
    pub at: Timestamp,
    /// `incident.opened`, `incident.acknowledged`, …
    pub kind: String,
    /// What the monitor was then, where the event says so.
    pub status: Option<Status>,
    /// Why, where the event says so.
    pub code: Option<ErrorCode>,
    /// Who did it, where somebody did.
    pub by: Option<String>,
    /// What they said.
    pub note: Option<String>,
    /// Who was told of it, and what came of that.
    pub notices: Vec<NoticeView>,
}

/// One notice of an event to one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeView {
    /// The channel's id.
    pub channel: quaywatch_core::ChannelId,
    /// `queued`, `sent` or `dead`.
    pub state: &'static str,
    /// Attempts so far.
    pub attempts: u32,
    /// The last attempt.
    pub at: Option<Timestamp>,
    /// What came of it: `sent`, `transient`, …
    pub class: Option<String>,
    /// What the receiver said, without secrets.
    pub answer: Option<String>,
}

impl Operations {
    /// Incidents of the account, newest first.
    ///
    /// # Errors
    /// Where the caller may not, or a cursor is none.
    pub async fn list_incidents(
        &self,
        caller: &Caller,
        query: &IncidentQuery,
    ) -> Result<Page<IncidentView>, OperationError> {
        let _ = (caller, query);
        Err(not_built())
    }

    /// One incident, with proof and timeline.
    ///
    /// # Errors
    /// Where the caller may not, or there is none.
    pub async fn read_incident(
        &self,
        caller: &Caller,
        id: IncidentId,
    ) -> Result<IncidentDetail, OperationError> {
        let _ = (caller, id);
        Err(not_built())
    }

    /// Says that somebody is on it: reminders end, the recovery is still told. Twice is once.
    ///
    /// # Errors
    /// Where the caller may not, there is none, or it is over.
    pub async fn acknowledge_incident(
        &self,
        caller: &Caller,
        id: IncidentId,
        note: Option<&str>,
    ) -> Result<IncidentView, OperationError> {
        let _ = (caller, id, note);
        Err(not_built())
    }

    /// Adds words to an incident, also to one that is over.
    ///
    /// # Errors
    /// Where the caller may not, there is none, or the text is empty or longer than 4,000 characters.
    pub async fn comment_incident(
        &self,
        caller: &Caller,
        id: IncidentId,
        text: &str,
    ) -> Result<TimelineEntry, OperationError> {
        let _ = (caller, id, text);
        Err(not_built())
    }
}
