//! `/presets`: the ports that forms offer.

use quaywatch_core::access::{Level, Resource};
use quaywatch_web::problem::Problem;

use crate::framework::{Call, Needs, Routes, Shown, Tag, docs};
use crate::wire::presets::Presets;

pub(super) fn routes(routes: &mut Routes) {
    routes.tag(Tag::Presets);
    let look = Needs(Resource::Locations, Level::Look);
    routes.get("/presets", look, list, docs("presets_list", "Show well-known services and their ports"));
}

async fn list(call: Call) -> Result<Shown<Presets>, Problem> {
    Ok(Shown(call.api.operations.list_presets(&call.caller)?.into()))
}
