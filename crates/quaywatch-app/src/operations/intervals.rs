//! When monitors were not up, and why. Time in which none of a monitor's locations could see is recorded once for the
//! location; here it is shown as the monitor's.

use quaywatch_core::judge::Status;
use quaywatch_core::{ErrorCode, IncidentId, MonitorId, Timestamp};
use quaywatch_store::records::Window;

use super::page::{Page, Paging};
use super::refuse::not_built;
use super::{OperationError, Operations};
use crate::caller::Caller;

/// Which intervals are wanted, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntervalQuery {
    /// Only of this monitor; without it blind time is left out, since it is the same for all.
    pub monitor: Option<MonitorId>,
    /// Only those that overlap this.
    pub window: Window,
    /// Only these; empty: all.
    pub statuses: Vec<Status>,
    /// Which page.
    pub paging: Paging,
}

/// A time in which a monitor was not up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntervalView {
    /// Whose.
    pub monitor: MonitorId,
    /// Inclusive; may lie before the window.
    pub from: Timestamp,
    /// Exclusive; `None`: still.
    pub to: Option<Timestamp>,
    /// What it was.
    pub status: Status,
    /// Why; in maintenance, what was underneath.
    pub code: ErrorCode,
    /// The sentence for it.
    pub sentence: &'static str,
    /// The incident it belongs to.
    pub incident: Option<IncidentId>,
    /// It was we who could not see: no location of the monitor could.
    pub blind: bool,
}

impl Operations {
    /// When monitors were not up.
    ///
    /// # Errors
    /// Where the caller may not, there is no such monitor, or window or cursor are none.
    pub async fn list_intervals(
        &self,
        caller: &Caller,
        query: &IntervalQuery,
    ) -> Result<Page<IntervalView>, OperationError> {
        let _ = (caller, query);
        Err(not_built())
    }
}
