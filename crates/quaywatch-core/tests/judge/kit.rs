//! Scripts: one line an input, with the commands that it must yield, in a notation short enough to be read as a table.
//!
//! `60 refused => look 0@65` reads: at 60 s `local` saw `tcp_refused` (slot 60, judged at 60), and the judge asks to
//! look again not later than 65 s.

use std::time::Duration;

use quaywatch_core::judge::{CloseReason, Command, Input, Judge, Policy, Severity, Status};
use quaywatch_core::{ErrorCode, LocationId, Timestamp};

/// One location, two failures, one success, every 60 s, no flapping.
pub(crate) fn policy() -> Policy {
    Policy {
        check_interval: Duration::from_secs(60),
        timeout: Duration::from_secs(10),
        dns_timeout: Duration::from_secs(5),
        retry_interval: Duration::from_secs(5),
        failures: 2,
        successes: 1,
        threshold_us: Some(500_000),
        locations: [LocationId::LOCAL].into(),
        quorum: None,
        flap_changes: 0,
        flap_window: Duration::from_secs(1_200),
        flap_hold: Duration::from_secs(600),
        alert_before_first_success: true,
    }
}

/// The same from `count` locations.
pub(crate) fn seen_from(count: u16) -> Policy {
    Policy { locations: (0..count).map(LocationId).collect(), ..policy() }
}

pub(crate) fn secs(s: i64) -> Timestamp {
    Timestamp::from_secs(s)
}

/// Plays a script on a new judge made at 0 s, and compares each line with what is expected.
#[track_caller]
pub(crate) fn play(policy: &Policy, script: &str) -> Judge {
    let mut judge = Judge::new(secs(0));
    play_on(&mut judge, policy, script);
    judge
}

#[track_caller]
pub(crate) fn play_on(judge: &mut Judge, policy: &Policy, script: &str) {
    let mut told = String::new();
    let mut wanted = String::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (input, expected) = line.split_once("=>").unwrap_or((line, ""));
        let input = input.split_whitespace().collect::<Vec<_>>().join(" ");
        let expected = expected.split_whitespace().collect::<Vec<_>>().join(" ");
        let commands = step(judge, policy, &input).iter().map(show).collect::<Vec<_>>().join("; ");
        told.push_str(&format!("{input} => {commands}\n"));
        wanted.push_str(&format!("{input} => {expected}\n"));
        let again = Judge::decode(&judge.encode()).expect("what was written can be read");
        assert_eq!(&again, judge, "stored and read back after: {input}");
    }
    assert!(told == wanted, "the judge told\n{told}\nbut the script says\n{wanted}");
}

fn step(judge: &mut Judge, policy: &Policy, line: &str) -> Vec<Command> {
    let mut words = line.split(' ');
    let time = words.next().expect("a line begins with its time");
    let (slot, late) = time.split_once('+').unwrap_or((time, "0"));
    let slot: i64 = slot.parse().expect("a time in seconds");
    let now = secs(slot + late.parse::<i64>().expect("a delay in seconds"));
    let rest: Vec<&str> = words.collect();
    let location = |word: &str| LocationId(word.strip_prefix('@').expect("@0").parse().expect("a location"));
    let mut out = Vec::new();
    let input = match rest.as_slice() {
        ["tick"] => {
            judge.handle_timeout(policy, now, &mut out);
            return out;
        }
        ["pause"] => Input::Paused,
        ["resume"] => Input::Resumed,
        ["remove"] => Input::Removed,
        ["revise"] => Input::Revised { reset: false },
        ["reset"] => Input::Revised { reset: true },
        ["maintain"] => Input::MaintenanceStarted,
        ["maintained"] => Input::MaintenanceEnded,
        ["clock"] => Input::ClockStepped,
        ["restart", gap] => Input::Restarted { gap: Duration::from_secs(gap.parse().expect("seconds")) },
        ["lost", place] => Input::LocationLost { location: location(place), code: ErrorCode::SelfNetwork },
        ["back", place] => Input::LocationBack { location: location(place) },
        [code] => seen(LocationId::LOCAL, secs(slot), code),
        [place, code] => seen(location(place), secs(slot), code),
        _ => panic!("not a line of a script: {line}"),
    };
    judge.handle(policy, input, now, &mut out);
    out
}

fn seen(location: LocationId, slot: Timestamp, word: &str) -> Input {
    let (code, latency_us) = match word {
        "ok" => (ErrorCode::Ok, Some(200)),
        "slow" => (ErrorCode::Ok, Some(700_000)),
        "refused" => (ErrorCode::TcpRefused, None),
        "timeout" => (ErrorCode::TcpTimeout, None),
        "partial" => (ErrorCode::AddressPartial, Some(200)),
        "blocked" => (ErrorCode::PolicyBlocked, None),
        other => (other.parse().expect("an error code"), None),
    };
    Input::Observed { location, slot, code, latency_us }
}

const fn status(status: Status) -> &'static str {
    match status {
        Status::Pending => "pending",
        Status::Up => "up",
        Status::Degraded => "degraded",
        Status::Down => "down",
        Status::Unknown => "unknown",
        Status::Blocked => "blocked",
        Status::Maintenance => "maintenance",
        Status::Paused => "paused",
    }
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

/// Seconds, with thousandths where there are any.
fn time(at: Timestamp) -> String {
    assert_eq!(at.micros() % 1_000, 0, "exact to the millisecond");
    let ms = at.millis();
    if ms % 1_000 == 0 {
        (ms / 1_000).to_string()
    } else {
        format!("{}.{:03}", ms.div_euclid(1_000), ms % 1_000)
    }
}

pub(crate) fn show(command: &Command) -> String {
    match command {
        Command::Changed { from, to, since, code } => {
            format!("{}>{}@{} {code}", status(*from), status(*to), time(*since))
        }
        Command::IntervalOpened { from, status: s, code, incident } => {
            let incident = incident.map(|ordinal| format!(" #{ordinal}")).unwrap_or_default();
            format!("[{} {} {code}{incident}", time(*from), status(*s))
        }
        Command::IntervalClosed { to } => format!("]{}", time(*to)),
        Command::IncidentOpened {
            ordinal,
            severity: v,
            status: s,
            started_at,
            code,
            never_up,
            failed_checks,
        } => {
            let never = if *never_up { " never_up" } else { "" };
            format!(
                "open#{ordinal} {} {} from {} {code} x{failed_checks}{never}",
                severity(*v),
                status(*s),
                time(*started_at)
            )
        }
        Command::IncidentUpdated { ordinal, severity: v, status: s, code, failed_checks } => {
            format!("update#{ordinal} {} {} {code} x{failed_checks}", severity(*v), status(*s))
        }
        Command::IncidentFlapping { ordinal, changes, status: s } => {
            format!("flap#{ordinal} {changes} {}", status(*s))
        }
        Command::IncidentSteady { ordinal, status: s, code } => {
            format!("steady#{ordinal} {} {code}", status(*s))
        }
        Command::IncidentClosed { ordinal, reason, ended_at, failed_checks } => {
            let reason = match reason {
                CloseReason::Recovered => "recovered",
                CloseReason::Superseded => "superseded",
                CloseReason::Removed => "removed",
                CloseReason::Paused => "paused",
            };
            format!("close#{ordinal} {reason} {} x{failed_checks}", time(*ended_at))
        }
        Command::Recheck { location, at } => format!("look {}@{}", location.0, time(*at)),
    }
}
