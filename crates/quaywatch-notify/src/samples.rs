//! Notices for tests: one of each kind, with the names and figures of the documentation's examples.

use std::collections::BTreeMap;
use std::time::Duration;

use quaywatch_core::judge::{CloseReason, Severity, Status};
use quaywatch_core::{Attempt as Dialled, ErrorCode, Evidence, Signal, Stage, Timestamp};

use crate::notice::*;
use crate::{Attempt, EventKind, Notice};

const STARTED: Timestamp = Timestamp::from_millis(1_777_652_109_020);
const CONFIRMED: Timestamp = Timestamp::from_millis(1_777_652_121_204);
const ENDED: Timestamp = Timestamp::from_millis(1_777_652_409_020);
const INCIDENT: &str = "inc_01jt6r4ekm000000000000000a";

pub(crate) fn attempt() -> Attempt {
    Attempt {
        key: format!("{INCIDENT}-0-ch4"),
        at: Timestamp::from_secs(1_777_652_122),
        late: None,
        combined: false,
        reduced: false,
    }
}

pub(crate) fn opened() -> Notice {
    let evidence = Evidence {
        attempts: vec![Dialled {
            address: "192.0.2.10:3306".parse().expect("an address"),
            error_code: ErrorCode::TcpRefused,
            stage: Stage::Connect,
            signal: Signal::Rst,
            latency_us: None,
            elapsed_us: 412,
            syn_retransmits: 0,
            errno: Some("ECONNREFUSED".into()),
            icmp: None,
        }],
        ..Evidence::default()
    };
    Notice {
        status: Some(Status::Down),
        previous_status: Some(Status::Up),
        severity: Some(Severity::Critical),
        error_code: Some(ErrorCode::TcpRefused),
        error: Some("TCP connection refused".into()),
        cause: Some(
            "The host answers but nothing listens on the port: the service has most likely stopped.".into(),
        ),
        remedy: Some("systemctl status mysql; ss -ltn 'sport = :3306'".into()),
        monitor: Some(MonitorWords {
            id: "m42".into(),
            name: "db-1 MySQL".into(),
            kind: "tcp".into(),
            group: Some("Databases".into()),
            tags: BTreeMap::from([("env".into(), "prod".into())]),
            interval_seconds: Seconds(Duration::from_secs(30)),
        }),
        target: Some(TargetWords {
            host: "db.example.com".into(),
            port: 3306,
            address: Some("192.0.2.10".into()),
        }),
        incident: Some(IncidentWords {
            id: INCIDENT.into(),
            started_at: STARTED,
            confirmed_at: CONFIRMED,
            ended_at: None,
            duration_seconds: Seconds(Duration::from_secs(12)),
            failed_checks: 3,
            never_up: false,
            close_reason: None,
            acknowledged_at: None,
            acknowledged_by: None,
        }),
        locations: LocationsWords {
            agree: vec!["msk".into(), "fra".into(), "hel".into()],
            disagree: vec![],
            total: 3,
        },
        evidence: vec![EvidenceWords::of("msk", STARTED, ErrorCode::TcpRefused, &evidence)],
        last_ok: Some(LastOkWords { at: Timestamp::from_millis(1_777_652_079_011), latency_us: 910 }),
        links: LinkWords {
            incident: Some("https://watch.example.com/i/01jt6r4ekm000000000000000a".into()),
            monitor: Some("https://watch.example.com/m/42".into()),
            runbook: Some("https://wiki.example.com/db-1".into()),
        },
        account: Some(NamedWords { id: "a1".into(), name: "Example".into() }),
        ..Notice::new(EventKind::IncidentOpened, 0, CONFIRMED, server())
    }
}

fn server() -> ServerWords {
    ServerWords { name: "watch-1".into(), version: "0.4.0".into() }
}

fn incident(f: impl FnOnce(&mut IncidentWords)) -> Notice {
    let mut notice = opened();
    f(notice.incident.as_mut().expect("the sample has an incident"));
    notice
}

fn said(kind: EventKind, text: Option<&str>) -> Notice {
    let mut notice = incident(|incident| {
        incident.duration_seconds = Seconds(Duration::from_secs(90));
        incident.acknowledged_at = Some(STARTED + Duration::from_secs(60));
        incident.acknowledged_by = Some("Anna".into());
    });
    notice.kind = kind;
    notice.sequence = 1;
    notice.timestamp = STARTED + Duration::from_secs(90);
    notice.previous_status = notice.status;
    notice.evidence.clear();
    notice.said = Some(SaidWords { by: "Anna".into(), text: text.map(str::to_owned) });
    notice
}

