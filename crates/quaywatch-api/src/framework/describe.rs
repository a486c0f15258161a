//! The schemas of what goes in and out, collected while routes are registered.
//!
//! A type that is read and a type that is written have different schemas even where they are one type (what may be left
//! out when sent is always there when answered), so there is one collection for each; a name that stands for two
//! different schemas is a mistake of ours and ends the start.

use schemars::generate::{SchemaGenerator, SchemaSettings};
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
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            })
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
    SchemaSettings::draft2020_12().for_deserialize().into_generator().into_root_schema_for::<T>()
}

/// The schema of a type with nothing to refer to: for parameters, which are read one by one.
#[must_use]
pub fn flat<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings.for_deserialize().into_generator().into_root_schema_for::<T>()
}
