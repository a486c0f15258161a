//! `channels:` names and types here, everything else by the fields of the type, as the registry of channels has them.
//!
//! The same reader serves the server's file and requests. They differ in one thing: a file says where a secret is, and a
//! request brings the secret itself. A reference in a request is refused: resolving it would let whoever may send one
//! read the server's environment and files.

use std::sync::Arc;

use quaywatch_core::doc::{Node, Path, Problems, Span, Value, closest, pairs, quote};
use quaywatch_core::spec::values::{At, alternatives};
use quaywatch_core::{BootTime, Clock, Secret, Timestamp};
use quaywatch_notify::registry::{self, Field, Form, Kind, Site};
use quaywatch_notify::wire::{Answer, Post, Wire, WireError};
use serde_json::{Map, Value as Json};

use super::secrets::{Sources, is_reference};
use super::server::secret;
use super::settings::CHANNEL;

/// One channel of the file.
#[derive(Debug, Clone)]
pub struct ChannelConfig {
    /// `id:` if given, else the name.
    pub key: String,
    /// What monitors call it.
    pub name: String,
    /// `webhook`, `log`, …
    pub kind: String,
    /// Everything else as canonical text, with references in place of secrets: for the store.
    pub settings: String,
    /// The same with references replaced: for `quaywatch_notify::registry::build`.
    pub resolved: Secret<Map<String, Json>>,
    /// Where it is written.
    pub span: Span,
}

/// One channel of a request.
#[derive(Debug)]
pub(crate) struct ClearChannel {
    /// `id:`, if it is given.
    pub(crate) id: Option<String>,
    /// What monitors call it.
    pub(crate) name: String,
    /// Its kind.
    pub(crate) kind: &'static Kind,
    /// Everything else, secrets as they came.
    pub(crate) settings: Secret<Map<String, Json>>,
}

/// How secrets are written where a channel is read.
#[derive(Clone, Copy)]
enum Written<'s> {
    /// As references.
    Elsewhere(&'s Sources<'s>),
    /// As they are. That these are not there has been told already.
    Here { lacking: &'s [&'s str] },
}

/// Reads one channel of a request. No value of a setting is shown in a problem: any could be a secret.
pub(crate) fn read_clear(node: &Node<'_>, path: &Path<'_>, problems: &mut Problems) -> Option<ClearChannel> {
    read_lacking(node, path, &[], problems)
}

/// The same where it has been told already that these settings are not there.
pub(crate) fn read_lacking(
    node: &Node<'_>,
    path: &Path<'_>,
    lacking: &[&str],
    problems: &mut Problems,
) -> Option<ClearChannel> {
    let channel = parts(node, path, Written::Here { lacking }, problems)?;
    Some(ClearChannel {
        id: channel.id,
        name: channel.name,
        kind: channel.kind,
        settings: Secret::new(channel.resolved),
    })
}

/// Reads the list under `channels:`.
pub(super) fn read(
    node: &Node<'_>,
    path: &Path<'_>,
    sources: &Sources<'_>,
    problems: &mut Problems,
) -> Vec<ChannelConfig> {
    let list = At { node, path: *path, key: "channels" };
    let Some(items) = list.items(problems, "[{name: ops, type: log}]") else { return Vec::new() };
    let mut channels: Vec<ChannelConfig> = Vec::with_capacity(items.len());
    for (i, item) in items.iter().enumerate() {
        let Some(channel) = one(item, &path.index(i), sources, problems) else { continue };
        if let Some(twin) = channels.iter().find(|c| c.key == channel.key || c.name == channel.name) {
            let message = format!(
                "channel {} stands here twice (first in line {})",
                quote(&channel.name),
                twin.span.line
            );
            problems.error(
                &path.index(i),
                channel.span,
                "duplicate_name",
                message,
                "give one of the two another name",
            );
        }
        channels.push(channel);
    }
    channels
}

fn one(
    node: &Node<'_>,
    path: &Path<'_>,
    sources: &Sources<'_>,
    problems: &mut Problems,
) -> Option<ChannelConfig> {
    let channel = parts(node, path, Written::Elsewhere(sources), problems)?;
    Some(ChannelConfig {
        key: channel.id.unwrap_or_else(|| channel.name.clone()),
        name: channel.name,
        kind: channel.kind.name.to_owned(),
        settings: Json::Object(channel.stored).to_string(),
        resolved: Secret::new(channel.resolved),
        span: node.span,
    })
}

/// A channel as it was read.
struct Parts {
    id: Option<String>,
    name: String,
    kind: &'static Kind,
    /// With references as they are written; empty where there are none.
    stored: Map<String, Json>,
    resolved: Map<String, Json>,
}

