//! Monitors as they are answered, and what is asked about them.

use std::collections::BTreeMap;

use quaywatch_app::operations::at::StateAt;
use quaywatch_app::operations::monitors as app;
use quaywatch_app::operations::page::Page;
use quaywatch_core::doc::Problem as Finding;
use quaywatch_core::spec::{self, Kind, Message, escape};
use quaywatch_core::{IncidentId, MonitorId};
use quaywatch_store::records::Owner;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ids::Id;
use super::paging::{After, Limit, paging};
use super::time::{Seconds, Time};
use super::words::{Outcome, Status};

/// A monitor: its settings with defaults filled in, and what is said of it now.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Monitor {
    /// Its number.
    pub id: Id<MonitorId>,
    /// The `id` it was given, else its name when it was made: what a file or an apply knows it by.
    key: String,
    #[serde(flatten)]
    settings: MonitorSettings,
    /// Settings that are set and never shown: `send_secret`.
    secrets: Vec<&'static str>,
    /// Who may change it: `api`, `file` or `apply:<name>`.
    managed_by: String,
    /// Where its file has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Source>,
    /// Counts edits: also its `ETag`.
    revision: u32,
    created_at: Time,
    /// What is said of it.
    status: Status,
    /// Since when; null where that is not looked up (of those that were up in a list of a past moment) or not known.
    since: Option<Time>,
    #[serde(flatten)]
    outcome: Outcome,
    /// The incident that is open.
    incident: Option<Id<IncidentId>>,
    /// Set while somebody paused it.
    paused: Option<Pause>,
    /// What its last check saw.
    last_check: Option<LastCheck>,
    /// Of which past moment `status`, `since`, the outcome and `incident` are, where one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Time>,
}

/// Settings, with the names of the YAML file.
#[derive(Debug, Serialize, JsonSchema)]
struct MonitorSettings {
    name: String,
    monitor_type: &'static str,
    host: String,
    port: u16,
    check_interval: Seconds,
    timeout: Seconds,
    dns_timeout: Seconds,
    retry_interval: Seconds,
    consecutive_failures_before_alert: u16,
    consecutive_successes_before_recovery: u16,
    response_time_threshold: Option<Seconds>,
    expectation: &'static str,
    handshake: &'static str,
    settle: Seconds,
    send: Option<String>,
    expect: Option<String>,
    ip_family: &'static str,
    addresses: &'static str,
    locations: Vec<String>,
    locations_down_before_alert: Option<u16>,
    alert_on_failure: bool,
    alert_before_first_success: bool,
    flap_changes: u16,
    flap_window: Option<Seconds>,
    flap_hold: Option<Seconds>,
    channels: Vec<String>,
    group: Option<String>,
    tags: BTreeMap<String, String>,
    enabled: bool,
    description: Option<String>,
    runbook_url: Option<String>,
}

/// A line of a file.
#[derive(Debug, Serialize, JsonSchema)]
struct Source {
    file: String,
    line: Option<u32>,
}

/// A pause.
#[derive(Debug, Serialize, JsonSchema)]
struct Pause {
    /// When it ends by itself; null: when somebody resumes it.
    until: Option<Time>,
    reason: Option<String>,
}

/// A monitor's last check.
#[derive(Debug, Serialize, JsonSchema)]
struct LastCheck {
    /// Its slot.
    at: Time,
    #[serde(flatten)]
    outcome: Outcome,
    /// From SYN to SYN-ACK; null for a failure.
    latency_us: Option<u32>,
}

impl From<app::MonitorView> for Monitor {
    fn from(view: app::MonitorView) -> Self {
        Self {
            id: Id(view.id),
            key: view.key,
            secrets: secrets(&view.spec),
            settings: MonitorSettings::from(view.spec),
            managed_by: view.owner.to_text(),
            source: view.source.map(|source| Source { file: source.file, line: source.line }),
            revision: view.revision,
            created_at: Time(view.created_at),
            status: view.status.into(),
            since: Some(Time(view.since)),
            outcome: view.code.into(),
            incident: view.incident.map(Id),
            paused: view.paused.map(|pause| Pause { until: pause.until.map(Time), reason: pause.reason }),
            last_check: view.last.map(|last| LastCheck {
                at: Time(last.at),
                outcome: last.code.into(),
                latency_us: last.latency_us,
            }),
            at: None,
        }
    }
}

impl Monitor {
    /// As it was at a past moment; `last_check` is not of that moment and left out.
    pub(crate) fn at(mut self, state: &StateAt) -> Self {
        self.status = state.status.unwrap_or(quaywatch_core::judge::Status::Pending).into();
        self.since = state.since.map(Time);
        self.outcome = state.code.into();
        self.incident = state.incident.map(Id);
        self.last_check = None;
        self.at = Some(Time(state.at));
        self
    }
}

