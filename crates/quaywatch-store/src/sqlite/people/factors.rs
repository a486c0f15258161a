//! What else people prove who they are by: codes of a device, recovery codes, passkeys, other providers.

use quaywatch_core::{Timestamp, UserId};
use rusqlite::{Connection, Row, Transaction, params};

use super::super::query::{exists, one, rows, run, run_on};
use super::super::{audit, convert, error::engine};
use super::{By, sessions, tokens};
use crate::records::{ExternalIdentity, NewPasskey, PasskeyRecord, SecretHash};
use crate::{Result, StoreError};

const PASSKEY: &str = "id, user_id, credential_id, credential, name, counter, created_at, last_used_at";

fn passkey_record(row: &Row<'_>) -> rusqlite::Result<PasskeyRecord> {
    Ok(PasskeyRecord {
        id: row.get(0)?,
        user: UserId(row.get(1)?),
        credential_id: row.get(2)?,
        credential: row.get(3)?,
        name: row.get(4)?,
        counter: row.get(5)?,
        created_at: Timestamp(row.get(6)?),
        last_used_at: convert::time(row, 7)?,
    })
}

pub(super) fn set_totp(
    tx: &Transaction<'_>,
    id: UserId,
    factor: Option<&(Vec<u8>, Vec<SecretHash>)>,
    asks: Option<SecretHash>,
    by: By<'_>,
) -> Result<()> {
    sessions::expect_alive(tx, id, asks)?;
    // The steps of another secret are others': the last one used must not keep the new secret's codes out.
    let sql = "UPDATE user SET totp_secret = ?2, totp_last_step = 0 WHERE id = ?1";
    run_on(tx, format_args!("user {id}"), sql, params![id.0, factor.map(|(secret, _)| secret)])?;
    put_recovery_codes(tx, id, factor.map_or(&[], |(_, codes)| codes))?;
    if factor.is_some() {
        // They came in without it.
        sessions::end_sessions(tx, id, asks)?;
    }
    let action = if factor.is_some() { "user.second_factor_on" } else { "user.second_factor_off" };
    audit::write_of_user(tx, by, id, action, "")
}

pub(super) fn advance_totp(tx: &Transaction<'_>, id: UserId, step: i64) -> Result<bool> {
    let sql = "UPDATE user SET totp_last_step = ?2 WHERE id = ?1 AND totp_last_step < ?2";
    Ok(run(tx, sql, [id.0, step])? == 1)
}

pub(super) fn replace_recovery_codes(
    tx: &Transaction<'_>,
    id: UserId,
    codes: &[SecretHash],
    by: By<'_>,
) -> Result<()> {
    if !exists(tx, "SELECT 1 FROM user WHERE id = ?1", [id.0])? {
        return Err(StoreError::Missing(format!("user {id}")));
    }
    put_recovery_codes(tx, id, codes)?;
    audit::write_of_user(tx, by, id, "user.recovery_codes_replaced", "")
}

fn put_recovery_codes(tx: &Transaction<'_>, id: UserId, codes: &[SecretHash]) -> Result<()> {
    run(tx, "DELETE FROM recovery_code WHERE user_id = ?1", [id.0])?;
    for code in codes {
        run(tx, "INSERT INTO recovery_code (user_id, hash) VALUES (?1, ?2)", params![id.0, code.0])?;
    }
    Ok(())
}

pub(super) fn use_recovery_code(
    tx: &Transaction<'_>,
    id: UserId,
    code: SecretHash,
    at: Timestamp,
) -> Result<bool> {
    let sql = "UPDATE recovery_code SET used_at = ?3 WHERE user_id = ?1 AND hash = ?2 AND used_at IS NULL";
    Ok(run(tx, sql, params![id.0, code.0, at.0])? == 1)
}

pub(super) fn unused_recovery_codes(connection: &Connection, id: UserId) -> Result<u64> {
    let sql = "SELECT count(*) FROM recovery_code WHERE user_id = ?1 AND used_at IS NULL";
    Ok(one(connection, sql, [id.0], |row| row.get::<_, i64>(0))?.unwrap_or(0) as u64)
}

pub(super) fn passkeys(connection: &Connection, user: UserId) -> Result<Vec<PasskeyRecord>> {
    let sql = format!("SELECT {PASSKEY} FROM passkey WHERE user_id = ?1 ORDER BY id");
    rows(connection, &sql, [user.0], passkey_record)
}

pub(super) fn passkey(connection: &Connection, credential_id: &[u8]) -> Result<Option<PasskeyRecord>> {
    let sql = format!("SELECT {PASSKEY} FROM passkey WHERE credential_id = ?1");
    one(connection, &sql, [credential_id], passkey_record)
}

pub(super) fn add_passkey(
    tx: &Transaction<'_>,
    user: UserId,
    new: &NewPasskey,
    asks: Option<SecretHash>,
    by: By<'_>,
) -> Result<PasskeyRecord> {
    sessions::expect_alive(tx, user, asks)?;
    if passkey(tx, &new.credential_id)?.is_some() {
        return Err(StoreError::Taken("this passkey is kept already".to_owned()));
    }
    let sql = format!(
        "INSERT INTO passkey (user_id, credential_id, credential, name, counter, created_at)
         SELECT id, ?2, ?3, ?4, ?5, ?6 FROM user WHERE id = ?1 RETURNING {PASSKEY}"
    );
    let values = params![user.0, new.credential_id, new.credential, new.name, new.counter, by.0.0];
    let added =
        one(tx, &sql, values, passkey_record)?.ok_or_else(|| StoreError::Missing(format!("user {user}")))?;
    audit::write_of_user(tx, by, user, "user.passkey_added", &added.name)?;
    Ok(added)
}

