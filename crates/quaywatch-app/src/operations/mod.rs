//! What people and programs do: each operation is a function on [`Operations`] that takes the [`Caller`] first,
//! asks for the access that it needs, and answers with records or an [`OperationError`]. API, pages and the command line
//! call the same ones.

// What is looked at, and who is told. What is watched stands in a block of its own.
pub mod account;
pub mod at;
pub mod audit;
pub mod channels;
#[cfg(test)]
mod channels_tests;
pub mod delivery;
pub mod incidents;
#[cfg(test)]
mod incidents_tests;
pub mod intervals;
#[cfg(test)]
pub(crate) mod kit;
pub mod latency;
pub mod locations;
pub mod page;
mod past;
#[cfg(test)]
mod past_tests;
pub mod presets;
pub(crate) mod refuse;
pub mod replays;
pub mod results;
pub(crate) mod sealed;
pub mod transitions;
#[cfg(test)]
mod transitions_tests;
pub mod uptime;

// What is watched.
mod acts;
mod advice;
pub mod apply;
#[cfg(test)]
mod apply_tests;
mod arrears;
pub mod bin;
#[cfg(test)]
mod bin_tests;
pub mod bulk;
mod called;
pub(crate) mod changes;
#[cfg(test)]
mod changes_tests;
mod edits;
pub mod export;
#[cfg(test)]
mod export_tests;
pub mod groups;
pub(crate) mod hidden;
#[cfg(test)]
mod hidden_tests;
mod lacking;
mod managed;
pub mod monitors;
#[cfg(test)]
mod monitors_tests;
mod naming;
mod pauses;
pub mod plans;
mod reading;
pub mod settings;
mod stored;
pub mod tags;
pub mod test;
pub mod urls;
#[cfg(test)]
mod urls_tests;
mod wanted;

use std::sync::{Arc, OnceLock};

use quaywatch_core::Clock;
use quaywatch_core::access::Policy;
use quaywatch_core::doc::Problems;
use quaywatch_engine::Engine;
use quaywatch_runner::NetParts;
use quaywatch_store::{AccountStore, Store, StoreError};

use crate::caller::Caller;
use changes::Changes;
use settings::Settings;

/// Everything that operations act on. Cheap to clone.
#[derive(Clone)]
pub struct Operations {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The one place where what is watched and who is told are changed.
    pub(crate) changes: Arc<Changes>,
    /// What the server's file says, as far as operations need it.
    pub(crate) settings: Arc<Settings>,
    pub(crate) tests: Arc<test::Tests>,
    /// How channels are made; set once the server runs.
    pub(crate) delivery: Arc<OnceLock<delivery::Delivery>>,
    pub(crate) trials: Arc<delivery::Trials>,
    pub(crate) followers: Arc<transitions::Followers>,
}

impl Operations {
    /// Operations on a store, at first without an engine: what is changed is written, and judged by nobody.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, settings: Arc<Settings>) -> Self {
        let changes = Arc::new(Changes::new(Arc::clone(&store)));
        Self {
            store,
            clock,
            changes,
            settings,
            tests: Arc::default(),
            delivery: Arc::default(),
            trials: Arc::default(),
            followers: Arc::default(),
        }
    }

    /// From now on `engine` follows what is changed, and is asked for what it has in memory.
    pub fn attach(&self, engine: Arc<Engine>) {
        self.changes.attach(engine);
    }

    /// From now on channels are made with this.
    pub fn attach_delivery(&self, delivery: delivery::Delivery) {
        // The server has one way out.
        let _ = self.delivery.set(delivery);
    }

    /// From now on tests dial with `net`.
    pub fn attach_net(&self, net: NetParts) {
        self.tests.attach(net);
    }

    /// The engine, where one runs.
    pub(crate) fn engine(&self) -> Option<Arc<Engine>> {
        self.changes.engine()
    }

    /// The caller's things.
    pub(crate) fn account(&self, caller: &Caller) -> Arc<dyn AccountStore> {
        self.store.account(caller.account)
    }
}

impl std::fmt::Debug for Operations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operations").finish_non_exhaustive()
    }
}

/// Why an operation was not done. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// Nobody is recognised where somebody must be.
    #[error("sign in, or send a token")]
    Unauthenticated,
    /// Somebody says who they are, and is not believed: a wrong password, a token that ended.
    #[error("{message}")]
    NotRecognised {
        /// A stable word: `wrong_credentials`, `token_mistyped`, …
        code: &'static str,
        /// In words, which say nothing about who exists.
        message: String,
    },
    /// The caller's role or scopes are not enough.
    #[error("this needs more access")]
    Denied(Policy),
    /// There is no such thing in the caller's account.
    #[error("there is no {kind} `{id}`")]
    NotFound {
        /// `monitor`, `channel`, …
        kind: &'static str,
        /// As it was asked for.
        id: String,
    },
    /// What was sent cannot be used; everything that is wrong is listed.
    #[error("{0}")]
    Invalid(Problems),
    /// Something else is in the way: a name that is taken, an owner that is a file.
    #[error("{message}")]
    Conflict {
        /// A stable word: `name_taken`, `managed_by_file`, …
        code: &'static str,
        /// In words, with the remedy.
        message: String,
    },
    /// It was changed since the caller looked.
    #[error("it was changed in the meantime: read it again")]
    Changed,
    /// The account's plan does not allow it.
    #[error("the plan `{plan}` allows {allowed} (`{limit}`)")]
    Limit {
        /// Which limit: `max_urls`, `min_interval`, …
        limit: &'static str,
        /// The plan's name.
        plan: String,
        /// How much it allows.
        allowed: plans::Allowed,
    },
    /// Too often; when to try again.
    #[error("too many attempts: try again in {} s", .0.as_millis().div_ceil(1_000).max(1))]
    Throttled(std::time::Duration),
    /// The server cannot do it now.
    #[error("{0}")]
    Unavailable(String),
    /// The store failed.
    #[error(transparent)]
    Store(StoreError),
}

/// What the store refuses because of what it holds is nobody's failure.
impl From<StoreError> for OperationError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Stale { .. } => Self::Changed,
            StoreError::Taken(message) => Self::Conflict { code: "name_taken", message },
            StoreError::Missing(id) => Self::NotFound { kind: "thing", id },
            StoreError::Full(_)
            | StoreError::Busy(_)
            | StoreError::Fenced { .. }
            | StoreError::Schema { .. }
            | StoreError::Directory(_)
            | StoreError::Damaged { .. }
            | StoreError::Conflict(_)
            | StoreError::Engine(_) => Self::Store(error),
        }
    }
}
