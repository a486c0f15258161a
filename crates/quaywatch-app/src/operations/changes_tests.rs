//! Changes that the engine cannot follow at once, and callers who do not wait for theirs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use quaywatch_core::access::Role;
use quaywatch_core::doc::Node;
use quaywatch_core::judge::Status;
use quaywatch_core::{AccountId, MonitorId, ShardId, Timestamp};
use quaywatch_engine::Engine;
use quaywatch_store::records::{
    AcceptedConfig, AccountRecord, Applied, BinRecord, BlindChange, ChangeRecord, ChannelRecord, Fence,
    LocationRecord, Retention, RetentionReport, StoreGauges, UpkeepDone,
};
use quaywatch_store::{
    AccountStore, BoxFuture, PeopleStore, Result, ShardStore, Store, StoreError, SystemStore,
};

use super::kit::{Kit, caller, owner};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A store of which names cannot always be read.
#[derive(Clone)]
struct Faulty {
    inner: Arc<dyn Store>,
    faults: Arc<Faults>,
}

#[derive(Default)]
struct Faults {
    /// So many more readings of names fail.
    left: AtomicU32,
    /// While somebody has this, names cannot be read at all.
    held: tokio::sync::Mutex<()>,
    /// Somebody has tried.
    tried: AtomicBool,
}

impl Store for Faulty {
    fn account(&self, account: AccountId) -> Arc<dyn AccountStore> {
        self.inner.account(account)
    }

    fn shard(&self, shard: ShardId, fence: Fence) -> Arc<dyn ShardStore> {
        self.inner.shard(shard, fence)
    }

    fn people(&self) -> Arc<dyn PeopleStore> {
        self.inner.people()
    }

    fn system(&self) -> Arc<dyn SystemStore> {
        Arc::new(FaultySystem { inner: self.inner.system(), faults: Arc::clone(&self.faults) })
    }
}

struct FaultySystem {
    inner: Arc<dyn SystemStore>,
    faults: Arc<Faults>,
}

impl SystemStore for FaultySystem {
    fn accounts(&self) -> BoxFuture<'_, Result<Vec<AccountRecord>>> {
        Box::pin(async {
            self.faults.tried.store(true, Ordering::Release);
            let _free = self.faults.held.lock().await;
            let one_less = |left: u32| left.checked_sub(1);
            match self.faults.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_less) {
                Ok(_) => Err(StoreError::Busy("as the test wants it".to_owned())),
                Err(_) => self.inner.accounts().await,
            }
        })
    }

    fn create_account(&self, name: String, at: Timestamp) -> BoxFuture<'_, Result<AccountRecord>> {
        self.inner.create_account(name, at)
    }

    fn end_pauses(&self, at: Timestamp, limit: usize) -> BoxFuture<'_, Result<Vec<(AccountId, Applied)>>> {
        self.inner.end_pauses(at, limit)
    }

    fn next_pause_end(&self) -> BoxFuture<'_, Result<Option<Timestamp>>> {
        self.inner.next_pause_end()
    }

    fn locations(&self) -> BoxFuture<'_, Result<Vec<LocationRecord>>> {
        self.inner.locations()
    }

    fn declare_locations(&self, names: Vec<String>) -> BoxFuture<'_, Result<Vec<LocationRecord>>> {
        self.inner.declare_locations(names)
    }

    fn channels(&self) -> BoxFuture<'_, Result<Vec<ChannelRecord>>> {
        self.inner.channels()
    }

    fn claim(&self, shard: ShardId) -> BoxFuture<'_, Result<Fence>> {
        self.inner.claim(shard)
    }

    fn deliver_inbox(&self, shard: ShardId, payload: Vec<u8>, at: Timestamp) -> BoxFuture<'_, Result<i64>> {
        self.inner.deliver_inbox(shard, payload, at)
    }

    fn blind(&self, change: BlindChange) -> BoxFuture<'_, Result<()>> {
        self.inner.blind(change)
    }

    fn sort_minutes(&self, now: Timestamp) -> BoxFuture<'_, Result<Option<UpkeepDone>>> {
        self.inner.sort_minutes(now)
    }

    fn retain(&self, retention: Retention, now: Timestamp) -> BoxFuture<'_, Result<RetentionReport>> {
        self.inner.retain(retention, now)
    }

    fn bins(&self, fuller_than: u64) -> BoxFuture<'_, Result<Vec<BinRecord>>> {
        self.inner.bins(fuller_than)
    }

    fn accepted_config(&self) -> BoxFuture<'_, Result<Option<AcceptedConfig>>> {
        self.inner.accepted_config()
    }

    fn changes_after(&self, seq: i64, limit: usize) -> BoxFuture<'_, Result<Vec<ChangeRecord>>> {
        self.inner.changes_after(seq, limit)
    }

    fn last_commit(&self) -> BoxFuture<'_, Result<Option<Timestamp>>> {
        self.inner.last_commit()
    }

    fn gauges(&self) -> StoreGauges {
        self.inner.gauges()
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        self.inner.close()
    }
}

async fn until(what: &str, so: impl AsyncFn() -> bool) {
    let seen = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, seen).await.unwrap_or_else(|_| panic!("{what} did not come"));
}

async fn status(engine: &Engine, id: MonitorId) -> Option<Status> {
    engine.glimpse(id).await.map(|seen| seen.status)
}

