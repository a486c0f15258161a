//! Groups: paths that monitors name. They are there as long as a monitor is in them.

use quaywatch_core::judge::Status;

use super::monitors::StatusCounts;
use super::refuse::not_built;
use super::{OperationError, Operations};
use crate::caller::Caller;

/// A group with everything below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupView {
    /// Its path: `infra/db`.
    pub path: String,
    /// Its monitors and those of the groups below it.
    pub counts: StatusCounts,
    /// What is worst among them.
    pub worst: Status,
}

impl Operations {
    /// All groups, those above others included, by path.
    ///
    /// # Errors
    /// Where the caller may not.
    pub async fn list_groups(&self, caller: &Caller) -> Result<Vec<GroupView>, OperationError> {
        let _ = caller;
        Err(not_built())
    }
}
