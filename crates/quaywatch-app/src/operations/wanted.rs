//! What a document of an account wants, read beside what is stored: secrets that a document leaves out stay what they
//! are.

use std::collections::BTreeMap;

use quaywatch_core::doc::{Key, Node, Path, Problem, Span, Style, Value as Written, quote};
use quaywatch_core::{AccountId, Secret};
use quaywatch_notify::registry::{self, Kind};
use quaywatch_store::records::{ChannelRecord, MonitorRecord, Owner};
use serde_json::{Map, Value};

use super::{OperationError, Operations, reading};
use crate::config::{Around, MonitorConfig, read_clear, read_document};

/// What is stored of one owner, and what else there is.
pub(super) struct Stored {
    pub(super) owner: Owner,
    pub(super) monitors: Vec<MonitorRecord>,
    pub(super) channels: Vec<ChannelRecord>,
    /// Settings of those channels by key, secrets in the clear.
    pub(super) clear: BTreeMap<String, Map<String, Value>>,
    pub(super) other_channels: Vec<ChannelRecord>,
}

/// What a document wants.
pub(super) struct Wanted {
    pub(super) channels: Vec<WantedChannel>,
    pub(super) monitors: Vec<MonitorConfig>,
    pub(super) warnings: Vec<Problem>,
}

/// A channel of a document.
pub(super) struct WantedChannel {
    pub(super) key: String,
    pub(super) name: String,
    pub(super) kind: &'static Kind,
    pub(super) settings: Secret<Map<String, Value>>,
}

impl Operations {
    /// Reads a document. A hundred thousand monitors take a second: that is no work for a thread that serves others.
    pub(super) async fn read_wanted(
        &self,
        account: AccountId,
        text: &str,
        stored: &Stored,
    ) -> Result<Wanted, OperationError> {
        let mut around = Around { locations: self.known(account).await?.locations, channels: Vec::new() };
        // Its own channels are there only as far as the document still has them; those of an import stay.
        let stay = stored.channels.iter().filter(|_| stored.owner == Owner::Api);
        for channel in stored.other_channels.iter().chain(stay) {
            around.channels.extend([channel.name.clone(), channel.id.to_string(), channel.key.clone()]);
        }
        let (text, clear) = (text.to_owned(), stored.clear.clone());
        let reading = tokio::task::spawn_blocking(move || read(&text, &around, &clear));
        reading.await.map_err(|_| OperationError::Unavailable("the document could not be read".to_owned()))?
    }
}

fn read(
    text: &str,
    around: &Around,
    clear: &BTreeMap<String, Map<String, Value>>,
) -> Result<Wanted, OperationError> {
    let mut document = read_document(text, around);
    let problems = &mut document.problems;
    let list = Path::Root.key("channels");
    let mut channels: Vec<WantedChannel> = Vec::new();
    for (i, node) in document.channels.iter().enumerate() {
        let path = list.index(i);
        let Some(channel) = read_clear(&completed(node, clear), &path, problems) else { continue };
        let key = channel.id.unwrap_or_else(|| channel.name.clone());
        if channels.iter().any(|other| other.key == key || other.name == channel.name) {
            let message = format!("channel {} stands here twice", quote(&channel.name));
            problems.error(&path, node.span, "duplicate_name", message, "give one of the two another name");
        }
        let (name, kind, settings) = (channel.name, channel.kind, channel.settings);
        channels.push(WantedChannel { key, name, kind, settings });
    }
    if !problems.is_fine() {
        return Err(OperationError::Invalid(document.problems));
    }
    let warnings = reading::warnings(&document.problems);
    Ok(Wanted { channels, monitors: document.monitors, warnings })
}

/// A channel of a document with the secrets that it leaves out, where they are stored.
fn completed<'n>(node: &Node<'n>, clear: &BTreeMap<String, Map<String, Value>>) -> Node<'n> {
    let word = |key: &str| match node.get(key).map(|node| &node.value) {
        Some(Written::Scalar(text, _)) => Some(text.trim()),
        Some(Written::Mapping(_) | Written::Sequence(_)) | None => None,
    };
    let stored = word("id").or_else(|| word("name")).and_then(|key| clear.get(key));
    let kind = word("type").and_then(registry::kind);
    let mut node = node.clone();
    let (Some(stored), Some(kind), Written::Mapping(pairs)) = (stored, kind, &mut node.value) else {
        return node;
    };
    for field in kind.fields.iter().filter(|field| field.secret) {
        let is_there = pairs.iter().any(|(key, _)| key.text == field.name);
        if let Some(value) = stored.get(field.name).filter(|_| !is_there) {
            let key = Key { text: field.name.into(), span: Span::default() };
            pairs.push((key, as_node(value)));
        }
    }
    node
}

fn as_node<'n>(value: &Value) -> Node<'n> {
    let value = match value {
        Value::Object(map) => {
            let pair = |(name, value): (&String, &Value)| {
                (Key { text: name.clone().into(), span: Span::default() }, as_node(value))
            };
            Written::Mapping(map.iter().map(pair).collect())
        }
        Value::String(text) => Written::Scalar(text.clone().into(), Style::Quoted),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_)) => {
            Written::Scalar(other.to_string().into(), Style::Plain)
        }
    };
    Node { value, span: Span::default() }
}
