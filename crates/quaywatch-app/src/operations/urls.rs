//! The documented call, word by word: monitors as `urls` with `monitor_type`, `port`, `period`, `custom_timeout` and
//! `notify_*`. One thin adapter: a body becomes a body of the operations on monitors, which do everything.

mod body;

use std::collections::BTreeMap;
use std::time::Duration;

use quaywatch_core::doc::{Node, Problem, Problems};
use quaywatch_core::judge::Status;
use quaywatch_core::{ErrorCode, ErrorStatus, MonitorId, Timestamp};
use quaywatch_store::records::{ChannelRecord, Window};

use super::monitors::{LOOK, MonitorQuery, MonitorView, Written};
use super::page::{Page, Paging};
use super::results::ResultQuery;
use super::{OperationError, Operations, naming};
use crate::caller::Caller;
use body::{Body, default, scalar_of, target, with};

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
