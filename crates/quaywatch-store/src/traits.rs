//! The ways in. Written for any engine: calls are futures, nothing names a file, a page or a statement.

mod account;
mod people;
mod shard;
mod system;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use quaywatch_core::{AccountId, ShardId};

pub use account::AccountStore;
pub use people::PeopleStore;
pub use shard::ShardStore;
pub use system::SystemStore;

use crate::records::Fence;

/// A boxed future, so that the traits can stand behind `dyn`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One opened store.
pub trait Store: Send + Sync + 'static {
    /// What operations of one account may see and change.
    fn account(&self, account: AccountId) -> Arc<dyn AccountStore>;
    /// What the engine may do to one shard while it holds `fence`.
    fn shard(&self, shard: ShardId, fence: Fence) -> Arc<dyn ShardStore>;
    /// People and what they are recognised by.
    fn people(&self) -> Arc<dyn PeopleStore>;
    /// Migration, retention, upkeep, and what belongs to no account.
    fn system(&self) -> Arc<dyn SystemStore>;
}
