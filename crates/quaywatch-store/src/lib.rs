//! Where Quaywatch remembers: traits and records free of any engine's words, and SQLite behind them.
//!
//! There are four ways in and no other: [`Store::account`] for operations (what a caller of one account may see and
//! change), [`Store::shard`] for the engine (steps of one shard, guarded by a fence), [`Store::people`] for those who
//! are recognised before they have an account, [`Store::system`] for migration, retention and upkeep. A query without an account or a shard does not compile.
//!
//! Business rules are not here: the store writes what it is told, whole or not at all, and reads it back.

mod blocks;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod error;
pub mod records;
mod seal;
pub mod sqlite;
mod traits;

pub use error::{CommitFailed, StoreError};
pub use seal::{SealError, Sealer};
pub use sqlite::SqliteStore;
pub use traits::{AccountStore, BoxFuture, PeopleStore, ShardStore, Store, SystemStore};

/// What every call of the store answers with.
pub type Result<T> = std::result::Result<T, StoreError>;
