//! Sessions: kept in the store by the hash of their secret, ended by disuse, by age, by their owner, and by a new
//! password.

use std::net::IpAddr;

use quaywatch_core::{AccountId, Timestamp};

use super::Identity;
use crate::caller::Caller;
use crate::operations::OperationError;
use crate::operations::refuse::not_built;

/// A session, as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionView {
    /// Names it, for ending it; no secret.
    pub id: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_seen_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// From where it was last used.
    pub address: Option<IpAddr>,
    /// What the browser calls itself.
    pub agent: Option<String>,
    /// Whether it is the one that asks.
    pub current: bool,
}

impl Identity {
    /// Whose session it is. Its use is written down at most once a minute.
    ///
    /// # Errors
    /// [`OperationError::NotRecognised`] where there is none, or no more.
    pub async fn authenticate_session(
        &self,
        secret: &str,
        address: IpAddr,
    ) -> Result<Caller, OperationError> {
        let _ = (secret, address);
        Err(not_built())
    }

    /// Ends the session of this secret. One that is not there has ended.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn sign_out(&self, secret: &str) -> Result<(), OperationError> {
        let _ = secret;
        Err(not_built())
    }

    /// The caller's own sessions, the one used last first; `current` is the secret of the one that asks.
    ///
    /// # Errors
    /// [`OperationError::Denied`] to a token.
    pub async fn list_sessions(
        &self,
        caller: &Caller,
        current: &str,
    ) -> Result<Vec<SessionView>, OperationError> {
        let _ = (caller, current);
        Err(not_built())
    }

    /// Ends one of the caller's own sessions.
    ///
    /// # Errors
    /// [`OperationError::NotFound`], [`OperationError::Denied`] to a token.
    pub async fn end_session(&self, caller: &Caller, id: &str) -> Result<(), OperationError> {
        let _ = (caller, id);
        Err(not_built())
    }

    /// Ends all of the caller's own sessions, but not the one of `except`; how many.
    ///
    /// # Errors
    /// [`OperationError::Denied`] to a token.
    pub async fn sign_out_everywhere(
        &self,
        caller: &Caller,
        except: Option<&str>,
    ) -> Result<u64, OperationError> {
        let _ = (caller, except);
        Err(not_built())
    }

    /// Goes on in another account that the caller belongs to, in the same session.
    ///
    /// # Errors
    /// [`OperationError::NotFound`] for an account that is not theirs.
    pub async fn switch_account(
        &self,
        caller: &Caller,
        secret: &str,
        account: AccountId,
    ) -> Result<(), OperationError> {
        let _ = (caller, secret, account);
        Err(not_built())
    }
}
