//! The one thread that writes. Steps that wait together are written together, in one transaction with one wait for
//! the disk; upkeep comes in pieces between them. Checkpoints are this thread's business alone, so that none races a
//! commit.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use quaywatch_core::{Clock, ShardId};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use super::connection::{self, Use};
use super::directory::Directory;
use super::disk::Disk;
use super::error::{closed, engine};
use super::step;
use super::{Options, Stats};
use crate::blocks::rows::LogWriter;
use crate::records::{Fence, ShardStep};
use crate::{CommitFailed, Result, StoreError};

/// Above this size the write-ahead log is cut back to nothing as soon as no reader needs it.
const WAL_CUT_BYTES: u64 = 64 << 20;

/// The steps of all shards are queued one after the other: so long the writer waits for the next one before it begins.
const LINGER: Duration = Duration::from_micros(200);

/// A step on its way.
struct Commit {
    step: Box<ShardStep>,
    fence: Fence,
    reply: oneshot::Sender<std::result::Result<(), CommitFailed>>,
}

type Work = Box<dyn FnOnce(&mut Writer) + Send>;

enum Job {
    Commit(Commit),
    Work(Work),
    Close(oneshot::Sender<()>),
}

/// The way to the writer's thread.
#[derive(Debug)]
pub(super) struct WriterHandle {
    // Not bounded: the engine has one step a shard under way, and upkeep waits for each of its pieces.
    jobs: mpsc::Sender<Job>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the writer needs to know.
pub(super) struct Setting {
    pub directory: Directory,
    pub clock: Arc<dyn Clock>,
    pub options: Options,
    pub stats: Arc<Stats>,
    pub purpose: Use,
}

impl WriterHandle {
    pub(super) fn start(connection: Connection, setting: Setting) -> Result<Self> {
        let (jobs, queue) = mpsc::channel();
        let mut writer = Writer::new(connection, setting)?;
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run(&queue))
            .map_err(|e| StoreError::Directory(format!("cannot start the writer's thread: {e}")))?;
        Ok(Self { jobs, thread: Mutex::new(Some(thread)) })
    }

    /// Queues a step, now; the future only waits.
    pub(super) fn commit(
        &self,
        step: Box<ShardStep>,
        fence: Fence,
    ) -> impl Future<Output = std::result::Result<(), CommitFailed>> + Send + 'static {
        let (reply, answer) = oneshot::channel();
        let lost = (step.shard, step.at);
        let unsent = match self.jobs.send(Job::Commit(Commit { step, fence, reply })) {
            Err(mpsc::SendError(Job::Commit(commit))) => Some(commit.step),
            Err(_) | Ok(()) => None,
        };
        async move {
            match unsent {
                Some(step) => Err(CommitFailed { error: closed(), step }),
                None => answer.await.unwrap_or_else(|_| {
                    let (shard, at) = lost;
                    let step = Box::new(ShardStep { shard, at, ..ShardStep::default() });
                    Err(CommitFailed { error: closed(), step })
                }),
            }
        }
    }

    /// Runs `work` in a transaction of its own; queued now.
    pub(super) fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> impl Future<Output = Result<T>> + Send + 'static {
        self.send(move |writer| writer.in_transaction(work))
    }

    /// As [`WriterHandle::write`], for upkeep: how long it held the writer is measured.
    pub(super) fn upkeep<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> impl Future<Output = Result<T>> + Send + 'static {
        self.send(move |writer| {
            let started = writer.clock.boot();
            let done = writer.in_transaction(work);
            writer.stats.upkeep_times.observe(writer.clock.boot().since(started));
            done
        })
    }

    fn send<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writer) -> Result<T> + Send + 'static,
    ) -> impl Future<Output = Result<T>> + Send + 'static {
        let (reply, answer) = oneshot::channel();
        let sent = self.jobs.send(Job::Work(Box::new(move |writer| {
            // Whoever asked may have gone; the work is done all the same.
            let _ = reply.send(work(writer));
        })));
        async move {
            match sent {
                Ok(()) => answer.await.unwrap_or_else(|_| Err(closed())),
                Err(_) => Err(closed()),
            }
        }
    }

    /// Finishes what is queued and ends the thread.
    pub(super) fn close(&self) -> impl Future<Output = ()> + Send + 'static {
        let (reply, answer) = oneshot::channel();
        let sent = self.jobs.send(Job::Close(reply));
        async move {
            if sent.is_ok() {
                let _ = answer.await;
            }
        }
    }
}

