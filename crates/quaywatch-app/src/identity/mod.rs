//! Who people and programs are: passwords, second factors, passkeys, providers, sessions, tokens, members,
//! invitations, the first start.
//!
//! Whoever serves pages or an API brings what was sent and gets a [`Caller`], or the secret of a new session to put
//! into a cookie. Nothing here knows a cookie or a header; nothing outside knows a hash. What is refused is refused in
//! the same words and the same time for people who exist and people who do not.

pub mod accounts;
pub mod again;
pub mod bearer;
mod ceremonies;
mod codes;
pub mod first_start;
pub mod host;
pub mod invitations;
pub mod members;
#[cfg(feature = "oidc")]
pub mod oidc;
#[cfg(feature = "passkeys")]
pub mod passkeys;
mod password;
pub mod profile;
pub mod second_factor;
pub mod sessions;
pub mod sign_in;
mod throttle;
pub mod tokens;

use std::net::IpAddr;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use quaywatch_core::access::{Level, Policy, Resource};
use quaywatch_core::egress::Accounts;
use quaywatch_core::{Clock, Secret, Timestamp, UserId};
use quaywatch_net::http::HttpClient;
use quaywatch_store::records::Author;
use quaywatch_store::{AccountStore, PeopleStore, Sealer, Store, StoreError};

use crate::caller::{Actor, Caller};
use crate::config::Config;
use crate::config::plans::Plans;
use crate::config::sign_in::Provider;
use crate::operations::OperationError;
use crate::operations::refuse::invalid;
use crate::operations::sealed::Vault;
use password::Passwords;
use throttle::Throttle;

pub use codes::RECOVERY_CODES;
pub use password::{LEAST as LEAST_PASSWORD, MOST_BYTES as MOST_PASSWORD_BYTES};

/// What signing in depends on beyond the store.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where people reach the server, without a slash at the end: links and passkeys are for this. `None`: nobody said;
    /// links are made from the listener's address, and passkeys cannot be used.
    pub public_url: Option<String>,
    /// One owner or many.
    pub accounts: Accounts,
    /// A session that is not used for this long has ended.
    pub session_idle: Duration,
    /// A session ends after this, however much it is used.
    pub session_absolute: Duration,
    /// Who else may say who somebody is.
    pub providers: Vec<Provider>,
    /// The plans of the server's file: names of accounts that stand there are nobody's to choose.
    pub plans: Plans,
}

impl Default for Settings {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        Self {
            public_url: None,
            accounts: Accounts::Single,
            session_idle: 14 * DAY,
            session_absolute: 90 * DAY,
            providers: Vec::new(),
            plans: Plans::default(),
        }
    }
}

impl Settings {
    /// Those of a configuration.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let server = &config.server;
        Self {
            public_url: server.public_url.clone(),
            accounts: server.accounts,
            session_idle: server.sign_in.idle,
            session_absolute: server.sign_in.absolute,
            providers: server.sign_in.providers.clone(),
            plans: server.plans.clone(),
        }
    }
}

/// From where somebody signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The address.
    pub address: IpAddr,
    /// What the browser calls itself; shown in the list of sessions.
    pub agent: Option<String>,
    /// In which request, for the audit log.
    pub request_id: Option<Box<str>>,
}

