//! The first start: a server without people prints a link that makes its first owner. It works once and for a day, and
//! each start without people makes a new one. There is never a password that somebody else knows.

use quaywatch_core::Secret;

use super::sign_in::NewSession;
use super::{Identity, Origin};
use crate::operations::OperationError;
use crate::operations::refuse::not_built;

/// Who takes a new server into their hands.
#[derive(Debug, Clone)]
pub struct FirstOwner {
    /// The link's key.
    pub key: String,
    /// Their address of mail, which is only their name here.
    pub email: String,
    /// What they are called.
    pub name: String,
    /// Their password.
    pub password: Secret<String>,
}

impl Identity {
    /// Whether nobody is here yet.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn is_new(&self) -> Result<bool, OperationError> {
        Err(not_built())
    }

    /// A key for the set-up link, where nobody is here yet; those made before no longer work.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn new_setup_key(&self) -> Result<Option<Secret<String>>, OperationError> {
        Err(not_built())
    }

    /// Whether the link still works, for the page behind it.
    ///
    /// # Errors
    /// [`OperationError::NotRecognised`] where it does not.
    pub async fn check_setup_key(&self, key: &str, origin: &Origin) -> Result<(), OperationError> {
        let _ = (key, origin);
        Err(not_built())
    }

    /// Makes the first owner of the account `default`, and signs them in.
    ///
    /// # Errors
    /// [`OperationError::NotRecognised`], [`OperationError::Invalid`].
    pub async fn set_up(&self, first: FirstOwner, origin: &Origin) -> Result<NewSession, OperationError> {
        let _ = (first, origin);
        Err(not_built())
    }
}