impl Drop for WriterHandle {
    fn drop(&mut self) {
        let (reply, _answer) = oneshot::channel();
        let _ = self.jobs.send(Job::Close(reply));
        if let Ok(mut thread) = self.thread.lock()
            && let Some(thread) = thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

/// Lives on its thread.
struct Writer {
    connection: Connection,
    directory: Directory,
    clock: Arc<dyn Clock>,
    options: Options,
    stats: Arc<Stats>,
    purpose: Use,
    disk: Disk,
    log: LogWriter,
    /// Pages in the write-ahead log after the last commit.
    wal_pages: Arc<AtomicI32>,
    /// The next checkpoint is tried when the log has so many pages.
    checkpoint_at: i32,
}

impl Writer {
    fn new(connection: Connection, setting: Setting) -> Result<Self> {
        let Setting { directory, clock, options, stats, purpose } = setting;
        let disk = Disk::new(&options, purpose);
        let checkpoint_at = options.checkpoint_pages;
        let mut writer = Self {
            connection,
            directory,
            clock,
            options,
            stats,
            purpose,
            disk,
            log: LogWriter::new(),
            wal_pages: Arc::default(),
            checkpoint_at,
        };
        writer.watch_wal()?;
        writer.disk.look(&writer.directory, &writer.stats);
        Ok(writer)
    }

    fn watch_wal(&mut self) -> Result<()> {
        let pages = Arc::clone(&self.wal_pages);
        self.connection
            .wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, now: i32| {
                pages.store(now, Ordering::Relaxed);
                Ok(())
            }))
            .map_err(engine)
    }

    fn run(&mut self, queue: &mpsc::Receiver<Job>) {
        let mut waiting: VecDeque<Work> = VecDeque::new();
        let mut group = Vec::new();
        let mut closing = None;
        while closing.is_none() || !waiting.is_empty() {
            let mut next = if waiting.is_empty() { queue.recv().ok() } else { queue.try_recv().ok() };
            if next.is_none() && waiting.is_empty() {
                break;
            }
            while let Some(job) = next {
                match job {
                    Job::Commit(commit) => group.push(commit),
                    Job::Work(work) => waiting.push_back(work),
                    Job::Close(reply) => closing = Some(reply),
                }
                next = if group.is_empty() || group.len() >= ShardId::COUNT {
                    queue.try_recv().ok()
                } else {
                    queue.recv_timeout(LINGER).ok()
                };
            }
            if !group.is_empty() {
                self.commit(std::mem::take(&mut group));
            }
            if let Some(work) = waiting.pop_front() {
                work(self);
            }
            if self.purpose == Use::Serving {
                self.checkpoint_if_due();
            }
        }
        self.finish();
        if let Some(reply) = closing {
            let _ = reply.send(());
        }
    }

    /// Writes a group; each step gets its answer.
    fn commit(&mut self, group: Vec<Commit>) {
        let started = self.clock.boot();
        self.disk.look(&self.directory, &self.stats);
        let answers = self.write_group(&group);
        self.stats.commit_times.observe(self.clock.boot().since(started));
        for (commit, answer) in group.into_iter().zip(answers) {
            let answer = match answer {
                Ok(()) => {
                    self.stats.commits.inc();
                    Ok(())
                }
                Err(error) => {
                    self.stats.failed_commits.inc();
                    Err(CommitFailed { error, step: commit.step })
                }
            };
            let _ = commit.reply.send(answer);
        }
    }

