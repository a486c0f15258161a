//! What an owner changes, all or nothing: numbered revisions, the bin, the change feed and the audit log in one
//! transaction. A hundred thousand monitors take about a second, for which commits wait: an import is rare, and half
//! an import would be worse.

use quaywatch_core::{AccountId, ChannelId, MonitorId, Timestamp};
use rusqlite::{OptionalExtension, Transaction, params};

use super::convert;
use super::error::engine;
use crate::blocks::key;
use crate::records::{
    AcceptedConfig, Applied, ChangeSet, ChannelRecord, MonitorRecord, Owner, ResourceChange,
};
use crate::{Result, StoreError};

/// Block keys hold 32 bits of a monitor's number.
const LAST_MONITOR: i64 = u32::MAX as i64;

/// Applies a change set.
pub(super) fn apply(
    tx: &Transaction<'_>,
    account: AccountId,
    set: ChangeSet,
    at: Timestamp,
) -> Result<Applied> {
    let ChangeSet { owner, actor, changes, accepted } = set;
    let actor = actor.actor;
    let mut apply = Apply {
        tx,
        account,
        owner_text: owner.to_text(),
        owner,
        actor,
        at,
        next_monitor: next(tx, "next_monitor")?,
        next_channel: next(tx, "next_channel")?,
        first_new: (0, 0),
        applied: Applied::default(),
    };
    apply.first_new = (apply.next_monitor, apply.next_channel);
    // Removals first: they may free a name that is wanted again.
    for change in &changes {
        apply.remove(change)?;
    }
    // Then names that are given up: two channels may exchange theirs.
    for change in &changes {
        apply.let_go_of_name(change)?;
    }
    for change in changes {
        apply.put(change)?;
    }
    if let Some(config) = accepted {
        remember(tx, &config)?;
    }
    apply.finish()
}

struct Apply<'a> {
    tx: &'a Transaction<'a>,
    account: AccountId,
    owner: Owner,
    owner_text: String,
    actor: String,
    at: Timestamp,
    next_monitor: i64,
    next_channel: i64,
    first_new: (i64, i64),
    applied: Applied,
}

