//! People, and what they and programs are recognised by. Each call is a function of one of the modules here.

pub(super) mod doors;
mod factors;
pub(super) mod members;
mod sessions;
pub(super) mod tokens;
mod users;

use std::net::IpAddr;
use std::sync::Arc;

use quaywatch_core::{AccountId, Timestamp, TokenId, UserId};

use super::Inner;
use super::readers::Limit;
use crate::records::{
    Accepting, AccountRecord, Author, ExternalIdentity, InvitationRecord, Membership, NewInvitation,
    NewPasskey, NewSession, NewUser, PasskeyRecord, Reset, ResetRecord, SecretHash, SessionRecord,
    TokenRecord, UserRecord,
};
use crate::{BoxFuture, PeopleStore, Result};

/// When, and who acts.
type By<'a> = (Timestamp, &'a Author);

/// The people of the server.
pub(super) struct Handle(Arc<Inner>);

impl Handle {
    pub(super) const fn new(inner: Arc<Inner>) -> Self {
        Self(inner)
    }
}

impl PeopleStore for Handle {
    fn create_user(&self, new: NewUser, author: Author, at: Timestamp) -> BoxFuture<'_, Result<UserRecord>> {
        self.0.write(move |tx| users::create_user(tx, &new, (at, &author)))
    }

    fn users(&self) -> BoxFuture<'_, Result<Vec<UserRecord>>> {
        self.0.read(Limit::FiveSeconds, users::users)
    }

    fn count_users(&self) -> BoxFuture<'_, Result<u64>> {
        self.0.read(Limit::FiveSeconds, users::count_users)
    }

    fn user(&self, id: UserId) -> BoxFuture<'_, Result<Option<UserRecord>>> {
        self.0.read(Limit::FiveSeconds, move |connection| users::user(connection, id))
    }

    fn user_by_email<'a>(&'a self, email: &'a str) -> BoxFuture<'a, Result<Option<UserRecord>>> {
        let email = email.to_owned();
        self.0.read(Limit::FiveSeconds, move |connection| users::user_by_email(connection, &email))
    }

    fn set_user_name(
        &self,
        id: UserId,
        name: String,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>> {
        self.0.write(move |tx| users::set_user_name(tx, id, &name, (at, &author)))
    }

    fn set_password(
        &self,
        id: UserId,
        hash: Option<String>,
        asks: Option<SecretHash>,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>> {
        self.0.write(move |tx| users::set_password(tx, id, hash.as_deref(), asks, (at, &author)))
    }

    fn reset(
        &self,
        id: UserId,
        reset: Reset,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<ResetRecord>> {
        self.0.write(move |tx| users::reset(tx, id, &reset, (at, &author)))
    }

    fn rehash_password(&self, id: UserId, known: String, hash: String) -> BoxFuture<'_, Result<()>> {
        self.0.write(move |tx| users::rehash_password(tx, id, &known, &hash))
    }

    fn set_disabled(
        &self,
        id: UserId,
        disabled: bool,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>> {
        self.0.write(move |tx| users::set_disabled(tx, id, disabled, (at, &author)))
    }

    fn set_totp(
        &self,
        id: UserId,
        factor: Option<(Vec<u8>, Vec<SecretHash>)>,
        asks: Option<SecretHash>,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>> {
        self.0.write(move |tx| factors::set_totp(tx, id, factor.as_ref(), asks, (at, &author)))
    }

    fn advance_totp(&self, id: UserId, step: i64) -> BoxFuture<'_, Result<bool>> {
        self.0.write(move |tx| factors::advance_totp(tx, id, step))
    }

    fn replace_recovery_codes(
        &self,
        id: UserId,
        codes: Vec<SecretHash>,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>> {
        self.0.write(move |tx| factors::replace_recovery_codes(tx, id, &codes, (at, &author)))
    }

    fn use_recovery_code(&self, id: UserId, code: SecretHash, at: Timestamp) -> BoxFuture<'_, Result<bool>> {
        self.0.write(move |tx| factors::use_recovery_code(tx, id, code, at))
    }

    fn unused_recovery_codes(&self, id: UserId) -> BoxFuture<'_, Result<u64>> {
        self.0.read(Limit::FiveSeconds, move |connection| factors::unused_recovery_codes(connection, id))
    }

    fn passkeys(&self, user: UserId) -> BoxFuture<'_, Result<Vec<PasskeyRecord>>> {
        self.0.read(Limit::FiveSeconds, move |connection| factors::passkeys(connection, user))
    }

    fn passkey(&self, credential_id: Vec<u8>) -> BoxFuture<'_, Result<Option<PasskeyRecord>>> {
        self.0.read(Limit::FiveSeconds, move |connection| factors::passkey(connection, &credential_id))
    }

    fn add_passkey(
        &self,
        user: UserId,
        new: NewPasskey,
        asks: Option<SecretHash>,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<PasskeyRecord>> {
        self.0.write(move |tx| factors::add_passkey(tx, user, &new, asks, (at, &author)))
    }

    fn touch_passkey(
        &self,
        id: i64,
        credential: String,
        counter: u32,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<bool>> {
        self.0.write(move |tx| factors::touch_passkey(tx, id, &credential, counter, at))
    }

    fn remove_passkey(
        &self,
        user: UserId,
        id: i64,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>> {
        self.0.write(move |tx| factors::remove_passkey(tx, user, id, (at, &author)))
    }

    fn external_identity<'a>(
        &'a self,
        issuer: &'a str,
        subject: &'a str,
    ) -> BoxFuture<'a, Result<Option<ExternalIdentity>>> {
        let issuer = issuer.to_owned();
        let subject = subject.to_owned();
        self.0.read(Limit::FiveSeconds, move |connection| {
            factors::external_identity(connection, &issuer, &subject)
        })
    }

    fn external_identities(&self, user: UserId) -> BoxFuture<'_, Result<Vec<ExternalIdentity>>> {
        self.0.read(Limit::FiveSeconds, move |connection| factors::external_identities(connection, user))
    }

    fn link_identity(
        &self,
        identity: ExternalIdentity,
        asks: Option<SecretHash>,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>> {
        self.0.write(move |tx| factors::link_identity(tx, &identity, asks, (at, &author)))
    }

    fn claim_identity(
        &self,
        identity: ExternalIdentity,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>> {
        self.0.write(move |tx| factors::claim_identity(tx, &identity, (at, &author)))
    }

    fn unlink_identity(
        &self,
        user: UserId,
        issuer: String,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>> {
        self.0.write(move |tx| factors::unlink_identity(tx, user, &issuer, (at, &author)))
    }

    fn memberships(&self, user: UserId) -> BoxFuture<'_, Result<Vec<Membership>>> {
        self.0.read(Limit::FiveSeconds, move |connection| members::memberships(connection, user))
    }

    fn create_session(&self, new: NewSession, author: Author) -> BoxFuture<'_, Result<SessionRecord>> {
        self.0.write(move |tx| sessions::create_session(tx, &new, &author))
    }

    fn session(&self, hash: SecretHash) -> BoxFuture<'_, Result<Option<SessionRecord>>> {
        self.0.read(Limit::FiveSeconds, move |connection| sessions::session(connection, hash))
    }

    fn sessions(&self, user: UserId) -> BoxFuture<'_, Result<Vec<SessionRecord>>> {
        self.0.read(Limit::FiveSeconds, move |connection| sessions::sessions(connection, user))
    }

    fn touch_session(
        &self,
        hash: SecretHash,
        address: Option<IpAddr>,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>> {
        self.0.write(move |tx| sessions::touch_session(tx, hash, address, at))
    }

    fn move_session(
        &self,
        hash: SecretHash,
        account: AccountId,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>> {
        self.0.write(move |tx| sessions::move_session(tx, hash, account, (at, &author)))
    }

    fn end_session(
        &self,
        hash: SecretHash,
        author: Option<Author>,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<bool>> {
        self.0.write(move |tx| sessions::end_session(tx, hash, (at, author.as_ref())))
    }

    fn end_sessions(
        &self,
        user: UserId,
        but: Option<SecretHash>,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<u64>> {
        self.0.write(move |tx| sessions::sign_out(tx, user, but, (at, &author)))
    }

    fn token(&self, hash: SecretHash) -> BoxFuture<'_, Result<Option<TokenRecord>>> {
        self.0.read(Limit::FiveSeconds, move |connection| tokens::token(connection, hash))
    }

    fn touch_token(&self, id: TokenId, address: Option<IpAddr>, at: Timestamp) -> BoxFuture<'_, Result<()>> {
        self.0.write(move |tx| tokens::touch_token(tx, id, address, at))
    }

    fn put_setup_key(
        &self,
        hash: SecretHash,
        expires_at: Timestamp,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>> {
        self.0.write(move |tx| doors::put_setup_key(tx, hash, expires_at, at))
    }

    fn setup_key_opens(&self, hash: SecretHash, at: Timestamp) -> BoxFuture<'_, Result<bool>> {
        self.0.read(Limit::FiveSeconds, move |connection| doors::setup_key_opens(connection, hash, at))
    }

    fn set_up(
        &self,
        hash: SecretHash,
        first: NewUser,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<UserRecord>> {
        self.0.write(move |tx| doors::set_up(tx, hash, &first, (at, &author)))
    }

    fn invite_to_own_account(
        &self,
        account: AccountId,
        invitation: NewInvitation,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<InvitationRecord>> {
        self.0.write(move |tx| doors::invite_to_own_account(tx, account, &invitation, (at, &author)))
    }

    fn own_account_invitations(&self) -> BoxFuture<'_, Result<Vec<InvitationRecord>>> {
        self.0.read(Limit::FiveSeconds, doors::own_account_invitations)
    }

    fn revoke_own_account_invitation(
        &self,
        account: AccountId,
        id: i64,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>> {
        self.0.write(move |tx| doors::revoke_own_account_invitation(tx, account, id, (at, &author)))
    }

    fn invitation(&self, hash: SecretHash) -> BoxFuture<'_, Result<Option<InvitationRecord>>> {
        self.0.read(Limit::FiveSeconds, move |connection| doors::invitation(connection, hash))
    }

    fn accept_invitation(
        &self,
        hash: SecretHash,
        user: UserId,
        accepting: Accepting,
        own_account: Option<String>,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<AccountRecord>> {
        self.0.write(move |tx| {
            doors::accept_invitation(tx, hash, user, &accepting, own_account.as_deref(), (at, &author))
        })
    }

    fn join_by_invitation(
        &self,
        hash: SecretHash,
        new: NewUser,
        own_account: Option<String>,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<(UserRecord, AccountRecord)>> {
        self.0
            .write(move |tx| doors::join_by_invitation(tx, hash, &new, own_account.as_deref(), (at, &author)))
    }
}
