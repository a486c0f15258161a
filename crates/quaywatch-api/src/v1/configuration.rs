//! `/export`, `/import`, `/apply`: everything as one YAML document, the same as the file.

use quaywatch_app::operations::apply::Document;
use quaywatch_core::access::{Level, Resource};
use quaywatch_web::problem::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::framework::{Call, Needs, Raw, Routes, Shown, Tag, Text, docs};
use crate::wire::config::ApplyPlan;
use crate::wire::monitors::owner;

/// A hundred thousand monitors.
const BODY_LIMIT: usize = 16 << 20;

pub(super) fn routes(routes: &mut Routes) {
    routes.tag(Tag::Configuration);
    let administer = Needs(Resource::Config, Level::Administer);
    let example = "monitors:\n  - name: orders database\n    host: db.example.com\n    port: 5432\n";
    routes.get(
        "/export",
        Needs(Resource::Config, Level::Look),
        export,
        docs("config_export", "Write channels and monitors as YAML")
            .about(
                "It reads back equal: `import` changes nothing on the server that wrote it. Channels stand in it by name. \
                 Secrets are references, or empty with a word that says so. Where things of several owners share an \
                 identity, all but one get an `id` with their owner's name (`db@file`).",
            ),
    );
    routes.post(
        "/import",
        administer,
        import,
        docs("config_import", "Bring in a YAML document")
            .about(
                "What it brings belongs to the account; what is not in it stays, and what stands in it as somebody has it \
                 already is unchanged, whoever owns it. Secrets that it leaves out stay what they are; a channel that is \
                 new here needs them. `dry_run` only says what would change.",
            )
            .example(json!(example))
            .body_limit(BODY_LIMIT),
    );
    routes.post(
        "/apply/{name}",
        administer,
        apply,
        docs("config_apply", "Make a YAML document true")
            .about(
                "What it brings is owned by `apply:<name>`, and what that owner had and is no longer in it goes into the \
                 bin. `dry_run` only says what would change.",
            )
            .example(json!(example))
            .body_limit(BODY_LIMIT),
    );
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ExportQuery {
    /// Only what this owner has: `api`, `file` or `apply:<name>`.
    #[schemars(regex(pattern = r"^(api|file|apply:[A-Za-z0-9._-]{1,64})$"))]
    managed_by: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DryRunQuery {
    /// Only say what would change.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Named {
    /// Who owns what the document brings.
    #[schemars(regex(pattern = r"^[A-Za-z0-9._-]{1,64}$"), example = &"infra")]
    name: String,
}

async fn export(call: Call<(), ExportQuery>) -> Result<Text, Problem> {
    let owner = call.query.managed_by.as_deref().and_then(owner);
    Ok(Text(call.api.operations.export_config(&call.caller, owner.as_ref()).await?))
}

async fn import(call: Call<(), DryRunQuery, Raw>) -> Result<Shown<ApplyPlan>, Problem> {
    let (text, dry_run) = (&call.body.0, call.query.dry_run);
    let plan = call.api.operations.apply_document(&call.caller, &Document::Import, text, dry_run).await?;
    Ok(Shown(plan.into()))
}

async fn apply(call: Call<Named, DryRunQuery, Raw>) -> Result<Shown<ApplyPlan>, Problem> {
    let document = Document::Apply(call.path.name);
    let (text, dry_run) = (&call.body.0, call.query.dry_run);
    Ok(Shown(call.api.operations.apply_document(&call.caller, &document, text, dry_run).await?.into()))
}
