//! Invitations: a link, for seven days and for one person, into an account with a role; on a server of many owners also
//! into an account of one's own.

use quaywatch_core::access::Role;
use quaywatch_core::{Secret, Timestamp};

use super::sign_in::NewSession;
use super::{Identity, Origin};
use crate::caller::Caller;
use crate::operations::OperationError;
use crate::operations::refuse::not_built;

/// Who is invited, and into what.
#[derive(Debug, Clone)]
pub struct NewInvitation {
    /// Their address of mail. Nothing is sent there by itself: whoever invites passes the link on.
    pub email: String,
    /// What they become.
    pub into: Into,
}

/// Into what somebody is invited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Into {
    /// The caller's account, as this.
    Account(Role),
    /// An account of their own, on a server of many owners; only the owners of the first account may ask for it.
    OwnAccount,
}

/// An invitation that has just been made.
#[derive(Debug)]
pub struct CreatedInvitation {
    /// The link's secret: shown now, and never again.
    pub secret: Secret<String>,
    /// The link, where the server knows how it is reached.
    pub link: Option<Secret<String>>,
    /// What stays to be seen of it.
    pub invitation: InvitationView,
}

/// An invitation that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationView {
    /// Its number.
    pub id: i64,
    /// Who is invited.
    pub email: String,
    /// Into what.
    pub into: Into,
    /// Who invites, as the audit log names them.
    pub invited_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// What somebody who follows the link is told before they say yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The address that was invited.
    pub email: String,
    /// The account's name; `None`: one of their own.
    pub account: Option<String>,
    /// What they become.
    pub role: Role,
    /// Whether there is somebody with that address already: they sign in with their own password.
    pub known: bool,
}

/// Yes.
#[derive(Debug, Clone)]
pub struct Acceptance {
    /// The link's secret.
    pub secret: String,
    /// What they are called; ignored of those who are known.
    pub name: String,
    /// A new password, or of those who are known, theirs.
    pub password: Secret<String>,
    /// The second factor of those who are known and have one.
    pub code: Option<String>,
    /// The name of an account of their own, where that is what is offered.
    pub account_name: Option<String>,
}

impl Identity {
    /// Invitations that wait, the newest first.
    ///
    /// # Errors
    /// [`OperationError::Denied`].
    pub async fn list_invitations(&self, caller: &Caller) -> Result<Vec<InvitationView>, OperationError> {
        let _ = caller;
        Err(not_built())
    }

    /// Invites somebody. Nobody invites into more than they are.
    ///
    /// # Errors
    /// [`OperationError::Denied`], [`OperationError::Conflict`] where they are members already.
    pub async fn invite(
        &self,
        caller: &Caller,
        new: NewInvitation,
    ) -> Result<CreatedInvitation, OperationError> {
        let _ = (caller, new);
        Err(not_built())
    }

    /// Takes an invitation back.
    ///
    /// # Errors
    /// [`OperationError::NotFound`].
    pub async fn revoke_invitation(&self, caller: &Caller, id: i64) -> Result<(), OperationError> {
        let _ = (caller, id);
        Err(not_built())
    }

    /// What a link offers, for whoever holds it.
    ///
    /// # Errors
    /// [`OperationError::NotRecognised`] where it has ended or was used.
    pub async fn read_offer(&self, secret: &str, origin: &Origin) -> Result<Offer, OperationError> {
        let _ = (secret, origin);
        Err(not_built())
    }

    /// Says yes, and signs in.
    ///
    /// # Errors
    /// [`OperationError::NotRecognised`], [`OperationError::Invalid`] for a password that may not be chosen.
    pub async fn accept_invitation(
        &self,
        yes: Acceptance,
        origin: &Origin,
    ) -> Result<NewSession, OperationError> {
        let _ = (yes, origin);
        Err(not_built())
    }
}
