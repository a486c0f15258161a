//! The documented call, word by word: monitors as `urls` with `monitor_type`, `port`, `period`, `custom_timeout` and
//! `notify_*`. One thin adapter: everything is done by the operations on monitors.

use std::time::Duration;

use quaywatch_core::doc::{Node, Problem};
use quaywatch_core::judge::Status;
use quaywatch_core::{ErrorCode, ErrorStatus, MonitorId, Timestamp};
use quaywatch_store::records::Window;

use super::page::{Page, Paging};
use super::refuse::not_built;
use super::{OperationError, Operations};
use crate::caller::Caller;

/// A monitor in the words of the documented call.
#[derive(Debug, Clone, PartialEq)]
pub struct UrlView {
    /// The bare number.
    pub id: MonitorId,
    /// Its name; not in the documented call, made of host and port where it is not given.
    pub name: String,
    /// The host.
    pub url: String,
    /// `tcp`.
    pub monitor_type: &'static str,
    /// The port.
    pub port: u16,
    /// From check to check.
    pub period: Duration,
    /// The timeout.
    pub custom_timeout: Duration,
    /// `null` for TCP, always.
    pub http_method: Option<String>,
    /// `null` for TCP, always.
    pub expected_keyword: Option<String>,
    /// Which kinds of channels are told.
    pub notify: Notify,
    /// `up`, `down`, …
    pub status: Status,
    /// The public word for why; `None` when ok.
    pub error_status: Option<ErrorStatus>,
    /// The fine word.
    pub error_code: ErrorCode,
    /// Since when.
    pub since: Timestamp,
    /// Handshake time of the last check.
    pub latency_us: Option<u32>,
    /// When it was last looked at.
    pub last_checked_at: Option<Timestamp>,
    /// Somebody paused it, or it is switched off.
    pub paused: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// Counts edits: the entity tag.
    pub revision: u32,
}

/// Which kinds of channels are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Notify {
    /// `notify_telegram`
    pub telegram: bool,
    /// `notify_max`
    pub max: bool,
    /// `notify_email`
    pub email: bool,
    /// `notify_webhook`
    pub webhook: bool,
}

/// What was written.
#[derive(Debug, Clone, PartialEq)]
pub struct WrittenUrl {
    /// As it is now.
    pub url: UrlView,
    /// What was ignored, and who is not told.
    pub warnings: Vec<Problem>,
}

/// One row of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlLog {
    /// The check's slot.
    pub checked_at: Timestamp,
    /// `up` or `down` (or `unknown`, `blocked`, `degraded`).
    pub status: quaywatch_core::Verdict,
    /// The public word for why; `None` when ok.
    pub error_status: Option<ErrorStatus>,
    /// The fine word.
    pub error_code: ErrorCode,
    /// Handshake time.
    pub latency_us: Option<u32>,
}

impl Operations {
    /// Monitors as urls, as they were made.
    ///
    /// # Errors
    /// Where the caller may not, or a cursor is none.
    pub async fn list_urls(&self, caller: &Caller, paging: &Paging) -> Result<Page<UrlView>, OperationError> {
        let _ = (caller, paging);
        Err(not_built())
    }

    /// One of them.
    ///
    /// # Errors
    /// Where the caller may not, or there is none.
    pub async fn read_url(&self, caller: &Caller, id: MonitorId) -> Result<UrlView, OperationError> {
        let _ = (caller, id);
        Err(not_built())
    }

    /// The documented call.
    ///
    /// # Errors
    /// As for [`Operations::create_monitor`].
    pub async fn create_url(&self, caller: &Caller, body: &Node<'_>) -> Result<WrittenUrl, OperationError> {
        let _ = (caller, body);
        Err(not_built())
    }

    /// Changes what is named.
    ///
    /// # Errors
    /// As for [`Operations::update_monitor`].
    pub async fn update_url(
        &self,
        caller: &Caller,
        id: MonitorId,
        patch: &Node<'_>,
        revision: Option<u32>,
    ) -> Result<WrittenUrl, OperationError> {
        let _ = (caller, id, patch, revision);
        Err(not_built())
    }

    /// Puts it into the bin.
    ///
    /// # Errors
    /// As for [`Operations::delete_monitor`].
    pub async fn delete_url(&self, caller: &Caller, id: MonitorId) -> Result<(), OperationError> {
        let _ = (caller, id);
        Err(not_built())
    }

    /// Its checks, the newest first.
    ///
    /// # Errors
    /// Where the caller may not, there is none, or a cursor is none.
    pub async fn list_url_logs(
        &self,
        caller: &Caller,
        id: MonitorId,
        window: Option<Window>,
        paging: &Paging,
    ) -> Result<Page<UrlLog>, OperationError> {
        let _ = (caller, id, window, paging);
        Err(not_built())
    }
}
