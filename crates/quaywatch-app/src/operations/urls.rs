//! The documented call, word by word: monitors as `urls` with `monitor_type`, `port`, `period`, `custom_timeout` and
//! `notify_*`. One thin adapter: a body becomes a body of the operations on monitors, which do everything.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use quaywatch_core::doc::{
    Key, Level, Node, Path, Problem, Problems, Span, Style, Value, closest, pairs, quote,
};
use quaywatch_core::judge::Status;
use quaywatch_core::spec::values::{At, alternatives};
use quaywatch_core::spec::{Context, Defaults, Host, HostError};
use quaywatch_core::{ErrorCode, ErrorStatus, MonitorId, MonitorSpec, Timestamp};
use quaywatch_notify::registry;
use quaywatch_store::records::{ChannelRecord, Window};

use super::monitors::{LOOK, MonitorQuery, MonitorView, Written};
use super::page::{Page, Paging};
use super::reading::warning;
use super::results::ResultQuery;
use super::{OperationError, Operations, naming};
use crate::caller::Caller;

/// A monitor in the words of the documented call.
#[derive(Debug, Clone, PartialEq)]
pub struct UrlView {
    /// The bare number.
    pub id: MonitorId,
    /// Its name; not in the documented call, made of host and port where it is not given.
    pub name: String,
    /// The host.
    pub url: String,
    /// `tcp`.
    pub monitor_type: &'static str,
    /// The port.
    pub port: u16,
    /// What was said of it when it was made; it changes nothing.
    pub protocol: Option<String>,
    /// From check to check.
    pub period: Duration,
    /// The timeout.
    pub custom_timeout: Duration,
    /// `null` for TCP, always.
    pub http_method: Option<String>,
    /// `null` for TCP, always.
    pub expected_keyword: Option<String>,
    /// Which kinds of channels are told.
    pub notify: Notify,
    /// `up`, `down`, …
    pub status: Status,
    /// The public word for why; `None` when ok.
    pub error_status: Option<ErrorStatus>,
    /// The fine word.
    pub error_code: ErrorCode,
    /// Since when.
    pub since: Timestamp,
    /// Handshake time of the last check.
    pub latency_us: Option<u32>,
    /// When it was last looked at.
    pub last_checked_at: Option<Timestamp>,
    /// Somebody paused it, or it is switched off.
    pub paused: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// Counts edits: the entity tag.
    pub revision: u32,
}

/// Which kinds of channels are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Notify {
    /// `notify_telegram`
    pub telegram: bool,
    /// `notify_max`
    pub max: bool,
    /// `notify_email`
    pub email: bool,
    /// `notify_webhook`
    pub webhook: bool,
}

/// What was written.
#[derive(Debug, Clone, PartialEq)]
pub struct WrittenUrl {
    /// As it is now.
    pub url: UrlView,
    /// What was ignored, and who is not told.
    pub warnings: Vec<Problem>,
}

/// One row of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlLog {
    /// The check's slot.
    pub checked_at: Timestamp,
    /// `up` or `down` (or `unknown`, `blocked`, `degraded`).
    pub status: quaywatch_core::Verdict,
    /// The public word for why; `None` when ok.
    pub error_status: Option<ErrorStatus>,
    /// The fine word.
    pub error_code: ErrorCode,
    /// Handshake time.
    pub latency_us: Option<u32>,
}

/// A minute: what the documented call waits where nobody says otherwise.
const CUSTOM_TIMEOUT: &str = "60";
/// How far back the log goes: as long as single results are kept.
const LOG: Duration = Duration::from_secs(30 * 86_400);
/// The tag that keeps `protocol`.
const PROTOCOL: &str = "protocol";

impl Operations {
    /// Monitors as urls, as they were made.
    ///
    /// # Errors
    /// Where the caller may not, or a cursor is none.
    pub async fn list_urls(&self, caller: &Caller, paging: &Paging) -> Result<Page<UrlView>, OperationError> {
        let query = MonitorQuery { paging: paging.clone(), ..MonitorQuery::default() };
        let page = self.list_monitors(caller, &query).await?.page;
        let channels = self.account(caller).channels().await?;
        Ok(page.map(|monitor| view(monitor, &channels)))
    }

