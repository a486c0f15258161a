//! The snapshot of an event: everything that a notice says, fixed at the moment of the event.
//!
//! It is stored with the event as JSON and rendered from there, on every attempt and for every channel, so a notice
//! that is delivered a day late still says what was true. Fields are added, never renamed: rows of older versions
//! must go on being readable.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use quaywatch_core::judge::{CloseReason, Severity, Status};
use quaywatch_core::{ChannelId, ErrorCode, Evidence, Icmp, Signal, Stage, Timestamp};
use serde::{Deserialize, Serialize};

use crate::clean;

/// The shape of the snapshot and of the webhook's body; grows only when a field changes its meaning.
pub const SCHEMA: u32 = 1;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum EventKind {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl EventKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word as written everywhere.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

kinds! {
    /// A new incident.
    IncidentOpened = "incident.opened",
    /// Its cause or severity changed, or it is steady again after flapping.
    IncidentUpdated = "incident.updated",
    /// It is still open.
    IncidentReminder = "incident.reminder",
    /// It changes too often for single notices.
    IncidentFlapping = "incident.flapping",
    /// Somebody looks after it.
    IncidentAcknowledged = "incident.acknowledged",
    /// Somebody wrote something about it, perhaps after its end.
    IncidentCommented = "incident.commented",
    /// It is over.
    IncidentClosed = "incident.closed",
    /// A location or the server itself cannot see.
    ServerFault = "server.fault",
    /// It sees again.
    ServerRecovered = "server.recovered",
    /// A channel does not deliver.
    ChannelFailing = "channel.failing",
    /// It delivers again.
    ChannelRecovered = "channel.recovered",
    /// It is gone for good and is not tried any more.
    ChannelDisabled = "channel.disabled",
    /// Somebody tries a channel.
    NoticeTest = "notice.test",
}

/// Everything that is said of one event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// The number of the event in its incident.
    pub sequence: u32,
    /// When.
    #[serde(with = "rfc3339")]
    pub timestamp: Timestamp,
    /// What the monitor is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// What it was before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_status: Option<Status>,
    /// How bad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// Why, where there is a failure; in `incident.closed` that of the opening, so that a route on it also matches the
    /// recovery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<ErrorCode>,
    /// Its sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Its likely cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Where to look first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Which monitor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitor: Option<MonitorWords>,
    /// What it watches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetWords>,
    /// Which incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentWords>,
    /// From where it was seen.
    #[serde(default)]
    pub locations: LocationsWords,
    /// What proves it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<EvidenceWords>,
    /// The last good answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_ok: Option<LastOkWords>,
    /// How slow it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<LatencyWords>,
    /// How often it changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flapping: Option<FlappingWords>,
    /// What somebody said, where that is the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<SaidWords>,
    /// The watcher's own fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultWords>,
    /// The channel that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelWords>,
    /// Where to look.
    #[serde(default)]
    pub links: LinkWords,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<NamedWords>,
    /// Who says so.
    pub server: ServerWords,
    /// Which channels were told: kept for whoever must tell the end; never shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<ChannelId>,
}

impl Notice {
    /// A notice with nothing in it but what every notice has.
    #[must_use]
    pub fn new(kind: EventKind, sequence: u32, timestamp: Timestamp, server: ServerWords) -> Self {
        Self {
            kind,
            sequence,
            timestamp,
            status: None,
            previous_status: None,
            severity: None,
            error_code: None,
            error: None,
            cause: None,
            remedy: None,
            monitor: None,
            target: None,
            incident: None,
            locations: LocationsWords::default(),
            evidence: Vec::new(),
            last_ok: None,
            latency: None,
            flapping: None,
            said: None,
            fault: None,
            channel: None,
            links: LinkWords::default(),
            account: None,
            server,
            told: Vec::new(),
        }
    }

    /// The text that is stored with the event.
    #[must_use]
    pub fn to_snapshot(&self) -> String {
        serde_json::to_string(self).expect("a notice has string keys only and no numbers that JSON lacks")
    }

