//! What lists are made of: which monitors are wanted, in what order, and how many there are of what.

use std::fmt;
use std::str::FromStr;

use quaywatch_core::judge::Status;
use quaywatch_core::{ErrorCode, IncidentId, MonitorId, Timestamp};

use super::{ChannelRecord, CheckRow, MonitorRecord, Owner};

/// A page of monitors that is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MonitorQuery {
    /// Which.
    pub filter: MonitorFilter,
    /// In what order.
    pub sort: MonitorSort,
    /// The other way round.
    pub descending: bool,
    /// Only those behind this one.
    pub after: Option<MonitorCursor>,
    /// At most this many, 1,000 at most; 0 = 100.
    pub limit: usize,
}

impl From<MonitorFilter> for MonitorQuery {
    fn from(filter: MonitorFilter) -> Self {
        Self { filter, ..Self::default() }
    }
}

/// Which monitors are wanted. What is not said does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MonitorFilter {
    /// Only those with this in their name or host, whatever the case.
    pub search: Option<String>,
    /// Only those that are one of these; empty: all.
    pub statuses: Vec<Status>,
    /// Only of this kind: `tcp`.
    pub kind: Option<String>,
    /// Only with this host.
    pub host: Option<String>,
    /// Only with this port.
    pub port: Option<u16>,
    /// Only in this group, or below it.
    pub group: Option<String>,
    /// Only with all of these tags.
    pub tags: Vec<TagFilter>,
    /// Only those that are checked from this location.
    pub location: Option<String>,
    /// Only those of this owner.
    pub owner: Option<Owner>,
    /// Only those that somebody paused (`true`), or that nobody did (`false`).
    pub paused: Option<bool>,
    /// Only those that are switched on in their spec (`true`), or off (`false`).
    pub enabled: Option<bool>,
    /// Only those that name one of these channels; empty: all.
    pub channels: Vec<String>,
}

/// A tag that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagFilter {
    /// Its name.
    pub name: String,
    /// Its value; `None`: any.
    pub value: Option<String>,
}

/// The order of a list of monitors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum MonitorSort {
    /// As they were made.
    #[default]
    Id,
    /// By name, whatever the case.
    Name,
    /// Trouble first.
    Status,
    /// By the time of the last change of status.
    Since,
    /// By the time of the last edit.
    Updated,
}

/// Where a page ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonitorCursor {
    /// By what the list is sorted, of the last monitor of the page.
    pub key: CursorKey,
    /// The last monitor of the page.
    pub id: MonitorId,
}

/// `42:n7`, `42:torders db`.
impl fmt::Display for MonitorCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            CursorKey::Number(number) => write!(f, "{}:n{number}", self.id.0),
            CursorKey::Text(text) => write!(f, "{}:t{text}", self.id.0),
        }
    }
}

impl FromStr for MonitorCursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let (id, key) = text.split_once(':').ok_or(NoCursor)?;
        let id = MonitorId(id.parse().map_err(|_| NoCursor)?);
        let key = match (key.strip_prefix('n'), key.strip_prefix('t')) {
            (Some(number), _) => CursorKey::Number(number.parse().map_err(|_| NoCursor)?),
            (None, Some(text)) => CursorKey::Text(text.to_owned()),
            (None, None) => return Err(NoCursor),
        };
        Ok(Self { key, id })
    }
}

/// By what a list is sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CursorKey {
    /// A number or a time; 0 where monitors are sorted by their ids.
    Number(i64),
    /// A folded name.
    Text(String),
}

/// The text is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a place in a list of monitors")]
pub struct NoCursor;

/// A page of monitors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonitorPage {
    /// The monitors.
    pub items: Vec<MonitorRow>,
    /// Where the next page begins, if there is one.
    pub next: Option<MonitorCursor>,
    /// How many there are in all; `None` where counting them would take too long.
    pub total: Option<u64>,
}

/// A monitor with what is said of it now. Its last check is in the engine's memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonitorRow {
    /// The monitor.
    pub monitor: MonitorRecord,
    /// What it is; paused as soon as somebody paused it.
    pub status: Status,
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub code: ErrorCode,
    /// The incident that is open.
    pub incident: Option<IncidentId>,
    /// Set while somebody has it paused.
    pub pause: Option<PauseRecord>,
    /// When it was last edited.
    pub updated_at: Timestamp,
    /// When it was put into the bin, if it lies there.
    pub removed_at: Option<Timestamp>,
}

/// What is said of a monitor now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusRecord {
    /// The monitor.
    pub monitor: MonitorRecord,
    /// What it is.
    pub status: Status,
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub code: ErrorCode,
    /// The last recorded check, if the raw data still has it.
    pub last: Option<CheckRow>,
}

/// A pause that is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pause {
    /// When it ends by itself.
    pub until: Option<Timestamp>,
    /// Why; may be empty.
    pub reason: String,
}

/// A pause that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PauseRecord {
    /// When it ends by itself.
    pub until: Option<Timestamp>,
    /// Why; may be empty.
    pub reason: String,
    /// Since when.
    pub at: Timestamp,
    /// Who paused it, as the audit log names them.
    pub by: String,
}

/// How many monitors are what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StatusCounts([u64; 8]);

impl StatusCounts {
    /// All statuses, trouble first: the order of [`MonitorSort::Status`].
    pub const ORDER: [Status; 8] = [
        Status::Down,
        Status::Degraded,
        Status::Unknown,
        Status::Blocked,
        Status::Pending,
        Status::Maintenance,
        Status::Paused,
        Status::Up,
    ];

    /// How many are this.
    #[must_use]
    pub const fn of(&self, status: Status) -> u64 {
        self.0[status as usize]
    }

    /// So many more are this.
    pub const fn add(&mut self, status: Status, count: u64) {
        self.0[status as usize] += count;
    }

    /// How many there are in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// The monitors of one group, those of groups below it left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupCount {
    /// Its path; empty: those without a group.
    pub group: String,
    /// How many are what.
    pub counts: StatusCounts,
}

/// The monitors with one tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagCount {
    /// Its name.
    pub name: String,
    /// Its value; may be empty.
    pub value: String,
    /// How many.
    pub monitors: u64,
}

/// A channel in the bin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedChannel {
    /// As it was.
    pub channel: ChannelRecord,
    /// Since when it lies there.
    pub removed_at: Timestamp,
}
