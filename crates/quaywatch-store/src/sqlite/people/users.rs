//! People themselves: who they are, and their passwords.

use quaywatch_core::{Timestamp, UserId};
use rusqlite::{Connection, Row, Transaction, params};

use super::super::convert;
use super::super::query::{exists, one, rows, run, run_on};
use super::super::{audit, error::engine};
use super::{By, doors, factors, sessions, tokens};
use crate::records::{NewUser, Reset, ResetRecord, SecretHash, UserRecord};
use crate::{Result, StoreError};

/// The columns that [`record`] reads; a table in front of each, for joins.
pub(super) const USER: &str = "user.id, user.email, user.name, user.password_hash, user.totp_secret, \
    user.totp_last_step, user.created_at, user.disabled_at";
/// How many there are.
pub(super) const COLUMNS: usize = 8;

pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<UserRecord> {
    Ok(UserRecord {
        id: UserId(row.get(0)?),
        email: row.get(1)?,
        name: row.get(2)?,
        password_hash: row.get(3)?,
        totp_secret: row.get(4)?,
        totp_last_step: row.get(5)?,
        created_at: Timestamp(row.get(6)?),
        disabled_at: convert::time(row, 7)?,
    })
}

/// Addresses of mail are one whatever the case.
fn folded(email: &str) -> String {
    email.trim().to_lowercase()
}

pub(super) fn create_user(tx: &Transaction<'_>, new: &NewUser, by: By<'_>) -> Result<UserRecord> {
    let user = insert(tx, new, by)?;
    audit::write_of_user(tx, by, user.id, "user.created", &user.email)?;
    Ok(user)
}

/// As [`create_user`], for whoever says so in the audit log in their own way.
pub(super) fn insert(tx: &Transaction<'_>, new: &NewUser, (at, _): By<'_>) -> Result<UserRecord> {
    let folded = folded(&new.email);
    if exists(tx, "SELECT 1 FROM user WHERE email_folded = ?1", [&folded])? {
        return Err(StoreError::Taken(format!("there is somebody with {} already", new.email)));
    }
    let sql = format!(
        "INSERT INTO user (email, email_folded, name, password_hash, created_at) VALUES (?1, ?2, ?3, ?4, ?5)
         RETURNING {}",
        USER.replace("user.", "")
    );
    tx.query_row(&sql, params![new.email.trim(), folded, new.name, new.password_hash, at.0], record)
        .map_err(engine)
}

pub(super) fn users(connection: &Connection) -> Result<Vec<UserRecord>> {
    rows(connection, &format!("SELECT {USER} FROM user ORDER BY id"), [], record)
}

pub(super) fn count_users(connection: &Connection) -> Result<u64> {
    Ok(one(connection, "SELECT count(*) FROM user", [], |row| row.get::<_, i64>(0))?.unwrap_or(0) as u64)
}

pub(super) fn user(connection: &Connection, id: UserId) -> Result<Option<UserRecord>> {
    one(connection, &format!("SELECT {USER} FROM user WHERE id = ?1"), [id.0], record)
}

pub(super) fn user_by_email(connection: &Connection, email: &str) -> Result<Option<UserRecord>> {
    one(connection, &format!("SELECT {USER} FROM user WHERE email_folded = ?1"), [folded(email)], record)
}

pub(super) fn set_user_name(tx: &Transaction<'_>, id: UserId, name: &str, by: By<'_>) -> Result<()> {
    run_on(tx, format_args!("user {id}"), "UPDATE user SET name = ?2 WHERE id = ?1", params![id.0, name])?;
    audit::write_of_user(tx, by, id, "user.renamed", name)
}

pub(super) fn set_password(
    tx: &Transaction<'_>,
    id: UserId,
    hash: Option<&str>,
    asks: Option<SecretHash>,
    by: By<'_>,
) -> Result<()> {
    sessions::expect_alive(tx, id, asks)?;
    let sql = "UPDATE user SET password_hash = ?2 WHERE id = ?1";
    run_on(tx, format_args!("user {id}"), sql, params![id.0, hash])?;
    sessions::end_sessions(tx, id, asks)?;
    audit::write_of_user(tx, by, id, "user.password_changed", "")
}

pub(super) fn reset(tx: &Transaction<'_>, id: UserId, reset: &Reset, by: By<'_>) -> Result<ResetRecord> {
    set_password(tx, id, Some(&reset.hash), None, by)?;
    if reset.second_factor
        && exists(tx, "SELECT 1 FROM user WHERE id = ?1 AND totp_secret IS NOT NULL", [id.0])?
    {
        factors::set_totp(tx, id, None, None, by)?;
    }
    if !reset.other_ways {
        return Ok(ResetRecord::default());
    }
    let (passkeys, identities) = factors::forget(tx, id, by)?;
    Ok(ResetRecord {
        passkeys,
        identities,
        tokens: tokens::revoke_of_user(tx, None, id, by)?,
        invitations: doors::revoke_of_user(tx, None, id, by)?,
    })
}

pub(super) fn rehash_password(tx: &Transaction<'_>, id: UserId, known: &str, hash: &str) -> Result<()> {
    let sql = "UPDATE user SET password_hash = ?3 WHERE id = ?1 AND password_hash = ?2";
    run(tx, sql, params![id.0, known, hash])?;
    Ok(())
}

pub(super) fn set_disabled(tx: &Transaction<'_>, id: UserId, disabled: bool, by: By<'_>) -> Result<()> {
    let since = disabled.then_some(by.0.0);
    let sql =
        "UPDATE user SET disabled_at = CASE WHEN ?2 IS NULL THEN NULL ELSE coalesce(disabled_at, ?2) END
               WHERE id = ?1";
    run_on(tx, format_args!("user {id}"), sql, params![id.0, since])?;
    if disabled {
        sessions::end_sessions(tx, id, None)?;
    }
    audit::write_of_user(tx, by, id, if disabled { "user.disabled" } else { "user.enabled" }, "")
}
