//! People and programs who are recognised. Of what proves them only hashes and sealed bytes come here, and neither is
//! ever printed.

use std::fmt;
use std::net::IpAddr;

use quaywatch_core::access::Role;
use quaywatch_core::{AccountId, Timestamp, TokenId, UserId};

use super::AccountRecord;

/// SHA-256 of something secret that has 256 bits of chance in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretHash(pub [u8; 32]);

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}

/// Somebody new.
#[derive(Clone, PartialEq, Eq)]
pub struct NewUser {
    /// Unique on the server, whatever the case.
    pub email: String,
    /// What people call them.
    pub name: String,
    /// In PHC form; without one they sign in by other means.
    pub password_hash: Option<String>,
}

impl fmt::Debug for NewUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewUser").field("email", &self.email).finish_non_exhaustive()
    }
}

/// A person who may sign in.
#[derive(Clone, PartialEq, Eq)]
pub struct UserRecord {
    /// Their number.
    pub id: UserId,
    /// As they wrote it.
    pub email: String,
    /// What people call them.
    pub name: String,
    /// In PHC form.
    pub password_hash: Option<String>,
    /// Sealed; set once the second factor is on.
    pub totp_secret: Option<Vec<u8>>,
    /// The last time step whose code was used.
    pub totp_last_step: i64,
    /// When they were added.
    pub created_at: Timestamp,
    /// Since when they may not sign in.
    pub disabled_at: Option<Timestamp>,
}

impl fmt::Debug for UserRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserRecord").field("id", &self.id).field("email", &self.email).finish_non_exhaustive()
    }
}

/// An account that somebody is a member of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The account.
    pub account: AccountRecord,
    /// What they may do there.
    pub role: Role,
    /// Since when.
    pub since: Timestamp,
}

/// A member of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRecord {
    /// Who.
    pub user: UserRecord,
    /// What they may do here.
    pub role: Role,
    /// Since when.
    pub since: Timestamp,
    /// When a session of theirs in this account was last used.
    pub last_seen_at: Option<Timestamp>,
}

/// A key on a device of somebody.
#[derive(Clone, PartialEq, Eq)]
pub struct PasskeyRecord {
    /// Its number.
    pub id: i64,
    /// Whose.
    pub user: UserId,
    /// What the device calls it; unique on the server.
    pub credential_id: Vec<u8>,
    /// Public key and flags, in the text of the library that checks it.
    pub credential: String,
    /// What its owner calls it.
    pub name: String,
    /// How often it was used, as the device counts.
    pub counter: u32,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
}

impl fmt::Debug for PasskeyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasskeyRecord")
            .field("id", &self.id)
            .field("user", &self.user)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A passkey to be added.
#[derive(Clone, PartialEq, Eq)]
pub struct NewPasskey {
    /// What the device calls it.
    pub credential_id: Vec<u8>,
    /// Public key and flags.
    pub credential: String,
    /// What its owner calls it.
    pub name: String,
    /// How often it was used.
    pub counter: u32,
}

impl fmt::Debug for NewPasskey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewPasskey").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Somebody as another provider knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalIdentity {
    /// The provider's own address.
    pub issuer: String,
    /// What it calls them, for ever.
    pub subject: String,
    /// Who that is here.
    pub user: UserId,
    /// Since when.
    pub linked_at: Timestamp,
}

/// A session to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// Of its secret.
    pub hash: SecretHash,
    /// Whose.
    pub user: UserId,
    /// In which account they are.
    pub account: AccountId,
    /// Since when.
    pub created_at: Timestamp,
    /// When it ends, used or not.
    pub expires_at: Timestamp,
    /// From where they signed in.
    pub address: Option<IpAddr>,
    /// With what.
    pub agent: String,
    /// By what they proved who they are.
    pub proved: Proved,
}

