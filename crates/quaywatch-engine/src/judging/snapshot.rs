//! The words of a notice, taken from the monitor, its incident and its proof at the moment of the event.

use std::collections::BTreeMap;
use std::time::Duration;

use quaywatch_core::judge::{Policy, Status};
use quaywatch_core::{AccountId, ChannelId, ErrorCode, LocationId, Timestamp, reason};
use quaywatch_notify::notice::{
    EvidenceWords, FlappingWords, IncidentWords, LastOkWords, LatencyWords, LinkWords, LocationsWords,
    MonitorWords, NamedWords, Seconds, ServerWords, TargetWords,
};
use quaywatch_notify::{EventKind, Notice};

use crate::config::EngineConfig;
use crate::entry::{Entry, Open};

/// Names that notices need besides the monitor's own.
pub(super) struct Words {
    pub(super) server: ServerWords,
    public_url: Option<String>,
    pub(super) operators: Vec<ChannelId>,
    pub(super) locations: BTreeMap<LocationId, String>,
    pub(super) accounts: BTreeMap<AccountId, String>,
    pub(super) channels: BTreeMap<ChannelId, String>,
}

/// What an event is about, beyond the incident itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Happening {
    pub(super) status: Status,
    pub(super) previous: Status,
    pub(super) latency_us: Option<u32>,
    /// Changes, where it flaps.
    pub(super) changes: u16,
    /// It flaps no more.
    pub(super) steady: bool,
}

impl Default for Happening {
    fn default() -> Self {
        Self::of(Status::Unknown, Status::Unknown)
    }
}

impl Happening {
    pub(super) const fn of(status: Status, previous: Status) -> Self {
        Self { status, previous, latency_us: None, changes: 0, steady: false }
    }
}

impl Words {
    pub(super) fn new(config: &EngineConfig) -> Self {
        let mut words = Self {
            server: config.server.clone(),
            public_url: None,
            operators: config.operator_channels.clone(),
            locations: BTreeMap::from([(LocationId::LOCAL, "local".to_owned())]),
            accounts: BTreeMap::new(),
            channels: BTreeMap::new(),
        };
        words.set_public_url(config.public_url.as_deref());
        words
    }

    /// With what links begin from now on.
    pub(super) fn set_public_url(&mut self, url: Option<&str>) {
        self.public_url = url.map(|url| url.trim_end_matches('/').to_owned());
    }

    /// The number of a declared location.
    pub(super) fn location_named(&self, name: &str) -> Option<LocationId> {
        self.locations.iter().find(|(_, known)| *known == name).map(|(id, _)| *id)
    }

    pub(super) fn place(&self, location: LocationId) -> String {
        self.locations.get(&location).cloned().unwrap_or_else(|| format!("location {}", location.0))
    }

    /// The notice of an event of the entry's open incident.
    pub(super) fn of_incident(
        &self,
        entry: &Entry,
        kind: EventKind,
        (sequence, at): (u32, Timestamp),
        happening: Happening,
    ) -> Notice {
        let mut notice = Notice::new(kind, sequence, at, self.server.clone());
        let card = &entry.card;
        notice.status = Some(happening.status);
        notice.previous_status = Some(happening.previous);
        notice.monitor = Some(monitor(entry));
        let host = card.host.to_string();
        notice.account = self
            .accounts
            .get(&card.account)
            .map(|name| NamedWords { id: card.account.to_string(), name: name.clone() });
        notice.locations = self.seen_from(entry, happening.status);
        if entry.last_ok_at > Timestamp(0) {
            notice.last_ok = Some(LastOkWords { at: entry.last_ok_at, latency_us: entry.last_ok_us });
        }
        let case = entry.case.as_deref();
        if let Some(open) = case.and_then(|case| case.open.as_ref()) {
            // The end repeats the opening's error, so that a route on it also matches the recovery.
            let closed = kind == EventKind::IncidentClosed;
            let code = if closed { open.record.opening_code } else { open.record.code };
            put_reason(&mut notice, code, &host, card.port);
            notice.severity = Some(open.record.severity);
            notice.incident = Some(incident(open, at));
            notice.links = self.links(entry, open);
        }
        let failing = case.map_or(&[][..], |case| &case.failing[..]);
        notice.evidence = failing
            .iter()
            .map(|f| EvidenceWords::of(&self.place(f.location), f.slot, f.code, &f.proof.evidence()))
            .collect();
        let address = failing.iter().find_map(|f| f.proof.address()).map(|address| address.ip());
        notice.target =
            Some(TargetWords { host, port: card.port, address: address.map(|ip| ip.to_string()) });
        notice.latency = latency(&entry.policy, happening);
        notice.flapping = flapping(&entry.policy, happening);
        notice
    }

