//! Who asks: the first argument of every operation. Whoever serves pages or an API turns a session or a token into a
//! [`Caller`] once; from there on nothing knows how somebody signed in.

use std::fmt;
use std::net::IpAddr;

use quaywatch_core::access::{Access, Policy, Role};
use quaywatch_core::{AccountId, Timestamp, TokenId, UserId};
use quaywatch_store::records::{Author, SecretHash};

use crate::operations::error::OperationError;

/// Somebody who was recognised, acting in one account.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Whose things they see: rows of other accounts do not exist for them.
    pub account: AccountId,
    /// Who they are.
    pub actor: Actor,
    /// What they may.
    pub access: Access,
    /// The session of a person who has one.
    pub session: Option<LiveSession>,
    /// From where, for the audit log; `None` on the server's own host.
    pub address: Option<IpAddr>,
    /// In which request, for the audit log and the request's own log line.
    pub request_id: Option<Box<str>>,
}

impl Caller {
    /// The command line on the server's own host: whoever may read the data directory owns what is in it.
    #[must_use]
    pub const fn host(uid: u32, account: AccountId) -> Self {
        Self {
            account,
            actor: Actor::Host(uid),
            access: Access::Role(Role::Owner),
            session: None,
            address: None,
            request_id: None,
        }
    }

    /// Who acts, for the audit log.
    #[must_use]
    pub fn author(&self) -> Author {
        Author { actor: self.actor.to_string(), address: self.address, request: self.request_id.clone() }
    }

    /// Goes on only where the caller may.
    ///
    /// # Errors
    /// [`OperationError::Denied`].
    pub fn require(&self, policy: Policy) -> Result<(), OperationError> {
        let allowed = self.access.allows(policy);
        let (resource, level) = (policy.resource.word(), policy.level.word());
        tracing::trace!(target: "quaywatch::access", resource, level, allowed, "access is asked for");
        if allowed { Ok(()) } else { Err(OperationError::Denied(policy)) }
    }
}

/// The session by which a person was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveSession {
    /// Of its secret.
    pub hash: SecretHash,
    /// When they proved who they are.
    pub began_at: Timestamp,
}

/// Who acts, as the audit log names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// A person with a session.
    User(UserId),
    /// A program with a token.
    Token(TokenId),
    /// The command line, by user number.
    Host(u32),
}

/// `user:u3`, `token:tok5`, `cli:0`.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::Token(id) => write!(f, "token:{id}"),
            Self::Host(uid) => write!(f, "cli:{uid}"),
        }
    }
}