    /// Reads what [`Notice::to_snapshot`] wrote, also in an older version.
    pub fn from_snapshot(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

/// A monitor as it was called then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitorWords {
    /// `m42`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `tcp`, …
    pub kind: String,
    /// Its group's path.
    pub group: Option<String>,
    /// Its labels.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// From slot to slot.
    pub interval_seconds: Seconds,
}

/// Seconds in milliseconds' precision; whole ones are written without a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Seconds(pub std::time::Duration);

impl Serialize for Seconds {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.subsec_millis() {
            0 => serializer.serialize_u64(self.0.as_secs()),
            ms => serializer.serialize_f64((self.0.as_secs() * 1_000 + u64::from(ms)) as f64 / 1e3),
        }
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        std::time::Duration::try_from_secs_f64(seconds).map(Self).map_err(serde::de::Error::custom)
    }
}

/// What a monitor watches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetWords {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// The address that was dialled last.
    pub address: Option<String>,
}

impl TargetWords {
    /// Host and port as they are dialled.
    #[must_use]
    pub fn text(&self) -> String {
        clean::target(&self.host, self.port)
    }
}

/// An incident as it stood then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentWords {
    /// `inc_…`.
    pub id: String,
    /// The first failure's slot.
    #[serde(with = "rfc3339")]
    pub started_at: Timestamp,
    /// When it was confirmed.
    #[serde(with = "rfc3339")]
    pub confirmed_at: Timestamp,
    /// When it ended.
    #[serde(with = "rfc3339::option")]
    pub ended_at: Option<Timestamp>,
    /// How long it lasts, or lasted.
    pub duration_seconds: Seconds,
    /// Failed checks so far.
    pub failed_checks: u32,
    /// The monitor has not answered since it was added.
    #[serde(default)]
    pub never_up: bool,
    /// Why it ended.
    #[serde(default)]
    pub close_reason: Option<CloseReason>,
    /// When somebody said that they look after it.
    #[serde(default, with = "rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub acknowledged_at: Option<Timestamp>,
    /// Who.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_by: Option<String>,
}

/// From where something was seen.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LocationsWords {
    /// Places that see it.
    pub agree: Vec<String>,
    /// Places that do not.
    pub disagree: Vec<String>,
    /// Places in all.
    pub total: usize,
}

/// One piece of proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceWords {
    /// From where.
    pub location: String,
    /// When.
    #[serde(with = "rfc3339")]
    pub at: Timestamp,
    /// What was seen.
    pub error_code: ErrorCode,
    /// How far the check came.
    pub phase: Option<Stage>,
    /// What was dialled.
    pub address: Option<SocketAddr>,
    /// What the network said.
    pub signal: Option<Signal>,
    /// From the first SYN (or the query) to the verdict.
    pub elapsed_us: u32,
    /// In words; foreign text in it is quoted and cut.
    pub detail: String,
    /// The ICMP answer, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icmp: Option<Icmp>,
    /// The name of the errno, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<String>,
}

impl EvidenceWords {
    /// The proof of one failed check.
    #[must_use]
    pub fn of(location: &str, at: Timestamp, code: ErrorCode, evidence: &Evidence) -> Self {
        let attempt = evidence.deciding();
        Self {
            location: location.to_owned(),
            at,
            error_code: code,
            phase: attempt.map(|a| a.stage).or(evidence.stage),
            address: attempt.map(|a| a.address),
            signal: attempt.map(|a| a.signal),
            elapsed_us: attempt.map_or(evidence.elapsed_us, |a| a.elapsed_us),
            detail: detail(evidence),
            icmp: attempt.and_then(|a| a.icmp),
            errno: attempt.and_then(|a| a.errno.clone()),
        }
    }
}

