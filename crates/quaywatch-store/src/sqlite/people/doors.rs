//! How people come in: the set-up of a new server, and invitations. What opens a door is used up in the transaction
//! that lets somebody in. An invitation is worth no more than whoever made it: it is not there any more once they
//! could not make it.

use quaywatch_core::access::Role;
use quaywatch_core::{AccountId, Timestamp, UserId};
use rusqlite::{Connection, Row, Transaction, params};
use serde_json::json;

use super::super::audit::{self, Entry};
use super::super::query::{exists, one, rows, run, run_on};
use super::super::{convert, error::engine, system};
use super::{By, factors, members, sessions, users};
use crate::records::{
    Accepting, AccountRecord, InvitationRecord, NewInvitation, NewUser, SecretHash, UserRecord,
};
use crate::{Result, StoreError};

const INVITATION: &str = "id, account_id, email, role, invited_by, created_at, expires_at, used_at";

/// Whoever made it could make it still. Of a token: its maker, and it was not revoked; that its time is over takes back
/// nothing. Those of the first account's owners lead into accounts of one's own. The host could always.
const GIVEN: &str = "(invited_by LIKE 'cli:%'
    OR EXISTS (SELECT 1 FROM token WHERE 'token:tok' || token.id = invited_by AND revoked_at IS NULL AND user_id IS NULL)
    OR EXISTS (
        SELECT 1 FROM member JOIN user ON user.id = member.user_id
        WHERE member.account_id = coalesce(invitation.account_id, 1) AND disabled_at IS NULL
        AND (member.role = 'owner'
             OR member.role = 'admin' AND invitation.role != 'owner' AND invitation.account_id IS NOT NULL)
        AND (invited_by = 'user:u' || member.user_id
             OR EXISTS (SELECT 1 FROM token WHERE 'token:tok' || token.id = invited_by AND revoked_at IS NULL
                        AND token.user_id = member.user_id))))";

fn record(row: &Row<'_>) -> rusqlite::Result<InvitationRecord> {
    Ok(InvitationRecord {
        id: row.get(0)?,
        account: row.get::<_, Option<i64>>(1)?.map(AccountId),
        email: row.get(2)?,
        role: convert::role(row, 3)?,
        invited_by: row.get(4)?,
        created_at: Timestamp(row.get(5)?),
        expires_at: Timestamp(row.get(6)?),
        used_at: convert::time(row, 7)?,
    })
}

pub(super) fn put_setup_key(
    tx: &Transaction<'_>,
    hash: SecretHash,
    expires_at: Timestamp,
    at: Timestamp,
) -> Result<()> {
    run(tx, "DELETE FROM setup_key", [])?;
    let sql = "INSERT INTO setup_key (hash, created_at, expires_at) VALUES (?1, ?2, ?3)";
    run(tx, sql, params![hash.0, at.0, expires_at.0])?;
    Ok(())
}

pub(super) fn setup_key_opens(connection: &Connection, hash: SecretHash, at: Timestamp) -> Result<bool> {
    let sql = "SELECT 1 FROM setup_key WHERE hash = ?1 AND used_at IS NULL AND expires_at > ?2";
    exists(connection, sql, params![hash.0, at.0])
}

pub(super) fn set_up(
    tx: &Transaction<'_>,
    hash: SecretHash,
    first: &NewUser,
    by: By<'_>,
) -> Result<UserRecord> {
    if !setup_key_opens(tx, hash, by.0)? {
        return Err(StoreError::Missing("such key for the set-up".to_owned()));
    }
    if users::count_users(tx)? > 0 {
        return Err(StoreError::Conflict("this server is set up already".to_owned()));
    }
    run(tx, "UPDATE setup_key SET used_at = ?1", [by.0.0])?;
    let user = users::insert(tx, first, by)?;
    members::set_role(tx, AccountId::DEFAULT, (user.id, Role::Owner), by)?;
    audit::write_of_user(tx, by, user.id, "user.created", &user.email)?;
    Ok(user)
}

pub(super) fn invite_to_own_account(
    tx: &Transaction<'_>,
    account: AccountId,
    new: &NewInvitation,
    by: By<'_>,
) -> Result<InvitationRecord> {
    invite(tx, account, None, new, by)
}

/// Into this account.
pub(in super::super) fn create_invitation(
    tx: &Transaction<'_>,
    account: AccountId,
    new: &NewInvitation,
    by: By<'_>,
) -> Result<InvitationRecord> {
    invite(tx, account, Some(account), new, by)
}

fn invite(
    tx: &Transaction<'_>,
    account: AccountId,
    into: Option<AccountId>,
    new: &NewInvitation,
    by: By<'_>,
) -> Result<InvitationRecord> {
    let (at, author) = by;
    let sql = format!(
        "INSERT INTO invitation (account_id, email, role, hash, invited_by, created_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) RETURNING {INVITATION}"
    );
    let into = into.map(|account| account.0);
    let values = params![into, new.email, new.role.word(), new.hash.0, author.actor, at.0, new.expires_at.0];
    let invitation = tx.query_row(&sql, values, record).map_err(engine)?;
    let after =
        json!({"email": new.email, "role": new.role.word(), "own_account": into.is_none()}).to_string();
    let entry = Entry { after: Some(&after), ..Entry::of("invitation.created", "invitation", invitation.id) };
    audit::write(tx, by, account, entry)?;
    Ok(invitation)
}

pub(super) fn own_account_invitations(connection: &Connection) -> Result<Vec<InvitationRecord>> {
    let sql = format!(
        "SELECT {INVITATION} FROM invitation WHERE account_id IS NULL AND used_at IS NULL AND {GIVEN}
         ORDER BY id DESC"
    );
    rows(connection, &sql, [], record)
}

