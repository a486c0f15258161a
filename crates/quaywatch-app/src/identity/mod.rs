//! Who people and programs are: passwords, second factors, passkeys, providers, sessions, tokens, members,
//! invitations, the first start.
//!
//! Whoever serves pages or an API brings what was sent and gets a [`Caller`](crate::caller::Caller), or the secret of a new session to put
//! into a cookie. Nothing here knows a cookie or a header; nothing outside knows a hash. What is refused is refused in
//! the same words and the same time for people who exist and people who do not.

pub mod bearer;
mod ceremonies;
mod codes;
pub mod first_start;
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
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use quaywatch_core::egress::Accounts;
use quaywatch_core::{Clock, Secret};
use quaywatch_store::Store;

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
    #[cfg(feature = "oidc")]
    pub providers: Vec<oidc::Provider>,
}

impl Default for Settings {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        Self {
            public_url: None,
            accounts: Accounts::Single,
            session_idle: 14 * DAY,
            session_absolute: 90 * DAY,
            #[cfg(feature = "oidc")]
            providers: Vec::new(),
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

    fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.0.settings.read().unwrap_or_else(PoisonError::into_inner))
    }
}
