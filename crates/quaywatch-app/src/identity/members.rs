//! Who belongs to an account, and as what. The last owner can neither go nor become less.

use quaywatch_core::access::Role;
use quaywatch_core::{Timestamp, UserId};

use super::Identity;
use crate::caller::Caller;
use crate::operations::OperationError;
use crate::operations::refuse::not_built;

/// Somebody who belongs to the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberView {
    /// Their number.
    pub id: UserId,
    /// Their address of mail.
    pub email: String,
    /// What they are called.
    pub name: String,
    /// What they are here.
    pub role: Role,
    /// Whether they need more than a password.
    pub second_factor: bool,
    /// When they were last here, to the minute.
    pub last_seen_at: Option<Timestamp>,
}

impl Identity {
    /// The account's people, by name.
    ///
    /// # Errors
    /// [`OperationError::Denied`].
    pub async fn list_members(&self, caller: &Caller) -> Result<Vec<MemberView>, OperationError> {
        let _ = caller;
        Err(not_built())
    }

    /// Makes somebody more or less. Only an owner makes owners, or makes one less.
    ///
    /// # Errors
    /// [`OperationError::NotFound`]; [`OperationError::Conflict`] for the last owner.
    pub async fn change_role(
        &self,
        caller: &Caller,
        user: UserId,
        role: Role,
    ) -> Result<MemberView, OperationError> {
        let _ = (caller, user, role);
        Err(not_built())
    }

    /// Sends somebody out of the account: their sessions in it end, and the tokens that they made here.
    ///
    /// # Errors
    /// [`OperationError::NotFound`]; [`OperationError::Conflict`] for the last owner.
    pub async fn remove_member(&self, caller: &Caller, user: UserId) -> Result<(), OperationError> {
        let _ = (caller, user);
        Err(not_built())
    }
}
