//! Monitors: listed, read, made, changed, put into the bin and taken out of it, paused, looked at now, copied.
//!
//! Bodies are read by the reader of the file, so that a mistake is told in the same words everywhere.

use std::time::Duration;

use quaywatch_core::doc::{Node, Problem};
use quaywatch_core::judge::Status;
use quaywatch_core::{AccountId, ErrorCode, IncidentId, MonitorId, MonitorSpec, Timestamp};
use quaywatch_store::records::Owner;

use super::page::{Page, Paging};
use super::refuse::not_built;
use super::{OperationError, Operations};
use crate::caller::Caller;

/// A monitor as it may be shown.
#[derive(Debug, Clone, PartialEq)]
pub struct MonitorView {
    /// Its number.
    pub id: MonitorId,
    /// Whose it is.
    pub account: AccountId,
    /// `id:` if it was given, else the name at creation.
    pub key: String,
    /// What it is, with its name, defaults filled in.
    pub spec: MonitorSpec,
    /// Counts edits: the entity tag.
    pub revision: u32,
    /// Who may change it: `managed_by`.
    pub owner: Owner,
    /// Where its owner wrote it, where that is a file and it was asked for.
    pub source: Option<Source>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was put into the bin, if it lies there.
    pub removed_at: Option<Timestamp>,
    /// Set while somebody paused it.
    pub paused: Option<PauseView>,
    /// What is said of it now.
    pub status: Status,
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub code: ErrorCode,
    /// The incident that is open.
    pub incident: Option<IncidentId>,
    /// What its last check saw.
    pub last: Option<LastCheck>,
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file's name.
    pub file: String,
    /// The line, from 1; `None` where it cannot be told.
    pub line: Option<u32>,
}

/// A pause that somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PauseView {
    /// When it ends by itself.
    pub until: Option<Timestamp>,
    /// Why.
    pub reason: Option<String>,
}

/// The last check of a monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastCheck {
    /// Its slot.
    pub at: Timestamp,
    /// What it saw.
    pub code: ErrorCode,
    /// Handshake time.
    pub latency_us: Option<u32>,
}

/// Which monitors are wanted, and in what order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MonitorQuery {
    /// Only those with this in their name or host, whatever the case.
    pub search: Option<String>,
    /// Only those that are one of these; empty: all.
    pub statuses: Vec<Status>,
    /// Only of this kind: `tcp`.
    pub kind: Option<String>,
    /// Only with this host.
    pub host: Option<String>,
    /// Only with this port.
    pub port: Option<u16>,
    /// Only in this group, or below it.
    pub group: Option<String>,
    /// Only with all of these tags.
    pub tags: Vec<TagFilter>,
    /// Only those that are checked from this location.
    pub location: Option<String>,
    /// Only those of this owner.
    pub owner: Option<Owner>,
    /// Only those that somebody paused (`true`), or that nobody did (`false`).
    pub paused: Option<bool>,
    /// Only those that are switched on in their spec (`true`), or off (`false`).
    pub enabled: Option<bool>,
    /// Only those that name this channel.
    pub channel: Option<String>,
    /// In what order.
    pub sort: MonitorSort,
    /// The other way round.
    pub descending: bool,
    /// Which page.
    pub paging: Paging,
}

/// A tag that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagFilter {
    /// Its name.
    pub name: String,
    /// Its value; `None`: any.
    pub value: Option<String>,
}

/// The order of a list of monitors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum MonitorSort {
    /// As they were made.
    #[default]
    Id,
    /// By name.
    Name,
    /// Trouble first.
    Status,
    /// By the time of the last change of status.
    Since,
    /// By the time of the last edit.
    Updated,
}

/// A page of monitors.
#[derive(Debug, Clone, PartialEq)]
pub struct MonitorList {
    /// The monitors.
    pub page: Page<MonitorView>,
    /// How many there are in all; `None` where counting them would take too long.
    pub total: Option<u64>,
    /// How many of the whole account are what, whatever was asked for.
    pub counts: StatusCounts,
}

/// How many monitors are what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StatusCounts([u64; 8]);

impl StatusCounts {
    /// All statuses, trouble first.
    pub const ORDER: [Status; 8] = [
        Status::Down,
        Status::Degraded,
        Status::Unknown,
        Status::Blocked,
        Status::Pending,
        Status::Maintenance,
        Status::Paused,
        Status::Up,
    ];

    /// How many are this.
    #[must_use]
    pub const fn of(&self, status: Status) -> u64 {
        self.0[status as usize]
    }

    /// So many more are this.
    pub const fn add(&mut self, status: Status, count: u64) {
        self.0[status as usize] += count;
    }

    /// How many there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// What is worst among them; `None` where there are none.
    #[must_use]
    pub fn worst(&self) -> Option<Status> {
        Self::ORDER.into_iter().find(|status| self.of(*status) > 0)
    }
}

