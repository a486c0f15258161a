//! What must hold after any number of kills. Every rule looks at what was really told (the sinks), what is remembered
//! (the store) and what really happened (the targets), and says in a sentence where they part.

use std::collections::BTreeMap;

use quaywatch_core::judge::{CloseReason, Severity};
use quaywatch_core::{DeliveryKey, Timestamp};
use quaywatch_testkit::sink::Received;
use serde_json::Value;

use super::Life;
use super::world::Past;
use crate::records::{Incident, Records, Watched};

/// An outage must be seen when target and server stood still for so long: the interval is a second, the retry a
/// quarter, and a machine that also builds may be late.
const MUST_BE_SEEN: std::time::Duration = std::time::Duration::from_secs(4);

/// Everything that is compared.
pub(super) struct Case<'a> {
    pub(super) records: &'a Records,
    /// By name of the channel.
    pub(super) sinks: &'a [(&'a str, Vec<Received>)],
    /// Of the targets, in order of the monitors' names `t0`, `t1` …
    pub(super) pasts: &'a [Past],
    pub(super) lives: &'a [Life],
}

/// What was counted on the way.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) incidents: usize,
    pub(super) notices: usize,
    pub(super) requests: usize,
    pub(super) repeats: usize,
    pub(super) taken_twice: usize,
    pub(super) seen_outages: usize,
}

impl Case<'_> {
    /// All figures, or every sentence that does not hold.
    pub(super) fn judge(&self) -> Result<Figures, Vec<String>> {
        let mut figures = Figures::default();
        let mut broken = Vec::new();
        for (number, past) in self.pasts.iter().enumerate() {
            match self.records.of(&format!("t{number}")) {
                Ok(watched) => self.monitor(watched, past, &mut figures, &mut broken),
                Err(error) => broken.push(error),
            }
        }
        for (name, received) in self.sinks {
            self.channel(name, received, &mut figures, &mut broken);
        }
        for left in &self.records.undelivered {
            broken.push(format!("{} {} was never delivered", left.event.incident, left.event.kind));
        }
        if broken.is_empty() { Ok(figures) } else { Err(broken) }
    }

    fn monitor(&self, watched: &Watched, past: &Past, figures: &mut Figures, broken: &mut Vec<String>) {
        figures.incidents += watched.incidents.len();
        let name = &watched.monitor.name;
        for (incident, ordinal) in watched.incidents.iter().zip(1..) {
            if incident.record.ordinal != ordinal {
                broken.push(format!("{name}: incident {ordinal} has number {}", incident.record.ordinal));
            }
            broken.extend(
                told_whole(incident)
                    .into_iter()
                    .chain(true_to(past, incident))
                    .map(|e| format!("{name}: {e}")),
            );
        }
        for two in watched.incidents.windows(2) {
            let (first, second) = (&two[0].record, &two[1].record);
            if first.ended_at.is_none_or(|end| end > second.started_at) {
                broken.push(format!("{name}: {} began before {} ended", second.id, first.id));
            }
        }
        self.outages(watched, past, figures, broken);
    }

    /// Each outage during which the server lived long enough has an incident.
    fn outages(&self, watched: &Watched, past: &Past, figures: &mut Figures, broken: &mut Vec<String>) {
        for closed in &past.0 {
            let (from, to) = (closed.from.after, closed.to.map_or(Timestamp(i64::MAX), |to| to.before));
            let watched_for = |life: &&Life| life.killed.min(to).since(life.ready.max(from));
            if !self.lives.iter().any(|life| watched_for(&life) >= MUST_BE_SEEN) {
                continue;
            }
            figures.seen_outages += 1;
            let overlaps = |incident: &Incident| {
                incident.record.started_at <= to && incident.record.ended_at.is_none_or(|end| end >= from)
            };
            if !watched.incidents.iter().any(overlaps) {
                broken.push(format!("{}: the outage from {from} to {to} was missed", watched.monitor.name));
            }
        }
    }

    /// What one channel's receiver has seen is what the store says it was told.
    fn channel(&self, name: &str, received: &[Received], figures: &mut Figures, broken: &mut Vec<String>) {
        let Some(channel) = self.records.channels.iter().find(|channel| channel.name == name) else {
            return broken.push(format!("the store has no channel {name}"));
        };
        let mut by_key: BTreeMap<&str, Vec<&Received>> = BTreeMap::new();
        for request in received {
            by_key.entry(request.id()).or_default().push(request);
        }
        figures.requests += received.len();
        figures.repeats += received.len() - by_key.len();
        figures.taken_twice +=
            by_key.values().filter(|all| all.iter().filter(|r| r.taken).count() > 1).count();
        for (key, all) in &by_key {
            broken.extend(same_notice(key, all).map(|error| format!("{name}: {error}")));
        }
        let mut expected = 0;
        for watched in &self.records.monitors {
            for incident in &watched.incidents {
                expected += incident.events.len();
                let key = |sequence| {
                    DeliveryKey { incident: incident.record.id, sequence, channel: channel.id }.to_string()
                };
                for error in in_order(incident, key, &by_key) {
                    broken.push(format!("{name}: {}: {error}", watched.monitor.name));
                }
            }
        }
        figures.notices += expected;
        // Notices about the other channel belong to no incident of a monitor.
        let told = by_key.values().filter(|all| is_of_an_incident(all[0])).count();
        if told > expected {
            broken.push(format!("{name} was told {told} things, and the store knows of {expected}"));
        }
    }
}

