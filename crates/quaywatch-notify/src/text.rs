//! The default texts, in English. Line 1 alone is enough: it is what a lock screen, a subject or an SMS shows. Lines
//! with nothing to say vanish.

use quaywatch_core::judge::{CloseReason, Severity, Status};

use crate::Attempt;
use crate::clean::{duration, latency, line, moment};
use crate::notice::{EventKind, FaultWords, IncidentWords, Notice, SaidWords};

/// The longest name in a text.
const NAME_CHARS: usize = 200;
/// The longest sentence in a text.
const SENTENCE_CHARS: usize = 400;

/// Line 1 without its sign: `Down: db-1 MySQL (db.example.com:3306)`.
#[must_use]
pub fn title(notice: &Notice, attempt: &Attempt) -> String {
    headline(notice, attempt).1
}

/// The whole text, lines divided by `\n`.
#[must_use]
pub fn text(notice: &Notice, attempt: &Attempt) -> String {
    let (sign, title) = headline(notice, attempt);
    let mut lines = vec![format!("{sign} {title}")];
    if attempt.combined {
        late_and_over(notice, attempt, &mut lines);
    } else {
        match notice.kind {
            EventKind::IncidentOpened => opened(notice, &mut lines),
            EventKind::IncidentUpdated => updated(notice, &mut lines),
            EventKind::IncidentReminder => still(notice, &mut lines),
            EventKind::IncidentFlapping => flapping(notice, &mut lines),
            EventKind::IncidentAcknowledged | EventKind::IncidentCommented => said(notice, &mut lines),
            EventKind::IncidentClosed => closed(notice, &mut lines),
            EventKind::ServerFault => fault(notice, &mut lines),
            EventKind::ServerRecovered => sees_again(notice, &mut lines),
            EventKind::ChannelFailing | EventKind::ChannelDisabled => channel_failing(notice, &mut lines),
            EventKind::ChannelRecovered => channel_recovered(notice, &mut lines),
            EventKind::NoticeTest => {
                lines.push(format!("Sent {}. No monitor is affected.", moment(notice.timestamp)));
            }
        }
        if let Some(late) = attempt.late {
            lines.push(format!("This message is {} late.", duration(late)));
        }
    }
    if let Some(runbook) = notice.links.runbook.as_deref().filter(|_| is_alarm(notice)) {
        lines.push(format!("Runbook: {}", line(runbook, SENTENCE_CHARS)));
    }
    if let Some(link) = notice.links.incident.as_deref().or(notice.links.monitor.as_deref()) {
        lines.push(line(link, SENTENCE_CHARS));
    }
    lines.retain(|line| !line.is_empty());
    lines.join("\n")
}

fn is_alarm(notice: &Notice) -> bool {
    matches!(
        notice.kind,
        EventKind::IncidentOpened
            | EventKind::IncidentUpdated
            | EventKind::IncidentReminder
            | EventKind::IncidentFlapping
    )
}

fn headline(notice: &Notice, attempt: &Attempt) -> (&'static str, String) {
    let who = who(notice);
    if attempt.combined {
        return ("⚪", format!("Was down, is up again: {who}"));
    }
    match notice.kind {
        EventKind::IncidentOpened => {
            let (sign, word) = state(notice.status);
            (sign, format!("{word}: {who}"))
        }
        EventKind::IncidentUpdated => updated_headline(notice, &who),
        EventKind::IncidentReminder => {
            let (sign, word) = state(notice.status);
            (sign, format!("Still {}, {}: {who}", word.to_lowercase(), lasting(notice)))
        }
        EventKind::IncidentFlapping => ("🟠", format!("Unstable: {who}")),
        EventKind::IncidentAcknowledged => ("✋", format!("{} is on it: {who}", speaker(notice))),
        EventKind::IncidentCommented => ("💬", format!("{} wrote: {who}", speaker(notice))),
        EventKind::IncidentClosed => {
            match notice.incident.as_ref().and_then(|incident| incident.close_reason) {
                None | Some(CloseReason::Recovered) => ("🟢", format!("Up: {who}")),
                Some(CloseReason::Superseded) => ("⚪", format!("Closed, watches something else now: {who}")),
                Some(CloseReason::Removed) => ("⚪", format!("Closed, no longer watched: {who}")),
                Some(CloseReason::Paused) => ("⚪", format!("Closed, paused: {who}")),
            }
        }
        EventKind::ServerFault if is_storage(notice) => {
            ("⚪", format!("Quaywatch cannot write to its data directory: {}", error(notice)))
        }
        EventKind::ServerRecovered if is_storage(notice) => {
            ("⚪", "Quaywatch writes to its data directory again".to_owned())
        }
        EventKind::ServerFault => {
            ("⚪", format!("Quaywatch cannot see from {}: {}", place(notice), error(notice)))
        }
        EventKind::ServerRecovered => ("⚪", format!("Quaywatch sees again from {}", place(notice))),
        EventKind::ChannelFailing
        | EventKind::ChannelDisabled
        | EventKind::ChannelRecovered
        | EventKind::NoticeTest => channel_headline(notice),
    }
}

