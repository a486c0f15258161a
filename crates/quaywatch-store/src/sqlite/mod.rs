//! SQLite behind the store traits: one file, one thread that writes, a few that read.
//!
//! The server that serves a data directory holds its lock and owns migrations, checkpoints and upkeep. Other commands
//! open the same file beside it for a read or one short write, and leave all that alone. No call needs an
//! asynchronous runtime: work is done on the store's own threads, futures only wait for it.

mod account;
mod apply;
mod audit;
#[cfg(test)]
mod beside_tests;
mod bin;
#[cfg(test)]
mod bin_tests;
mod blocks;
mod connection;
mod convert;
mod days;
mod directory;
mod disk;
mod error;
mod history;
mod incidents;
mod listed;
mod listing;
mod migrate;
#[cfg(test)]
mod migrate_tests;
mod page;
mod pause;
mod people;
mod pieces;
mod query;
mod readers;
mod retain;
mod shard;
mod sort;
mod statuses;
mod step;
mod system;
mod tenancy;
#[cfg(test)]
mod tests;
mod transitions;
mod writer;

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError};

use quaywatch_core::meter::{Counter, Histogram};
use quaywatch_core::{AccountId, Clock, ShardId};
use rusqlite::{Connection, Transaction};

use self::connection::Use;
use self::directory::Directory;
use self::readers::{Limit, Readers};
use self::writer::{Setting, WriterHandle};
use crate::records::Fence;
use crate::{AccountStore, BoxFuture, PeopleStore, Result, ShardStore, Store, SystemStore};

/// What may be set about the store; the defaults are right for a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Threads that read.
    pub readers: usize,
    /// Room put aside for the day when the disk is full; none on a disk of less than eight times as much.
    pub ballast_bytes: u64,
    /// Raw results are no longer written when less than this is free …
    pub low_bytes: u64,
    /// … or less than this share of the disk, whichever is less.
    pub low_percent: u64,
    /// The write-ahead log is merged into the database when it has so many pages of 8 KiB.
    pub checkpoint_pages: i32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            readers: 3,
            ballast_bytes: 64 << 20,
            low_bytes: 512 << 20,
            low_percent: 5,
            checkpoint_pages: 1_000,
        }
    }
}

/// The store of one data directory.
pub struct SqliteStore(Arc<Inner>);

/// What all handles share.
struct Inner {
    // Fields are dropped in this order: the writer finishes before the lock is given back.
    writer: WriterHandle,
    readers: Readers,
    directory: Directory,
    clock: Arc<dyn Clock>,
    stats: Arc<Stats>,
    /// Moving results from layer to layer is one job at a time.
    upkeep: tokio::sync::Mutex<()>,
    lock: Mutex<Option<File>>,
}

/// Counters that the threads move and `/metrics` reads.
#[derive(Debug, Default)]
struct Stats {
    commits: Counter,
    failed_commits: Counter,
    results: Counter,
    shed_results: Counter,
    commit_times: Histogram,
    upkeep_times: Histogram,
    shedding: AtomicBool,
    free_bytes: AtomicU64,
}

impl SqliteStore {
    /// Whether `directory` holds a store already.
    #[must_use]
    pub fn exists(directory: &Path) -> bool {
        Directory::existing(directory).is_ok_and(|directory| directory.database().is_file())
    }

    /// Opens (and makes, and migrates) the store of `directory` for the one server that may serve it.
    pub fn open_serving(directory: &Path, clock: Arc<dyn Clock>) -> Result<Arc<Self>> {
        Self::open_serving_with(directory, clock, Options::default())
    }

    /// As [`SqliteStore::open_serving`], with other settings.
    pub fn open_serving_with(directory: &Path, clock: Arc<dyn Clock>, options: Options) -> Result<Arc<Self>> {
        let directory = Directory::make(directory)?;
        let lock = directory.lock()?;
        let mut connection = connection::open(&directory.database(), Use::Serving)?;
        migrate::migrate(&mut connection)?;
        Self::start(connection, directory, clock, options, Some(lock))
    }

    /// Opens the store of `directory` beside its server or without one, for reads and short writes: nothing is made,
    /// migrated or checkpointed. As root, the process becomes the owner of the directory, for good.
    pub fn open_beside(directory: &Path, clock: Arc<dyn Clock>) -> Result<Arc<Self>> {
        let directory = Directory::existing(directory)?;
        directory.act_as_owner()?;
        let connection = connection::open(&directory.database(), Use::Beside)?;
        migrate::expect_current(&connection)?;
        Self::start(connection, directory, clock, Options { readers: 1, ..Options::default() }, None)
    }

    /// Whether a server serves the directory now; what a stopped one has left behind is no longer news.
    #[must_use]
    pub fn is_served(&self) -> bool {
        self.0.directory.is_served()
    }

    fn start(
        connection: Connection,
        directory: Directory,
        clock: Arc<dyn Clock>,
        options: Options,
        lock: Option<File>,
    ) -> Result<Arc<Self>> {
        let readers = Readers::start(&directory, &clock, options.readers)?;
        let stats = Arc::new(Stats::default());
        let purpose = if lock.is_some() { Use::Serving } else { Use::Beside };
        let setting = Setting {
            directory: directory.clone(),
            clock: Arc::clone(&clock),
            options,
            stats: Arc::clone(&stats),
            purpose,
        };
        let writer = WriterHandle::start(connection, setting)?;
        let upkeep = tokio::sync::Mutex::new(());
        Ok(Arc::new(Self(Arc::new(Inner {
            writer,
            readers,
            directory,
            clock,
            stats,
            upkeep,
            lock: Mutex::new(lock),
        }))))
    }
}

impl Inner {
    /// Reads on a thread that reads, for at most as long as `limit` says.
    fn read<T: Send + 'static>(
        &self,
        limit: Limit,
        read: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> BoxFuture<'_, Result<T>> {
        Box::pin(self.readers.read(limit, read))
    }

    /// Writes in a transaction of its own; queued now.
    fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> BoxFuture<'_, Result<T>> {
        Box::pin(self.writer.write(write))
    }

    /// Finishes what is queued and gives the directory back; what is asked afterwards fails.
    async fn close(&self) {
        self.readers.close();
        self.writer.close().await;
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Store for SqliteStore {
    fn account(&self, account: AccountId) -> Arc<dyn AccountStore> {
        Arc::new(account::Handle::new(Arc::clone(&self.0), account))
    }

    fn shard(&self, shard: ShardId, fence: Fence) -> Arc<dyn ShardStore> {
        Arc::new(shard::Handle::new(Arc::clone(&self.0), shard, fence))
    }

    fn people(&self) -> Arc<dyn PeopleStore> {
        Arc::new(people::Handle::new(Arc::clone(&self.0)))
    }

    fn system(&self) -> Arc<dyn SystemStore> {
        Arc::new(system::Handle::new(Arc::clone(&self.0)))
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("directory", &self.0.directory).finish_non_exhaustive()
    }
}
