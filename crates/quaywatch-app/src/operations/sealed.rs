//! Secrets of channels that were not made by the server's file: sealed before they are stored, opened in memory when the
//! channel is made, and shown by name only.
//!
//! A sealed setting stands in the settings as `{"$sealed": "…"}`. It is bound to its account and its name, so that one
//! that is copied to another place does not open there.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use quaywatch_core::AccountId;
use quaywatch_core::doc::{Node, Path, Problems};
use quaywatch_notify::registry::{Form, Kind};
use quaywatch_store::Sealer;
use serde_json::{Map, Value};

use super::OperationError;
use super::channels::SecretView;

const MARK: &str = "$sealed";

/// What seals, with a key that is not in the store.
pub(crate) trait Vault: Send + Sync {
    /// Sealed bytes that open only under the same `place`.
    fn seal(&self, place: &str, clear: &[u8]) -> Result<Vec<u8>, String>;
    /// What something is recognised by, and nobody learns anything of it from.
    fn fingerprint(&self, place: &str, clear: &[u8]) -> [u8; 32];
    /// Whether it was sealed with an older key than the one in force.
    fn is_outdated(&self, sealed: &[u8]) -> bool;
    /// What was sealed. The error is for people, and names the remedy.
    fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, String>;
}

impl Vault for Sealer {
    fn seal(&self, place: &str, clear: &[u8]) -> Result<Vec<u8>, String> {
        Self::seal(self, place, clear).map_err(|error| error.to_string())
    }

    fn fingerprint(&self, place: &str, clear: &[u8]) -> [u8; 32] {
        Self::fingerprint(self, place, clear)
    }

    fn is_outdated(&self, sealed: &[u8]) -> bool {
        Self::is_outdated(self, sealed)
    }

    fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, String> {
        Self::open(self, place, sealed).map(|clear| clear.to_vec()).map_err(|error| error.to_string())
    }
}

/// Settings as they may be stored.
pub(crate) fn seal(
    vault: &dyn Vault,
    account: AccountId,
    kind: &Kind,
    clear: &Map<String, Value>,
) -> Result<Map<String, Value>, OperationError> {
    let mut stored = Map::new();
    for (name, value) in clear {
        let is_secret = kind.fields.iter().any(|field| field.name == name && field.secret);
        let value = if is_secret {
            let bytes = vault.seal(&place(account, name), value.to_string().as_bytes());
            let bytes = bytes.map_err(OperationError::Unavailable)?;
            Value::Object(Map::from_iter([(MARK.to_owned(), Value::String(STANDARD_NO_PAD.encode(bytes)))]))
        } else {
            value.clone()
        };
        stored.insert(name.clone(), value);
    }
    Ok(stored)
}

/// Settings as they were given. The error names the setting and never holds a value.
pub(crate) fn open(
    vault: Option<&dyn Vault>,
    account: AccountId,
    stored: &Map<String, Value>,
) -> Result<Map<String, Value>, String> {
    let mut clear = Map::new();
    for (name, value) in stored {
        let value = match sealed_text(value) {
            None => value.clone(),
            Some(text) => {
                let vault =
                    vault.ok_or_else(|| format!("`{name}` is sealed, and there is no key to open it"))?;
                let damaged = || format!("`{name}` is damaged");
                let bytes = STANDARD_NO_PAD.decode(text).map_err(|_| damaged())?;
                let bytes =
                    vault.open(&place(account, name), &bytes).map_err(|why| format!("`{name}`: {why}"))?;
                serde_json::from_slice(&bytes).map_err(|_| damaged())?
            }
        };
        clear.insert(name.clone(), value);
    }
    Ok(clear)
}

/// Splits stored settings into what may be shown and the names of what may not.
pub(crate) fn shown(
    vault: Option<&dyn Vault>,
    account: AccountId,
    kind: Option<&Kind>,
    stored: &Map<String, Value>,
) -> (Map<String, Value>, Vec<SecretView>) {
    let (mut settings, mut secrets) = (Map::new(), Vec::new());
    for (name, value) in stored {
        let field = kind.and_then(|kind| kind.fields.iter().find(|field| field.name == name));
        // What a kind of another version calls this is not known: better hidden.
        if field.is_some_and(|field| !field.secret) && sealed_text(value).is_none() {
            settings.insert(name.clone(), value.clone());
            continue;
        }
        let one = Map::from_iter([(name.clone(), value.clone())]);
        let clear = open(vault, account, &one).ok().and_then(|mut one| one.remove(name));
        let form = field.map(|field| field.form);
        secrets
            .push(SecretView { name: name.clone(), hint: clear.and_then(|clear| hint(name, form, &clear)) });
    }
    (settings, secrets)
}

