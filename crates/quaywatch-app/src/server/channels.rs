//! Channels from their records: references to secrets are resolved here, at the last moment, and never written back.

use std::path::PathBuf;
use std::sync::Arc;

use quaywatch_core::Clock;
use quaywatch_engine::ChannelFactory;
use quaywatch_net::http::HttpClient;
use quaywatch_notify::registry::{self, Site};
use quaywatch_notify::wire::Wire;
use quaywatch_store::records::ChannelRecord;
use serde_json::Value;

use crate::config::Sources;

/// What receivers see of us.
const USER_AGENT: &str = concat!("Quaywatch/", env!("CARGO_PKG_VERSION"));

/// A factory for channels of every kind. `directory` is where `file:` references with relative paths begin.
pub(super) fn factory(client: HttpClient, clock: Arc<dyn Clock>, directory: PathBuf) -> ChannelFactory {
    let wire: Arc<dyn Wire> = Arc::new(client);
    let site = Site { wire, clock, user_agent: USER_AGENT.to_owned() };
    Arc::new(move |record: &ChannelRecord| {
        let settings: Value = serde_json::from_str(&record.settings).map_err(|error| {
            format!("the stored settings of channel `{}` cannot be read: {error}", record.name)
        })?;
        let sources = Sources { env: &|name| std::env::var(name).ok(), dir: directory.clone() };
        let resolved =
            resolve(settings, &sources).map_err(|what| format!("channel `{}`: {what}", record.name))?;
        let Value::Object(resolved) = resolved else {
            return Err(format!("the stored settings of channel `{}` are no mapping", record.name));
        };
        registry::build(&record.kind, &resolved, &site)
            .map_err(|problems| format!("channel `{}`: {problems}", record.name))
    })
}

fn resolve(value: Value, sources: &Sources<'_>) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => Value::String(sources.resolve(&text).map_err(|error| error.message)?),
        Value::Array(items) => {
            Value::Array(items.into_iter().map(|item| resolve(item, sources)).collect::<Result<_, _>>()?)
        }
        Value::Object(pairs) => Value::Object(
            pairs
                .into_iter()
                .map(|(name, item)| resolve(item, sources).map(|item| (name, item)))
                .collect::<Result<_, _>>()?,
        ),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => other,
    })
}
