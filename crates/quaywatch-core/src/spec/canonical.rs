//! The canonical text of a spec: compact JSON under the names of the YAML file, holding only what differs from the
//! built-in defaults. It is what the store keeps and what a reload compares, so equal specs have equal texts.
//!
//! The built-in defaults are thereby part of the format: one that changed would change every stored monitor that
//! relied on it. Reading is a serde mirror with borrowed texts, because a server reads a million of these at start.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::host::Host;
use super::message::Kept;
use super::{
    Addresses, Expectation, Handshake, IpFamily, Kind, Message, MonitorSpec, Pattern, TcpSpec, escape,
};

/// Why a text is no canonical spec. It can only come from a damaged store or a newer version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a monitor's canonical text: {0}")]
pub struct CanonicalError(String);

impl MonitorSpec {
    /// The canonical text.
    #[must_use]
    pub fn to_canonical(&self) -> String {
        let mut text = Vec::with_capacity(192);
        serde_json::to_writer(&mut text, &Mirror::of(self)).expect("texts and numbers always become JSON");
        String::from_utf8(text).expect("JSON is UTF-8")
    }

    /// Reads what [`MonitorSpec::to_canonical`] wrote.
    ///
    /// # Errors
    /// The text is something else.
    pub fn from_canonical(text: &str) -> Result<Self, CanonicalError> {
        let mirror: Mirror<'_> = serde_json::from_str(text).map_err(|e| CanonicalError(e.to_string()))?;
        mirror.into_spec()
    }
}

/// Milliseconds inside, seconds outside: `30`, `0.5`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Seconds(Duration);

