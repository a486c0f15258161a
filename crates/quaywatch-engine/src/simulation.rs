//! The whole engine in one thread and without a clock: judging, commits and delivery against a store and receivers made
//! of maps, with a crash before or after any of their effects.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::judge::CloseReason;
use quaywatch_core::spec::Host;
use quaywatch_core::{
    AccountId, Attempt as Dialled, BootTime, ChannelId, CheckResult, Epoch, ErrorCode, Evidence, IncidentId,
    LocationId, MonitorId, MonitorSpec, ResultFlags, ShardId, Signal, Stage, Timestamp,
};
use quaywatch_notify::notice::ServerWords;
use quaywatch_notify::{Class, EventKind, Notice, Outcome};
use quaywatch_runner::{Batch, Sight};
use quaywatch_store::records::{
    AccountRecord, ActWrite, Applied, ChannelRecord, DeliveryState, DeliveryUpdate, EventRecord,
    EvidenceRecord, IncidentRecord, IntervalWrite, LocationRecord, MonitorRecord, OutboxWrite, Owner,
    ShardState, ShardStep, StateWrite,
};
use quaywatch_store::{CommitFailed, StoreError};

use crate::commits::Commits;
use crate::config::EngineConfig;
use crate::delivery::lanes::{Effects, Lanes};
use crate::judging::{Directory, Judging, Loaded, Orphan, Reload};
use crate::stats::EngineStats;
use crate::steps::Queued;

pub(crate) const START: Timestamp = Timestamp::from_secs(1_777_652_100);
pub(crate) const TICK: Duration = Duration::from_millis(100);

type Key = (IncidentId, u32, ChannelId);

/// What survives a crash.
#[derive(Default)]
pub(crate) struct Database {
    pub(crate) monitors: BTreeMap<MonitorId, MonitorRecord>,
    pub(crate) channels: Vec<ChannelRecord>,
    pub(crate) states: BTreeMap<MonitorId, StateWrite>,
    pub(crate) incidents: BTreeMap<IncidentId, IncidentRecord>,
    pub(crate) events: BTreeMap<(IncidentId, u32), EventRecord>,
    /// Rows of the audit log.
    pub(crate) acts: Vec<ActWrite>,
    pub(crate) outbox: BTreeMap<Key, Row>,
    pub(crate) evidence: Vec<EvidenceRecord>,
    pub(crate) intervals: Vec<IntervalWrite>,
    pub(crate) results: BTreeSet<(MonitorId, Timestamp)>,
    pub(crate) last_commit: Option<Timestamp>,
    /// Rows written so far that are no results.
    pub(crate) rows: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) write: OutboxWrite,
    pub(crate) state: DeliveryState,
    pub(crate) attempts: u32,
    pub(crate) queued_at: Timestamp,
}

impl Database {
    fn apply(&mut self, step: &ShardStep) {
        self.rows += step.states.len()
            + step.intervals.len()
            + step.incidents.len()
            + step.events.len()
            + step.acts.len()
            + step.evidence.len()
            + step.outbox.len()
            + step.inputs.len();
        for state in &step.states {
            self.states.insert(state.monitor, state.clone());
        }
        for incident in &step.incidents {
            self.incidents.insert(incident.id, incident.clone());
        }
        for event in &step.events {
            let key = (event.incident, event.sequence);
            if self.events.insert(key, event.clone()).is_none() {
                let acts = step.acts.iter().filter(|act| (act.incident, act.sequence) == key);
                self.acts.extend(acts.cloned());
            }
        }
        for write in &step.outbox {
            let event = &self.events[&(write.incident, write.sequence)];
            let row =
                Row { write: write.clone(), state: DeliveryState::Queued, attempts: 0, queued_at: event.at };
            self.outbox.entry((write.incident, write.sequence, write.channel)).or_insert(row);
        }
        self.evidence.extend(step.evidence.iter().cloned());
        self.intervals.extend(step.intervals.iter().cloned());
        self.results.extend(step.results.iter().map(|result| (result.monitor, result.slot)));
        self.last_commit = Some(step.at);
    }

    fn record(&mut self, update: &DeliveryUpdate) {
        let notice = &update.notice;
        let row = self.outbox.get_mut(&(notice.incident, notice.sequence, notice.channel));
        let row = row.expect("a delivery is recorded only where its notice is queued");
        row.state = update.state;
        row.attempts = update.attempts;
        row.write.due = notice.due;
    }

