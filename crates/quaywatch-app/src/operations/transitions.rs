//! The numbered stream of transitions: replayed from the store after a number, then live.
//!
//! A follower is pulled: whoever serves it asks for the next one when the receiver has taken the last. One that does
//! not keep up is told where to begin again, and ends.

use quaywatch_core::judge::Status;
use quaywatch_core::{ErrorCode, IncidentId, MonitorId, Timestamp};

use super::refuse::not_built;
use super::{OperationError, Operations};
use crate::caller::Caller;

/// One change of what is said of a monitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransitionView {
    /// Its number: grows, with gaps (numbers are shared by all accounts).
    pub id: u64,
    /// Of which monitor.
    pub monitor: MonitorId,
    /// When it happened, which may be before it was known.
    pub at: Timestamp,
    /// What it is from then on.
    pub status: Status,
    /// Why.
    pub code: ErrorCode,
    /// The incident it belongs to.
    pub incident: Option<IncidentId>,
}

/// What a follower has for its receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Followed {
    /// The next transition.
    Transition(TransitionView),
    /// It did not keep up, or the server goes down: it ends here; begin again after this number.
    Ended {
        /// The last number that was given.
        after: u64,
    },
}

/// Follows the transitions of one account.
#[derive(Debug)]
pub struct Follower {
    after: u64,
}

impl Follower {
    /// Waits for the next; after [`Followed::Ended`] there is only that.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn next(&mut self) -> Result<Followed, OperationError> {
        Ok(Followed::Ended { after: self.after })
    }
}

impl Operations {
    /// Transitions after a number (0: from the oldest that is kept), at most `limit`, oldest first.
    ///
    /// # Errors
    /// Where the caller may not.
    pub async fn list_transitions(
        &self,
        caller: &Caller,
        after: u64,
        limit: usize,
    ) -> Result<Vec<TransitionView>, OperationError> {
        let _ = (caller, after, limit);
        Err(not_built())
    }

    /// Follows transitions after a number (`Last-Event-ID`); without one, from now on.
    ///
    /// # Errors
    /// Where the caller may not, or too many follow already.
    pub async fn follow_transitions(
        &self,
        caller: &Caller,
        after: Option<u64>,
    ) -> Result<Follower, OperationError> {
        let _ = (caller, after);
        Err(not_built())
    }
}