/// By what somebody proved who they are. What follows from it follows only while it still holds: to compare a password
/// takes time, and it may be changed meanwhile, because somebody else knows it.
#[derive(Clone, PartialEq, Eq)]
pub enum Proved {
    /// By the password of this hash, and by the second factor that is sealed so, where there is one.
    Password {
        /// In PHC form.
        hash: String,
        /// Sealed.
        totp_secret: Option<Vec<u8>>,
    },
    /// By the passkey of this number.
    Passkey(i64),
    /// By the word of a provider.
    Provider {
        /// The provider's own address.
        issuer: String,
        /// What it calls them.
        subject: String,
    },
    /// By a session of theirs.
    Session(SecretHash),
}

impl fmt::Debug for Proved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password { .. } => "Password",
            Self::Passkey(_) => "Passkey",
            Self::Provider { .. } => "Provider",
            Self::Session(_) => "Session",
        })
    }
}

/// How somebody who is here already accepts an invitation.
#[derive(Clone, PartialEq, Eq)]
pub enum Accepting {
    /// They proved who they are.
    Proved(Proved),
    /// They had no way in, and chose a password; in PHC form.
    Chose(String),
}

impl fmt::Debug for Accepting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Proved(_) => "Proved",
            Self::Chose(_) => "Chose",
        })
    }
}

/// What is made anew of somebody who lost their way in, or shares it with somebody else.
#[derive(Clone, PartialEq, Eq)]
pub struct Reset {
    /// Their new password, in PHC form.
    pub hash: String,
    /// Whether the second factor is turned off.
    pub second_factor: bool,
    /// Whether everything else that opens a door for them ends too: passkeys, links to providers, tokens, invitations
    /// that they made.
    pub other_ways: bool,
}

impl fmt::Debug for Reset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reset")
            .field("second_factor", &self.second_factor)
            .field("other_ways", &self.other_ways)
            .finish_non_exhaustive()
    }
}

/// What ended with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ResetRecord {
    /// Passkeys.
    pub passkeys: u64,
    /// Links to providers.
    pub identities: u64,
    /// Tokens.
    pub tokens: u64,
    /// Invitations.
    pub invitations: u64,
}

/// A session that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// Its number, by which its owner may end it.
    pub id: i64,
    /// Of its secret.
    pub hash: SecretHash,
    /// Whose.
    pub user: UserId,
    /// In which account they are.
    pub account: AccountId,
    /// Since when.
    pub created_at: Timestamp,
    /// When it was last used, to about a minute.
    pub last_seen_at: Timestamp,
    /// When it ends, used or not.
    pub expires_at: Timestamp,
    /// From where it was last used.
    pub address: Option<IpAddr>,
    /// With what they signed in.
    pub agent: String,
}

/// A token to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// What it is for.
    pub name: String,
    /// The part of it that may be shown.
    pub prefix: String,
    /// Of all of it.
    pub hash: SecretHash,
    /// What it may do, as words.
    pub scopes: String,
    /// Who made it, if a person did: it ends when they leave the account.
    pub user: Option<UserId>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// A token that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// Its number.
    pub id: TokenId,
    /// Of which account.
    pub account: AccountId,
    /// What it is for.
    pub name: String,
    /// The part of it that may be shown.
    pub prefix: String,
    /// What it may do, as words.
    pub scopes: String,
    /// Who made it, as the audit log names them.
    pub created_by: String,
    /// Who made it, if a person did.
    pub user: Option<UserId>,
    /// When.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to about a minute.
    pub last_used_at: Option<Timestamp>,
    /// From where.
    pub last_address: Option<IpAddr>,
    /// Since when it is worth nothing.
    pub revoked_at: Option<Timestamp>,
}

/// An invitation to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInvitation {
    /// For whom.
    pub email: String,
    /// What they may do.
    pub role: Role,
    /// Of its secret.
    pub hash: SecretHash,
    /// Until when it may be used.
    pub expires_at: Timestamp,
}

/// An invitation that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationRecord {
    /// Its number.
    pub id: i64,
    /// Into which account; `None`: into one of their own.
    pub account: Option<AccountId>,
    /// For whom.
    pub email: String,
    /// What they may do.
    pub role: Role,
    /// Who invited them, as the audit log names them.
    pub invited_by: String,
    /// When.
    pub created_at: Timestamp,
    /// Until when it may be used.
    pub expires_at: Timestamp,
    /// When it was used.
    pub used_at: Option<Timestamp>,
}
