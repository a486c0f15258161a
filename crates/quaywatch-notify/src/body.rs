//! The webhook's JSON body: one shape for every event, cut to size in a fixed order.
//!
//! The order of the fields is part of the documentation's examples, so it is written out here rather than left to the
//! snapshot's.

use bytes::Bytes;
use quaywatch_core::judge::{CloseReason, Severity, Status};
use quaywatch_core::{ErrorCode, Timestamp};
use serde::Serialize;

use crate::notice::{
    ChannelWords, EvidenceWords, FaultWords, FlappingWords, LastOkWords, LatencyWords, LinkWords,
    LocationsWords, MonitorWords, NamedWords, Notice, SCHEMA, SaidWords, Seconds, ServerWords, TargetWords,
    rfc3339,
};
use crate::{Attempt, clean, text};

/// No body is larger; receivers commonly refuse more.
pub const LARGEST: usize = 64 * 1_024;
/// The longest name in a body that had to be cut.
const CUT_NAME_CHARS: usize = 256;
/// The longest comment in a body that had to be cut.
const CUT_TEXT_CHARS: usize = 4_000;

#[derive(Serialize, Clone)]
struct Body<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    schema: u32,
    sequence: u32,
    test: bool,
    #[serde(skip_serializing_if = "is_false")]
    late: bool,
    #[serde(skip_serializing_if = "is_false")]
    combined: bool,
    #[serde(with = "rfc3339")]
    timestamp: Timestamp,
    status: Option<Status>,
    previous_status: Option<Status>,
    severity: Option<Severity>,
    error_status: Option<quaywatch_core::ErrorStatus>,
    error_code: Option<ErrorCode>,
    error: Option<&'a str>,
    cause: Option<&'a str>,
    remedy: Option<&'a str>,
    title: String,
    text: String,
    monitor: Option<MonitorWords>,
    target: Option<&'a TargetWords>,
    incident: Option<Incident<'a>>,
    locations: &'a LocationsWords,
    evidence: &'a [EvidenceWords],
    last_ok: Option<&'a LastOkWords>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency: Option<&'a LatencyWords>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flapping: Option<&'a FlappingWords>,
    #[serde(skip_serializing_if = "Option::is_none")]
    said: Option<SaidWords>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<&'a FaultWords>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a ChannelWords>,
    group: Option<()>,
    links: &'a LinkWords,
    account: Option<&'a NamedWords>,
    server: &'a ServerWords,
}

/// The incident with the fields of reminders and snoozing, which nothing sets yet: receivers see one shape.
#[derive(Serialize, Clone)]
struct Incident<'a> {
    id: &'a str,
    #[serde(with = "rfc3339")]
    started_at: Timestamp,
    #[serde(with = "rfc3339")]
    confirmed_at: Timestamp,
    #[serde(with = "rfc3339::option")]
    ended_at: Option<Timestamp>,
    duration_seconds: Seconds,
    failed_checks: u32,
    never_up: bool,
    close_reason: Option<CloseReason>,
    reminder: u32,
    #[serde(with = "rfc3339::option")]
    acknowledged_at: Option<Timestamp>,
    acknowledged_by: Option<&'a str>,
    snoozed_until: Option<()>,
}

/// The body of one attempt, at most [`LARGEST`] bytes: evidence is cut first, then the text, then whatever its owner
/// made too long.
#[must_use]
pub fn json(notice: &Notice, attempt: &Attempt) -> Bytes {
    let mut body = whole(notice, attempt);
    if attempt.reduced {
        body.evidence = &[];
        body.text = first_line(&body.text);
    }
    let mut bytes = write(&body);
    for cut in [fewer_evidence, no_evidence, short_text, short_words] {
        if bytes.len() <= LARGEST {
            break;
        }
        cut(&mut body);
        bytes = write(&body);
    }
    bytes.into()
}

fn whole<'a>(notice: &'a Notice, attempt: &'a Attempt) -> Body<'a> {
    Body {
        id: &attempt.key,
        kind: notice.kind.as_str(),
        schema: SCHEMA,
        sequence: notice.sequence,
        test: notice.kind == crate::EventKind::NoticeTest,
        late: attempt.late.is_some(),
        combined: attempt.combined,
        timestamp: notice.timestamp,
        status: notice.status,
        previous_status: notice.previous_status,
        severity: notice.severity,
        error_status: notice.error_code.and_then(ErrorCode::status),
        error_code: notice.error_code,
        error: notice.error.as_deref(),
        cause: notice.cause.as_deref(),
        remedy: notice.remedy.as_deref(),
        title: text::title(notice, attempt),
        text: text::text(notice, attempt),
        monitor: notice.monitor.clone(),
        target: notice.target.as_ref(),
        incident: notice.incident.as_ref().map(|incident| Incident {
            id: &incident.id,
            started_at: incident.started_at,
            confirmed_at: incident.confirmed_at,
            ended_at: incident.ended_at,
            duration_seconds: incident.duration_seconds,
            failed_checks: incident.failed_checks,
            never_up: incident.never_up,
            close_reason: incident.close_reason,
            reminder: 0,
            acknowledged_at: incident.acknowledged_at,
            acknowledged_by: incident.acknowledged_by.as_deref(),
            snoozed_until: None,
        }),
        locations: &notice.locations,
        evidence: &notice.evidence,
        last_ok: notice.last_ok.as_ref(),
        latency: notice.latency.as_ref(),
        flapping: notice.flapping.as_ref(),
        said: notice.said.clone(),
        fault: notice.fault.as_ref(),
        channel: notice.channel.as_ref(),
        group: None,
        links: &notice.links,
        account: notice.account.as_ref(),
        server: &notice.server,
    }
}

