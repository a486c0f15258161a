//! What may be done to a monitor at run time, whoever owns it: pause, resume, look now.

use std::time::Duration;

use quaywatch_core::{MonitorId, Timestamp};
use quaywatch_store::records::Applied;

use super::changes::Turn;
use super::monitors::{EDIT, MonitorView, PauseFor};
use super::refuse::not_built;
use super::{OperationError, Operations};
use crate::caller::Caller;

impl Operations {
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
        caller.require(EDIT)?;
        let _ = (id, pause);
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
        caller.require(EDIT)?;
        let _ = id;
        Err(not_built())
    }

    /// Writes that these monitors are paused, or no longer, and returns when the engine follows.
    pub(super) async fn set_paused(
        &self,
        turn: &Turn<'_>,
        caller: &Caller,
        ids: &[MonitorId],
        pause: Option<&PauseFor>,
    ) -> Result<Applied, OperationError> {
        let _ = (turn, caller, ids, pause);
        Err(not_built())
    }

    /// Looks now; the slot by which the result is found.
    ///
    /// # Errors
    /// Where the caller may not, there is none, it is paused, or somebody did so a moment ago.
    pub async fn check_now(&self, caller: &Caller, id: MonitorId) -> Result<Timestamp, OperationError> {
        caller.require(EDIT)?;
        let _ = (id, Duration::ZERO);
        Err(not_built())
    }
}
