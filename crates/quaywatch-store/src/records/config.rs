//! Configured things: what they are, who owns them, and how an owner changes them, all or nothing.

use quaywatch_core::{AccountId, ChannelId, LocationId, MonitorId, Timestamp};

use super::Author;

/// Who owns a configured thing: only its owner may change or remove it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// Made by a call or on a page.
    Api,
    /// From the server's file.
    File,
    /// From `quaywatch apply` under a name.
    Apply(String),
}

impl Owner {
    /// `api`, `file` or `apply:<name>`.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Api => "api".to_owned(),
            Self::File => "file".to_owned(),
            Self::Apply(name) => format!("apply:{name}"),
        }
    }

    /// Reads what [`Owner::to_text`] wrote.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        match text {
            "api" => Some(Self::Api),
            "file" => Some(Self::File),
            other => other.strip_prefix("apply:").map(|name| Self::Apply(name.to_owned())),
        }
    }
}

/// A place from which checks run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocationRecord {
    /// Its number.
    pub id: LocationId,
    /// What people call it.
    pub name: String,
}

/// A monitor as stored. `spec` is the canonical text of `MonitorSpec` (see `quaywatch_core::spec`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonitorRecord {
    /// Its number, never reused.
    pub id: MonitorId,
    /// Whose it is.
    pub account: AccountId,
    /// Who may change it.
    pub owner: Owner,
    /// `id:` or the name; unique by (account, owner).
    pub key: String,
    /// Its name, also in `spec`.
    pub name: String,
    /// Counts edits, from 1.
    pub revision: u32,
    /// The spec as canonical text.
    pub spec: String,
    /// Paused by a person at run time (kept over reloads).
    pub paused: bool,
    /// When it was first written.
    pub created_at: Timestamp,
}

/// What a monitor was from a moment on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevisionRecord {
    /// Counts edits, from 1.
    pub revision: u32,
    /// The spec as canonical text.
    pub spec: String,
    /// Since when.
    pub at: Timestamp,
}

/// A channel as stored. `settings` is canonical text; secrets in it are references (`${VAR}`, `file:`) or sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelRecord {
    /// Its number, never reused.
    pub id: ChannelId,
    /// Whose it is.
    pub account: AccountId,
    /// Who may change it.
    pub owner: Owner,
    /// `id:` or the name.
    pub key: String,
    /// Its name; unique in the account.
    pub name: String,
    /// `webhook`, `log`, …
    pub kind: String,
    /// Everything else, as canonical text.
    pub settings: String,
    /// Counts edits, from 1.
    pub revision: u32,
}

/// One addition, change or removal by one owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResourceChange {
    /// Adds the monitor, or changes the one with the same (owner, key), or brings it back from the bin.
    PutMonitor {
        /// `id:` or the name.
        key: String,
        /// Its name.
        name: String,
        /// Canonical text.
        spec: String,
    },
    /// Puts a monitor into the bin.
    RemoveMonitor {
        /// Which.
        key: String,
    },
    /// As for monitors.
    PutChannel {
        /// `id:` or the name.
        key: String,
        /// Its name.
        name: String,
        /// `webhook`, `log`, …
        kind: String,
        /// Canonical text.
        settings: String,
    },
    /// Puts a channel into the bin.
    RemoveChannel {
        /// Which.
        key: String,
    },
    /// Adds a monitor; [`crate::StoreError::Taken`] where the owner has one with that key. One in the bin stays there,
    /// under another key.
    AddMonitor {
        /// `id:` or the name.
        key: String,
        /// Its name.
        name: String,
        /// Canonical text.
        spec: String,
    },
    /// Changes the monitor with this number, its key and name included.
    EditMonitor {
        /// Which.
        id: MonitorId,
        /// [`crate::StoreError::Stale`] where it has another one.
        revision: Option<u32>,
        /// `id:` or the name.
        key: String,
        /// Its name.
        name: String,
        /// Canonical text.
        spec: String,
    },
    /// Puts the monitor with this number into the bin.
    BinMonitor {
        /// Which.
        id: MonitorId,
        /// [`crate::StoreError::Stale`] where it has another one.
        revision: Option<u32>,
    },
    /// Takes a monitor out of the bin; [`crate::StoreError::Taken`] where another one has the key by now.
    RestoreMonitor {
        /// Which.
        id: MonitorId,
        /// Under which key; `None`: the one that it had.
        key: Option<String>,
    },
    /// As for monitors.
    AddChannel {
        /// `id:` or the name.
        key: String,
        /// Its name.
        name: String,
        /// `webhook`, `log`, …
        kind: String,
        /// Canonical text.
        settings: String,
    },
    /// As for monitors.
    EditChannel {
        /// Which.
        id: ChannelId,
        /// [`crate::StoreError::Stale`] where it has another one.
        revision: Option<u32>,
        /// `id:` or the name.
        key: String,
        /// Its name.
        name: String,
        /// `webhook`, `log`, …
        kind: String,
        /// Canonical text.
        settings: String,
    },
    /// As for monitors.
    BinChannel {
        /// Which.
        id: ChannelId,
        /// [`crate::StoreError::Stale`] where it has another one.
        revision: Option<u32>,
    },
    /// As for monitors; also where another channel has its name by now.
    RestoreChannel {
        /// Which.
        id: ChannelId,
    },
}

/// What one owner changes, all or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeSet {
    /// Who.
    pub owner: Owner,
    /// Who acts, for the audit log.
    pub actor: Author,
    /// What.
    pub changes: Vec<ResourceChange>,
    /// The file that says so, to be remembered with what it changes: one without the other would let a later start
    /// take the store for what another text says.
    pub accepted: Option<AcceptedConfig>,
}

/// What an [`ChangeSet`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Monitors written, with their new records (added and changed, also those brought back).
    pub monitors: Vec<MonitorRecord>,
    /// Monitors put into the bin.
    pub removed_monitors: Vec<MonitorId>,
    /// Channels written.
    pub channels: Vec<ChannelRecord>,
    /// Channels put into the bin.
    pub removed_channels: Vec<ChannelId>,
    /// The change feed's number after this.
    pub seq: i64,
}

/// A row of the change feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRecord {
    /// Grows by one.
    pub seq: i64,
    /// Whose thing changed.
    pub account: AccountId,
    /// `monitor`, `channel`, …
    pub kind: String,
    /// Its number.
    pub id: i64,
    /// `put`, `remove`, `pause`, …
    pub op: String,
}

/// The last accepted configuration file. Secrets stand in it as references only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedConfig {
    /// The file's text.
    pub text: String,
    /// SHA-256 of the text, in hex.
    pub hash: String,
    /// When it was accepted.
    pub accepted_at: Timestamp,
}
