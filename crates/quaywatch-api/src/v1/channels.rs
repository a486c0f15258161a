//! `/channels`: who is told. They are found by id or by name.

use quaywatch_core::access::{Level, Resource};
use quaywatch_web::problem::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::expected;
use super::groups::All;
use crate::framework::{Call, Created, Done, Needs, Routes, Settings, Shown, Tag, Tagged, docs};
use crate::wire::channels::{Channel, ChannelKind, ChannelPatch, ChannelTest, NewChannel};

pub(super) fn routes(routes: &mut Routes) {
    routes.tag(Tag::Channels);
    let look = Needs(Resource::Channels, Level::Look);
    let change = Needs(Resource::Channels, Level::Administer);
    routes.get("/channels", look, list, docs("channels_list", "List channels").about("By name."));
    routes.get(
        "/channels/kinds",
        look,
        kinds,
        docs("channels_kinds", "List the types of channels and their settings"),
    );
    routes.post(
        "/channels",
        change,
        create,
        docs("channels_create", "Make a channel")
            .about("Secrets go in and never come out: `secrets` names those that are set.")
            .example(json!({ "name": "operators", "type": "webhook", "url": "https://hooks.example.com/quaywatch" })),
    );
    routes.get("/channels/{channel}", look, read, docs("channels_read", "Show a channel"));
    routes.patch(
        "/channels/{channel}",
        change,
        update,
        docs("channels_update", "Change a channel").example(json!({ "name": "on call" })),
    );
    routes.delete(
        "/channels/{channel}",
        change,
        delete,
        docs("channels_delete", "Put a channel into the bin"),
    );
    routes.post(
        "/channels/{channel}/test",
        change,
        test,
        docs("channels_test", "Send a test notice")
            .about("One attempt, now. What was sent is shown without its secrets.")
            .never_replayed(),
    );
}

#[derive(Debug, Deserialize, JsonSchema)]
struct One {
    /// Its id (`ch4`) or its name.
    #[schemars(length(min = 1, max = 200), example = &"ch1")]
    channel: String,
}

async fn list(call: Call) -> Result<Shown<All<Channel>>, Problem> {
    Ok(All::of(call.api.operations.list_channels(&call.caller).await?))
}

async fn kinds(call: Call) -> Result<Shown<All<ChannelKind>>, Problem> {
    Ok(All::of(call.api.operations.list_channel_kinds(&call.caller)?))
}

async fn create(call: Call<(), (), Settings<NewChannel>>) -> Result<Created<Channel>, Problem> {
    let value = Channel::from(call.api.operations.create_channel(&call.caller, &call.body.node()).await?);
    Ok(Created { location: format!("/channels/{}", value.id.0), revision: Some(value.revision()), value })
}

async fn read(call: Call<One>) -> Result<Tagged<Channel>, Problem> {
    let value = Channel::from(call.api.operations.read_channel(&call.caller, &call.path.channel).await?);
    Ok(Tagged { revision: value.revision(), value })
}

async fn update(call: Call<One, (), Settings<ChannelPatch>>) -> Result<Tagged<Channel>, Problem> {
    let revision = expected(&call.head)?;
    let patch = call.body.node();
    let view = call.api.operations.patch_channel(&call.caller, &call.path.channel, &patch, revision).await?;
    let value = Channel::from(view);
    Ok(Tagged { revision: value.revision(), value })
}

async fn delete(call: Call<One>) -> Result<Done, Problem> {
    let revision = expected(&call.head)?;
    call.api.operations.delete_channel(&call.caller, &call.path.channel, revision).await?;
    Ok(Done)
}

async fn test(call: Call<One>) -> Result<Shown<ChannelTest>, Problem> {
    Ok(Shown(call.api.operations.test_channel(&call.caller, &call.path.channel).await?.into()))
}