fn is_of_an_incident(request: &Received) -> bool {
    request.json()["type"].as_str().is_some_and(|kind| kind.starts_with("incident."))
}

/// An incident is whole: events from 0 without gaps, opened first and once, closed last and once.
fn told_whole(incident: &Incident) -> Vec<String> {
    let record = &incident.record;
    let id = record.id;
    let mut broken = Vec::new();
    let sequences: Vec<u32> = incident.events.iter().map(|event| event.sequence).collect();
    if sequences != (0..record.next_sequence).collect::<Vec<_>>() {
        broken.push(format!("{id} has events {sequences:?} of {}", record.next_sequence));
    }
    let kinds: Vec<&str> = incident.events.iter().map(|event| event.kind.as_str()).collect();
    let times = |wanted: &str| kinds.iter().filter(|kind| **kind == wanted).count();
    if kinds.first() != Some(&"incident.opened") || times("incident.opened") != 1 {
        broken.push(format!("{id} does not begin with its one opening: {kinds:?}"));
    }
    if kinds.last() != Some(&"incident.closed") || times("incident.closed") != 1 {
        broken.push(format!("{id} does not end with its one closing: {kinds:?}"));
    }
    if incident.events.windows(2).any(|two| two[0].at > two[1].at) {
        broken.push(format!("{id}: an event is older than the one before it"));
    }
    if record.close_reason != Some(CloseReason::Recovered) {
        broken.push(format!("{id} is closed as {:?}, and its target only came back", record.close_reason));
    }
    if record.severity != Severity::Critical {
        broken.push(format!("{id} is of severity {:?}", record.severity));
    }
    broken
}

/// An incident agrees with what its target did.
fn true_to(past: &Past, incident: &Incident) -> Vec<String> {
    let record = &incident.record;
    let mut broken = Vec::new();
    if record.started_at > record.confirmed_at || record.ended_at.is_some_and(|end| end < record.started_at) {
        let (from, to) = (record.started_at, record.ended_at);
        broken.push(format!("{} lasts from {from}, confirmed {}, to {to:?}", record.id, record.confirmed_at));
    }
    if !past.closed_within(record.started_at, record.confirmed_at) {
        broken.push(format!(
            "false alarm: {} from {} was confirmed {} ({}), and its target was open all the time",
            record.id, record.started_at, record.confirmed_at, record.opening_code
        ));
    }
    let told = incident.events.last().map(|event| event.at);
    if let (Some(ended), Some(told)) = (record.ended_at, told)
        && !past.open_within(ended, told.max(ended))
    {
        broken.push(format!(
            "{} ended {ended}, told {told}, and its target was closed all the time",
            record.id
        ));
    }
    broken
}

