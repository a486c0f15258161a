//! Who acts: what the audit log says of everybody who changes something.

use std::net::IpAddr;

use quaywatch_core::{IncidentId, MonitorId};

/// Who changes something, from where, and in which request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Author {
    /// `file`, `cli:0`, `user:u3`, `token:tok5`.
    pub actor: String,
    /// From where; `None` on the server's own host.
    pub address: Option<IpAddr>,
    /// In which request.
    pub request: Option<Box<str>>,
}

impl From<&str> for Author {
    fn from(actor: &str) -> Self {
        Self::from(actor.to_owned())
    }
}

impl From<String> for Author {
    fn from(actor: String) -> Self {
        Self { actor, ..Self::default() }
    }
}

/// A row of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Grows, with gaps.
    pub id: i64,
    /// When.
    pub at: quaywatch_core::Timestamp,
    /// Who, from where, in which request.
    pub author: Author,
    /// `monitor.created`, `monitor.changed`, `token.revoked`, `apply`, …
    pub action: String,
    /// What changed, by kind and number, unless the row sums up many: `("monitor", 42)`.
    pub object: Option<(String, i64)>,
    /// As it was, as JSON.
    pub before: Option<String>,
    /// As it is since, as JSON.
    pub after: Option<String>,
    /// What else there is to say, in words.
    pub detail: String,
}

/// What somebody did to an incident, for the audit log. The row is written with the event that the act is: there is
/// neither without the other, however often the step is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActWrite {
    /// Of which incident.
    pub incident: IncidentId,
    /// Which of its events.
    pub sequence: u32,
    /// `incident.acknowledged`, `incident.commented`.
    pub action: &'static str,
    /// The monitor that the incident is about.
    pub monitor: MonitorId,
    /// What else there is to say.
    pub detail: String,
    /// Who did it.
    pub author: Author,
}

/// Which rows of the audit log are wanted, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only of this kind of thing.
    pub kind: Option<String>,
    /// Only of things of one of these kinds; empty: all.
    pub kinds: Vec<String>,
    /// Only of the thing with this number.
    pub object: Option<i64>,
    /// Only by this actor.
    pub actor: Option<String>,
    /// Only of this time.
    pub window: Option<super::Window>,
    /// Only older ones than this row.
    pub after: Option<i64>,
    /// At most this many; 0 = 1,000.
    pub limit: usize,
}
