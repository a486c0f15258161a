//! The settings of a monitor as the document shows them: made from the core's own table, so that file, forms and API
//! cannot drift apart.

use std::borrow::Cow;
use std::time::Duration;

use quaywatch_core::MonitorSpec;
use quaywatch_core::doc::{Node, Path, Problems, Value as DocValue};
use quaywatch_core::spec::fields::{FIELDS, Field, by_name, similar};
use quaywatch_core::spec::{Context, Defaults, duration};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use crate::framework::body::Reads;

/// A monitor to be made.
#[derive(Debug)]
pub(crate) struct NewMonitor;

/// Settings that are laid over a monitor's.
#[derive(Debug)]
pub(crate) struct MonitorPatch;

/// A monitor to be tried.
#[derive(Debug)]
pub(crate) struct TriedMonitor;

impl JsonSchema for NewMonitor {
    fn schema_name() -> Cow<'static, str> {
        "MonitorSpec".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "A monitor, with the names of the YAML file. `null` stands for the default.",
            "properties": properties(),
            "required": ["name"],
            "additionalProperties": false,
        })
    }
}

impl JsonSchema for TriedMonitor {
    fn schema_name() -> Cow<'static, str> {
        "TriedMonitor".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "A monitor to be tried; a name is not needed.",
            "properties": properties(),
            "additionalProperties": false,
        })
    }
}

impl JsonSchema for MonitorPatch {
    fn schema_name() -> Cow<'static, str> {
        "MonitorPatch".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut properties = properties();
        for several in ["hosts", "ports", "preset", "id"] {
            properties.remove(several);
        }
        json_schema!({
            "type": "object",
            "description": "Settings that change (RFC 7396): `null` takes one back to its default, what is not named stays.",
            "properties": properties,
            "additionalProperties": false,
        })
    }
}

impl Reads for NewMonitor {
    fn problems(node: &Node<'_>) -> Problems {
        read(node)
    }

    fn suggest(name: &str) -> Option<String> {
        suggest(name)
    }
}

impl Reads for TriedMonitor {
    fn suggest(name: &str) -> Option<String> {
        suggest(name)
    }
}

impl Reads for MonitorPatch {
    fn suggest(name: &str) -> Option<String> {
        match name {
            "id" => Some("leave it out: the `id` of a monitor stays what it is".to_owned()),
            "hosts" | "ports" | "preset" => Some(
                "this is one monitor: send `host` or `port`, or make several with `POST /monitors/bulk`"
                    .to_owned(),
            ),
            _ => suggest(name),
        }
    }
}

fn suggest(name: &str) -> Option<String> {
    match by_name(name) {
        Some(field) if !field.range.is_empty() => {
            Some(format!("{}: {}", field.kind, field.range.replace('`', "")))
        }
        Some(field) => Some(field.kind.to_owned()),
        None => similar(name).map(|meant| format!("did you mean `{meant}`?")),
    }
}

/// What the core's reader says of it, whatever channels and locations there are.
fn read(node: &Node<'_>) -> Problems {
    let names = |key: &str| match node.get(key).map(|node| &node.value) {
        Some(DocValue::Sequence(items)) => items.iter().filter_map(scalar).collect(),
        Some(DocValue::Scalar(..) | DocValue::Mapping(_)) => {
            node.get(key).and_then(scalar).into_iter().collect()
        }
        None => Vec::new(),
    };
    let (locations, channels) = (names("locations"), names("channels"));
    let context = Context { locations: &locations, channels: &channels, ..Context::default() };
    let mut problems = Problems::new();
    let _ = MonitorSpec::read(node, &Path::Root, &Defaults::default(), &context, &mut problems);
    problems
}

fn scalar(node: &Node<'_>) -> Option<String> {
    match &node.value {
        DocValue::Scalar(text, _) => Some(text.trim().to_owned()),
        DocValue::Mapping(_) | DocValue::Sequence(_) => None,
    }
}

fn properties() -> Map<String, Value> {
    let mut properties = Map::new();
    for field in FIELDS {
        properties.insert(field.name.to_owned(), property(field));
        for alias in field.aliases {
            let mut schema = property(field);
            schema["description"] = format!("Another name of `{}`.", field.name).into();
            properties.insert((*alias).to_owned(), schema);
        }
    }
    properties
}

