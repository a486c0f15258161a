//! Channels from their records. Secrets become clear here, at the last moment and in memory only: those of the server's
//! file are references, which are resolved; all others are sealed, and are opened. A reference in any other channel is
//! a text like any other: resolving it would let whoever may make a channel read the server's environment.

use std::path::PathBuf;
use std::sync::Arc;

use quaywatch_core::Clock;
use quaywatch_engine::ChannelFactory;
use quaywatch_net::http::HttpClient;
use quaywatch_notify::registry::{self, Site};
use quaywatch_notify::wire::Wire;
use quaywatch_store::records::{ChannelRecord, Owner};
use serde_json::{Map, Value};

use crate::config::Sources;
use crate::operations::sealed::{self, Vault};

/// What receivers see of us.
const USER_AGENT: &str = concat!("Quaywatch/", env!("CARGO_PKG_VERSION"));

/// A factory for channels of every kind. `directory` is where `file:` references with relative paths begin.
pub(super) fn factory(
    client: HttpClient,
    clock: Arc<dyn Clock>,
    directory: PathBuf,
    vault: Option<Arc<dyn Vault>>,
) -> ChannelFactory {
    let wire: Arc<dyn Wire> = Arc::new(client);
    let site = Site { wire, clock, user_agent: USER_AGENT.to_owned() };
    Arc::new(move |record: &ChannelRecord| {
        let env = |name: &str| std::env::var(name).ok();
        let sources = Sources { env: &env, dir: directory.clone() };
        let settings = settings(record, &sources, vault.as_deref())
            .map_err(|what| format!("channel `{}`: {what}", record.name))?;
        registry::build(&record.kind, &settings, &site)
            .map_err(|problems| format!("channel `{}`: {problems}", record.name))
    })
}

/// The record's settings with its secrets in the clear.
fn settings(
    record: &ChannelRecord,
    sources: &Sources<'_>,
    vault: Option<&dyn Vault>,
) -> Result<Map<String, Value>, String> {
    let stored: Map<String, Value> = serde_json::from_str(&record.settings)
        .map_err(|error| format!("the stored settings cannot be read: {error}"))?;
    match record.owner {
        Owner::File => stored
            .into_iter()
            .map(|(name, value)| resolve(value, sources).map(|value| (name, value)))
            .collect(),
        Owner::Api | Owner::Apply(_) => sealed::open(vault, record.account, &stored),
    }
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

#[cfg(test)]
mod tests {
    use quaywatch_core::{AccountId, ChannelId};

    use super::*;
    use crate::operations::sealed::tests::Mirror;

    fn record(owner: Owner, settings: &Value) -> ChannelRecord {
        ChannelRecord {
            id: ChannelId(1),
            account: AccountId(1),
            owner,
            key: "ops".into(),
            name: "ops".into(),
            kind: "webhook".into(),
            settings: settings.to_string(),
            revision: 1,
        }
    }

    fn clear(record: &ChannelRecord) -> Result<Map<String, Value>, String> {
        let env = |name: &str| (name == "TOKEN").then(|| "PLANTED".to_owned());
        settings(record, &Sources { env: &env, dir: PathBuf::from("/nonexistent") }, Some(&Mirror))
    }

    #[test]
    fn references_are_resolved_for_the_servers_own_file_only() {
        let written = serde_json::json!({"url": "https://hooks.example.com/${TOKEN}"});
        let of_file = clear(&record(Owner::File, &written)).expect("it leads somewhere");
        assert_eq!(of_file["url"], "https://hooks.example.com/PLANTED");
        for owner in [Owner::Api, Owner::Apply("team".into())] {
            let of_others = clear(&record(owner, &written)).expect("a text like any other");
            assert_eq!(of_others["url"], "https://hooks.example.com/${TOKEN}");
        }
    }

    #[test]
    fn sealed_secrets_are_opened_for_delivery() {
        let kind = registry::kind("webhook").expect("there are webhooks");
        let given = serde_json::json!({"url": "https://hooks.example.com/PLANTED", "method": "PUT"});
        let given = given.as_object().expect("an object");
        let stored = sealed::seal(&Mirror, AccountId(1), kind, given).expect("sealed");
        assert_eq!(clear(&record(Owner::Api, &Value::Object(stored))), Ok(given.clone()));
    }
}
