//! What the store holds of monitors, as operations ask for it, and as it may be shown.

use std::collections::BTreeMap;

use quaywatch_core::judge::Status;
use quaywatch_core::{AccountId, MonitorId};
use quaywatch_store::records::{IncidentFilter, MonitorRecord, Owner, StatusRecord};

use super::monitors::{LastCheck, MonitorList, MonitorQuery, MonitorView, PauseView};
use super::reading::ToSpec as _;
use super::refuse::not_found;
use super::{OperationError, Operations};

impl Operations {
    /// The record of one monitor.
    pub(super) async fn stored(
        &self,
        account: AccountId,
        id: MonitorId,
    ) -> Result<MonitorRecord, OperationError> {
        self.stored_all(account, &[id]).await?.remove(&id).ok_or_else(|| not_found("monitor", id))
    }

    /// The records of those that are there.
    pub(super) async fn stored_all(
        &self,
        account: AccountId,
        ids: &[MonitorId],
    ) -> Result<BTreeMap<MonitorId, MonitorRecord>, OperationError> {
        let all = self.store.account(account).monitors().await?;
        Ok(all.into_iter().filter(|one| ids.contains(&one.id)).map(|one| (one.id, one)).collect())
    }

    /// The records of those of an owner that have one of these keys.
    pub(super) async fn stored_by_keys(
        &self,
        account: AccountId,
        owner: &Owner,
        keys: &[String],
    ) -> Result<BTreeMap<String, MonitorRecord>, OperationError> {
        let all = self.store.account(account).monitors().await?;
        let wanted: std::collections::BTreeSet<&str> = keys.iter().map(String::as_str).collect();
        let mine = all.into_iter().filter(|one| one.owner == *owner && wanted.contains(one.key.as_str()));
        Ok(mine.map(|one| (one.key.clone(), one)).collect())
    }

    /// How many monitors there are, those in the bin left out.
    pub(super) async fn count_stored(&self, account: AccountId) -> Result<u64, OperationError> {
        Ok(self.store.account(account).monitors().await?.len() as u64)
    }

    /// What is said of these monitors now, in their order.
    pub(super) async fn statuses_of(
        &self,
        account: AccountId,
        ids: &[MonitorId],
    ) -> Result<Vec<StatusRecord>, OperationError> {
        let all = self.store.account(account).statuses().await?;
        let mut found: BTreeMap<MonitorId, StatusRecord> =
            all.into_iter().map(|one| (one.monitor.id, one)).collect();
        Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
    }

    /// One monitor as it may be shown.
    pub(super) async fn view(
        &self,
        account: AccountId,
        id: MonitorId,
    ) -> Result<MonitorView, OperationError> {
        let statuses = self.statuses_of(account, &[id]).await?;
        self.views(account, statuses).await?.pop().ok_or_else(|| not_found("monitor", id))
    }

    /// Monitors as they may be shown, in their order.
    pub(super) async fn views(
        &self,
        account: AccountId,
        statuses: Vec<StatusRecord>,
    ) -> Result<Vec<MonitorView>, OperationError> {
        let filter = IncidentFilter { open: true, limit: usize::MAX >> 1, ..IncidentFilter::default() };
        let open = self.store.account(account).incidents(filter).await?;
        let incidents: BTreeMap<MonitorId, _> = open.iter().map(|one| (one.monitor, one.id)).collect();
        let view = |status: StatusRecord| {
            let spec = status.monitor.to_spec()?;
            let id = status.monitor.id;
            let paused = status.monitor.paused;
            Ok(MonitorView {
                id,
                account,
                key: status.monitor.key,
                spec,
                revision: status.monitor.revision,
                owner: status.monitor.owner,
                source: None,
                created_at: status.monitor.created_at,
                removed_at: None,
                paused: paused.then(PauseView::default),
                status: if paused { Status::Paused } else { status.status },
                since: status.since,
                code: status.code,
                incident: incidents.get(&id).copied(),
                last: status.last.map(|last| LastCheck {
                    at: last.slot,
                    code: last.code,
                    latency_us: last.latency_us,
                }),
            })
        };
        statuses.into_iter().map(view).collect()
    }
}

impl Operations {
    /// A page of monitors.
    pub(super) async fn stored_page(
        &self,
        account: AccountId,
        query: &MonitorQuery,
    ) -> Result<MonitorList, OperationError> {
        let _ = (account, query);
        Err(super::refuse::not_built())
    }
}
