//! From a judge's commands to rows: intervals, incidents, events, evidence, notices, states. Nothing is added that the
//! judge did not decide.

use quaywatch_core::judge::{CloseReason, Command, JUDGE_VERSION, Severity, Status};
use quaywatch_core::{ChannelId, ErrorCode, Evidence, IncidentId, LocationId, MonitorId, Timestamp};
use quaywatch_notify::EventKind;
use quaywatch_store::records::{
    EventRecord, EvidenceRecord, IncidentRecord, IntervalWrite, OutboxWrite, StateWrite,
};

use super::snapshot::Happening;
use super::{Judging, schedule};
use crate::entry::{Case, Entry, Failing, Open};
use crate::envelope::{self, Extras};
use crate::proof::Proof;

/// A failed check's place, slot, code and proof.
pub(super) type Failure = (LocationId, Timestamp, ErrorCode, Box<Evidence>);

/// What is carried along while one judge's commands are carried out.
struct Moment {
    /// The monitor's status before.
    before: Status,
    /// Of the deciding check.
    latency_us: Option<u32>,
    /// The incident's record changed.
    touched: bool,
    /// Something was decided that must be durable soon.
    decided: bool,
}

impl Judging {
    /// Everything that is not "it answered well, as before".
    pub(super) fn unsteady(
        &mut self,
        id: MonitorId,
        before: Status,
        latency_us: Option<u32>,
        failure: Option<Failure>,
        dirty: bool,
    ) {
        let Some(mut entry) = self.entries.take(id) else { return };
        match failure {
            Some(failure) => self.note_failure(&mut entry, failure),
            None if latency_us.is_some() => note_success(&mut entry),
            None => {}
        }
        let mut moment = Moment { before, latency_us, touched: false, decided: false };
        let mut commands = std::mem::take(&mut self.commands);
        for command in commands.drain(..) {
            self.carry_out(&mut entry, &command, &mut moment);
        }
        self.commands = commands;
        if moment.touched
            && let Some(open) = entry.case.as_ref().and_then(|case| case.open.as_ref())
        {
            self.steps.decide(id.shard()).incidents.push(open.record.clone());
        }
        if moment.decided {
            entry.lazy = false;
            self.steps.decide(id.shard()).states.push(state(&entry));
        } else if dirty && !entry.lazy {
            entry.lazy = true;
            self.lazy.push(id);
        }
        self.cases.put_back_if_empty(&mut entry.case);
        schedule(&mut entry, &mut self.deadlines);
        self.entries.put(entry);
    }

    fn carry_out(&mut self, entry: &mut Entry, command: &Command, moment: &mut Moment) {
        let monitor = entry.card.id;
        match *command {
            Command::Changed { .. } => self.stats.transitions.inc(),
            Command::IntervalOpened { from, status, code, incident } => {
                let incident = incident.and_then(|ordinal| open(entry, ordinal)).map(|open| open.record.id);
                let write = IntervalWrite::Open { monitor, from, status, code, incident };
                self.steps.decide(monitor.shard()).intervals.push(write);
                moment.decided = true;
            }
            Command::IntervalClosed { to } => {
                self.steps.decide(monitor.shard()).intervals.push(IntervalWrite::Close { monitor, to });
                moment.decided = true;
            }
            Command::IncidentOpened {
                ordinal,
                severity,
                status,
                started_at,
                code,
                never_up,
                failed_checks,
            } => {
                let record = IncidentRecord {
                    id: IncidentId::new(u64::try_from(self.now.millis()).unwrap_or(0), self.rng.ten_bytes()),
                    account: entry.card.account,
                    monitor,
                    ordinal,
                    severity,
                    opening_code: code,
                    code,
                    started_at,
                    confirmed_at: self.now,
                    ended_at: None,
                    close_reason: None,
                    failed_checks,
                    next_sequence: 0,
                    judge_version: JUDGE_VERSION,
                    acknowledged: None,
                };
                self.open_incident(entry, Open { record, told: Vec::new(), status, never_up }, moment);
            }
            Command::IncidentUpdated { ordinal, severity, status, code, failed_checks } => {
                self.update(entry, ordinal, (severity, status, code, Some(failed_checks)), moment);
            }
            Command::IncidentSteady { ordinal, status, code } => {
                let severity = if status == Status::Down { Severity::Critical } else { Severity::Warning };
                self.update_as(
                    entry,
                    ordinal,
                    (severity, status, code, None),
                    Happening { steady: true, ..Happening::default() },
                    moment,
                );
            }
            Command::IncidentFlapping { ordinal, changes, status } => {
                let Some(open) = open_mut(entry, ordinal) else { return };
                let previous = std::mem::replace(&mut open.status, status);
                let happening = Happening { changes, ..Happening::of(status, previous) };
                self.tell(entry, EventKind::IncidentFlapping, happening, moment);
            }
            Command::IncidentClosed { ordinal, reason, ended_at, failed_checks } => {
                self.close_incident(entry, ordinal, (reason, ended_at, failed_checks), moment);
            }
            Command::Recheck { location, at } => {
                if location == LocationId::LOCAL {
                    self.rechecks.push((monitor, at));
                }
            }
        }
    }

