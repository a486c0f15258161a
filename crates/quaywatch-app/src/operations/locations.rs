//! Places from which monitors are checked.

use quaywatch_core::{ErrorCode, LocationId, Timestamp};

use super::refuse::not_built;
use super::{OperationError, Operations};
use crate::caller::Caller;

/// A place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocationView {
    /// Its number; 0 is the server itself.
    pub id: LocationId,
    /// Its name.
    pub name: String,
    /// Since when it cannot see, and why; `None`: it sees.
    pub blind: Option<(Timestamp, ErrorCode)>,
}

impl Operations {
    /// All places, the server itself first.
    ///
    /// # Errors
    /// Where the caller may not.
    pub async fn list_locations(&self, caller: &Caller) -> Result<Vec<LocationView>, OperationError> {
        let _ = caller;
        Err(not_built())
    }
}
