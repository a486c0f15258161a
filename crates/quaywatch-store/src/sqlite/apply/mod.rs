//! What an owner changes, all or nothing: numbered revisions, the bin, the change feed and the audit log in one
//! transaction. A hundred thousand monitors take seconds, for which commits wait: a file that brings so many is rare,
//! and half a file would be worse. Whoever is not bound to all or nothing changes in pieces.

mod channels;
mod monitors;

use std::collections::BTreeMap;

use quaywatch_core::{AccountId, ChannelId, MonitorId, Timestamp};
use rusqlite::{OptionalExtension, Transaction, params};

use super::audit::{self, Entry};
use super::error::engine;
use super::listed;
use super::query::run;
use crate::records::{AcceptedConfig, Applied, Author, ChangeSet, Owner, ResourceChange};
use crate::{Result, StoreError};

/// So many of the things that one change set changes get a row of their own in the audit log. Beyond that its summary
/// has to do: a file that brings a hundred thousand monitors is in the log by itself.
const AUDITED: usize = 1_000;

/// Applies a change set.
pub(super) fn apply(
    tx: &Transaction<'_>,
    account: AccountId,
    set: ChangeSet,
    at: Timestamp,
) -> Result<Applied> {
    let ChangeSet { owner, actor, changes, accepted } = set;
    let _room = Room::take(tx, changes.len())?;
    let mut apply = Apply::begin(tx, account, owner, actor, at)?;
    // Removals first: they may free a name that is wanted again.
    for change in &changes {
        apply.remove(change)?;
    }
    // Then names that are given up: two things may exchange theirs.
    for change in &changes {
        apply.let_go(change)?;
    }
    for change in changes {
        apply.put(change)?;
    }
    if let Some(config) = accepted {
        remember(tx, &config)?;
    }
    apply.finish()
}

/// More room for pages while very much changes: what does not fit is written twice.
struct Room<'a>(Option<&'a Transaction<'a>>);

impl<'a> Room<'a> {
    /// Changes that fit into the usual room.
    const USUAL: usize = 2_000;
    const KIB: i64 = 128 << 10;

    fn take(tx: &'a Transaction<'a>, changes: usize) -> Result<Self> {
        if changes <= Self::USUAL {
            return Ok(Self(None));
        }
        tx.pragma_update(None, "cache_size", -Self::KIB).map_err(engine)?;
        Ok(Self(Some(tx)))
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        if let Some(tx) = self.0 {
            // Where this fails, some memory stays taken until the next start.
            let _ = tx.pragma_update(None, "cache_size", -super::connection::WRITER_KIB);
        }
    }
}

struct Apply<'a> {
    tx: &'a Transaction<'a>,
    account: AccountId,
    owner: Owner,
    owner_text: String,
    author: Author,
    at: Timestamp,
    next_monitor: i64,
    next_channel: i64,
    first_new: (i64, i64),
    audited: usize,
    /// Names and keys of channels that stand under their numbers for now.
    let_go: BTreeMap<ChannelId, (String, String)>,
    applied: Applied,
}

impl<'a> Apply<'a> {
    fn begin(
        tx: &'a Transaction<'a>,
        account: AccountId,
        owner: Owner,
        author: Author,
        at: Timestamp,
    ) -> Result<Self> {
        let (next_monitor, next_channel) = (next(tx, "next_monitor")?, next(tx, "next_channel")?);
        Ok(Self {
            tx,
            account,
            owner_text: owner.to_text(),
            owner,
            author,
            at,
            next_monitor,
            next_channel,
            first_new: (next_monitor, next_channel),
            audited: 0,
            let_go: BTreeMap::new(),
            applied: Applied::default(),
        })
    }