impl Apply<'_> {
    fn remove(&mut self, change: &ResourceChange) -> Result<()> {
        match change {
            ResourceChange::RemoveMonitor { key } => {
                let key = self.to_bin("monitor", "key", key)?;
                let id = key::monitor_of(key);
                self.applied.removed_monitors.push(id);
                self.record("monitor", id.0, "remove")
            }
            ResourceChange::RemoveChannel { key } => {
                let id = self.to_bin("channel", "id", key)?;
                self.applied.removed_channels.push(ChannelId(id));
                self.record("channel", id, "remove")
            }
            ResourceChange::PutMonitor { .. } | ResourceChange::PutChannel { .. } => Ok(()),
            _ => Err(StoreError::Conflict("not built yet".to_owned())),
        }
    }

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

    fn put(&mut self, change: ResourceChange) -> Result<()> {
        match change {
            ResourceChange::PutMonitor { key, name, spec } => self.put_monitor(key, name, spec),
            ResourceChange::PutChannel { key, name, kind, settings } => {
                self.put_channel(key, name, kind, settings)
            }
            _ => Ok(()),
        }
    }

    fn put_monitor(&mut self, key: String, name: String, spec: String) -> Result<()> {
        let existing = self
            .tx
            .prepare_cached(
                "SELECT key, account_id, owner, resource_key, name, revision, spec, paused, created_at,
                 removed_at IS NOT NULL
                 FROM monitor WHERE account_id = ?1 AND owner = ?2 AND resource_key = ?3",
            )
            .and_then(|mut s| {
                s.query_row(params![self.account.0, self.owner_text, key], |row| {
                    Ok((convert::monitor(row)?, row.get::<_, bool>(9)?))
                })
                .optional()
            })
            .map_err(engine)?;
        match existing {
            None => self.add_monitor(key, name, spec),
            Some((known, _)) if known.id.0 >= self.first_new.0 => Err(twice("monitor", &known.key)),
            Some((known, false)) if known.spec == spec && known.name == name => Ok(()),
            Some((known, _)) => self.revise_monitor(known, name, spec),
        }
    }

    fn add_monitor(&mut self, key: String, name: String, spec: String) -> Result<()> {
        let id = MonitorId(self.next_monitor);
        if id.0 > LAST_MONITOR {
            return Err(StoreError::Conflict("there are no monitor numbers left".to_owned()));
        }
        self.next_monitor += 1;
        self.tx
            .prepare_cached(
                "INSERT INTO monitor (key, account_id, owner, resource_key, name, revision, spec, created_at,
                 revised_at, revised_by) VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?7, ?7, ?8)",
            )
            .and_then(|mut s| {
                s.execute(params![
                    key::monitor(id),
                    self.account.0,
                    self.owner_text,
                    key,
                    name,
                    spec,
                    self.at.0,
                    self.actor
                ])
            })
            .map_err(engine)?;
        self.record("monitor", id.0, "put")?;
        let (account, owner, created_at) = (self.account, self.owner.clone(), self.at);
        let record =
            MonitorRecord { id, account, owner, key, name, revision: 1, spec, paused: false, created_at };
        self.applied.monitors.push(record);
        Ok(())
    }

    fn revise_monitor(&mut self, known: MonitorRecord, name: String, spec: String) -> Result<()> {
        let row = key::monitor(known.id);
        self.tx
            .prepare_cached(
                "INSERT INTO monitor_revision (account_id, monitor_id, revision, spec, revised_at, revised_by)
                 SELECT account_id, ?2, revision, spec, revised_at, revised_by FROM monitor WHERE key = ?1",
            )
            .and_then(|mut s| s.execute([row, known.id.0]))
            .map_err(engine)?;
        self.tx
            .prepare_cached(
                "UPDATE monitor SET name = ?2, spec = ?3, revision = revision + 1, revised_at = ?4, revised_by = ?5,
                 removed_at = NULL WHERE key = ?1",
            )
            .and_then(|mut s| s.execute(params![row, name, spec, self.at.0, self.actor]))
            .map_err(engine)?;
        self.record("monitor", known.id.0, "put")?;
        self.applied.monitors.push(MonitorRecord { name, spec, revision: known.revision + 1, ..known });
        Ok(())
    }

    fn put_channel(&mut self, key: String, name: String, kind: String, settings: String) -> Result<()> {
        let existing = self
            .tx
            .prepare_cached(
                "SELECT id, account_id, owner, resource_key, name, kind, settings, revision, removed_at IS NOT NULL
                 FROM channel WHERE account_id = ?1 AND owner = ?2 AND resource_key = ?3",
            )
            .and_then(|mut s| {
                s.query_row(params![self.account.0, self.owner_text, key], |row| {
                    Ok((convert::channel(row)?, row.get::<_, bool>(8)?))
                })
                .optional()
            })
            .map_err(engine)?;
        let (known, known_id) = match existing {
            Some((known, _)) if known.id.0 >= self.first_new.1 => return Err(twice("channel", &known.key)),
            Some((known, false))
                if known.name == name && known.kind == kind && known.settings == settings =>
            {
                return Ok(());
            }
            Some((known, _)) => (known.revision, Some(known.id)),
            None => (0, None),
        };
        self.expect_free_name(&name, known_id)?;
        let id = known_id.unwrap_or_else(|| {
            let id = ChannelId(self.next_channel);
            self.next_channel += 1;
            id
        });
        let (account, owner) = (self.account, self.owner.clone());
        let record = ChannelRecord { id, account, owner, key, name, kind, settings, revision: known + 1 };
        self.write_channel(&record)?;
        self.record("channel", id.0, "put")?;
        self.applied.channels.push(record);
        Ok(())
    }

    fn write_channel(&self, channel: &ChannelRecord) -> Result<()> {
        self.tx
            .prepare_cached(
                "INSERT INTO channel (id, account_id, owner, resource_key, name, kind, settings, revision, revised_at,
                 revised_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                 ON CONFLICT (id) DO UPDATE SET name = excluded.name, kind = excluded.kind,
                 settings = excluded.settings, revision = excluded.revision, revised_at = excluded.revised_at,
                 revised_by = excluded.revised_by, removed_at = NULL",
            )
            .and_then(|mut s| {
                s.execute(params![
                    channel.id.0,
                    channel.account.0,
                    self.owner_text,
                    channel.key,
                    channel.name,
                    channel.kind,
                    channel.settings,
                    channel.revision,
                    self.at.0,
                    self.actor
                ])
            })
            .map_err(engine)?;
        Ok(())
    }

    /// A channel that is about to be renamed stands under its number until then, which is nobody's name.
    fn let_go_of_name(&self, change: &ResourceChange) -> Result<()> {
        let ResourceChange::PutChannel { key, name, .. } = change else { return Ok(()) };
        self.tx
            .prepare_cached(
                "UPDATE channel SET name = char(1) || id
                 WHERE account_id = ?1 AND owner = ?2 AND resource_key = ?3 AND name != ?4 AND removed_at IS NULL",
            )
            .and_then(|mut s| s.execute(params![self.account.0, self.owner_text, key, name]))
            .map_err(engine)?;
        Ok(())
    }

    fn expect_free_name(&self, name: &str, own: Option<ChannelId>) -> Result<()> {
        let holder: Option<(i64, String)> = self
            .tx
            .prepare_cached(
                "SELECT id, owner FROM channel WHERE account_id = ?1 AND name = ?2 AND removed_at IS NULL AND id != ?3",
            )
            .and_then(|mut s| {
                s.query_row(params![self.account.0, name, own.map_or(0, |id| id.0)], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .optional()
            })
            .map_err(engine)?;
        match holder {
            None => Ok(()),
            Some((id, owner)) => Err(StoreError::Conflict(format!(
                "the name `{name}` belongs to channel {} of owner {owner}",
                ChannelId(id)
            ))),
        }
    }

    /// A row of the change feed.
    fn record(&self, kind: &str, id: i64, op: &str) -> Result<()> {
        append_change(self.tx, self.at, self.account, (kind, id, op))
    }

    fn finish(mut self) -> Result<Applied> {
        set_next(self.tx, "next_monitor", self.next_monitor)?;
        set_next(self.tx, "next_channel", self.next_channel)?;
        let applied = &self.applied;
        let counts = [
            ("monitors", applied.monitors.len(), applied.removed_monitors.len()),
            ("channels", applied.channels.len(), applied.removed_channels.len()),
        ];
        if counts.iter().any(|(_, put, removed)| put + removed > 0) {
            let detail = counts.map(|(what, put, removed)| format!("{what} +{put} -{removed}")).join(", ");
            self.tx
                .execute(
                    "INSERT INTO audit (at, account_id, actor, action, detail) VALUES (?1, ?2, ?3, 'apply', ?4)",
                    params![self.at.0, self.account.0, self.actor, detail],
                )
                .map_err(engine)?;
        }
        self.applied.seq = last_change(self.tx)?;
        Ok(self.applied)
    }
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
fn last_change(tx: &Transaction<'_>) -> Result<i64> {
    tx.query_row("SELECT seq FROM sqlite_sequence WHERE name = 'change'", [], |row| row.get(0))
        .optional()
        .map(|seq| seq.unwrap_or(0))
        .map_err(engine)
}

fn twice(what: &str, key: &str) -> StoreError {
    StoreError::Conflict(format!("{what} `{key}` is put twice in one change"))
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
