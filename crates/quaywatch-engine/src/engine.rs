//! The engine as others see it: started, told of changes, asked, stopped.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use quaywatch_core::{AccountId, ChannelId, ErrorCode, LocationId, MonitorId, ShardId, Timestamp};
use quaywatch_notify::Notice;
use quaywatch_store::records::{
    Applied, Blind, BlindChange, ChannelRecord, Fence, IncidentRecord, ShardState, Window,
};
use quaywatch_store::{Store, StoreError, SystemStore};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::changes::Changes;
use crate::commits::Commits;
use crate::config::{Checks, EngineConfig, Parts};
use crate::delivery::{self, DeliveryParts, Order, Orders, ShardStores};
use crate::inbox::{EngineSink, Glimpse, Inbox, Message, Select, Survey};
use crate::jobs::{self, Upkeep};
use crate::judging::{Directory, Judging, Loaded, Orphan, Reload};
use crate::stats::EngineStats;
use crate::steps::Queued;
use crate::thread::Worker;

/// A gap between two processes that is longer is blind time: nobody looked.
const GAP_IS_BLIND: Duration = Duration::from_secs(10);
/// How long to leave a store alone that could not write blind time.
const BLIND_RETRY: Duration = Duration::from_secs(1);
/// A clock that stands before the last commit by no more than this was not set back.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(2);
/// Shards that are read ahead of judging.
const READ_AHEAD: usize = 2;

/// Results → judge → step → outbox → delivery, and the upkeep of what is stored.
pub struct Engine {
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) transitions: watch::Sender<u64>,
    /// Who adds to an incident that is over does so alone.
    pub(crate) afterwords: tokio::sync::Mutex<()>,
    naming: tokio::sync::Mutex<()>,
    orders: Orders,
    stats: Arc<EngineStats>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    delivery: Mutex<Option<JoinHandle<()>>>,
    upkeep: Upkeep,
}

impl Engine {
    /// Starts the engine on the current runtime: takes over the shards, hands what was not delivered to delivery, starts
    /// the runner through `runner`, and then loads shard after shard; each is checked from the moment it is loaded.
    pub async fn start<C, E>(
        config: EngineConfig,
        parts: Parts,
        runner: impl FnOnce(EngineSink) -> Result<C, E>,
    ) -> Result<Self, StartError<E>>
    where
        C: Checks + 'static,
    {
        let Parts { store, clock, channels: factory } = parts;
        let system = store.system();
        let names = Directory::read(&*system).await?;
        let now = clock.now();
        let last_commit = system.last_commit().await?;
        let gap = last_commit.map_or(Duration::ZERO, |last| now.since(last));
        let clock_behind = last_commit.is_some_and(|last| last.since(now) > CLOCK_TOLERANCE);
        let stores = claim(&store, &system).await?;
        let undelivered = undelivered(&stores).await?;
        let stats = Arc::new(EngineStats::default());
        let inbox = Inbox::new(config.most_queued_results, Arc::clone(&stats));

        let mut judging = Judging::new(&config, Arc::clone(&stats));
        judging.tick(now);
        judging.set_names(&names.accounts, &names.locations, &names.channels);
        for blind in open_blindness(&*store, now).await? {
            let told = last_commit.is_some_and(|last| last.since(blind.from) > crate::judging::TOLD_AFTER);
            judging.resume_blindness(blind.location, blind.from, blind.code, told);
        }
        let (blind, blind_changes) = mpsc::unbounded_channel();
        if gap > GAP_IS_BLIND && !judging.is_blind(LocationId::LOCAL) {
            let (location, code) = (LocationId::LOCAL, ErrorCode::SelfStall);
            let _ = blind.send(BlindChange::Began { location, at: now - gap, code });
            let _ = blind.send(BlindChange::Ended { location, at: now });
        }

        let notes = Arc::clone(&inbox);
        let (orders, delivering) = delivery::start(DeliveryParts {
            clock: Arc::clone(&clock),
            factory,
            store: Arc::clone(&store),
            stores: Arc::clone(&stores),
            stats: Arc::clone(&stats),
            seed: config.seed,
            notes: Box::new(move |note| notes.send(Message::Note(note))),
        });
        let _ = orders.send(Order::Channels(names.channels));
        let _ = orders.send(Order::Notices(undelivered));

        let checks = runner(EngineSink(Arc::clone(&inbox))).map_err(StartError::Runner)?;
        let transitions = watch::Sender::new(0);
        let worker = Worker {
            inbox: Arc::clone(&inbox),
            judging,
            commits: Commits::default(),
            checks: Box::new(checks),
            stores: Arc::clone(&stores),
            runtime: tokio::runtime::Handle::current(),
            orders: orders.clone(),
            blind,
            clock: Arc::clone(&clock),
            stats: Arc::clone(&stats),
            changes: Changes::default(),
            until_loaded: Vec::new(),
            waiting: Vec::new(),
            answered_with: Vec::new(),
            transitions: transitions.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || run_or_abort(worker))
            .map_err(StartError::Thread)?;
        let tasks = vec![
            tokio::spawn(write_blindness(Arc::clone(&system), blind_changes)),
            tokio::spawn(load(
                Arc::clone(&store),
                Arc::clone(&stores),
                Arc::clone(&inbox),
                Away { gap, clock_behind },
            )),
        ];
        let upkeep = jobs::start(&jobs::Site { clock, system, shards: stores, retention: config.retention });
        Ok(Self {
            inbox,
            store,
            transitions,
            afterwords: tokio::sync::Mutex::new(()),
            naming: tokio::sync::Mutex::new(()),
            orders,
            stats,
            thread: Mutex::new(Some(thread)),
            tasks: Mutex::new(tasks),
            delivery: Mutex::new(Some(delivering)),
            upkeep,
        })
    }