/// The names of what is set and never shown.
fn secrets(spec: &quaywatch_core::MonitorSpec) -> Vec<&'static str> {
    let Kind::Tcp(tcp) = &spec.kind;
    let sends = tcp.send.as_ref().and_then(Message::hidden);
    sends.map(|_| "send_secret").into_iter().collect()
}

impl From<quaywatch_core::MonitorSpec> for MonitorSettings {
    fn from(spec: quaywatch_core::MonitorSpec) -> Self {
        let monitor_type = spec.kind.name();
        let Kind::Tcp(tcp) = spec.kind;
        Self {
            name: spec.name,
            monitor_type,
            host: tcp.host.to_text().into_owned(),
            port: tcp.port,
            check_interval: Seconds(spec.check_interval),
            timeout: Seconds(spec.timeout),
            dns_timeout: Seconds(spec.dns_timeout),
            retry_interval: Seconds(spec.retry_interval),
            consecutive_failures_before_alert: spec.consecutive_failures_before_alert,
            consecutive_successes_before_recovery: spec.consecutive_successes_before_recovery,
            response_time_threshold: spec.response_time_threshold.map(Seconds),
            expectation: match tcp.expectation {
                spec::Expectation::Open => "open",
                spec::Expectation::Closed => "closed",
                spec::Expectation::Filtered => "filtered",
            },
            handshake: match tcp.handshake {
                spec::Handshake::HalfOpen => "half_open",
                spec::Handshake::Full => "full",
            },
            settle: Seconds(tcp.settle),
            send: match tcp.send {
                Some(Message::Open(bytes)) => Some(escape::write(&bytes)),
                Some(Message::Hidden(_)) | None => None,
            },
            expect: tcp.expect.map(|pattern| pattern.0.into()),
            ip_family: match tcp.ip_family {
                spec::IpFamily::Any => "any",
                spec::IpFamily::Ipv4 => "ipv4",
                spec::IpFamily::Ipv6 => "ipv6",
            },
            addresses: match tcp.addresses {
                spec::Addresses::First => "first",
                spec::Addresses::All => "all",
            },
            locations: spec.locations,
            locations_down_before_alert: spec.locations_down_before_alert,
            alert_on_failure: spec.alert_on_failure,
            alert_before_first_success: spec.alert_before_first_success,
            flap_changes: spec.flap_changes,
            flap_window: spec.flap_window.map(Seconds),
            flap_hold: spec.flap_hold.map(Seconds),
            channels: spec.channels,
            group: spec.group,
            tags: spec.tags,
            enabled: spec.enabled,
            description: spec.description,
            runbook_url: spec.runbook_url,
        }
    }
}

/// A monitor that was written, and what is probably not meant.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct WrittenMonitor {
    #[serde(flatten)]
    pub monitor: Monitor,
    /// What works but is probably not meant.
    warnings: Vec<Warning>,
}

impl WrittenMonitor {
    /// Its revision.
    pub(crate) const fn revision(&self) -> u64 {
        self.monitor.revision as u64
    }
}

impl Monitor {
    /// Its revision.
    pub(crate) const fn revision(&self) -> u64 {
        self.revision as u64
    }
}

impl From<app::Written> for WrittenMonitor {
    fn from(written: app::Written) -> Self {
        Self { monitor: written.monitor.into(), warnings: warnings(&written.warnings) }
    }
}

/// What works but is probably not meant.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Warning {
    /// Where in what was sent (RFC 6901).
    pointer: String,
    /// Its line, where what was sent is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    /// Its column there.
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<u32>,
    /// A stable word.
    code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    suggestion: Option<String>,
}

/// Warnings of a reader.
pub(crate) fn warnings(findings: &[Finding]) -> Vec<Warning> {
    findings
        .iter()
        .map(|finding| Warning {
            pointer: finding.pointer.clone(),
            line: finding.span.is_known().then_some(finding.span.line),
            column: finding.span.is_known().then_some(finding.span.column),
            code: finding.code,
            message: finding.message.clone(),
            suggestion: (!finding.remedy.is_empty()).then(|| finding.remedy.clone()),
        })
        .collect()
}

/// Which monitors.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MonitorQuery {
    /// Only those with this in their name or host, whatever the case.
    #[schemars(length(min = 1, max = 200))]
    q: Option<String>,
    /// Only those that are one of these.
    #[serde(default)]
    status: Vec<Status>,
    /// Only of this kind.
    monitor_type: Option<MonitorType>,
    /// Only with this host.
    #[schemars(length(min = 1, max = 300))]
    host: Option<String>,
    /// Only with this port.
    #[schemars(range(min = 1, max = 65535))]
    port: Option<u16>,
    /// Only in this group, or below it.
    #[schemars(length(min = 1, max = 300))]
    group: Option<String>,
    /// Only with all of these tags: `env`, or `env=prod`.
    #[serde(default)]
    tag: Vec<String>,
    /// Only those that are checked from here.
    #[schemars(length(min = 1, max = 64))]
    location: Option<String>,
    /// Only those of this owner: `api`, `file` or `apply:<name>`.
    #[schemars(regex(pattern = r"^(api|file|apply:[A-Za-z0-9._-]{1,64})$"))]
    managed_by: Option<String>,
    /// Only those that somebody paused, or that nobody did.
    paused: Option<bool>,
    /// Only those that are switched on, or off.
    enabled: Option<bool>,
    /// Only those that name this channel.
    #[schemars(length(min = 1, max = 200))]
    channel: Option<String>,
    /// A past moment: what was said of them then.
    pub(crate) at: Option<Time>,
    /// In what order.
    #[serde(default)]
    sort: MonitorSort,
    /// The other way round.
    #[serde(default)]
    descending: bool,
    after: Option<After>,
    limit: Option<Limit>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum MonitorType {
    Tcp,
}