fn body(json: &str) -> Node<'_> {
    Node::from_json(json).expect("JSON")
}

const NEW: &str = r#"{"name":"new","host":"192.0.2.10","port":5432}"#;

/// What the engine cannot follow, it follows later, without a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_not_be_followed_is_made_good() {
    let kit = Kit::new().await;
    let (one, two) = (kit.monitor("one").await, kit.monitor("two").await);
    let faults = Arc::new(Faults::default());
    let watching =
        kit.watch_by(Arc::new(Faulty { inner: kit.store.clone(), faults: Arc::clone(&faults) })).await;
    let (operations, engine) = (&kit.operations, &watching.engine);
    until("every shard", async || status(engine, two).await.is_some() && status(engine, one).await.is_some())
        .await;

    let fail = |times| faults.left.store(times, Ordering::Release);
    fail(1);
    let made = operations.create_monitor(&owner(), &body(NEW)).await.expect("it is written, and said to be");
    let new = made.monitor.id;
    fail(1);
    operations.delete_monitor(&owner(), one, None).await.expect("written");
    fail(1);
    operations.pause_monitor(&owner(), two, &Default::default()).await.expect("written");
    // The engine follows this one: the older change of the same monitor is not to be done after it.
    operations.resume_monitor(&owner(), two).await.expect("followed");
    let guest = caller(kit.account("guest").await, Role::Owner);
    fail(1);
    let guests = operations.create_monitor(&guest, &body(NEW)).await.expect("written").monitor.id;
    assert_eq!(operations.changes.owed(), 4);
    assert_eq!((status(engine, new).await, status(engine, guests).await), (None, None), "not yet");
    assert_eq!(status(engine, one).await, Some(Status::Pending), "still");

    // The first two attempts to make it good fail too.
    fail(2);
    let changes = Arc::clone(&operations.changes);
    let making_good = tokio::spawn(async move { changes.make_good().await });
    until("what is owed", async || operations.changes.owed() == 0).await;
    assert_eq!(faults.left.load(Ordering::Acquire), 0, "it was tried again");
    assert_eq!(status(engine, new).await, Some(Status::Pending), "it is watched");
    assert_eq!(status(engine, guests).await, Some(Status::Pending), "and so is the other account's");
    assert_eq!(status(engine, one).await, None, "what was removed is not");
    assert_eq!(status(engine, two).await, Some(Status::Pending), "nothing newer is undone");

    fail(1);
    operations.delete_monitor(&owner(), new, None).await.expect("written");
    until("a later change", async || status(engine, new).await.is_none()).await;
    making_good.abort();
}

/// What the engine does not know to be removed, it may still write of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_purged_while_a_removal_is_not_followed() {
    let kit = Kit::with("server: {plans: {free: {max_urls: 1}}, default_plan: free}\nmonitors: []\n").await;
    let mut all = Vec::new();
    for n in 0..21 {
        all.push(kit.monitor(&format!("m {n}")).await);
    }
    let faults = Arc::new(Faults::default());
    let watching =
        kit.watch_by(Arc::new(Faulty { inner: kit.store.clone(), faults: Arc::clone(&faults) })).await;
    let (operations, engine) = (&kit.operations, &watching.engine);
    until("every shard", async || {
        let mut seen = 0;
        for id in &all {
            seen += usize::from(status(engine, *id).await.is_some());
        }
        seen == all.len()
    })
    .await;
    faults.left.store(1, Ordering::Release);
    for id in &all {
        operations.delete_monitor(&owner(), *id, None).await.expect("written");
    }
    let binned = async || {
        let page = operations.list_removed_monitors(&owner(), &Default::default()).await;
        page.expect("the bin").items.len()
    };
    assert_eq!(operations.changes.owed(), 1);
    operations.trim_bins().await.expect("nothing is done yet");
    assert_eq!(binned().await, 21);
    let changes = Arc::clone(&operations.changes);
    let making_good = tokio::spawn(async move { changes.make_good().await });
    until("what is owed", async || operations.changes.owed() == 0).await;
    operations.trim_bins().await.expect("trimmed");
    assert_eq!(binned().await, 20);
    making_good.abort();
}

/// A caller who hangs up after the store has begun to write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_followed_though_its_caller_has_gone() {
    let kit = Kit::new().await;
    let faults = Arc::new(Faults::default());
    let watching =
        kit.watch_by(Arc::new(Faulty { inner: kit.store.clone(), faults: Arc::clone(&faults) })).await;
    let held = faults.held.lock().await;
    faults.tried.store(false, Ordering::Release);
    let operations = kit.operations.clone();
    let call = tokio::spawn(async move { operations.create_monitor(&owner(), &body(NEW)).await.map(drop) });
    until("the engine's turn", async || faults.tried.load(Ordering::Acquire)).await;
    call.abort();
    assert!(call.await.is_err_and(|error| error.is_cancelled()));
    drop(held);
    let id = kit.operations.find_monitor(&owner(), "new").await.expect("it is written");
    until("the engine", async || status(&watching.engine, id).await.is_some()).await;
    // The turn has ended, and nothing is owed.
    kit.operations.delete_monitor(&owner(), id, None).await.expect("the next change");
    assert_eq!(kit.operations.changes.owed(), 0);
}
