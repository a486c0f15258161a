//! What is said of accounts as such.

use quaywatch_core::{AccountId, ChannelId, MonitorId, Timestamp};

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRecord {
    /// Its number.
    pub id: AccountId,
    /// What people call it.
    pub name: String,
}

/// An account with all that is set of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountDetail {
    /// Its number.
    pub id: AccountId,
    /// Its name.
    pub name: String,
    /// The name of its plan; empty: the default plan.
    pub plan: String,
    /// What its people set, as JSON.
    pub settings: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An account of which much lies in the bin, with what decides how much may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BinRecord {
    /// Its number.
    pub account: AccountId,
    /// Its name.
    pub name: String,
    /// The name of its plan; empty: the default plan.
    pub plan: String,
    /// Monitors in its bin.
    pub monitors: u64,
    /// Channels in its bin.
    pub channels: u64,
}

/// A monitor in the bin, as it was put there: brought back and removed once more, it is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binned {
    /// Its number.
    pub monitor: MonitorId,
    /// When it was removed.
    pub removed_at: Timestamp,
}

/// A channel in the bin, as it was put there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BinnedChannel {
    /// Its number.
    pub channel: ChannelId,
    /// When it was removed.
    pub removed_at: Timestamp,
}

/// How much of what an account has; what lies in the bin is not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AccountCounts {
    /// Monitors.
    pub monitors: u64,
    /// Channels.
    pub channels: u64,
    /// People.
    pub members: u64,
    /// Tokens that are not revoked.
    pub tokens: u64,
}
