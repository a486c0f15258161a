//! The schemas of what goes in and out, collected while routes are registered.
//!
//! A type that is read and a type that is written have different schemas even where they are one type (what may be left
//! out when sent is always there when answered), so there is one collection for each; a name that stands for two
//! different schemas is a mistake of ours and ends the start.

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value};

/// Collects schemas.
#[derive(Debug)]
pub struct Describe {
    read: SchemaGenerator,
    written: SchemaGenerator,
}

impl Default for Describe {
    fn default() -> Self {
        let settings = || {
            let settings = SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            });
            settings.with_transform(Words)
        };
        Self {
            read: settings().for_deserialize().into_generator(),
            written: settings().for_serialize().into_generator(),
        }
    }
}

impl Describe {
    /// The schema of what is sent to us.
    pub fn read<T: JsonSchema>(&mut self) -> Value {
        self.read.subschema_for::<T>().to_value()
    }

    /// The schema of what we answer.
    pub fn written<T: JsonSchema>(&mut self) -> Value {
        self.written.subschema_for::<T>().to_value()
    }

    /// All named schemas, for `components`.
    pub(super) fn schemas(&mut self) -> Map<String, Value> {
        let mut all = self.read.take_definitions(true);
        for (name, schema) in self.written.take_definitions(true) {
            let other = all.insert(name.clone(), schema.clone());
            assert!(
                other.is_none_or(|other| other == schema),
                "the name `{name}` stands for two schemas: one that is sent and one that is answered"
            );
        }
        all
    }
}

/// The schema of a type with everything that it refers to inside: what a validator is made of.
#[must_use]
pub fn whole<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12()
        .with_transform(Words)
        .for_deserialize()
        .into_generator()
        .into_root_schema_for::<T>()
}

/// The schema of a type with nothing to refer to: for parameters, which are read one by one.
#[must_use]
pub fn flat<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings.with_transform(Words).for_deserialize().into_generator().into_root_schema_for::<T>()
}

/// A set of words is one `enum`, with what each means in the description: clients and checkers understand that better
/// than a choice between constants.
#[derive(Debug, Clone, Copy)]
struct Words;

impl Transform for Words {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(choices) = schema.get("oneOf").and_then(Value::as_array) else { return };
        let Some(words) = choices.iter().map(words_of).collect::<Option<Vec<_>>>() else { return };
        let mut about = schema.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut all = Vec::new();
        for (words, meaning) in words {
            if let (Some(meaning), [word]) = (meaning, words.as_slice()) {
                about.push_str(&format!("\n- `{}`: {meaning}", word.as_str().unwrap_or_default()));
            }
            all.extend(words);
        }
        schema.remove("oneOf");
        schema.insert("type".to_owned(), "string".into());
        schema.insert("enum".to_owned(), Value::Array(all));
        if !about.is_empty() {
            schema.insert("description".to_owned(), about.trim_start().into());
        }
    }
}

/// The words of one choice and what it means, where it is nothing but words.
fn words_of(choice: &Value) -> Option<(Vec<Value>, Option<String>)> {
    if choice.get("type").and_then(Value::as_str) != Some("string") {
        return None;
    }
    let words = match (choice.get("const"), choice.get("enum")) {
        (Some(word), None) => vec![word.clone()],
        (None, Some(Value::Array(words))) => words.clone(),
        _ => return None,
    };
    Some((words, choice.get("description").and_then(Value::as_str).map(str::to_owned)))
}
