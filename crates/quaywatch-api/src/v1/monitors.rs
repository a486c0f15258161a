//! `/monitors`: what is watched.

use axum::http::StatusCode;
use quaywatch_app::operations::monitors::PauseFor;
use quaywatch_core::MonitorId;
use quaywatch_core::access::{Level, Resource};
use quaywatch_web::problem::{FieldError, Place, Problem};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::expected;
use crate::framework::{
    Accepted, Call, Created, Done, Needs, Optional, OptionalSettings, Paged, Routes, Settings, Shown, Tag,
    Tagged, docs,
};
use crate::wire::evidence::TestReport;
use crate::wire::ids::Id;
use crate::wire::monitors::{Monitor, MonitorPage, MonitorQuery, PauseRequest, Slot, WrittenMonitor};
use crate::wire::spec::{MonitorPatch, NewMonitor, TriedMonitor};
use crate::wire::time::Time;

const LOOK: Needs = Needs(Resource::Monitors, Level::Look);
const RESPOND: Needs = Needs(Resource::Monitors, Level::Respond);
const EDIT: Needs = Needs(Resource::Monitors, Level::Edit);

pub(super) fn routes(routes: &mut Routes) {
    routes.tag(Tag::Monitors);
    let example =
        || json!({ "name": "orders database", "host": "db.example.com", "port": 5432, "check_interval": 30 });
    routes.get(
        "/monitors",
        LOOK,
        list,
        docs("monitors_list", "List monitors")
            .about(
                "Filters are laid over each other: a monitor must fit all. With `at`, what was said of each at that \
                 moment: of monitors as they are now, those left out that were made later, so that a page may be short \
                 and still have a next one. What asks for the state of now (`status`, `paused`, an order by `status` or \
                 `since`) is refused then.",
            ),
    );
    routes.post(
        "/monitors",
        EDIT,
        create,
        docs("monitors_create", "Make a monitor")
            .about("What makes several (`hosts`, `ports`, `preset`) goes to `/monitors/bulk`.")
            .example(example()),
    );
    routes.post(
        "/monitors/test",
        EDIT,
        test,
        docs("monitors_test", "Try a monitor once, without making it")
            .about("Every address, every phase, the outcome in words, and what its owner should know.")
            .example(json!({ "host": "127.0.0.1", "port": 9, "timeout": 0.5 }))
            .never_replayed(),
    );
    routes.get(
        "/monitors/find",
        LOOK,
        find,
        docs("monitors_find", "Find a monitor by its name, its key or its id")
            .about("A key or a name wins over an id.")
            .answers(&[404]),
    );
    routes.get(
        "/monitors/{id}",
        LOOK,
        read,
        docs("monitors_read", "Show a monitor").about("With `at`, what was said of it at that moment."),
    );
    routes.patch(
        "/monitors/{id}",
        EDIT,
        update,
        docs("monitors_update", "Change a monitor")
            .example(json!({ "check_interval": "1m", "tags": { "env": "prod" } })),
    );
    routes.delete(
        "/monitors/{id}",
        EDIT,
        delete,
        docs("monitors_delete", "Put a monitor into the bin").about(
            "With its history, for 30 days or as long as the plan has room there; \
                 `/bin/monitors/{id}/restore` takes it out again.",
        ),
    );
    acts(routes);
}

