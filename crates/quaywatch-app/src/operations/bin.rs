//! The bin: what was removed and can still be brought back, with its history.

use quaywatch_core::{MonitorId, Timestamp};
use quaywatch_store::records::Owner;

use super::monitors::LOOK;
use super::page::{Page, Paging};
use super::reading::ToSpec as _;
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
        caller.require(LOOK)?;
        let after = paging.numbers::<2>()?.map(|[at, id]| (Timestamp(at), MonitorId(id)));
        let limit = paging.size();
        let kept = self.settings.now().bin;
        let mut items = Vec::with_capacity(limit);
        for row in self.account(caller).removed_monitors(after, limit + 1).await? {
            let Some(removed_at) = row.removed_at else { continue };
            items.push(RemovedMonitor {
                id: row.monitor.id,
                target: row.monitor.to_spec()?.target(),
                name: row.monitor.name,
                owner: row.monitor.owner,
                removed_at,
                gone_at: removed_at + kept,
            });
        }
        Ok(Page::cut(items, limit, |last| format!("{}.{}", last.removed_at.0, last.id.0)))
    }
}
