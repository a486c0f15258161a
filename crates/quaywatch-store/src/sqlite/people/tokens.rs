//! Tokens, by the hashes of their secrets. A token belongs to an account, not to who made it, but ends when they leave.

use std::net::IpAddr;

use quaywatch_core::{AccountId, Timestamp, TokenId, UserId};
use rusqlite::{Connection, Row, Transaction, params};
use serde_json::json;

use super::super::audit::{self, Entry};
use super::super::query::{one, rows, run};
use super::super::{convert, error::engine};
use super::By;
use crate::records::{NewToken, SecretHash, TokenRecord};
use crate::{Result, StoreError};

const TOKEN: &str = "id, account_id, name, prefix, scopes, created_by, user_id, created_at, expires_at, \
    last_used_at, last_address, revoked_at";

fn record(row: &Row<'_>) -> rusqlite::Result<TokenRecord> {
    Ok(TokenRecord {
        id: TokenId(row.get(0)?),
        account: AccountId(row.get(1)?),
        name: row.get(2)?,
        prefix: row.get(3)?,
        scopes: row.get(4)?,
        created_by: row.get(5)?,
        user: row.get::<_, Option<i64>>(6)?.map(UserId),
        created_at: Timestamp(row.get(7)?),
        expires_at: convert::time(row, 8)?,
        last_used_at: convert::time(row, 9)?,
        last_address: convert::address(row, 10)?,
        revoked_at: convert::time(row, 11)?,
    })
}

pub(super) fn token(connection: &Connection, hash: SecretHash) -> Result<Option<TokenRecord>> {
    one(connection, &format!("SELECT {TOKEN} FROM token WHERE hash = ?1"), [hash.0], record)
}

pub(super) fn touch_token(
    tx: &Transaction<'_>,
    id: TokenId,
    address: Option<IpAddr>,
    at: Timestamp,
) -> Result<()> {
    let sql =
        "UPDATE token SET last_used_at = max(coalesce(last_used_at, 0), ?2), last_address = ?3 WHERE id = ?1";
    run(tx, sql, params![id.0, at.0, address.map(|address| address.to_string())])?;
    Ok(())
}

/// Of one account, newest first.
pub(in super::super) fn tokens(connection: &Connection, account: AccountId) -> Result<Vec<TokenRecord>> {
    let sql = format!("SELECT {TOKEN} FROM token WHERE account_id = ?1 ORDER BY id DESC");
    rows(connection, &sql, [account.0], record)
}

pub(in super::super) fn create_token(
    tx: &Transaction<'_>,
    account: AccountId,
    new: &NewToken,
    by: By<'_>,
) -> Result<TokenRecord> {
    let (at, author) = by;
    let sql = format!(
        "INSERT INTO token (account_id, name, prefix, hash, scopes, created_by, user_id, created_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) RETURNING {TOKEN}"
    );
    let values = params![
        account.0,
        new.name,
        new.prefix,
        new.hash.0,
        new.scopes,
        author.actor,
        new.user.map(|user| user.0),
        at.0,
        new.expires_at.map(|at| at.0)
    ];
    let token = tx.query_row(&sql, values, record).map_err(engine)?;
    let after = json!({
        "name": token.name, "prefix": token.prefix, "scopes": token.scopes,
        "expires_at": token.expires_at.map(|at| at.to_string()),
    });
    let entry = Entry { after: Some(&after.to_string()), ..Entry::of("token.created", "token", token.id.0) };
    audit::write(tx, by, account, entry)?;
    Ok(token)
}

pub(in super::super) fn revoke_token(
    tx: &Transaction<'_>,
    account: AccountId,
    id: TokenId,
    by: By<'_>,
) -> Result<TokenRecord> {
    let sql = format!("SELECT {TOKEN} FROM token WHERE id = ?1 AND account_id = ?2");
    let token = one(tx, &sql, [id.0, account.0], record)?
        .ok_or_else(|| StoreError::Missing(format!("token {id}")))?;
    if token.revoked_at.is_some() {
        return Ok(token);
    }
    revoke(tx, &token, by)?;
    Ok(TokenRecord { revoked_at: Some(by.0), ..token })
}

/// Those that somebody made, in an account or in all; how many.
pub(super) fn revoke_of_user(
    tx: &Transaction<'_>,
    account: Option<AccountId>,
    user: UserId,
    by: By<'_>,
) -> Result<u64> {
    let sql = format!(
        "SELECT {TOKEN} FROM token WHERE (?1 IS NULL OR account_id = ?1) AND user_id = ?2 AND revoked_at IS NULL"
    );
    let theirs = rows(tx, &sql, params![account.map(|account| account.0), user.0], record)?;
    for token in &theirs {
        revoke(tx, token, by)?;
    }
    Ok(theirs.len() as u64)
}

fn revoke(tx: &Transaction<'_>, token: &TokenRecord, by: By<'_>) -> Result<()> {
    run(tx, "UPDATE token SET revoked_at = ?2 WHERE id = ?1", [token.id.0, by.0.0])?;
    let entry = Entry { detail: &token.name, ..Entry::of("token.revoked", "token", token.id.0) };
    audit::write(tx, by, token.account, entry)
}
