//! Ports with a name: the sixteen that forms offer first, sets of them, and the wide table.

use quaywatch_core::access::{Level, Policy, Resource};
use quaywatch_core::ports::{PRESETS, Preset, SERVICES, SETS, Service};
use quaywatch_core::spec::suggest::{INTERVALS, Suggestion, TIMEOUTS};

use super::{OperationError, Operations};
use crate::caller::Caller;

/// What is known of ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresetsView {
    /// The sixteen, in the order in which they are offered.
    pub presets: &'static [Preset],
    /// Sets of ports that are watched together, by name.
    pub sets: &'static [(&'static str, &'static [u16])],
    /// Every known service, by port.
    pub services: &'static [Service],
    /// Timeouts that suit a kind of target, by name.
    pub timeouts: &'static [Suggestion],
    /// Intervals that suit a kind of target, by name.
    pub intervals: &'static [Suggestion],
}

impl Operations {
    /// Presets, sets and the wide table.
    ///
    /// # Errors
    /// Where the caller may not.
    pub fn list_presets(&self, caller: &Caller) -> Result<PresetsView, OperationError> {
        caller.require(Policy::new(Resource::Locations, Level::Look))?;
        Ok(PresetsView {
            presets: &PRESETS,
            sets: SETS,
            services: SERVICES,
            timeouts: &TIMEOUTS,
            intervals: &INTERVALS,
        })
    }
}
