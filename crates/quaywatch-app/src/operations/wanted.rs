//! What a document of an account wants, read beside what is stored: secrets that a document leaves out stay what they
//! are, and a channel of another owner that stands in it as it is stays that owner's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quaywatch_core::doc::{Key, Node, Path, Problem, Problems, Span, Style, Value as Written, quote};
use quaywatch_core::{AccountId, BootTime, ChannelId, Secret};
use quaywatch_notify::registry::{self, Kind};
use quaywatch_store::records::{ChannelRecord, MonitorRecord, Owner};
use serde_json::{Map, Value};

use super::called::Called;
use super::hidden::Sealing;
use super::{OperationError, Operations, export, lacking, reading, sealed};
use crate::config::{Around, MonitorConfig, read_document, read_lacking};

/// What is stored, whoever owns it, and how documents call it.
pub(super) struct Stored {
    /// Whose document is read.
    pub(super) owner: Owner,
    pub(super) monitors: Vec<MonitorRecord>,
    pub(super) channels: Vec<ChannelRecord>,
    /// Settings of channels, secrets in the clear; those of others only as far as they can be opened.
    pub(super) clear: BTreeMap<ChannelId, Map<String, Value>>,
    /// Takes in what monitors send in secret.
    pub(super) sealing: Sealing,
    pub(super) now: BootTime,
    pub(super) called: Called,
}

impl Stored {
    pub(super) fn own_monitors(&self) -> impl Iterator<Item = &MonitorRecord> {
        self.monitors.iter().filter(|one| one.owner == self.owner)
    }

    /// Monitors of other owners, by the identity that an export of all gives them and by that of an export of their owner's
    /// alone.
    pub(super) fn others_by_identity(&self) -> BTreeMap<&str, Vec<&MonitorRecord>> {
        let mut others: BTreeMap<&str, Vec<&MonitorRecord>> = BTreeMap::new();
        for other in self.monitors.iter().filter(|one| one.owner != self.owner) {
            let called = self.called.monitor(other);
            others.entry(called).or_default().push(other);
            if called != other.key {
                others.entry(&other.key).or_default().push(other);
            }
        }
        others
    }

    pub(super) fn own_channels(&self) -> impl Iterator<Item = &ChannelRecord> {
        self.channels.iter().filter(|one| one.owner == self.owner)
    }

    /// The channel that a document means by this identity and name. Names are unique in an account, so the name may
    /// find another owner's; by identity alone only the document's own is found.
    fn channel(&self, id: &str, name: &str) -> Option<&ChannelRecord> {
        let is_it = |one: &&ChannelRecord| one.name == name && self.called.channel(one) == id;
        let of_key = |one: &&ChannelRecord| one.key == id;
        self.channels
            .iter()
            .find(is_it)
            .or_else(|| self.own_channels().find(of_key))
            .or_else(|| self.channels.iter().find(|one| one.name == name && of_key(one)))
    }

    /// What a document may name beside what it holds.
    fn around(&self, mut locations: Vec<String>) -> Around {
        let mut channels = BTreeSet::new();
        // Its own channels are there only as far as the document still has them; those of an import stay.
        let stay = |one: &&ChannelRecord| one.owner != self.owner || self.owner == Owner::Api;
        for channel in self.channels.iter().filter(stay) {
            channels.extend([channel.name.clone(), channel.id.to_string(), channel.key.clone()]);
        }
        // A monitor keeps what it names, also what is gone by now.
        let naming =
            |one: &&MonitorRecord| ["\"channels\"", "\"locations\""].iter().any(|w| one.spec.contains(w));
        for monitor in self.monitors.iter().filter(naming) {
            let Ok(settings) = serde_json::from_str::<Map<String, Value>>(&monitor.spec) else { continue };
            let words = |name: &str| {
                let list = settings.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
                list.into_iter().filter_map(|word| word.as_str().map(str::to_owned))
            };
            channels.extend(words("channels").filter(|word| !self.called.is_channel(word)));
            locations.extend(words("locations").filter(|word| word != "local"));
        }
        locations.sort_unstable();
        locations.dedup();
        Around { locations, channels: channels.into_iter().collect() }
    }
}

