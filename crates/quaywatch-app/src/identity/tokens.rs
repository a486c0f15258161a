//! API tokens: shown once, kept as a hash, with scopes and an end. Nobody gives a token more than they have, and
//! whoever may not any more has no token that still may.

use std::net::IpAddr;

use quaywatch_core::access::Scope;
use quaywatch_core::{Secret, Timestamp, TokenId};

use super::Identity;
use crate::caller::Caller;
use crate::operations::OperationError;
use crate::operations::refuse::not_built;

/// What a new token shall be.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// What people call it; unique among those in force.
    pub name: String,
    /// What it may.
    pub scopes: Vec<Scope>,
    /// When it ends; `None`: when it is revoked.
    pub expires_at: Option<Timestamp>,
}

/// A token that has just been made.
#[derive(Debug)]
pub struct CreatedToken {
    /// The token itself: shown now, and never again.
    pub secret: Secret<String>,
    /// What stays to be seen of it.
    pub token: TokenView,
}

/// A token, as whoever manages it sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenView {
    /// Its number.
    pub id: TokenId,
    /// What people call it.
    pub name: String,
    /// Its first characters.
    pub prefix: String,
    /// What it may.
    pub scopes: Vec<Scope>,
    /// Who made it, as the audit log names them.
    pub created_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl Identity {
    /// Whose token it is. Its use is written down at most once a minute.
    ///
    /// # Errors
    /// [`OperationError::NotRecognised`], saying whether it is mistyped, has ended or was revoked.
    pub async fn authenticate_token(&self, text: &str, address: IpAddr) -> Result<Caller, OperationError> {
        let _ = (text, address);
        Err(not_built())
    }

    /// The account's tokens, the newest first, those that ended included.
    ///
    /// # Errors
    /// [`OperationError::Denied`].
    pub async fn list_tokens(&self, caller: &Caller) -> Result<Vec<TokenView>, OperationError> {
        let _ = caller;
        Err(not_built())
    }

    /// Makes a token.
    ///
    /// # Errors
    /// [`OperationError::Invalid`] for a scope that the caller does not have, [`OperationError::Conflict`] for a name
    /// that is taken.
    pub async fn create_token(&self, caller: &Caller, new: NewToken) -> Result<CreatedToken, OperationError> {
        let _ = (caller, new);
        Err(not_built())
    }

    /// Ends a token at once. One that has ended stays so.
    ///
    /// # Errors
    /// [`OperationError::NotFound`].
    pub async fn revoke_token(&self, caller: &Caller, id: TokenId) -> Result<(), OperationError> {
        let _ = (caller, id);
        Err(not_built())
    }
}
