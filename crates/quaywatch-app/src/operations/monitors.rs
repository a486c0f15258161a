//! Monitors as they may be shown: listed and read. How they change stands in `edits` and `acts`.

use std::time::Duration;

use quaywatch_core::access::{Level, Policy, Resource};
use quaywatch_core::doc::Problem;
use quaywatch_core::judge::Status;
use quaywatch_core::{AccountId, ErrorCode, IncidentId, MonitorId, MonitorSpec, Timestamp};
use quaywatch_store::records::Owner;
pub use quaywatch_store::records::{MonitorFilter, MonitorSort, StatusCounts, TagFilter};

use super::page::{Page, Paging};
use super::refuse::not_found;
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
    /// Which. A channel may be named by its number as well.
    pub filter: MonitorFilter,
    /// In what order.
    pub sort: MonitorSort,
    /// The other way round.
    pub descending: bool,
    /// Which page.
    pub paging: Paging,
}

impl From<MonitorFilter> for MonitorQuery {
    fn from(filter: MonitorFilter) -> Self {
        Self { filter, ..Self::default() }
    }
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

/// Reading monitors.
pub(super) const LOOK: Policy = Policy::new(Resource::Monitors, Level::Look);
/// Changing monitors, and making the server dial.
pub(super) const EDIT: Policy = Policy::new(Resource::Monitors, Level::Edit);

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
        caller.require(LOOK)?;
        self.stored_page(caller.account, query).await
    }

    /// One monitor, with its place where a file owns it.
    ///
    /// # Errors
    /// Where the caller may not, or there is none.
    pub async fn read_monitor(&self, caller: &Caller, id: MonitorId) -> Result<MonitorView, OperationError> {
        caller.require(LOOK)?;
        let mut view = self.view(caller.account, id).await?;
        view.source = self.source(&view.owner, &view.key).await?;
        Ok(view)
    }

    /// The number of the monitor of this id (`m42`), key or name.
    ///
    /// # Errors
    /// Where the caller may not, or there is none.
    pub async fn find_monitor(&self, caller: &Caller, which: &str) -> Result<MonitorId, OperationError> {
        caller.require(LOOK)?;
        // A name wins over a number: whoever calls a monitor `m42` means that one.
        if let Some(record) = self.account(caller).monitor_named(which).await? {
            return Ok(record.id);
        }
        let id: MonitorId = which.parse().map_err(|_| not_found("monitor", which))?;
        self.stored(caller.account, id).await.map(|record| record.id)
    }
}
