//! The account, its audit log, groups, tags, locations.

use quaywatch_app::operations::account as app;
use quaywatch_app::operations::audit::AuditView;
use quaywatch_app::operations::groups::GroupView;
use quaywatch_app::operations::locations::LocationView;
use quaywatch_app::operations::tags::TagView;
use quaywatch_core::AccountId;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::monitors::Counts;
use super::time::{Seconds, Time};
use super::words::{Outcome, Status};

/// An account.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Account {
    /// `a1`
    id: String,
    name: String,
    plan: String,
    limits: Limits,
    used: Use,
}

/// What the plan allows; null: no limit.
#[derive(Debug, Serialize, JsonSchema)]
struct Limits {
    /// Monitors of every kind.
    max_urls: Option<u64>,
    /// The shortest interval.
    min_interval: Option<Seconds>,
    channels: Option<u64>,
    /// By name; null: all.
    locations: Option<Vec<String>>,
    /// How long raw results are kept.
    retention: Option<Seconds>,
    status_pages: Option<u64>,
}

/// How much there is.
#[derive(Debug, Serialize, JsonSchema)]
struct Use {
    monitors: u64,
    channels: u64,
    members: u64,
    tokens: u64,
}

impl From<app::AccountView> for Account {
    fn from(view: app::AccountView) -> Self {
        Self {
            id: AccountId::to_string(&view.id),
            name: view.name,
            plan: view.plan,
            limits: Limits {
                max_urls: view.limits.max_urls,
                min_interval: view.limits.min_interval.map(Seconds),
                channels: view.limits.channels,
                locations: view.limits.locations,
                retention: view.limits.retention.map(Seconds),
                status_pages: view.limits.status_pages,
            },
            used: Use {
                monitors: view.used.monitors,
                channels: view.used.channels,
                members: view.used.members,
                tokens: view.used.tokens,
            },
        }
    }
}

/// One change.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AuditRow {
    id: i64,
    at: Time,
    /// `user:u3`, `token:tok5`, `file`, `cli:0`.
    actor: String,
    /// `monitor.created`, `token.revoked`, …
    action: String,
    /// The kind of thing that changed.
    kind: Option<String>,
    /// Its id.
    object: Option<String>,
    /// As it was.
    before: Option<Value>,
    /// As it is since.
    after: Option<Value>,
    /// From where.
    address: Option<String>,
    /// In which request.
    request: Option<String>,
}

impl From<AuditView> for AuditRow {
    fn from(view: AuditView) -> Self {
        let json = |text: String| serde_json::from_str(&text).unwrap_or(Value::String(text));
        Self {
            id: view.id,
            at: Time(view.at),
            actor: view.actor,
            action: view.action,
            kind: view.kind,
            object: view.object,
            before: view.before.map(json),
            after: view.after.map(json),
            address: view.address.map(|address| address.to_string()),
            request: view.request,
        }
    }
}

/// A group with everything below it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Group {
    /// `infra/db`
    path: String,
    /// What is worst among its monitors.
    status: Status,
    counts: Counts,
}

impl From<GroupView> for Group {
    fn from(view: GroupView) -> Self {
        Self { path: view.path, status: view.worst.into(), counts: view.counts.into() }
    }
}

/// A tag with one of its values.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TagCount {
    name: String,
    /// Empty for a tag without one.
    value: String,
    monitors: u64,
}

impl From<TagView> for TagCount {
    fn from(view: TagView) -> Self {
        Self { name: view.name, value: view.value, monitors: view.monitors }
    }
}

/// A place from which checks run.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Location {
    /// 0 is the server itself.
    id: u16,
    name: String,
    /// Set while it cannot see.
    blind: Option<Blind>,
}

/// Since when a location cannot see, and why.
#[derive(Debug, Serialize, JsonSchema)]
struct Blind {
    since: Time,
    #[serde(flatten)]
    outcome: Outcome,
}

impl From<LocationView> for Location {
    fn from(view: LocationView) -> Self {
        let blind = view.blind.map(|(since, code)| Blind { since: Time(since), outcome: code.into() });
        Self { id: view.id.0, name: view.name, blind }
    }
}
