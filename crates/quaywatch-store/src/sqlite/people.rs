//! People, and what they and programs are recognised by.

use std::sync::Arc;

use std::net::IpAddr;

use quaywatch_core::{AccountId, Timestamp, TokenId, UserId};

use super::Inner;
use super::account::not_built;
use crate::records::*;
use crate::{BoxFuture, PeopleStore, Result};

/// The people of the server.
pub(super) struct Handle(Arc<Inner>);

impl Handle {
    pub(super) const fn new(inner: Arc<Inner>) -> Self {
        Self(inner)
    }
}

impl PeopleStore for Handle {
    fn create_user(&self, new: NewUser, author: Author, at: Timestamp) -> BoxFuture<'_, Result<UserRecord>> {
        let _ = (new, author, at);
        not_built()
    }
    fn users(&self) -> BoxFuture<'_, Result<Vec<UserRecord>>> {
        not_built()
    }
    fn count_users(&self) -> BoxFuture<'_, Result<u64>> {
        not_built()
    }
    fn user(&self, id: UserId) -> BoxFuture<'_, Result<Option<UserRecord>>> {
        let _ = (id,);
        not_built()
    }
    fn user_by_email<'a>(&'a self, email: &'a str) -> BoxFuture<'a, Result<Option<UserRecord>>> {
        let _ = (email,);
        not_built()
    }
    fn set_user_name(
        &self,
        id: UserId,
        name: String,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>> {
        let _ = (id, name, author, at);
        not_built()
    }
    fn set_password(
        &self,
        id: UserId,
        hash: Option<String>,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>> {
        let _ = (id, hash, author, at);
        not_built()
    }
    fn rehash_password(&self, id: UserId, known: String, hash: String) -> BoxFuture<'_, Result<()>> {
        let _ = (id, known, hash);
        not_built()
    }
    fn set_disabled(
        &self,
        id: UserId,
        disabled: bool,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>> {
        let _ = (id, disabled, author, at);
        not_built()
    }
    fn set_totp(
        &self,
        id: UserId,
        factor: Option<(Vec<u8>, Vec<SecretHash>)>,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>> {
        let _ = (id, factor, author, at);
        not_built()
    }
    fn advance_totp(&self, id: UserId, step: i64) -> BoxFuture<'_, Result<bool>> {
        let _ = (id, step);
        not_built()
    }
    fn replace_recovery_codes(
        &self,
        id: UserId,
        codes: Vec<SecretHash>,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>> {
        let _ = (id, codes, author, at);
        not_built()
    }
    fn use_recovery_code(&self, id: UserId, code: SecretHash, at: Timestamp) -> BoxFuture<'_, Result<bool>> {
        let _ = (id, code, at);
        not_built()
    }
    fn unused_recovery_codes(&self, id: UserId) -> BoxFuture<'_, Result<u64>> {
        let _ = (id,);
        not_built()
    }
    fn passkeys(&self, user: UserId) -> BoxFuture<'_, Result<Vec<PasskeyRecord>>> {
        let _ = (user,);
        not_built()
    }
    fn passkey(&self, credential_id: Vec<u8>) -> BoxFuture<'_, Result<Option<PasskeyRecord>>> {
        let _ = (credential_id,);
        not_built()
    }
    fn add_passkey(
        &self,
        user: UserId,
        new: NewPasskey,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<PasskeyRecord>> {
        let _ = (user, new, author, at);
        not_built()
    }
    fn touch_passkey(
        &self,
        id: i64,
        credential: String,
        counter: u32,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<bool>> {
        let _ = (id, credential, counter, at);
        not_built()
    }
    fn remove_passkey(
        &self,
        user: UserId,
        id: i64,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>> {
        let _ = (user, id, author, at);
        not_built()
    }
    fn external_identity<'a>(
        &'a self,
        issuer: &'a str,
        subject: &'a str,
    ) -> BoxFuture<'a, Result<Option<ExternalIdentity>>> {
        let _ = (issuer, subject);
        not_built()
    }
    fn external_identities(&self, user: UserId) -> BoxFuture<'_, Result<Vec<ExternalIdentity>>> {
        let _ = (user,);
        not_built()
    }
    fn link_identity(
        &self,
        identity: ExternalIdentity,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>> {
        let _ = (identity, author, at);
        not_built()
    }
    fn unlink_identity(
        &self,
        user: UserId,
        issuer: String,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>> {
        let _ = (user, issuer, author, at);
        not_built()
    }
    fn memberships(&self, user: UserId) -> BoxFuture<'_, Result<Vec<Membership>>> {
        let _ = (user,);
        not_built()
    }
    fn create_session(&self, new: NewSession, author: Author) -> BoxFuture<'_, Result<SessionRecord>> {
        let _ = (new, author);
        not_built()
    }
    fn session(&self, hash: SecretHash) -> BoxFuture<'_, Result<Option<SessionRecord>>> {
        let _ = (hash,);
        not_built()
    }
    fn sessions(&self, user: UserId) -> BoxFuture<'_, Result<Vec<SessionRecord>>> {
        let _ = (user,);
        not_built()
    }
    fn touch_session(
        &self,
        hash: SecretHash,
        address: Option<IpAddr>,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>> {
        let _ = (hash, address, at);
        not_built()
    }
    fn move_session(&self, hash: SecretHash, account: AccountId) -> BoxFuture<'_, Result<()>> {
        let _ = (hash, account);
        not_built()
    }
    fn end_session(&self, hash: SecretHash) -> BoxFuture<'_, Result<bool>> {
        let _ = (hash,);
        not_built()
    }
    fn end_sessions(&self, user: UserId, but: Option<SecretHash>) -> BoxFuture<'_, Result<u64>> {
        let _ = (user, but);
        not_built()
    }
    fn token(&self, hash: SecretHash) -> BoxFuture<'_, Result<Option<TokenRecord>>> {
        let _ = (hash,);
        not_built()
    }
    fn touch_token(&self, id: TokenId, address: Option<IpAddr>, at: Timestamp) -> BoxFuture<'_, Result<()>> {
        let _ = (id, address, at);
        not_built()
    }
    fn put_setup_key(
        &self,
        hash: SecretHash,
        expires_at: Timestamp,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>> {
        let _ = (hash, expires_at, at);
        not_built()
    }
    fn setup_key_opens(&self, hash: SecretHash, at: Timestamp) -> BoxFuture<'_, Result<bool>> {
        let _ = (hash, at);
        not_built()
    }
    fn set_up(
        &self,
        hash: SecretHash,
        first: NewUser,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<UserRecord>> {
        let _ = (hash, first, author, at);
        not_built()
    }
    fn invite_to_own_account(
        &self,
        account: AccountId,
        invitation: NewInvitation,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<InvitationRecord>> {
        let _ = (account, invitation, author, at);
        not_built()
    }
    fn own_account_invitations(&self) -> BoxFuture<'_, Result<Vec<InvitationRecord>>> {
        not_built()
    }
    fn revoke_own_account_invitation(
        &self,
        account: AccountId,
        id: i64,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>> {
        let _ = (account, id, author, at);
        not_built()
    }
    fn invitation(&self, hash: SecretHash) -> BoxFuture<'_, Result<Option<InvitationRecord>>> {
        let _ = (hash,);
        not_built()
    }
    fn accept_invitation(
        &self,
        hash: SecretHash,
        user: UserId,
        own_account: Option<String>,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<AccountRecord>> {
        let _ = (hash, user, own_account, author, at);
        not_built()
    }
    fn join_by_invitation(
        &self,
        hash: SecretHash,
        new: NewUser,
        own_account: Option<String>,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<(UserRecord, AccountRecord)>> {
        let _ = (hash, new, own_account, author, at);
        not_built()
    }
}
