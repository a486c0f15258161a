//! Tags that monitors carry, with how many carry them.

use super::refuse::not_built;
use super::{OperationError, Operations};
use crate::caller::Caller;

/// A tag with one of its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagView {
    /// Its name.
    pub name: String,
    /// A value that it has; empty for a tag without one.
    pub value: String,
    /// How many monitors carry it.
    pub monitors: u64,
}

impl Operations {
    /// All tags, by name and value.
    ///
    /// # Errors
    /// Where the caller may not.
    pub async fn list_tags(&self, caller: &Caller) -> Result<Vec<TagView>, OperationError> {
        let _ = caller;
        Err(not_built())
    }
}
