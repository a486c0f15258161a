//! Sign-in by a provider of the operator's choice (OpenID Connect): authorization code with PKCE, nonce, state, the
//! issuer pinned to the one in the file. A provider says who somebody is; what they may here, their membership says.

pub(super) mod flow;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use foldhash::fast::RandomState;
use openidconnect::core::CoreProviderMetadata;
use quaywatch_core::{AccountId, BootTime, Secret, UserId};
use quaywatch_store::records::{ExternalIdentity, NewUser, UserRecord};
use subtle::ConstantTimeEq as _;

use super::ceremonies::Ceremonies;
use super::profile::Way;
use super::sign_in::NewSession;
use super::{Identity, No, Origin, bearer, newcomer, not_recognised, person, refused};
use crate::caller::Caller;
pub use crate::config::sign_in::Provider;
use crate::operations::OperationError;
use crate::operations::refuse::not_found;
use flow::{Away, Claims, Flow, FlowError};

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
pub(super) struct Begun {
    departed: Ceremonies<Departed>,
    /// What providers say of themselves, for a while: keys are changed over days, and people come in crowds.
    documents: Mutex<HashMap<String, (BootTime, Arc<CoreProviderMetadata>), RandomState>>,
}

#[derive(Debug)]
struct Departed {
    provider: String,
    /// Of the cookie that the browser was given.
    binding: [u8; 32],
    /// Who links themselves; `None`: somebody signs in.
    link: Option<UserId>,
    away: Away,
}