fn updated_headline(notice: &Notice, who: &str) -> (&'static str, String) {
    let (sign, word) = state(notice.status);
    if notice.flapping.is_some_and(|flapping| flapping.steady) {
        return (sign, format!("Steady again, {}: {who}", word.to_lowercase()));
    }
    if notice.previous_status == notice.status {
        return (sign, format!("Still {}, {}: {who}", word.to_lowercase(), lasting(notice)));
    }
    (sign, format!("{word}: {who}"))
}

fn channel_headline(notice: &Notice) -> (&'static str, String) {
    let (name, answer) =
        notice.channel.as_ref().map_or(("?", ""), |channel| (&channel.name, &channel.answer));
    let name = line(name, NAME_CHARS);
    match notice.kind {
        EventKind::NoticeTest => ("🔵", format!("Test: the channel \"{name}\" works")),
        EventKind::ChannelRecovered => ("⚪", format!("Channel \"{name}\" delivers again")),
        EventKind::ChannelDisabled => {
            ("⚠", format!("Channel \"{name}\" is gone and is not tried any more: {}", line(answer, 120)))
        }
        EventKind::ChannelFailing
        | EventKind::IncidentOpened
        | EventKind::IncidentUpdated
        | EventKind::IncidentReminder
        | EventKind::IncidentFlapping
        | EventKind::IncidentAcknowledged
        | EventKind::IncidentCommented
        | EventKind::IncidentClosed
        | EventKind::ServerFault
        | EventKind::ServerRecovered => {
            ("⚠", format!("Channel \"{name}\" does not deliver: {}", line(answer, 120)))
        }
    }
}

/// The server's own fault is its disk, not its sight.
fn is_storage(notice: &Notice) -> bool {
    notice.error_code == Some(quaywatch_core::ErrorCode::SelfStorage)
}

/// Sign and word of a status.
const fn state(status: Option<Status>) -> (&'static str, &'static str) {
    match status {
        Some(Status::Down) => ("🔴", "Down"),
        Some(Status::Degraded) => ("🟡", "Degraded"),
        Some(Status::Up) => ("🟢", "Up"),
        Some(Status::Blocked) => ("⚪", "Blocked"),
        Some(Status::Maintenance) => ("⚪", "In maintenance"),
        Some(Status::Paused) => ("⚪", "Paused"),
        Some(Status::Unknown | Status::Pending) | None => ("⚪", "Unknown"),
    }
}

/// Name and target of the monitor.
fn who(notice: &Notice) -> String {
    let name =
        notice.monitor.as_ref().map_or_else(|| "?".to_owned(), |monitor| line(&monitor.name, NAME_CHARS));
    match &notice.target {
        Some(target) => format!("{name} ({})", line(&target.text(), NAME_CHARS)),
        None => name,
    }
}

fn place(notice: &Notice) -> String {
    notice.fault.as_ref().map_or_else(|| "?".to_owned(), |fault| line(&fault.location, NAME_CHARS))
}

/// The sentence of the error, without its full stop.
fn error(notice: &Notice) -> String {
    let text =
        notice.error.as_deref().or(notice.error_code.map(quaywatch_core::ErrorCode::as_str)).unwrap_or("?");
    line(text.trim_end_matches('.'), SENTENCE_CHARS)
}

fn lasting(notice: &Notice) -> String {
    notice.incident.as_ref().map_or_else(String::new, |incident| duration(incident.duration_seconds.0))
}

fn opened(notice: &Notice, lines: &mut Vec<String>) {
    if let (Some(Status::Degraded), Some(slow)) = (notice.status, notice.latency) {
        lines.push(format!(
            "Connecting takes {}, limit {}{} ({} checks in a row).",
            latency(slow.latency_us),
            latency(slow.limit_us),
            notice.last_ok.map_or_else(String::new, |last| format!(", before {}", latency(last.latency_us))),
            slow.checks,
        ));
        return;
    }
    lines.push(reason(notice));
    if let Some(incident) = &notice.incident {
        if incident.never_up {
            lines.push("It has not answered since it was added.".to_owned());
        }
        lines.push(confirmed(incident));
    }
    lines.push(seen_from(notice));
    lines.push(proof(notice));
    if let Some(remedy) = &notice.remedy {
        lines.push(format!("First look: {}", line(remedy, SENTENCE_CHARS)));
    }
}

