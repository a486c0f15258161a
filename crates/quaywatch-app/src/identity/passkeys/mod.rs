//! Passkeys (WebAuthn): a key in a device, for this server's address alone, which no other site can ask for. Messages
//! pass through as JSON, for the browser's own functions.

mod ceremony;
#[cfg(test)]
mod device;

use quaywatch_core::Timestamp;
use serde_json::Value;

use super::sign_in::NewSession;
use super::{Identity, Origin};
use crate::caller::Caller;
use crate::operations::OperationError;
use crate::operations::refuse::not_built;

/// A ceremony that waits for the device's answer.
#[derive(Debug, Clone)]
pub struct Challenge {
    /// Names it, for the answer.
    pub ceremony: String,
    /// For `navigator.credentials.create` or `.get`.
    pub options: Value,
}

/// A passkey, as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyView {
    /// Its number.
    pub id: i64,
    /// What they call it.
    pub name: String,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
}

/// Ceremonies that were begun.
#[derive(Debug, Default)]
pub(super) struct Begun {}

impl Identity {
    /// The caller's own passkeys.
    ///
    /// # Errors
    /// [`OperationError::Denied`] to a token.
    pub async fn list_passkeys(&self, caller: &Caller) -> Result<Vec<PasskeyView>, OperationError> {
        let _ = caller;
        Err(not_built())
    }

    /// Begins to add one.
    ///
    /// # Errors
    /// [`OperationError::Unavailable`] where nobody said how the server is reached.
    pub async fn begin_passkey(&self, caller: &Caller) -> Result<Challenge, OperationError> {
        let _ = caller;
        Err(not_built())
    }

    /// Adds it, under a name.
    ///
    /// # Errors
    /// [`OperationError::Invalid`] where the answer does not fit.
    pub async fn add_passkey(
        &self,
        caller: &Caller,
        ceremony: &str,
        name: &str,
        answer: &Value,
    ) -> Result<PasskeyView, OperationError> {
        let _ = (caller, ceremony, name, answer);
        Err(not_built())
    }

    /// Forgets one.
    ///
    /// # Errors
    /// [`OperationError::NotFound`]; [`OperationError::Conflict`] where it is the last way to sign in.
    pub async fn remove_passkey(&self, caller: &Caller, id: i64) -> Result<(), OperationError> {
        let _ = (caller, id);
        Err(not_built())
    }

    /// Begins to sign in: the device knows who it is for.
    ///
    /// # Errors
    /// [`OperationError::Throttled`]; [`OperationError::Unavailable`] as above.
    pub async fn begin_passkey_sign_in(&self, origin: &Origin) -> Result<Challenge, OperationError> {
        let _ = origin;
        Err(not_built())
    }

    /// Signs in with the device's answer. A passkey is two factors: no code is asked for.
    ///
    /// # Errors
    /// [`OperationError::NotRecognised`].
    pub async fn sign_in_with_passkey(
        &self,
        ceremony: &str,
        answer: &Value,
        origin: &Origin,
    ) -> Result<NewSession, OperationError> {
        let _ = (ceremony, answer, origin);
        Err(not_built())
    }
}
