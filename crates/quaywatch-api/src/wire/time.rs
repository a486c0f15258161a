//! Times and durations as the API writes them: RFC 3339 in UTC; seconds, or text such as `"5m"`.

use std::borrow::Cow;
use std::time::Duration;

use quaywatch_core::Timestamp;
use quaywatch_core::spec::duration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time(pub Timestamp);

impl From<Timestamp> for Time {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        // The library also reads times without a zone or with seconds left out; the schema does not.
        text.parse::<jiff::Timestamp>()
            .map(|at| Self(Timestamp(at.as_microsecond())))
            .map_err(|error| serde::de::Error::custom(format!("`{text}` is no time: {error}")))
    }
}

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time", "examples": ["2026-05-01T16:15:21.204Z"] })
    }
}

/// A duration: written as seconds, read as seconds or text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seconds(pub Duration);

impl From<Duration> for Seconds {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.subsec_millis() == 0 {
            serializer.serialize_u64(self.0.as_secs())
        } else {
            serializer.serialize_f64(self.0.as_millis() as f64 / 1_000.0)
        }
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let text = match &value {
            serde_json::Value::Number(number) => number.to_string(),
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Null
            | serde_json::Value::Bool(_)
            | serde_json::Value::Array(_)
            | serde_json::Value::Object(_) => String::new(),
        };
        duration::parse(&text).map(Self).map_err(|error| {
            serde::de::Error::custom(format!("`{text}` {}; {}", error.message, error.remedy))
        })
    }
}

impl JsonSchema for Seconds {
    fn schema_name() -> Cow<'static, str> {
        "Seconds".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        if generator.contract().is_serialize() {
            return json_schema!({ "type": "number", "minimum": 0, "description": "seconds" });
        }
        json_schema!({
            "anyOf": [{ "type": "number", "minimum": 0 }, { "type": "string", "minLength": 1, "maxLength": 64 }],
            "description": "seconds, or a text such as `500ms`, `5m`, `1h30m`",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_numbers_and_as_text_and_written_as_numbers() {
        for (json, ms, written) in [
            ("60", 60_000, "60"),
            ("0.5", 500, "0.5"),
            ("\"5m\"", 300_000, "300"),
            ("\"1h30m\"", 5_400_000, "5400"),
        ] {
            let read: Seconds = serde_json::from_str(json).expect(json);
            assert_eq!(read.0, Duration::from_millis(ms), "{json}");
            assert_eq!(serde_json::to_string(&read).expect("JSON"), written);
        }
        let error = serde_json::from_str::<Seconds>("\"5 parsecs\"").expect_err("no unit").to_string();
        assert!(error.contains("unknown unit"), "{error}");
    }

    #[test]
    fn times_are_rfc_3339() {
        let read: Time = serde_json::from_str("\"2026-05-01T18:15:21.204+02:00\"").expect("a time");
        assert_eq!(serde_json::to_string(&read).expect("JSON"), "\"2026-05-01T16:15:21.204Z\"");
        assert!(serde_json::from_str::<Time>("\"2026-05-01\"").is_err());
    }
}
