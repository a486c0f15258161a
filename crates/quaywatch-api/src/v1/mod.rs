//! The endpoints, one file a resource.

mod account;
mod audit;
mod bin;
mod bulk;
mod channels;
mod configuration;
mod events;
mod groups;
mod history;
mod incidents;
mod monitors;
mod passkeys;
mod people;
mod presets;
mod providers;
mod session;
mod tokens;
mod urls;

use quaywatch_app::caller::Caller;
use quaywatch_core::Timestamp;
use quaywatch_store::records::Window;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::Api;
use crate::framework::{Call, Routes};
use crate::wire::paging::{After, Limit};
use crate::wire::time::Time;

/// Registers all of them.
pub(crate) fn routes(routes: &mut Routes) {
    monitors::routes(routes);
    bulk::routes(routes);
    history::routes(routes);
    incidents::routes(routes);
    groups::routes(routes);
    channels::routes(routes);
    presets::routes(routes);
    configuration::routes(routes);
    bin::routes(routes);
    account::routes(routes);
    audit::routes(routes);
    events::routes(routes);
    tokens::routes(routes);
    people::routes(routes);
    session::routes(routes);
    passkeys::routes(routes);
    providers::routes(routes);
    urls::routes(routes);
}

/// A call of everybody, known or not.
type Open<B> = Call<(), (), B, Option<Caller>>;

/// The revision that `If-Match` asks for, as operations have it.
fn expected(head: &crate::framework::Head) -> Result<Option<u32>, quaywatch_web::problem::Problem> {
    // A number that no revision can be matches none, which is what the header asks to be told.
    Ok(head.expected_revision()?.map(|revision| u32::try_from(revision).unwrap_or(u32::MAX)))
}

/// A page of a list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PageQuery {
    after: Option<After>,
    limit: Option<Limit>,
}

/// The day before now, where nobody says which time.
const USUAL_WINDOW: std::time::Duration = std::time::Duration::from_secs(86_400);

/// A piece of time from what a query says of it.
fn window(api: &Api, from: Option<Time>, to: Option<Time>) -> Window {
    let to = to.map_or_else(|| api.clock.now(), |to| to.0);
    Window { from: from.map_or(to - USUAL_WINDOW, |from| from.0), to }
}

/// The same where nothing said means all of it.
fn window_or_all(api: &Api, from: Option<Time>, to: Option<Time>) -> Option<Window> {
    (from.is_some() || to.is_some()).then(|| Window {
        from: from.map_or(Timestamp(0), |from| from.0),
        to: to.map_or_else(|| api.clock.now(), |to| to.0),
    })
}
