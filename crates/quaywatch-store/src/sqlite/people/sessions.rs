//! Sessions, by the hashes of their secrets.

use std::net::IpAddr;

use quaywatch_core::{AccountId, Timestamp, UserId};
use rusqlite::{Connection, Row, Transaction, params};

use super::super::audit::{self, Entry};
use super::super::query::{exists, one, rows, run, run_on};
use super::super::{convert, error::engine};
use crate::records::{Author, NewSession, Proved, SecretHash, SessionRecord};
use crate::{Result, StoreError};

const SESSION: &str = "id, hash, user_id, account_id, created_at, last_seen_at, expires_at, address, agent";
/// Sessions that are over are forgotten by the next ones, so many at a time.
const SWEPT: i64 = 16;

fn record(row: &Row<'_>) -> rusqlite::Result<SessionRecord> {
    Ok(SessionRecord {
        id: row.get(0)?,
        hash: SecretHash(row.get(1)?),
        user: UserId(row.get(2)?),
        account: AccountId(row.get(3)?),
        created_at: Timestamp(row.get(4)?),
        last_seen_at: Timestamp(row.get(5)?),
        expires_at: Timestamp(row.get(6)?),
        address: convert::address(row, 7)?,
        agent: row.get(8)?,
    })
}

pub(super) fn create_session(
    tx: &Transaction<'_>,
    new: &NewSession,
    author: &Author,
) -> Result<SessionRecord> {
    expect_proved(tx, new.user, &new.proved)?;
    let sweep = "DELETE FROM session WHERE id IN (SELECT id FROM session WHERE expires_at < ?1 LIMIT ?2)";
    run(tx, sweep, [new.created_at.0, SWEPT])?;
    let sql = format!(
        "INSERT INTO session (hash, user_id, account_id, created_at, last_seen_at, expires_at, address, agent)
         VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6, ?7) RETURNING {SESSION}"
    );
    let values = params![
        new.hash.0,
        new.user.0,
        new.account.0,
        new.created_at.0,
        new.expires_at.0,
        text(new.address),
        new.agent
    ];
    let session = tx.query_row(&sql, values, record).map_err(engine)?;
    let entry = Entry { detail: &new.agent, ..Entry::of("session.created", "user", new.user.0) };
    audit::write(tx, (new.created_at, author), new.account, entry)?;
    Ok(session)
}

/// Goes on only while what somebody proved themselves with is theirs still.
pub(super) fn expect_proved(tx: &Transaction<'_>, user: UserId, proved: &Proved) -> Result<()> {
    let holds = match proved {
        Proved::Password { hash, totp_secret } => {
            let sql = "SELECT 1 FROM user WHERE id = ?1 AND disabled_at IS NULL AND password_hash = ?2
                       AND totp_secret IS ?3";
            exists(tx, sql, params![user.0, hash, totp_secret])?
        }
        Proved::Passkey(id) => {
            let sql = "SELECT 1 FROM passkey JOIN user ON user.id = user_id
                       WHERE user_id = ?1 AND disabled_at IS NULL AND passkey.id = ?2";
            exists(tx, sql, [user.0, *id])?
        }
        Proved::Provider { issuer, subject } => {
            let sql = "SELECT 1 FROM external_identity JOIN user ON user.id = user_id
                       WHERE user_id = ?1 AND disabled_at IS NULL AND issuer = ?2 AND subject = ?3";
            exists(tx, sql, params![user.0, issuer, subject])?
        }
        Proved::Session(hash) => {
            let sql = "SELECT 1 FROM session JOIN user ON user.id = user_id
                       WHERE user_id = ?1 AND disabled_at IS NULL AND hash = ?2";
            exists(tx, sql, params![user.0, hash.0])?
        }
    };
    if holds {
        return Ok(());
    }
    Err(StoreError::Conflict(format!("how user {user} signs in was changed meanwhile")))
}

/// Goes on only while the session that asks, if one does, has not ended.
pub(super) fn expect_alive(tx: &Transaction<'_>, user: UserId, asks: Option<SecretHash>) -> Result<()> {
    let Some(hash) = asks else { return Ok(()) };
    let sql = "SELECT 1 FROM session WHERE user_id = ?1 AND hash = ?2";
    if exists(tx, sql, params![user.0, hash.0])? {
        return Ok(());
    }
    Err(StoreError::Missing(format!("session that asks, of user {user}")))
}

pub(super) fn session(connection: &Connection, hash: SecretHash) -> Result<Option<SessionRecord>> {
    one(connection, &format!("SELECT {SESSION} FROM session WHERE hash = ?1"), [hash.0], record)
}

pub(super) fn sessions(connection: &Connection, user: UserId) -> Result<Vec<SessionRecord>> {
    let sql = format!("SELECT {SESSION} FROM session WHERE user_id = ?1 ORDER BY last_seen_at DESC, id DESC");
    rows(connection, &sql, [user.0], record)
}

pub(super) fn touch_session(
    tx: &Transaction<'_>,
    hash: SecretHash,
    address: Option<IpAddr>,
    at: Timestamp,
) -> Result<()> {
    let sql = "UPDATE session SET last_seen_at = max(last_seen_at, ?2), address = ?3 WHERE hash = ?1";
    run(tx, sql, params![hash.0, at.0, text(address)])?;
    Ok(())
}

/// Each of the two accounts is told what concerns it, and nothing of the other.
pub(super) fn move_session(
    tx: &Transaction<'_>,
    hash: SecretHash,
    account: AccountId,
    when: (Timestamp, &Author),
) -> Result<()> {
    let old = session(tx, hash)?.ok_or_else(|| StoreError::Missing("such session".to_owned()))?;
    let sql = "UPDATE session SET account_id = ?2 WHERE hash = ?1";
    run_on(tx, "such session", sql, params![hash.0, account.0])?;
    if old.account == account {
        return Ok(());
    }
    audit::write(tx, when, old.account, Entry::of("session.left", "user", old.user.0))?;
    audit::write(tx, when, account, Entry::of("session.entered", "user", old.user.0))
}

pub(super) fn end_session(
    tx: &Transaction<'_>,
    hash: SecretHash,
    (at, author): (Timestamp, Option<&Author>),
) -> Result<bool> {
    let Some(old) = session(tx, hash)? else { return Ok(false) };
    run(tx, "DELETE FROM session WHERE hash = ?1", [hash.0])?;
    if let Some(author) = author {
        let entry = Entry { detail: &old.agent, ..Entry::of("session.ended", "user", old.user.0) };
        audit::write(tx, (at, author), old.account, entry)?;
    }
    Ok(true)
}

/// Ends them because somebody asked for just that; where it follows from something else, that is what the log tells.
pub(super) fn sign_out(
    tx: &Transaction<'_>,
    user: UserId,
    but: Option<SecretHash>,
    when: (Timestamp, &Author),
) -> Result<u64> {
    let count = end_sessions(tx, user, but)?;
    if count > 0 {
        audit::write_of_user(tx, when, user, "sessions.ended", &count.to_string())?;
    }
    Ok(count)
}

pub(super) fn end_sessions(tx: &Transaction<'_>, user: UserId, but: Option<SecretHash>) -> Result<u64> {
    let sql = "DELETE FROM session WHERE user_id = ?1 AND hash IS NOT ?2";
    run(tx, sql, params![user.0, but.map(|hash| hash.0)])
}

fn text(address: Option<IpAddr>) -> String {
    address.map_or_else(String::new, |address| address.to_string())
}