    /// One of them.
    ///
    /// # Errors
    /// Where the caller may not, or there is none.
    pub async fn read_url(&self, caller: &Caller, id: MonitorId) -> Result<UrlView, OperationError> {
        caller.require(LOOK)?;
        let channels = self.account(caller).channels().await?;
        Ok(view(self.view(caller.account, id).await?, &channels))
    }

    /// The documented call.
    ///
    /// # Errors
    /// As for [`Operations::create_monitor`].
    pub async fn create_url(&self, caller: &Caller, body: &Node<'_>) -> Result<WrittenUrl, OperationError> {
        caller.require(super::monitors::EDIT)?;
        let channels = self.account(caller).channels().await?;
        let body = Body::read(body, true)?;
        let (mut node, warnings) = body.monitor(&channels, &[]);
        default(&mut node, "custom_timeout", CUSTOM_TIMEOUT);
        let mut count = 1;
        loop {
            let named = match body.target().filter(|_| !body.has("name")) {
                Some(target) => with(&node, "name", &numbered(&target, count)),
                None => node.clone(),
            };
            match self.create_monitor(caller, &named).await {
                // The documented call knows no names: two urls may be the same.
                Err(OperationError::Conflict { code: "name_taken", .. })
                    if !body.has("name") && count < MOST_ALIKE =>
                {
                    count += 1;
                }
                other => return Ok(written(other?, &channels, warnings)),
            }
        }
    }

    /// Changes what is named.
    ///
    /// # Errors
    /// As for [`Operations::update_monitor`].
    pub async fn update_url(
        &self,
        caller: &Caller,
        id: MonitorId,
        patch: &Node<'_>,
        revision: Option<u32>,
    ) -> Result<WrittenUrl, OperationError> {
        caller.require(super::monitors::EDIT)?;
        let channels = self.account(caller).channels().await?;
        let body = Body::read(patch, false)?;
        let old = self.view(caller.account, id).await?;
        let (mut node, warnings) = body.monitor(&channels, &old.spec.channels);
        if node.get("custom_timeout").is_some() {
            default(&mut node, "custom_timeout", CUSTOM_TIMEOUT);
        }
        // A name that nobody gave says what is watched, also when that changes.
        if !body.has("name") && old.spec.name == old.spec.target() {
            let (host, port) = old.spec.host_and_port();
            let text =
                |name: &str, old: String| body.value(name).and_then(scalar_of).map_or(old, str::to_owned);
            let (host, port) = (text("url", host.to_string()), text("port", port.to_string()));
            let target = target(&host, &port);
            if target != old.spec.name {
                node = with(&node, "name", &target);
            }
        }
        let changed = self.update_monitor(caller, id, &node, revision).await?;
        Ok(written(changed, &channels, warnings))
    }

    /// Puts it into the bin.
    ///
    /// # Errors
    /// As for [`Operations::delete_monitor`].
    pub async fn delete_url(&self, caller: &Caller, id: MonitorId) -> Result<(), OperationError> {
        self.delete_monitor(caller, id, None).await
    }

    /// Its checks, the newest first.
    ///
    /// # Errors
    /// Where the caller may not, there is none, or a cursor is none.
    pub async fn list_url_logs(
        &self,
        caller: &Caller,
        id: MonitorId,
        window: Option<Window>,
        paging: &Paging,
    ) -> Result<Page<UrlLog>, OperationError> {
        let now = self.clock.now();
        let query = ResultQuery {
            window: window.unwrap_or(Window { from: now - LOG, to: now }),
            location: None,
            failures: false,
            newest_first: true,
            paging: paging.clone(),
        };
        let page = self.list_results(caller, id, &query).await?;
        Ok(page.map(|result| UrlLog {
            checked_at: result.at,
            status: result.verdict,
            error_status: result.error_status,
            error_code: result.error_code,
            latency_us: result.latency_us,
        }))
    }
}

/// What is wrong with a body as it stands; `new` where it must say what to watch.
#[must_use]
pub fn problems(body: &Node<'_>, new: bool) -> Problems {
    match Body::read(body, new) {
        Err(OperationError::Invalid(problems)) => problems,
        Ok(_) | Err(_) => Problems::new(),
    }
}

