//! `/monitors/bulk`: one thing done to many monitors.

use std::borrow::Cow;

use quaywatch_app::operations::bulk::{BulkAct, BulkReport, BulkUpdate, MOST};
use quaywatch_app::operations::monitors::PauseFor;
use quaywatch_core::MonitorId;
use quaywatch_core::access::{Level, Resource};
use quaywatch_core::doc::{Node, Value};
use quaywatch_web::problem::{FieldError, Place, Problem};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::json;

use super::monitors::pause_for;
use crate::Api;
use crate::framework::{Call, Needs, Reads, Routes, Settings, Shown, Tag, docs};
use crate::wire::bulk::BulkAnswer;
use crate::wire::ids::Form;
use crate::wire::monitors::PauseRequest;

/// A thousand monitors with long descriptions.
const BODY_LIMIT: usize = 16 << 20;

pub(super) fn routes(routes: &mut Routes) {
    routes.tag(Tag::Monitors);
    routes.post(
        "/monitors/bulk",
        Needs(Resource::Monitors, Level::Edit),
        bulk,
        docs("monitors_bulk", "Do one thing to many monitors")
            .about(
                "One of `create`, `update`, `pause`, `resume`, `delete`, for up to 1,000 monitors a call. What is wrong with \
                 one does not keep the others from being done, unless `atomic` is true: then it is all or nothing.",
            )
            .example(json!({ "create": [{ "name": "mail", "host": "mail.example.com", "ports": [25, 465, 993] }] }))
            .body_limit(BODY_LIMIT),
    );
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct BulkQuery {
    /// All or nothing.
    #[serde(default)]
    atomic: bool,
}

/// What to do.
#[derive(Debug)]
struct BulkRequest;

impl JsonSchema for BulkRequest {
    fn schema_name() -> Cow<'static, str> {
        "BulkRequest".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let ids = json!({
            "type": "array", "minItems": 1, "maxItems": MOST,
            "items": { "type": "string", "pattern": MonitorId::PATTERN, "examples": ["m42"] },
        });
        let pause = json!({
            "type": "object", "required": ["ids"], "additionalProperties": false,
            "properties": {
                "ids": ids,
                "until": { "type": "string", "format": "date-time" },
                "for": { "anyOf": [{ "type": "number", "minimum": 0 }, { "type": "string", "minLength": 1 }] },
                "reason": { "type": "string", "maxLength": 500 },
            },
        });
        let update = json!({
            "type": "object", "required": ["id", "set"], "additionalProperties": false,
            "properties": {
                "id": { "type": "string", "pattern": MonitorId::PATTERN, "examples": ["m42"] },
                "set": { "type": "object", "description": "as `MonitorPatch`" },
                "revision": { "type": "integer", "minimum": 1, "maximum": u32::MAX },
            },
        });
        let many = |items: serde_json::Value| json!({ "type": "array", "minItems": 1, "maxItems": MOST, "items": items });
        json_schema!({
            "type": "object",
            "description": "One thing to do.",
            "properties": {
                "create": many(json!({ "type": "object", "description": "as `MonitorSpec`" })),
                "update": many(update),
                "pause": pause,
                "resume": ids,
                "delete": ids,
            },
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": false,
        })
    }
}

impl Reads for BulkRequest {}

async fn bulk(call: Call<(), BulkQuery, Settings<BulkRequest>>) -> Result<Shown<BulkAnswer>, Problem> {
    let node = call.body.node();
    let (word, what) = thing(&node)?;
    let atomic = call.query.atomic;
    let ids;
    let act = match word {
        "create" => BulkAct::Create(items(what)),
        "update" => BulkAct::Update(items(what).iter().filter_map(update).collect()),
        "pause" => {
            ids = ids_of(what.get("ids"));
            BulkAct::Pause(&ids, pause(&call.api, what)?)
        }
        "resume" => {
            ids = ids_of(Some(what));
            BulkAct::Resume(&ids)
        }
        "delete" => {
            ids = ids_of(Some(what));
            BulkAct::Delete(&ids)
        }
        other => unreachable!("`{other}` passed a schema that does not know it"),
    };
    let report = call.api.operations.bulk_monitors(&call.caller, act, atomic).await?;
    if report.done { Ok(Shown(report.into())) } else { Err(refused(word, report)) }
}