    fn open_incident(&mut self, entry: &mut Entry, open: Open, moment: &mut Moment) {
        self.stats.incidents_opened.inc();
        self.stats.incidents_open.add(1);
        entry.ordinal = open.record.ordinal;
        let happening =
            Happening { latency_us: moment.latency_us, ..Happening::of(open.status, moment.before) };
        entry.case.get_or_insert_with(|| self.cases.take()).open = Some(open);
        self.store_last_evidence(entry);
        self.tell(entry, EventKind::IncidentOpened, happening, moment);
    }

    fn update(
        &mut self,
        entry: &mut Entry,
        ordinal: u32,
        change: (Severity, Status, ErrorCode, Option<u32>),
        moment: &mut Moment,
    ) {
        let happening = Happening { latency_us: moment.latency_us, ..Happening::default() };
        self.update_as(entry, ordinal, change, happening, moment);
    }

    fn update_as(
        &mut self,
        entry: &mut Entry,
        ordinal: u32,
        (severity, status, code, failed_checks): (Severity, Status, ErrorCode, Option<u32>),
        happening: Happening,
        moment: &mut Moment,
    ) {
        let Some(open) = open_mut(entry, ordinal) else { return };
        open.record.severity = severity;
        open.record.code = code;
        open.record.failed_checks = failed_checks.unwrap_or(open.record.failed_checks);
        let previous = std::mem::replace(&mut open.status, status);
        let happening = Happening { status, previous, ..happening };
        self.tell(entry, EventKind::IncidentUpdated, happening, moment);
    }

    fn close_incident(
        &mut self,
        entry: &mut Entry,
        ordinal: u32,
        (reason, ended_at, failed_checks): (CloseReason, Timestamp, u32),
        moment: &mut Moment,
    ) {
        let status = entry.judge.status();
        let Some(open) = open_mut(entry, ordinal) else { return };
        open.record.failed_checks = failed_checks;
        self.end_incident(entry, (reason, ended_at));
        if status == Status::Up || reason != CloseReason::Recovered {
            entry.case.iter_mut().for_each(|case| case.failing.clear());
        }
        // The record was written with its end; another incident may open in the same breath.
        moment.touched = false;
        moment.decided = true;
    }

    /// Ends the open incident and tells whoever was told of it.
    pub(super) fn end_incident(&mut self, entry: &mut Entry, (reason, ended_at): (CloseReason, Timestamp)) {
        let status = entry.judge.status();
        let Some(open) = entry.case.as_mut().and_then(|case| case.open.as_mut()) else { return };
        // Between the two the clock may have been set back.
        open.record.ended_at = Some(ended_at.max(open.record.started_at));
        open.record.close_reason = Some(reason);
        let previous = open.status;
        self.store_last_evidence(entry);
        let mut moment = Moment { before: previous, latency_us: None, touched: false, decided: false };
        self.tell(entry, EventKind::IncidentClosed, Happening::of(status, previous), &mut moment);
        self.stats.incidents_open.add(-1);
        if let Some(case) = &mut entry.case
            && let Some(open) = case.open.take()
        {
            self.steps.decide(entry.card.id.shard()).incidents.push(open.record);
        }
    }

    /// Writes an event of the open incident, and a notice of it to every channel that is to hear it.
    fn tell(&mut self, entry: &mut Entry, kind: EventKind, happening: Happening, moment: &mut Moment) {
        // A dead resolver blinds a thousand monitors: the server tells that, once; each only records it.
        let quiet = kind != EventKind::IncidentClosed && is_of_the_place(entry);
        let recipients = if quiet { Vec::new() } else { self.recipients(entry, kind) };
        let Some(open) = entry.case.as_mut().and_then(|case| case.open.as_mut()) else { return };
        let sequence = open.record.next_sequence;
        open.record.next_sequence += 1;
        let incident = open.record.id;
        if !quiet {
            open.told.clone_from(&recipients);
        }
        let told = open.told.clone();
        let mut notice = self.words.of_incident(entry, kind, (sequence, self.now), happening);
        notice.told = told;
        let step = self.steps.decide(entry.card.id.shard());
        step.events.push(EventRecord {
            incident,
            sequence,
            at: self.now,
            kind: kind.as_str().to_owned(),
            snapshot: notice.to_snapshot(),
        });
        let due = self.now;
        step.outbox.extend(recipients.into_iter().map(|channel| OutboxWrite {
            incident,
            sequence,
            channel,
            due,
        }));
        moment.touched = true;
        moment.decided = true;
    }