    /// Writes all; on a full disk once more with the ballast's room, then once more without raw results. A step that
    /// the engine refuses must not take the others with it: then each is written alone.
    fn write_group(&mut self, group: &[Commit]) -> Vec<Result<()>> {
        let with_results = !self.disk.shedding();
        let mut outcome = self.try_group(group, with_results);
        if matches!(outcome, Err(StoreError::Full(_)))
            && self.disk.throw_ballast(&self.directory, &self.stats)
        {
            outcome = self.try_group(group, with_results);
        }
        if matches!(outcome, Err(StoreError::Full(_))) && with_results {
            self.disk.begin_shedding(&self.stats);
            outcome = self.try_group(group, false);
        }
        match outcome {
            Ok(answers) => answers,
            Err(StoreError::Conflict(_) | StoreError::Damaged { .. }) if group.len() > 1 => group
                .iter()
                .map(|commit| match self.try_group(std::slice::from_ref(commit), with_results) {
                    Ok(mut answers) => answers.pop().unwrap_or(Ok(())),
                    Err(error) => Err(error),
                })
                .collect(),
            Err(error) => group.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    /// One transaction for the group. The inner answers are for steps that must not be written at all.
    fn try_group(&mut self, group: &[Commit], with_results: bool) -> Result<Vec<Result<()>>> {
        let written = self.write_in_one(group, with_results);
        if let Err(StoreError::Engine(_)) = &written {
            // After a failed write to the disk the engine's own caches are not to be trusted.
            self.reopen();
        }
        let (answers, recorded, shed) = written?;
        self.stats.results.add(recorded);
        self.stats.shed_results.add(shed);
        Ok(answers)
    }

    fn write_in_one(&mut self, group: &[Commit], with_results: bool) -> Result<(Vec<Result<()>>, u64, u64)> {
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(engine)?;
        let mut answers = Vec::with_capacity(group.len());
        let mut shed = 0;
        let mut at = None;
        self.log.clear();
        for commit in group {
            let step = &*commit.step;
            let allowed =
                step::expect_fence(&tx, step.shard, commit.fence).and_then(|()| step::expect_own(step));
            match allowed {
                Ok(()) => {}
                Err(error @ (StoreError::Fenced { .. } | StoreError::Conflict(_))) => {
                    answers.push(Err(error));
                    continue;
                }
                Err(error) => return Err(error),
            }
            step::write_decisions(&tx, step)?;
            if with_results {
                self.log.section(step.shard, step.results.iter().map(crate::blocks::Row::of));
            } else {
                shed += step.results.len() as u64;
            }
            at = at.max(Some(step.at));
            answers.push(Ok(()));
        }
        let recorded = self.log.rows();
        if let Some(at) = at {
            step::append_log(&tx, at, self.log.finish())?;
        }
        tx.commit().map_err(engine)?;
        Ok((answers, recorded, shed))
    }

    fn in_transaction<T>(&mut self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(engine)?;
        let value = work(&tx)?;
        tx.commit().map_err(engine)?;
        Ok(value)
    }

    fn checkpoint_if_due(&mut self) {
        let pages = self.wal_pages.load(Ordering::Relaxed);
        if pages < self.checkpoint_at {
            // A log that was begun anew is short again.
            if pages < self.options.checkpoint_pages {
                self.checkpoint_at = self.options.checkpoint_pages;
            }
            return;
        }
        let started = self.clock.boot();
        if let Err(error) = self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
            tracing::warn!(%error, "the write-ahead log could not be merged into the database");
        }
        self.stats.upkeep_times.observe(self.clock.boot().since(started));
        // What a reader still needs stays; the next try is so many pages later.
        self.checkpoint_at = pages.saturating_add(self.options.checkpoint_pages);
        if std::fs::metadata(self.directory.wal()).is_ok_and(|wal| wal.len() > WAL_CUT_BYTES) {
            self.cut_wal();
        }
    }

    /// Cuts the log back to nothing, unless a reader needs it: nobody waits for that.
    fn cut_wal(&self) {
        let _ = self.connection.busy_timeout(Duration::ZERO);
        let _ = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        let _ = self.connection.busy_timeout(connection::BUSY);
    }

    fn reopen(&mut self) {
        match connection::open(&self.directory.database(), self.purpose) {
            Ok(connection) => {
                self.connection = connection;
                if let Err(error) = self.watch_wal() {
                    tracing::warn!(%error, "the size of the write-ahead log is not known");
                }
            }
            Err(error) => tracing::warn!(%error, "the database could not be opened again after an error"),
        }
    }

    fn finish(&mut self) {
        if self.purpose == Use::Serving {
            self.cut_wal();
        }
    }
}
