//! Channels and the kinds there are.

use std::borrow::Cow;

use quaywatch_app::operations::channels::{self as app, ChannelView, TestedChannel};
use quaywatch_core::ChannelId;
use quaywatch_core::doc::{Node, Problems};
use quaywatch_notify::registry::{self, Form};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::ids::Id;
use super::time::{Seconds, Time};
use crate::framework::Reads;

/// A channel. Secrets are write-only: which are set is all that is shown of them.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Channel {
    pub id: Id<ChannelId>,
    name: String,
    /// The `id` it was given, else its name when it was made.
    key: String,
    /// `webhook`, `log`, …
    r#type: String,
    /// Settings that are no secrets.
    settings: Map<String, Value>,
    /// Secrets that are set.
    secrets: Vec<SecretName>,
    /// Who may change it: `api`, `file` or `apply:<name>`.
    managed_by: String,
    /// Counts edits: also its `ETag`.
    revision: u32,
    /// When it was put into the bin.
    #[serde(skip_serializing_if = "Option::is_none")]
    removed_at: Option<Time>,
}

/// A secret that is set.
#[derive(Debug, Serialize, JsonSchema)]
struct SecretName {
    name: String,
    /// What may be said of it: the host of a URL, the names of headers.
    hint: Option<String>,
}

impl Channel {
    /// Its revision.
    pub(crate) const fn revision(&self) -> u64 {
        self.revision as u64
    }
}

impl From<ChannelView> for Channel {
    fn from(view: ChannelView) -> Self {
        Self {
            id: Id(view.id),
            name: view.name,
            key: view.key,
            r#type: view.kind,
            settings: view.settings,
            secrets: view.secrets.into_iter().map(|s| SecretName { name: s.name, hint: s.hint }).collect(),
            managed_by: view.owner.to_text(),
            revision: view.revision,
            removed_at: view.removed_at.map(Time),
        }
    }
}

/// A kind of channel.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ChannelKind {
    /// The word of `type`.
    r#type: &'static str,
    summary: &'static str,
    fields: Vec<ChannelField>,
}

/// A setting of a kind.
#[derive(Debug, Serialize, JsonSchema)]
struct ChannelField {
    name: &'static str,
    /// `text`, or `map` of text to text.
    form: &'static str,
    required: bool,
    /// Write-only.
    secret: bool,
    description: &'static str,
}

impl From<&registry::Kind> for ChannelKind {
    fn from(kind: &registry::Kind) -> Self {
        let field = |field: &registry::Field| ChannelField {
            name: field.name,
            form: match field.form {
                Form::Text => "text",
                Form::Map => "map",
            },
            required: field.required,
            secret: field.secret,
            description: field.meaning,
        };
        Self { r#type: kind.name, summary: kind.summary, fields: kind.fields.iter().map(field).collect() }
    }
}

/// What came of a test notice.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ChannelTest {
    /// Whether the receiver has it.
    sent: bool,
    /// `sent`, `credentials`, …
    outcome: &'static str,
    /// What the receiver said, without secrets.
    answer: String,
    took: Seconds,
    /// The headers that were sent; secret ones without their value.
    headers: Vec<Header>,
    /// The body that was sent.
    body: String,
    /// What to do, where it was not sent.
    remedy: Option<&'static str>,
}

/// A header.
#[derive(Debug, Serialize, JsonSchema)]
struct Header {
    name: String,
    value: String,
}

impl From<TestedChannel> for ChannelTest {
    fn from(tested: TestedChannel) -> Self {
        Self {
            sent: tested.sent,
            outcome: tested.class,
            answer: tested.answer,
            took: Seconds(tested.took),
            headers: tested.headers.into_iter().map(|(name, value)| Header { name, value }).collect(),
            body: tested.body,
            remedy: tested.remedy,
        }
    }
}

/// A channel to be made.
#[derive(Debug)]
pub(crate) struct NewChannel;

/// Settings that are laid over a channel's.
#[derive(Debug)]
pub(crate) struct ChannelPatch;

impl JsonSchema for NewChannel {
    fn schema_name() -> Cow<'static, str> {
        "ChannelSpec".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "A channel: its name, its type, and the settings of that type (see `/channels/kinds`).",
            "properties": properties(),
            "required": ["name", "type"],
            "additionalProperties": false,
        })
    }
}

impl JsonSchema for ChannelPatch {
    fn schema_name() -> Cow<'static, str> {
        "ChannelPatch".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut properties = properties();
        properties.remove("id");
        json_schema!({
            "type": "object",
            "description": "Settings that change (RFC 7396): `null` takes one away, what is not named stays, secrets too.",
            "properties": properties,
            "additionalProperties": false,
        })
    }
}

impl Reads for NewChannel {
    fn problems(node: &Node<'_>) -> Problems {
        app::problems(node)
    }
}

impl Reads for ChannelPatch {}

/// The settings of all kinds: which belong to which, the reader says.
fn properties() -> Map<String, Value> {
    let mut properties = Map::new();
    for field in registry::KINDS.iter().flat_map(|kind| kind.fields) {
        let mut schema = match field.form {
            Form::Text => json!({ "type": ["string", "number", "boolean", "null"] }),
            Form::Map => {
                let text = json!({ "type": ["string", "number", "boolean"] });
                json!({ "type": ["object", "null"], "additionalProperties": text })
            }
        };
        schema["description"] = field.meaning.into();
        if field.secret {
            schema["writeOnly"] = true.into();
        }
        properties.entry(field.name).or_insert(schema);
    }
    let words: Vec<&str> = registry::KINDS.iter().map(|kind| kind.name).collect();
    let name =
        |about: &str| json!({ "type": "string", "minLength": 1, "maxLength": 200, "description": about });
    properties.insert("name".to_owned(), name("What monitors name it by; unique in the account."));
    properties.insert("id".to_owned(), name("An identity of its own, so that the name can be changed."));
    let kind = json!({ "type": "string", "enum": words, "description": "What kind of channel it is." });
    properties.insert("type".to_owned(), kind);
    properties
}
