//! The list of monitors: one narrow row for each that is not in the bin, with what lists are filtered and sorted by. It
//! is made from the monitor and follows it; what is said of the monitor follows by the schema's triggers.

use std::borrow::Cow;
use std::collections::BTreeMap;

use quaywatch_core::{AccountId, MonitorId, Timestamp};
use rusqlite::{Transaction, params};
use serde::Deserialize;

use super::convert;
use super::query::{one, rows, run};
use crate::Result;
use crate::blocks::key;
use crate::records::MonitorRecord;

/// What a label is.
pub(super) const TAG: u8 = 0;
pub(super) const CHANNEL: u8 = 1;
pub(super) const LOCATION: u8 = 2;

/// As names are compared.
pub(super) fn folded(text: &str) -> String {
    text.to_lowercase()
}

/// What a list wants to know of a spec.
#[derive(Deserialize)]
struct Glance<'a> {
    #[serde(borrow, default)]
    monitor_type: Cow<'a, str>,
    #[serde(borrow, default)]
    host: Cow<'a, str>,
    #[serde(default)]
    port: u16,
    #[serde(borrow, default)]
    group: Cow<'a, str>,
    #[serde(default = "yes")]
    enabled: bool,
    #[serde(borrow, default)]
    tags: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    #[serde(borrow, default)]
    channels: Vec<Cow<'a, str>>,
    #[serde(borrow, default)]
    locations: Vec<Cow<'a, str>>,
}

const fn yes() -> bool {
    true
}

impl Default for Glance<'_> {
    fn default() -> Self {
        Self {
            monitor_type: Cow::default(),
            host: Cow::default(),
            port: 0,
            group: Cow::default(),
            enabled: true,
            tags: BTreeMap::new(),
            channels: Vec::new(),
            locations: Vec::new(),
        }
    }
}

/// Lists monitors as they are now, each with the time of its last edit.
pub(super) fn put<'m>(
    tx: &Transaction<'_>,
    monitors: impl IntoIterator<Item = (&'m MonitorRecord, Timestamp)>,
) -> Result<()> {
    let mut texts = Vec::new();
    for (monitor, updated_at) in monitors {
        texts.extend(put_row(tx, monitor, updated_at)?);
    }
    // All rows first, then all texts. The index of parts gathers in memory what is put into it, and writes it down as soon
    // as a statement begins that might have to be taken back alone, as those with triggers do: by turns, each monitor
    // would make a segment of its own, which are then merged for ever.
    for text in texts {
        if text.is_known {
            run(tx, "DELETE FROM listed_parts WHERE rowid = ?1", [text.id])?;
        }
        run(tx, "INSERT INTO listed_parts (rowid, text) VALUES (?1, ?2)", params![text.id, text.text])?;
    }
    Ok(())
}

/// What a monitor is found by, where that is new.
struct Text {
    id: i64,
    text: String,
    /// Whether the monitor was found by another one.
    is_known: bool,
}

