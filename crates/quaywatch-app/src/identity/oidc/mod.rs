//! Sign-in by a provider of the operator's choice (OpenID Connect): authorization code with PKCE, nonce, state, the
//! issuer pinned to the one in the file. A provider says who somebody is; what they may here, their membership says.

mod flow;
#[cfg(test)]
mod provider;

use quaywatch_core::Secret;
use quaywatch_core::access::Role;

use super::sign_in::NewSession;
use super::{Identity, Origin};
use crate::caller::Caller;
use crate::operations::OperationError;
use crate::operations::refuse::not_built;

/// A provider, as the file declares it.
#[derive(Debug, Clone)]
pub struct Provider {
    /// What people see on the button, and what the way back is called.
    pub name: String,
    /// Exactly as it stands in its discovery document.
    pub issuer: String,
    /// What the provider calls this server.
    pub client_id: String,
    /// The secret that it was given.
    pub client_secret: Option<Secret<String>>,
    /// What people become who are not here yet; `None`: they are refused.
    pub new_members: Option<Role>,
    /// Only verified addresses of these domains; empty: of all.
    pub domains: Vec<String>,
}

/// Where to send the browser.
#[derive(Debug)]
pub struct Departure {
    /// The provider's page.
    pub url: Secret<String>,
    /// Into a short-lived cookie of this browser: the way back works only with it.
    pub binding: Secret<String>,
}

/// What the browser brings back.
#[derive(Debug, Clone)]
pub struct Return {
    /// `state`.
    pub state: String,
    /// `code`.
    pub code: String,
    /// The cookie that was set at the departure.
    pub binding: String,
}

/// What came of it.
#[derive(Debug)]
pub enum Arrival {
    /// Somebody signed in.
    SignedIn(NewSession),
    /// A member linked their account at the provider.
    Linked,
}

/// Departures whose return is awaited.
#[derive(Debug, Default)]
pub(super) struct Begun {}

impl Identity {
    /// Names of the providers there are.
    #[must_use]
    pub fn providers(&self) -> Vec<String> {
        self.settings().providers.iter().map(|provider| provider.name.clone()).collect()
    }

    /// Sends somebody to a provider: to sign in, or, of a caller, to link themselves.
    ///
    /// # Errors
    /// [`OperationError::NotFound`], [`OperationError::Throttled`]; [`OperationError::Unavailable`] where the provider
    /// does not answer or nobody said how the server is reached.
    pub async fn depart(
        &self,
        provider: &str,
        link: Option<&Caller>,
        origin: &Origin,
    ) -> Result<Departure, OperationError> {
        let _ = (provider, link, origin);
        Err(not_built())
    }

    /// Takes them back.
    ///
    /// # Errors
    /// [`OperationError::NotRecognised`].
    pub async fn arrive(
        &self,
        provider: &str,
        back: Return,
        origin: &Origin,
    ) -> Result<Arrival, OperationError> {
        let _ = (provider, back, origin);
        Err(not_built())
    }

    /// Unlinks the caller from a provider.
    ///
    /// # Errors
    /// [`OperationError::NotFound`]; [`OperationError::Conflict`] where it is the last way to sign in.
    pub async fn unlink_provider(&self, caller: &Caller, provider: &str) -> Result<(), OperationError> {
        let _ = (caller, provider);
        Err(not_built())
    }
}
