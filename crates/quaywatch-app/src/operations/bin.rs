//! The bin: what was removed and can still be brought back, with its history; and how much of it a plan lets lie there,
//! as whoever makes and removes monitors for ever would else fill the disk within any number of monitors.

use std::time::Duration;

use quaywatch_core::{AccountId, MonitorId, Timestamp};
use quaywatch_store::StoreError;
use quaywatch_store::records::Owner;

use super::monitors::LOOK;
use super::page::{Page, Paging};
use super::reading::ToSpec as _;
use super::{OperationError, Operations};
use crate::caller::Caller;
use crate::config::plans::Plan;

/// Monitors, and channels, that any bin keeps, however few the plan allows: whoever tries things out may change their mind.
const LEAST_KEPT: u64 = 20;
/// Nobody adds monitors while so many times what the bin keeps lies there. What is still to be told keeps monitors from
/// being deleted, for a day where a channel never takes it; so much is left to whoever has a bad day with a channel.
const FULL_AT: u64 = 10;
/// How often to look for bins that hold too much.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Monitors, or channels, chosen at once: choosing looks at everything in the bin.
const CHOSEN: usize = 1_000;
/// Between two pieces others come first.
const BREATH: Duration = Duration::from_millis(20);

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
    /// When it will be gone for good, if the plan lets it lie there for so long.
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

    /// Keeps bins as small as the plans of their accounts want them, until it is aborted.
    pub async fn keep_bins_small(&self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if let Err(error) = self.trim_bins().await {
                tracing::warn!(%error, "a bin holds more than it may and is looked at again");
            }
        }
    }

    /// Deletes for good what lies in bins beyond what plans keep, the longest there first.
    pub(super) async fn trim_bins(&self) -> Result<(), StoreError> {
        let settings = self.settings.now();
        if settings.plans.is_empty() {
            return Ok(());
        }
        for bin in self.store.system().bins(LEAST_KEPT).await? {
            let plan = settings.plans.of(bin.account, &bin.name, &bin.plan);
            if let Some(kept) = kept(plan.max_urls).filter(|kept| bin.monitors > *kept) {
                self.trim_monitors(bin.account, kept).await?;
            }
            if let Some(kept) = kept(plan.channels).filter(|kept| bin.channels > *kept) {
                self.trim_channels(bin.account, kept).await?;
            }
        }
        Ok(())
    }

    async fn trim_monitors(&self, account: AccountId, kept: u64) -> Result<(), StoreError> {
        loop {
            let mut left = self.store.account(account).beyond_in_bin(kept, CHOSEN).await?;
            let is_rest = left.len() < CHOSEN;
            while !left.is_empty() {
                let turn = self.changes.turn().await;
                if self.changes.owed() > 0 {
                    // The engine may not know yet that a monitor was removed, and still write of it.
                    return Ok(());
                }
                left = turn.purge(account, left).await?;
                drop(turn);
                tokio::time::sleep(BREATH).await;
            }
            if is_rest {
                return Ok(());
            }
        }
    }

    async fn trim_channels(&self, account: AccountId, kept: u64) -> Result<(), StoreError> {
        loop {
            let mut left = self.store.account(account).channels_beyond_in_bin(kept, CHOSEN).await?;
            let is_rest = left.len() < CHOSEN;
            while !left.is_empty() {
                let turn = self.changes.turn().await;
                if self.changes.owed() > 0 {
                    // As above: it may still tell one of them.
                    return Ok(());
                }
                left = turn.purge_channels(account, left).await?;
                drop(turn);
                tokio::time::sleep(BREATH).await;
            }
            if is_rest {
                return Ok(());
            }
        }
    }
}

/// How many monitors, or channels, the bin of an account keeps: as many as the plan allows, so that all of them can be
/// removed at once and brought back. `None`: all, for as long as bins keep things.
fn kept(allowed: Option<u64>) -> Option<u64> {
    allowed.map(|most| most.max(LEAST_KEPT))
}

/// How many monitors may lie in the bin of an account with this plan while others are added.
pub(super) fn most_to_add(plan: &Plan) -> Option<u64> {
    kept(plan.max_urls).map(|kept| kept.saturating_mul(FULL_AT))
}

/// More than `most` lie there.
pub(super) fn full(most: u64) -> OperationError {
    let message = format!(
        "more than {most} monitors lie in the bin, and none is added meanwhile. They are deleted for good within \
         minutes, but for those of which notices still wait for a channel: mend or remove the channel that does not \
         deliver. `GET /api/v1/bin/monitors` lists what lies there"
    );
    OperationError::Conflict { code: "bin_full", message }
}
