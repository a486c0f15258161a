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
pub(crate) mod error;
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
use quaywatch_engine::Engine;
use quaywatch_runner::NetParts;
use quaywatch_store::{AccountStore, Store};

use crate::caller::Caller;
use changes::Changes;
pub use error::{Allowed, OperationError};
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
    pub(crate) guesses: hidden::Guesses,
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
            guesses: hidden::Guesses::default(),
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
