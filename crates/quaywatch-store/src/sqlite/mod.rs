//! SQLite behind the store traits: one file, one writer thread, a few readers.

use std::path::Path;
use std::sync::Arc;

use quaywatch_core::{AccountId, Clock, ShardId};

use crate::records::Fence;
use crate::{AccountStore, Result, ShardStore, Store, StoreError, SystemStore};

/// The store of one data directory.
#[derive(Debug)]
pub struct SqliteStore(());

impl SqliteStore {
    /// Opens (and makes, and migrates) the store of `directory` for the one server that may serve it.
    pub fn open_serving(directory: &Path, clock: Arc<dyn Clock>) -> Result<Arc<Self>> {
        drop(clock);
        Err(StoreError::Directory(directory.display().to_string()))
    }

    /// Opens the store of `directory` beside a server or without one: nothing is made, migrated or checkpointed.
    pub fn open_beside(directory: &Path, clock: Arc<dyn Clock>) -> Result<Arc<Self>> {
        drop(clock);
        Err(StoreError::Directory(directory.display().to_string()))
    }
}

impl Store for SqliteStore {
    fn account(&self, _account: AccountId) -> Arc<dyn AccountStore> {
        unreachable!("not open")
    }
    fn shard(&self, _shard: ShardId, _fence: Fence) -> Arc<dyn ShardStore> {
        unreachable!("not open")
    }
    fn system(&self) -> Arc<dyn SystemStore> {
        unreachable!("not open")
    }
}
