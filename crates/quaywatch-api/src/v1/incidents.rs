//! `/incidents`.

use quaywatch_app::operations::incidents::IncidentQuery as AppIncidentQuery;
use quaywatch_core::access::{Level, Resource};
use quaywatch_core::{ErrorCode, IncidentId, MonitorId};
use quaywatch_web::problem::{FieldError, Place, Problem};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::window_or_all;
use crate::framework::{Call, Json, Listed, Needs, Optional, Routes, Shown, Tag, docs};
use crate::wire::ids::Id;
use crate::wire::incidents::{AcknowledgeRequest, CommentRequest, Incident, IncidentDetail, TimelineEntry};
use crate::wire::paging::{After, Limit, paging};
use crate::wire::time::Time;
use crate::wire::words::Severity;

pub(super) fn routes(routes: &mut Routes) {
    routes.tag(Tag::Incidents);
    let look = Needs(Resource::Incidents, Level::Look);
    let respond = Needs(Resource::Incidents, Level::Respond);
    routes.get("/incidents", look, list, docs("incidents_list", "List incidents").about("Newest first."));
    routes.get(
        "/incidents/{id}",
        look,
        read,
        docs("incidents_read", "Show an incident with its proof and timeline"),
    );
    routes.post(
        "/incidents/{id}/acknowledge",
        respond,
        acknowledge,
        docs("incidents_acknowledge", "Say that somebody is on it")
            .about("The recovery is still told. Twice is once.")
            .example(json!({ "note": "looking at the switch" })),
    );
    routes.post(
        "/incidents/{id}/comments",
        respond,
        comment,
        docs("incidents_comment", "Add words to an incident")
            .about("Also to one that is over.")
            .example(json!({ "text": "a fan had died in rack 4" })),
    );
}

#[derive(Debug, Deserialize, JsonSchema)]
struct One {
    id: Id<IncidentId>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct IncidentQuery {
    /// Only of this monitor.
    monitor: Option<Id<MonitorId>>,
    /// Only open ones, or only ended ones.
    open: Option<bool>,
    severity: Option<Severity>,
    /// Only those that somebody acknowledged, or that nobody did.
    acknowledged: Option<bool>,
    /// Only those with one of these causes: `tcp_refused`, …
    #[serde(default)]
    error_code: Vec<String>,
    /// Only those that lasted beyond then.
    from: Option<Time>,
    /// Only those that began before then.
    to: Option<Time>,
    after: Option<After>,
    limit: Option<Limit>,
}

async fn list(call: Call<(), IncidentQuery>) -> Result<Listed<Incident>, Problem> {
    let asked = call.query;
    let query = AppIncidentQuery {
        monitor: asked.monitor.map(|id| id.0),
        open: asked.open,
        severity: asked.severity.map(Into::into),
        acknowledged: asked.acknowledged,
        codes: codes(&asked.error_code)?,
        window: window_or_all(&call.api, asked.from, asked.to),
        paging: paging(asked.after, asked.limit),
    };
    let page = call.api.operations.list_incidents(&call.caller, &query).await?;
    Ok(Listed::of(page))
}

fn codes(words: &[String]) -> Result<Vec<ErrorCode>, Problem> {
    let code = |word: &String| {
        word.parse().map_err(|_| FieldError {
            place: Place::Parameter("error_code".to_owned()),
            code: "unknown_word".to_owned(),
            message: format!("{} is no outcome", quaywatch_core::doc::quote(word)),
            suggestion: quaywatch_core::doc::closest(word, ErrorCode::ALL.iter().map(|code| code.as_str()))
                .map(|meant| format!("did you mean `{meant}`?")),
        })
    };
    let (codes, errors): (Vec<_>, Vec<_>) = words.iter().map(code).partition(Result::is_ok);
    let errors: Vec<FieldError> = errors.into_iter().filter_map(Result::err).collect();
    if errors.is_empty() { Ok(codes.into_iter().flatten().collect()) } else { Err(Problem::invalid(errors)) }
}

async fn read(call: Call<One>) -> Result<Shown<IncidentDetail>, Problem> {
    Ok(Shown(call.api.operations.read_incident(&call.caller, call.path.id.0).await?.into()))
}

async fn acknowledge(call: Call<One, (), Optional<AcknowledgeRequest>>) -> Result<Shown<Incident>, Problem> {
    let note = call.body.0.note;
    let view =
        call.api.operations.acknowledge_incident(&call.caller, call.path.id.0, note.as_deref()).await?;
    Ok(Shown(view.into()))
}

async fn comment(call: Call<One, (), Json<CommentRequest>>) -> Result<Shown<TimelineEntry>, Problem> {
    let text = &call.body.0.text;
    Ok(Shown(call.api.operations.comment_incident(&call.caller, call.path.id.0, text).await?.into()))
}
