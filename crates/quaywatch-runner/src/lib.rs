//! The schedule in real time: every monitor is checked at its slots, as many at once as the machine and the targets
//! bear, and what was seen leaves in batches.
//!
//! `machine` holds all decisions and reads neither clock nor network; `runner` is the thread that turns it;
//! `ports` is what it needs of the world, and `net` what the world really is. Nothing here knows a database, an
//! incident or a page: results go to a [`Sink`], and whoever judges them may ask for a recheck.

#[cfg(any(test, feature = "bench"))]
pub mod bench;
mod config;
mod machine;
mod net;
mod one_shot;
mod ports;
mod runner;
mod sink;
mod stats;

pub use config::{RunnerConfig, TargetBudget};
pub use net::NetParts;
pub use one_shot::OneShot;
pub use runner::Runner;
pub use sink::{Batch, Sight, Sink};
pub use stats::RunnerStats;
