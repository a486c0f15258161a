//! Sign-in by a provider of the operator's choice (OpenID Connect): authorization code with PKCE, nonce, state, the
//! issuer pinned to the one in the file. A provider says who somebody is; what they may here, their membership says.

pub(super) mod flow;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use foldhash::fast::RandomState;
use openidconnect::core::CoreProviderMetadata;
use quaywatch_core::{AccountId, BootTime, Secret, UserId};
use quaywatch_store::StoreError;
use quaywatch_store::records::{ExternalIdentity, NewUser, Proved, SecretHash, UserRecord};
use subtle::ConstantTimeEq as _;

use super::again::unasked;
use super::ceremonies::Ceremonies;
use super::profile::Way;
use super::sign_in::NewSession;
use super::{Identity, Origin, bearer, newcomer, not_recognised, person};
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
    /// Who links themselves, and by which session; `None`: somebody signs in.
    link: Option<(UserId, Option<SecretHash>)>,
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

    /// Sends somebody to a provider: to sign in, or, of a caller who signed in just now, to link themselves.
    ///
    /// # Errors
    /// [`OperationError::Conflict`] for one who did not; [`OperationError::NotFound`], [`OperationError::Throttled`]; [`OperationError::Unavailable`] where the provider
    /// does not answer or nobody said how the server is reached.
    pub async fn depart(
        &self,
        provider: &str,
        link: Option<&Caller>,
        origin: &Origin,
    ) -> Result<Departure, OperationError> {
        self.0.throttle.address(origin.address)?;
        let link = match link {
            Some(caller) => {
                let user = person(caller)?;
                self.require_recent(caller)?;
                Some((user, caller.session.map(|session| session.hash)))
            }
            None => None,
        };
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
            Some((user, asks)) => {
                let identity = self.identity(&provider, &claims, user);
                let author = newcomer(Some(user), origin);
                match self.people().link_identity(identity, asks, author, self.now()).await {
                    Ok(()) => Ok(Arrival::Linked),
                    Err(StoreError::Taken(_)) => Err(linked_elsewhere(&provider)),
                    Err(error) => Err(unasked(error)),
                }
            }
            None => {
                let user = self.known_or_new(&provider, &claims, origin).await?;
                let proved = Proved::Provider { issuer: provider.issuer, subject: claims.subject };
                self.begin_session(user, proved, None, origin).await.map(Arrival::SignedIn)
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

    /// Whom a provider means: somebody who was linked, somebody with that verified address whom nothing else lets in, or,
    /// where the file says so, somebody new.
    ///
    /// The provider vouches for the address, and nobody here does: whoever holds an invitation to it can choose a password
    /// for it. So an address alone never leads to somebody who has another way in, which may be another's.
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
            Some(user) if user.disabled_at.is_some() => return Err(unwelcome(provider)),
            Some(user) => user,
            None => self.join(provider, claims, email, origin).await?,
        };
        let identity = self.identity(provider, claims, user.id);
        let claimed =
            self.people().claim_identity(identity, newcomer(Some(user.id), origin), self.now()).await;
        match claimed {
            Ok(()) => Ok(user.id),
            Err(StoreError::Conflict(_)) => Err(not_recognised("link_first", LINK_FIRST)),
            Err(StoreError::Taken(_)) => Err(linked_elsewhere(provider)),
            Err(error) => Err(error.into()),
        }
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

    fn identity(&self, provider: &Provider, claims: &Claims, user: UserId) -> ExternalIdentity {
        ExternalIdentity {
            issuer: provider.issuer.clone(),
            subject: claims.subject.clone(),
            user,
            linked_at: self.now(),
        }
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

/// To somebody whom the provider knows by an address that belongs to a person with another way in.
const LINK_FIRST: &str = "somebody with your address signs in here in another way: if that is you, sign in so once, and \
    link the provider in your profile; if not, ask whoever runs this server to reset that person";

fn linked_elsewhere(provider: &Provider) -> OperationError {
    OperationError::Conflict {
        code: "linked_elsewhere",
        message: format!("somebody else here is linked to that account at {}", provider.name),
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
