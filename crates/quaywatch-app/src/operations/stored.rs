//! What the store holds of monitors, as operations ask for it, and as it may be shown.

use std::collections::BTreeMap;

use quaywatch_core::{AccountId, MonitorId};
use quaywatch_engine::{Select, Surveyed};
use quaywatch_store::records::{self, MonitorRecord, MonitorRow, Owner};

use super::monitors::{LastCheck, MonitorFilter, MonitorList, MonitorQuery, MonitorView, PauseView};
use super::page::{self, Page, bad_cursor};
use super::reading::ToSpec as _;
use super::refuse::not_found;
use super::{OperationError, Operations, naming};

impl Operations {
    /// The record of one monitor.
    pub(super) async fn stored(
        &self,
        account: AccountId,
        id: MonitorId,
    ) -> Result<MonitorRecord, OperationError> {
        self.store.account(account).monitor(id).await?.ok_or_else(|| not_found("monitor", id))
    }

    /// The records of those that are there.
    pub(super) async fn stored_all(
        &self,
        account: AccountId,
        ids: &[MonitorId],
    ) -> Result<BTreeMap<MonitorId, MonitorRecord>, OperationError> {
        let found = self.store.account(account).monitors_by_ids(ids.to_vec()).await?;
        Ok(found.into_iter().map(|one| (one.id, one)).collect())
    }

    /// The records of those that belong to nobody but the account and have one of these keys.
    pub(super) async fn stored_by_keys(
        &self,
        account: AccountId,
        keys: Vec<String>,
    ) -> Result<BTreeMap<String, MonitorRecord>, OperationError> {
        let found = self.store.account(account).monitors_by_keys(Owner::Api, keys).await?;
        Ok(found.into_iter().map(|one| (one.key.clone(), one)).collect())
    }

    /// How many monitors there are, those in the bin left out.
    pub(super) async fn count_stored(&self, account: AccountId) -> Result<u64, OperationError> {
        Ok(self.store.account(account).counts().await?.monitors)
    }

    /// A page of monitors.
    pub(super) async fn stored_page(
        &self,
        account: AccountId,
        query: &MonitorQuery,
    ) -> Result<MonitorList, OperationError> {
        let store = self.store.account(account);
        let after = query.paging.place()?.map(|place| place.parse()).transpose().map_err(|_| bad_cursor())?;
        let mut channels = Vec::new();
        for name in &query.filter.channels {
            channels.append(&mut self.names_of_channel(account, name).await?);
        }
        let asked = records::MonitorQuery {
            filter: MonitorFilter { channels, ..query.filter.clone() },
            sort: query.sort,
            descending: query.descending,
            after,
            limit: query.paging.size(),
        };
        let page = store.monitor_page(asked).await?;
        let counts = store.status_counts().await?;
        let next = page.next.map(|place| page::cursor(place.to_string()));
        let items = self.views(page.items).await?;
        Ok(MonitorList { page: Page { items, next }, total: page.total, counts })
    }

    /// Everything by which monitors may name one channel.
    async fn names_of_channel(&self, account: AccountId, name: &str) -> Result<Vec<String>, OperationError> {
        let mut names = vec![name.to_owned()];
        for channel in self.store.account(account).channels().await? {
            if naming::means(name, &channel) {
                names.extend([channel.name, channel.key, channel.id.to_string()]);
            }
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// One monitor as it may be shown.
    pub(super) async fn view(
        &self,
        account: AccountId,
        id: MonitorId,
    ) -> Result<MonitorView, OperationError> {
        let mut rows = self.store.account(account).monitor_rows(vec![id]).await?;
        rows.retain(|row| row.removed_at.is_none());
        self.views(rows).await?.pop().ok_or_else(|| not_found("monitor", id))
    }

    /// Monitors as they may be shown, in their order.
    pub(super) async fn views(&self, rows: Vec<MonitorRow>) -> Result<Vec<MonitorView>, OperationError> {
        let ids: Vec<MonitorId> = rows.iter().map(|row| row.monitor.id).collect();
        let seen = self.last_checks(ids).await;
        let view = |row: MonitorRow| {
            let MonitorRow { monitor, pause, .. } = row;
            Ok(MonitorView {
                spec: monitor.to_spec()?,
                id: monitor.id,
                account: monitor.account,
                key: monitor.key,
                revision: monitor.revision,
                owner: monitor.owner,
                source: None,
                created_at: monitor.created_at,
                removed_at: row.removed_at,
                paused: pause.map(|pause| PauseView {
                    until: pause.until,
                    reason: (!pause.reason.is_empty()).then_some(pause.reason),
                }),
                status: row.status,
                since: row.since,
                code: row.code,
                incident: row.incident,
                last: seen.get(&monitor.id).copied(),
            })
        };
        rows.into_iter().map(view).collect()
    }

    /// What the engine has seen of these last. Not the store: nobody should wait for blocks to be read.
    pub(super) async fn last_checks(&self, ids: Vec<MonitorId>) -> BTreeMap<MonitorId, LastCheck> {
        let Some(engine) = self.engine().filter(|_| !ids.is_empty()) else { return BTreeMap::new() };
        let survey = engine.surveyor().survey(Select::These(ids)).await.unwrap_or_default();
        let last = |one: Surveyed| {
            let (code, at) = (one.last?, one.last_at?);
            let latency_us = one.last_ok_us.filter(|_| one.last_ok_at == Some(at));
            Some((one.id, LastCheck { at, code, latency_us }))
        };
        survey.monitors.into_iter().filter_map(last).collect()
    }
}
