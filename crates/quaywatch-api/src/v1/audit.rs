//! `/audit`: who changed what.

use quaywatch_app::operations::audit::AuditQuery as AppAuditQuery;
use quaywatch_core::access::{Level, Resource};
use quaywatch_web::problem::Problem;
use schemars::JsonSchema;
use serde::Deserialize;

use super::window_or_all;
use crate::framework::{Call, Listed, Needs, Routes, Tag, docs};
use crate::wire::account::AuditRow;
use crate::wire::paging::{After, Limit, paging};
use crate::wire::time::Time;

pub(super) fn routes(routes: &mut Routes) {
    routes.tag(Tag::Audit);
    let administer = Needs(Resource::Audit, Level::Administer);
    routes.get(
        "/audit",
        administer,
        list,
        docs("audit_list", "List who changed what").about("Newest first. Secrets never stand in it."),
    );
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AuditQuery {
    /// Only of this kind of thing: `monitor`, `channel`, `token`, …
    #[schemars(length(min = 1, max = 40))]
    kind: Option<String>,
    /// Only of the thing with this id: `m42`, `ch4`; a number alone means it of any kind.
    #[schemars(length(min = 1, max = 100))]
    object: Option<String>,
    /// Only by this actor: `user:u3`, `token:tok5`, `file`, `cli:0`.
    #[schemars(length(min = 1, max = 100))]
    actor: Option<String>,
    /// From then on.
    from: Option<Time>,
    /// Before then.
    to: Option<Time>,
    after: Option<After>,
    limit: Option<Limit>,
}

async fn list(call: Call<(), AuditQuery>) -> Result<Listed<AuditRow>, Problem> {
    let asked = call.query;
    let query = AppAuditQuery {
        kind: asked.kind,
        object: asked.object,
        actor: asked.actor,
        window: window_or_all(&call.api, asked.from, asked.to),
        paging: paging(asked.after, asked.limit),
    };
    let page = call.api.operations.list_audit(&call.caller, &query).await?;
    Ok(Listed::of(page))
}