/// Urls that are the same in every respect: a loop that makes more is a mistake.
const MOST_ALIKE: u32 = 20;

/// `db.example.com:3306`, `db.example.com:3306 (2)`.
fn numbered(target: &str, count: u32) -> String {
    if count == 1 { target.to_owned() } else { format!("{target} ({count})") }
}

/// What the documented call knows, and what becomes of it.
const FIELDS: [(&str, Field); 15] = [
    ("url", Field::Same),
    ("monitor_type", Field::Same),
    ("port", Field::Same),
    ("protocol", Field::Protocol),
    ("period", Field::Same),
    ("custom_timeout", Field::Same),
    ("http_method", Field::Foreign),
    ("expected_keyword", Field::Foreign),
    ("notify_telegram", Field::Notify("telegram")),
    ("notify_max", Field::Notify("max")),
    ("notify_email", Field::Notify("email")),
    ("notify_webhook", Field::Notify("webhook")),
    ("name", Field::Same),
    ("group", Field::Same),
    ("enabled", Field::Same),
];

/// What becomes of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    /// The reader of monitors knows it by the same name.
    Same,
    /// Kept as a tag.
    Protocol,
    /// Of HTTP: nothing.
    Foreign,
    /// All channels of this kind.
    Notify(&'static str),
}

/// A body whose fields are known and of the right form.
struct Body<'a> {
    fields: Vec<(&'static str, Field, &'a Node<'a>)>,
}

impl<'a> Body<'a> {
    /// `new`: it must say what to watch.
    fn read(body: &'a Node<'a>, new: bool) -> Result<Self, OperationError> {
        let mut problems = Problems::new();
        let form = r#"send `{"url": "db.example.com", "monitor_type": "tcp", "port": 3306, "period": 60}`"#;
        let mut fields = Vec::new();
        for (key, value) in pairs(body, &Path::Root, form, &mut problems).unwrap_or_default() {
            let Some((name, field)) = FIELDS.iter().find(|(name, _)| *name == key.text) else {
                unknown(key, &mut problems);
                continue;
            };
            let at = At { node: value, path: Path::Root.key(name), key: name };
            match field {
                Field::Notify(_) if !value.is_null() => drop(at.boolean(&mut problems)),
                Field::Protocol if !value.is_null() => drop(at.line(&mut problems, 64)),
                Field::Same if *name == "port" && !value.is_null() => port(&at, &mut problems),
                Field::Same if *name == "url" && !value.is_null() => url(&at, &mut problems),
                Field::Same | Field::Foreign | Field::Notify(_) | Field::Protocol => {}
            }
            fields.push((*name, *field, value));
        }
        let read = Self { fields };
        if new {
            read.require(&mut problems);
        }
        if problems.is_fine() {
            return Ok(read);
        }
        read.rest(&mut problems);
        Err(OperationError::Invalid(problems))
    }

    /// What the reader of monitors says of the other fields, so that all that is wrong is told at once.
    fn rest(&self, problems: &mut Problems) {
        let (node, _) = self.monitor(&[], &[]);
        let mut more = Problems::new();
        let (defaults, context) = (Defaults::default(), Context::default());
        let _ = MonitorSpec::read(&node, &Path::Root, &defaults, &context, &mut more);
        let errors = more.iter().filter(|one| one.level == Level::Error);
        for one in errors {
            let field = one.pointer.trim_start_matches('/');
            let is_said = problems.iter().any(|said| said.pointer == one.pointer);
            // What a monitor needs beyond this call's own words is given by this call.
            if !is_said && self.has(field) {
                let (message, remedy) = (one.message.clone(), one.remedy.clone());
                problems.error(&Path::Root.key(field), Span::default(), one.code, message, remedy);
            }
        }
    }

    fn value(&self, wanted: &str) -> Option<&'a Node<'a>> {
        let found = self.fields.iter().find(|(name, ..)| *name == wanted);
        found.map(|(.., value)| *value).filter(|value| !value.is_null())
    }

    fn has(&self, wanted: &str) -> bool {
        self.value(wanted).is_some()
    }