    fn load(&self, shard: ShardId) -> ShardState {
        ShardState {
            monitors: self.monitors.values().filter(|m| m.id.shard() == shard).cloned().collect(),
            states: self.states.values().filter(|s| s.monitor.shard() == shard).cloned().collect(),
            open_incidents: self
                .incidents
                .values()
                .filter(|i| i.monitor.shard() == shard && i.ended_at.is_none())
                .cloned()
                .collect(),
        }
    }

    fn undelivered(&self) -> Vec<Queued> {
        let queued = self.outbox.values().filter(|row| row.state == DeliveryState::Queued);
        queued
            .map(|row| Queued {
                write: row.write.clone(),
                event: Arc::new(self.events[&(row.write.incident, row.write.sequence)].clone()),
                queued_at: row.queued_at,
                attempts: row.attempts,
                committed: true,
            })
            .collect()
    }

    /// Events of one incident's monitor, in words.
    pub(crate) fn story(&self) -> Vec<String> {
        let mut events: Vec<_> = self.events.values().collect();
        events.sort_by_key(|event| (event.at, event.incident, event.sequence));
        events
            .iter()
            .map(|event| {
                let notice = Notice::from_snapshot(&event.snapshot).expect("our own snapshot");
                let status =
                    notice.status.map_or("-".to_owned(), |status| format!("{status:?}").to_lowercase());
                format!("{} {status}", event.kind)
            })
            .collect()
    }
}

/// Receivers: what they have seen, by key, in order.
#[derive(Default)]
pub(crate) struct Receivers {
    pub(crate) seen: Vec<(Key, EventKind, bool)>,
    pub(crate) attempts: u64,
    /// What a channel answers to its n-th attempt; by default it takes it.
    pub(crate) answer: BTreeMap<ChannelId, fn(u64) -> Class>,
    tries: BTreeMap<ChannelId, u64>,
}

impl Receivers {
    fn take(&mut self, key: Key, notice: &Notice, late: bool) -> Outcome {
        self.attempts += 1;
        let tries = self.tries.entry(key.2).or_default();
        *tries += 1;
        let class = self.answer.get(&key.2).map_or(Class::Sent, |answer| answer(*tries));
        if matches!(class, Class::Sent | Class::Unknown) {
            self.seen.push((key, notice.kind, late));
        }
        Outcome::new(class, "")
    }

    /// The keys that a receiver that drops known ones has kept, in order.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let mut known = BTreeSet::new();
        self.seen.iter().map(|(key, _, _)| *key).filter(|key| known.insert(*key)).collect()
    }
}

/// When to die, counted in effects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crash {
    Never,
    Before(usize),
    After(usize),
}

/// The process died.
struct Dead;

pub(crate) struct World {
    pub(crate) now: Timestamp,
    /// Goes on while `now` is set.
    boot: BootTime,
    pub(crate) database: Database,
    pub(crate) receivers: Receivers,
    pub(crate) effects: usize,
    pub(crate) crash: Crash,
    pub(crate) stats: Arc<EngineStats>,
    /// Why the store fails now, if it does.
    pub(crate) trouble: Option<StoreError>,
    /// So many more commits are written, and their answers say that they are not.
    pub(crate) lost_answers: usize,
    pub(crate) runner_removed: Vec<MonitorId>,
    pub(crate) restarts: usize,
    process: Option<Process>,
    seed: u64,
}

/// What dies in a crash.
struct Process {
    judging: Judging,
    commits: Commits,
    lanes: Lanes,
    jobs: BTreeMap<MonitorId, Epoch>,
    next: BTreeMap<MonitorId, Timestamp>,
    answers: Option<Vec<(ShardId, Result<(), CommitFailed>)>>,
    ended: Vec<(quaywatch_core::DeliveryKey, Outcome)>,
}

pub(crate) fn channel(id: i64, name: &str) -> ChannelRecord {
    ChannelRecord {
        id: ChannelId(id),
        account: AccountId::DEFAULT,
        owner: Owner::File,
        key: name.into(),
        name: name.into(),
        kind: "fake".into(),
        settings: "{}".into(),
        revision: 1,
    }
}

pub(crate) fn monitor(id: i64, edit: impl FnOnce(&mut MonitorSpec)) -> MonitorRecord {
    let mut spec = MonitorSpec::tcp(format!("monitor {id}"), Host::Name("db.example.com".into()), 5432);
    spec.check_interval = Duration::from_secs(10);
    spec.channels = vec!["ops".into(), "dev".into()];
    edit(&mut spec);
    MonitorRecord {
        id: MonitorId(id),
        account: AccountId::DEFAULT,
        owner: Owner::File,
        key: spec.name.clone(),
        name: spec.name.clone(),
        revision: 1,
        spec: spec.to_canonical(),
        paused: false,
        created_at: START,
    }
}