/// The one thing that is there.
fn thing<'n>(node: &'n Node<'_>) -> Result<(&'n str, &'n Node<'n>), Problem> {
    match &node.value {
        Value::Mapping(pairs) => match pairs.as_slice() {
            [(key, value)] => Ok((key.text.as_ref(), value)),
            _ => Err(one_thing()),
        },
        Value::Scalar(..) | Value::Sequence(_) => Err(one_thing()),
    }
}

/// The same key twice is one to a JSON reader.
fn one_thing() -> Problem {
    Problem::invalid(vec![FieldError {
        place: Place::Pointer(String::new()),
        code: "one_thing".to_owned(),
        message: "the body asks for several things".to_owned(),
        suggestion: Some("send one of `create`, `update`, `pause`, `resume`, `delete`".to_owned()),
    }])
}

fn items<'n, 'a>(node: &'n Node<'a>) -> &'n [Node<'a>] {
    match &node.value {
        Value::Sequence(items) => items,
        Value::Scalar(..) | Value::Mapping(_) => &[],
    }
}

fn ids_of(node: Option<&Node<'_>>) -> Vec<MonitorId> {
    node.map(items).unwrap_or_default().iter().filter_map(id).collect()
}

fn id(node: &Node<'_>) -> Option<MonitorId> {
    scalar(node)?.parse().ok()
}

fn scalar<'n>(node: &'n Node<'_>) -> Option<&'n str> {
    match &node.value {
        Value::Scalar(text, _) => Some(text.as_ref()),
        Value::Mapping(_) | Value::Sequence(_) => None,
    }
}

fn update<'n>(node: &'n Node<'n>) -> Option<BulkUpdate<'n>> {
    let revision = node.get("revision").and_then(scalar).and_then(|text| text.parse().ok());
    Some(BulkUpdate { id: id(node.get("id")?)?, patch: node.get("set")?, revision })
}

fn pause(api: &Api, node: &Node<'_>) -> Result<PauseFor, Problem> {
    let text = |key: &str| node.get(key).and_then(scalar).map(str::to_owned);
    let wrong = |key: &'static str| {
        move |error: serde_json::Error| {
            Problem::invalid(vec![FieldError {
                place: Place::Pointer(format!("/pause/{key}")),
                code: "invalid".to_owned(),
                message: error.to_string(),
                suggestion: None,
            }])
        }
    };
    let until = text("until").map(|text| serde_json::from_value(text.into()).map_err(wrong("until")));
    let length = text("for").map(|text| serde_json::from_value(text.into()).map_err(wrong("for")));
    let request =
        PauseRequest { until: until.transpose()?, r#for: length.transpose()?, reason: text("reason") };
    pause_for(api, request)
}

/// All or nothing was asked for, and something was wrong: everything that was, with its place.
fn refused(word: &str, report: BulkReport) -> Problem {
    let (mut errors, mut limit, mut only_limits) = (Vec::new(), None, true);
    for (index, item) in report.items.into_iter().enumerate() {
        let Err(error) = item.outcome else { continue };
        let problem = Problem::from(error);
        let at = match word {
            "pause" => format!("/pause/ids/{index}"),
            _ => format!("/{word}/{index}"),
        };
        if problem.errors().is_empty() {
            errors.push(FieldError {
                place: Place::Pointer(at),
                code: problem.code().unwrap_or("refused").to_owned(),
                message: problem.detail().to_owned(),
                suggestion: problem.code().and_then(remedy).map(str::to_owned),
            });
            only_limits &= problem.is_limit();
            limit = limit.or_else(|| problem.is_limit().then_some(problem));
            continue;
        }
        only_limits = false;
        errors.extend(problem.errors().iter().cloned().map(|mut error| {
            if let Place::Pointer(pointer) = &mut error.place {
                *pointer = format!("{at}{pointer}");
            }
            error
        }));
    }
    match limit {
        // Nothing is wrong with what was sent but that there is too much of it.
        Some(limit) if only_limits => limit.with_errors(errors),
        Some(_) | None => Problem::invalid(errors),
    }
}

/// What to do about a code, where its words do not say it as a thing to send.
fn remedy(code: &str) -> Option<&'static str> {
    match code {
        "name_taken" => Some("send another `name`, or change that monitor with `update`"),
        "id_taken" => Some("send another `id`, or leave it out"),
        "twice" => Some("name each monitor once"),
        "bin_full" => Some("mend or remove the channel that does not deliver"),
        _ => None,
    }
}