fn write(body: &Body<'_>) -> Vec<u8> {
    serde_json::to_vec(body).expect("a body has string keys only and no numbers that JSON lacks")
}

fn fewer_evidence(body: &mut Body<'_>) {
    body.evidence = body.evidence.get(..4).unwrap_or(body.evidence);
}

fn no_evidence(body: &mut Body<'_>) {
    body.evidence = &[];
}

fn short_text(body: &mut Body<'_>) {
    body.text = first_line(&body.text);
}

fn short_words(body: &mut Body<'_>) {
    if let Some(monitor) = &mut body.monitor {
        monitor.tags.clear();
        monitor.name = clean::line(&monitor.name, CUT_NAME_CHARS);
        monitor.group = monitor.group.as_deref().map(|group| clean::line(group, CUT_NAME_CHARS));
    }
    if let Some(said) = &mut body.said {
        said.by = clean::line(&said.by, CUT_NAME_CHARS);
        said.text = said.text.as_deref().map(|text| clean::line(text, CUT_TEXT_CHARS));
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde wants")]
const fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn t31_the_body_of_every_kind() {
        for (name, notice, attempt) in samples::all() {
            let body = String::from_utf8(json(&notice, &attempt).to_vec()).expect("JSON is UTF-8");
            let value: serde_json::Value = serde_json::from_str(&body).expect("JSON");
            // Pretty, but in the order of the wire: `Value` sorts its keys.
            insta::assert_snapshot!(format!("body_{name}"), pretty(&body));
            assert_eq!(value["id"], attempt.key);
        }
    }

    /// Line breaks after top-level fields only, so that a change shows as one line.
    fn pretty(body: &str) -> String {
        let mut out = String::new();
        let (mut depth, mut quoted, mut escaped) = (0_i32, false, false);
        for c in body.chars() {
            out.push(c);
            match c {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                '{' | '[' if !quoted => depth += 1,
                '}' | ']' if !quoted => depth -= 1,
                ',' if !quoted && depth == 1 => out.push('\n'),
                _ => {}
            }
        }
        out
    }

    #[test]
    fn a_snapshot_survives_the_store() {
        for (name, notice, _) in samples::all() {
            let again = Notice::from_snapshot(&notice.to_snapshot()).expect("our own text");
            assert_eq!(again, notice, "{name}");
        }
    }

    #[test]
    fn a_body_is_cut_in_order_and_never_too_large() {
        let mut notice = samples::opened();
        notice.evidence = vec![notice.evidence[0].clone(); 1_000];
        let body: serde_json::Value =
            serde_json::from_slice(&json(&notice, &samples::attempt())).expect("JSON");
        assert_eq!(body["evidence"].as_array().map(Vec::len), Some(4), "evidence goes first");
        assert!(body["text"].as_str().is_some_and(|text| text.contains('\n')), "the text is whole");

        if let Some(monitor) = &mut notice.monitor {
            monitor.tags = (0..10_000).map(|i| (format!("tag{i}"), "x".repeat(20))).collect();
            monitor.name = "n".repeat(100_000);
        }
        let bytes = json(&notice, &samples::attempt());
        assert!(bytes.len() <= LARGEST, "{}", bytes.len());
        let body: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
        assert_eq!(body["error_status"], "tcp_refused");
        assert!(body["title"].as_str().is_some_and(|title| title.starts_with("Down: nnn")));
    }

    #[test]
    fn the_documented_body_has_exactly_these_fields() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/channels/webhook.md");
        let page = std::fs::read_to_string(path).expect("the page exists");
        let example =
            page.split("```json").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
        let documented: serde_json::Value = serde_json::from_str(example).expect("the example is JSON");
        let real: serde_json::Value =
            serde_json::from_slice(&json(&samples::opened(), &samples::attempt())).expect("JSON");
        assert_eq!(shape(&documented), shape(&real));
    }

    /// The names of all fields, nested ones by path.
    fn shape(value: &serde_json::Value) -> Vec<String> {
        match value {
            serde_json::Value::Object(map) => map
                .iter()
                .flat_map(|(name, value)| {
                    std::iter::once(name.clone())
                        .chain(shape(value).into_iter().map(move |path| format!("{name}.{path}")))
                })
                .collect(),
            serde_json::Value::Array(items) => items.first().map(shape).unwrap_or_default(),
            serde_json::Value::Null
            | serde_json::Value::Bool(_)
            | serde_json::Value::Number(_)
            | serde_json::Value::String(_) => Vec::new(),
        }
    }

    #[test]
    fn what_only_the_store_needs_is_not_shown() {
        let mut notice = samples::opened();
        notice.told = vec![quaywatch_core::ChannelId(7)];
        assert!(!String::from_utf8_lossy(&json(&notice, &samples::attempt())).contains("told"));
    }
}
