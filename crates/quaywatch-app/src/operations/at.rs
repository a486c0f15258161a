//! What was said of monitors at a moment in the past: read from the intervals, exact to the millisecond.

use quaywatch_core::judge::Status;
use quaywatch_core::{ErrorCode, IncidentId, MonitorId, Timestamp};
use quaywatch_store::records::MonitorRecord;

use super::refuse::not_built;
use super::{OperationError, Operations};
use crate::caller::Caller;

/// What was said of a monitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateAt {
    /// Of which.
    pub monitor: MonitorId,
    /// At which moment.
    pub at: Timestamp,
    /// What it was; `None`: it had not been added yet.
    pub status: Option<Status>,
    /// Since when; `None`: since before records, or not known.
    pub since: Option<Timestamp>,
    /// Why.
    pub code: ErrorCode,
    /// The incident that was open.
    pub incident: Option<IncidentId>,
    /// No location of it could see then.
    pub blind: bool,
}

impl Operations {
    /// One monitor at a moment.
    ///
    /// # Errors
    /// Where the caller may not, there is no such monitor, or the moment has not come yet.
    pub async fn read_state_at(
        &self,
        caller: &Caller,
        monitor: MonitorId,
        at: Timestamp,
    ) -> Result<StateAt, OperationError> {
        let _ = (caller, monitor, at);
        Err(not_built())
    }

    /// The monitors of a page (as the list of monitors gives them) at a moment, in their order.
    ///
    /// # Errors
    /// Where the caller may not, or the moment has not come yet.
    pub async fn list_states_at(
        &self,
        caller: &Caller,
        monitors: &[MonitorRecord],
        at: Timestamp,
    ) -> Result<Vec<StateAt>, OperationError> {
        let _ = (caller, monitors, at);
        Err(not_built())
    }
}
