//! Channels from their records. Secrets become clear here, at the last moment and in memory only: those of the server's
//! file are references, which are resolved; all others are sealed, and are opened. A reference in any other channel is
//! a text like any other: resolving it would let whoever may make a channel read the server's environment.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use quaywatch_core::Clock;
use quaywatch_core::egress::EgressPolicy;
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

/// The egress policy in force: it changes with the file.
pub(super) type InForce = Arc<RwLock<EgressPolicy>>;

/// A factory for channels of every kind. Each dials under the policy of its own account; one that was made stays under
/// the policy of that moment, so whoever changes the policy has all made anew. `directory` is where `file:` references
/// with relative paths begin.
pub(super) fn factory(
    client: HttpClient,
    egress: InForce,
    clock: Arc<dyn Clock>,
    directory: PathBuf,
    vault: Option<Arc<dyn Vault>>,
) -> ChannelFactory {
    Arc::new(move |record: &ChannelRecord| {
        let policy = egress.read().unwrap_or_else(PoisonError::into_inner).of(record.account);
        let wire: Arc<dyn Wire> = Arc::new(client.with_dialler(client.dialler().under(policy)));
        let site = Site { wire, clock: Arc::clone(&clock), user_agent: USER_AGENT.to_owned() };
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

    #[tokio::test]
    async fn each_channel_dials_under_the_policy_of_its_own_account_as_it_is_in_force() {
        use quaywatch_core::egress::Accounts;
        use quaywatch_net::http::tls;
        use quaywatch_net::{Dialler, Resolver, ResolverConfig, SystemClock};
        use quaywatch_notify::{Attempt, Class, EventKind, Notice, notice::ServerWords};

        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let resolver = Resolver::new(ResolverConfig::default(), Arc::clone(&clock));
        let dialler = Dialler::new(resolver, EgressPolicy::default(), Arc::clone(&clock));
        let client = HttpClient::new(dialler, tls::client_config(tls::roots()), Arc::clone(&clock));
        let policy = |deny: &[&str]| {
            let deny = deny.iter().map(|text| text.parse().expect("a network")).collect();
            EgressPolicy::new(Accounts::Multi, Vec::new(), deny)
        };
        let egress: InForce = Arc::new(RwLock::new(policy(&[])));
        let make = factory(client, Arc::clone(&egress), Arc::clone(&clock), PathBuf::new(), None);
        // Nobody listens at the port of discard, and nothing answers but our own machine.
        let settings = serde_json::json!({"url": "http://127.0.0.1:9/hook"});
        let send = async |account| {
            let record = ChannelRecord { account: AccountId(account), ..record(Owner::File, &settings) };
            let channel = make(&record).expect("it can be made");
            let words = ServerWords { name: "watch-1".into(), version: "0".into() };
            let notice = Notice::new(EventKind::NoticeTest, 0, clock.now(), words);
            let attempt =
                Attempt { key: "k".into(), at: clock.now(), late: None, combined: false, reduced: false };
            channel.deliver(channel.render(&notice, &attempt)).await.class
        };
        assert_eq!(send(1).await, Class::Transient, "the server's own account may look at its own network");
        assert_eq!(send(2).await, Class::RefusedByPolicy, "others may not");
        *egress.write().expect("no holder panics") = policy(&["127.0.0.0/8"]);
        assert_eq!(send(1).await, Class::RefusedByPolicy, "a new policy binds what is made from then on");
    }
}
