//! Who may do what in which account. An account that has people has an owner.

use quaywatch_core::access::Role;
use quaywatch_core::{AccountId, Timestamp, UserId};
use rusqlite::{Connection, Transaction, params};
use serde_json::json;

use super::super::audit::{self, Entry};
use super::super::convert;
use super::super::query::{exists, one, rows, run};
use super::{By, doors, tokens, users};
use crate::records::{AccountRecord, MemberRecord, Membership};
use crate::{Result, StoreError};

pub(super) fn memberships(connection: &Connection, user: UserId) -> Result<Vec<Membership>> {
    let sql =
        "SELECT account.id, account.name, role, since FROM member JOIN account ON account.id = account_id
               WHERE user_id = ?1 ORDER BY account.id";
    rows(connection, sql, [user.0], |row| {
        Ok(Membership {
            account: AccountRecord { id: AccountId(row.get(0)?), name: row.get(1)? },
            role: convert::role(row, 2)?,
            since: Timestamp(row.get(3)?),
        })
    })
}

pub(in super::super) fn members(connection: &Connection, account: AccountId) -> Result<Vec<MemberRecord>> {
    let sql = format!(
        "SELECT {}, member.role, member.since,
                (SELECT max(last_seen_at) FROM session s WHERE s.user_id = user.id AND s.account_id = ?1)
         FROM member JOIN user ON user.id = member.user_id WHERE member.account_id = ?1
         ORDER BY user.name, user.id",
        users::USER
    );
    rows(connection, &sql, [account.0], |row| {
        Ok(MemberRecord {
            user: users::record(row)?,
            role: convert::role(row, users::COLUMNS)?,
            since: Timestamp(row.get(users::COLUMNS + 1)?),
            last_seen_at: convert::time(row, users::COLUMNS + 2)?,
        })
    })
}

pub(in super::super) fn set_role(
    tx: &Transaction<'_>,
    account: AccountId,
    (user, role): (UserId, Role),
    by: By<'_>,
) -> Result<()> {
    if !exists(tx, "SELECT 1 FROM user WHERE id = ?1", [user.0])? {
        return Err(StoreError::Missing(format!("user {user}")));
    }
    let known = role_of(tx, account, user)?;
    if known == Some(role) {
        return Ok(());
    }
    if known == Some(Role::Owner) {
        expect_another_owner(tx, account, user)?;
    }
    let sql = "INSERT INTO member (account_id, user_id, role, since) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (account_id, user_id) DO UPDATE SET role = excluded.role";
    run(tx, sql, params![account.0, user.0, role.word(), by.0.0])?;
    let told = |role: Role| json!({"role": role.word()}).to_string();
    let before = known.map(told);
    let entry = Entry {
        before: before.as_deref(),
        after: Some(&told(role)),
        ..Entry::of(if known.is_some() { "member.changed" } else { "member.added" }, "user", user.0)
    };
    audit::write(tx, by, account, entry)
}

/// Of a member who is what the caller saw, in the transaction that looks: who was let go meanwhile does not come back,
/// and who was made more is not made less by somebody who may not.
pub(in super::super) fn change_role(
    tx: &Transaction<'_>,
    account: AccountId,
    user: UserId,
    (from, to): (Role, Role),
    by: By<'_>,
) -> Result<()> {
    if role_of(tx, account, user)? != Some(from) {
        return Err(StoreError::Missing(format!("member {user} who is {}", from.word())));
    }
    set_role(tx, account, (user, to), by)
}

pub(in super::super) fn remove_member(
    tx: &Transaction<'_>,
    account: AccountId,
    user: UserId,
    by: By<'_>,
) -> Result<()> {
    let role = role_of(tx, account, user)?.ok_or_else(|| StoreError::Missing(format!("member {user}")))?;
    if role == Role::Owner {
        expect_another_owner(tx, account, user)?;
    }
    run(tx, "DELETE FROM member WHERE account_id = ?1 AND user_id = ?2", [account.0, user.0])?;
    run(tx, "DELETE FROM session WHERE account_id = ?1 AND user_id = ?2", [account.0, user.0])?;
    tokens::revoke_of_user(tx, Some(account), user, by)?;
    doors::revoke_of_user(tx, Some(account), user, by)?;
    let before = json!({"role": role.word()}).to_string();
    let entry = Entry { before: Some(&before), ..Entry::of("member.removed", "user", user.0) };
    audit::write(tx, by, account, entry)
}

fn role_of(tx: &Transaction<'_>, account: AccountId, user: UserId) -> Result<Option<Role>> {
    let sql = "SELECT role FROM member WHERE account_id = ?1 AND user_id = ?2";
    one(tx, sql, [account.0, user.0], |row| convert::role(row, 0))
}

/// Somebody who may not sign in owns nothing.
fn expect_another_owner(tx: &Transaction<'_>, account: AccountId, user: UserId) -> Result<()> {
    let sql = "SELECT 1 FROM member JOIN user ON user.id = user_id
               WHERE account_id = ?1 AND user_id != ?2 AND role = ?3 AND disabled_at IS NULL";
    if exists(tx, sql, params![account.0, user.0, Role::Owner.word()])? {
        return Ok(());
    }
    Err(StoreError::Conflict(
        "the last owner of an account stays: make somebody else an owner first".to_owned(),
    ))
}
