//! What people say about incidents, as events in their sequence; and who may ask for a check out of turn.

use std::collections::HashMap;
use std::time::Duration;

use quaywatch_core::{ChannelId, IncidentId, LocationId, MonitorId, Timestamp};
use quaywatch_notify::notice::SaidWords;
use quaywatch_notify::{EventKind, Notice};
use quaywatch_store::records::{Acknowledged, ActWrite, Author, EventRecord, IncidentRecord, OutboxWrite};

use super::Judging;
use super::snapshot::Happening;
use crate::acts::{By, NotNow};

/// A monitor is checked out of turn at most this often.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// So many who asked are remembered before those that are long past are forgotten.
const ASKED_REMEMBERED: usize = 1_024;

/// What somebody says about an incident that is open.
pub(crate) struct Saying {
    pub(crate) monitor: MonitorId,
    pub(crate) incident: IncidentId,
    pub(crate) by: By,
    pub(crate) words: Words,
}

pub(crate) enum Words {
    Acknowledges(Option<String>),
    Comments(String),
}

/// What somebody writes about an incident that is over.
pub(crate) struct Afterword {
    pub(crate) record: IncidentRecord,
    /// Its last event so far.
    pub(crate) last: Notice,
    pub(crate) by: By,
    pub(crate) text: String,
}

/// Why nothing was said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The engine holds no such incident: it is over, or of nobody.
    NotOpen,
    AlreadyAcknowledged(Acknowledged),
}

/// Which monitors were asked for out of turn, and when last.
#[derive(Default)]
pub(super) struct Asked(HashMap<MonitorId, Timestamp>);

impl Asked {
    fn ask(&mut self, monitor: MonitorId, now: Timestamp) -> Result<(), NotNow> {
        if let Some(last) = self.0.get(&monitor) {
            let left = ASK_EVERY.saturating_sub(now.since(*last));
            if !left.is_zero() {
                return Err(NotNow::TooSoon(left));
            }
        }
        if self.0.len() >= ASKED_REMEMBERED {
            self.0.retain(|_, last| now.since(*last) < ASK_EVERY);
        }
        self.0.insert(monitor, now);
        Ok(())
    }
}

impl Judging {
    /// Whether a person may have this monitor checked now; the moment from which its slot counts as the answer.
    pub(crate) fn may_check_now(&mut self, id: MonitorId) -> Result<Timestamp, NotNow> {
        let entry = self.entries.get(id).ok_or(NotNow::Unknown)?;
        if entry.card.paused {
            return Err(NotNow::Paused);
        }
        if !entry.policy.locations.contains(&LocationId::LOCAL) {
            return Err(NotNow::Elsewhere);
        }
        self.asked.ask(id, self.now)?;
        // Slots are whole milliseconds, and none that has begun is the answer.
        Ok(Timestamp::from_millis(self.now.millis() + 1))
    }

    /// Writes what somebody says about an open incident, and tells whoever was told of it.
    pub(crate) fn say(&mut self, saying: Saying) -> Result<EventRecord, Refused> {
        let Saying { monitor, incident, by, words } = saying;
        let now = self.now;
        let entry = self.entries.get_mut(monitor).ok_or(Refused::NotOpen)?;
        let open = entry.case.as_mut().and_then(|case| case.open.as_mut());
        let open = open.filter(|open| open.record.id == incident).ok_or(Refused::NotOpen)?;
        let (kind, text) = match words {
            Words::Acknowledges(note) => {
                if let Some(before) = &open.record.acknowledged {
                    return Err(Refused::AlreadyAcknowledged((**before).clone()));
                }
                open.record.acknowledged = Some(Box::new(Acknowledged { at: now, by: by.name.clone() }));
                (EventKind::IncidentAcknowledged, note)
            }
            Words::Comments(text) => (EventKind::IncidentCommented, Some(text)),
        };
        let sequence = open.record.next_sequence;
        open.record.next_sequence += 1;
        let (status, told, record) = (open.status, open.told.clone(), open.record.clone());
        let Some(entry) = self.entries.get(monitor) else { return Err(Refused::NotOpen) };
        let mut notice = self.words.of_incident(entry, kind, (sequence, now), Happening::of(status, status));
        // The proof stands in the events that it decided.
        notice.evidence.clear();
        notice.said = Some(SaidWords { by: by.name, text });
        notice.told = told;
        Ok(self.write_words(by.author, record, &notice))
    }

    /// Writes what somebody says about an incident that is over: everything else is as it was at its end.
    pub(crate) fn say_after(&mut self, afterword: Afterword) -> EventRecord {
        let Afterword { mut record, last, by, text } = afterword;
        let sequence = record.next_sequence.max(last.sequence + 1);
        record.next_sequence = sequence + 1;
        let mut notice = last;
        notice.kind = EventKind::IncidentCommented;
        notice.sequence = sequence;
        notice.timestamp = self.now;
        notice.previous_status = notice.status;
        notice.evidence.clear();
        notice.said = Some(SaidWords { by: by.name, text: Some(text) });
        self.write_words(by.author, record, &notice)
    }

    /// Event, notices, record and the row of the audit log in one step: what was said and who said it are durable
    /// together.
    fn write_words(&mut self, author: Author, record: IncidentRecord, notice: &Notice) -> EventRecord {
        let (incident, sequence, due) = (record.id, notice.sequence, self.now);
        let heard: Vec<ChannelId> =
            notice.told.iter().copied().filter(|channel| self.routes.exists(*channel)).collect();
        let event = EventRecord {
            incident,
            sequence,
            at: due,
            kind: notice.kind.as_str().to_owned(),
            snapshot: notice.to_snapshot(),
        };
        let words = notice.said.as_ref().and_then(|said| said.text.as_deref());
        let act = ActWrite {
            incident,
            sequence,
            action: notice.kind.as_str(),
            monitor: record.monitor,
            detail: words.map_or_else(|| incident.to_string(), |words| format!("{incident}: {words}")),
            author,
        };
        let step = self.steps.decide(record.monitor.shard());
        step.events.push(event.clone());
        step.acts.push(act);
        step.outbox.extend(heard.into_iter().map(|channel| OutboxWrite { incident, sequence, channel, due }));
        step.incidents.push(record);
        event
    }
}