/// What a document wants.
pub(super) struct Wanted {
    pub(super) channels: Vec<WantedChannel>,
    /// How many channels of other owners stand in it as they are.
    pub(super) others: usize,
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
    /// What a document of this owner is read beside.
    pub(super) async fn stored_for(
        &self,
        account: AccountId,
        owner: &Owner,
    ) -> Result<Arc<Stored>, OperationError> {
        let store = self.store.account(account);
        let (monitors, channels) = (store.monitors().await?, store.channels().await?);
        let mut clear = BTreeMap::new();
        for channel in &channels {
            let settings = match self.clear_settings(channel) {
                Ok(settings) => settings,
                Err(error) if channel.owner == *owner => return Err(error),
                Err(_) => {
                    let mut settings = export::open(channel)?;
                    settings.retain(|_, value| !value.is_null() && !sealed::is_sealed(value));
                    settings
                }
            };
            clear.insert(channel.id, settings);
        }
        let called = Called::of(monitors.iter(), channels.iter(), &channels);
        let sealing = self.sealing(account).counting(&self.guesses).of_document();
        let now = self.clock.boot();
        Ok(Arc::new(Stored { owner: owner.clone(), monitors, channels, clear, sealing, now, called }))
    }

    /// Reads a document. A hundred thousand monitors take a second: that is no work for a thread that serves others.
    pub(super) async fn read_wanted(
        &self,
        account: AccountId,
        text: &str,
        stored: &Arc<Stored>,
    ) -> Result<Wanted, OperationError> {
        let locations = self.known(account).await?.locations;
        let (text, stored) = (text.to_owned(), Arc::clone(stored));
        let reading = tokio::task::spawn_blocking(move || read(&text, &stored, locations));
        reading.await.map_err(|_| OperationError::Unavailable("the document could not be read".to_owned()))?
    }
}

fn read(text: &str, stored: &Stored, locations: Vec<String>) -> Result<Wanted, OperationError> {
    let mut document = read_document(text, &stored.around(locations), &stored.sealing);
    let mut channels = Channels { stored, own: Vec::new(), seen: Vec::new(), others: 0 };
    let list = Path::Root.key("channels");
    for (i, node) in document.channels.iter().enumerate() {
        channels.read(node, &list.index(i), &mut document.problems);
    }
    lacking::complete(stored, &mut document.monitors, &mut document.problems);
    if !document.problems.is_fine() {
        return Err(OperationError::Invalid(document.problems));
    }
    let warnings = reading::warnings(&document.problems);
    let Channels { own, others, .. } = channels;
    Ok(Wanted { channels: own, others, monitors: document.monitors, warnings })
}

/// Channels of a document, as far as they were read.
struct Channels<'s> {
    stored: &'s Stored,
    own: Vec<WantedChannel>,
    /// Identities and names.
    seen: Vec<(String, String)>,
    others: usize,
}

impl Channels<'_> {
    fn read(&mut self, node: &Node<'_>, path: &Path<'_>, problems: &mut Problems) {
        let (id, name) = (word(node, "id"), word(node, "name"));
        let found = name.and_then(|name| self.stored.channel(id.unwrap_or(name), name));
        if let Some((other, name)) = found.zip(name).filter(|(other, _)| other.owner != self.stored.owner) {
            self.expect_once(id.unwrap_or(name), name, (node, path), problems);
            if stands_for(node, other, &self.stored.clear[&other.id]) {
                self.others += 1;
            } else {
                differs(other, (node, path), problems);
            }
            return;
        }
        let mut lacking = Vec::new();
        let given = node;
        let node = match found {
            Some(own) => completed(node, &self.stored.clear[&own.id]),
            None => {
                lacking = lacking_secrets(node, path, problems);
                node.clone()
            }
        };
        let Some(channel) = read_lacking(&node, path, &lacking, problems) else { return };
        if let Some(own) = found {
            let settings = (&self.stored.clear[&own.id], channel.settings.reveal());
            sealed::expect_given_again(channel.kind, settings, (given, path), problems);
        }
        let id = channel.id.unwrap_or_else(|| channel.name.clone());
        self.expect_once(&id, &channel.name, (&node, path), problems);
        let taken = self
            .stored
            .channels
            .iter()
            .find(|other| other.owner != self.stored.owner && other.name == channel.name);
        if let Some(other) = taken {
            differs(other, (&node, path), problems);
        }
        let key = found.map_or(id, |own| own.key.clone());
        let (name, kind, settings) = (channel.name, channel.kind, channel.settings);
        self.own.push(WantedChannel { key, name, kind, settings });
    }

    fn expect_once(&mut self, id: &str, name: &str, at: (&Node<'_>, &Path<'_>), problems: &mut Problems) {
        if self.seen.iter().any(|(other, called)| other == id || called == name) {
            let message = format!("channel {} stands here twice", quote(name));
            problems.error(at.1, at.0.span, "duplicate_name", message, "give one of the two another name");
        }
        self.seen.push((id.to_owned(), name.to_owned()));
    }
}