/// How long a provider's documents are believed.
const DOCUMENTS: Duration = Duration::from_secs(300);

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
        self.0.throttle.address(origin.address)?;
        let link = link.map(person).transpose()?;
        let provider = self.provider(provider)?;
        let path = format!("/api/v1/session/providers/{}/callback", provider.name);
        let redirect = self.link(&path).ok_or_else(|| {
            let why = "providers send people back to one address: say in `server.public_url` how this server is reached";
            OperationError::Conflict { code: "no_public_url", message: why.to_owned() }
        })?;
        let metadata = self.documents(&provider).await?;
        let departing =
            self.flow(&provider)?.depart(metadata, redirect.reveal()).map_err(|error| untold(&error))?;
        let binding = bearer::hex(&bearer::random::<32>());
        let departed =
            Departed { provider: provider.name, binding: bearer::hash(&binding), link, away: departing.away };
        self.0.oidc.departed.begin(departing.state, self.0.clock.boot(), departed);
        Ok(Departure { url: departing.url, binding: Secret::new(binding) })
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
        self.0.throttle.address(origin.address)?;
        let departed = self.0.oidc.departed.take(&back.state, self.0.clock.boot());
        let departed = departed.filter(|departed| {
            departed.provider == provider && bool::from(departed.binding.ct_eq(&bearer::hash(&back.binding)))
        });
        let departed = departed.ok_or_else(|| {
            not_recognised(
                "nothing_begun",
                "this browser did not begin to sign in, or it took too long: begin again",
            )
        })?;
        let provider = self.provider(provider)?;
        let claims =
            self.flow(&provider)?.arrive(departed.away, &back.code).await.map_err(|error| untold(&error))?;
        match departed.link {
            Some(user) => {
                self.remember(&provider, &claims, user, origin).await?;
                Ok(Arrival::Linked)
            }
            None => {
                let user = self.known_or_new(&provider, &claims, origin).await?;
                self.begin_session(user, None, origin).await.map(Arrival::SignedIn)
            }
        }
    }

    /// Unlinks the caller from a provider.
    ///
    /// # Errors
    /// [`OperationError::NotFound`]; [`OperationError::Conflict`] where it is the last way to sign in.
    pub async fn unlink_provider(&self, caller: &Caller, provider: &str) -> Result<(), OperationError> {
        let user = self.themselves(caller).await?;
        let linked = self.people().external_identities(user.id).await?;
        // Those of a provider that is no longer in the file go by their issuer.
        let settings = self.settings();
        let issuer = settings.providers.iter().find(|known| known.name == provider);
        let issuer = issuer.map_or(provider, |known| &known.issuer);
        if !linked.iter().any(|identity| identity.issuer == issuer) {
            return Err(not_found("provider", provider));
        }
        if linked.iter().all(|identity| identity.issuer == issuer) {
            self.keep_a_way_in(&user, Way::Provider).await?;
        }
        Ok(self.people().unlink_identity(user.id, issuer.to_owned(), caller.author(), self.now()).await?)
    }

    /// Whom a provider means: somebody who was linked, somebody with that verified address, or, where the file says so,
    /// somebody new.
    async fn known_or_new(
        &self,
        provider: &Provider,
        claims: &Claims,
        origin: &Origin,
    ) -> Result<UserId, OperationError> {
        let people = self.people();
        if let Some(known) = people.external_identity(&provider.issuer, &claims.subject).await? {
            let user = people.user(known.user).await?.filter(|user| user.disabled_at.is_none());
            return user.map(|user| user.id).ok_or_else(|| unwelcome(provider));
        }
        let email = claims.verified_email.as_deref().filter(|email| welcomes(provider, email));
        let email = email.ok_or_else(|| unwelcome(provider))?;
        let user = match people.user_by_email(email).await? {
            Some(user) => self.linkable(provider, user)?,
            None => self.join(provider, claims, email, origin).await?,
        };
        self.remember(provider, claims, user.id, origin).await?;
        Ok(user.id)
    }

    /// Whether an address alone may open the door to somebody who is here: not past a second factor, which the provider
    /// knows nothing of.
    fn linkable(&self, provider: &Provider, user: UserRecord) -> Result<UserRecord, OperationError> {
        if user.disabled_at.is_some() {
            return Err(unwelcome(provider));
        }
        if user.totp_secret.is_some() {
            let message = "sign in with your password once, and link the provider in your profile".to_owned();
            return Err(not_recognised("link_first", message));
        }
        Ok(user)
    }

    async fn join(
        &self,
        provider: &Provider,
        claims: &Claims,
        email: &str,
        origin: &Origin,
    ) -> Result<UserRecord, OperationError> {
        let role = provider.new_members.ok_or_else(|| unwelcome(provider))?;
        let name = claims.name.as_deref().and_then(|name| super::check_name("name", name).ok());
        let name = name.unwrap_or_else(|| email.to_owned());
        let email = super::check_email("email", email)?;
        let new = NewUser { email, name, password_hash: None };
        let (author, now) = (newcomer(None, origin), self.now());
        let user = self.people().create_user(new, author.clone(), now).await?;
        self.0.store.account(AccountId::DEFAULT).set_role(user.id, role, author, now).await?;
        Ok(user)
    }

    async fn remember(
        &self,
        provider: &Provider,
        claims: &Claims,
        user: UserId,
        origin: &Origin,
    ) -> Result<(), OperationError> {
        let now = self.now();
        let identity = ExternalIdentity {
            issuer: provider.issuer.clone(),
            subject: claims.subject.clone(),
            user,
            linked_at: now,
        };
        let linked = self.people().link_identity(identity, newcomer(Some(user), origin), now).await;
        linked.map_err(|error| {
            refused(error, |no| match no {
                No::Taken => Some(OperationError::Conflict {
                    code: "linked_elsewhere",
                    message: format!("somebody else here is linked to that account at {}", provider.name),
                }),
                No::Missing | No::Conflict => None,
            })
        })
    }

    fn provider(&self, name: &str) -> Result<Provider, OperationError> {
        let settings = self.settings();
        let found = settings.providers.iter().find(|provider| provider.name == name);
        found.cloned().ok_or_else(|| not_found("provider", name))
    }

    fn flow<'a>(&'a self, provider: &'a Provider) -> Result<Flow<'a>, OperationError> {
        let client = self.0.client.read().unwrap_or_else(PoisonError::into_inner).clone();
        let client = client.ok_or_else(|| {
            OperationError::Unavailable("the server is starting: try again in a moment".to_owned())
        })?;
        Ok(Flow { provider, client, clock: &*self.0.clock })
    }

    async fn documents(&self, provider: &Provider) -> Result<Arc<CoreProviderMetadata>, OperationError> {
        let now = self.0.clock.boot();
        let known = || self.0.oidc.documents.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = known().get(&provider.issuer).filter(|(at, _)| now.since(*at) < DOCUMENTS).cloned();
        if let Some((_, metadata)) = fresh {
            return Ok(metadata);
        }
        let metadata = Arc::new(self.flow(provider)?.discover().await.map_err(|error| untold(&error))?);
        known().insert(provider.issuer.clone(), (now, Arc::clone(&metadata)));
        Ok(metadata)
    }
}

fn welcomes(provider: &Provider, email: &str) -> bool {
    let domain = email.rsplit('@').next().unwrap_or_default().to_lowercase();
    provider.domains.is_empty() || provider.domains.contains(&domain)
}

fn unwelcome(provider: &Provider) -> OperationError {
    let message = format!("{} knows you, and nobody here does: ask for an invitation", provider.name);
    not_recognised("not_invited", message)
}

/// What went wrong is for the server's log; people learn whether it helps to try again.
fn untold(error: &FlowError) -> OperationError {
    tracing::warn!(%error, "somebody could not sign in by a provider");
    match error {
        FlowError::Provider(_) => OperationError::Unavailable(
            "the provider cannot be asked at the moment: the server's log says why".to_owned(),
        ),
        FlowError::Unproved(_) => {
            not_recognised("not_proved", "the provider's answer proves nothing: begin again")
        }
    }
}