pub(crate) fn names() -> (Vec<AccountRecord>, Vec<LocationRecord>) {
    (
        vec![AccountRecord { id: AccountId::DEFAULT, name: "default".into() }],
        vec![LocationRecord { id: LocationId::LOCAL, name: "local".into() }],
    )
}

pub(crate) fn proof(code: ErrorCode) -> Box<Evidence> {
    Box::new(Evidence {
        attempts: vec![Dialled {
            address: "192.0.2.10:5432".parse().expect("an address"),
            error_code: code,
            stage: Stage::Connect,
            signal: Signal::Rst,
            latency_us: None,
            elapsed_us: 300,
            syn_retransmits: 0,
            errno: None,
            icmp: None,
        }],
        ..Evidence::default()
    })
}

pub(crate) fn result(monitor: MonitorId, slot: Timestamp, code: ErrorCode) -> CheckResult {
    let good = code == ErrorCode::Ok;
    CheckResult {
        monitor,
        slot,
        location: LocationId::LOCAL,
        epoch: Epoch::default(),
        code,
        flags: ResultFlags::default(),
        syn_retransmits: 0,
        latency_us: good.then(|| std::num::NonZeroU32::new(700).expect("not zero")),
        dns_us: 0,
        elapsed_us: 700,
        evidence: (!good).then(|| proof(code)),
    }
}

impl World {
    pub(crate) fn new(monitors: Vec<MonitorRecord>) -> Self {
        let mut database = Database::default();
        database.monitors.extend(monitors.into_iter().map(|monitor| (monitor.id, monitor)));
        database.channels = vec![channel(1, "ops"), channel(2, "dev")];
        Self {
            now: START,
            boot: BootTime(0),
            database,
            receivers: Receivers::default(),
            effects: 0,
            crash: Crash::Never,
            stats: Arc::default(),
            trouble: None,
            lost_answers: 0,
            runner_removed: Vec::new(),
            restarts: 0,
            process: None,
            seed: 7,
        }
    }

    /// Kills the process and starts it again three seconds later.
    pub(crate) fn restart(&mut self) {
        self.restarts += 1;
        self.process = None;
        self.now = self.now + Duration::from_secs(3);
        self.start();
    }

    fn start(&mut self) {
        self.seed += 1;
        let config =
            EngineConfig::new(ServerWords { name: "watch-1".into(), version: "0".into() }, self.seed);
        let mut judging = Judging::new(&config, Arc::clone(&self.stats));
        judging.tick(self.now);
        let (accounts, locations) = names();
        judging.set_names(&accounts, &locations, &self.database.channels);
        let mut lanes = Lanes::new(self.seed);
        let mut effects = Effects::default();
        for notice in self.database.undelivered() {
            lanes.add(notice, self.now, &mut effects);
        }
        let gap = self.database.last_commit.map_or(Duration::ZERO, |last| self.now.since(last));
        let clock_behind = self.database.last_commit.is_some_and(|last| last > self.now);
        let mut jobs = BTreeMap::new();
        for shard in ShardId::all() {
            let state = self.database.load(shard);
            let gone =
                state.open_incidents.iter().filter(|i| !state.monitors.iter().any(|m| m.id == i.monitor));
            let orphans = gone
                .map(|incident| {
                    let events = self.database.events.range((incident.id, 0)..=(incident.id, u32::MAX));
                    let last = events.last().map(|(_, event)| event);
                    let opening = last.and_then(|event| Notice::from_snapshot(&event.snapshot).ok());
                    Orphan { incident: incident.clone(), opening }
                })
                .collect();
            let loaded = judging.load(Loaded { state, orphans, gap, clock_behind });
            jobs.extend(loaded.iter().map(|job| (job.monitor, job.epoch)));
        }
        let next = jobs.keys().map(|id| (*id, next_slot(*id, self.now))).collect();
        self.process = Some(Process {
            judging,
            commits: Commits::default(),
            lanes,
            jobs,
            next,
            answers: None,
            ended: Vec::new(),
        });
    }

