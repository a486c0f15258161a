//! The way in for those who are recognised before they have an account.

use std::net::IpAddr;

use quaywatch_core::{AccountId, Timestamp, TokenId, UserId};

use crate::records::{
    Accepting, AccountRecord, Author, ExternalIdentity, InvitationRecord, Membership, NewInvitation,
    NewPasskey, NewSession, NewUser, PasskeyRecord, Reset, ResetRecord, SecretHash, SessionRecord,
    TokenRecord, UserRecord,
};
use crate::{BoxFuture, Result};

/// People, who belong to the server, and what they and programs are recognised by. Hashes come ready made; nothing
/// here is a secret that opens a door by itself.
///
/// What changes how somebody signs in names the session that `asks`, where one does: the call is `Missing` where that
/// has ended meanwhile.
pub trait PeopleStore: Send + Sync {
    /// Adds somebody; `Taken` where the address of mail is somebody's.
    fn create_user(&self, new: NewUser, author: Author, at: Timestamp) -> BoxFuture<'_, Result<UserRecord>>;
    /// Everybody, by number.
    fn users(&self) -> BoxFuture<'_, Result<Vec<UserRecord>>>;
    /// How many people there are: none before the set-up.
    fn count_users(&self) -> BoxFuture<'_, Result<u64>>;
    /// One of them.
    fn user(&self, id: UserId) -> BoxFuture<'_, Result<Option<UserRecord>>>;
    /// By address of mail, whatever the case.
    fn user_by_email<'a>(&'a self, email: &'a str) -> BoxFuture<'a, Result<Option<UserRecord>>>;
    /// Changes a name.
    fn set_user_name(
        &self,
        id: UserId,
        name: String,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>>;
    /// Changes a password, or takes it away, and ends all sessions but the one that asks.
    fn set_password(
        &self,
        id: UserId,
        hash: Option<String>,
        asks: Option<SecretHash>,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>>;
    /// Gives somebody a new password, and ends all sessions and whatever else shall end.
    fn reset(
        &self,
        id: UserId,
        reset: Reset,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<ResetRecord>>;
    /// The same password under newer costs: no row in the audit log, and nothing where the hash is not `known` any more.
    fn rehash_password(&self, id: UserId, known: String, hash: String) -> BoxFuture<'_, Result<()>>;
    /// Keeps somebody from signing in (and ends their sessions), or lets them again.
    fn set_disabled(
        &self,
        id: UserId,
        disabled: bool,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>>;
    /// Turns the second factor on with a sealed secret and these recovery codes, which ends all sessions but the one that
    /// asks; or off, which clears the codes.
    fn set_totp(
        &self,
        id: UserId,
        factor: Option<(Vec<u8>, Vec<SecretHash>)>,
        asks: Option<SecretHash>,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>>;
    /// Remembers that the code of a time step was used; `false` where it, or a later one, was used before.
    fn advance_totp(&self, id: UserId, step: i64) -> BoxFuture<'_, Result<bool>>;
    /// Other recovery codes.
    fn replace_recovery_codes(
        &self,
        id: UserId,
        codes: Vec<SecretHash>,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>>;
    /// Uses a recovery code; `false` where there is none such, or it was used.
    fn use_recovery_code(&self, id: UserId, code: SecretHash, at: Timestamp) -> BoxFuture<'_, Result<bool>>;
    /// How many recovery codes are left.
    fn unused_recovery_codes(&self, id: UserId) -> BoxFuture<'_, Result<u64>>;

    /// Somebody's passkeys, oldest first.
    fn passkeys(&self, user: UserId) -> BoxFuture<'_, Result<Vec<PasskeyRecord>>>;
    /// The passkey that a device calls so.
    fn passkey(&self, credential_id: Vec<u8>) -> BoxFuture<'_, Result<Option<PasskeyRecord>>>;
    /// Keeps a passkey; `Taken` where it is kept already.
    fn add_passkey(
        &self,
        user: UserId,
        new: NewPasskey,
        asks: Option<SecretHash>,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<PasskeyRecord>>;
    /// After its use; `false` where its counter does not grow although the device counts: a copy of it is about.
    fn touch_passkey(
        &self,
        id: i64,
        credential: String,
        counter: u32,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<bool>>;
    /// Forgets a passkey of somebody.
    fn remove_passkey(
        &self,
        user: UserId,
        id: i64,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>>;

    /// Who that is whom a provider calls so.
    fn external_identity<'a>(
        &'a self,
        issuer: &'a str,
        subject: &'a str,
    ) -> BoxFuture<'a, Result<Option<ExternalIdentity>>>;
    /// How providers know somebody.
    fn external_identities(&self, user: UserId) -> BoxFuture<'_, Result<Vec<ExternalIdentity>>>;
    /// Remembers how a provider knows somebody; `Taken` where that is another.
    fn link_identity(
        &self,
        identity: ExternalIdentity,
        asks: Option<SecretHash>,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>>;
    /// As [`PeopleStore::link_identity`], of somebody who is known by their address alone: `Conflict` where they have
    /// another way in, or may not sign in.
    fn claim_identity(
        &self,
        identity: ExternalIdentity,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>>;
    /// Forgets how a provider knows somebody.
    fn unlink_identity(
        &self,
        user: UserId,
        issuer: String,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>>;

    /// The accounts that somebody is a member of, by number.
    fn memberships(&self, user: UserId) -> BoxFuture<'_, Result<Vec<Membership>>>;

    /// Keeps a session, which is a sign-in for the audit log; `Conflict` where what was proved no longer holds.
    fn create_session(&self, new: NewSession, author: Author) -> BoxFuture<'_, Result<SessionRecord>>;
    /// By its hash; whether it has ended is for the caller to say.
    fn session(&self, hash: SecretHash) -> BoxFuture<'_, Result<Option<SessionRecord>>>;
    /// Somebody's sessions, those used last first.
    fn sessions(&self, user: UserId) -> BoxFuture<'_, Result<Vec<SessionRecord>>>;
    /// It was used just now.
    fn touch_session(
        &self,
        hash: SecretHash,
        address: Option<IpAddr>,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>>;
    /// Takes a session over into another account.
    fn move_session(
        &self,
        hash: SecretHash,
        account: AccountId,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>>;
    /// Ends a session; `false` where it is gone already. Without an author it ended by itself.
    fn end_session(
        &self,
        hash: SecretHash,
        author: Option<Author>,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<bool>>;
    /// Ends all sessions of somebody but one; how many.
    fn end_sessions(
        &self,
        user: UserId,
        but: Option<SecretHash>,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<u64>>;

    /// By its hash, also when it is revoked or expired.
    fn token(&self, hash: SecretHash) -> BoxFuture<'_, Result<Option<TokenRecord>>>;
    /// It was used just now.
    fn touch_token(&self, id: TokenId, address: Option<IpAddr>, at: Timestamp) -> BoxFuture<'_, Result<()>>;

    /// Keeps the key for the set-up in place of all earlier ones.
    fn put_setup_key(
        &self,
        hash: SecretHash,
        expires_at: Timestamp,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>>;
    /// Whether that key opens the set-up now.
    fn setup_key_opens(&self, hash: SecretHash, at: Timestamp) -> BoxFuture<'_, Result<bool>>;
    /// The first owner of the first account, by the key, which is used up; `Missing` where it does not open, `Conflict`
    /// where there are people already.
    fn set_up(
        &self,
        hash: SecretHash,
        first: NewUser,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<UserRecord>>;

    /// Keeps an invitation into an account of their own. For the audit log of `account`, whose people invite.
    fn invite_to_own_account(
        &self,
        account: AccountId,
        invitation: NewInvitation,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<InvitationRecord>>;
    /// Invitations into accounts of their own that were not used, newest first.
    fn own_account_invitations(&self) -> BoxFuture<'_, Result<Vec<InvitationRecord>>>;
    /// Takes one of them back. For the audit log of `account`.
    fn revoke_own_account_invitation(
        &self,
        account: AccountId,
        id: i64,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>>;
    /// By its hash, also when it is used or expired; not when whoever made it could not make it any more.
    fn invitation(&self, hash: SecretHash) -> BoxFuture<'_, Result<Option<InvitationRecord>>>;
    /// Uses an invitation for somebody who is there already: they become a member of its account, or of a new one
    /// called `own_account`. `Missing` where it is used or expired, `Taken` where an account is called so already,
    /// `Conflict` where what they proved no longer holds, or they choose a password although they have a way in or are
    /// a member of any account.
    fn accept_invitation(
        &self,
        hash: SecretHash,
        user: UserId,
        accepting: Accepting,
        own_account: Option<String>,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<AccountRecord>>;
    /// As [`PeopleStore::accept_invitation`], for somebody new, all or nothing.
    fn join_by_invitation(
        &self,
        hash: SecretHash,
        new: NewUser,
        own_account: Option<String>,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<(UserRecord, AccountRecord)>>;
}
