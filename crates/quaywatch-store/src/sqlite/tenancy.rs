//! The account itself, and calls to it that may come a second time.

use quaywatch_core::{AccountId, Timestamp};
use rusqlite::{Connection, Transaction, params};
use serde_json::json;

use super::audit::{self, Entry};
use super::listing::status_counts;
use super::query::{exists, one, run};
use crate::records::{AccountCounts, AccountDetail, Author, Idempotency, IdempotentCall, StoredAnswer};
use crate::{Result, StoreError};

/// So long a call is known, answered or not: what was cut short may have been done, and is never done again under its key.
const KNOWN_US: i64 = 24 * 3_600 * 1_000_000;
/// Calls that are forgotten by a new one.
const SWEPT: i64 = 16;

/// The account.
pub(super) fn detail(connection: &Connection, account: AccountId) -> Result<AccountDetail> {
    let sql = "SELECT name, plan, settings, created_at FROM account WHERE id = ?1";
    one(connection, sql, [account.0], |row| {
        Ok(AccountDetail {
            id: account,
            name: row.get(0)?,
            plan: row.get(1)?,
            settings: row.get(2)?,
            created_at: Timestamp(row.get(3)?),
        })
    })?
    .ok_or_else(|| StoreError::Missing(format!("account {account}")))
}

/// How much of what there is.
pub(super) fn counts(connection: &Connection, account: AccountId) -> Result<AccountCounts> {
    let sql = "SELECT (SELECT count(*) FROM channel WHERE account_id = ?1 AND removed_at IS NULL),
                      (SELECT count(*) FROM member WHERE account_id = ?1),
                      (SELECT count(*) FROM token WHERE account_id = ?1 AND revoked_at IS NULL)";
    let monitors = status_counts(connection, account)?.total();
    let counted = one(connection, sql, [account.0], |row| {
        let count = |column| row.get::<_, i64>(column).map(|n| n as u64);
        Ok(AccountCounts { monitors, channels: count(0)?, members: count(1)?, tokens: count(2)? })
    })?;
    Ok(counted.unwrap_or_default())
}

/// Another name.
pub(super) fn rename(
    tx: &Transaction<'_>,
    account: AccountId,
    name: &str,
    by: (Timestamp, &Author),
) -> Result<()> {
    if exists(tx, "SELECT 1 FROM account WHERE name = ?2 AND id != ?1", params![account.0, name])? {
        return Err(StoreError::Taken(format!("there is an account `{name}` already")));
    }
    set(tx, account, ("name", name), by)
}

/// Changes one thing of an account.
pub(super) fn set(
    tx: &Transaction<'_>,
    account: AccountId,
    (column, value): (&str, &str),
    by: (Timestamp, &Author),
) -> Result<()> {
    let read = format!("SELECT {column} FROM account WHERE id = ?1");
    let before: String = one(tx, &read, [account.0], |row| row.get(0))?
        .ok_or_else(|| StoreError::Missing(format!("account {account}")))?;
    if before == value {
        return Ok(());
    }
    run(tx, &format!("UPDATE account SET {column} = ?2 WHERE id = ?1"), params![account.0, value])?;
    let told = |value: &str| json!({ column: value }).to_string();
    let entry = Entry {
        before: Some(&told(&before)),
        after: Some(&told(value)),
        ..Entry::of("account.changed", "account", account.0)
    };
    audit::write(tx, by, account, entry)
}

/// Asks for a call, and remembers it when it is new.
pub(super) fn begin_call(
    tx: &Transaction<'_>,
    account: AccountId,
    call: &IdempotentCall,
    at: Timestamp,
) -> Result<Idempotency> {
    let sweep = "DELETE FROM idempotency WHERE id IN
                 (SELECT id FROM idempotency WHERE created_at < ?1 ORDER BY created_at LIMIT ?2)";
    run(tx, sweep, [at.0 - KNOWN_US, SWEPT])?;
    let sql = "SELECT request_hash, status, headers, body, created_at FROM idempotency
               WHERE account_id = ?1 AND key = ?2 AND route = ?3";
    let whose = params![account.0, call.key, call.route];
    let known = one(tx, sql, whose, |row| {
        let hash: Vec<u8> = row.get(0)?;
        let answer = match row.get::<_, Option<u16>>(1)? {
            Some(status) => Some(StoredAnswer { status, headers: row.get(2)?, body: row.get(3)? }),
            None => None,
        };
        Ok((hash, answer, row.get::<_, i64>(4)?))
    })?;
    if let Some((hash, answer, created)) = known {
        if at.0 - created < KNOWN_US {
            return Ok(match answer {
                _ if hash != call.request_hash => Idempotency::OtherRequest,
                Some(answer) => Idempotency::Answered(answer),
                None => Idempotency::UnderWay,
            });
        }
        forget_call(tx, account, call)?;
    }
    run(
        tx,
        "INSERT INTO idempotency (account_id, key, route, request_hash, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![account.0, call.key, call.route, call.request_hash, at.0],
    )?;
    Ok(Idempotency::New)
}

/// What was answered.
pub(super) fn answer_call(
    tx: &Transaction<'_>,
    account: AccountId,
    call: &IdempotentCall,
    answer: &StoredAnswer,
) -> Result<()> {
    let sql = "UPDATE idempotency SET status = ?5, headers = ?6, body = ?7
               WHERE account_id = ?1 AND key = ?2 AND route = ?3 AND request_hash = ?4 AND status IS NULL";
    let values = params![
        account.0,
        call.key,
        call.route,
        call.request_hash,
        answer.status,
        answer.headers,
        answer.body
    ];
    run(tx, sql, values)?;
    Ok(())
}

/// It may come anew.
pub(super) fn forget_call(tx: &Transaction<'_>, account: AccountId, call: &IdempotentCall) -> Result<()> {
    let sql =
        "DELETE FROM idempotency WHERE account_id = ?1 AND key = ?2 AND route = ?3 AND request_hash = ?4";
    run(tx, sql, params![account.0, call.key, call.route, call.request_hash])?;
    Ok(())
}