    /// Counts an effect; dies before or after it, if that is due.
    fn effect<T>(&mut self, perform: impl FnOnce(&mut Self) -> T) -> Result<T, Dead> {
        self.effects += 1;
        if self.crash == Crash::Before(self.effects) {
            return Err(Dead);
        }
        let value = perform(self);
        if self.crash == Crash::After(self.effects) {
            return Err(Dead);
        }
        Ok(value)
    }

    /// Runs for so many seconds; `truth` says what a check of a monitor sees at a moment.
    pub(crate) fn run(&mut self, seconds: u64, truth: impl Fn(MonitorId, u64) -> ErrorCode) {
        if self.process.is_none() {
            self.start();
        }
        let end = self.now + Duration::from_secs(seconds);
        while self.now < end {
            self.now = self.now + TICK;
            self.boot = self.boot + TICK;
            if self.turn(&truth).is_err() {
                self.restart();
            }
        }
    }

    fn turn(&mut self, truth: &impl Fn(MonitorId, u64) -> ErrorCode) -> Result<(), Dead> {
        let mut process = self.process.take().expect("it was started");
        let outcome = self.work(&mut process, truth);
        if outcome.is_ok() {
            self.process = Some(process);
        }
        outcome
    }

    fn work(
        &mut self,
        process: &mut Process,
        truth: &impl Fn(MonitorId, u64) -> ErrorCode,
    ) -> Result<(), Dead> {
        let now = self.now;
        process.judging.tick(now);
        let mut results = Vec::new();
        for (monitor, at) in &mut process.next {
            if *at <= now {
                let code = truth(*monitor, at.since(START).as_secs());
                let epoch = process.jobs[monitor];
                results.push(CheckResult { epoch, ..result(*monitor, *at, code) });
                *at = next_slot(*monitor, now);
            }
        }
        if !results.is_empty() {
            let location = LocationId::LOCAL;
            process.judging.batch(Batch { location, at: now, results, sight: Vec::new() });
        }
        process.judging.timeouts();
        for (monitor, at) in process.judging.take_rechecks() {
            if let Some(next) = process.next.get_mut(&monitor) {
                *next = (*next).min(at);
            }
        }
        self.commit(process)?;
        self.deliver(process)
    }

    fn commit(&mut self, process: &mut Process) -> Result<(), Dead> {
        let boot = self.boot;
        if let Some(answers) = process.answers.take() {
            let notices = process.commits.answered(&mut process.judging, answers, boot, &self.stats);
            self.queue(process, notices)?;
        }
        process.commits.look(&mut process.judging, boot);
        if process.commits.due().is_none_or(|due| due > boot) {
            return Ok(());
        }
        let group = process.commits.close(&mut process.judging, boot, false);
        if group.is_empty() {
            return Ok(());
        }
        let answers = match self.trouble.clone() {
            Some(error) => refused(group, &error),
            None => self.effect(|world| {
                group.iter().for_each(|step| world.database.apply(step));
                if let Some(left) = world.lost_answers.checked_sub(1) {
                    world.lost_answers = left;
                    return refused(group, &StoreError::Engine("the answer is lost".into()));
                }
                group.iter().map(|step| (ShardId(step.shard), Ok(()))).collect()
            })?,
        };
        process.answers = Some(answers);
        Ok(())
    }

    fn queue(&mut self, process: &mut Process, notices: Vec<Queued>) -> Result<(), Dead> {
        let mut effects = Effects::default();
        for notice in notices {
            process.lanes.add(notice, self.now, &mut effects);
        }
        self.record(effects.updates)
    }

    fn record(&mut self, updates: Vec<DeliveryUpdate>) -> Result<(), Dead> {
        for update in updates {
            self.effect(|world| world.database.record(&update))?;
        }
        Ok(())
    }

    fn deliver(&mut self, process: &mut Process) -> Result<(), Dead> {
        let mut effects = Effects::default();
        for (key, outcome) in std::mem::take(&mut process.ended) {
            process.lanes.done(key, outcome, TICK, self.now, &mut effects);
        }
        process.lanes.poll(self.now, &mut effects);
        let notes = std::mem::take(&mut effects.notes);
        for attempt in std::mem::take(&mut effects.tries) {
            let outcome = self.effect(|world| {
                let event = attempt.event.as_ref().expect("few notices are held in memory");
                let notice = Notice::from_snapshot(&event.snapshot).expect("our own snapshot");
                let key = (attempt.key.incident, attempt.key.sequence, attempt.key.channel);
                world.receivers.take(key, &notice, attempt.attempt.late.is_some())
            })?;
            process.ended.push((attempt.key, outcome));
        }
        for note in notes {
            process.judging.channel_note(note);
        }
        self.record(effects.updates)
    }

