//! What operations of one account may see and change.

use std::sync::Arc;

use quaywatch_core::access::Role;
use quaywatch_core::{AccountId, ChannelId, IncidentId, LocationId, MonitorId, Timestamp, TokenId, UserId};
use rusqlite::{Connection, Row, Transaction, params};

use super::convert::{self, incident_blob};
use super::error::damaged;
use super::people::{doors, members, tokens};
use super::query::{one, rows};
use super::readers::Limit;
use super::{
    Inner, apply, audit, bin, history, incidents, listing, page, pause, statuses, tenancy, transitions,
};
use crate::blocks::key;
use crate::records::*;
use crate::{AccountStore, BoxFuture, Result};

/// One account's view.
pub(super) struct Handle {
    inner: Arc<Inner>,
    account: AccountId,
}

impl Handle {
    pub(super) const fn new(inner: Arc<Inner>, account: AccountId) -> Self {
        Self { inner, account }
    }

    fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection, AccountId) -> Result<T> + Send + 'static,
    ) -> BoxFuture<'_, Result<T>> {
        let account = self.account;
        self.inner.read(Limit::FiveSeconds, move |connection| read(connection, account))
    }

    fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Transaction<'_>, AccountId) -> Result<T> + Send + 'static,
    ) -> BoxFuture<'_, Result<T>> {
        let account = self.account;
        self.inner.write(move |tx| write(tx, account))
    }

    /// As `read`; nothing where the monitor is another account's.
    fn read_of<T: Send + 'static>(
        &self,
        monitor: MonitorId,
        read: impl FnOnce(&Connection) -> Result<Vec<T>> + Send + 'static,
    ) -> BoxFuture<'_, Result<Vec<T>>> {
        self.read(move |connection, account| {
            if history::owns(connection, account, monitor)? { read(connection) } else { Ok(Vec::new()) }
        })
    }
}