    /// What a new one must have.
    fn require(&self, problems: &mut Problems) {
        let mut missing = |name: &str, message: &str, remedy: &str| {
            if !self.has(name) {
                problems.error(&Path::Root.key(name), Span::default(), "required", message, remedy);
            }
        };
        missing("url", "`url` is required: the host, without a scheme", r#"send `"url": "db.example.com"`"#);
        missing("port", PORT_RULE, r#"send `"port": 3306`"#);
    }

    /// What it is called where nobody gives it a name.
    fn target(&self) -> Option<String> {
        Some(target(scalar_of(self.value("url")?)?, scalar_of(self.value("port")?)?))
    }

    /// The same as a body of a monitor, and what its sender should know.
    fn monitor(&self, channels: &[ChannelRecord], told: &[String]) -> (Node<'a>, Vec<Problem>) {
        let (mut entries, mut warnings) = (Vec::new(), Vec::new());
        let mut names: Vec<String> = told.to_vec();
        let mut is_about_channels = false;
        for (name, field, value) in &self.fields {
            match field {
                Field::Same => entries.push((key(name), (*value).clone())),
                Field::Foreign if value.is_null() => {}
                Field::Foreign => warnings.push(warning(
                    name,
                    "ignored",
                    format!("`{name}` means nothing to a TCP check and was ignored"),
                    "leave it out, or send null",
                )),
                Field::Protocol => entries.push((key("tags"), tagged((*value).clone()))),
                Field::Notify(_) if value.is_null() => {}
                Field::Notify(kind) => {
                    is_about_channels = true;
                    let of_kind = || channels.iter().filter(|channel| channel.kind == *kind);
                    let is = |named: &String| of_kind().any(|channel| naming::means(named, channel));
                    names.retain(|named| !is(named));
                    if is_true(value) {
                        names.extend(of_kind().map(|channel| channel.name.clone()));
                        warnings.extend(nobody(name, kind, of_kind().count()));
                    }
                }
            }
        }
        if is_about_channels {
            let items = names.into_iter().map(|name| scalar(name, Style::Quoted)).collect();
            entries.push((key("channels"), Node { value: Value::Sequence(items), span: Span::default() }));
        }
        (Node { value: Value::Mapping(entries), span: Span::default() }, warnings)
    }
}

const PORT_RULE: &str = "`port` is required for `monitor_type: tcp`: an integer from 1 to 65535";

fn port(at: &At<'_, '_>, problems: &mut Problems) {
    let number = match at.scalar() {
        Some((text, Style::Plain)) => text.parse::<i128>().ok(),
        Some((_, Style::Quoted)) | None => None,
    };
    let code = match number {
        Some(1..=65_535) => return,
        Some(_) => "out_of_range",
        None => "integer",
    };
    let message = format!("{PORT_RULE}; this is {}", at.node.describe());
    at.error(problems, code, message, r#"send `"port": 3306`"#);
}

/// The host of a `url`, which may have been pasted with its port.
fn host_of(text: &str) -> Result<Host, HostError> {
    let bare = text.strip_prefix("tcp://").unwrap_or(text);
    Host::parse(bare).or_else(|error| match &error.split {
        Some((host, Some(_))) if !bare.contains(['/', '@']) => Ok(host.clone()),
        Some(_) | None => Err(error),
    })
}

fn url(at: &At<'_, '_>, problems: &mut Problems) {
    let Some(Err(error)) = at.scalar().map(|(text, _)| host_of(text.trim())) else { return };
    // What stands before an `@` is often a password.
    let text = at.scalar().map_or("", |(text, _)| text.rsplit('@').next().unwrap_or(text));
    let message = format!("`url` is {}, which {}", quote(text), error.message);
    let remedy = error.split.map_or(error.remedy, |(host, _)| format!(r#"send `"url": "{host}"`"#));
    at.error(problems, "bad_host", message, remedy);
}

/// `db.example.com:3306`, whatever else was pasted with the host.
fn target(url: &str, port: &str) -> String {
    match (host_of(url), port.parse()) {
        (Ok(host), Ok(port)) => host.with_port(port),
        (Ok(_) | Err(_), _) => format!("{url}:{port}"),
    }
}

fn unknown(found: &Key<'_>, problems: &mut Problems) {
    let known = || FIELDS.iter().map(|(name, _)| *name);
    let remedy = closest(&found.text, known()).map_or_else(
        || {
            let words: Vec<String> = known().map(|name| format!("`{name}`")).collect();
            format!(
                "there are {}; everything else stands under /api/v1/monitors",
                alternatives(&words, "and")
            )
        },
        |meant| format!("did you mean `{meant}`?"),
    );
    let message = format!("unknown field {}", quote(&found.text));
    problems.error(&Path::Root.key(&found.text), found.span, "unknown_key", message, remedy);
}

/// Nobody hears of it, though somebody was meant to.
fn nobody(name: &str, kind: &str, channels: usize) -> Option<Problem> {
    (channels == 0).then(|| {
        warning(
            name,
            "nobody_told",
            format!(
                "`{name}` is set, but the account has no channel of the type {kind}: nobody is told there"
            ),
            if registry::kind(kind).is_some() {
                format!("make a channel of the type {kind} and set `{name}` again")
            } else {
                let known: Vec<String> =
                    registry::KINDS.iter().map(|kind| format!("`{}`", kind.name)).collect();
                format!(
                    "this server has no channels of that type: make one of those it has ({}) and name it in `channels` \
                     of the monitor",
                    known.join(", ")
                )
            },
        )
    })
}

fn scalar_of<'n>(node: &'n Node<'_>) -> Option<&'n str> {
    match &node.value {
        Value::Scalar(text, _) => Some(text.trim()),
        Value::Mapping(_) | Value::Sequence(_) => None,
    }
}

fn is_true(node: &Node<'_>) -> bool {
    matches!(&node.value, Value::Scalar(text, _) if text == "true")
}

fn key(name: &'static str) -> Key<'static> {
    Key { text: Cow::Borrowed(name), span: Span::default() }
}

fn scalar<'a>(text: impl Into<Cow<'a, str>>, style: Style) -> Node<'a> {
    Node { value: Value::Scalar(text.into(), style), span: Span::default() }
}

/// `{protocol: …}`; null takes the tag away.
fn tagged(value: Node<'_>) -> Node<'_> {
    Node { value: Value::Mapping(vec![(key(PROTOCOL), value)]), span: Span::default() }
}

/// Sets a value that is not there, or null.
fn default<'a>(node: &mut Node<'a>, name: &'static str, text: &'a str) {
    if node.get(name).is_none_or(Node::is_null) {
        super::reading::set(node, name, Some(Node::plain(text)));
    }
}

fn with<'a>(node: &Node<'a>, name: &'static str, text: &str) -> Node<'a> {
    let mut node = node.clone();
    super::reading::set(&mut node, name, Some(scalar(text.to_owned(), Style::Quoted)));
    node
}

fn written(written: Written, channels: &[ChannelRecord], mut warnings: Vec<Problem>) -> WrittenUrl {
    warnings.extend(written.warnings);
    WrittenUrl { url: view(written.monitor, channels), warnings }
}

fn view(monitor: MonitorView, channels: &[ChannelRecord]) -> UrlView {
    let kinds: BTreeMap<&str, bool> = channels
        .iter()
        .filter(|channel| monitor.spec.channels.iter().any(|name| naming::means(name, channel)))
        .map(|channel| (channel.kind.as_str(), true))
        .collect();
    let told = |kind: &str| kinds.contains_key(kind);
    let notify = Notify {
        telegram: told("telegram"),
        max: told("max"),
        email: told("email"),
        webhook: told("webhook"),
    };
    let (host, port) = monitor.spec.host_and_port();
    UrlView {
        id: monitor.id,
        url: host.to_string(),
        monitor_type: monitor.spec.kind.name(),
        port,
        protocol: monitor.spec.tags.get(PROTOCOL).cloned(),
        period: monitor.spec.check_interval,
        custom_timeout: monitor.spec.timeout,
        http_method: None,
        expected_keyword: None,
        notify,
        status: monitor.status,
        error_status: monitor.code.status(),
        error_code: monitor.code,
        since: monitor.since,
        latency_us: monitor.last.and_then(|last| last.latency_us),
        last_checked_at: monitor.last.map(|last| last.at),
        paused: monitor.paused.is_some() || !monitor.spec.enabled,
        created_at: monitor.created_at,
        revision: monitor.revision,
        name: monitor.spec.name,
    }
}
