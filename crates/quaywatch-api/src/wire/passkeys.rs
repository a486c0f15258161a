//! Passkeys (W3C Web Authentication Level 3): what a browser's `navigator.credentials` takes and gives passes through
//! as it is.

use quaywatch_app::identity::passkeys::{Challenge as ChallengeView, PasskeyView};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::time::Time;

/// What the browser is asked.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Challenge {
    /// To send back with the browser's answer.
    ceremony: String,
    /// For `navigator.credentials.create` or `.get`, with binary values as base64url.
    options: Map<String, Value>,
}

impl From<ChallengeView> for Challenge {
    fn from(view: ChallengeView) -> Self {
        let options = match view.options {
            Value::Object(options) => options,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Map::new()
            }
        };
        Self { ceremony: view.ceremony, options }
    }
}

/// What the browser answered, for a new passkey.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPasskey {
    #[schemars(length(min = 1, max = 100))]
    pub ceremony: String,
    /// What its owner calls it.
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    /// `PublicKeyCredential.toJSON()`.
    pub answer: Map<String, Value>,
}

/// What the browser answered, to sign in.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasskeySignIn {
    #[schemars(length(min = 1, max = 100))]
    pub ceremony: String,
    /// `PublicKeyCredential.toJSON()`.
    pub answer: Map<String, Value>,
}

/// A passkey.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Passkey {
    pub id: i64,
    name: String,
    created_at: Time,
    last_used_at: Option<Time>,
}

impl From<PasskeyView> for Passkey {
    fn from(view: PasskeyView) -> Self {
        Self {
            id: view.id,
            name: view.name,
            created_at: Time(view.created_at),
            last_used_at: view.last_used_at.map(Time),
        }
    }
}
