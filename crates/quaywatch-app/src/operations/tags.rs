//! Tags that monitors carry, with how many carry them.

use super::monitors::LOOK;
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
        caller.require(LOOK)?;
        let tags = self.account(caller).tags().await?;
        Ok(tags
            .into_iter()
            .map(|tag| TagView { name: tag.name, value: tag.value, monitors: tag.monitors })
            .collect())
    }
}
