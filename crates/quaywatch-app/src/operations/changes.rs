//! The one place where configured things change: written to the store, then followed by the engine, in one order for
//! both, so that what the store holds and what is watched agree.
//!
//! Changes take turns. A turn is short: large changes come in pieces, so that nobody's small one waits for all of
//! somebody's hundred thousand.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError};

use quaywatch_core::{AccountId, MonitorId, Timestamp};
use quaywatch_engine::Engine;
use quaywatch_store::records::{Applied, Author, ChangeSet, Pause};
use quaywatch_store::{Store, StoreError};
use tokio::sync::{Mutex, MutexGuard, OwnedMutexGuard};

/// Writes changes and tells the engine.
pub(crate) struct Changes {
    store: Arc<dyn Store>,
    engine: OnceLock<Arc<Engine>>,
    turn: Mutex<()>,
    /// Documents of one account are made true one after the other.
    documents: std::sync::Mutex<BTreeMap<AccountId, Arc<Mutex<()>>>>,
    is_closed: AtomicBool,
}

impl Changes {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            engine: OnceLock::new(),
            turn: Mutex::new(()),
            documents: std::sync::Mutex::default(),
            is_closed: AtomicBool::new(false),
        }
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

    /// Waits until no other document of the account is being made true.
    pub(crate) async fn document(&self, account: AccountId) -> OwnedMutexGuard<()> {
        let own = {
            let mut all = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(account).or_default())
        };
        own.lock_owned().await
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
        self.expect_open()?;
        self.changes.store.account(account).apply(set, at).await
    }

    /// Pauses monitors, or lets them go on, and returns when the engine follows.
    pub(crate) async fn set_paused(
        &self,
        account: AccountId,
        ids: Vec<MonitorId>,
        pause: Option<Pause>,
        (author, at): (Author, Timestamp),
    ) -> Result<Applied, StoreError> {
        self.expect_open()?;
        let applied = self.changes.store.account(account).set_paused(ids, pause, author, at).await?;
        self.follow(applied.clone()).await?;
        Ok(applied)
    }

    /// Lets monitors go on whose pauses have ended; how many.
    pub(crate) async fn end_pauses(&self, at: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.expect_open()?;
        let mut ended = 0;
        for (_, applied) in self.changes.store.system().end_pauses(at, limit).await? {
            ended += applied.monitors.len();
            self.follow(applied).await?;
        }
        Ok(ended)
    }

    fn expect_open(&self) -> Result<(), StoreError> {
        if self.changes.is_closed.load(Ordering::Acquire) {
            return Err(StoreError::Busy("the server is shutting down".to_owned()));
        }
        Ok(())
    }

    /// Lets the engine follow what was written.
    pub(crate) async fn follow(&self, applied: Applied) -> Result<(), StoreError> {
        match self.changes.engine() {
            Some(engine) => engine.reload(applied).await,
            None => Ok(()),
        }
    }
}