    /// The process, for tests that reach into it.
    pub(crate) fn judging(&mut self) -> &mut Judging {
        &mut self.process.as_mut().expect("it runs").judging
    }

    /// Which of its targets a monitor's checks look at.
    pub(crate) fn epoch(&self, id: MonitorId) -> Epoch {
        self.process.as_ref().expect("it runs").jobs[&id]
    }

    /// One more result, out of turn.
    pub(crate) fn hand_in(&mut self, result: CheckResult) {
        let (location, at) = (LocationId::LOCAL, self.now);
        self.judging().batch(Batch { location, at, results: vec![result], sight: Vec::new() });
    }

    pub(crate) fn sight(&mut self, sight: Sight) {
        let at = self.now;
        let batch = Batch { location: LocationId::LOCAL, at, results: Vec::new(), sight: vec![sight] };
        self.judging().batch(batch);
    }

    /// The runner counts slots anew from the wall clock, as it does after a step.
    pub(crate) fn rephase(&mut self) {
        let now = self.now;
        let process = self.process.as_mut().expect("it runs");
        process.next = process.jobs.keys().map(|id| (*id, next_slot(*id, now))).collect();
    }

    /// Follows an edit of the configured things.
    pub(crate) fn apply(&mut self, monitors: Vec<MonitorRecord>, removed: Vec<MonitorId>) {
        for record in &monitors {
            self.database.monitors.insert(record.id, record.clone());
        }
        for id in &removed {
            self.database.monitors.remove(id);
        }
        let (accounts, locations) = names();
        let channels = self.database.channels.clone();
        let now = self.now;
        let Some(process) = &mut self.process else { return };
        let applied = Applied { monitors, removed_monitors: removed, ..Applied::default() };
        let mut reload = Reload::new(applied, Directory { accounts, locations, channels });
        // In the smallest parts: what each leaves behind must stand on its own.
        loop {
            let followed = process.judging.reload(&mut reload, 1);
            for id in followed.gone {
                process.jobs.remove(&id);
                process.next.remove(&id);
                self.runner_removed.push(id);
            }
            for job in followed.jobs {
                process.jobs.insert(job.monitor, job.epoch);
                process.next.entry(job.monitor).or_insert_with(|| next_slot(job.monitor, now));
            }
            if followed.done {
                break;
            }
        }
    }

    /// What must hold whenever everything has come to rest: each event of each incident was told once, by key, to each
    /// channel that was to hear it, in order.
    pub(crate) fn assert_all_told_once(&self, context: &dyn std::fmt::Debug) {
        let keys = self.receivers.keys();
        let wanted: BTreeSet<Key> = self.database.outbox.keys().copied().collect();
        assert_eq!(keys.iter().copied().collect::<BTreeSet<_>>(), wanted, "{context:?}");
        for row in self.database.outbox.values() {
            assert_eq!(row.state, DeliveryState::Sent, "{context:?}: {row:?}");
        }
        let mut last: BTreeMap<(IncidentId, ChannelId), u32> = BTreeMap::new();
        for (incident, sequence, channel) in keys {
            let before = last.insert((incident, channel), sequence);
            assert!(before.is_none_or(|before| before < sequence), "{context:?}: out of order");
        }
    }

    /// Incidents with how each ended, in order of their start.
    pub(crate) fn incidents(&self) -> Vec<(u32, Option<CloseReason>)> {
        let mut all: Vec<_> = self.database.incidents.values().collect();
        all.sort_by_key(|incident| (incident.started_at, incident.id));
        all.iter().map(|incident| (incident.ordinal, incident.close_reason)).collect()
    }
}

fn refused(group: Vec<ShardStep>, error: &StoreError) -> Vec<(ShardId, Result<(), CommitFailed>)> {
    let refused = |step: ShardStep| {
        let failed = CommitFailed { error: error.clone(), step: Box::new(step) };
        (ShardId(failed.step.shard), Err(failed))
    };
    group.into_iter().map(refused).collect()
}

fn next_slot(monitor: MonitorId, now: Timestamp) -> Timestamp {
    const INTERVAL: i64 = 10_000_000;
    let phase = monitor.0 % 10 * 1_000_000;
    Timestamp((now.0 - phase).div_euclid(INTERVAL) * INTERVAL + phase + INTERVAL)
}
