//! Turning the second factor on and off. It is on from the first code that was right, so that nobody locks themselves
//! out with an app that did not take the secret; turning it off asks for the password again.

use quaywatch_core::Secret;

use super::Identity;
use crate::caller::Caller;
use crate::operations::OperationError;
use crate::operations::refuse::not_built;

/// What an app needs.
#[derive(Debug)]
pub struct Enrolment {
    /// To be typed.
    pub secret: Secret<String>,
    /// `otpauth://…`, to be shown as a QR code.
    pub link: Secret<String>,
}

impl Identity {
    /// Makes a secret for an app; nothing changes yet. Good for ten minutes.
    ///
    /// # Errors
    /// [`OperationError::Conflict`] where the second factor is on, [`OperationError::Denied`] to a token.
    pub async fn begin_second_factor(&self, caller: &Caller) -> Result<Enrolment, OperationError> {
        let _ = caller;
        Err(not_built())
    }

    /// Turns the second factor on with the first right code; the recovery codes, shown once. Other sessions than that of
    /// `session` end.
    ///
    /// # Errors
    /// [`OperationError::Invalid`] for a wrong code.
    pub async fn confirm_second_factor(
        &self,
        caller: &Caller,
        session: &str,
        code: &str,
    ) -> Result<Vec<Secret<String>>, OperationError> {
        let _ = (caller, session, code);
        Err(not_built())
    }

    /// Turns it off.
    ///
    /// # Errors
    /// [`OperationError::Invalid`] for a wrong password.
    pub async fn end_second_factor(
        &self,
        caller: &Caller,
        password: Secret<String>,
    ) -> Result<(), OperationError> {
        let _ = (caller, password);
        Err(not_built())
    }

    /// New recovery codes; those before no longer work.
    ///
    /// # Errors
    /// [`OperationError::Invalid`] for a wrong password, [`OperationError::Conflict`] where the second factor is off.
    pub async fn new_recovery_codes(
        &self,
        caller: &Caller,
        password: Secret<String>,
    ) -> Result<Vec<Secret<String>>, OperationError> {
        let _ = (caller, password);
        Err(not_built())
    }
}
