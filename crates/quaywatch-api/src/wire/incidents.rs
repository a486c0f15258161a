//! Incidents: in a list, and with everything that is known of them.

use quaywatch_app::operations::incidents as app;
use quaywatch_core::{ChannelId, IncidentId, MonitorId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::evidence::Evidence;
use super::ids::Id;
use super::time::{Seconds, Time};
use super::words::{CloseReason, Outcome, Severity, Status};

/// An incident.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Incident {
    id: Id<IncidentId>,
    monitor: Subject,
    /// Its number within the monitor.
    ordinal: u32,
    severity: Severity,
    /// Why it was opened.
    opened_for: Outcome,
    #[serde(flatten)]
    outcome: Outcome,
    /// The first failure's slot.
    started_at: Time,
    /// When it was confirmed.
    confirmed_at: Time,
    /// Null while it is open.
    ended_at: Option<Time>,
    close_reason: Option<CloseReason>,
    /// How long it lasts, or lasted.
    duration: Seconds,
    failed_checks: u32,
    acknowledged: Option<Acknowledgement>,
    /// What happened, in one line.
    message: String,
    /// Why, most likely.
    cause: String,
    /// Where to look first.
    remedy: String,
}

/// The monitor that it is about, by the name and target it has now.
#[derive(Debug, Serialize, JsonSchema)]
struct Subject {
    id: Id<MonitorId>,
    name: String,
    /// Empty where it is no longer known.
    host: String,
    port: u16,
    group: Option<String>,
}

/// Somebody is on it.
#[derive(Debug, Serialize, JsonSchema)]
struct Acknowledgement {
    /// `user:u3`, `token:tok5`, `cli:0`.
    by: String,
    at: Time,
    note: Option<String>,
}

impl From<app::IncidentView> for Incident {
    fn from(view: app::IncidentView) -> Self {
        let record = view.record;
        Self {
            id: Id(record.id),
            monitor: Subject {
                id: Id(view.monitor.id),
                name: view.monitor.name,
                host: view.monitor.host,
                port: view.monitor.port,
                group: view.monitor.group,
            },
            ordinal: record.ordinal,
            severity: record.severity.into(),
            opened_for: record.opening_code.into(),
            outcome: record.code.into(),
            started_at: Time(record.started_at),
            confirmed_at: Time(record.confirmed_at),
            ended_at: record.ended_at.map(Time),
            close_reason: record.close_reason.map(Into::into),
            duration: Seconds(view.lasted),
            failed_checks: record.failed_checks,
            acknowledged: view.acknowledged.map(|a| Acknowledgement {
                by: a.by,
                at: Time(a.at),
                note: a.note,
            }),
            message: view.explanation.sentence,
            cause: view.explanation.cause,
            remedy: view.explanation.remedy,
        }
    }
}

/// An incident with its proof and what happened in it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct IncidentDetail {
    #[serde(flatten)]
    incident: Incident,
    /// Oldest first: the first failure, the last, and each that told something new.
    evidence: Vec<Proof>,
    /// In order.
    timeline: Vec<TimelineEntry>,
}

/// The proof of one failed check.
#[derive(Debug, Serialize, JsonSchema)]
struct Proof {
    location: String,
    /// The check's slot.
    at: Time,
    #[serde(flatten)]
    outcome: Outcome,
    /// The proof in one line.
    summary: String,
    evidence: Evidence,
}

/// One thing that happened in an incident.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TimelineEntry {
    /// From 0, without gaps.
    sequence: u32,
    at: Time,
    /// `incident.opened`, `incident.acknowledged`, …
    r#type: String,
    /// What the monitor was then, where the event says so.
    status: Option<Status>,
    /// Why, where the event says so.
    error_code: Option<&'static str>,
    /// Who did it, where somebody did.
    by: Option<String>,
    note: Option<String>,
    /// Who was told of it, and what came of that.
    notices: Vec<Notice>,
}

/// One notice of an event to one channel.
#[derive(Debug, Serialize, JsonSchema)]
struct Notice {
    channel: Id<ChannelId>,
    /// `queued`, `sent` or `dead`.
    state: &'static str,
    attempts: u32,
    /// The last attempt.
    at: Option<Time>,
    /// What came of it: `sent`, `transient`, …
    outcome: Option<String>,
    /// What the receiver said, without secrets.
    answer: Option<String>,
}

impl From<app::IncidentDetail> for IncidentDetail {
    fn from(detail: app::IncidentDetail) -> Self {
        let proof = |proof: app::ProofView| Proof {
            location: proof.location,
            at: Time(proof.at),
            outcome: proof.code.into(),
            summary: proof.detail,
            evidence: Evidence::from(&proof.evidence),
        };
        Self {
            incident: detail.incident.into(),
            evidence: detail.evidence.into_iter().map(proof).collect(),
            timeline: detail.timeline.into_iter().map(TimelineEntry::from).collect(),
        }
    }
}

impl From<app::TimelineEntry> for TimelineEntry {
    fn from(entry: app::TimelineEntry) -> Self {
        let notice = |notice: app::NoticeView| Notice {
            channel: Id(notice.channel),
            state: notice.state,
            attempts: notice.attempts,
            at: notice.at.map(Time),
            outcome: notice.class,
            answer: notice.answer,
        };
        Self {
            sequence: entry.sequence,
            at: Time(entry.at),
            r#type: entry.kind,
            status: entry.status.map(Into::into),
            error_code: entry.code.map(quaywatch_core::ErrorCode::as_str),
            by: entry.by,
            note: entry.note,
            notices: entry.notices.into_iter().map(notice).collect(),
        }
    }
}

/// Words to an acknowledgement.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcknowledgeRequest {
    /// What else there is to say.
    #[schemars(length(max = 2000))]
    pub(crate) note: Option<String>,
}

/// A comment.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CommentRequest {
    #[schemars(length(min = 1, max = 2000))]
    pub(crate) text: String,
}