    fn remove(&mut self, change: &ResourceChange) -> Result<()> {
        match change {
            ResourceChange::RemoveMonitor { key } => self.remove_monitor(key),
            ResourceChange::BinMonitor { id, revision } => self.bin_monitor(*id, *revision),
            ResourceChange::RemoveChannel { key } => self.remove_channel(key),
            ResourceChange::BinChannel { id, revision } => self.bin_channel(*id, *revision),
            ResourceChange::PutMonitor { .. }
            | ResourceChange::AddMonitor { .. }
            | ResourceChange::EditMonitor { .. }
            | ResourceChange::RestoreMonitor { .. }
            | ResourceChange::PutChannel { .. }
            | ResourceChange::AddChannel { .. }
            | ResourceChange::EditChannel { .. }
            | ResourceChange::RestoreChannel { .. } => Ok(()),
        }
    }

    /// What is about to be renamed is called by its number until then, which is nobody's name.
    fn let_go(&mut self, change: &ResourceChange) -> Result<()> {
        match change {
            ResourceChange::PutChannel { key, name, .. } => self.let_go_of_name(key, name),
            ResourceChange::EditMonitor { id, key, .. } => self.let_go_of_key(*id, key),
            ResourceChange::EditChannel { id, key, name, .. } => self.let_go_of_channel(*id, key, name),
            ResourceChange::PutMonitor { .. }
            | ResourceChange::AddMonitor { .. }
            | ResourceChange::RestoreMonitor { .. }
            | ResourceChange::RemoveMonitor { .. }
            | ResourceChange::BinMonitor { .. }
            | ResourceChange::AddChannel { .. }
            | ResourceChange::RestoreChannel { .. }
            | ResourceChange::RemoveChannel { .. }
            | ResourceChange::BinChannel { .. } => Ok(()),
        }
    }

    fn put(&mut self, change: ResourceChange) -> Result<()> {
        match change {
            ResourceChange::PutMonitor { key, name, spec } => self.put_monitor(key, name, spec),
            ResourceChange::AddMonitor { key, name, spec } => self.add_monitor(key, name, spec),
            ResourceChange::EditMonitor { id, revision, key, name, spec } => {
                self.edit_monitor((id, revision), key, name, spec)
            }
            ResourceChange::RestoreMonitor { id, key } => self.restore_monitor(id, key),
            ResourceChange::PutChannel { key, name, kind, settings } => {
                self.put_channel(channels::Put { key, name, kind, settings })
            }
            ResourceChange::AddChannel { key, name, kind, settings } => {
                self.add_channel(channels::Put { key, name, kind, settings })
            }
            ResourceChange::EditChannel { id, revision, key, name, kind, settings } => {
                self.edit_channel((id, revision), channels::Put { key, name, kind, settings })
            }
            ResourceChange::RestoreChannel { id } => self.restore_channel(id),
            ResourceChange::RemoveMonitor { .. }
            | ResourceChange::BinMonitor { .. }
            | ResourceChange::RemoveChannel { .. }
            | ResourceChange::BinChannel { .. } => Ok(()),
        }
    }

    /// Puts a thing by its key into the bin; its number there.
    fn to_bin(&self, table: &str, id: &str, key: &str) -> Result<i64> {
        let sql = format!(
            "UPDATE {table} SET removed_at = ?4
             WHERE account_id = ?1 AND owner = ?2 AND resource_key = ?3 AND removed_at IS NULL RETURNING {id}"
        );
        self.tx
            .prepare_cached(&sql)
            .and_then(|mut s| {
                s.query_row(params![self.account.0, self.owner_text, key, self.at.0], |row| row.get(0))
                    .optional()
            })
            .map_err(engine)?
            .ok_or_else(|| {
                StoreError::Conflict(format!(
                    "there is no {table} `{key}` of owner {} to remove",
                    self.owner_text
                ))
            })
    }

    /// What lies in the bin under this key makes room for something else.
    fn clear_key_in_bin(&self, table: &str, id: &str, key: &str) -> Result<()> {
        let sql = format!(
            "UPDATE {table} SET removed_key = resource_key, resource_key = char(1) || {id}
             WHERE account_id = ?1 AND owner = ?2 AND resource_key = ?3 AND removed_at IS NOT NULL"
        );
        run(self.tx, &sql, params![self.account.0, self.owner_text, key])?;
        Ok(())
    }

    fn expect_own(&self, what: impl std::fmt::Display, owner: &Owner) -> Result<()> {
        if *owner == self.owner {
            return Ok(());
        }
        Err(StoreError::Conflict(format!("{what} belongs to owner {}", owner.to_text())))
    }