/// What happened on the wire, in one line.
fn detail(evidence: &Evidence) -> String {
    let mut parts: Vec<String> = Vec::new();
    if let Some(attempt) = evidence.deciding() {
        parts.push(match (attempt.signal, attempt.icmp) {
            (Signal::Icmp, Some(icmp)) => icmp_text(icmp),
            (Signal::Icmp, None) => "ICMP answer".to_owned(),
            (Signal::Rst, _) if attempt.stage == Stage::Connect => "RST in answer to SYN".to_owned(),
            (Signal::Rst, _) => "RST after the connection stood".to_owned(),
            (Signal::Fin, _) => "closed by the peer".to_owned(),
            (Signal::SynAck, _) => "SYN-ACK".to_owned(),
            (Signal::Data, _) => "answered with other bytes".to_owned(),
            (Signal::Silence, _) => match attempt.syn_retransmits {
                0 => "no answer".to_owned(),
                n => format!("no answer to {} SYNs", u32::from(n) + 1),
            },
            (Signal::Dns, _) => "answer of a name server".to_owned(),
            (Signal::Local, _) => "error of this machine".to_owned(),
        });
    }
    if let Some(text) = evidence.detail.as_deref().filter(|text| !text.is_empty()) {
        parts.push(clean::foreign(text));
    }
    if let Some(bytes) = evidence.first_bytes.as_deref().filter(|bytes| !bytes.is_empty()) {
        parts.push(format!("first bytes \"{}\"", clean::foreign(bytes)));
    }
    parts.join("; ")
}

fn icmp_text(icmp: Icmp) -> String {
    let family = if icmp.v6 { "ICMPv6" } else { "ICMP" };
    let sender = icmp.sender.map(|sender| format!(" from {sender}")).unwrap_or_default();
    format!("{family} type {} code {}{sender}", icmp.kind, icmp.code)
}

/// The last good answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastOkWords {
    /// When.
    #[serde(with = "rfc3339")]
    pub at: Timestamp,
    /// How fast.
    pub latency_us: u32,
}

/// How slow it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencyWords {
    /// Of the deciding check.
    pub latency_us: u32,
    /// The threshold.
    pub limit_us: u32,
    /// How often in a row it was crossed.
    pub checks: u32,
}

/// How often it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlappingWords {
    /// Confirmed changes.
    pub changes: u16,
    /// Within.
    pub window_seconds: Seconds,
    /// How long it must be steady.
    pub hold_seconds: Seconds,
    /// It is steady again.
    #[serde(default)]
    pub steady: bool,
}

/// What somebody said about an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaidWords {
    /// Who, by name.
    pub by: String,
    /// What; an acknowledgement may go without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// The watcher's own fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultWords {
    /// From where it cannot see.
    pub location: String,
    /// Since when.
    #[serde(with = "rfc3339")]
    pub since: Timestamp,
    /// When it saw again.
    #[serde(with = "rfc3339::option")]
    pub until: Option<Timestamp>,
    /// How many monitors are unknown because of it.
    pub monitors: usize,
}

/// The channel that an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelWords {
    /// `ch4`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The receiver's last answer.
    pub answer: String,
    /// The class of that answer.
    pub class: String,
    /// Notices that wait.
    pub waiting: usize,
    /// Since when.
    #[serde(with = "rfc3339")]
    pub since: Timestamp,
    /// What to do.
    pub remedy: String,
}

/// Where to look. Absent where the server does not know its public address.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LinkWords {
    /// The incident's page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    /// The monitor's page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitor: Option<String>,
    /// What the owner wrote down for this case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
}

/// A thing with a number and a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedWords {
    /// Its number in text.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// Who says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerWords {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// Timestamps in the snapshot and on the wire: RFC 3339, UTC, milliseconds.
pub(crate) mod rfc3339 {
    use quaywatch_core::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde's `with` wants")]
    pub(crate) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(at)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let at: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
        Ok(Timestamp(at.as_microsecond()))
    }

    pub(crate) mod option {
        use quaywatch_core::Timestamp;
        use serde::{Deserialize, Deserializer, Serializer};

        #[expect(clippy::ref_option, reason = "the shape that serde's `with` wants")]
        pub(crate) fn serialize<S: Serializer>(
            at: &Option<Timestamp>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match at {
                Some(at) => serializer.collect_str(at),
                None => serializer.serialize_none(),
            }
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Timestamp>, D::Error> {
            #[derive(Deserialize)]
            struct Inner(#[serde(with = "super")] Timestamp);
            Ok(Option::<Inner>::deserialize(deserializer)?.map(|inner| inner.0))
        }
    }
}
