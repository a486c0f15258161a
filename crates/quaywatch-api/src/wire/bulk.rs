//! What came of a call for many monitors at once.

use quaywatch_app::operations::bulk::{BulkDone, BulkItem, BulkReport};
use quaywatch_core::MonitorId;
use quaywatch_web::problem::Problem;
use schemars::JsonSchema;
use serde::Serialize;

use super::ids::Id;
use super::monitors::{Warning, warnings};

/// What came of a bulk call.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct BulkAnswer {
    /// How many things were done.
    done: usize,
    /// How many were not.
    failed: usize,
    /// One for each thing that was asked for, in that order.
    items: Vec<BulkOutcome>,
}

/// What came of one of them.
#[derive(Debug, Serialize, JsonSchema)]
struct BulkOutcome {
    /// The monitors that were written: several where an entry with `hosts`, `ports` or `preset` made several.
    monitors: Vec<BulkMonitor>,
    /// Why it was not done. Its pointers begin at the item, not at the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<ProblemShape>")]
    problem: Option<Problem>,
    /// What works but is probably not meant.
    warnings: Vec<Warning>,
}

/// Stands for the document's `Problem`.
struct ProblemShape;

impl JsonSchema for ProblemShape {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ProblemShape".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "$ref": "#/components/schemas/Problem" })
    }
}

#[derive(Debug, Serialize, JsonSchema)]
struct BulkMonitor {
    id: Id<MonitorId>,
    name: String,
    revision: u32,
}

impl From<BulkReport> for BulkAnswer {
    fn from(report: BulkReport) -> Self {
        let items: Vec<BulkOutcome> = report.items.into_iter().map(BulkOutcome::from).collect();
        let failed = items.iter().filter(|item| item.problem.is_some()).count();
        Self { done: items.len() - failed, failed, items }
    }
}

impl From<BulkItem> for BulkOutcome {
    fn from(item: BulkItem) -> Self {
        let warnings = warnings(&item.warnings);
        match item.outcome {
            Ok(done) => {
                let monitor =
                    |one: BulkDone| BulkMonitor { id: Id(one.id), name: one.name, revision: one.revision };
                Self { monitors: done.into_iter().map(monitor).collect(), problem: None, warnings }
            }
            Err(error) => Self { monitors: Vec::new(), problem: Some(error.into()), warnings },
        }
    }
}
