//! `/account`: plan, limits, use.

use quaywatch_core::access::{Level, Resource};
use quaywatch_web::problem::Problem;

use crate::framework::{Call, Needs, Routes, Shown, Tag, docs};
use crate::wire::account::Account;

pub(super) fn routes(routes: &mut Routes) {
    routes.tag(Tag::Account);
    let look = Needs(Resource::Account, Level::Look);
    routes.get("/account", look, read, docs("account_read", "Show plan, limits and use"));
}

async fn read(call: Call) -> Result<Shown<Account>, Problem> {
    Ok(Shown(call.api.operations.read_account(&call.caller).await?.into()))
}
