//! Channels: as monitors, but their names are unique in the account, and their settings never get into the audit log:
//! only which of them changed.

use rusqlite::{OptionalExtension, Row, params};
use serde_json::{Map, Value, json};

use super::super::audit::Entry;
use super::super::query::{one, run};
use super::super::{convert, error::engine};
use super::{Apply, ChannelId, Result, StoreError, expect_revision, twice};
use crate::records::ChannelRecord;

/// A channel to be written.
pub(super) struct Put {
    pub key: String,
    pub name: String,
    pub kind: String,
    pub settings: String,
}

impl Put {
    fn is(&self, known: &ChannelRecord) -> bool {
        (&self.name, &self.kind, &self.settings) == (&known.name, &known.kind, &known.settings)
    }
}

/// A channel, and whether it lies in the bin.
type Found = Option<(ChannelRecord, bool)>;

impl Apply<'_> {
    pub(super) fn remove_channel(&mut self, key: &str) -> Result<()> {
        let id = ChannelId(self.to_bin("channel", "id", key)?);
        self.removed_channel(id)
    }

    pub(super) fn bin_channel(&mut self, id: ChannelId, revision: Option<u32>) -> Result<()> {
        self.own_channel(id, revision)?;
        run(self.tx, "UPDATE channel SET removed_at = ?2 WHERE id = ?1", [id.0, self.at.0])?;
        self.removed_channel(id)
    }

    fn removed_channel(&mut self, id: ChannelId) -> Result<()> {
        let before = self.channel_with_id(id)?.map(|(known, _)| told(&known, None));
        self.applied.removed_channels.push(id);
        self.feed("channel", id.0, "remove")?;
        self.audit(Entry { before: before.as_deref(), ..Entry::of("channel.removed", "channel", id.0) })
    }

    pub(super) fn let_go_of_name(&mut self, key: &str, name: &str) -> Result<()> {
        if let Some((known, false)) = self.channel_with_key(key)?
            && known.name != name
        {
            run(self.tx, "UPDATE channel SET name = char(1) || id WHERE id = ?1", [known.id.0])?;
            self.let_go.insert(known.id, (known.name, known.key));
        }
        Ok(())
    }

    pub(super) fn let_go_of_channel(&mut self, id: ChannelId, key: &str, name: &str) -> Result<()> {
        let Some((known, false)) = self.channel_with_id(id)? else { return Ok(()) };
        if known.owner != self.owner || known.name == name && known.key == key {
            return Ok(());
        }
        let sql = "UPDATE channel SET name = char(1) || id, resource_key = char(1) || id WHERE id = ?1";
        run(self.tx, sql, [id.0])?;
        self.let_go.insert(known.id, (known.name, known.key));
        Ok(())
    }

    pub(super) fn put_channel(&mut self, put: Put) -> Result<()> {
        match self.channel_with_key(&put.key)? {
            None => self.insert_channel(put),
            Some((known, _)) if known.id.0 >= self.first_new.1 => Err(twice("channel", &known.key)),
            Some((known, false)) if put.is(&known) => Ok(()),
            Some((known, in_bin)) => self.revise_channel(&known, in_bin, put),
        }
    }

    pub(super) fn add_channel(&mut self, put: Put) -> Result<()> {
        self.expect_free_channel_key(&put.key, None)?;
        self.insert_channel(put)
    }

    pub(super) fn edit_channel(&mut self, (id, revision): (ChannelId, Option<u32>), put: Put) -> Result<()> {
        let known = self.own_channel(id, revision)?;
        if known.key == put.key && put.is(&known) {
            return Ok(());
        }
        self.expect_free_channel_key(&put.key, Some(id))?;
        self.revise_channel(&known, false, put)
    }

    pub(super) fn restore_channel(&mut self, id: ChannelId) -> Result<()> {
        let missing = || StoreError::Missing(format!("channel {id} in the bin"));
        let (known, in_bin) = self.channel_with_id(id)?.ok_or_else(missing)?;
        if !in_bin {
            return Err(missing());
        }
        self.expect_own(id, &known.owner)?;
        let sql = "SELECT coalesce(removed_key, resource_key) FROM channel WHERE id = ?1";
        let key: String = one(self.tx, sql, [id.0], |row| row.get(0))?.ok_or_else(missing)?;
        self.expect_free_channel_key(&key, Some(id))?;
        let (name, kind, settings) = (known.name.clone(), known.kind.clone(), known.settings.clone());
        self.revise_channel(&known, true, Put { key, name, kind, settings })
    }

    fn insert_channel(&mut self, put: Put) -> Result<()> {
        let id = ChannelId(self.next_channel);
        self.expect_free_name(&put.name, id)?;
        self.next_channel += 1;
        let Put { key, name, kind, settings } = put;
        let (account, owner) = (self.account, self.owner.clone());
        let record = ChannelRecord { id, account, owner, key, name, kind, settings, revision: 1 };
        self.write_channel(record, None, "channel.created")
    }

    fn revise_channel(&mut self, known: &ChannelRecord, in_bin: bool, put: Put) -> Result<()> {
        self.expect_free_name(&put.name, known.id)?;
        let Put { key, name, kind, settings } = put;
        let record =
            ChannelRecord { key, name, kind, settings, revision: known.revision + 1, ..known.clone() };
        let action = if in_bin { "channel.restored" } else { "channel.changed" };
        self.write_channel(record, Some(known), action)
    }

    fn write_channel(
        &mut self,
        channel: ChannelRecord,
        known: Option<&ChannelRecord>,
        action: &str,
    ) -> Result<()> {
        self.tx
            .prepare_cached(
                "INSERT INTO channel (id, account_id, owner, resource_key, name, kind, settings, revision, revised_at,
                 revised_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                 ON CONFLICT (id) DO UPDATE SET resource_key = excluded.resource_key, name = excluded.name,
                 kind = excluded.kind, settings = excluded.settings, revision = excluded.revision,
                 revised_at = excluded.revised_at, revised_by = excluded.revised_by, removed_at = NULL,
                 removed_key = NULL",
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
                    self.author.actor
                ])
            })
            .map_err(engine)?;
        self.feed("channel", channel.id.0, "put")?;
        let (before, after) = (known.map(|known| told(known, None)), told(&channel, known));
        let entry = Entry {
            before: before.as_deref(),
            after: Some(&after),
            ..Entry::of(action, "channel", channel.id.0)
        };
        self.audit(entry)?;
        self.applied.channels.push(channel);
        Ok(())
    }

    /// What is to be changed by its number.
    fn own_channel(&self, id: ChannelId, revision: Option<u32>) -> Result<ChannelRecord> {
        let missing = || StoreError::Missing(format!("channel {id}"));
        let (known, in_bin) = self.channel_with_id(id)?.ok_or_else(missing)?;
        if in_bin {
            return Err(missing());
        }
        self.expect_own(id, &known.owner)?;
        expect_revision(id, revision, known.revision)?;
        Ok(known)
    }

    fn channel_with_key(&self, key: &str) -> Result<Found> {
        let sql = format!(
            "SELECT {}, removed_at IS NOT NULL FROM channel
             WHERE account_id = ?1 AND owner = ?2 AND resource_key = ?3",
            convert::CHANNEL
        );
        let found = one(self.tx, &sql, params![self.account.0, self.owner_text, key], found)?;
        Ok(found.map(|(known, in_bin)| (self.as_it_was(known), in_bin)))
    }

    fn channel_with_id(&self, id: ChannelId) -> Result<Found> {
        let sql = format!(
            "SELECT {}, removed_at IS NOT NULL FROM channel WHERE id = ?1 AND account_id = ?2",
            convert::CHANNEL
        );
        let found = one(self.tx, &sql, [id.0, self.account.0], found)?;
        Ok(found.map(|(known, in_bin)| (self.as_it_was(known), in_bin)))
    }

    /// A channel under the name and key that it had before this change set.
    fn as_it_was(&self, known: ChannelRecord) -> ChannelRecord {
        match self.let_go.get(&known.id) {
            Some((name, key)) => ChannelRecord { name: name.clone(), key: key.clone(), ..known },
            None => known,
        }
    }

    fn expect_free_channel_key(&self, key: &str, own: Option<ChannelId>) -> Result<()> {
        match self.channel_with_key(key)? {
            Some((holder, _)) if Some(holder.id) == own => Ok(()),
            Some((holder, false)) => Err(StoreError::Taken(format!(
                "`{key}` is channel {} of owner {}",
                holder.id, self.owner_text
            ))),
            Some((_, true)) => self.clear_key_in_bin("channel", "id", key),
            None => Ok(()),
        }
    }

    fn expect_free_name(&self, name: &str, own: ChannelId) -> Result<()> {
        let holder: Option<(i64, String)> = self
            .tx
            .prepare_cached(
                "SELECT id, owner FROM channel WHERE account_id = ?1 AND name = ?2 AND removed_at IS NULL AND id != ?3",
            )
            .and_then(|mut s| {
                s.query_row(params![self.account.0, name, own.0], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()
            })
            .map_err(engine)?;
        match holder {
            None => Ok(()),
            Some((id, owner)) => Err(StoreError::Taken(format!(
                "the name `{name}` belongs to channel {} of owner {owner}",
                ChannelId(id)
            ))),
        }
    }
}

fn found(row: &Row<'_>) -> rusqlite::Result<(ChannelRecord, bool)> {
    Ok((convert::channel(row)?, row.get(8)?))
}

/// What may be said of a channel, with the names of the settings that are not as they were.
fn told(channel: &ChannelRecord, before: Option<&ChannelRecord>) -> String {
    let settings = |channel: &ChannelRecord| -> Map<String, Value> {
        serde_json::from_str(&channel.settings).unwrap_or_default()
    };
    let mut all = json!({"name": channel.name, "kind": channel.kind});
    if let Some(before) = before {
        let (old, new) = (settings(before), settings(channel));
        let names = new.keys().chain(old.keys().filter(|name| !new.contains_key(*name)));
        let changed: Vec<&String> = names.filter(|name| old.get(*name) != new.get(*name)).collect();
        all["changed_settings"] = json!(changed);
    }
    all.to_string()
}
