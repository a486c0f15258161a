//! Bodies of the documented call: its fields by its own names, and what becomes of each.

use std::borrow::Cow;

use quaywatch_core::MonitorSpec;
use quaywatch_core::doc::{
    Key, Level, Node, Path, Problem, Problems, Span, Style, Value, closest, pairs, quote,
};
use quaywatch_core::spec::values::{At, alternatives};
use quaywatch_core::spec::{Context, Defaults, Host, HostError};
use quaywatch_notify::registry;
use quaywatch_store::records::ChannelRecord;

use super::PROTOCOL;
use crate::operations::reading::{self, warning};
use crate::operations::{OperationError, naming};

/// What the documented call knows, and what becomes of it.
const FIELDS: [(&str, Field); 15] = [
    ("url", Field::Same),
    ("monitor_type", Field::Same),
    ("port", Field::Same),
    ("protocol", Field::Protocol),
    ("period", Field::Same),
    ("custom_timeout", Field::Same),
    ("http_method", Field::Foreign),
    ("expected_keyword", Field::Foreign),
    ("notify_telegram", Field::Notify("telegram")),
    ("notify_max", Field::Notify("max")),
    ("notify_email", Field::Notify("email")),
    ("notify_webhook", Field::Notify("webhook")),
    ("name", Field::Same),
    ("group", Field::Same),
    ("enabled", Field::Same),
];

/// What becomes of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    /// The reader of monitors knows it by the same name.
    Same,
    /// Kept as a tag.
    Protocol,
    /// Of HTTP: nothing.
    Foreign,
    /// All channels of this kind.
    Notify(&'static str),
}

/// A body whose fields are known and of the right form.
pub(super) struct Body<'a> {
    fields: Vec<(&'static str, Field, &'a Node<'a>)>,
}

impl<'a> Body<'a> {
    /// `new`: it must say what to watch.
    pub(super) fn read(body: &'a Node<'a>, new: bool) -> Result<Self, OperationError> {
        let mut problems = Problems::new();
        let form = r#"send `{"url": "db.example.com", "monitor_type": "tcp", "port": 3306, "period": 60}`"#;
        let mut fields = Vec::new();
        for (key, value) in pairs(body, &Path::Root, form, &mut problems).unwrap_or_default() {
            let Some((name, field)) = FIELDS.iter().find(|(name, _)| *name == key.text) else {
                unknown(key, &mut problems);
                continue;
            };
            let at = At { node: value, path: Path::Root.key(name), key: name };
            match field {
                Field::Notify(_) if !value.is_null() => drop(at.boolean(&mut problems)),
                Field::Protocol if !value.is_null() => drop(at.line(&mut problems, 64)),
                Field::Same if *name == "port" && !value.is_null() => port(&at, &mut problems),
                Field::Same if *name == "url" && !value.is_null() => url(&at, &mut problems),
                Field::Same | Field::Foreign | Field::Notify(_) | Field::Protocol => {}
            }
            fields.push((*name, *field, value));
        }
        let read = Self { fields };
        if new {
            read.require(&mut problems);
        }
        if problems.is_fine() {
            return Ok(read);
        }
        read.rest(&mut problems);
        Err(OperationError::Invalid(problems))
    }

    /// What the reader of monitors says of the other fields, so that all that is wrong is told at once.
    fn rest(&self, problems: &mut Problems) {
        let (node, _) = self.monitor(&[], &[]);
        let mut more = Problems::new();
        let (defaults, context) = (Defaults::default(), Context::default());
        let _ = MonitorSpec::read(&node, &Path::Root, &defaults, &context, &mut more);
        let errors = more.iter().filter(|one| one.level == Level::Error);
        for one in errors {
            let field = one.pointer.trim_start_matches('/');
            let is_said = problems.iter().any(|said| said.pointer == one.pointer);
            // What a monitor needs beyond this call's own words is given by this call.
            if !is_said && self.has(field) {
                let (message, remedy) = (one.message.clone(), one.remedy.clone());
                problems.error(&Path::Root.key(field), Span::default(), one.code, message, remedy);
            }
        }
    }

    pub(super) fn value(&self, wanted: &str) -> Option<&'a Node<'a>> {
        let found = self.fields.iter().find(|(name, ..)| *name == wanted);
        found.map(|(.., value)| *value).filter(|value| !value.is_null())
    }

    pub(super) fn has(&self, wanted: &str) -> bool {
        self.value(wanted).is_some()
    }

