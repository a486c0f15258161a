//! Closed sets of words.

use quaywatch_core::judge;
use quaywatch_core::{ErrorCode, ErrorStatus};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is said of a monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum Status {
    /// It does not answer, by its own counts.
    Down,
    /// It answers, but slowly or only in part.
    Degraded,
    /// We cannot see it.
    Unknown,
    /// We must not look.
    Blocked,
    /// Its owner said that it may be down.
    Maintenance,
    /// Its owner said not to look.
    Paused,
    /// Nothing is known yet.
    Pending,
    /// It answers.
    Up,
}

impl From<judge::Status> for Status {
    fn from(status: judge::Status) -> Self {
        match status {
            judge::Status::Pending => Self::Pending,
            judge::Status::Up => Self::Up,
            judge::Status::Degraded => Self::Degraded,
            judge::Status::Down => Self::Down,
            judge::Status::Unknown => Self::Unknown,
            judge::Status::Blocked => Self::Blocked,
            judge::Status::Maintenance => Self::Maintenance,
            judge::Status::Paused => Self::Paused,
        }
    }
}

impl From<Status> for judge::Status {
    fn from(status: Status) -> Self {
        match status {
            Status::Pending => Self::Pending,
            Status::Up => Self::Up,
            Status::Degraded => Self::Degraded,
            Status::Down => Self::Down,
            Status::Unknown => Self::Unknown,
            Status::Blocked => Self::Blocked,
            Status::Maintenance => Self::Maintenance,
            Status::Paused => Self::Paused,
        }
    }
}

/// What one check means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum Verdict {
    /// The target answered as it should.
    Up,
    /// The target answered, but not as well as it should.
    Degraded,
    /// The target did not answer as it should.
    Down,
    /// The watcher could not look: its own fault, never the target's.
    Unknown,
    /// The egress policy forbids to look.
    Blocked,
}

impl From<quaywatch_core::Verdict> for Verdict {
    fn from(verdict: quaywatch_core::Verdict) -> Self {
        match verdict {
            quaywatch_core::Verdict::Up => Self::Up,
            quaywatch_core::Verdict::Degraded => Self::Degraded,
            quaywatch_core::Verdict::Down => Self::Down,
            quaywatch_core::Verdict::Unknown => Self::Unknown,
            quaywatch_core::Verdict::Blocked => Self::Blocked,
        }
    }
}

/// How bad an incident is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum Severity {
    /// Degraded, blocked or unknown: no downtime.
    Warning,
    /// Down.
    Critical,
}

impl From<judge::Severity> for Severity {
    fn from(severity: judge::Severity) -> Self {
        match severity {
            judge::Severity::Warning => Self::Warning,
            judge::Severity::Critical => Self::Critical,
        }
    }
}

impl From<Severity> for judge::Severity {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Warning => Self::Warning,
            Severity::Critical => Self::Critical,
        }
    }
}

/// Why an incident ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum CloseReason {
    /// The monitor is well again.
    Recovered,
    /// What is checked is another thing now.
    Superseded,
    /// The monitor was removed.
    Removed,
    /// The monitor was paused.
    Paused,
}

impl From<judge::CloseReason> for CloseReason {
    fn from(reason: judge::CloseReason) -> Self {
        match reason {
            judge::CloseReason::Recovered => Self::Recovered,
            judge::CloseReason::Superseded => Self::Superseded,
            judge::CloseReason::Removed => Self::Removed,
            judge::CloseReason::Paused => Self::Paused,
        }
    }
}

/// An outcome in its two words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Outcome {
    /// The public word: `tcp_refused`, `timeout`, …; null when ok.
    pub error_status: Option<&'static str>,
    /// The fine word: `ok` when ok.
    pub error_code: &'static str,
}

impl From<ErrorCode> for Outcome {
    fn from(code: ErrorCode) -> Self {
        Self { error_status: code.status().map(ErrorStatus::as_str), error_code: code.as_str() }
    }
}
