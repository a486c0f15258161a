//! The configuration of an account as the file would have it: reads back equal. Secrets are references, or left out
//! with a line that says so.

use quaywatch_store::records::Owner;

use super::refuse::not_built;
use super::{OperationError, Operations};
use crate::caller::Caller;

impl Operations {
    /// Channels and monitors as YAML; those of one owner where one is named.
    ///
    /// # Errors
    /// Where the caller may not.
    pub async fn export_config(
        &self,
        caller: &Caller,
        owner: Option<&Owner>,
    ) -> Result<String, OperationError> {
        let _ = (caller, owner);
        Err(not_built())
    }
}
