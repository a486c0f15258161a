//! The bin: what was removed and can still be brought back, with its history.

use std::time::Duration;

use quaywatch_core::{MonitorId, Timestamp};
use quaywatch_store::records::Owner;

use super::page::{Page, Paging};
use super::refuse::not_built;
use super::{OperationError, Operations};
use crate::caller::Caller;

/// A monitor in the bin. Channels in the bin: [`Operations::list_removed_channels`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedMonitor {
    /// Its number.
    pub id: MonitorId,
    /// Its name.
    pub name: String,
    /// `host:port`.
    pub target: String,
    /// Whose it was.
    pub owner: Owner,
    /// When it was removed.
    pub removed_at: Timestamp,
    /// When it will be gone for good.
    pub gone_at: Timestamp,
}

/// How long things stay in the bin where the file says nothing else.
pub const KEPT: Duration = Duration::from_secs(30 * 86_400);

impl Operations {
    /// Monitors in the bin, the last removed first.
    ///
    /// # Errors
    /// Where the caller may not, or a cursor is none.
    pub async fn list_removed_monitors(
        &self,
        caller: &Caller,
        paging: &Paging,
    ) -> Result<Page<RemovedMonitor>, OperationError> {
        let _ = (caller, paging);
        Err(not_built())
    }
}
