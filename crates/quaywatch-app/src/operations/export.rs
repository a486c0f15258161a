//! The configuration of an account as the file would have it: reads back equal. Secrets are references, or left out
//! with a line that says so.

use std::collections::BTreeSet;

use quaywatch_core::access::{Level, Policy, Resource};
use quaywatch_core::doc::quote;
use quaywatch_notify::registry;
use quaywatch_store::StoreError;
use quaywatch_store::records::{ChannelRecord, MonitorRecord, Owner};
use serde_json::{Map, Value};

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
        let mut channels = store.channels().await?;
        let mut monitors = store.monitors().await?;
        channels.retain(|one| owner.is_none_or(|owner| one.owner == *owner));
        monitors.retain(|one| owner.is_none_or(|owner| one.owner == *owner));
        // A hundred thousand monitors take a second.
        let writing = tokio::task::spawn_blocking(move || write(&channels, &monitors));
        writing.await.map_err(|_| OperationError::Unavailable("the export failed".to_owned()))?
    }
}

fn write(channels: &[ChannelRecord], monitors: &[MonitorRecord]) -> Result<String, OperationError> {
    let mut writer = Writer::default();
    let mut keys = BTreeSet::new();
    if !channels.is_empty() {
        writer.section("channels", false);
    }
    for channel in channels {
        if !keys.insert(&channel.key) {
            writer.comment(&twin("channel", &channel.name, &channel.owner));
            continue;
        }
        let head = head(&channel.key, &channel.name, ("type", &channel.kind));
        let mut settings = fields("channel", channel.id, &channel.settings)?;
        // A sealed setting is one secret, whatever is in it: the form of the seal is nobody's to read.
        settings.values_mut().filter(|value| sealed::is_sealed(value)).for_each(|value| *value = Value::Null);
        writer.channel(&head, registry::kind(&channel.kind), &settings);
    }
    let mut keys = BTreeSet::new();
    writer.section("monitors", monitors.is_empty());
    for monitor in monitors {
        if keys.insert(&monitor.key) {
            let mut settings = fields("monitor", monitor.id, &monitor.spec)?;
            // A monitor that was renamed keeps its history only under the identity that it has.
            if monitor.key != monitor.name && !settings.contains_key("id") {
                settings.insert("id".to_owned(), monitor.key.clone().into());
            }
            writer.monitor(&settings);
        } else {
            writer.comment(&twin("monitor", &monitor.name, &monitor.owner));
        }
    }
    Ok(writer.finish())
}

/// Two owners may use one name; a document may not.
fn twin(kind: &str, name: &str, owner: &Owner) -> String {
    format!(
        "left out: {kind} {} of owner {}, for another one has that name here",
        quote(name),
        owner.to_text()
    )
}

fn head(key: &str, name: &str, (word, kind): (&str, &str)) -> Map<String, Value> {
    let mut head = Map::new();
    head.insert("name".to_owned(), name.into());
    if key != name {
        head.insert("id".to_owned(), key.into());
    }
    head.insert(word.to_owned(), kind.into());
    head
}

fn fields(
    table: &'static str,
    id: impl std::fmt::Display,
    text: &str,
) -> Result<Map<String, Value>, OperationError> {
    serde_json::from_str(text).map_err(|error| {
        OperationError::Store(StoreError::Damaged {
            table,
            detail: format!("what is stored of {id}: {error}"),
        })
    })
}
