//! Going on where the last process stopped: judges, open incidents, and what changed while nobody looked.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::judge::{CloseReason, Command, Input, Judge, Policy, Status};
use quaywatch_core::spec::Host;
use quaywatch_core::{Epoch, Job, LocationId, MonitorId, MonitorSpec};
use quaywatch_notify::{EventKind, Notice};
use quaywatch_store::records::{
    EventRecord, IncidentRecord, IntervalWrite, MonitorRecord, OutboxWrite, ShardState, StateWrite,
};

use super::Judging;
use crate::entry::{Card, Entry, Open};
use crate::envelope::{self, Extras};

/// One shard as it was read from the store.
pub(crate) struct Loaded {
    pub(crate) state: ShardState,
    /// Open incidents of monitors that are gone.
    pub(crate) orphans: Vec<Orphan>,
    /// How long nobody looked.
    pub(crate) gap: Duration,
    /// The clock stands before the last commit: slots from then and from now cannot be compared.
    pub(crate) clock_behind: bool,
}

/// The policy of a monitor whose spec is gone.
fn nowhere() -> Policy {
    MonitorSpec::tcp("gone", Host::Name("gone.invalid".into()), 1).policy(|_| None)
}

/// An open incident of a monitor that was removed while the server was off.
pub(crate) struct Orphan {
    pub(crate) incident: IncidentRecord,
    /// What was told when it was opened, and to whom.
    pub(crate) opening: Option<Notice>,
}

impl Judging {
    /// Takes over a shard, and says what is to be checked.
    pub(crate) fn load(&mut self, loaded: Loaded) -> Vec<Job> {
        let ShardState { monitors, states, open_incidents } = loaded.state;
        if let Some(last) = monitors.iter().map(|record| record.id).max() {
            self.entries.reserve(last);
        }
        let mut states: HashMap<MonitorId, StateWrite> = states.into_iter().map(|s| (s.monitor, s)).collect();
        let mut incidents: HashMap<MonitorId, IncidentRecord> =
            open_incidents.into_iter().map(|incident| (incident.monitor, incident)).collect();
        let mut jobs = Vec::with_capacity(monitors.len());
        for record in monitors {
            let state = states.remove(&record.id).and_then(|state| state.state);
            let incident = incidents.remove(&record.id);
            let known = state.is_some();
            jobs.extend(self.take_up(&record, state, incident, loaded.gap));
            if known && loaded.clock_behind {
                self.input(record.id, Input::ClockStepped);
            }
        }
        self.bin.extend(states.into_iter().filter_map(|(id, state)| Some((id, state.state?))));
        for orphan in loaded.orphans {
            self.close_orphan(orphan);
        }
        self.stats.monitors.set(self.entries.len() as i64);
        jobs
    }

    fn take_up(
        &mut self,
        record: &MonitorRecord,
        state: Option<Vec<u8>>,
        incident: Option<IncidentRecord>,
        gap: Duration,
    ) -> Option<Job> {
        let spec = self.read_spec(record)?;
        let (policy, card) = (self.policy(&spec), self.card(record, &spec));
        let known = state.is_some();
        let (mut judge, extras) = self.revive(record.id, state, incident.as_ref());
        if known {
            judge.reckon(&policy, self.now - gap);
        }
        let mut entry = Entry::new(judge, policy, card);
        entry.ordinal = extras.ordinal;
        entry.last_ok_at = extras.last_ok_at;
        entry.last_ok_us = extras.last_ok_us;
        let stray = self.attach(&mut entry, incident, &extras);
        let (id, changed) = (record.id, known && extras.revision != record.revision);
        let reset = extras.identity != entry.card.identity;
        if known && reset {
            entry.begin_epoch();
        }
        self.entries.put(Box::new(entry));
        if let Some(stray) = stray {
            self.close_stray(id, stray);
        }
        if known {
            self.input(id, Input::Restarted { gap });
        }
        if changed {
            self.act(id, Input::Revised { reset });
        }
        self.follow_pause(id);
        if !known && let Some(entry) = self.entries.get_mut(id) {
            super::schedule(entry, &mut self.deadlines);
        }
        self.job(record, &spec)
    }

    /// The judge as stored, or a new one that goes on counting incidents.
    fn revive(
        &self,
        id: MonitorId,
        state: Option<Vec<u8>>,
        incident: Option<&IncidentRecord>,
    ) -> (Judge, Extras) {
        let seen = incident.map_or(0, |incident| incident.ordinal);
        let Some(bytes) = state else {
            return (Judge::with_ordinal(self.now, seen), Extras { ordinal: seen, ..Extras::default() });
        };
        let (judge, extras) = envelope::open(&bytes);
        let extras = extras.unwrap_or_default();
        let ordinal = extras.ordinal.max(seen);
        let judge = judge.unwrap_or_else(|error| {
            tracing::error!(monitor = %id, error, "a stored judge cannot be read; judging starts anew");
            Judge::with_ordinal(self.now, ordinal)
        });
        (judge, Extras { ordinal, ..extras })
    }