fn closed(reason: CloseReason) -> Notice {
    let mut notice = incident(|incident| {
        incident.ended_at = Some(ENDED);
        incident.duration_seconds = Seconds(Duration::from_secs(300));
        incident.failed_checks = 60;
        incident.close_reason = Some(reason);
    });
    notice.kind = EventKind::IncidentClosed;
    notice.sequence = 1;
    notice.timestamp = ENDED;
    notice.status = Some(Status::Up);
    notice.previous_status = Some(Status::Down);
    notice.last_ok = Some(LastOkWords { at: ENDED, latency_us: 1_020 });
    notice
}

fn degraded() -> Notice {
    Notice {
        status: Some(Status::Degraded),
        severity: Some(Severity::Warning),
        error_code: Some(ErrorCode::TcpSlow),
        error: Some("The connection is slow".into()),
        cause: None,
        remedy: None,
        evidence: vec![],
        latency: Some(LatencyWords { latency_us: 734_000, limit_us: 500_000, checks: 2 }),
        ..opened()
    }
}

fn own(kind: EventKind, sequence: u32, until: Option<Timestamp>) -> Notice {
    Notice {
        error_code: Some(ErrorCode::SelfNetwork),
        error: Some("Our own network is down".into()),
        cause: Some("Neither the gateway nor a resolver answers.".into()),
        fault: Some(FaultWords { location: "local".into(), since: STARTED, until, monitors: 41 }),
        ..Notice::new(kind, sequence, until.unwrap_or(CONFIRMED), server())
    }
}

fn storage(mut notice: Notice) -> Notice {
    notice.error_code = Some(ErrorCode::SelfStorage);
    notice.error = Some("The disk is full".into());
    notice.cause = None;
    notice
}

fn channel(kind: EventKind) -> Notice {
    Notice {
        channel: Some(ChannelWords {
            id: "ch4".into(),
            name: "ops".into(),
            answer: "503 Service Unavailable".into(),
            class: "transient".into(),
            waiting: 3,
            since: STARTED,
            remedy: "Look whether the receiver is up.".into(),
        }),
        ..Notice::new(kind, 0, CONFIRMED, server())
    }
}

/// One of each kind and form, by name.
pub(crate) fn all() -> Vec<(&'static str, Notice, Attempt)> {
    let late = Attempt { late: Some(Duration::from_secs(4_000)), ..attempt() };
    let flapping = FlappingWords {
        changes: 6,
        window_seconds: Seconds(Duration::from_secs(600)),
        hold_seconds: Seconds(Duration::from_secs(300)),
        steady: false,
    };
    let kind = |kind, notice: Notice| Notice { kind, ..notice };
    let lasting = incident(|incident| incident.duration_seconds = Seconds(Duration::from_secs(7_500)));
    vec![
        ("opened", opened(), attempt()),
        ("opened_late", opened(), late.clone()),
        ("opened_never_up", incident(|incident| incident.never_up = true), attempt()),
        ("opened_degraded", degraded(), attempt()),
        (
            "updated_from_degraded_to_down",
            kind(EventKind::IncidentUpdated, Notice { previous_status: Some(Status::Degraded), ..opened() }),
            attempt(),
        ),
        (
            "updated_cause",
            kind(
                EventKind::IncidentUpdated,
                Notice { previous_status: Some(Status::Down), ..lasting.clone() },
            ),
            attempt(),
        ),
        ("reminder", kind(EventKind::IncidentReminder, lasting.clone()), attempt()),
        (
            "flapping",
            kind(EventKind::IncidentFlapping, Notice { flapping: Some(flapping), ..opened() }),
            attempt(),
        ),
        (
            "steady",
            kind(
                EventKind::IncidentUpdated,
                Notice { flapping: Some(FlappingWords { steady: true, ..flapping }), ..lasting },
            ),
            attempt(),
        ),
        ("acknowledged", said(EventKind::IncidentAcknowledged, None), attempt()),
        ("acknowledged_with_note", said(EventKind::IncidentAcknowledged, Some("On my way.")), attempt()),
        ("commented", said(EventKind::IncidentCommented, Some("The disk is full.\nCleaning up.")), attempt()),
        ("closed", closed(CloseReason::Recovered), attempt()),
        ("closed_removed", closed(CloseReason::Removed), attempt()),
        ("closed_late_combined", closed(CloseReason::Recovered), Attempt { combined: true, ..late }),
        ("server_fault", own(EventKind::ServerFault, 0, None), attempt()),
        ("server_recovered", own(EventKind::ServerRecovered, 1, Some(ENDED)), attempt()),
        ("server_fault_storage", storage(own(EventKind::ServerFault, 0, None)), attempt()),
        ("server_recovered_storage", storage(own(EventKind::ServerRecovered, 1, Some(ENDED))), attempt()),
        ("channel_failing", channel(EventKind::ChannelFailing), attempt()),
        ("channel_recovered", channel(EventKind::ChannelRecovered), attempt()),
        ("channel_disabled", channel(EventKind::ChannelDisabled), attempt()),
        ("test", channel(EventKind::NoticeTest), attempt()),
    ]
}