/// Into this account.
pub(in super::super) fn invitations(
    connection: &Connection,
    account: AccountId,
) -> Result<Vec<InvitationRecord>> {
    let sql = format!(
        "SELECT {INVITATION} FROM invitation WHERE account_id = ?1 AND used_at IS NULL AND {GIVEN}
         ORDER BY id DESC"
    );
    rows(connection, &sql, [account.0], record)
}

pub(super) fn revoke_own_account_invitation(
    tx: &Transaction<'_>,
    account: AccountId,
    id: i64,
    by: By<'_>,
) -> Result<()> {
    revoke(tx, account, None, id, by)
}

/// Into this account.
pub(in super::super) fn revoke_invitation(
    tx: &Transaction<'_>,
    account: AccountId,
    id: i64,
    by: By<'_>,
) -> Result<()> {
    revoke(tx, account, Some(account), id, by)
}

fn revoke(
    tx: &Transaction<'_>,
    account: AccountId,
    into: Option<AccountId>,
    id: i64,
    by: By<'_>,
) -> Result<()> {
    let sql = "DELETE FROM invitation WHERE id = ?1 AND account_id IS ?2 AND used_at IS NULL";
    run_on(tx, format_args!("invitation {id}"), sql, params![id, into.map(|account| account.0)])?;
    audit::write(tx, by, account, Entry::of("invitation.revoked", "invitation", id))
}

pub(super) fn invitation(connection: &Connection, hash: SecretHash) -> Result<Option<InvitationRecord>> {
    let sql = format!("SELECT {INVITATION} FROM invitation WHERE hash = ?1 AND {GIVEN}");
    one(connection, &sql, [hash.0], record)
}

/// Those that somebody made, into an account or anywhere, are taken back; how many.
pub(super) fn revoke_of_user(
    tx: &Transaction<'_>,
    account: Option<AccountId>,
    user: UserId,
    by: By<'_>,
) -> Result<u64> {
    // Into accounts of their own the first account invites.
    let sql = format!(
        "SELECT {INVITATION} FROM invitation WHERE used_at IS NULL
         AND (?1 IS NULL OR coalesce(account_id, 1) = ?1)
         AND (invited_by = 'user:u' || ?2
              OR invited_by IN (SELECT 'token:tok' || id FROM token WHERE user_id = ?2))"
    );
    let theirs = rows(tx, &sql, params![account.map(|account| account.0), user.0], record)?;
    for invitation in &theirs {
        let account = invitation.account.unwrap_or(AccountId::DEFAULT);
        revoke(tx, account, invitation.account, invitation.id, by)?;
    }
    Ok(theirs.len() as u64)
}

pub(super) fn accept_invitation(
    tx: &Transaction<'_>,
    hash: SecretHash,
    user: UserId,
    accepting: &Accepting,
    own_account: Option<&str>,
    by: By<'_>,
) -> Result<AccountRecord> {
    let invitation = use_up(tx, hash, by.0)?;
    match accepting {
        Accepting::Proved(proved) => {
            sessions::expect_proved(tx, user, proved)?;
            join(tx, &invitation, user, own_account, by)
        }
        Accepting::Chose(hash) => {
            // Whoever made the link may hold it: it opens nothing that was there before.
            let belongs = exists(tx, "SELECT 1 FROM member WHERE user_id = ?1", [user.0])?;
            if belongs || factors::has_way_in(tx, user)? {
                return Err(StoreError::Conflict(format!("user {user} proves who they are in another way")));
            }
            let account = join(tx, &invitation, user, own_account, by)?;
            users::set_password(tx, user, Some(hash), None, by)?;
            Ok(account)
        }
    }
}

pub(super) fn join_by_invitation(
    tx: &Transaction<'_>,
    hash: SecretHash,
    new: &NewUser,
    own_account: Option<&str>,
    by: By<'_>,
) -> Result<(UserRecord, AccountRecord)> {
    let invitation = use_up(tx, hash, by.0)?;
    let user = users::insert(tx, new, by)?;
    let account = join(tx, &invitation, user.id, own_account, by)?;
    audit::write_of_user(tx, by, user.id, "user.created", &user.email)?;
    Ok((user, account))
}

fn use_up(tx: &Transaction<'_>, hash: SecretHash, at: Timestamp) -> Result<InvitationRecord> {
    let sql = format!(
        "UPDATE invitation SET used_at = ?2 WHERE hash = ?1 AND used_at IS NULL AND expires_at > ?2 AND {GIVEN}
         RETURNING {INVITATION}"
    );
    one(tx, &sql, params![hash.0, at.0], record)?
        .ok_or_else(|| StoreError::Missing("such invitation".to_owned()))
}

fn join(
    tx: &Transaction<'_>,
    invitation: &InvitationRecord,
    user: UserId,
    own_account: Option<&str>,
    by: By<'_>,
) -> Result<AccountRecord> {
    let account = match (invitation.account, own_account) {
        (Some(id), _) => one(tx, "SELECT id, name FROM account WHERE id = ?1", [id.0], |row| {
            Ok(AccountRecord { id: AccountId(row.get(0)?), name: row.get(1)? })
        })?
        .ok_or_else(|| StoreError::Missing(format!("account {id}")))?,
        (None, Some(name)) => system::make_account(tx, name, by.0)?,
        (None, None) => return Err(StoreError::Conflict("the account needs a name".to_owned())),
    };
    let is_member =
        exists(tx, "SELECT 1 FROM member WHERE account_id = ?1 AND user_id = ?2", [account.id.0, user.0])?;
    // An invitation makes nobody less than they are.
    if !is_member {
        let role = if invitation.account.is_some() { invitation.role } else { Role::Owner };
        members::set_role(tx, account.id, (user, role), by)?;
    }
    Ok(account)
}
