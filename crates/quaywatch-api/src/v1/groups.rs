//! `/groups`, `/tags`, `/locations`: what monitors are sorted by. All of them are made by being named.

use quaywatch_core::access::{Level, Resource};
use quaywatch_web::problem::Problem;
use schemars::JsonSchema;
use serde::Serialize;

use crate::framework::{Call, Needs, Routes, Shown, Tag, docs};
use crate::wire::account::{Group, Location, TagCount};

pub(super) fn routes(routes: &mut Routes) {
    let look = Needs(Resource::Monitors, Level::Look);
    routes.tag(Tag::Groups);
    routes.get(
        "/groups",
        look,
        groups,
        docs("groups_list", "List groups with what is worst in each")
            .about("Those below one count in it too."),
    );
    routes.tag(Tag::Tags);
    routes.get("/tags", look, tags, docs("tags_list", "List tags and their values"));
    routes.tag(Tag::Locations);
    let look = Needs(Resource::Locations, Level::Look);
    routes.get("/locations", look, locations, docs("locations_list", "List from where checks run"));
}

/// All of them: there are never so many that pages are needed.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AllOf{T}")]
pub(super) struct All<T> {
    pub(super) items: Vec<T>,
}

impl<T> All<T> {
    pub(super) fn of<V: Into<T>>(views: impl IntoIterator<Item = V>) -> Shown<Self> {
        Shown(Self { items: views.into_iter().map(Into::into).collect() })
    }
}

async fn groups(call: Call) -> Result<Shown<All<Group>>, Problem> {
    Ok(All::of(call.api.operations.list_groups(&call.caller).await?))
}

async fn tags(call: Call) -> Result<Shown<All<TagCount>>, Problem> {
    Ok(All::of(call.api.operations.list_tags(&call.caller).await?))
}

async fn locations(call: Call) -> Result<Shown<All<Location>>, Problem> {
    Ok(All::of(call.api.operations.list_locations(&call.caller).await?))
}
