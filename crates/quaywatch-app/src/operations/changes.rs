//! The one place where configured things change: written to the store, then followed by the engine, in one order for
//! both, so that what the store holds and what is watched agree.
//!
//! Changes take turns. A turn is short: large changes come in pieces, so that nobody's small one waits for all of
//! somebody's hundred thousand. What has begun to be written is followed to its end, whether or not somebody still
//! waits for the answer; where the engine cannot follow at once, it is made good later ([`super::arrears`]).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;

use quaywatch_core::{AccountId, MonitorId, Timestamp};
use quaywatch_engine::Engine;
use quaywatch_store::records::{Applied, Author, Binned, BinnedChannel, ChangeSet, Pause};
use quaywatch_store::{Store, StoreError};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::arrears::Arrears;

/// After a change that the engine could not follow: the pause before it is made good, and the longest between attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Writes changes and tells the engine.
pub(crate) struct Changes(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    engine: OnceLock<Arc<Engine>>,
    turn: Arc<Mutex<()>>,
    /// Documents of one account are made true one after the other.
    documents: std::sync::Mutex<BTreeMap<AccountId, Arc<Mutex<()>>>>,
    is_closed: AtomicBool,
    /// The change feed's number after the last change.
    newest: AtomicI64,
    arrears: Arrears,
}

impl Changes {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self(Arc::new(Inner {
            store,
            engine: OnceLock::new(),
            turn: Arc::default(),
            documents: std::sync::Mutex::default(),
            is_closed: AtomicBool::new(false),
            newest: AtomicI64::new(0),
            arrears: Arrears::default(),
        }))
    }

    /// From now on `engine` follows.
    pub(crate) fn attach(&self, engine: Arc<Engine>) {
        // A second engine on one store is not a thing that a server does.
        let _ = self.0.engine.set(engine);
    }

    pub(crate) fn engine(&self) -> Option<Arc<Engine>> {
        self.0.engine.get().cloned()
    }

    /// Waits for its turn: what is read of the store while it lasts stays true until it is written.
    pub(crate) async fn turn(&self) -> Turn<'_> {
        let guard = Arc::clone(&self.0.turn).lock_owned().await;
        Turn { changes: self, guard: Arc::new(guard) }
    }

    /// Waits until no other document of the account is being made true.
    pub(crate) async fn document(&self, account: AccountId) -> OwnedMutexGuard<()> {
        let own = {
            let mut all = self.0.documents.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(account).or_default())
        };
        own.lock_owned().await
    }

    /// How much is written and not yet watched so: monitors and channels.
    pub(crate) fn owed(&self) -> usize {
        self.0.arrears.owed()
    }

    /// Makes good what the engine could not follow, whenever there is such; until it is aborted.
    pub(crate) async fn make_good(&self) {
        let mut pause = FIRST_PAUSE;
        loop {
            self.0.arrears.wait().await;
            tokio::time::sleep(pause).await;
            pause = match self.make_good_a_piece().await {
                Ok(()) => FIRST_PAUSE,
                Err(error) => {
                    tracing::debug!(%error, "what was changed is still not watched");
                    (pause * 2).min(LONGEST_PAUSE)
                }
            };
        }
    }

    /// In a turn of its own: what is read of the store stays true until the engine has it.
    async fn make_good_a_piece(&self) -> Result<(), StoreError> {
        let turn = self.turn().await;
        turn.expect_open()?;
        let (Some(engine), Some(piece)) = (self.engine(), self.0.arrears.piece()) else { return Ok(()) };
        let newest = self.0.newest.load(Ordering::Acquire);
        let applied = piece.read(&*self.0.store.account(piece.account), newest).await?;
        engine.reload(applied).await?;
        self.0.arrears.settle(&piece);
        if self.owed() == 0 {
            tracing::info!("all that was changed is watched now");
        }
        Ok(())
    }

    /// No more changes: an engine that has stopped follows none, and a change that nobody follows is for the next
    /// start. Returns when the last one is done.
    pub(crate) async fn close(&self) {
        let _last = self.0.turn.lock().await;
        self.0.is_closed.store(true, Ordering::Release);
    }
}

