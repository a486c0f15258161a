//! The judge itself (skeleton).
use super::{Command, Input, Policy, Status};
use crate::code::ErrorCode;
use crate::time::Timestamp;

/// The judge of one monitor.
#[derive(Debug, Clone, PartialEq)]
pub struct Judge {
    since: Timestamp,
}

/// Bytes that are no judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stored judge cannot be read: {0}")]
pub struct DecodeError(pub(super) &'static str);

impl Judge {
    /// The judge of a monitor that nobody has looked at yet.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self { since: now }
    }

    /// As [`Judge::new`], for a monitor whose last incident had number `ordinal`.
    #[must_use]
    pub fn with_ordinal(now: Timestamp, _ordinal: u32) -> Self {
        Self::new(now)
    }

    /// What is said of the monitor.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::Pending
    }

    /// Since when.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// Why.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        ErrorCode::Ok
    }

    /// Takes one input.
    pub fn handle(&mut self, _policy: &Policy, _input: Input, _now: Timestamp, _out: &mut Vec<Command>) {}

    /// When it wants to be woken.
    #[must_use]
    pub fn next_deadline(&self, _policy: &Policy) -> Option<Timestamp> {
        None
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, _policy: &Policy, _now: Timestamp, _out: &mut Vec<Command>) {}

    /// Whether state that must survive a restart changed since the last call.
    pub fn take_dirty(&mut self) -> bool {
        false
    }

    /// For the store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Vec::new()
    }

    /// From the store.
    ///
    /// # Errors
    /// When the bytes were not written by [`Judge::encode`] of this or an earlier release.
    pub fn decode(_bytes: &[u8]) -> Result<Self, DecodeError> {
        Err(DecodeError("nothing there"))
    }
}
