//! Why an operation was not done, for every way in: the same answer to API, pages and command line.

use std::fmt;
use std::time::Duration;

use quaywatch_core::access::Policy;
use quaywatch_core::doc::Problems;
use quaywatch_core::spec::duration::Human;
use quaywatch_store::StoreError;

/// Why an operation was not done. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// Nobody is recognised where somebody must be.
    #[error("sign in, or send a token")]
    Unauthenticated,
    /// Somebody says who they are, and is not believed: a wrong password, a token that ended.
    #[error("{message}")]
    NotRecognised {
        /// A stable word: `wrong_credentials`, `token_mistyped`, …
        code: &'static str,
        /// In words, which say nothing about who exists.
        message: String,
    },
    /// The caller's role or scopes are not enough.
    #[error("this needs more access")]
    Denied(Policy),
    /// There is no such thing in the caller's account.
    #[error("there is no {kind} `{id}`")]
    NotFound {
        /// `monitor`, `channel`, …
        kind: &'static str,
        /// As it was asked for.
        id: String,
    },
    /// What was sent cannot be used; everything that is wrong is listed.
    #[error("{0}")]
    Invalid(Problems),
    /// Something else is in the way: a name that is taken, an owner that is a file.
    #[error("{message}")]
    Conflict {
        /// A stable word: `name_taken`, `managed_by_file`, …
        code: &'static str,
        /// In words, with the remedy.
        message: String,
    },
    /// It was changed since the caller looked.
    #[error("it was changed in the meantime: read it again")]
    Changed,
    /// The account's plan does not allow it.
    #[error("the plan `{plan}` allows {allowed} (`{limit}`)")]
    Limit {
        /// Which limit: `max_urls`, `min_interval`, …
        limit: &'static str,
        /// The plan's name.
        plan: String,
        /// How much it allows.
        allowed: Allowed,
    },
    /// Too often; when to try again.
    #[error("too many attempts: try again in {} s", .0.as_millis().div_ceil(1_000).max(1))]
    Throttled(Duration),
    /// The server cannot do it now.
    #[error("{0}")]
    Unavailable(String),
    /// The store failed.
    #[error(transparent)]
    Store(StoreError),
}

/// What the store refuses because of what it holds is nobody's failure.
impl From<StoreError> for OperationError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Stale { .. } => Self::Changed,
            StoreError::Taken(message) => Self::Conflict { code: "name_taken", message },
            StoreError::Missing(id) => Self::NotFound { kind: "thing", id },
            StoreError::Full(_)
            | StoreError::Busy(_)
            | StoreError::Fenced { .. }
            | StoreError::Schema { .. }
            | StoreError::Directory(_)
            | StoreError::Damaged { .. }
            | StoreError::Conflict(_)
            | StoreError::Engine(_) => Self::Store(error),
        }
    }
}

/// How much a plan allows of something, for programs; in words for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// So many monitors, of every kind together.
    Monitors(u64),
    /// So many channels.
    Channels(u64),
    /// Checks no closer together than this.
    Interval(Duration),
    /// Retries no closer together than `least`, at most `in_a_row`.
    Retries {
        /// From one to the next.
        least: Duration,
        /// Failures in a row that a monitor may ask for before it alerts.
        in_a_row: u16,
    },
    /// Checks from these places.
    Locations(Vec<String>),
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Monitors(1) => f.write_str("1 monitor of every kind"),
            Self::Monitors(most) => write!(f, "{most} monitors of every kind"),
            Self::Channels(1) => f.write_str("1 channel"),
            Self::Channels(most) => write!(f, "{most} channels"),
            Self::Interval(least) => write!(f, "a check every {} at most", Human(*least)),
            Self::Retries { least, in_a_row } => {
                write!(f, "a retry every {} at most, {in_a_row} in a row", Human(*least))
            }
            Self::Locations(names) => write!(f, "checks from {}", names.join(", ")),
        }
    }
}
