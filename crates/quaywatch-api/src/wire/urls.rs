//! The words of the documented call: what other products call a monitor.

use std::borrow::Cow;

use quaywatch_app::operations::urls::{self as app, UrlLog, UrlView, WrittenUrl};
use quaywatch_core::MonitorId;
use quaywatch_core::doc::{Node, Problems};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::monitors::{Warning, warnings};
use super::time::{Seconds, Time};
use super::words::{Outcome, Status, Verdict};
use crate::framework::body::Reads;

/// A number, as the documented call names things.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct One {
    /// The number of the monitor.
    #[schemars(range(min = 1, max = 4_294_967_295_u64), extend("examples" = [1]))]
    id: i64,
}

impl One {
    pub(crate) const fn monitor(&self) -> MonitorId {
        MonitorId(self.id)
    }
}

/// A url to be made.
#[derive(Debug)]
pub(crate) struct NewUrl;

/// What changes of a url.
#[derive(Debug)]
pub(crate) struct UrlPatch;

impl JsonSchema for NewUrl {
    fn schema_name() -> Cow<'static, str> {
        "NewUrl".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "properties": properties(),
            "required": ["url", "port"],
            "additionalProperties": false,
        })
    }
}

impl JsonSchema for UrlPatch {
    fn schema_name() -> Cow<'static, str> {
        "UrlPatch".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "What is not named stays.",
            "properties": properties(),
            "additionalProperties": false,
        })
    }
}

impl Reads for NewUrl {
    fn problems(node: &Node<'_>) -> Problems {
        app::problems(node, true)
    }
}

impl Reads for UrlPatch {
    fn problems(node: &Node<'_>) -> Problems {
        app::problems(node, false)
    }
}

fn properties() -> Map<String, Value> {
    let flag = |kind: &str| {
        json!({
            "type": ["boolean", "null"],
            "description": format!("Tell every channel of the type `{kind}` that the account has."),
        })
    };
    let seconds = |about: &str, least: f64, most: u32| {
        json!({
            "anyOf": [
                { "type": "number", "minimum": least, "maximum": most },
                { "type": "string", "minLength": 1, "maxLength": 64 },
                { "type": "null" },
            ],
            "description": about,
        })
    };
    let ignored = |about: &str| json!({ "type": ["string", "null"], "description": about });
    let all = json!({
        "url": { "type": "string", "minLength": 1, "maxLength": 2000,
                 "description": "The host, without a scheme." },
        "monitor_type": { "type": ["string", "null"], "enum": ["tcp", null], "description": "`tcp`." },
        "port": { "type": "integer", "minimum": 1, "maximum": 65_535, "description": "Required for `tcp`." },
        "protocol": { "type": ["string", "null"], "minLength": 1, "maxLength": 64,
                      "description": "What speaks there; it changes nothing." },
        "period": seconds("From check to check, in seconds; the plan may set a minimum.", 1.0, 86_400),
        "custom_timeout": seconds("How long to wait, in seconds; 60 where nothing is said.", 0.1, 120),
        "http_method": ignored("Means nothing to TCP: leave it out or send null."),
        "expected_keyword": ignored("Means nothing to TCP: leave it out or send null."),
        "notify_telegram": flag("telegram"),
        "notify_max": flag("max"),
        "notify_email": flag("email"),
        "notify_webhook": flag("webhook"),
        "name": { "type": ["string", "null"], "minLength": 1, "maxLength": 200,
                  "description": "`host:port` where nothing is said." },
        "group": { "type": ["string", "null"], "minLength": 1, "description": "Path text: `infra/db`." },
        "enabled": { "type": ["boolean", "null"] },
    });
    match all {
        Value::Object(properties) => properties,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

/// A monitor in the words of the documented call.
#[derive(Debug, Serialize, JsonSchema)]
#[expect(clippy::struct_excessive_bools, reason = "the documented call has four of them")]
pub(crate) struct Url {
    /// Its number.
    id: i64,
    name: String,
    /// The host.
    url: String,
    monitor_type: &'static str,
    port: u16,
    protocol: Option<String>,
    period: Seconds,
    custom_timeout: Seconds,
    http_method: Option<String>,
    expected_keyword: Option<String>,
    notify_telegram: bool,
    notify_max: bool,
    notify_email: bool,
    notify_webhook: bool,
    status: Status,
    #[serde(flatten)]
    outcome: Outcome,
    /// Since when it is what `status` says.
    since: Time,
    /// Handshake time of the last check.
    latency_us: Option<u32>,
    last_checked_at: Option<Time>,
    paused: bool,
    created_at: Time,
}

impl From<UrlView> for Url {
    fn from(view: UrlView) -> Self {
        Self {
            id: view.id.0,
            name: view.name,
            url: view.url,
            monitor_type: view.monitor_type,
            port: view.port,
            protocol: view.protocol,
            period: Seconds(view.period),
            custom_timeout: Seconds(view.custom_timeout),
            http_method: view.http_method,
            expected_keyword: view.expected_keyword,
            notify_telegram: view.notify.telegram,
            notify_max: view.notify.max,
            notify_email: view.notify.email,
            notify_webhook: view.notify.webhook,
            status: view.status.into(),
            outcome: view.error_code.into(),
            since: Time(view.since),
            latency_us: view.latency_us,
            last_checked_at: view.last_checked_at.map(Time),
            paused: view.paused,
            created_at: Time(view.created_at),
        }
    }
}

/// A url that was written, and what its sender should know.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct WrittenUrlBody {
    #[serde(flatten)]
    url: Url,
    /// What was ignored, and who is not told.
    warnings: Vec<Warning>,
}

impl WrittenUrlBody {
    /// Its number.
    pub(crate) const fn id(&self) -> i64 {
        self.url.id
    }
}

impl From<WrittenUrl> for WrittenUrlBody {
    fn from(written: WrittenUrl) -> Self {
        Self { warnings: warnings(&written.warnings), url: written.url.into() }
    }
}

/// One row of a url's log.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct UrlLogRow {
    checked_at: Time,
    status: Verdict,
    #[serde(flatten)]
    outcome: Outcome,
    /// Handshake time; null for a failure.
    latency_us: Option<u32>,
}

impl From<UrlLog> for UrlLogRow {
    fn from(row: UrlLog) -> Self {
        Self {
            checked_at: Time(row.checked_at),
            status: row.status.into(),
            outcome: row.error_code.into(),
            latency_us: row.latency_us,
        }
    }
}
