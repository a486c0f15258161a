//! What people see and change of themselves.

use quaywatch_core::access::Role;
use quaywatch_core::{AccountId, Secret, UserId};

use super::Identity;
use crate::caller::Caller;
use crate::operations::OperationError;
use crate::operations::refuse::not_built;

/// Somebody, as they see themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Their number.
    pub id: UserId,
    /// Their address of mail.
    pub email: String,
    /// What they are called.
    pub name: String,
    /// Where they belong, the account of this session included.
    pub accounts: Vec<Membership>,
    /// Whether there is a password; those of a provider may have none.
    pub has_password: bool,
    /// Whether codes of an app are asked for.
    pub second_factor: bool,
    /// Recovery codes that are left.
    pub recovery_codes: usize,
    /// Names of the providers that may say who they are.
    pub providers: Vec<String>,
}

/// Where somebody belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Which account.
    pub account: AccountId,
    /// What people call it.
    pub name: String,
    /// As what.
    pub role: Role,
}

impl Identity {
    /// The caller themselves.
    ///
    /// # Errors
    /// [`OperationError::Denied`] to a token.
    pub async fn read_profile(&self, caller: &Caller) -> Result<Profile, OperationError> {
        let _ = caller;
        Err(not_built())
    }

    /// Calls them something else.
    ///
    /// # Errors
    /// [`OperationError::Denied`] to a token, [`OperationError::Invalid`].
    pub async fn rename(&self, caller: &Caller, name: &str) -> Result<(), OperationError> {
        let _ = (caller, name);
        Err(not_built())
    }

    /// Sets a new password, and ends every session but the one of `session`. `old` may be left out by those who have
    /// none yet.
    ///
    /// # Errors
    /// [`OperationError::Invalid`] for a wrong or an unfit one, [`OperationError::Denied`] to a token.
    pub async fn change_password(
        &self,
        caller: &Caller,
        session: &str,
        old: Option<Secret<String>>,
        new: Secret<String>,
    ) -> Result<(), OperationError> {
        let _ = (caller, session, old, new);
        Err(not_built())
    }
}
