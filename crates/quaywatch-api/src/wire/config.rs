//! Plans of documents, and the bin.

use quaywatch_app::operations::apply as app;
use quaywatch_app::operations::bin::RemovedMonitor;
use quaywatch_core::MonitorId;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::ids::Id;
use super::monitors::{Warning, warnings};
use super::time::Time;

/// What a document would change, or changed.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ApplyPlan {
    /// Who owns the things: `api` or `apply:<name>`.
    owner: String,
    /// Whether it was done, and not only planned.
    applied: bool,
    /// What is not there yet.
    added: Vec<PlannedThing>,
    /// What is there in another form.
    changed: Vec<PlannedChange>,
    /// What is no longer in the document.
    removed: Vec<PlannedThing>,
    /// How many things stay as they are.
    unchanged: usize,
    warnings: Vec<Warning>,
}

/// A monitor or a channel.
#[derive(Debug, Serialize, JsonSchema)]
struct PlannedThing {
    /// `monitor` or `channel`.
    kind: &'static str,
    /// Null before it is there.
    id: Option<String>,
    name: String,
    /// What it watches, or the kind of channel.
    about: String,
}

/// A thing that changes.
#[derive(Debug, Serialize, JsonSchema)]
struct PlannedChange {
    #[serde(flatten)]
    thing: PlannedThing,
    /// In what; without secrets.
    fields: Vec<FieldChange>,
}

/// A setting that changes.
#[derive(Debug, Serialize, JsonSchema)]
struct FieldChange {
    field: String,
    /// Null: it had its default.
    before: Option<Value>,
    /// Null: it gets its default. A secret is `"…"`.
    after: Option<Value>,
}

impl From<app::ApplyPlan> for ApplyPlan {
    fn from(plan: app::ApplyPlan) -> Self {
        let change = |change: app::PlannedChange| PlannedChange {
            thing: change.thing.into(),
            fields: change.fields.into_iter().map(FieldChange::from).collect(),
        };
        Self {
            owner: plan.owner.to_text(),
            applied: plan.applied,
            added: plan.added.into_iter().map(Into::into).collect(),
            changed: plan.changed.into_iter().map(change).collect(),
            removed: plan.removed.into_iter().map(Into::into).collect(),
            unchanged: plan.unchanged,
            warnings: warnings(&plan.warnings),
        }
    }
}

impl From<app::PlannedThing> for PlannedThing {
    fn from(thing: app::PlannedThing) -> Self {
        Self { kind: thing.kind, id: thing.id, name: thing.name, about: thing.about }
    }
}

impl From<app::FieldChange> for FieldChange {
    fn from(change: app::FieldChange) -> Self {
        let json = |text: String| serde_json::from_str(&text).unwrap_or(Value::String(text));
        Self { field: change.field, before: change.before.map(json), after: change.after.map(json) }
    }
}

/// A monitor in the bin.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct BinnedMonitor {
    id: Id<MonitorId>,
    name: String,
    /// `host:port`
    target: String,
    /// Whose it was.
    managed_by: String,
    removed_at: Time,
    /// When it will be gone for good, if the account's plan lets it lie there for so long.
    gone_at: Time,
}

impl From<RemovedMonitor> for BinnedMonitor {
    fn from(removed: RemovedMonitor) -> Self {
        Self {
            id: Id(removed.id),
            name: removed.name,
            target: removed.target,
            managed_by: removed.owner.to_text(),
            removed_at: Time(removed.removed_at),
            gone_at: Time(removed.gone_at),
        }
    }
}