    /// Gives the entry its open incident; one that its judge knows nothing of is handed back.
    fn attach(
        &mut self,
        entry: &mut Entry,
        incident: Option<IncidentRecord>,
        extras: &Extras,
    ) -> Option<(IncidentRecord, Extras)> {
        let record = incident?;
        if entry.judge.open_incident() != Some(record.ordinal) {
            return Some((record, extras.clone()));
        }
        self.stats.incidents_open.add(1);
        let (status, never_up) = (entry.judge.status(), entry.judge.is_never_up());
        let open = Open { record, told: extras.told.clone(), status, never_up };
        entry.case.get_or_insert_with(|| self.cases.take()).open = Some(open);
        None
    }

    /// Ends an incident whose judge was lost: nobody else will.
    fn close_stray(&mut self, id: MonitorId, (record, extras): (IncidentRecord, Extras)) {
        let Some(mut entry) = self.entries.take(id) else { return };
        let told = extras.told;
        let open = Open { record, told, status: Status::Unknown, never_up: false };
        entry.case.get_or_insert_with(|| self.cases.take()).open = Some(open);
        self.entries.put(entry);
        self.close_by_hand(id, CloseReason::Superseded);
    }

    fn close_orphan(&mut self, orphan: Orphan) {
        let Orphan { incident: mut record, opening } = orphan;
        let (id, sequence, shard) = (record.id, record.next_sequence, record.monitor.shard());
        record.next_sequence += 1;
        record.ended_at = Some(self.now);
        record.close_reason = Some(CloseReason::Removed);
        let mut notice = opening.unwrap_or_else(|| {
            Notice::new(EventKind::IncidentClosed, sequence, self.now, self.words.server.clone())
        });
        notice.kind = EventKind::IncidentClosed;
        notice.sequence = sequence;
        notice.timestamp = self.now;
        notice.previous_status = notice.status.replace(Status::Paused);
        if let Some(words) = &mut notice.incident {
            words.ended_at = record.ended_at;
            words.close_reason = record.close_reason;
            words.duration_seconds.0 =
                Duration::from_millis(self.now.since(record.started_at).as_millis() as u64);
        }
        let recipients: Vec<_> =
            notice.told.iter().copied().filter(|channel| self.routes.exists(*channel)).collect();
        // As if it had been removed while we ran: should it come back, it is resumed.
        let mut judge = Judge::with_ordinal(self.now, record.ordinal);
        let mut stopped = Vec::new();
        judge.handle(&nowhere(), Input::Removed, self.now, &mut stopped);
        let extras = Extras { ordinal: record.ordinal, ..Extras::default() };
        let state = envelope::seal(&judge, &extras);
        self.bin.insert(record.monitor, state.clone());
        let (now, monitor) = (self.now, record.monitor);
        let step = self.steps.decide(shard);
        step.states.push(StateWrite {
            monitor,
            status: judge.status(),
            since: now,
            code: judge.code(),
            state: Some(state),
        });
        step.intervals.push(IntervalWrite::Close { monitor, to: now });
        step.intervals.extend(stopped.iter().filter_map(|command| match *command {
            Command::IntervalOpened { from, status, code, .. } => {
                Some(IntervalWrite::Open { monitor, from, status, code, incident: None })
            }
            Command::Changed { .. }
            | Command::IntervalClosed { .. }
            | Command::IncidentOpened { .. }
            | Command::IncidentUpdated { .. }
            | Command::IncidentFlapping { .. }
            | Command::IncidentSteady { .. }
            | Command::IncidentClosed { .. }
            | Command::Recheck { .. } => None,
        }));
        step.incidents.push(record);
        step.events.push(EventRecord {
            incident: id,
            sequence,
            at: now,
            kind: notice.kind.as_str().to_owned(),
            snapshot: notice.to_snapshot(),
        });
        let rows =
            recipients.into_iter().map(|channel| OutboxWrite { incident: id, sequence, channel, due: now });
        step.outbox.extend(rows);
    }

    pub(super) fn read_spec(&self, record: &MonitorRecord) -> Option<MonitorSpec> {
        MonitorSpec::from_canonical(&record.spec)
            .inspect_err(|error| {
                tracing::error!(monitor = %record.id, %error, "a stored monitor cannot be read and is not checked");
            })
            .ok()
    }

    pub(super) fn policy(&mut self, spec: &MonitorSpec) -> Arc<Policy> {
        let policy = spec.policy(|name| self.words.location_named(name));
        if let Some(known) = self.policies.get(&policy) {
            return Arc::clone(known);
        }
        let policy = Arc::new(policy);
        self.policies.insert(Arc::clone(&policy));
        policy
    }

    pub(super) fn card(&mut self, record: &MonitorRecord, spec: &MonitorSpec) -> Card {
        let route = self.routes.of(record.account, &spec.channels);
        Card::of(record, spec, route)
    }

    /// What the local runner does for this monitor, if anything.
    pub(super) fn job(&mut self, record: &MonitorRecord, spec: &MonitorSpec) -> Option<Job> {
        let entry = self.entries.get(record.id)?;
        let here = entry.policy.locations.contains(&LocationId::LOCAL) && !entry.card.paused;
        let epoch = Epoch::of(record.revision);
        here.then(|| Job { epoch, ..spec.job(record.id, record.account, &mut self.plans) })
    }
}
