//! The stream of transitions, as `text/event-stream` (WHATWG HTML, server-sent events).

use quaywatch_app::operations::transitions::TransitionRecord;
use quaywatch_core::{IncidentId, MonitorId};
use schemars::JsonSchema;
use serde::Serialize;

use super::ids::Id;
use super::time::Time;
use super::words::{Outcome, Status};

/// What is said of a monitor from some moment on.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Transition {
    /// Grows, with gaps; what `Last-Event-ID` is for.
    id: u64,
    monitor: Id<MonitorId>,
    /// When it happened, which may be before it was known.
    at: Time,
    /// What it is from then on.
    status: Status,
    #[serde(flatten)]
    outcome: Outcome,
    incident: Option<Id<IncidentId>>,
}

impl From<TransitionRecord> for Transition {
    fn from(view: TransitionRecord) -> Self {
        Self {
            id: view.id,
            monitor: Id(view.monitor),
            at: Time(view.at),
            status: view.status.into(),
            outcome: view.code.into(),
            incident: view.incident.map(Id),
        }
    }
}
