//! The audit log: a row for each thing that changed, written in the transaction that changes it.

use quaywatch_core::{AccountId, Timestamp, UserId};
use rusqlite::{Connection, Row, Transaction, named_params, params};

use super::convert;
use super::error::engine;
use super::query::{rows, rows_asked};
use crate::Result;
use crate::records::{AuditFilter, AuditRecord, Author};

/// Rows given where the caller names no limit.
const ROWS: usize = 1_000;

/// What is said of a change.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Entry<'a> {
    pub action: &'a str,
    pub object: Option<(&'a str, i64)>,
    pub before: Option<&'a str>,
    pub after: Option<&'a str>,
    pub detail: &'a str,
}

impl<'a> Entry<'a> {
    /// Of one thing, without its values.
    pub(super) const fn of(action: &'a str, kind: &'a str, id: i64) -> Self {
        Self { action, object: Some((kind, id)), before: None, after: None, detail: "" }
    }
}

/// Writes a row.
pub(super) fn write(
    tx: &Transaction<'_>,
    (at, author): (Timestamp, &Author),
    account: AccountId,
    entry: Entry<'_>,
) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO audit (at, account_id, actor, action, detail, object_kind, object_id, before, after, address,
         request) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )
    .and_then(|mut s| {
        s.execute(params![
            at.0,
            account.0,
            author.actor,
            entry.action,
            entry.detail,
            entry.object.map(|(kind, _)| kind),
            entry.object.map(|(_, id)| id),
            entry.before,
            entry.after,
            author.address.map(|address| address.to_string()),
            author.request,
        ])
    })
    .map_err(engine)?;
    Ok(())
}

/// A person belongs to no account: what changes of them is told in each that they are a member of.
pub(super) fn write_of_user(
    tx: &Transaction<'_>,
    when: (Timestamp, &Author),
    user: UserId,
    action: &str,
    detail: &str,
) -> Result<()> {
    let accounts = rows(tx, "SELECT account_id FROM member WHERE user_id = ?1", [user.0], |row| row.get(0))?;
    for account in accounts {
        let entry = Entry { detail, ..Entry::of(action, "user", user.0) };
        write(tx, when, AccountId(account), entry)?;
    }
    Ok(())
}

/// Rows of one account, newest first.
pub(super) fn read(
    connection: &Connection,
    account: AccountId,
    filter: &AuditFilter,
) -> Result<Vec<AuditRecord>> {
    // Each term stands in the text only where it is asked for: the engine then finds the index that fits.
    let term = |asked: bool, term: &'static str| if asked { term } else { "" };
    let sql = format!(
        "SELECT id, at, actor, address, request, action, object_kind, object_id, before, after, detail FROM audit
         WHERE account_id = :account AND id < :after{}{}{}{}{} ORDER BY id DESC LIMIT :limit",
        term(filter.kind.is_some(), " AND object_kind = :kind"),
        term(!filter.kinds.is_empty(), " AND object_kind IN (SELECT value FROM json_each(:kinds))"),
        term(filter.object.is_some(), " AND object_id = :object"),
        term(filter.actor.is_some(), " AND actor = :actor"),
        term(filter.window.is_some(), " AND at >= :from AND at < :to"),
    );
    let limit = if filter.limit == 0 { ROWS } else { filter.limit } as i64;
    let after = filter.after.unwrap_or(i64::MAX);
    let all = named_params! {
        ":account": account.0,
        ":after": after,
        ":limit": limit,
        ":kind": filter.kind,
        ":kinds": serde_json::to_string(&filter.kinds).expect("texts always become JSON"),
        ":object": filter.object,
        ":actor": filter.actor,
        ":from": filter.window.map(|window| window.from.0),
        ":to": filter.window.map(|window| window.to.0),
    };
    rows_asked(connection, &sql, all, record)
}

fn record(row: &Row<'_>) -> rusqlite::Result<AuditRecord> {
    let object = row.get::<_, Option<String>>(6)?.zip(row.get::<_, Option<i64>>(7)?);
    Ok(AuditRecord {
        id: row.get(0)?,
        at: Timestamp(row.get(1)?),
        author: Author {
            actor: row.get(2)?,
            address: convert::address(row, 3)?,
            request: row.get::<_, Option<String>>(4)?.map(String::into_boxed_str),
        },
        action: row.get(5)?,
        object,
        before: row.get(8)?,
        after: row.get(9)?,
        detail: row.get(10)?,
    })
}