/// Names of channels are unique in an account, whoever owns them.
fn differs(other: &ChannelRecord, (node, path): (&Node<'_>, &Path<'_>), problems: &mut Problems) {
    let message = format!(
        "the name {} belongs to channel {} of owner `{}`, which is another one than stands here",
        quote(&other.name),
        other.id,
        other.owner.to_text()
    );
    let span = node.get("name").map_or(node.span, |name| name.span);
    let remedy = "give this one another name, or change that one where it belongs";
    problems.error(&path.key("name"), span, "name_taken", message, remedy);
}

/// A channel that is not there yet needs its secrets: those that it must have, and those that stand empty, as exports
/// leave them.
fn lacking_secrets(node: &Node<'_>, path: &Path<'_>, problems: &mut Problems) -> Vec<&'static str> {
    let kind = word(node, "type").and_then(registry::kind);
    let mut lacking = Vec::new();
    for field in kind.into_iter().flat_map(|kind| kind.fields).filter(|field| field.secret) {
        let value = node.get(field.name);
        if !value.map_or(field.required, Node::is_null) {
            continue;
        }
        lacking.push(field.name);
        let message = match word(node, "name") {
            Some(name) => format!("`{}` of channel {} is missing", field.name, quote(name)),
            None => format!("`{}` is missing", field.name),
        };
        let message =
            format!("{message}: this server has no such channel yet, and exports leave secrets out");
        let remedy = format!(
            "fill it in here, or take it out if the channel needs none; in the server's own file: `{}: ${{NAME}}`",
            field.name
        );
        let remedy = if field.required {
            remedy.replace(", or take it out if the channel needs none", "")
        } else {
            remedy
        };
        let span = value.map_or(node.span, |value| value.span);
        problems.error(&path.key(field.name), span, "missing", message, remedy);
    }
    lacking
}

/// Whether an entry says nothing else than what is stored. What is secret may be left out.
fn stands_for(node: &Node<'_>, channel: &ChannelRecord, clear: &Map<String, Value>) -> bool {
    let Written::Mapping(pairs) = &node.value else { return false };
    let said = pairs.iter().filter(|(key, value)| !matches!(&*key.text, "id" | "name") && !value.is_null());
    let is_so = |(key, value): &(Key<'_>, Node<'_>)| match &*key.text {
        "type" => word(node, "type") == Some(channel.kind.as_str()),
        field => clear.get(field).is_some_and(|stored| is_part(value, stored)),
    };
    let fields = registry::kind(&channel.kind).map_or(&[][..], |kind| kind.fields);
    let is_open = |name: &str| fields.iter().any(|field| field.name == name && !field.secret);
    let is_said = |name: &String| node.get(name).is_some_and(|value| !value.is_null());
    said.into_iter().all(is_so) && clear.keys().all(|name| !is_open(name) || is_said(name))
}

/// Whether a value is what is stored, or a part of its map.
fn is_part(value: &Node<'_>, stored: &Value) -> bool {
    match (&value.value, stored) {
        (Written::Scalar(text, _), Value::String(stored)) => text.trim() == stored,
        (Written::Mapping(pairs), Value::Object(stored)) => pairs
            .iter()
            .all(|(key, value)| stored.get(&*key.text).is_some_and(|stored| is_part(value, stored))),
        (Written::Scalar(..) | Written::Mapping(_) | Written::Sequence(_), _) => false,
    }
}

/// A channel of a document with the secrets that it leaves out, where they are stored.
fn completed<'n>(node: &Node<'n>, stored: &Map<String, Value>) -> Node<'n> {
    let kind = word(node, "type").and_then(registry::kind);
    let mut node = node.clone();
    let (Some(kind), Written::Mapping(pairs)) = (kind, &mut node.value) else { return node };
    for field in kind.fields.iter().filter(|field| field.secret) {
        let is_there = pairs.iter().any(|(key, value)| key.text == field.name && !value.is_null());
        if let Some(value) = stored.get(field.name).filter(|_| !is_there) {
            pairs.retain(|(key, _)| key.text != field.name);
            let key = Key { text: field.name.into(), span: Span::default() };
            pairs.push((key, as_node(value)));
        }
    }
    node
}

fn word<'n>(node: &'n Node<'_>, key: &str) -> Option<&'n str> {
    match node.get(key).filter(|node| !node.is_null()).map(|node| &node.value) {
        Some(Written::Scalar(text, _)) => Some(text.trim()),
        Some(Written::Mapping(_) | Written::Sequence(_)) | None => None,
    }
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