fn acts(routes: &mut Routes) {
    routes.post(
        "/monitors/{id}/pause",
        EDIT,
        pause,
        docs("monitors_pause", "Stop looking for a while")
            .example(json!({ "for": "2h", "reason": "moving racks" })),
    );
    routes.post("/monitors/{id}/resume", EDIT, resume, docs("monitors_resume", "Look again"));
    routes.post(
        "/monitors/{id}/check-now",
        RESPOND,
        check_now,
        docs("monitors_check_now", "Look now").about("The result has the slot that is answered."),
    );
    routes.post(
        "/monitors/{id}/clone",
        EDIT,
        clone,
        docs("monitors_clone", "Make a monitor like this one")
            .about("With these settings laid over it; its name ends in `(copy)` where none is sent.")
            .example(json!({ "name": "orders database 2", "host": "db2.example.com" })),
    );
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct One {
    pub(super) id: Id<MonitorId>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AtQuery {
    /// A past moment.
    at: Option<Time>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NameQuery {
    /// What it is called.
    #[schemars(length(min = 1, max = 300), example = &"payments database")]
    name: String,
}

async fn list(call: Call<(), MonitorQuery>) -> Result<Paged<MonitorPage>, Problem> {
    if let Some(Time(at)) = call.query.at {
        let page = call.api.operations.list_monitors_at(&call.caller, &call.query.into(), at).await?;
        let next = page.next.clone();
        return Ok(Paged { body: page.into(), next });
    }
    let list = call.api.operations.list_monitors(&call.caller, &call.query.into()).await?;
    let next = list.page.next.clone();
    Ok(Paged { body: list.into(), next })
}

async fn create(call: Call<(), (), Settings<NewMonitor>>) -> Result<Created<WrittenMonitor>, Problem> {
    let written = call.api.operations.create_monitor(&call.caller, &call.body.node()).await?;
    Ok(created(written.into()))
}

fn created(value: WrittenMonitor) -> Created<WrittenMonitor> {
    Created { location: format!("/monitors/{}", value.monitor.id.0), revision: Some(value.revision()), value }
}

async fn test(call: Call<(), (), Settings<TriedMonitor>>) -> Result<Shown<TestReport>, Problem> {
    Ok(Shown(call.api.operations.test_monitor(&call.caller, &call.body.node()).await?.into()))
}

async fn read(call: Call<One, AtQuery>) -> Result<Tagged<Monitor>, Problem> {
    let id = call.path.id.0;
    let mut monitor = Monitor::from(call.api.operations.read_monitor(&call.caller, id).await?);
    if let Some(Time(at)) = call.query.at {
        let state = call.api.operations.read_state_at(&call.caller, id, at).await?;
        if state.status.is_none() {
            let detail = format!("monitor {id} was not there yet at that moment");
            return Err(Problem::new(StatusCode::NOT_FOUND, detail));
        }
        monitor = monitor.at(&state);
    }
    Ok(tagged(monitor))
}

async fn find(call: Call<(), NameQuery>) -> Result<Tagged<Monitor>, Problem> {
    let id = call.api.operations.find_monitor(&call.caller, &call.query.name).await?;
    Ok(tagged(call.api.operations.read_monitor(&call.caller, id).await?.into()))
}

fn tagged(value: Monitor) -> Tagged<Monitor> {
    Tagged { revision: value.revision(), value }
}

async fn update(call: Call<One, (), Settings<MonitorPatch>>) -> Result<Tagged<WrittenMonitor>, Problem> {
    let revision = expected(&call.head)?;
    let patch = call.body.node();
    let written = call.api.operations.update_monitor(&call.caller, call.path.id.0, &patch, revision).await?;
    let value = WrittenMonitor::from(written);
    Ok(Tagged { revision: value.revision(), value })
}

async fn delete(call: Call<One>) -> Result<Done, Problem> {
    let revision = expected(&call.head)?;
    call.api.operations.delete_monitor(&call.caller, call.path.id.0, revision).await?;
    Ok(Done)
}

async fn pause(call: Call<One, (), Optional<PauseRequest>>) -> Result<Tagged<Monitor>, Problem> {
    let pause = pause_for(&call.api, call.body.0)?;
    Ok(tagged(call.api.operations.pause_monitor(&call.caller, call.path.id.0, &pause).await?.into()))
}

/// `until`, or `for` from now on.
pub(super) fn pause_for(api: &crate::Api, request: PauseRequest) -> Result<PauseFor, Problem> {
    let until = match (request.until, request.r#for) {
        (Some(_), Some(_)) => {
            return Err(Problem::invalid(vec![FieldError {
                place: Place::Pointer("/for".to_owned()),
                code: "two_ends".to_owned(),
                message: "`until` and `for` both say when it ends".to_owned(),
                suggestion: Some("send one of them".to_owned()),
            }]));
        }
        (Some(until), None) => Some(until.0),
        (None, Some(length)) => Some(api.clock.now() + length.0),
        (None, None) => None,
    };
    Ok(PauseFor { until, reason: request.reason })
}

async fn resume(call: Call<One>) -> Result<Tagged<Monitor>, Problem> {
    Ok(tagged(call.api.operations.resume_monitor(&call.caller, call.path.id.0).await?.into()))
}

async fn check_now(call: Call<One>) -> Result<Accepted<Slot>, Problem> {
    let slot = call.api.operations.check_now(&call.caller, call.path.id.0).await?;
    Ok(Accepted(Slot { slot: Time(slot) }))
}

async fn clone(
    call: Call<One, (), OptionalSettings<MonitorPatch>>,
) -> Result<Created<WrittenMonitor>, Problem> {
    let over = call.body.0.node();
    let written = call.api.operations.clone_monitor(&call.caller, call.path.id.0, Some(&over)).await?;
    Ok(created(written.into()))
}
