//! Results → judge → step → outbox → delivery; and the upkeep of what is stored.
//!
//! One thread owns all 64 shards: it judges every result in memory, gathers what is decided into one step a shard, and
//! hands the steps to the store as a group. A notice is delivered only from what is committed. Nothing that checks or
//! judges ever waits for the store, a channel or the network.
//!
//! ```text
//! runner ─batch─► inbox ─► judging ─► steps ─► commits ─► store
//!                             ▲                   │
//!                        acts, deadlines          └─committed─► delivery (lanes) ─► channels
//! ```

mod acts;
mod changes;
mod commits;
mod config;
#[cfg(test)]
mod constancy;
mod deadlines;
mod delivery;
mod engine;
mod entry;
mod envelope;
#[cfg(test)]
mod figures;
mod gaps;
mod group;
mod inbox;
mod jobs;
mod judging;
#[cfg(test)]
mod promises;
mod proof;
mod rng;
mod routes;
#[cfg(test)]
mod said;
#[cfg(test)]
mod simulation;
mod stats;
mod steps;
mod thread;
#[cfg(test)]
mod whole;

pub use acts::{ActError, By, NotNow};
pub use config::{ChannelFactory, Checks, EngineConfig, Parts};
pub use engine::{Engine, StartError, Surveyor};
pub use inbox::{EngineSink, Glimpse, Select, Survey, Surveyed};
pub use stats::{ByClass, EngineStats};
