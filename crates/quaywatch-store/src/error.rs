//! Why the store could not do as told, in terms that a caller can act on.

use crate::records::ShardStep;

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The disk or the database's own quota is full. Heals by itself when there is room.
    #[error("the disk of the data directory is full: {0}")]
    Full(String),
    /// Another process holds the database, longer than the busy timeout.
    #[error("the database is busy: {0}")]
    Busy(String),
    /// The shard is owned by somebody else now: the fence of this writer is old.
    #[error("shard {shard} is owned by a newer writer (fence {seen}, ours {ours})")]
    Fenced {
        /// Which shard.
        shard: u8,
        /// The fence in the store.
        seen: u64,
        /// The fence of the caller.
        ours: u64,
    },
    /// The schema is of another version than this program's.
    #[error("the data directory has schema version {found}, this program needs {wanted}: {remedy}")]
    Schema {
        /// Found in the store.
        found: u32,
        /// What this program speaks.
        wanted: u32,
        /// What to do.
        remedy: &'static str,
    },
    /// The data directory cannot be used (missing, locked, permissions).
    #[error("{0}")]
    Directory(String),
    /// A row says what no row may say.
    #[error("damaged record in {table}: {detail}")]
    Damaged {
        /// Which table.
        table: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// A write touched another number of rows than it should, or broke a unique key.
    #[error("conflict: {0}")]
    Conflict(String),
    /// What is to be changed was changed meanwhile.
    #[error("{what} has revision {revision} by now: read it again")]
    Stale {
        /// What, by its number: `m42`.
        what: String,
        /// The revision in force.
        revision: u32,
    },
    /// The key or name belongs to something else.
    #[error("taken: {0}")]
    Taken(String),
    /// What is to be changed is not there, or not of this account.
    #[error("there is no {0}")]
    Missing(String),
    /// Anything else the engine said.
    #[error("storage engine: {0}")]
    Engine(String),
}

impl StoreError {
    /// Whether the same call may succeed later without anybody changing it.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Full(_) | Self::Busy(_) | Self::Engine(_) => true,
            Self::Fenced { .. }
            | Self::Schema { .. }
            | Self::Directory(_)
            | Self::Damaged { .. }
            | Self::Conflict(_)
            | Self::Stale { .. }
            | Self::Taken(_)
            | Self::Missing(_) => false,
        }
    }
}

/// A step that was not written, handed back whole: it can be merged into the next, or run again.
#[derive(Debug)]
pub struct CommitFailed {
    /// Why.
    pub error: StoreError,
    /// The step, as it was given.
    pub step: Box<ShardStep>,
}
