//! Bins that hold more than they may: how full they are, what lies there beyond a number, and how it goes before its
//! time. Choosing is a reader's work, as it looks at everything in the bin; the writer gets numbers and looks again at
//! each of them.

use quaywatch_core::{AccountId, ChannelId, Timestamp};
use rusqlite::Connection;

use super::query::{exists, one, rows, run};
use super::{Inner, retain};
use crate::Result;
use crate::blocks::key;
use crate::records::{BinRecord, Binned, BinnedChannel};

/// Monitors, or channels, purged in a piece, should the clock stand still.
const PURGED_A_PIECE: usize = 32;

/// A monitor's number, of its key.
const ID: &str = "(((m.key & 0x3ffffff) << 6) | (m.key >> 26))";

/// Accounts with more than so many monitors, or more than so many channels, in the bin.
pub(super) fn bins(connection: &Connection, fuller_than: u64) -> Result<Vec<BinRecord>> {
    rows(connection, BINS, [number(fuller_than)], |row| {
        Ok(BinRecord {
            account: AccountId(row.get(0)?),
            name: row.get(1)?,
            plan: row.get(2)?,
            monitors: row.get::<_, i64>(3)? as u64,
            channels: row.get::<_, i64>(4)? as u64,
        })
    })
}

/// No index holds the channels of bins, and whether a row is in one stands behind its settings, which may be long. So rows
/// are read only of accounts that have so many channels at all.
pub(super) const BINS: &str = "SELECT a.id, a.name, a.plan, coalesce(m.n, 0), coalesce(c.n, 0) FROM account a
    LEFT JOIN (
        SELECT account_id, count(*) AS n FROM monitor INDEXED BY monitor_bin WHERE removed_at IS NOT NULL
        GROUP BY account_id
    ) m ON m.account_id = a.id
    LEFT JOIN (
        SELECT account_id, (SELECT count(*) FROM channel o
                            WHERE o.account_id = t.account_id AND o.removed_at IS NOT NULL) AS n
        FROM (SELECT account_id FROM channel GROUP BY account_id HAVING count(*) > ?1) t
    ) c ON c.account_id = a.id
    WHERE m.n > ?1 OR c.n > ?1 ORDER BY a.id";

/// How many monitors lie in the bin, counted no further than `most`.
pub(super) fn in_bin(connection: &Connection, account: AccountId, most: u64) -> Result<u64> {
    // Leaves room for those that do not lie there.
    let most = number(most).min(i64::MAX / 2);
    let count = one(connection, IN_BIN, [account.0, most], |row| row.get::<_, i64>(0))?;
    Ok(count.map_or(0, |count| u64::try_from(count).unwrap_or(0)))
}

/// The index of the bin is that of all accounts together, so all monitors of this one are counted, by an index alone; how
/// many of them are not in the bin is kept.
pub(super) const IN_BIN: &str =
    "WITH live AS (SELECT coalesce(sum(n), 0) AS n FROM status_count WHERE account_id = ?1)
    SELECT (SELECT count(*) FROM (SELECT 1 FROM monitor INDEXED BY monitor_name WHERE account_id = ?1
                                  LIMIT ?2 + (SELECT n FROM live))) - (SELECT n FROM live)";

/// What lies in the bin beyond the `kept` that were removed last, in the order of the list of the bin.
pub(super) fn beyond(
    connection: &Connection,
    account: AccountId,
    (kept, limit): (u64, usize),
) -> Result<Vec<Binned>> {
    rows(connection, &beyond_sql(), [account.0, number(kept), number(limit as u64)], |row| {
        Ok(Binned { monitor: key::monitor_of(row.get(0)?), removed_at: Timestamp(row.get(1)?) })
    })
}

/// Without its index the engine would look at each monitor of the account, removed or not.
pub(super) fn beyond_sql() -> String {
    format!(
        "SELECT m.key, m.removed_at FROM (
             SELECT m.key, m.removed_at, m.account_id FROM monitor m INDEXED BY monitor_bin
             WHERE m.account_id = ?1 AND m.removed_at IS NOT NULL
             ORDER BY m.removed_at DESC, {ID} DESC LIMIT -1 OFFSET ?2
         ) m WHERE NOT {} ORDER BY m.removed_at, {ID} LIMIT ?3",
        not_done_with()
    )
}

/// Purges a piece of these; those that are left.
pub(super) async fn purge(inner: &Inner, account: AccountId, binned: Vec<Binned>) -> Result<Vec<Binned>> {
    let clock = std::sync::Arc::clone(&inner.clock);
    inner
        .writer
        .upkeep(move |tx| {
            let until = clock.boot() + retain::PIECE;
            let is_as_it_was = format!(
                "SELECT 1 FROM monitor m WHERE m.key = ?1 AND m.account_id = ?2 AND m.removed_at = ?3
                 AND NOT {}",
                not_done_with()
            );
            let mut left = binned.into_iter();
            for one in left.by_ref().take(PURGED_A_PIECE) {
                let key = key::monitor(one.monitor);
                if exists(tx, &is_as_it_was, [key, account.0, one.removed_at.0])? {
                    retain::purge_monitor(tx, account.0, key)?;
                }
                if retain::over(&*clock, until) {
                    break;
                }
            }
            Ok(left.collect())
        })
        .await
}

/// As [`beyond`], of channels. Nothing holds one of them back: what waited for it was tried once more when it was removed.
pub(super) fn channels_beyond(
    connection: &Connection,
    account: AccountId,
    (kept, limit): (u64, usize),
) -> Result<Vec<BinnedChannel>> {
    let sql = "SELECT id, removed_at FROM (
                   SELECT id, removed_at FROM channel WHERE account_id = ?1 AND removed_at IS NOT NULL
                   ORDER BY removed_at DESC, id DESC LIMIT -1 OFFSET ?2
               ) ORDER BY removed_at, id LIMIT ?3";
    rows(connection, sql, [account.0, number(kept), number(limit as u64)], |row| {
        Ok(BinnedChannel { channel: ChannelId(row.get(0)?), removed_at: Timestamp(row.get(1)?) })
    })
}

/// Deletes a piece of these; those that are left.
pub(super) async fn purge_channels(
    inner: &Inner,
    account: AccountId,
    binned: Vec<BinnedChannel>,
) -> Result<Vec<BinnedChannel>> {
    let clock = std::sync::Arc::clone(&inner.clock);
    inner
        .writer
        .upkeep(move |tx| {
            let until = clock.boot() + retain::PIECE;
            let sql = "DELETE FROM channel WHERE id = ?1 AND account_id = ?2 AND removed_at = ?3";
            let mut left = binned.into_iter();
            for one in left.by_ref().take(PURGED_A_PIECE) {
                run(tx, sql, [one.channel.0, account.0, one.removed_at.0])?;
                if retain::over(&*clock, until) {
                    break;
                }
            }
            Ok(left.collect())
        })
        .await
}

/// Whether the engine still has something to do with a monitor: it would write of what is gone, and record deliveries of
/// notices that are nowhere.
fn not_done_with() -> String {
    format!(
        "EXISTS (SELECT 1 FROM incident i WHERE i.account_id = m.account_id AND i.monitor_id = {ID}
         AND (i.ended_at IS NULL OR EXISTS (SELECT 1 FROM outbox o
              WHERE o.account_id = i.account_id AND o.incident_id = i.id AND o.state = 0)))"
    )
}

fn number(of: u64) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX)
}