/// Requests under one key carry one notice.
fn same_notice(key: &str, all: &[&Received]) -> Option<String> {
    let first = all[0].json();
    if first["id"] != key {
        return Some(format!("header {key} and body {} name different notices", first["id"]));
    }
    // What is said of the other channel's trouble may be said again with newer figures, when a restart finds it
    // still failing; the key says that it is the same trouble.
    if !is_of_an_incident(all[0]) {
        return None;
    }
    let differs = all.iter().find(|request| {
        let (one, other) = (but_for_the_attempt(first.clone()), but_for_the_attempt(request.json()));
        one != other
    })?;
    Some(format!("{key} came with two bodies:\n    {first}\n    {}", differs.json()))
}

/// The notice without what says how late this attempt is.
fn but_for_the_attempt(mut body: Value) -> Value {
    if let Some(fields) = body.as_object_mut() {
        for field in ["late", "title", "text"] {
            fields.remove(field);
        }
    }
    body
}

/// All events of an incident were taken, each as what it is, and none was sent before the one before it was taken.
fn in_order(
    incident: &Incident,
    key: impl Fn(u32) -> String,
    by_key: &BTreeMap<&str, Vec<&Received>>,
) -> Vec<String> {
    let mut broken = Vec::new();
    let mut taken_before = None;
    for event in &incident.events {
        let key = key(event.sequence);
        let all = by_key.get(key.as_str()).map_or(&[][..], Vec::as_slice);
        let Some(taken) = all.iter().find(|request| request.taken) else {
            broken.push(format!("lost: {key} ({}) was never taken", event.kind));
            continue;
        };
        let body = taken.json();
        if body["type"] != event.kind.as_str() || body["sequence"] != event.sequence {
            broken.push(format!("{key} is {} and was told as {}", event.kind, body["type"]));
        }
        if body["incident"]["id"] != incident.record.id.to_string() {
            broken.push(format!("{key} names incident {}", body["incident"]["id"]));
        }
        if taken_before.is_some_and(|before| all[0].at < before) {
            broken.push(format!("{key} was sent before the event before it was taken"));
        }
        taken_before = Some(taken.at);
    }
    broken
}

#[cfg(test)]
mod tests {
    use quaywatch_core::judge::Status;
    use quaywatch_core::{AccountId, ChannelId, ErrorCode, IncidentId, MonitorId};
    use quaywatch_store::records::{ChannelRecord, EventRecord, IncidentRecord, MonitorRecord, Owner};
    use serde_json::json;

    use super::super::world::{Around, Closed};
    use super::*;

    struct Told {
        records: Records,
        sinks: Vec<(&'static str, Vec<Received>)>,
        pasts: Vec<Past>,
        lives: Vec<Life>,
    }

    const fn at(second: i64) -> Timestamp {
        Timestamp::from_secs(second)
    }

    fn id(number: u8) -> IncidentId {
        IncidentId::new(u64::from(number), [number; 10])
    }

    fn incident(number: u8, from: i64, to: i64) -> Incident {
        let event = |sequence, second, kind: &str| EventRecord {
            incident: id(number),
            sequence,
            at: at(second),
            kind: kind.to_owned(),
            snapshot: String::new(),
        };
        Incident {
            record: IncidentRecord {
                id: id(number),
                account: AccountId::DEFAULT,
                monitor: MonitorId(1),
                ordinal: u32::from(number),
                severity: Severity::Critical,
                opening_code: ErrorCode::TcpRefused,
                code: ErrorCode::TcpRefused,
                started_at: at(from),
                confirmed_at: at(from + 1),
                ended_at: Some(at(to)),
                close_reason: Some(CloseReason::Recovered),
                failed_checks: 2,
                next_sequence: 2,
                judge_version: 1,
                acknowledged: None,
            },
            events: vec![event(0, from + 1, "incident.opened"), event(1, to, "incident.closed")],
        }
    }

    fn request(second: i64, number: u8, sequence: u32, kind: &str) -> Received {
        let key = format!("{}-{sequence}-ch1", id(number));
        let body = json!({"id": key, "type": kind, "sequence": sequence, "text": format!("at {second}"),
            "incident": {"id": id(number).to_string()}});
        Received {
            at: at(second),
            path: "/".to_owned(),
            headers: [("webhook-id".to_owned(), key)].into(),
            body: body.to_string().into_bytes(),
            taken: true,
        }
    }