fn put_row(tx: &Transaction<'_>, monitor: &MonitorRecord, updated_at: Timestamp) -> Result<Option<Text>> {
    // A spec that cannot be read is found by its name.
    let glance: Glance<'_> = serde_json::from_str(&monitor.spec).unwrap_or_default();
    let host = folded(&glance.host);
    let text = format!("{}\n{host}", folded(&monitor.name));
    let (account, id, key) = (monitor.account.0, monitor.id.0, key::monitor(monitor.id));
    let sql = "SELECT text FROM listed WHERE account_id = ?1 AND key = ?2";
    let known: Option<String> = one(tx, sql, [account, key], |row| row.get(0))?;
    run(
        tx,
        "INSERT INTO listed (account_id, key, id, text, kind, host, port, grp, owner, enabled, paused, rank, since,
         updated_at)
         SELECT ?1, ?13, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,
                CASE WHEN ?10 THEN 6 ELSE coalesce(r.rank, 4) END, coalesce(s.since, ?12), ?11
         FROM (SELECT 1) LEFT JOIN judge_state s ON s.key = ?13 LEFT JOIN status_rank r ON r.status = s.status
         WHERE true
         ON CONFLICT (account_id, key) DO UPDATE SET text = excluded.text, kind = excluded.kind,
         host = excluded.host, port = excluded.port, grp = excluded.grp, owner = excluded.owner,
         enabled = excluded.enabled, paused = excluded.paused, rank = excluded.rank,
         updated_at = excluded.updated_at",
        params![
            account,
            id,
            text,
            glance.monitor_type,
            host,
            glance.port,
            glance.group,
            monitor.owner.to_text(),
            glance.enabled,
            monitor.paused,
            updated_at.0,
            monitor.created_at.0,
            key,
        ],
    )?;
    if known.is_some() {
        run(tx, "DELETE FROM label WHERE id = ?1", [id])?;
    }
    put_labels(tx, monitor, &glance)?;
    let is_new = known.as_ref() != Some(&text);
    Ok(is_new.then_some(Text { id, text, is_known: known.is_some() }))
}

fn put_labels(tx: &Transaction<'_>, monitor: &MonitorRecord, glance: &Glance<'_>) -> Result<()> {
    let put = |kind: u8, name: &str, value: &str| {
        let sql =
            "INSERT OR IGNORE INTO label (account_id, kind, name, value, id) VALUES (?1, ?2, ?3, ?4, ?5)";
        run(tx, sql, params![monitor.account.0, kind, name, value, monitor.id.0])
    };
    for (name, value) in &glance.tags {
        put(TAG, name, value)?;
    }
    for channel in &glance.channels {
        put(CHANNEL, channel, "")?;
    }
    for location in &glance.locations {
        put(LOCATION, location, "")?;
    }
    Ok(())
}

/// After somebody paused it, or let it go on.
pub(super) fn pause(tx: &Transaction<'_>, account: AccountId, id: MonitorId, paused: bool) -> Result<()> {
    let sql = "UPDATE listed SET paused = ?3, rank = CASE WHEN ?3 THEN 6 ELSE coalesce(
                   (SELECT rank FROM judge_state s JOIN status_rank r ON r.status = s.status WHERE s.key = ?2), 4)
               END WHERE account_id = ?1 AND key = ?2";
    run(tx, sql, params![account.0, key::monitor(id), paused])?;
    Ok(())
}

/// What goes into the bin is not listed.
pub(super) fn remove(tx: &Transaction<'_>, account: AccountId, ids: &[MonitorId]) -> Result<()> {
    for id in ids {
        run(tx, "DELETE FROM listed WHERE account_id = ?1 AND key = ?2", [account.0, key::monitor(*id)])?;
        run(tx, "DELETE FROM label WHERE id = ?1", [id.0])?;
    }
    // After all rows, as in `put`.
    for id in ids {
        run(tx, "DELETE FROM listed_parts WHERE rowid = ?1", [id.0])?;
    }
    Ok(())
}

/// Lists all monitors anew.
pub(super) fn rebuild(tx: &Transaction<'_>) -> Result<()> {
    for sql in
        ["DELETE FROM listed", "DELETE FROM label", "DELETE FROM status_count", "DELETE FROM group_count"]
    {
        run(tx, sql, [])?;
    }
    run(tx, "INSERT INTO listed_parts (listed_parts) VALUES ('delete-all')", [])?;
    let mut after = -1;
    loop {
        let sql = format!(
            "SELECT {}, revised_at FROM monitor WHERE removed_at IS NULL AND key > ?1 ORDER BY key LIMIT 1000",
            convert::MONITOR
        );
        let piece = rows(tx, &sql, [after], |row| Ok((convert::monitor(row)?, Timestamp(row.get(9)?))))?;
        let Some((last, _)) = piece.last() else { return Ok(()) };
        after = key::monitor(last.id);
        put(tx, piece.iter().map(|(monitor, revised_at)| (monitor, *revised_at)))?;
    }
}