/// The order of a list of monitors.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum MonitorSort {
    /// As they were made.
    #[default]
    Id,
    Name,
    /// Trouble first.
    Status,
    /// By the last change of status.
    Since,
    /// By the last edit.
    Updated,
}

impl From<MonitorQuery> for app::MonitorQuery {
    fn from(query: MonitorQuery) -> Self {
        let tag = |text: &String| match text.split_once('=') {
            Some((name, value)) => app::TagFilter { name: name.to_owned(), value: Some(value.to_owned()) },
            None => app::TagFilter { name: text.clone(), value: None },
        };
        let filter = app::MonitorFilter {
            search: query.q,
            statuses: query.status.into_iter().map(Into::into).collect(),
            kind: query.monitor_type.map(|MonitorType::Tcp| "tcp".to_owned()),
            host: query.host,
            port: query.port,
            group: query.group,
            tags: query.tag.iter().map(tag).collect(),
            location: query.location,
            owner: query.managed_by.as_deref().and_then(owner),
            paused: query.paused,
            enabled: query.enabled,
            channels: query.channel.into_iter().collect(),
        };
        Self {
            filter,
            sort: match query.sort {
                MonitorSort::Id => app::MonitorSort::Id,
                MonitorSort::Name => app::MonitorSort::Name,
                MonitorSort::Status => app::MonitorSort::Status,
                MonitorSort::Since => app::MonitorSort::Since,
                MonitorSort::Updated => app::MonitorSort::Updated,
            },
            descending: query.descending,
            paging: paging(query.after, query.limit),
        }
    }
}

/// `api`, `file` or `apply:<name>`.
pub(crate) fn owner(text: &str) -> Option<Owner> {
    match text {
        "api" => Some(Owner::Api),
        "file" => Some(Owner::File),
        other => other.strip_prefix("apply:").map(|name| Owner::Apply(name.to_owned())),
    }
}

/// A page of monitors.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct MonitorPage {
    items: Vec<Monitor>,
    /// What to send as `after` for the next page; null on the last.
    next: Option<String>,
    /// How many there are in all; null where counting them would take too long, and for a past moment.
    total: Option<u64>,
    /// How many of the whole account are what now, whatever was asked for; null for a past moment.
    counts: Option<Counts>,
}

/// How many monitors are what.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Counts {
    down: u64,
    degraded: u64,
    unknown: u64,
    blocked: u64,
    maintenance: u64,
    paused: u64,
    pending: u64,
    up: u64,
}

impl From<app::StatusCounts> for Counts {
    fn from(counts: app::StatusCounts) -> Self {
        use quaywatch_core::judge::Status as S;
        Self {
            down: counts.of(S::Down),
            degraded: counts.of(S::Degraded),
            unknown: counts.of(S::Unknown),
            blocked: counts.of(S::Blocked),
            maintenance: counts.of(S::Maintenance),
            paused: counts.of(S::Paused),
            pending: counts.of(S::Pending),
            up: counts.of(S::Up),
        }
    }
}

impl From<app::MonitorList> for MonitorPage {
    fn from(list: app::MonitorList) -> Self {
        Self {
            items: list.page.items.into_iter().map(Monitor::from).collect(),
            next: list.page.next,
            total: list.total,
            counts: Some(list.counts.into()),
        }
    }
}

impl From<Page<(app::MonitorView, StateAt)>> for MonitorPage {
    fn from(page: Page<(app::MonitorView, StateAt)>) -> Self {
        let items = page.items.into_iter().map(|(view, state)| Monitor::from(view).at(&state)).collect();
        Self { items, next: page.next, total: None, counts: None }
    }
}

/// For how long, and why.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PauseRequest {
    /// When it ends by itself; without it and `for`, when somebody resumes.
    pub(crate) until: Option<Time>,
    /// How long, instead of `until`.
    pub(crate) r#for: Option<Seconds>,
    /// Why.
    #[schemars(length(max = 500))]
    pub(crate) reason: Option<String>,
}

/// When it will be checked.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Slot {
    /// The slot by which its result is found.
    pub slot: Time,
}
