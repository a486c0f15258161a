//! `/bin`: what was deleted and can still be restored.

use quaywatch_core::access::{Level, Resource};
use quaywatch_core::{ChannelId, MonitorId};
use quaywatch_web::problem::Problem;
use schemars::JsonSchema;
use serde::Deserialize;

use super::PageQuery;
use super::groups::All;
use crate::framework::{Call, Listed, Needs, Routes, Shown, Tag, docs};
use crate::wire::channels::Channel;
use crate::wire::config::BinnedMonitor;
use crate::wire::ids::Id;
use crate::wire::monitors::Monitor;
use crate::wire::paging::paging;

pub(super) fn routes(routes: &mut Routes) {
    routes.tag(Tag::Bin);
    routes.get(
        "/bin/monitors",
        Needs(Resource::Monitors, Level::Look),
        monitors,
        docs("bin_monitors", "List monitors in the bin").about("The last removed first."),
    );
    routes.post(
        "/bin/monitors/{id}/restore",
        Needs(Resource::Monitors, Level::Edit),
        restore_monitor,
        docs("bin_restore_monitor", "Take a monitor out of the bin again").about("With its history."),
    );
    routes.get(
        "/bin/channels",
        Needs(Resource::Channels, Level::Look),
        channels,
        docs("bin_channels", "List channels in the bin"),
    );
    routes.post(
        "/bin/channels/{id}/restore",
        Needs(Resource::Channels, Level::Administer),
        restore_channel,
        docs("bin_restore_channel", "Take a channel out of the bin again"),
    );
}

#[derive(Debug, Deserialize, JsonSchema)]
struct OneMonitor {
    id: Id<MonitorId>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct OneChannel {
    id: Id<ChannelId>,
}

async fn monitors(call: Call<(), PageQuery>) -> Result<Listed<BinnedMonitor>, Problem> {
    let paging = paging(call.query.after, call.query.limit);
    let page = call.api.operations.list_removed_monitors(&call.caller, &paging).await?;
    Ok(Listed::of(page))
}

async fn restore_monitor(call: Call<OneMonitor>) -> Result<Shown<Monitor>, Problem> {
    Ok(Shown(call.api.operations.restore_monitor(&call.caller, call.path.id.0).await?.into()))
}

async fn channels(call: Call) -> Result<Shown<All<Channel>>, Problem> {
    Ok(All::of(call.api.operations.list_removed_channels(&call.caller).await?))
}

async fn restore_channel(call: Call<OneChannel>) -> Result<Shown<Channel>, Problem> {
    Ok(Shown(call.api.operations.restore_channel(&call.caller, call.path.id.0).await?.into()))
}