/// Secrets are written, never read: one that was kept while the channel is led to another place would be told there to
/// whoever changed it. So where the destination changes, each has to be given again. `given` is what was sent.
pub(crate) fn expect_given_again(
    kind: &Kind,
    (old, new): (&Map<String, Value>, &Map<String, Value>),
    (given, path): (&Node<'_>, &Path<'_>),
    problems: &mut Problems,
) {
    let moved = kind.destination.iter().find(|name| leads_to(old.get(**name)) != leads_to(new.get(**name)));
    let Some(moved) = moved else { return };
    let mut keeps = |at: &Path<'_>, name: &str| {
        let message =
            format!("`{name}` was given for another place than the one to which `{moved}` leads now");
        let remedy = format!("send `{name}` again together with `{moved}`, or `null` to take it away");
        problems.error(at, given.span, "secret_again", message, remedy);
    };
    let is_given = |node: Option<&Node<'_>>| node.is_some_and(|node| !node.is_null());
    let secrets = kind.fields.iter().filter(|field| field.secret && !kind.destination.contains(&field.name));
    for field in secrets {
        let (sent, at) = (given.get(field.name), path.key(field.name));
        match new.get(field.name) {
            None => {}
            Some(Value::Object(entries)) => {
                for name in entries.keys().filter(|name| !is_given(sent.and_then(|sent| sent.get(name)))) {
                    keeps(&at.key(name), name);
                }
            }
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_))
                if is_given(sent) => {}
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                keeps(&at, field.name);
            }
        }
    }
}

/// The origin of a URL, anything else as it is.
fn leads_to(value: Option<&Value>) -> Option<String> {
    let text = value?.as_str()?;
    let url = url::Url::parse(text).ok().filter(url::Url::has_host);
    Some(url.map_or_else(|| text.to_owned(), |url| url.origin().ascii_serialization()))
}

/// Whether a setting is sealed.
pub(crate) fn is_sealed(value: &Value) -> bool {
    sealed_text(value).is_some()
}

fn sealed_text(value: &Value) -> Option<&str> {
    value.as_object().filter(|map| map.len() == 1)?.get(MARK)?.as_str()
}

fn place(account: AccountId, name: &str) -> String {
    format!("channel/{account}/{name}")
}

/// What may be said of a secret: where a URL leads, which headers are set. Their values carry tokens.
fn hint(name: &str, form: Option<Form>, clear: &Value) -> Option<String> {
    match (form, clear) {
        (Some(Form::Map), Value::Object(map)) => {
            Some(map.keys().map(String::as_str).collect::<Vec<_>>().join(", "))
        }
        (Some(Form::Text), Value::String(text)) if name == "url" => {
            let url = url::Url::parse(text).ok()?;
            url.host_str().map(|host| format!("{}://{host}", url.scheme()))
        }
        (Some(Form::Text | Form::Map) | None, _) => None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use quaywatch_notify::registry;

    use super::*;

    /// Turns bytes around, and remembers the place.
    pub(crate) struct Mirror;

    impl Vault for Mirror {
        fn seal(&self, place: &str, clear: &[u8]) -> Result<Vec<u8>, String> {
            let mut all = place.as_bytes().to_vec();
            all.push(0);
            all.extend(clear);
            all.reverse();
            Ok(all)
        }

        fn fingerprint(&self, _: &str, clear: &[u8]) -> [u8; 32] {
            let mut print = [0; 32];
            print.iter_mut().zip(clear).for_each(|(print, byte)| *print = *byte);
            print
        }

        fn is_outdated(&self, _: &[u8]) -> bool {
            false
        }

        fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, String> {
            let mut all = sealed.to_vec();
            all.reverse();
            let clear = all.strip_prefix(place.as_bytes()).and_then(|rest| rest.strip_prefix(&[0]));
            clear.map(<[u8]>::to_vec).ok_or_else(|| "it was sealed for another place".to_owned())
        }
    }

    fn settings() -> Map<String, Value> {
        let value = serde_json::json!({
            "url": "https://hooks.example.com/T0PSECRET?k=HUSH", "method": "PUT",
            "headers": {"x-key": "PLANTED"}, "secret": "whsec_PLANTEDPLANTEDPLANTED"
        });
        value.as_object().expect("an object").clone()
    }

    #[test]
    fn what_is_secret_is_stored_sealed_and_opens_in_its_own_account_only() {
        let kind = registry::kind("webhook").expect("there are webhooks");
        let stored = seal(&Mirror, AccountId(1), kind, &settings()).expect("sealed");
        let text = Value::Object(stored.clone()).to_string();
        for secret in ["T0PSECRET", "HUSH", "PLANTED"] {
            assert!(!text.contains(secret), "{text}");
        }
        assert_eq!(stored["method"], "PUT");
        assert_eq!(open(Some(&Mirror), AccountId(1), &stored), Ok(settings()));
        let elsewhere = open(Some(&Mirror), AccountId(2), &stored).expect_err("another account's");
        assert!(!elsewhere.contains("PLANTED"));
        assert!(open(None, AccountId(1), &stored).is_err());
    }

    #[test]
    fn what_is_shown_of_a_secret_is_its_name_its_host_or_its_headers() {
        let kind = registry::kind("webhook").expect("there are webhooks");
        let stored = seal(&Mirror, AccountId(1), kind, &settings()).expect("sealed");
        let (open, secrets) = shown(Some(&Mirror), AccountId(1), Some(kind), &stored);
        assert_eq!(Value::Object(open), serde_json::json!({"method": "PUT"}));
        let told: Vec<(&str, Option<&str>)> =
            secrets.iter().map(|secret| (secret.name.as_str(), secret.hint.as_deref())).collect();
        assert_eq!(
            told,
            [("headers", Some("x-key")), ("secret", None), ("url", Some("https://hooks.example.com"))]
        );
        let (open, secrets) = shown(None, AccountId(1), None, &stored);
        assert!(open.is_empty() && secrets.iter().all(|secret| secret.hint.is_none()), "unknown kind");
    }
}