    /// Follows what [`quaywatch_store::AccountStore::apply`] has done, in any account; returns when what followed from
    /// it is durable. Changes that arrive in another order than that in which they were made end up as if they had not.
    /// With nothing in it, new names of accounts and locations are taken over.
    pub async fn reload(&self, applied: Applied) -> Result<(), StoreError> {
        // Names that were read later are taken over later.
        let turn = self.naming.lock().await;
        let names = Directory::read(&*self.store.system()).await?;
        if !applied.channels.is_empty() {
            let _ = self.orders.send(Order::Channels(applied.channels.clone()));
        }
        let gone = applied.removed_channels.clone();
        let (done, wait) = oneshot::channel();
        self.inbox.send(Message::Reload(Box::new(Reload::new(applied, names)), done));
        drop(turn);
        // Gone only if the engine stops, which is no error of the reload.
        let _ = wait.await;
        if !gone.is_empty() {
            // Now, so that the ends of incidents of monitors that went with them could still be told.
            let _ = self.orders.send(Order::Removed(gone));
        }
        Ok(())
    }

    /// Makes channels anew from their records: a secret that they refer to may have changed.
    pub fn refresh_channels(&self, channels: Vec<ChannelRecord>) {
        let _ = self.orders.send(Order::Channels(channels));
    }

    /// Who hears of the server's own faults from now on; empty: every channel of account 1.
    pub fn set_operators(&self, channels: Vec<ChannelId>) {
        self.inbox.send(Message::Operators(channels));
    }

    /// Where people reach this server from now on: the beginning of every link in a notice.
    pub fn set_public_url(&self, url: Option<String>) {
        self.inbox.send(Message::PublicUrl(url));
    }

    /// Tells the operators that no name server answers since a moment, or did not until another one.
    pub fn tell_resolver(&self, since: Timestamp, until: Option<Timestamp>) {
        self.inbox.send(Message::Resolver(since, until));
    }

    /// Returns when everything that was judged before is durable.
    pub async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        self.inbox.send(Message::Flush(done));
        let _ = wait.await;
    }

    /// What is known of a monitor at this moment.
    pub async fn glimpse(&self, monitor: MonitorId) -> Option<Glimpse> {
        let (answer, wait) = oneshot::channel();
        self.inbox.send(Message::Glimpse(monitor, answer));
        wait.await.ok().flatten()
    }

    /// Who can be asked for many monitors at once.
    #[must_use]
    pub fn surveyor(&self) -> Surveyor {
        Surveyor(Arc::clone(&self.inbox))
    }

    /// What the engine counts.
    #[must_use]
    pub fn stats(&self) -> Arc<EngineStats> {
        Arc::clone(&self.stats)
    }

    /// Stops: the runner must be stopped before. Writes what is left, gives attempts on their way a few seconds, and
    /// leaves the rest in the outbox.
    pub async fn shutdown(&self) {
        self.upkeep.stop();
        self.inbox.send(Message::Stop);
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread {
            // It cannot have panicked: then the process would have ended.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
        let _ = self.orders.send(Order::Stop);
        let delivery = lock(&self.delivery).take();
        if let Some(delivery) = delivery {
            let _ = delivery.await;
        }
        let tasks = std::mem::take(&mut *lock(&self.tasks));
        for task in tasks {
            task.abort();
        }
    }
}

/// Asks the engine's thread for what it has in memory.
#[derive(Clone)]
pub struct Surveyor(Arc<Inbox>);

impl Surveyor {
    /// Selected monitors as they are at this moment; `None` if the engine has stopped.
    pub async fn survey(&self, select: Select) -> Option<Survey> {
        let (answer, wait) = oneshot::channel();
        self.0.send(Message::Survey(select, answer));
        wait.await.ok()
    }
}

