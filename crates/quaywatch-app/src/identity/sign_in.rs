//! Signing in with a password, and with the second factor where there is one.

use quaywatch_core::{AccountId, Secret, Timestamp, UserId};

use super::{Identity, Origin};
use crate::operations::OperationError;
use crate::operations::refuse::not_built;

/// What somebody says to be let in.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The address of mail.
    pub email: String,
    /// The password.
    pub password: Secret<String>,
    /// The code of an app, or a recovery code, once it was asked for.
    pub code: Option<String>,
    /// The account to begin in; `None`: the one used last, or the first.
    pub account: Option<AccountId>,
}

/// How far somebody has come.
#[derive(Debug)]
pub enum SignIn {
    /// They are in.
    Done(NewSession),
    /// The password was right: now send it again with the code.
    SecondFactorNeeded,
}

/// A session that has just begun.
#[derive(Debug)]
pub struct NewSession {
    /// For the cookie, shown once.
    pub secret: Secret<String>,
    /// Whose.
    pub user: UserId,
    /// In which account it begins.
    pub account: AccountId,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
}

impl Identity {
    /// Lets somebody in.
    ///
    /// # Errors
    /// [`OperationError::NotRecognised`], the same for a wrong password and an unknown address;
    /// [`OperationError::Throttled`].
    pub async fn sign_in(&self, credentials: Credentials, origin: &Origin) -> Result<SignIn, OperationError> {
        let _ = (credentials, origin);
        Err(not_built())
    }
}