/// The right to change, one at a time.
pub(crate) struct Turn<'c> {
    changes: &'c Changes,
    /// Shared with what is being written, which ends even if the turn is given up before.
    guard: Arc<OwnedMutexGuard<()>>,
}

impl Turn<'_> {
    /// Writes a change and returns when the engine follows it, or when it is known that it will only later: the change
    /// is made either way.
    pub(crate) async fn apply(
        &self,
        account: AccountId,
        set: ChangeSet,
        at: Timestamp,
    ) -> Result<Applied, StoreError> {
        self.whole(async move |changes| changes.store.account(account).apply(set, at).await, account).await
    }

    /// Only writes: for whoever has something to do before the engine follows, with [`Turn::follow`] in the same turn.
    pub(crate) async fn write(
        &self,
        account: AccountId,
        set: ChangeSet,
        at: Timestamp,
    ) -> Result<Applied, StoreError> {
        self.expect_open()?;
        self.changes.0.store.account(account).apply(set, at).await
    }

    /// Pauses monitors, or lets them go on, and returns as [`Turn::apply`] does.
    pub(crate) async fn set_paused(
        &self,
        account: AccountId,
        ids: Vec<MonitorId>,
        pause: Option<Pause>,
        (author, at): (Author, Timestamp),
    ) -> Result<Applied, StoreError> {
        let write = async move |changes: Arc<Inner>| {
            changes.store.account(account).set_paused(ids, pause, author, at).await
        };
        self.whole(write, account).await
    }

    /// Lets monitors go on whose pauses have ended; how many.
    pub(crate) async fn end_pauses(&self, at: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.expect_open()?;
        let mut ended = 0;
        for (account, applied) in self.changes.0.store.system().end_pauses(at, limit).await? {
            ended += applied.monitors.len();
            self.follow(account, applied).await;
        }
        Ok(ended)
    }

    /// Deletes a piece of what lies in the bin for good; those whose turn has not come. There is nothing to follow: the
    /// engine knows nothing that is in the bin.
    pub(crate) async fn purge(
        &self,
        account: AccountId,
        binned: Vec<Binned>,
    ) -> Result<Vec<Binned>, StoreError> {
        self.expect_open()?;
        self.changes.0.store.account(account).purge(binned).await
    }

    /// The same, of channels.
    pub(crate) async fn purge_channels(
        &self,
        account: AccountId,
        binned: Vec<BinnedChannel>,
    ) -> Result<Vec<BinnedChannel>, StoreError> {
        self.expect_open()?;
        self.changes.0.store.account(account).purge_channels(binned).await
    }

    /// Lets the engine follow what was written.
    pub(crate) async fn follow(&self, account: AccountId, applied: Applied) {
        self.changes.0.follow(account, applied).await;
    }

    fn expect_open(&self) -> Result<(), StoreError> {
        if self.changes.0.is_closed.load(Ordering::Acquire) {
            return Err(StoreError::Busy(SHUTTING_DOWN.to_owned()));
        }
        Ok(())
    }

    /// Writes and follows in a task of its own: a caller who goes away in the middle leaves nothing half done.
    async fn whole<W, F>(&self, write: W, account: AccountId) -> Result<Applied, StoreError>
    where
        W: FnOnce(Arc<Inner>) -> F,
        F: Future<Output = Result<Applied, StoreError>> + Send + 'static,
    {
        self.expect_open()?;
        let (changes, turn) = (Arc::clone(&self.changes.0), Arc::clone(&self.guard));
        let writing = write(Arc::clone(&changes));
        let whole = tokio::spawn(async move {
            let applied = writing.await?;
            changes.follow(account, applied.clone()).await;
            drop(turn);
            Ok(applied)
        });
        whole.await.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(StoreError::Busy(SHUTTING_DOWN.to_owned())),
        })
    }
}

const SHUTTING_DOWN: &str = "the server is shutting down";

impl Inner {
    async fn follow(&self, account: AccountId, applied: Applied) {
        self.newest.fetch_max(applied.seq, Ordering::AcqRel);
        let Some(engine) = self.engine.get() else { return };
        let owed = Arrears::of(&applied);
        if let Err(error) = engine.reload(applied).await {
            tracing::warn!(%error, %account, "a change is written and not watched yet; it will be");
            self.arrears.owe(account, owed);
        }
    }
}