/// A watcher that judges no more and does not say so is worse than none: everything durable is durable, and whoever
/// supervises the process starts it again.
fn run_or_abort(worker: Worker) {
    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| worker.run())).is_err() {
        tracing::error!("the engine's thread ended by a bug; the process ends with it");
        std::process::abort();
    }
}

/// Why the engine could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError<E> {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The runner could not be started.
    #[error("the runner could not be started: {0}")]
    Runner(E),
    /// The system gives no thread.
    #[error("the engine's thread could not be started: {0}")]
    Thread(std::io::Error),
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Directory {
    async fn read(system: &dyn SystemStore) -> Result<Self, StoreError> {
        Ok(Self {
            accounts: system.accounts().await?,
            locations: system.locations().await?,
            channels: system.channels().await?,
        })
    }
}

/// Takes over every shard.
async fn claim(store: &Arc<dyn Store>, system: &Arc<dyn SystemStore>) -> Result<ShardStores, StoreError> {
    let mut claims = JoinSet::new();
    for shard in ShardId::all() {
        let system = Arc::clone(system);
        claims.spawn(async move { (shard, system.claim(shard).await) });
    }
    let mut fences = vec![Fence(0); ShardId::COUNT];
    while let Some(claim) = claims.join_next().await {
        let (shard, fence) = claim.expect("a claim does not panic");
        fences[usize::from(shard.0)] = fence?;
    }
    Ok(ShardId::all().zip(fences).map(|(shard, fence)| store.shard(shard, fence)).collect())
}

/// What the last process left in the outbox. Read before the first commit of this one, so that nothing is in both.
async fn undelivered(stores: &ShardStores) -> Result<Vec<Queued>, StoreError> {
    let mut notices = Vec::new();
    for store in stores.iter() {
        for record in store.undelivered().await? {
            notices.push(Queued {
                write: record.notice,
                event: Arc::new(record.event),
                queued_at: record.queued_at,
                attempts: record.attempts,
                committed: true,
            });
        }
    }
    Ok(notices)
}

async fn open_blindness(store: &dyn Store, now: Timestamp) -> Result<Vec<Blind>, StoreError> {
    let all = Window { from: Timestamp(0), to: now + Duration::from_secs(1) };
    let rows = store.account(AccountId::DEFAULT).blind(all).await?;
    Ok(rows.into_iter().filter(|row| row.to.is_none()).collect())
}

/// Writes changes of blind time, in order.
async fn write_blindness(system: Arc<dyn SystemStore>, mut changes: mpsc::UnboundedReceiver<BlindChange>) {
    while let Some(change) = changes.recv().await {
        while let Err(error) = system.blind(change.clone()).await {
            tracing::warn!(%error, "blind time could not be written yet");
            if !error.is_transient() {
                break;
            }
            tokio::time::sleep(BLIND_RETRY).await;
        }
    }
}

/// The time between two processes.
#[derive(Clone, Copy)]
struct Away {
    gap: Duration,
    clock_behind: bool,
}

/// Reads shard after shard and hands each over as soon as it is there.
async fn load(store: Arc<dyn Store>, stores: ShardStores, inbox: Arc<Inbox>, away: Away) {
    let (ready, mut loaded) = mpsc::channel(READ_AHEAD);
    let reader = tokio::spawn(async move {
        for shard in stores.iter() {
            let mut pause = BLIND_RETRY;
            let state = loop {
                match shard.load().await {
                    Ok(state) => break state,
                    Err(error) => {
                        tracing::error!(%error, "a shard could not be read; its monitors are not checked yet");
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(Duration::from_secs(60));
                    }
                }
            };
            if ready.send(state).await.is_err() {
                return;
            }
        }
    });
    while let Some(state) = loaded.recv().await {
        let orphans = orphans(&*store, &state).await;
        let Away { gap, clock_behind } = away;
        inbox.send(Message::Load(Box::new(Loaded { state, orphans, gap, clock_behind })));
    }
    // It ends after its last shard, or with the runtime.
    let _ = reader.await;
    inbox.send(Message::AllLoaded);
}

/// Open incidents whose monitors are gone, with what was told of them.
async fn orphans(store: &dyn Store, state: &ShardState) -> Vec<Orphan> {
    let gone =
        |incident: &&IncidentRecord| !state.monitors.iter().any(|monitor| monitor.id == incident.monitor);
    let mut orphans = Vec::new();
    for incident in state.open_incidents.iter().filter(gone) {
        let events = store.account(incident.account).events(incident.id).await.unwrap_or_default();
        let opening = events.last().and_then(|event| Notice::from_snapshot(&event.snapshot).ok());
        orphans.push(Orphan { incident: incident.clone(), opening });
    }
    orphans
}