    /// Two outages of one target, from 10 to 20 and from 30 to 40 s, both told.
    fn told() -> Told {
        let around = |second| Around { before: at(second), after: at(second) };
        let closed = |from, to| Closed { from: around(from), to: Some(around(to)) };
        let watched = Watched {
            monitor: MonitorRecord {
                id: MonitorId(1),
                account: AccountId::DEFAULT,
                owner: Owner::File,
                key: "t0".to_owned(),
                name: "t0".to_owned(),
                revision: 1,
                spec: String::new(),
                paused: false,
                created_at: at(0),
            },
            status: Status::Up,
            incidents: vec![incident(1, 11, 20), incident(2, 31, 40)],
            intervals: Vec::new(),
            results: Vec::new(),
        };
        let channel = ChannelRecord {
            id: ChannelId(1),
            account: AccountId::DEFAULT,
            owner: Owner::File,
            key: "ops".to_owned(),
            name: "ops".to_owned(),
            kind: "webhook".to_owned(),
            settings: String::new(),
            revision: 1,
        };
        let requests = vec![
            request(13, 1, 0, "incident.opened"),
            request(21, 1, 1, "incident.closed"),
            request(33, 2, 0, "incident.opened"),
            request(41, 2, 1, "incident.closed"),
        ];
        Told {
            records: Records { monitors: vec![watched], channels: vec![channel], ..Records::default() },
            sinks: vec![("ops", requests)],
            pasts: vec![Past(vec![closed(10, 20), closed(30, 40)])],
            lives: vec![Life { ready: at(0), killed: at(50) }],
        }
    }

    /// What is said of a world that was changed.
    fn after(change: impl FnOnce(&mut Told)) -> String {
        let mut told = told();
        change(&mut told);
        let Told { records, sinks, pasts, lives } = &told;
        Case { records, sinks, pasts, lives }.judge().err().unwrap_or_default().join("; ")
    }

    #[test]
    fn what_is_whole_passes_and_is_counted() {
        let Told { records, sinks, pasts, lives } = &told();
        let figures = Case { records, sinks, pasts, lives }.judge().expect("all holds");
        assert_eq!((figures.incidents, figures.notices, figures.requests, figures.repeats), (2, 4, 4, 0));
        assert_eq!(figures.seen_outages, 2);
    }

    #[test]
    fn what_is_lost_is_found() {
        assert!(after(|told| drop(told.sinks[0].1.remove(1))).contains("was never taken"));
        assert!(after(|told| told.sinks[0].1[1].taken = false).contains("was never taken"));
        let missed = after(|told| {
            told.records.monitors[0].incidents.pop();
            told.sinks[0].1.truncate(2);
        });
        assert!(missed.contains("was missed"), "{missed}");
        assert!(
            after(|told| drop(told.records.monitors[0].incidents.pop())).contains("the store knows of 2")
        );
        assert!(
            after(|told| drop(told.records.monitors[0].incidents[0].events.pop()))
                .contains("has events [0] of 2")
        );
    }

    #[test]
    fn what_is_told_twice_is_found_only_under_two_keys() {
        assert_eq!(after(|told| told.sinks[0].1.insert(1, request(14, 1, 0, "incident.opened"))), "");
        let two_keys = after(|told| told.sinks[0].1.push(request(50, 3, 0, "incident.opened")));
        assert!(two_keys.contains("was told 5 things"), "{two_keys}");
        let mut other = request(14, 1, 0, "incident.opened");
        other.body = String::from_utf8_lossy(&other.body).replace("opened", "updated").into_bytes();
        let two_bodies = after(|told| told.sinks[0].1.insert(1, other));
        assert!(two_bodies.contains("came with two bodies"), "{two_bodies}");
        let early = after(|told| told.sinks[0].1.insert(0, request(12, 1, 1, "incident.closed")));
        assert!(early.contains("before the event before it"), "{early}");
    }

    #[test]
    fn what_is_untrue_is_found() {
        assert!(after(|told| told.pasts[0].0.truncate(1)).contains("false alarm"));
        assert!(after(|told| told.pasts[0].0[1].to = None).contains("closed all the time"));
        let overlap = after(|told| told.records.monitors[0].incidents[0].record.ended_at = Some(at(32)));
        assert!(overlap.contains("before") && overlap.contains("ended"), "{overlap}");
    }
}