    /// A row of the change feed.
    fn feed(&self, kind: &str, id: i64, op: &str) -> Result<()> {
        append_change(self.tx, self.at, self.account, (kind, id, op))
    }

    /// A row of the audit log, for the first things of the set.
    fn audit(&mut self, entry: Entry<'_>) -> Result<()> {
        self.audited += 1;
        if self.audited > AUDITED {
            return Ok(());
        }
        audit::write(self.tx, (self.at, &self.author), self.account, entry)
    }

    fn finish(mut self) -> Result<Applied> {
        // In this order: what is removed and put in one set is there.
        listed::remove(self.tx, self.account, &self.applied.removed_monitors)?;
        listed::put(self.tx, self.applied.monitors.iter().map(|monitor| (monitor, self.at)))?;
        set_next(self.tx, "next_monitor", self.next_monitor)?;
        set_next(self.tx, "next_channel", self.next_channel)?;
        if self.audited > AUDITED || self.audited > 0 && self.owner != Owner::Api {
            let applied = &self.applied;
            let counts = [
                ("monitors", applied.monitors.len(), applied.removed_monitors.len()),
                ("channels", applied.channels.len(), applied.removed_channels.len()),
            ];
            let detail = counts.map(|(what, put, removed)| format!("{what} +{put} -{removed}")).join(", ");
            let entry = Entry { action: "apply", detail: &detail, ..Entry::default() };
            audit::write(self.tx, (self.at, &self.author), self.account, entry)?;
        }
        self.applied.seq = last_change(self.tx)?;
        Ok(self.applied)
    }
}

/// Refuses to change what somebody else changed meanwhile.
fn expect_revision(what: impl std::fmt::Display, wanted: Option<u32>, found: u32) -> Result<()> {
    if wanted.is_none_or(|wanted| wanted == found) {
        return Ok(());
    }
    Err(StoreError::Stale { what: what.to_string(), revision: found })
}

fn twice(what: &str, key: &str) -> StoreError {
    StoreError::Conflict(format!("{what} `{key}` is put twice in one change"))
}

/// Remembers the file that is in force from now on.
fn remember(tx: &Transaction<'_>, config: &AcceptedConfig) -> Result<()> {
    tx.execute(
        "INSERT INTO config (id, text, hash, accepted_at) VALUES (1, ?1, ?2, ?3) ON CONFLICT (id) DO UPDATE SET
         text = excluded.text, hash = excluded.hash, accepted_at = excluded.accepted_at",
        params![config.text, config.hash, config.accepted_at.0],
    )
    .map_err(engine)?;
    Ok(())
}

/// Adds a row to the change feed.
pub(super) fn append_change(
    tx: &Transaction<'_>,
    at: Timestamp,
    account: AccountId,
    (kind, id, op): (&str, i64, &str),
) -> Result<()> {
    tx.prepare_cached("INSERT INTO change (at, account_id, kind, id, op) VALUES (?1, ?2, ?3, ?4, ?5)")
        .and_then(|mut s| s.execute(params![at.0, account.0, kind, id, op]))
        .map_err(engine)?;
    Ok(())
}

/// The number of the last row that the change feed ever had.
pub(super) fn last_change(tx: &Transaction<'_>) -> Result<i64> {
    tx.query_row("SELECT seq FROM sqlite_sequence WHERE name = 'change'", [], |row| row.get(0))
        .optional()
        .map(|seq| seq.unwrap_or(0))
        .map_err(engine)
}

/// The next number of a kind.
pub(super) fn next(tx: &Transaction<'_>, counter: &str) -> Result<i64> {
    tx.query_row("SELECT value FROM meta WHERE key = ?1", [counter], |row| row.get(0)).map_err(engine)
}

/// Remembers the next number of a kind.
pub(super) fn set_next(tx: &Transaction<'_>, counter: &str, value: i64) -> Result<()> {
    tx.execute("UPDATE meta SET value = ?2 WHERE key = ?1", params![counter, value]).map_err(engine)?;
    Ok(())
}