/// `{error}. {cause}`
fn reason(notice: &Notice) -> String {
    match notice.cause.as_deref().filter(|cause| !cause.is_empty()) {
        Some(cause) => format!("{}. {}", error(notice), line(cause, SENTENCE_CHARS)),
        None => format!("{}.", error(notice)),
    }
}

fn confirmed(incident: &IncidentWords) -> String {
    let checks = match incident.failed_checks {
        0 => return format!("Since {}", moment(incident.started_at)),
        1 => "1 check".to_owned(),
        n => format!("{n} checks"),
    };
    let took = duration(incident.confirmed_at.since(incident.started_at));
    format!("Since {}, confirmed by {checks} in {took}", moment(incident.started_at))
}

fn seen_from(notice: &Notice) -> String {
    let places = &notice.locations;
    if places.total < 2 || places.agree.is_empty() {
        return String::new();
    }
    let names: Vec<_> = places.agree.iter().take(8).map(|place| line(place, 40)).collect();
    let more = if places.agree.len() > names.len() { ", …" } else { "" };
    format!("Seen from {} of {}: {}{more}", places.agree.len(), places.total, names.join(", "))
}

fn proof(notice: &Notice) -> String {
    let evidence = notice.evidence.first().filter(|first| !first.detail.is_empty()).map(|first| {
        let address = first.address.map(|address| format!(" from {address}")).unwrap_or_default();
        format!("Evidence: {}{address} after {}", first.detail, latency(first.elapsed_us))
    });
    let last =
        notice.last_ok.map(|last| format!("last answer {} in {}", moment(last.at), latency(last.latency_us)));
    match (evidence, last) {
        (Some(evidence), Some(last)) => format!("{evidence}; {last}"),
        (Some(evidence), None) => evidence,
        (None, Some(last)) => format!("Last{}", &last[4..]),
        (None, None) => String::new(),
    }
}

fn updated(notice: &Notice, lines: &mut Vec<String>) {
    if notice.previous_status == notice.status {
        lines.push(reason(notice));
        if let Some(incident) = &notice.incident {
            lines.push(format!("Since {}", moment(incident.started_at)));
        }
        lines.push(proof(notice));
        return;
    }
    opened(notice, lines);
}

fn still(notice: &Notice, lines: &mut Vec<String>) {
    if let Some(incident) = &notice.incident {
        let since = moment(incident.started_at);
        let cared_for = match (&incident.acknowledged_by, incident.acknowledged_at) {
            (Some(by), Some(at)) => format!("{} is on it since {}.", line(by, NAME_CHARS), moment(at)),
            (Some(_) | None, _) => "Nobody has acknowledged it.".to_owned(),
        };
        lines.push(format!("{}, since {since}. {cared_for}", error(notice)));
    }
}

/// Who acknowledged or commented.
fn speaker(notice: &Notice) -> String {
    notice.said.as_ref().map_or_else(|| "Somebody".to_owned(), |said| line(&said.by, NAME_CHARS))
}

fn said(notice: &Notice, lines: &mut Vec<String>) {
    if let Some(SaidWords { text: Some(text), .. }) = &notice.said {
        lines.push(line(text, SENTENCE_CHARS));
    }
    let Some(incident) = &notice.incident else { return };
    let since = moment(incident.started_at);
    lines.push(match incident.ended_at {
        None => format!("{} since {since}. Reason: {}", state(notice.status).1, error(notice)),
        Some(ended) => format!("{since} to {}. Reason: {}", moment(ended), error(notice)),
    });
}

fn flapping(notice: &Notice, lines: &mut Vec<String>) {
    let Some(flapping) = notice.flapping else { return };
    lines.push(format!(
        "{} changes in {}, now {}. Single changes are not sent until it is steady for {}.",
        flapping.changes,
        duration(flapping.window_seconds.0),
        state(notice.status).1.to_lowercase(),
        duration(flapping.hold_seconds.0),
    ));
}

