//! The words, rules and arithmetic of Quaywatch.
//!
//! Everything here is a function of its arguments: no clock is read, no socket opened, no SQL spoken, nothing is
//! async, and nothing iterates a hash map. The same inputs give the same incidents, on any machine, for ever, so
//! every alert can be replayed and explained, and years can be simulated in a test.

pub mod access;
pub mod code;
pub mod dns;
pub mod doc;
pub mod egress;
pub mod evidence;
pub mod health;
pub mod id;
pub mod job;
pub mod judge;
pub mod meter;
pub mod ports;
pub mod reason;
pub mod result;
pub mod schedule;
pub mod secret;
pub mod spec;
pub mod time;
pub mod uptime;
pub mod verdict;

pub use code::{ErrorCode, ErrorStatus, Verdict};
pub use evidence::{Attempt, Evidence, Icmp, Signal, Stage};
pub use id::{
    AccountId, ChannelId, DeliveryKey, IncidentId, LocationId, MonitorId, ShardId, TokenId, UserId,
};
pub use job::{Epoch, Job, Opener, Plan, Speech};
pub use result::{CheckResult, ResultFlags};
pub use secret::Secret;
pub use spec::MonitorSpec;
pub use time::{BootTime, Clock, Timestamp};
