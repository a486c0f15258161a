//! `/urls`: the call that other products document, for scripts that already make it. A thin coat over the operations
//! of monitors: the same things, the same rules, other names, and numbers for ids.

use quaywatch_core::access::{Level, Resource};
use quaywatch_web::problem::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{PageQuery, expected, window_or_all};
use crate::framework::{Call, Created, Done, Listed, Needs, Routes, Settings, Tag, Tagged, docs};
use crate::wire::paging::{After, Limit, paging};
use crate::wire::time::Time;
use crate::wire::urls::{NewUrl, One, Url, UrlLogRow, UrlPatch, WrittenUrlBody};

const LOOK: Needs = Needs(Resource::Monitors, Level::Look);
const EDIT: Needs = Needs(Resource::Monitors, Level::Edit);

pub(super) fn routes(routes: &mut Routes) {
    routes.tag(Tag::Urls);
    routes.get("/urls", LOOK, list, docs("urls_list", "List urls"));
    routes.post(
        "/urls",
        EDIT,
        create,
        docs("urls_create", "Make a url")
            .about("`notify_*` names every channel of that type; where there is none, `warnings` says so.")
            .example(json!({
                "url": "db.example.com",
                "monitor_type": "tcp",
                "port": 3306,
                "period": 60,
                "notify_telegram": true,
            })),
    );
    routes.get("/urls/{id}", LOOK, read, docs("urls_read", "Show a url"));
    routes.patch(
        "/urls/{id}",
        EDIT,
        update,
        docs("urls_update", "Change a url").example(json!({ "period": 300 })),
    );
    routes.delete("/urls/{id}", EDIT, delete, docs("urls_delete", "Put a url into the bin"));
    routes.get(
        "/urls/{id}/logs",
        Needs(Resource::Results, Level::Look),
        logs,
        docs("urls_logs", "Show the checks of a url")
            .about("The newest first; `error_status` is null where all was well."),
    );
}

async fn list(call: Call<(), PageQuery>) -> Result<Listed<Url>, Problem> {
    let paging = paging(call.query.after, call.query.limit);
    let page = call.api.operations.list_urls(&call.caller, &paging).await?;
    Ok(Listed::of(page))
}

async fn create(call: Call<(), (), Settings<NewUrl>>) -> Result<Created<WrittenUrlBody>, Problem> {
    let written = call.api.operations.create_url(&call.caller, &call.body.node()).await?;
    let revision = Some(u64::from(written.url.revision));
    let value = WrittenUrlBody::from(written);
    Ok(Created { location: format!("/urls/{}", value.id()), revision, value })
}

async fn read(call: Call<One>) -> Result<Tagged<Url>, Problem> {
    let url = call.api.operations.read_url(&call.caller, call.path.monitor()).await?;
    Ok(Tagged { revision: u64::from(url.revision), value: url.into() })
}

async fn update(call: Call<One, (), Settings<UrlPatch>>) -> Result<Tagged<WrittenUrlBody>, Problem> {
    let revision = expected(&call.head)?;
    let patch = call.body.node();
    let id = call.path.monitor();
    let written = call.api.operations.update_url(&call.caller, id, &patch, revision).await?;
    Ok(Tagged { revision: u64::from(written.url.revision), value: written.into() })
}

async fn delete(call: Call<One>) -> Result<Done, Problem> {
    let revision = expected(&call.head)?;
    call.api.operations.delete_monitor(&call.caller, call.path.monitor(), revision).await?;
    Ok(Done)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LogQuery {
    /// Checks from then on.
    from: Option<Time>,
    /// Checks before then.
    to: Option<Time>,
    after: Option<After>,
    limit: Option<Limit>,
}

async fn logs(call: Call<One, LogQuery>) -> Result<Listed<UrlLogRow>, Problem> {
    let asked = call.query;
    let window = window_or_all(&call.api, asked.from, asked.to);
    let paging = paging(asked.after, asked.limit);
    let id = call.path.monitor();
    let page = call.api.operations.list_url_logs(&call.caller, id, window, &paging).await?;
    Ok(Listed::of(page))
}