fn parts(node: &Node<'_>, path: &Path<'_>, written: Written<'_>, problems: &mut Problems) -> Option<Parts> {
    let before = problems.errors();
    let form = match written {
        Written::Elsewhere(_) => "write `- name: ops` with `type:` below it",
        Written::Here { .. } => "send an object with `name` and `type`",
    };
    let entries = pairs(node, path, form, problems)?;
    let at = |wanted: &str| {
        let (key, node) = entries.iter().copied().find(|(key, _)| key.text == wanted)?;
        Some(At { node, path: path.key(&key.text), key: &key.text })
    };
    let name = required(at("name"), node, path, "name", "write `name: ops`", problems);
    let id = at("id").filter(|at| !at.node.is_null()).and_then(|at| at.line(problems, 200));
    let kinds: Vec<(&str, &'static Kind)> = registry::KINDS.iter().map(|kind| (kind.name, kind)).collect();
    let words: Vec<String> = kinds.iter().map(|(word, _)| format!("`type: {word}`")).collect();
    let kind = match at("type") {
        Some(at) => at.word(problems, &kinds),
        None => {
            problems.error(
                path,
                node.span,
                "missing",
                "this channel has no `type`",
                format!("write {}", alternatives(&words, "or")),
            );
            None
        }
    };
    let kind = kind?;
    let (mut stored, mut resolved) = (Map::new(), Map::new());
    for (key, value) in &entries {
        let at = At { node: value, path: path.key(&key.text), key: &key.text };
        match kind.fields.iter().find(|field| field.name == key.text) {
            Some(_) if value.is_null() => {}
            Some(field) => setting(&at, field, written, &mut stored, &mut resolved, problems),
            None if CHANNEL.iter().any(|setting| setting.name == key.text) => {}
            None => unknown(&at, key.span, kind, problems),
        }
    }
    try_to_build(kind, &resolved, &entries, (node, path), written, problems);
    let name = name?;
    (problems.errors() == before).then_some(Parts { id, name, kind, stored, resolved })
}

fn required(
    at: Option<At<'_, '_>>,
    node: &Node<'_>,
    path: &Path<'_>,
    key: &str,
    remedy: &str,
    problems: &mut Problems,
) -> Option<String> {
    if let Some(at) = at {
        return at.line(problems, 200);
    }
    problems.error(path, node.span, "missing", format!("this channel has no `{key}`"), remedy);
    None
}

fn unknown(at: &At<'_, '_>, span: Span, kind: &Kind, problems: &mut Problems) {
    let known = || CHANNEL.iter().map(|s| s.name).chain(kind.fields.iter().map(|f| f.name));
    let words: Vec<String> = known().map(|word| format!("`{word}`")).collect();
    let remedy = closest(at.key, known()).map_or_else(
        || format!("a `{}` channel has {}", kind.name, alternatives(&words, "and")),
        |meant| format!("did you mean `{meant}`?"),
    );
    problems.error(&at.path, span, "unknown_key", format!("unknown setting {}", quote(at.key)), remedy);
}

/// One field into both maps.
fn setting(
    at: &At<'_, '_>,
    field: &Field,
    written: Written<'_>,
    stored: &mut Map<String, Json>,
    resolved: &mut Map<String, Json>,
    problems: &mut Problems,
) {
    let sources = match written {
        Written::Elsewhere(sources) => sources,
        Written::Here { .. } => {
            if let Some(value) = clear(at, field, problems) {
                resolved.insert(field.name.to_owned(), value);
            }
            return;
        }
    };
    match field.form {
        Form::Text => {
            if let Some((reference, value)) = text(at, field.secret && field.name != "url", sources, problems)
            {
                stored.insert(field.name.to_owned(), Json::String(reference));
                resolved.insert(field.name.to_owned(), Json::String(value));
            }
        }
        Form::Map => {
            let form = format!("write `{}: {{name: value}}`", field.name);
            let Some(entries) = pairs(at.node, &at.path, &form, problems) else { return };
            let (mut references, mut values) = (Map::new(), Map::new());
            for (key, node) in entries {
                let item = At { node, path: at.path.key(&key.text), key: &key.text };
                let clear = !field.secret || !carries_a_secret(&key.text);
                if let Some((reference, value)) = text(&item, !clear, sources, problems) {
                    references.insert(key.text.clone().into_owned(), Json::String(reference));
                    values.insert(key.text.clone().into_owned(), Json::String(value));
                }
            }
            stored.insert(field.name.to_owned(), Json::Object(references));
            resolved.insert(field.name.to_owned(), Json::Object(values));
        }
    }
}

/// A value of a request.
fn clear(at: &At<'_, '_>, field: &Field, problems: &mut Problems) -> Option<Json> {
    match field.form {
        Form::Text => clear_text(at, problems).map(Json::String),
        Form::Map => {
            let form = format!("write `{}: {{name: value}}`", field.name);
            if !matches!(at.node.value, Value::Mapping(_)) {
                at.error(problems, "wrong_type", format!("`{}` must be a mapping", at.key), form);
                return None;
            }
            let entries = pairs(at.node, &at.path, &form, problems)?;
            let mut values = Map::new();
            for (key, node) in entries {
                let item = At { node, path: at.path.key(&key.text), key: &key.text };
                if let Some(value) = clear_text(&item, problems) {
                    values.insert(key.text.clone().into_owned(), Json::String(value));
                }
            }
            Some(Json::Object(values))
        }
    }
}

fn clear_text(at: &At<'_, '_>, problems: &mut Problems) -> Option<String> {
    let Value::Scalar(text, _) = &at.node.value else {
        let message = format!("`{}` must be a text", at.key);
        at.error(problems, "wrong_type", message, "send it as one text");
        return None;
    };
    let text = text.trim();
    if text.is_empty() {
        at.error(problems, "empty", format!("`{}` is empty", at.key), "send a value, or leave it out");
        return None;
    }
    if is_reference(text) {
        let message = format!("`{}` is a reference to a secret, which is not read here", at.key);
        at.error(problems, "reference", message, "send the value itself: it is sealed and never shown again");
        return None;
    }
    Some(text.to_owned())
}

/// Headers whose values are keys by custom.
fn carries_a_secret(header: &str) -> bool {
    let header = header.to_ascii_lowercase();
    ["authorization", "cookie", "token", "secret", "password", "api-key", "apikey"]
        .iter()
        .any(|word| header.contains(word))
}

/// A text as written and as resolved.
fn text(
    at: &At<'_, '_>,
    must_be_reference: bool,
    sources: &Sources<'_>,
    problems: &mut Problems,
) -> Option<(String, String)> {
    if must_be_reference {
        let value = secret(at, sources, problems)?;
        return at.scalar().map(|(text, _)| (text.to_owned(), value));
    }
    let Value::Scalar(text, _) = &at.node.value else {
        at.wrong_type(problems, "a text", at.one_text());
        return None;
    };
    let text = text.trim();
    if text.is_empty() {
        at.error(problems, "empty", format!("`{}` is empty", at.key), "write a value or leave it out");
        return None;
    }
    if !is_reference(text) {
        return Some((text.to_owned(), text.replace("$${", "${")));
    }
    match sources.resolve(text) {
        Ok(value) => Some((text.to_owned(), value)),
        Err(e) => {
            at.error(problems, "unresolved", format!("`{}`: {}", at.key, e.message), e.advice());
            None
        }
    }
}

/// The channel's own rules, by making one that can send nothing.
fn try_to_build(
    kind: &Kind,
    resolved: &Map<String, Json>,
    entries: &[&(quaywatch_core::doc::Key<'_>, Node<'_>)],
    (node, path): (&Node<'_>, &Path<'_>),
    written: Written<'_>,
    problems: &mut Problems,
) {
    let site = Site { wire: Arc::new(Nowhere), clock: Arc::new(Nowhere), user_agent: "Quaywatch".to_owned() };
    let Err(found) = registry::build(kind.name, resolved, &site) else { return };
    for problem in found.0 {
        let field = problem.field.as_str();
        let is_lacking_secret = !resolved.contains_key(field)
            && kind.fields.iter().any(|one| one.name == field && one.required && one.secret);
        let value = entries.iter().find(|(key, _)| key.text == problem.field).map(|(_, node)| node);
        // What stands there and could not be read was told already.
        if value.is_some_and(|value| !value.is_null()) && !resolved.contains_key(field) {
            continue;
        }
        let meaning = kind.fields.iter().find(|one| one.name == field).map(|one| one.meaning);
        let remedy = match written {
            Written::Here { lacking } if lacking.contains(&field) => continue,
            Written::Elsewhere(_) if is_lacking_secret => {
                format!("write `{field}: ${{NAME}}` or `{field}: file:PATH`; exports leave secrets out")
            }
            Written::Here { .. } if !resolved.contains_key(field) => String::new(),
            Written::Here { .. } | Written::Elsewhere(_) => {
                meaning.map(|meaning| format!("`{field}` is {meaning}")).unwrap_or_default()
            }
        };
        // The value may be a secret that sits in the environment: the key is shown, never what it holds.
        let span = value.map_or(node.span, |value| value.span);
        let message = format!("`{field}` {}", problem.message);
        problems.error(&path.key(field), span, "bad_channel", message, remedy);
    }
}

/// A way out that leads nowhere and a clock that stands still: enough to see whether a channel can be made.
struct Nowhere;

impl Wire for Nowhere {
    fn send(&self, _: Post) -> quaywatch_notify::BoxFuture<'_, Result<Answer, WireError>> {
        Box::pin(std::future::pending())
    }
}

impl Clock for Nowhere {
    fn now(&self) -> Timestamp {
        Timestamp::default()
    }

    fn boot(&self) -> BootTime {
        BootTime::default()
    }
}