/// Everything about who somebody is. Cheap to clone.
#[derive(Clone)]
pub struct Identity(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    settings: RwLock<Arc<Settings>>,
    /// Seals what must be read back: the secrets of second factors.
    vault: OnceLock<Arc<dyn Vault>>,
    /// How providers are reached.
    client: RwLock<Option<HttpClient>>,
    passwords: Passwords,
    throttle: Throttle,
    enrolments: ceremonies::Ceremonies<Secret<Vec<u8>>>,
    #[cfg(feature = "passkeys")]
    passkeys: passkeys::Begun,
    #[cfg(feature = "oidc")]
    oidc: oidc::Begun,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

impl Identity {
    /// Identity over a store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, settings: Settings) -> Self {
        Self(Arc::new(Inner {
            throttle: Throttle::new(Arc::clone(&clock)),
            store,
            clock,
            settings: RwLock::new(Arc::new(settings)),
            vault: OnceLock::new(),
            client: RwLock::new(None),
            passwords: Passwords::new(),
            enrolments: ceremonies::Ceremonies::default(),
            #[cfg(feature = "passkeys")]
            passkeys: passkeys::Begun::default(),
            #[cfg(feature = "oidc")]
            oidc: oidc::Begun::default(),
        }))
    }

    /// Follows a file that was read again.
    pub fn replace_settings(&self, settings: Settings) {
        *self.0.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    /// From now on providers are reached this way.
    pub fn attach_client(&self, client: HttpClient) {
        *self.0.client.write().unwrap_or_else(PoisonError::into_inner) = Some(client);
    }

    /// From now on second factors can be kept.
    pub fn attach_sealer(&self, sealer: Arc<Sealer>) {
        // Set once, by whoever wires the server: a second time changes nothing.
        let _ = self.0.vault.set(sealer);
    }

    fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.0.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    fn people(&self) -> Arc<dyn PeopleStore> {
        self.0.store.people()
    }

    fn account(&self, caller: &Caller) -> Arc<dyn AccountStore> {
        self.0.store.account(caller.account)
    }

    /// The link to a page of this server, where it knows how it is reached.
    fn link(&self, path: &str) -> Option<Secret<String>> {
        self.settings().public_url.as_ref().map(|url| Secret::new(format!("{url}{path}")))
    }
}

/// The person behind a caller: a token and the host itself have no password, session or device.
fn person(caller: &Caller) -> Result<UserId, OperationError> {
    match caller.actor {
        Actor::User(user) => Ok(user),
        Actor::Token(_) | Actor::Host(_) => Err(OperationError::Denied(PERSON)),
    }
}

/// What no token has.
const PERSON: Policy = Policy::new(Resource::People, Level::Own);

/// Somebody who is not signed in yet, as the audit log names them.
fn newcomer(user: Option<UserId>, origin: &Origin) -> Author {
    let actor = user.map_or_else(|| "visitor".to_owned(), |user| Actor::User(user).to_string());
    Author { actor, address: Some(origin.address), request: origin.request_id.clone() }
}

fn not_recognised(code: &'static str, message: impl Into<String>) -> OperationError {
    OperationError::NotRecognised { code, message: message.into() }
}

/// With what the store refuses, told apart from its faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum No {
    /// A key belongs to something else.
    Taken,
    /// It is not there.
    Missing,
    /// It would leave something that may not be.
    Conflict,
}

/// A refusal of the store in the words of `told`; what it says nothing of is a fault.
fn refused(error: StoreError, told: impl FnOnce(No) -> Option<OperationError>) -> OperationError {
    let no = match &error {
        StoreError::Taken(_) => No::Taken,
        StoreError::Missing(_) => No::Missing,
        StoreError::Conflict(_) => No::Conflict,
        StoreError::Full(_)
        | StoreError::Busy(_)
        | StoreError::Fenced { .. }
        | StoreError::Schema { .. }
        | StoreError::Directory(_)
        | StoreError::Damaged { .. }
        | StoreError::Stale { .. }
        | StoreError::Engine(_) => return error.into(),
    };
    told(no).unwrap_or_else(|| error.into())
}

/// A name of a person, an account, a token, a device.
fn check_name(field: &str, name: &str) -> Result<String, OperationError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
        let message = format!("`{field}` must be one line of 1 to 100 characters");
        return Err(invalid(field, "bad_name", message, "write it in plain text"));
    }
    Ok(name.to_owned())
}

/// An address of mail, as far as it can be told by looking: nothing is sent to find out.
fn check_email(field: &str, email: &str) -> Result<String, OperationError> {
    let email = email.trim();
    let (local, domain) = email.rsplit_once('@').unwrap_or_default();
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"<>()[]\\,;:\"".contains(c);
    let fits = !local.is_empty()
        && local.len() <= 64
        && email.len() <= 254
        && !local.contains('@')
        && email.chars().all(plain)
        && !domain.is_empty()
        && domain
            .split('.')
            .all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'));
    if fits {
        return Ok(email.to_owned());
    }
    Err(invalid(
        field,
        "bad_email",
        format!("`{field}` is no address of mail"),
        "write it as in `kim@example.com`",
    ))
}

#[cfg(all(test, feature = "oidc", feature = "passkeys"))]
mod tests;