fn closed(notice: &Notice, lines: &mut Vec<String>) {
    let Some(incident) = &notice.incident else { return };
    let was = match notice.severity {
        Some(Severity::Warning) => state(notice.previous_status.or(Some(Status::Degraded))).1.to_lowercase(),
        Some(Severity::Critical) | None => "down".to_owned(),
    };
    let span = incident
        .ended_at
        .map_or_else(String::new, |ended| format!(" ({} to {})", moment(incident.started_at), moment(ended)));
    lines.push(format!(
        "Was {was} for {}{span}. Reason: {}",
        duration(incident.duration_seconds.0),
        error(notice)
    ));
    let recovered = matches!(incident.close_reason, None | Some(CloseReason::Recovered));
    if let Some(last) = notice.last_ok.filter(|_| recovered) {
        let places = match notice.locations.total {
            0 | 1 => String::new(),
            total => format!(" from {} of {total}", notice.locations.agree.len()),
        };
        lines.push(format!("Answers in {}{places}", latency(last.latency_us)));
    }
}

fn late_and_over(notice: &Notice, attempt: &Attempt, lines: &mut Vec<String>) {
    let Some(incident) = &notice.incident else { return };
    let ended = incident.ended_at.unwrap_or(notice.timestamp);
    lines.push(format!(
        "{} to {} ({}), {}.",
        moment(incident.started_at),
        moment(ended),
        duration(incident.duration_seconds.0),
        error(notice)
    ));
    if let Some(late) = attempt.late {
        lines.push(format!("This message is {} late: the channel was unreachable.", duration(late)));
    }
}

fn fault(notice: &Notice, lines: &mut Vec<String>) {
    let Some(fault) = &notice.fault else { return };
    let cause = notice.cause.as_deref().map_or_else(String::new, |cause| line(cause, SENTENCE_CHARS));
    let effect = if is_storage(notice) {
        "Checks, decisions and notices go on; results are not recorded.".to_owned()
    } else {
        unknown(fault)
    };
    lines.push(format!("{cause} {effect}").trim().to_owned());
    lines.push(format!("Since {}", moment(fault.since)));
}

fn unknown(fault: &FaultWords) -> String {
    match fault.monitors {
        0 => String::new(),
        1 => "1 monitor is unknown, not down.".to_owned(),
        n => format!("{n} monitors are unknown, not down."),
    }
}

fn sees_again(notice: &Notice, lines: &mut Vec<String>) {
    let Some(fault) = &notice.fault else { return };
    let until = fault.until.unwrap_or(notice.timestamp);
    let what = if is_storage(notice) { "write" } else { "see" };
    lines.push(format!(
        "Could not {what} for {} ({} to {}). Reason: {}",
        duration(until.since(fault.since)),
        moment(fault.since),
        moment(until),
        error(notice)
    ));
}

fn channel_failing(notice: &Notice, lines: &mut Vec<String>) {
    let Some(channel) = &notice.channel else { return };
    let waiting = match channel.waiting {
        1 => "1 notice waits".to_owned(),
        n => format!("{n} notices wait"),
    };
    lines.push(format!(
        "{waiting} since {}. {}",
        moment(channel.since),
        line(&channel.remedy, SENTENCE_CHARS)
    ));
}

fn channel_recovered(notice: &Notice, lines: &mut Vec<String>) {
    let Some(channel) = &notice.channel else { return };
    lines.push(format!("It did not deliver for {}.", duration(notice.timestamp.since(channel.since))));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn t40_the_default_texts() {
        for (name, notice, attempt) in samples::all() {
            insta::assert_snapshot!(format!("text_{name}"), text(&notice, &attempt));
        }
    }

    #[test]
    fn every_kind_has_a_text_whose_first_line_is_its_title() {
        for kind in EventKind::ALL {
            let all = samples::all();
            let (_, notice, attempt) =
                all.iter().find(|(_, notice, _)| notice.kind == *kind).expect("a sample of each kind");
            let text = text(notice, attempt);
            let first = text.lines().next().expect("a first line");
            assert!(first.ends_with(&title(notice, attempt)), "{kind:?}: {first}");
            assert!(first.len() > title(notice, attempt).len(), "{kind:?} has a sign");
        }
    }

    #[test]
    fn hostile_names_stay_on_line_1() {
        let mut notice = samples::opened();
        if let Some(monitor) = &mut notice.monitor {
            monitor.name = format!("a\r\nBcc: x\0\u{202e}{}", "🚢".repeat(100_000));
        }
        let text = text(&notice, &samples::attempt());
        assert!(text.starts_with("🔴 Down: a Bcc: x 🚢"));
        assert!(text.lines().next().is_some_and(|line| line.ends_with("(db.example.com:3306)")));
        assert!(text.contains("https://watch.example.com/i/"), "the link survives");
        assert!(text.len() < 4_000);
    }
}