    /// Whoever was told of an incident is told everything about it; others that the monitor names by now join in,
    /// but hear no end of what they never heard of.
    fn recipients(&self, entry: &Entry, kind: EventKind) -> Vec<ChannelId> {
        let told = entry.case.as_ref().and_then(|case| case.open.as_ref()).map(|open| open.told.as_slice());
        let mut recipients = told.unwrap_or_default().to_vec();
        recipients.retain(|channel| self.routes.exists(*channel));
        if kind != EventKind::IncidentClosed && entry.card.alerts {
            for channel in self.routes.channels(entry.card.route).iter() {
                if !recipients.contains(channel) {
                    recipients.push(*channel);
                }
            }
        }
        recipients
    }

    /// Keeps the proof of a failure; stores it only where it tells something new. A location that is known to be blind
    /// proves nothing about the target.
    fn note_failure(&mut self, entry: &mut Entry, (location, slot, code, evidence): Failure) {
        if code.verdict() == quaywatch_core::Verdict::Unknown && self.blind.contains_key(&location) {
            return;
        }
        let monitor = entry.card.id;
        let case = entry.case.get_or_insert_with(|| self.cases.take());
        let known = case.failing.iter().position(|failing| failing.location == location);
        let repeated = known.is_some_and(|at| {
            let last = &case.failing[at];
            last.code == code && last.proof.tells_the_same_as(&evidence)
        });
        if repeated {
            self.stats.evidence_repeated.inc();
        } else {
            self.stats.evidence_stored.inc();
            let incident = case.open.as_ref().map(|open| open.record.id);
            let evidence = Evidence::clone(&evidence);
            let record = EvidenceRecord { monitor, location, slot, code, incident, evidence };
            self.steps.quietly(monitor.shard()).evidence.push(record);
        }
        let failing = Failing { location, slot, code, proof: Proof::pack(evidence), stored: !repeated };
        match known {
            Some(at) => case.failing[at] = failing,
            None => case.failing.push(failing),
        }
    }

    /// The first and the last proof of an incident are stored always.
    fn store_last_evidence(&mut self, entry: &mut Entry) {
        let monitor = entry.card.id;
        let Some(case) = &mut entry.case else { return };
        let incident = case.open.as_ref().map(|open| open.record.id);
        for failing in case.failing.iter_mut().filter(|failing| !failing.stored) {
            failing.stored = true;
            self.stats.evidence_stored.inc();
            self.steps.quietly(monitor.shard()).evidence.push(EvidenceRecord {
                monitor,
                location: failing.location,
                slot: failing.slot,
                code: failing.code,
                incident,
                evidence: failing.proof.evidence(),
            });
        }
    }
}

/// A good check ends what was not confirmed; the proof of an open incident is kept until it closes.
fn note_success(entry: &mut Entry) {
    if let Some(case) = &mut entry.case
        && case.open.is_none()
        && !entry.judge.is_suspect()
    {
        case.failing.clear();
    }
}

/// Whether its open incident is only that the whole place cannot see it.
fn is_of_the_place(entry: &Entry) -> bool {
    let open = entry.case.as_ref().and_then(|case| case.open.as_ref());
    open.is_some_and(|open| open.record.severity == Severity::Warning && open.record.code.is_of_the_place())
}

fn open(entry: &Entry, ordinal: u32) -> Option<&Open> {
    entry.case.as_ref()?.open.as_ref().filter(|open| open.record.ordinal == ordinal)
}

fn open_mut(entry: &mut Entry, ordinal: u32) -> Option<&mut Open> {
    let monitor = entry.card.id;
    let open = entry
        .case
        .as_mut()
        .and_then(|case: &mut Box<Case>| case.open.as_mut())
        .filter(|open| open.record.ordinal == ordinal);
    if open.is_none() {
        tracing::error!(%monitor, ordinal, "the judge speaks of an incident that is not open");
    }
    open
}

/// The state as it is stored.
pub(super) fn state(entry: &Entry) -> StateWrite {
    let told = entry.case.as_ref().and_then(|case| case.open.as_ref()).map(|open| open.told.clone());
    // In a state that is written while all is well, the last good answer would be out of date when it is read.
    let failing = entry.case.is_some();
    let extras = Extras {
        revision: entry.card.revision,
        identity: entry.card.identity,
        ordinal: entry.ordinal,
        last_ok_at: if failing { entry.last_ok_at } else { Timestamp(0) },
        last_ok_us: if failing { entry.last_ok_us } else { 0 },
        told: told.unwrap_or_default(),
    };
    StateWrite {
        monitor: entry.card.id,
        status: entry.judge.status(),
        since: entry.judge.since(),
        code: entry.judge.code(),
        state: Some(envelope::seal(&entry.judge, &extras)),
    }
}
