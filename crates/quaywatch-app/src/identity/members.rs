//! Who belongs to an account, and as what. The last owner can neither go nor become less.

use quaywatch_core::access::{Level, Policy, Resource, Role};
use quaywatch_core::{Timestamp, UserId};
use quaywatch_store::StoreError;
use quaywatch_store::records::MemberRecord;

use super::{Identity, No, refused};
use crate::caller::{Actor, Caller};
use crate::operations::OperationError;
use crate::operations::refuse::not_found;

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
        caller.require(LOOK)?;
        Ok(self.account(caller).members().await?.iter().map(shown).collect())
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
        caller.require(MANAGE)?;
        let member = self.member(caller, user).await?;
        require_role(caller, member.role)?;
        require_role(caller, role)?;
        if member.role == role {
            return Ok(shown(&member));
        }
        let account = self.account(caller);
        let written = account.change_role(user, member.role, role, caller.author(), self.now()).await;
        written.map_err(|error| last_owner(error, user))?;
        Ok(MemberView { role, ..shown(&member) })
    }

    /// Sends somebody out of the account, or leaves it oneself: their sessions in it end, and the tokens that they made
    /// here.
    ///
    /// # Errors
    /// [`OperationError::NotFound`]; [`OperationError::Conflict`] for the last owner.
    pub async fn remove_member(&self, caller: &Caller, user: UserId) -> Result<(), OperationError> {
        let is_self = caller.actor == Actor::User(user);
        if !is_self {
            caller.require(MANAGE)?;
        }
        let member = self.member(caller, user).await?;
        if !is_self {
            require_role(caller, member.role)?;
        }
        let removed = self.account(caller).remove_member(user, caller.author(), self.now()).await;
        removed.map_err(|error| last_owner(error, user))
    }

    async fn member(&self, caller: &Caller, user: UserId) -> Result<MemberRecord, OperationError> {
        let members = self.account(caller).members().await?;
        members.into_iter().find(|member| member.user.id == user).ok_or_else(|| not_found("member", user))
    }
}

pub(super) const LOOK: Policy = Policy::new(Resource::People, Level::Look);
pub(super) const MANAGE: Policy = Policy::new(Resource::People, Level::Administer);

/// Goes on only where the caller may all that somebody of that role may: nobody makes, or unmakes, more than they are.
/// A token for people alone is not enough, for whoever it makes could do more than it.
pub(super) fn require_role(caller: &Caller, role: Role) -> Result<(), OperationError> {
    Resource::ALL.into_iter().try_for_each(|resource| caller.require(Policy::new(resource, role.level())))
}

fn last_owner(error: StoreError, user: UserId) -> OperationError {
    refused(error, |no| match no {
        No::Conflict => Some(OperationError::Conflict {
            code: "last_owner",
            message: "the account would be without an owner: make somebody else one first".to_owned(),
        }),
        No::Missing => Some(not_found("member", user)),
        No::Taken => None,
    })
}

fn shown(member: &MemberRecord) -> MemberView {
    MemberView {
        id: member.user.id,
        email: member.user.email.clone(),
        name: member.user.name.clone(),
        role: member.role,
        second_factor: member.user.totp_secret.is_some(),
        last_seen_at: member.last_seen_at,
    }
}