/// The schema of one setting.
fn property(field: &Field) -> Value {
    let mut schema = match field.kind {
        "text" | "path" | "web address" => text(field),
        "host" => json!({ "type": "string", "minLength": 1, "maxLength": 2000 }),
        "word" => json!({ "type": "string", "enum": words(field.range) }),
        "number" => {
            let (least, most) = numbers(field.range);
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        "number or service" => port(),
        "list" => json!({ "type": "array", "items": port() }),
        "list of hosts" => json!({ "type": "array", "items": { "type": "string" } }),
        "list of locations" | "list of channels" => json!({ "type": "array", "items": { "type": "string" } }),
        "word or list" => {
            json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
        }
        "duration" => duration_schema(field.range),
        "secret text with escapes" => json!({ "type": "string", "minLength": 1, "writeOnly": true }),
        "text with escapes" | "regular expression" => json!({ "type": "string", "minLength": 1 }),
        "true or false" => json!({ "type": "boolean" }),
        "mapping or list" => tags(),
        other => unreachable!("`{other}` is in the table of settings but has no schema"),
    };
    if field.default != "required" {
        schema = or_null(schema);
    }
    let default = match field.default {
        "required" | "none" => String::new(),
        default => format!(" Default: {default}."),
    };
    let range = if field.range.is_empty() { String::new() } else { format!(" ({})", field.range) };
    schema["description"] = format!("{}{range}{default}", field.doc).into();
    schema
}

/// Null stands for the default.
fn or_null(mut schema: Value) -> Value {
    if let Some(branches) = schema.get_mut("anyOf").and_then(Value::as_array_mut) {
        branches.push(json!({ "type": "null" }));
        return schema;
    }
    if let Some(kind) = schema.get("type").cloned() {
        schema["type"] = json!([kind, "null"]);
    }
    if let Some(words) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        words.push(Value::Null);
    }
    schema
}

fn text(field: &Field) -> Value {
    let length = field.range.split(' ').filter_map(|word| word.parse::<u32>().ok()).max();
    let mut schema = json!({ "type": "string", "minLength": 1 });
    if let Some(length) = length.filter(|_| field.range.contains("characters")) {
        schema["maxLength"] = length.into();
    }
    schema
}

fn port() -> Value {
    json!({ "anyOf": [{ "type": "integer", "minimum": 1, "maximum": 65535 }, { "type": "string", "minLength": 1 }] })
}

fn tags() -> Value {
    let value = json!({ "type": ["string", "number", "boolean", "null"] });
    json!({
        "anyOf": [
            { "type": "object", "maxProperties": 64, "additionalProperties": value },
            { "type": "array", "maxItems": 64, "items": { "type": "string" } },
        ],
    })
}

fn duration_schema(range: &str) -> Value {
    let mut number = json!({ "type": "number", "minimum": 0 });
    if let Some((least, most)) = range.split_once(" to ") {
        let seconds = |text: &str| duration::parse(text).ok().map(seconds);
        if let Some(least) = seconds(least) {
            number["minimum"] = least;
        }
        if let Some(most) = seconds(most) {
            number["maximum"] = most;
        }
    }
    json!({ "anyOf": [number, { "type": "string", "minLength": 1, "maxLength": 64 }] })
}

fn seconds(duration: Duration) -> Value {
    if duration.subsec_nanos() == 0 { duration.as_secs().into() } else { duration.as_secs_f64().into() }
}

fn words(range: &str) -> Vec<&str> {
    range.split('`').skip(1).step_by(2).collect()
}

/// `1 to 100`, or `0, or 2 to 8`: the ends.
fn numbers(range: &str) -> (u64, u64) {
    let numbers: Vec<u64> =
        range.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect();
    (numbers.iter().copied().min().unwrap_or(0), numbers.iter().copied().max().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_a_schema_that_says_what_the_table_says() {
        let all = properties();
        assert_eq!(all["port"]["anyOf"][0]["maximum"], 65_535);
        assert_eq!(all["handshake"]["enum"], json!(["half_open", "full", null]));
        assert_eq!(all["check_interval"]["anyOf"][0]["maximum"], 86_400);
        assert_eq!(all["timeout"]["anyOf"][0]["minimum"], 0.1);
        assert_eq!(all["flap_changes"]["maximum"], 8);
        assert_eq!(all["name"]["maxLength"], 200);
        assert_eq!(all["period"]["description"], "Another name of `check_interval`.");
        assert!(FIELDS.iter().all(|field| all.contains_key(field.name)));
    }
}
