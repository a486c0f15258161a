//! Ids in paths, queries and bodies: texts of one form each, so that the document can say which.

use std::borrow::Cow;
use std::fmt;

use quaywatch_core::{ChannelId, IncidentId, MonitorId, TokenId, UserId};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An id as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id<T>(pub T);

/// How an id looks.
pub(crate) trait Form {
    /// Its pattern.
    const PATTERN: &'static str;
    /// One that examples use.
    const EXAMPLE: &'static str;
}

macro_rules! forms {
    ($($id:ty: $pattern:literal, $example:literal;)*) => {$(
        impl Form for $id {
            const PATTERN: &'static str = $pattern;
            const EXAMPLE: &'static str = $example;
        }
    )*};
}

forms! {
    MonitorId: "^m[1-9][0-9]{0,9}$", "m1";
    ChannelId: "^ch[1-9][0-9]{0,9}$", "ch1";
    UserId: "^u[1-9][0-9]{0,9}$", "u1";
    TokenId: "^tok[1-9][0-9]{0,9}$", "tok1";
    IncidentId: "^inc_[0-7][0-9a-hjkmnp-tv-z]{25}$", "inc_01k9zjbp000000000000000000";
}

impl<T> From<T> for Id<T> {
    fn from(id: T) -> Self {
        Self(id)
    }
}

impl<T: fmt::Display> Serialize for Id<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de, T: std::str::FromStr<Err: fmt::Display>> Deserialize<'de> for Id<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

impl<T: Form> JsonSchema for Id<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("Id_{}", T::EXAMPLE).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": T::PATTERN, "examples": [T::EXAMPLE] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_each_form_is_one_and_fits_its_pattern() {
        fn check<T: Form + std::str::FromStr<Err: fmt::Display>>() {
            serde_json::from_value::<Id<T>>(T::EXAMPLE.into()).expect(T::EXAMPLE);
            let schema = json_schema!({ "type": "string", "pattern": T::PATTERN }).to_value();
            assert!(jsonschema::is_valid(&schema, &T::EXAMPLE.into()), "{}", T::EXAMPLE);
        }
        check::<MonitorId>();
        check::<ChannelId>();
        check::<UserId>();
        check::<TokenId>();
        check::<IncidentId>();
    }
}
