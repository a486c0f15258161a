//! What a person says about a monitor: one shape with one set of names and rules, used by the YAML file, the API and
//! the forms alike.
//!
//! [`MonitorSpec::read`] turns what was written into a spec and reports everything that is wrong with it;
//! [`MonitorSpec::to_canonical`] is the text under which a spec is stored and compared; [`fields`] is the same
//! knowledge as data, from which the reference is written.

pub mod duration;
pub mod escape;
pub mod fields;
pub mod host;
pub mod suggest;
pub mod values;

mod belong;
mod canonical;
mod derive;
mod exchange;
mod finish;
mod message;
mod read;
mod target;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use canonical::CanonicalError;
pub use finish::Defaults;
pub use host::{Host, HostError};
pub use message::{FormOnly, Hidden, Keeper, Message, Refusal, sealed_text};
pub use read::Context;

/// A whole monitor as its owner wrote it, with defaults filled in. Right by construction: made only by this module's
/// reader, which reports everything wrong at once.
#[derive(Debug, Clone, PartialEq)]
pub struct MonitorSpec {
    /// Explicit identity in a file (`id:`); without one the name is the identity.
    pub key: Option<String>,
    /// What people call it; unique per owner where no `id` is given.
    pub name: String,
    /// What is checked.
    pub kind: Kind,
    /// From slot to slot; 1 s to 24 h, default 60 s.
    pub check_interval: Duration,
    /// 100 ms to 120 s, default 10 s: from the first SYN to the end of the dialogue.
    pub timeout: Duration,
    /// For resolving alone; default 5 s.
    pub dns_timeout: Duration,
    /// How soon to look again while a failure is unconfirmed; default min(5 s, interval), never above the interval.
    pub retry_interval: Duration,
    /// Default 2.
    pub consecutive_failures_before_alert: u16,
    /// Default 1.
    pub consecutive_successes_before_recovery: u16,
    /// Crossing it as often as the failure count makes the monitor degraded; default none.
    pub response_time_threshold: Option<Duration>,
    /// Names of declared locations; default `[local]`.
    pub locations: Vec<String>,
    /// How many locations must agree; default a majority of those with a fresh verdict.
    pub locations_down_before_alert: Option<u16>,
    /// False: incidents are recorded, nobody is told. Default true.
    pub alert_on_failure: bool,
    /// False: a monitor that was never up tells nobody. Default true.
    pub alert_before_first_success: bool,
    /// Confirmed changes within the window that make it flapping; 0 = never; default 6.
    pub flap_changes: u16,
    /// Default max(20 intervals, 5 min).
    pub flap_window: Option<Duration>,
    /// Default max(10 intervals, 30 s).
    pub flap_hold: Option<Duration>,
    /// Names (or ids) of channels.
    pub channels: Vec<String>,
    /// Path text such as `infra/db`.
    pub group: Option<String>,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
    /// False: not checked (`paused` to the judge).
    pub enabled: bool,
    /// Free text.
    pub description: Option<String>,
    /// Shown in notices.
    pub runbook_url: Option<String>,
}

/// What is checked, by kind. Other kinds join here.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A TCP port.
    Tcp(TcpSpec),
}

impl Kind {
    /// The word of `monitor_type`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Tcp(_) => "tcp",
        }
    }
}

/// A TCP port and how to look at it.
#[derive(Debug, Clone, PartialEq)]
pub struct TcpSpec {
    /// What to dial.
    pub host: Host,
    /// Which port, 1 to 65535.
    pub port: u16,
    /// Which families; default any.
    pub ip_family: IpFamily,
    /// First or all; default first.
    pub addresses: Addresses,
    /// Default half-open, full where bytes are exchanged.
    pub handshake: Handshake,
    /// Default 50 ms; only for full handshakes without `expect`; 0 turns the look off.
    pub settle: Duration,
    /// Default open.
    pub expectation: Expectation,
    /// What to send once connected.
    pub send: Option<Message>,
    /// A regular expression over at most 4 KiB of the first answer.
    pub expect: Option<Pattern>,
}

/// Which address families may be dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IpFamily {
    /// Both.
    #[default]
    Any,
    /// Only A records and IPv4 literals.
    Ipv4,
    /// Only AAAA records and IPv6 literals.
    Ipv6,
}

/// What is done with several addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Addresses {
    /// The first that answers decides (RFC 8305).
    #[default]
    First,
    /// Every one is dialled; a dead one is a finding.
    All,
}

/// How far the TCP handshake goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handshake {
    /// SYN, SYN-ACK, RST: the watched program never notices.
    #[default]
    HalfOpen,
    /// SYN, SYN-ACK, ACK, a look of `settle`, and a polite close.
    Full,
}

/// What the port should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expectation {
    /// It answers with SYN-ACK.
    #[default]
    Open,
    /// It refuses (RST).
    Closed,
    /// It is silent, or a router refuses for it.
    Filtered,
}

/// A regular expression that compiled when the spec was read. Kept as text: the prober compiles its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern(pub Box<str>);

#[cfg(test)]
mod tests;
