//! Places from which monitors are checked.

use std::time::Duration;

use quaywatch_core::access::{Level, Policy, Resource};
use quaywatch_core::{ErrorCode, LocationId, Timestamp};
use quaywatch_store::records::Window;

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
        caller.require(Policy::new(Resource::Locations, Level::Look))?;
        let now = self.clock.now();
        let moment = Window { from: now, to: now + Duration::from_micros(1) };
        let blind = self.store.account(caller.account).blind(moment).await?;
        let of = |id: LocationId| blind.iter().find(|row| row.location == id && row.to.is_none());
        let places = self.places().await?;
        Ok(places
            .iter()
            .map(|(id, name)| LocationView {
                id,
                name: name.clone(),
                blind: of(id).map(|row| (row.from, row.code)),
            })
            .collect())
    }
}
