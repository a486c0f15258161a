//! Monitors: by key where a document says what there is, by number where somebody changes one.

use std::borrow::Cow;

use rusqlite::{Row, params};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::super::audit::Entry;
use super::super::query::{one, run};
use super::super::{convert, error::engine};
use super::{Apply, MonitorId, Result, StoreError, expect_revision, twice};
use crate::blocks::key;
use crate::records::MonitorRecord;

/// Block keys hold 32 bits of a monitor's number.
const LAST_MONITOR: i64 = u32::MAX as i64;

/// A monitor, and whether it lies in the bin.
type Found = Option<(MonitorRecord, bool)>;

impl Apply<'_> {
    pub(super) fn remove_monitor(&mut self, key: &str) -> Result<()> {
        let row = self.to_bin("monitor", "key", key)?;
        let spec: Option<String> =
            one(self.tx, "SELECT spec FROM monitor WHERE key = ?1", [row], |row| row.get(0))?;
        self.removed(key::monitor_of(row), &spec.unwrap_or_default())
    }

    pub(super) fn bin_monitor(&mut self, id: MonitorId, revision: Option<u32>) -> Result<()> {
        let monitor = self.own_monitor(id, revision)?;
        run(self.tx, "UPDATE monitor SET removed_at = ?2 WHERE key = ?1", [key::monitor(id), self.at.0])?;
        self.removed(id, &monitor.spec)
    }

    fn removed(&mut self, id: MonitorId, spec: &str) -> Result<()> {
        self.applied.removed_monitors.push(id);
        self.feed("monitor", id.0, "remove")?;
        self.audit(Entry { before: Some(&told(spec)), ..Entry::of("monitor.removed", "monitor", id.0) })
    }

    pub(super) fn let_go_of_key(&self, id: MonitorId, key: &str) -> Result<()> {
        let sql = "UPDATE monitor SET resource_key = char(1) || key
                   WHERE key = ?1 AND account_id = ?2 AND owner = ?3 AND resource_key != ?4
                         AND removed_at IS NULL";
        run(self.tx, sql, params![key::monitor(id), self.account.0, self.owner_text, key])?;
        Ok(())
    }

    pub(super) fn put_monitor(&mut self, key: String, name: String, spec: String) -> Result<()> {
        match self.monitor_with_key(&key)? {
            None => self.insert_monitor(key, name, spec),
            Some((known, _)) if known.id.0 >= self.first_new.0 => Err(twice("monitor", &known.key)),
            Some((known, false)) if known.spec == spec && known.name == name => Ok(()),
            Some((known, in_bin)) => self.revise_monitor(&known, in_bin, key, name, spec),
        }
    }

    pub(super) fn add_monitor(&mut self, key: String, name: String, spec: String) -> Result<()> {
        self.expect_free_key(&key, None)?;
        self.insert_monitor(key, name, spec)
    }

    pub(super) fn edit_monitor(
        &mut self,
        (id, revision): (MonitorId, Option<u32>),
        key: String,
        name: String,
        spec: String,
    ) -> Result<()> {
        let known = self.own_monitor(id, revision)?;
        if known.key == key && known.name == name && known.spec == spec {
            return Ok(());
        }
        self.expect_free_key(&key, Some(id))?;
        self.revise_monitor(&known, false, key, name, spec)
    }

    pub(super) fn restore_monitor(&mut self, id: MonitorId, wanted: Option<String>) -> Result<()> {
        let missing = || StoreError::Missing(format!("monitor {id} in the bin"));
        let (known, in_bin) = self.monitor_with_id(id)?.ok_or_else(missing)?;
        if !in_bin {
            return Err(missing());
        }
        self.expect_own(id, &known.owner)?;
        let sql = "SELECT coalesce(removed_key, resource_key) FROM monitor WHERE key = ?1";
        let had: String = one(self.tx, sql, [key::monitor(id)], |row| row.get(0))?.ok_or_else(missing)?;
        let key = wanted.unwrap_or(had);
        self.expect_free_key(&key, Some(id))?;
        let (name, spec) = (known.name.clone(), known.spec.clone());
        self.revise_monitor(&known, true, key, name, spec)
    }

    fn insert_monitor(&mut self, key: String, name: String, spec: String) -> Result<()> {
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
                    self.author.actor
                ])
            })
            .map_err(engine)?;
        let (account, owner, created_at) = (self.account, self.owner.clone(), self.at);
        let record =
            MonitorRecord { id, account, owner, key, name, revision: 1, spec, paused: false, created_at };
        self.written(record, None, "monitor.created")
    }

    /// The next revision; the one before is kept.
    fn revise_monitor(
        &mut self,
        known: &MonitorRecord,
        in_bin: bool,
        key: String,
        name: String,
        spec: String,
    ) -> Result<()> {
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
                "UPDATE monitor SET resource_key = ?2, name = ?3, spec = ?4, revision = revision + 1, revised_at = ?5,
                 revised_by = ?6, removed_at = NULL, removed_key = NULL WHERE key = ?1",
            )
            .and_then(|mut s| s.execute(params![row, key, name, spec, self.at.0, self.author.actor]))
            .map_err(engine)?;
        let record = MonitorRecord { key, name, spec, revision: known.revision + 1, ..known.clone() };
        let action = if in_bin { "monitor.restored" } else { "monitor.changed" };
        self.written(record, Some(&known.spec), action)
    }

    fn written(&mut self, record: MonitorRecord, before: Option<&str>, action: &str) -> Result<()> {
        self.feed("monitor", record.id.0, "put")?;
        let (before, after) = (before.map(told), told(&record.spec));
        let entry = Entry {
            before: before.as_deref(),
            after: Some(&after),
            ..Entry::of(action, "monitor", record.id.0)
        };
        self.audit(entry)?;
        self.applied.monitors.push(record);
        Ok(())
    }

    /// What is to be changed by its number.
    fn own_monitor(&self, id: MonitorId, revision: Option<u32>) -> Result<MonitorRecord> {
        let missing = || StoreError::Missing(format!("monitor {id}"));
        let (known, in_bin) = self.monitor_with_id(id)?.ok_or_else(missing)?;
        if in_bin {
            return Err(missing());
        }
        self.expect_own(id, &known.owner)?;
        expect_revision(id, revision, known.revision)?;
        Ok(known)
    }

    fn monitor_with_key(&self, key: &str) -> Result<Found> {
        let sql = format!(
            "SELECT {}, removed_at IS NOT NULL FROM monitor
             WHERE account_id = ?1 AND owner = ?2 AND resource_key = ?3",
            convert::MONITOR
        );
        one(self.tx, &sql, params![self.account.0, self.owner_text, key], found)
    }

    fn monitor_with_id(&self, id: MonitorId) -> Result<Found> {
        let sql = format!(
            "SELECT {}, removed_at IS NOT NULL FROM monitor WHERE key = ?1 AND account_id = ?2",
            convert::MONITOR
        );
        one(self.tx, &sql, params![key::monitor(id), self.account.0], found)
    }

    fn expect_free_key(&self, key: &str, own: Option<MonitorId>) -> Result<()> {
        match self.monitor_with_key(key)? {
            Some((holder, _)) if Some(holder.id) == own => Ok(()),
            Some((holder, false)) => Err(StoreError::Taken(format!(
                "`{key}` is monitor {} of owner {}",
                holder.id, self.owner_text
            ))),
            Some((_, true)) => self.clear_key_in_bin("monitor", "key", key),
            None => Ok(()),
        }
    }
}

/// A spec as the audit log has it: of a sealed secret no more than the first letters of its digest, which tell that it
/// is another one.
fn told(spec: &str) -> Cow<'_, str> {
    const SECRET: &str = "send_secret";
    if !spec.contains(SECRET) {
        return Cow::Borrowed(spec);
    }
    let Ok(mut settings) = serde_json::from_str::<Map<String, Value>>(spec) else {
        return Cow::Borrowed("{}");
    };
    if let Some(secret) = settings.get_mut(SECRET).filter(|secret| secret.is_object()) {
        let digest = Sha256::digest(secret.to_string());
        *secret = format!("[secret {:02x}{:02x}]", digest[0], digest[1]).into();
    }
    Cow::Owned(Value::Object(settings).to_string())
}

fn found(row: &Row<'_>) -> rusqlite::Result<(MonitorRecord, bool)> {
    Ok((convert::monitor(row)?, row.get(9)?))
}