pub(super) fn touch_passkey(
    tx: &Transaction<'_>,
    id: i64,
    credential: &str,
    counter: u32,
    at: Timestamp,
) -> Result<bool> {
    // Devices that do not count say 0 for ever.
    let sql = "UPDATE passkey SET credential = ?2, counter = ?3, last_used_at = ?4
               WHERE id = ?1 AND (counter < ?3 OR (counter = 0 AND ?3 = 0))";
    Ok(run(tx, sql, params![id, credential, counter, at.0])? == 1)
}

pub(super) fn remove_passkey(tx: &Transaction<'_>, user: UserId, id: i64, by: By<'_>) -> Result<()> {
    let sql = "DELETE FROM passkey WHERE id = ?2 AND user_id = ?1 RETURNING name";
    let name: String = one(tx, sql, [user.0, id], |row| row.get(0))?
        .ok_or_else(|| StoreError::Missing(format!("passkey {id} of user {user}")))?;
    audit::write_of_user(tx, by, user, "user.passkey_removed", &name)
}

fn identity(row: &Row<'_>) -> rusqlite::Result<ExternalIdentity> {
    Ok(ExternalIdentity {
        issuer: row.get(0)?,
        subject: row.get(1)?,
        user: UserId(row.get(2)?),
        linked_at: Timestamp(row.get(3)?),
    })
}

pub(super) fn external_identity(
    connection: &Connection,
    issuer: &str,
    subject: &str,
) -> Result<Option<ExternalIdentity>> {
    let sql = "SELECT issuer, subject, user_id, linked_at FROM external_identity
               WHERE issuer = ?1 AND subject = ?2";
    one(connection, sql, [issuer, subject], identity)
}

pub(super) fn external_identities(connection: &Connection, user: UserId) -> Result<Vec<ExternalIdentity>> {
    let sql = "SELECT issuer, subject, user_id, linked_at FROM external_identity WHERE user_id = ?1
               ORDER BY issuer, subject";
    rows(connection, sql, [user.0], identity)
}

/// Whether anything opens a door for somebody, or nothing shall.
pub(super) fn has_way_in(tx: &Transaction<'_>, user: UserId) -> Result<bool> {
    let sql = "SELECT 1 FROM user WHERE id = ?1 AND (
                   password_hash IS NOT NULL OR totp_secret IS NOT NULL OR disabled_at IS NOT NULL
                   OR EXISTS (SELECT 1 FROM passkey WHERE user_id = ?1)
                   OR EXISTS (SELECT 1 FROM external_identity WHERE user_id = ?1))";
    exists(tx, sql, [user.0])
}

/// Passkeys and links of somebody are forgotten; how many of each.
pub(super) fn forget(tx: &Transaction<'_>, user: UserId, by: By<'_>) -> Result<(u64, u64)> {
    let names = rows(tx, "SELECT id FROM passkey WHERE user_id = ?1", [user.0], |row| row.get(0))?;
    for id in &names {
        remove_passkey(tx, user, *id, by)?;
    }
    let linked = external_identities(tx, user)?;
    for identity in &linked {
        let sql = "DELETE FROM external_identity WHERE issuer = ?1 AND subject = ?2";
        run(tx, sql, [&identity.issuer, &identity.subject])?;
        audit::write_of_user(tx, by, user, "user.identity_unlinked", &identity.issuer)?;
    }
    Ok((names.len() as u64, linked.len() as u64))
}

pub(super) fn claim_identity(tx: &Transaction<'_>, new: &ExternalIdentity, by: By<'_>) -> Result<()> {
    if has_way_in(tx, new.user)? {
        return Err(StoreError::Conflict(format!("user {} signs in another way", new.user)));
    }
    // What is left of ways in that were taken away goes with them.
    sessions::end_sessions(tx, new.user, None)?;
    tokens::revoke_of_user(tx, None, new.user, by)?;
    link_identity(tx, new, None, by)
}

pub(super) fn link_identity(
    tx: &Transaction<'_>,
    new: &ExternalIdentity,
    asks: Option<SecretHash>,
    by: By<'_>,
) -> Result<()> {
    sessions::expect_alive(tx, new.user, asks)?;
    match external_identity(tx, &new.issuer, &new.subject)? {
        Some(known) if known.user == new.user => return Ok(()),
        Some(_) => return Err(StoreError::Taken("this sign-in belongs to somebody else".to_owned())),
        None => {}
    }
    let values = params![new.issuer, new.subject, new.user.0, new.linked_at.0];
    tx.execute(
        "INSERT INTO external_identity (issuer, subject, user_id, linked_at) VALUES (?1, ?2, ?3, ?4)",
        values,
    )
    .map_err(engine)?;
    audit::write_of_user(tx, by, new.user, "user.identity_linked", &new.issuer)
}

pub(super) fn unlink_identity(tx: &Transaction<'_>, user: UserId, issuer: &str, by: By<'_>) -> Result<()> {
    let sql = "DELETE FROM external_identity WHERE user_id = ?1 AND issuer = ?2";
    run_on(tx, format_args!("sign-in of user {user} with {issuer}"), sql, params![user.0, issuer])?;
    audit::write_of_user(tx, by, user, "user.identity_unlinked", issuer)
}