impl AccountStore for Handle {
    fn monitors(&self) -> BoxFuture<'_, Result<Vec<MonitorRecord>>> {
        self.read(|connection, account| {
            let sql = format!(
                "SELECT {} FROM monitor WHERE account_id = ?1 AND removed_at IS NULL",
                convert::MONITOR
            );
            let mut monitors = rows(connection, &sql, [account.0], convert::monitor)?;
            monitors.sort_unstable_by_key(|monitor| monitor.id);
            Ok(monitors)
        })
    }

    fn monitor_named<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<MonitorRecord>>> {
        let name = name.to_owned();
        self.read(move |connection, account| {
            let sql = format!(
                "SELECT {0} FROM monitor WHERE account_id = ?1 AND name = ?2 AND removed_at IS NULL
                 UNION ALL
                 SELECT {0} FROM monitor WHERE account_id = ?1 AND resource_key = ?2 AND removed_at IS NULL",
                convert::MONITOR
            );
            // Several owners may use one name: then the key decides, then the age.
            let found = rows(connection, &sql, params![account.0, name], convert::monitor)?;
            Ok(found.into_iter().min_by_key(|monitor| (monitor.key != name, monitor.id)))
        })
    }

    fn channels(&self) -> BoxFuture<'_, Result<Vec<ChannelRecord>>> {
        self.read(|connection, account| {
            let sql = format!(
                "SELECT {} FROM channel WHERE account_id = ?1 AND removed_at IS NULL ORDER BY id",
                convert::CHANNEL
            );
            rows(connection, &sql, [account.0], convert::channel)
        })
    }

    fn apply(&self, changes: ChangeSet, at: Timestamp) -> BoxFuture<'_, Result<Applied>> {
        self.write(move |tx, account| apply::apply(tx, account, changes, at))
    }

    fn statuses(&self) -> BoxFuture<'_, Result<Vec<StatusRecord>>> {
        self.read(statuses::statuses)
    }

    fn results(&self, monitor: MonitorId, window: Window) -> BoxFuture<'_, Result<Vec<CheckRow>>> {
        self.read_of(monitor, move |connection| history::results(connection, monitor, window))
    }

    fn summaries(&self, monitor: MonitorId, window: Window) -> BoxFuture<'_, Result<Vec<SummaryRow>>> {
        self.read_of(monitor, move |connection| history::summaries(connection, monitor, window))
    }

    fn daily_summaries(&self, monitor: MonitorId, window: Window) -> BoxFuture<'_, Result<Vec<SummaryRow>>> {
        self.read_of(monitor, move |connection| history::daily_summaries(connection, monitor, window))
    }

    fn intervals(&self, monitor: MonitorId, window: Window) -> BoxFuture<'_, Result<Vec<Interval>>> {
        self.read(move |connection, account| {
            rows(
                connection,
                "SELECT monitor_id, from_at, to_at, status, code, incident_id FROM interval
                 WHERE account_id = ?1 AND monitor_id = ?2 AND from_at < ?4 AND (to_at IS NULL OR to_at > ?3)
                 ORDER BY from_at",
                [account.0, monitor.0, window.from.0, window.to.0],
                convert::interval,
            )
        })
    }

    fn blind(&self, window: Window) -> BoxFuture<'_, Result<Vec<Blind>>> {
        self.read(move |connection, _| {
            rows(
                connection,
                "SELECT location_id, from_at, to_at, code FROM blind
                 WHERE from_at < ?2 AND (to_at IS NULL OR to_at > ?1) ORDER BY from_at, location_id",
                [window.from.0, window.to.0],
                convert::blind,
            )
        })
    }

    fn incidents(&self, filter: IncidentFilter) -> BoxFuture<'_, Result<Vec<IncidentRecord>>> {
        self.read(move |connection, account| incidents::incidents(connection, account, &filter))
    }

    fn events(&self, incident: IncidentId) -> BoxFuture<'_, Result<Vec<EventRecord>>> {
        self.read(move |connection, account| {
            rows(
                connection,
                "SELECT incident_id, sequence, at, kind, snapshot FROM incident_event
                 WHERE account_id = ?1 AND incident_id = ?2 ORDER BY sequence",
                params![account.0, incident_blob(incident)],
                |row| convert::event(row, 0),
            )
        })
    }

    fn evidence(&self, monitor: MonitorId, window: Window) -> BoxFuture<'_, Result<Vec<EvidenceRecord>>> {
        self.read(move |connection, account| {
            rows(
                connection,
                "SELECT monitor_id, location_id, slot, code, incident_id, evidence FROM evidence
                 WHERE account_id = ?1 AND monitor_id = ?2 AND slot >= ?3 AND slot < ?4 ORDER BY slot, location_id",
                [account.0, monitor.0, window.from.0, window.to.0],
                evidence,
            )?
            .into_iter()
            .collect()
        })
    }

    fn inputs(&self, monitor: MonitorId, window: Window) -> BoxFuture<'_, Result<Vec<InputRecord>>> {
        self.read(move |connection, account| {
            rows(
                connection,
                "SELECT monitor_id, at, kind, detail FROM input
                 WHERE account_id = ?1 AND monitor_id = ?2 AND at >= ?3 AND at < ?4 ORDER BY at, seq",
                [account.0, monitor.0, window.from.0, window.to.0],
                convert::input,
            )
        })
    }

    fn monitor(&self, id: MonitorId) -> BoxFuture<'_, Result<Option<MonitorRecord>>> {
        self.read(move |connection, account| {
            let sql = format!(
                "SELECT {} FROM monitor WHERE key = ?1 AND account_id = ?2 AND removed_at IS NULL",
                convert::MONITOR
            );
            one(connection, &sql, [key::monitor(id), account.0], convert::monitor)
        })
    }

    fn monitors_by_ids(&self, ids: Vec<MonitorId>) -> BoxFuture<'_, Result<Vec<MonitorRecord>>> {
        self.read(move |connection, account| listing::by_ids(connection, account, &ids))
    }
    fn monitors_by_keys(&self, owner: Owner, keys: Vec<String>) -> BoxFuture<'_, Result<Vec<MonitorRecord>>> {
        self.read(move |connection, account| listing::by_keys(connection, account, (&owner, &keys)))
    }
    fn revisions(&self, id: MonitorId, limit: usize) -> BoxFuture<'_, Result<Vec<RevisionRecord>>> {
        self.read(move |connection, account| listing::revisions(connection, account, id, limit))
    }
    fn monitor_rows(&self, ids: Vec<MonitorId>) -> BoxFuture<'_, Result<Vec<MonitorRow>>> {
        self.read(move |connection, account| listing::rows_of(connection, account, &ids))
    }
    fn monitor_page(&self, query: MonitorQuery) -> BoxFuture<'_, Result<MonitorPage>> {
        self.read(move |connection, account| page::page(connection, account, &query))
    }
    fn status_counts(&self) -> BoxFuture<'_, Result<StatusCounts>> {
        self.read(listing::status_counts)
    }
    fn groups(&self) -> BoxFuture<'_, Result<Vec<GroupCount>>> {
        self.read(listing::groups)
    }
    fn tags(&self) -> BoxFuture<'_, Result<Vec<TagCount>>> {
        self.read(listing::tags)
    }
    fn monitors_naming(&self, names: Vec<String>, limit: usize) -> BoxFuture<'_, Result<Vec<MonitorRecord>>> {
        self.read(move |connection, account| listing::monitors_naming(connection, account, &names, limit))
    }
    fn removed_monitors(
        &self,
        after: Option<(Timestamp, MonitorId)>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<MonitorRow>>> {
        self.read(move |connection, account| listing::removed_monitors(connection, account, after, limit))
    }
    fn in_bin(&self, most: u64) -> BoxFuture<'_, Result<u64>> {
        self.read(move |connection, account| bin::in_bin(connection, account, most))
    }
    fn beyond_in_bin(&self, kept: u64, limit: usize) -> BoxFuture<'_, Result<Vec<Binned>>> {
        self.read(move |connection, account| bin::beyond(connection, account, (kept, limit)))
    }
    fn purge(&self, binned: Vec<Binned>) -> BoxFuture<'_, Result<Vec<Binned>>> {
        Box::pin(bin::purge(&self.inner, self.account, binned))
    }
    fn channels_beyond_in_bin(&self, kept: u64, limit: usize) -> BoxFuture<'_, Result<Vec<BinnedChannel>>> {
        self.read(move |connection, account| bin::channels_beyond(connection, account, (kept, limit)))
    }
    fn purge_channels(&self, binned: Vec<BinnedChannel>) -> BoxFuture<'_, Result<Vec<BinnedChannel>>> {
        Box::pin(bin::purge_channels(&self.inner, self.account, binned))
    }
    fn set_paused(
        &self,
        ids: Vec<MonitorId>,
        pause: Option<Pause>,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<Applied>> {
        self.write(move |tx, account| pause::set_paused(tx, account, &ids, pause.as_ref(), (at, &author)))
    }
    fn channel(&self, id: ChannelId) -> BoxFuture<'_, Result<Option<ChannelRecord>>> {
        self.read(move |connection, account| {
            let sql = format!(
                "SELECT {} FROM channel WHERE id = ?1 AND account_id = ?2 AND removed_at IS NULL",
                convert::CHANNEL
            );
            one(connection, &sql, [id.0, account.0], convert::channel)
        })
    }

    fn removed_channels(&self) -> BoxFuture<'_, Result<Vec<RemovedChannel>>> {
        self.read(listing::removed_channels)
    }
    fn incident(&self, id: IncidentId) -> BoxFuture<'_, Result<Option<IncidentRecord>>> {
        self.read(move |connection, account| {
            let sql = format!("SELECT {} FROM incident WHERE account_id = ?1 AND id = ?2", convert::INCIDENT);
            one(connection, &sql, params![account.0, incident_blob(id)], convert::incident)
        })
    }

    fn deliveries(&self, incident: IncidentId) -> BoxFuture<'_, Result<Vec<DeliveryRecord>>> {
        self.read(move |connection, account| incidents::deliveries(connection, account, incident))
    }
    fn account_intervals(&self, filter: IntervalFilter) -> BoxFuture<'_, Result<Vec<Interval>>> {
        self.read(move |connection, account| incidents::intervals(connection, account, &filter))
    }
    fn intervals_at(&self, at: Timestamp) -> BoxFuture<'_, Result<Vec<Interval>>> {
        self.read(move |connection, account| incidents::intervals_at(connection, account, at))
    }
    fn transitions(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Vec<TransitionRecord>>> {
        self.read(move |connection, account| transitions::after(connection, account, (after, limit)))
    }
    fn newest_transition(&self) -> BoxFuture<'_, Result<u64>> {
        self.read(move |connection, _| transitions::newest(connection))
    }
    fn audit(&self, filter: AuditFilter) -> BoxFuture<'_, Result<Vec<AuditRecord>>> {
        self.read(move |connection, account| audit::read(connection, account, &filter))
    }
    fn detail(&self) -> BoxFuture<'_, Result<AccountDetail>> {
        self.read(tenancy::detail)
    }
    fn counts(&self) -> BoxFuture<'_, Result<AccountCounts>> {
        self.read(tenancy::counts)
    }
    fn rename(&self, name: String, author: Author, at: Timestamp) -> BoxFuture<'_, Result<()>> {
        self.write(move |tx, account| tenancy::rename(tx, account, &name, (at, &author)))
    }
    fn set_plan(&self, plan: String, author: Author, at: Timestamp) -> BoxFuture<'_, Result<()>> {
        self.write(move |tx, account| tenancy::set(tx, account, ("plan", &plan), (at, &author)))
    }
    fn set_settings(&self, settings: String, author: Author, at: Timestamp) -> BoxFuture<'_, Result<()>> {
        self.write(move |tx, account| tenancy::set(tx, account, ("settings", &settings), (at, &author)))
    }
    fn members(&self) -> BoxFuture<'_, Result<Vec<MemberRecord>>> {
        self.read(members::members)
    }
    fn set_role(&self, user: UserId, role: Role, author: Author, at: Timestamp) -> BoxFuture<'_, Result<()>> {
        self.write(move |tx, account| members::set_role(tx, account, (user, role), (at, &author)))
    }
    fn change_role(
        &self,
        user: UserId,
        from: Role,
        to: Role,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>> {
        self.write(move |tx, account| members::change_role(tx, account, user, (from, to), (at, &author)))
    }
    fn remove_member(&self, user: UserId, author: Author, at: Timestamp) -> BoxFuture<'_, Result<()>> {
        self.write(move |tx, account| members::remove_member(tx, account, user, (at, &author)))
    }
    fn tokens(&self) -> BoxFuture<'_, Result<Vec<TokenRecord>>> {
        self.read(tokens::tokens)
    }
    fn create_token(
        &self,
        token: NewToken,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<TokenRecord>> {
        self.write(move |tx, account| tokens::create_token(tx, account, &token, (at, &author)))
    }
    fn revoke_token(&self, id: TokenId, author: Author, at: Timestamp) -> BoxFuture<'_, Result<TokenRecord>> {
        self.write(move |tx, account| tokens::revoke_token(tx, account, id, (at, &author)))
    }
    fn invitations(&self) -> BoxFuture<'_, Result<Vec<InvitationRecord>>> {
        self.read(doors::invitations)
    }
    fn create_invitation(
        &self,
        invitation: NewInvitation,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<InvitationRecord>> {
        self.write(move |tx, account| doors::create_invitation(tx, account, &invitation, (at, &author)))
    }
    fn revoke_invitation(&self, id: i64, author: Author, at: Timestamp) -> BoxFuture<'_, Result<()>> {
        self.write(move |tx, account| doors::revoke_invitation(tx, account, id, (at, &author)))
    }
    fn begin_call(&self, call: IdempotentCall, at: Timestamp) -> BoxFuture<'_, Result<Idempotency>> {
        self.write(move |tx, account| tenancy::begin_call(tx, account, &call, at))
    }
    fn answer_call(&self, call: IdempotentCall, answer: StoredAnswer) -> BoxFuture<'_, Result<()>> {
        self.write(move |tx, account| tenancy::answer_call(tx, account, &call, &answer))
    }
    fn forget_call(&self, call: IdempotentCall) -> BoxFuture<'_, Result<()>> {
        self.write(move |tx, account| tenancy::forget_call(tx, account, &call))
    }
}

fn evidence(row: &Row<'_>) -> rusqlite::Result<Result<EvidenceRecord>> {
    let slot: i64 = row.get(2)?;
    let Ok(evidence) = serde_json::from_str(row.get_ref(5)?.as_str()?) else {
        let unreadable = crate::blocks::Corrupt("evidence that cannot be read");
        return Ok(Err(damaged("evidence", slot)(unreadable)));
    };
    Ok(Ok(EvidenceRecord {
        monitor: MonitorId(row.get(0)?),
        location: LocationId(row.get(1)?),
        slot: Timestamp(slot),
        code: convert::code(row, 3)?,
        incident: row.get::<_, Option<[u8; 16]>>(4)?.map(convert::incident_id),
        evidence,
    }))
}
