//! The one place where configured things change: written to the store, then followed by the engine, in one order for
//! both, so that what the store holds and what is watched agree.
//!
//! Changes take turns. A turn is short: large changes come in pieces, so that nobody's small one waits for all of
//! somebody's hundred thousand.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use quaywatch_core::{AccountId, Timestamp};
use quaywatch_engine::Engine;
use quaywatch_store::records::{Applied, ChangeSet};
use quaywatch_store::{Store, StoreError};
use tokio::sync::{Mutex, MutexGuard};

/// Writes changes and tells the engine.
pub(crate) struct Changes {
    store: Arc<dyn Store>,
    engine: OnceLock<Arc<Engine>>,
    turn: Mutex<()>,
    is_closed: AtomicBool,
}

impl Changes {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, engine: OnceLock::new(), turn: Mutex::new(()), is_closed: AtomicBool::new(false) }
    }

    /// From now on `engine` follows.
    pub(crate) fn attach(&self, engine: Arc<Engine>) {
        // A second engine on one store is not a thing that a server does.
        let _ = self.engine.set(engine);
    }

    pub(crate) fn engine(&self) -> Option<Arc<Engine>> {
        self.engine.get().cloned()
    }

    /// Waits for its turn: what is read of the store while it lasts stays true until it is written.
    pub(crate) async fn turn(&self) -> Turn<'_> {
        Turn { changes: self, _guard: self.turn.lock().await }
    }

    /// No more changes: an engine that has stopped follows none, and a change that nobody follows is for the next
    /// start. Returns when the last one is done.
    pub(crate) async fn close(&self) {
        let _last = self.turn.lock().await;
        self.is_closed.store(true, Ordering::Release);
    }
}

/// The right to change, one at a time.
pub(crate) struct Turn<'c> {
    changes: &'c Changes,
    _guard: MutexGuard<'c, ()>,
}

impl Turn<'_> {
    /// Writes a change and returns when the engine follows it.
    pub(crate) async fn apply(
        &self,
        account: AccountId,
        set: ChangeSet,
        at: Timestamp,
    ) -> Result<Applied, StoreError> {
        let applied = self.write(account, set, at).await?;
        self.follow(applied.clone()).await?;
        Ok(applied)
    }

    /// Only writes: for whoever has something to do before the engine follows, with [`Turn::follow`] in the same turn.
    pub(crate) async fn write(
        &self,
        account: AccountId,
        set: ChangeSet,
        at: Timestamp,
    ) -> Result<Applied, StoreError> {
        if self.changes.is_closed.load(Ordering::Acquire) {
            return Err(StoreError::Busy("the server is shutting down".to_owned()));
        }
        self.changes.store.account(account).apply(set, at).await
    }

    /// Lets the engine follow what was written.
    pub(crate) async fn follow(&self, applied: Applied) -> Result<(), StoreError> {
        match self.changes.engine() {
            Some(engine) => engine.reload(applied).await,
            None => Ok(()),
        }
    }
}