/// A monitor that was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// As it is now.
    pub monitor: MonitorView,
    /// What works but is probably not meant.
    pub warnings: Vec<Problem>,
}

/// For how long to pause, and why.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PauseFor {
    /// When it ends by itself; `None`: when somebody resumes it.
    pub until: Option<Timestamp>,
    /// Why; at most 500 characters.
    pub reason: Option<String>,
}

impl PauseFor {
    /// A pause of this length.
    #[must_use]
    pub fn lasting(length: Duration, now: Timestamp) -> Self {
        Self { until: Some(now + length), reason: None }
    }
}

impl Operations {
    /// Monitors of the account.
    ///
    /// # Errors
    /// Where the caller may not, or a cursor is none.
    pub async fn list_monitors(
        &self,
        caller: &Caller,
        query: &MonitorQuery,
    ) -> Result<MonitorList, OperationError> {
        let _ = (caller, query);
        Err(not_built())
    }

    /// One monitor.
    ///
    /// # Errors
    /// Where the caller may not, or there is none.
    pub async fn read_monitor(&self, caller: &Caller, id: MonitorId) -> Result<MonitorView, OperationError> {
        let _ = (caller, id);
        Err(not_built())
    }

    /// The number of the monitor of this id (`m42`), key or name.
    ///
    /// # Errors
    /// Where the caller may not, or there is none.
    pub async fn find_monitor(&self, caller: &Caller, which: &str) -> Result<MonitorId, OperationError> {
        let _ = (caller, which);
        Err(not_built())
    }

    /// Makes a monitor. What would be several (`hosts`, `ports`, `preset`) goes through [`Operations::bulk_monitors`].
    ///
    /// # Errors
    /// Where the caller may not, the body is wrong, the name is taken, or the plan allows no more.
    pub async fn create_monitor(&self, caller: &Caller, body: &Node<'_>) -> Result<Written, OperationError> {
        let _ = (caller, body);
        Err(not_built())
    }

    /// Changes a monitor (RFC 7396: `null` takes a setting back to its default, what is not named stays).
    ///
    /// # Errors
    /// Where the caller may not, there is none, a file owns it, it has another revision, or the result would be wrong.
    pub async fn update_monitor(
        &self,
        caller: &Caller,
        id: MonitorId,
        patch: &Node<'_>,
        revision: Option<u32>,
    ) -> Result<Written, OperationError> {
        let _ = (caller, id, patch, revision);
        Err(not_built())
    }

    /// Puts a monitor into the bin, with its history.
    ///
    /// # Errors
    /// Where the caller may not, there is none, a file owns it, or it has another revision.
    pub async fn delete_monitor(
        &self,
        caller: &Caller,
        id: MonitorId,
        revision: Option<u32>,
    ) -> Result<(), OperationError> {
        let _ = (caller, id, revision);
        Err(not_built())
    }

    /// Takes a monitor out of the bin again, with its history.
    ///
    /// # Errors
    /// Where the caller may not, there is none in the bin, its name was taken since, or the plan allows no more.
    pub async fn restore_monitor(
        &self,
        caller: &Caller,
        id: MonitorId,
    ) -> Result<MonitorView, OperationError> {
        let _ = (caller, id);
        Err(not_built())
    }

    /// Stops looking, until then or until somebody resumes it; whoever owns the monitor. Kept over reloads.
    ///
    /// # Errors
    /// Where the caller may not, there is none, or the end lies in the past.
    pub async fn pause_monitor(
        &self,
        caller: &Caller,
        id: MonitorId,
        pause: &PauseFor,
    ) -> Result<MonitorView, OperationError> {
        let _ = (caller, id, pause);
        Err(not_built())
    }

    /// Looks again. Resuming what is not paused changes nothing.
    ///
    /// # Errors
    /// Where the caller may not, or there is none.
    pub async fn resume_monitor(
        &self,
        caller: &Caller,
        id: MonitorId,
    ) -> Result<MonitorView, OperationError> {
        let _ = (caller, id);
        Err(not_built())
    }

    /// Looks now; the slot by which the result is found.
    ///
    /// # Errors
    /// Where the caller may not, there is none, it is paused, or somebody did so a moment ago.
    pub async fn check_now(&self, caller: &Caller, id: MonitorId) -> Result<Timestamp, OperationError> {
        let _ = (caller, id);
        Err(not_built())
    }

    /// Makes a monitor like another one, with these settings laid over it; its name is `… (copy)` where none is given.
    ///
    /// # Errors
    /// As for [`Operations::create_monitor`].
    pub async fn clone_monitor(
        &self,
        caller: &Caller,
        id: MonitorId,
        over: Option<&Node<'_>>,
    ) -> Result<Written, OperationError> {
        let _ = (caller, id, over);
        Err(not_built())
    }
}