    /// What a new one must have.
    fn require(&self, problems: &mut Problems) {
        let mut missing = |name: &str, message: &str, remedy: &str| {
            if !self.has(name) {
                problems.error(&Path::Root.key(name), Span::default(), "required", message, remedy);
            }
        };
        missing("url", "`url` is required: the host, without a scheme", r#"send `"url": "db.example.com"`"#);
        missing("port", PORT_RULE, r#"send `"port": 3306`"#);
    }

    /// What it is called where nobody gives it a name.
    pub(super) fn target(&self) -> Option<String> {
        Some(target(scalar_of(self.value("url")?)?, scalar_of(self.value("port")?)?))
    }

    /// The same as a body of a monitor, and what its sender should know.
    pub(super) fn monitor(&self, channels: &[ChannelRecord], told: &[String]) -> (Node<'a>, Vec<Problem>) {
        let (mut entries, mut warnings) = (Vec::new(), Vec::new());
        let mut names: Vec<String> = told.to_vec();
        let mut is_about_channels = false;
        for (name, field, value) in &self.fields {
            match field {
                Field::Same => entries.push((key(name), (*value).clone())),
                Field::Foreign if value.is_null() => {}
                Field::Foreign => warnings.push(warning(
                    name,
                    "ignored",
                    format!("`{name}` means nothing to a TCP check and was ignored"),
                    "leave it out, or send null",
                )),
                Field::Protocol => entries.push((key("tags"), tagged((*value).clone()))),
                Field::Notify(_) if value.is_null() => {}
                Field::Notify(kind) => {
                    is_about_channels = true;
                    let of_kind = || channels.iter().filter(|channel| channel.kind == *kind);
                    let is = |named: &String| of_kind().any(|channel| naming::means(named, channel));
                    names.retain(|named| !is(named));
                    if is_true(value) {
                        names.extend(of_kind().map(|channel| channel.name.clone()));
                        warnings.extend(nobody(name, kind, of_kind().count()));
                    }
                }
            }
        }
        if is_about_channels {
            let items = names.into_iter().map(|name| scalar(name, Style::Quoted)).collect();
            entries.push((key("channels"), Node { value: Value::Sequence(items), span: Span::default() }));
        }
        (Node { value: Value::Mapping(entries), span: Span::default() }, warnings)
    }
}

const PORT_RULE: &str = "`port` is required for `monitor_type: tcp`: an integer from 1 to 65535";

fn port(at: &At<'_, '_>, problems: &mut Problems) {
    let number = match at.scalar() {
        Some((text, Style::Plain)) => text.parse::<i128>().ok(),
        Some((_, Style::Quoted)) | None => None,
    };
    let code = match number {
        Some(1..=65_535) => return,
        Some(_) => "out_of_range",
        None => "integer",
    };
    let message = format!("{PORT_RULE}; this is {}", at.node.describe());
    at.error(problems, code, message, r#"send `"port": 3306`"#);
}

/// The host of a `url`, which may have been pasted with its port.
fn host_of(text: &str) -> Result<Host, HostError> {
    let bare = text.strip_prefix("tcp://").unwrap_or(text);
    Host::parse(bare).or_else(|error| match &error.split {
        Some((host, Some(_))) if !bare.contains(['/', '@']) => Ok(host.clone()),
        Some(_) | None => Err(error),
    })
}

fn url(at: &At<'_, '_>, problems: &mut Problems) {
    let Some(Err(error)) = at.scalar().map(|(text, _)| host_of(text.trim())) else { return };
    // What stands before an `@` is often a password.
    let text = at.scalar().map_or("", |(text, _)| text.rsplit('@').next().unwrap_or(text));
    let message = format!("`url` is {}, which {}", quote(text), error.message);
    let remedy = error.split.map_or(error.remedy, |(host, _)| format!(r#"send `"url": "{host}"`"#));
    at.error(problems, "bad_host", message, remedy);
}

/// `db.example.com:3306`, whatever else was pasted with the host.
pub(super) fn target(url: &str, port: &str) -> String {
    match (host_of(url), port.parse()) {
        (Ok(host), Ok(port)) => host.with_port(port),
        (Ok(_) | Err(_), _) => format!("{url}:{port}"),
    }
}

fn unknown(found: &Key<'_>, problems: &mut Problems) {
    let known = || FIELDS.iter().map(|(name, _)| *name);
    let remedy = closest(&found.text, known()).map_or_else(
        || {
            let words: Vec<String> = known().map(|name| format!("`{name}`")).collect();
            format!(
                "there are {}; everything else stands under /api/v1/monitors",
                alternatives(&words, "and")
            )
        },
        |meant| format!("did you mean `{meant}`?"),
    );
    let message = format!("unknown field {}", quote(&found.text));
    problems.error(&Path::Root.key(&found.text), found.span, "unknown_key", message, remedy);
}

/// Nobody hears of it, though somebody was meant to.
fn nobody(name: &str, kind: &str, channels: usize) -> Option<Problem> {
    (channels == 0).then(|| {
        warning(
            name,
            "nobody_told",
            format!(
                "`{name}` is set, but the account has no channel of the type {kind}: nobody is told there"
            ),
            if registry::kind(kind).is_some() {
                format!("make a channel of the type {kind} and set `{name}` again")
            } else {
                let known: Vec<String> =
                    registry::KINDS.iter().map(|kind| format!("`{}`", kind.name)).collect();
                format!(
                    "this server has no channels of that type: make one of those it has ({}) and name it in `channels` \
                     of the monitor",
                    known.join(", ")
                )
            },
        )
    })
}

pub(super) fn scalar_of<'n>(node: &'n Node<'_>) -> Option<&'n str> {
    match &node.value {
        Value::Scalar(text, _) => Some(text.trim()),
        Value::Mapping(_) | Value::Sequence(_) => None,
    }
}

fn is_true(node: &Node<'_>) -> bool {
    matches!(&node.value, Value::Scalar(text, _) if text == "true")
}

fn key(name: &'static str) -> Key<'static> {
    Key { text: Cow::Borrowed(name), span: Span::default() }
}

fn scalar<'a>(text: impl Into<Cow<'a, str>>, style: Style) -> Node<'a> {
    Node { value: Value::Scalar(text.into(), style), span: Span::default() }
}

/// `{protocol: …}`; null takes the tag away.
fn tagged(value: Node<'_>) -> Node<'_> {
    Node { value: Value::Mapping(vec![(key(PROTOCOL), value)]), span: Span::default() }
}

/// Sets a value that is not there, or null.
pub(super) fn default<'a>(node: &mut Node<'a>, name: &'static str, text: &'a str) {
    if node.get(name).is_none_or(Node::is_null) {
        reading::set(node, name, Some(Node::plain(text)));
    }
}

pub(super) fn with<'a>(node: &Node<'a>, name: &'static str, text: &str) -> Node<'a> {
    let mut node = node.clone();
    reading::set(&mut node, name, Some(scalar(text.to_owned(), Style::Quoted)));
    node
}
