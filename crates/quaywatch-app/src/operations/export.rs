//! The configuration of an account as the file would have it: reads back equal. Secrets are references, or left empty
//! with a word that says so.

use quaywatch_core::access::{Level, Policy, Resource};
use quaywatch_notify::registry;
use quaywatch_store::records::{ChannelRecord, MonitorRecord, Owner};
use serde_json::{Map, Value};

use super::called::{Called, damaged};
use super::{OperationError, Operations, sealed};
use crate::caller::Caller;
use crate::config::Writer;

impl Operations {
    /// Channels and monitors as YAML; those of one owner where one is named.
    ///
    /// # Errors
    /// Where the caller may not.
    pub async fn export_config(
        &self,
        caller: &Caller,
        owner: Option<&Owner>,
    ) -> Result<String, OperationError> {
        caller.require(Policy::new(Resource::Config, Level::Look))?;
        let store = self.account(caller);
        let known = store.channels().await?;
        let mut channels = known.clone();
        let mut monitors = store.monitors().await?;
        channels.retain(|one| owner.is_none_or(|owner| one.owner == *owner));
        monitors.retain(|one| owner.is_none_or(|owner| one.owner == *owner));
        // A hundred thousand monitors take a second.
        let writing = tokio::task::spawn_blocking(move || {
            let called = Called::of(monitors.iter(), channels.iter(), &known);
            write(&channels, &monitors, &called)
        });
        writing.await.map_err(|_| OperationError::Unavailable("the export failed".to_owned()))?
    }
}

fn write(
    channels: &[ChannelRecord],
    monitors: &[MonitorRecord],
    called: &Called,
) -> Result<String, OperationError> {
    let mut writer = Writer::default();
    if !channels.is_empty() {
        writer.section("channels", false);
    }
    for channel in channels {
        let head = head(called.channel(channel), channel);
        writer.channel(&head, registry::kind(&channel.kind), &open(channel)?);
    }
    writer.section("monitors", monitors.is_empty());
    for monitor in monitors {
        let mut settings =
            called.settings(&monitor.spec).map_err(|error| damaged("monitor", monitor.id, &error))?;
        // A monitor that was renamed keeps its history only under the identity that it has.
        let id = called.monitor(monitor);
        if id != monitor.name {
            settings.insert("id".to_owned(), id.into());
        }
        writer.monitor(&settings);
    }
    Ok(writer.finish())
}

fn head(id: &str, channel: &ChannelRecord) -> Map<String, Value> {
    let mut head = Map::new();
    head.insert("name".to_owned(), channel.name.as_str().into());
    if id != channel.name {
        head.insert("id".to_owned(), id.into());
    }
    head.insert("type".to_owned(), channel.kind.as_str().into());
    head
}

/// The settings of a channel; null stands for what is sealed. A sealed setting is one secret, whatever is in it: the
/// form of the seal is nobody's to read.
pub(super) fn open(channel: &ChannelRecord) -> Result<Map<String, Value>, OperationError> {
    let mut settings: Map<String, Value> =
        serde_json::from_str(&channel.settings).map_err(|error| damaged("channel", channel.id, &error))?;
    settings.values_mut().filter(|value| sealed::is_sealed(value)).for_each(|value| *value = Value::Null);
    Ok(settings)
}