    /// Which places see it as it is told, and which do not.
    fn seen_from(&self, entry: &Entry, status: Status) -> LocationsWords {
        let mut words = LocationsWords { total: entry.policy.locations.len(), ..LocationsWords::default() };
        for (location, seen) in entry.judge.locations() {
            if seen == status {
                words.agree.push(self.place(location));
            } else if matches!(seen, Status::Up | Status::Degraded | Status::Down | Status::Blocked) {
                words.disagree.push(self.place(location));
            }
        }
        words
    }

    fn links(&self, entry: &Entry, open: &Open) -> LinkWords {
        let page = |path: String| self.public_url.as_ref().map(|url| format!("{url}{path}"));
        let id = open.record.id.to_string();
        LinkWords {
            incident: page(format!("/i/{}", id.trim_start_matches("inc_"))),
            monitor: page(format!("/m/{}", entry.card.id.0)),
            runbook: entry.card.extra.as_ref().and_then(|extra| extra.runbook.clone()),
        }
    }
}

fn monitor(entry: &Entry) -> MonitorWords {
    let card = &entry.card;
    let extra = card.extra.as_deref();
    MonitorWords {
        id: card.id.to_string(),
        name: card.name.to_string(),
        kind: card.kind.to_owned(),
        group: extra.and_then(|extra| extra.group.clone()),
        tags: extra.map(|extra| extra.tags.clone()).unwrap_or_default(),
        interval_seconds: Seconds(entry.policy.check_interval),
    }
}

fn incident(open: &Open, at: Timestamp) -> IncidentWords {
    let record = &open.record;
    IncidentWords {
        id: record.id.to_string(),
        started_at: record.started_at,
        confirmed_at: record.confirmed_at,
        ended_at: record.ended_at,
        duration_seconds: Seconds(whole_ms(record.ended_at.unwrap_or(at).since(record.started_at))),
        failed_checks: record.failed_checks,
        never_up: open.never_up,
        close_reason: record.close_reason,
        acknowledged_at: record.acknowledged.as_ref().map(|acknowledged| acknowledged.at),
        acknowledged_by: record.acknowledged.as_ref().map(|acknowledged| acknowledged.by.clone()),
    }
}

/// The reason's words for this target.
pub(super) fn put_reason(notice: &mut Notice, code: ErrorCode, host: &str, port: u16) {
    notice.error_code = Some(code);
    let words = reason::of(code);
    let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    notice.error = said(words.sentence);
    notice.cause = said(words.cause);
    notice.remedy = said(&reason::remedy(code, host, port));
}

fn latency(policy: &Policy, happening: Happening) -> Option<LatencyWords> {
    let (Some(limit_us), Some(latency_us)) = (policy.threshold_us, happening.latency_us) else { return None };
    (happening.status == Status::Degraded && latency_us > limit_us).then(|| LatencyWords {
        latency_us,
        limit_us,
        checks: u32::from(policy.failures),
    })
}

fn flapping(policy: &Policy, happening: Happening) -> Option<FlappingWords> {
    (happening.changes > 0 || happening.steady).then_some(FlappingWords {
        changes: happening.changes,
        window_seconds: Seconds(policy.flap_window),
        hold_seconds: Seconds(policy.flap_hold),
        steady: happening.steady,
    })
}

/// Durations are told in milliseconds: finer ones would not survive their own text.
const fn whole_ms(duration: Duration) -> Duration {
    Duration::from_millis(duration.as_millis() as u64)
}