impl Serialize for Seconds {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.subsec_nanos() == 0 {
            serializer.serialize_u64(self.0.as_secs())
        } else {
            serializer.serialize_f64(self.0.as_millis() as f64 / 1_000.0)
        }
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Seconds;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("seconds")
            }

            fn visit_u64<E>(self, seconds: u64) -> Result<Seconds, E> {
                Ok(Seconds(Duration::from_secs(seconds)))
            }

            fn visit_f64<E: serde::de::Error>(self, seconds: f64) -> Result<Seconds, E> {
                if (0.0..1e12).contains(&seconds) {
                    Ok(Seconds(Duration::from_millis((seconds * 1_000.0).round() as u64)))
                } else {
                    Err(E::custom("seconds out of range"))
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
const fn is_true(value: &bool) -> bool {
    *value
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

const fn two() -> u16 {
    MonitorSpec::FAILURES
}

const fn one() -> u16 {
    MonitorSpec::SUCCESSES
}

const fn six() -> u16 {
    MonitorSpec::FLAP_CHANGES
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
const fn is_two(value: &u16) -> bool {
    *value == MonitorSpec::FAILURES
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
const fn is_one(value: &u16) -> bool {
    *value == MonitorSpec::SUCCESSES
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
const fn is_six(value: &u16) -> bool {
    *value == MonitorSpec::FLAP_CHANGES
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mirror<'a> {
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    monitor_type: Cow<'a, str>,
    #[serde(borrow)]
    host: Cow<'a, str>,
    port: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    check_interval: Option<Seconds>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout: Option<Seconds>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dns_timeout: Option<Seconds>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_interval: Option<Seconds>,
    #[serde(default = "two", skip_serializing_if = "is_two")]
    consecutive_failures_before_alert: u16,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    consecutive_successes_before_recovery: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    response_time_threshold: Option<Seconds>,
    #[serde(default, skip_serializing_if = "is_default")]
    ip_family: IpFamily,
    #[serde(default, skip_serializing_if = "is_default")]
    addresses: Addresses,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    handshake: Option<Handshake>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    settle: Option<Seconds>,
    #[serde(default, skip_serializing_if = "is_default")]
    expectation: Expectation,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    send: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "Kept::there", skip_serializing_if = "Option::is_none")]
    send_secret: Option<Kept<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    expect: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    locations: Option<Cow<'a, [String]>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    locations_down_before_alert: Option<u16>,
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    alert_on_failure: bool,
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    alert_before_first_success: bool,
    #[serde(default = "six", skip_serializing_if = "is_six")]
    flap_changes: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    flap_window: Option<Seconds>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    flap_hold: Option<Seconds>,
    #[serde(default, skip_serializing_if = "is_default")]
    channels: Cow<'a, [String]>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    group: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "is_default")]
    tags: Cow<'a, BTreeMap<String, String>>,
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    enabled: bool,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    description: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    runbook_url: Option<Cow<'a, str>>,
}

/// `value` unless it is the default.
fn unless(value: Duration, default: Duration) -> Option<Seconds> {
    (value != default).then_some(Seconds(value))
}

impl<'a> Mirror<'a> {
    fn of(spec: &'a MonitorSpec) -> Self {
        let Kind::Tcp(tcp) = &spec.kind;
        let default_handshake = tcp.default_handshake();
        Self {
            id: spec.key.as_deref().map(Cow::Borrowed),
            name: Cow::Borrowed(&spec.name),
            monitor_type: Cow::Borrowed(spec.kind.name()),
            host: tcp.host.to_text(),
            port: tcp.port,
            check_interval: unless(spec.check_interval, MonitorSpec::CHECK_INTERVAL),
            timeout: unless(spec.timeout, MonitorSpec::TIMEOUT),
            dns_timeout: unless(spec.dns_timeout, MonitorSpec::DNS_TIMEOUT),
            retry_interval: unless(
                spec.retry_interval,
                MonitorSpec::default_retry_interval(spec.check_interval),
            ),
            consecutive_failures_before_alert: spec.consecutive_failures_before_alert,
            consecutive_successes_before_recovery: spec.consecutive_successes_before_recovery,
            response_time_threshold: spec.response_time_threshold.map(Seconds),
            ip_family: tcp.ip_family,
            addresses: tcp.addresses,
            handshake: (tcp.handshake != default_handshake).then_some(tcp.handshake),
            settle: unless(tcp.settle, TcpSpec::default_settle(tcp.handshake, tcp.expect.is_some())),
            expectation: tcp.expectation,
            send: match &tcp.send {
                Some(Message::Open(bytes)) => Some(Cow::Owned(escape::write(bytes))),
                Some(Message::Hidden(_)) | None => None,
            },
            send_secret: tcp.send.as_ref().and_then(Message::hidden).map(Kept::of),
            expect: tcp.expect.as_ref().map(|pattern| Cow::Borrowed(&*pattern.0)),
            locations: (!spec.is_only_local()).then_some(Cow::Borrowed(&spec.locations)),
            locations_down_before_alert: spec.locations_down_before_alert,
            alert_on_failure: spec.alert_on_failure,
            alert_before_first_success: spec.alert_before_first_success,
            flap_changes: spec.flap_changes,
            flap_window: spec.flap_window.map(Seconds),
            flap_hold: spec.flap_hold.map(Seconds),
            channels: Cow::Borrowed(&spec.channels),
            group: spec.group.as_deref().map(Cow::Borrowed),
            tags: Cow::Borrowed(&spec.tags),
            enabled: spec.enabled,
            description: spec.description.as_deref().map(Cow::Borrowed),
            runbook_url: spec.runbook_url.as_deref().map(Cow::Borrowed),
        }
    }

    fn into_spec(self) -> Result<MonitorSpec, CanonicalError> {
        if self.monitor_type != "tcp" {
            return Err(CanonicalError(format!("unknown monitor_type `{}`", self.monitor_type)));
        }
        let check_interval = self.check_interval.map_or(MonitorSpec::CHECK_INTERVAL, |s| s.0);
        Ok(MonitorSpec {
            kind: Kind::Tcp(self.tcp()?),
            key: self.id.map(Cow::into_owned),
            name: self.name.into_owned(),
            check_interval,
            timeout: self.timeout.map_or(MonitorSpec::TIMEOUT, |s| s.0),
            dns_timeout: self.dns_timeout.map_or(MonitorSpec::DNS_TIMEOUT, |s| s.0),
            retry_interval: self
                .retry_interval
                .map_or_else(|| MonitorSpec::default_retry_interval(check_interval), |s| s.0),
            consecutive_failures_before_alert: self.consecutive_failures_before_alert,
            consecutive_successes_before_recovery: self.consecutive_successes_before_recovery,
            response_time_threshold: self.response_time_threshold.map(|s| s.0),
            locations: self.locations.map_or_else(MonitorSpec::only_local, Cow::into_owned),
            locations_down_before_alert: self.locations_down_before_alert,
            alert_on_failure: self.alert_on_failure,
            alert_before_first_success: self.alert_before_first_success,
            flap_changes: self.flap_changes,
            flap_window: self.flap_window.map(|s| s.0),
            flap_hold: self.flap_hold.map(|s| s.0),
            channels: self.channels.into_owned(),
            group: self.group.map(Cow::into_owned),
            tags: self.tags.into_owned(),
            enabled: self.enabled,
            description: self.description.map(Cow::into_owned),
            runbook_url: self.runbook_url.map(Cow::into_owned),
        })
    }

    fn tcp(&self) -> Result<TcpSpec, CanonicalError> {
        let send = match (&self.send, &self.send_secret) {
            (_, Some(kept)) => Some(Message::Hidden(kept.into())),
            (Some(text), None) => {
                let bytes = escape::read(text).map_err(|e| CanonicalError(e.message))?;
                Some(Message::Open(bytes.into_boxed_slice()))
            }
            (None, None) => None,
        };
        let expect = self.expect.as_deref().map(|text| Pattern(text.into()));
        let handshake = self.handshake.unwrap_or(if send.is_some() || expect.is_some() {
            Handshake::Full
        } else {
            Handshake::HalfOpen
        });
        Ok(TcpSpec {
            host: Host::from_canonical(&self.host),
            port: self.port,
            ip_family: self.ip_family,
            addresses: self.addresses,
            handshake,
            settle: self.settle.map_or_else(|| TcpSpec::default_settle(handshake, expect.is_some()), |s| s.0),
            expectation: self.expectation,
            send,
            expect,
        })
    }
}
