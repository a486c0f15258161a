//! Results go in, steps come out: the judges of all monitors, and what follows from their decisions.
//!
//! Sans-I/O: nothing here reads a clock, waits or writes. The thread around it hands in batches, acts and times, and
//! takes out steps for the store, rechecks for the runner, and changes of blind time. So every order of events, and a
//! crash between any two of them, can be played in a test.

mod acts;
mod decide;
mod lazy;
mod load;
mod order;
mod own;
mod pool;
mod reload;
mod sight;
mod snapshot;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::job::Plans;
use quaywatch_core::judge::{Command, Input, Policy};
use quaywatch_core::spec::Host;
use quaywatch_core::{CheckResult, ErrorCode, LocationId, MonitorId, ResultFlags, Timestamp, Verdict};
use quaywatch_runner::Batch;
use quaywatch_store::records::BlindChange;

use crate::config::EngineConfig;
use crate::deadlines::Deadlines;
use crate::entry::{Entries, Entry, NEVER};
use crate::inbox::{Glimpse, Select, Survey, Surveyed};
use crate::rng::Rng;
use crate::routes::Routes;
use crate::stats::EngineStats;
use crate::steps::Steps;

pub(crate) use acts::{Afterword, Refused, Saying, Words};
pub(crate) use load::{Loaded, Orphan};
pub(crate) use own::{ChannelNote, derived_id};
pub(crate) use reload::{Directory, Reload};
pub(crate) use sight::TOLD_AFTER;
use snapshot::Words as Names;

/// Agents' results that are older than this at their arrival are recorded, not judged.
const LATE: Duration = Duration::from_secs(120);

/// The judges of all monitors.
pub(crate) struct Judging {
    entries: Entries,
    deadlines: Deadlines,
    routes: Routes,
    plans: Plans,
    policies: HashSet<Arc<Policy>>,
    words: Names,
    steps: Steps,
    rng: Rng,
    /// What the judge at hand decided; kept for its memory.
    commands: Vec<Command>,
    rechecks: Vec<(MonitorId, Timestamp)>,
    /// Monitors whose states are to be written without hurry.
    lazy: lazy::Lazy,
    cases: pool::Pool,
    asked: acts::Asked,
    order: order::Order,
    blind: BTreeMap<LocationId, sight::Blindness>,
    blind_changes: Vec<BlindChange>,
    /// Sealed states of monitors in the bin, should one come back.
    bin: HashMap<MonitorId, Vec<u8>>,
    /// Never goes back, except where the wall clock was set back and said so.
    now: Timestamp,
    stats: Arc<EngineStats>,
}

impl Judging {
    pub(crate) fn new(config: &EngineConfig, stats: Arc<EngineStats>) -> Self {
        Self {
            entries: Entries::default(),
            deadlines: Deadlines::default(),
            routes: Routes::default(),
            plans: Plans::default(),
            policies: HashSet::new(),
            words: Names::new(config),
            steps: Steps::new(config.most_unwritten_results),
            rng: Rng::new(config.seed),
            commands: Vec::new(),
            rechecks: Vec::new(),
            lazy: lazy::Lazy::default(),
            cases: pool::Pool::default(),
            asked: acts::Asked::default(),
            order: order::Order::default(),
            blind: BTreeMap::new(),
            blind_changes: Vec::new(),
            bin: HashMap::new(),
            now: Timestamp(i64::MIN),
            stats,
        }
    }

    /// Says what time it is; it never goes back.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
    }

    pub(crate) const fn now(&self) -> Timestamp {
        self.now
    }

    /// What grows for the store.
    pub(crate) const fn steps(&mut self) -> &mut Steps {
        &mut self.steps
    }

    /// Takes what is to be looked at again.
    pub(crate) fn take_rechecks(&mut self) -> Vec<(MonitorId, Timestamp)> {
        std::mem::take(&mut self.rechecks)
    }

    /// Takes the changes of blind time.
    pub(crate) fn take_blind_changes(&mut self) -> Vec<BlindChange> {
        std::mem::take(&mut self.blind_changes)
    }

    /// Judges a batch: what the location cannot see comes first, because it says what the results are worth.
    pub(crate) fn batch(&mut self, batch: Batch) {
        for sight in batch.sight {
            self.sight(batch.location, sight);
        }
        for result in batch.results {
            self.observe(result);
        }
        self.stats.monitors.set(self.entries.len() as i64);
    }

    /// Judges one result and records it.
    fn observe(&mut self, mut result: CheckResult) {
        let Some(entry) = self.entries.get_mut(result.monitor) else {
            self.stats.strays.inc();
            return;
        };
        if result.epoch.is_before(entry.epoch) {
            self.stats.outdated.inc();
            return;
        }
        if result.slot == entry.last_slot && result.location == entry.last_location {
            self.stats.duplicates.inc();
            return;
        }
        entry.last_slot = result.slot;
        entry.last_location = result.location;
        if result.location != LocationId::LOCAL && is_late(&entry.policy, result.slot, self.now) {
            result.flags = result.flags.with(ResultFlags::LATE);
            self.stats.late.inc();
            self.steps.result(result);
            return;
        }
        self.stats.judged.inc();
        entry.recent.push(result.code);
        entry.dns_100us = u16::try_from(result.dns_us.div_ceil(100)).unwrap_or(u16::MAX);
        let before = entry.judge.status();
        let latency_us = result.latency_us.map(std::num::NonZeroU32::get);
        entry.judge.handle(
            &entry.policy,
            Input::Observed { location: result.location, slot: result.slot, code: result.code, latency_us },
            self.now,
            &mut self.commands,
        );
        let mut evidence = result.evidence.take();
        let good = result.code == ErrorCode::Ok && !is_slow(&entry.policy, latency_us);
        if good {
            entry.last_ok_at = result.slot;
            entry.last_ok_us = latency_us.unwrap_or(0);
        }
        let dirty = entry.judge.take_dirty();
        let steady = self.commands.is_empty()
            && !dirty
            && match (&mut entry.case, &evidence) {
                (None, None) => true,
                (Some(case), Some(_)) if result.code.verdict() != Verdict::Unknown => {
                    let repeated = case.repeats(&result, &mut evidence);
                    self.stats.evidence_repeated.add(u64::from(repeated));
                    repeated
                }
                (Some(_) | None, Some(_)) | (Some(_), None) => false,
            };
        if !steady {
            let failure = evidence.map(|evidence| (result.location, result.slot, result.code, evidence));
            self.unsteady(result.monitor, before, latency_us, failure, dirty);
        }
        if !self.blind.is_empty() && result.code.verdict() != Verdict::Unknown {
            self.sees(result.location, result.slot);
        }
        self.steps.result(result);
    }

    /// Wakes the judges whose deadlines have come up.
    pub(crate) fn timeouts(&mut self) {
        while let Some(monitors) = self.deadlines.take(self.now) {
            for id in monitors {
                self.timeout(MonitorId(i64::from(id)));
            }
        }
        self.tell_faults();
    }

    fn timeout(&mut self, id: MonitorId) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        // An entry that was moved to an earlier place is met again at its old one.
        entry.deadline = NEVER;
        let before = entry.judge.status();
        if entry.judge.next_deadline(&entry.policy).is_some_and(|at| at <= self.now) {
            entry.judge.handle_timeout(&entry.policy, self.now, &mut self.commands);
        }
        let dirty = entry.judge.take_dirty();
        if dirty || !self.commands.is_empty() {
            self.unsteady(id, before, None, None, dirty);
        } else {
            schedule(entry, &mut self.deadlines);
        }
    }

    /// When [`Judging::timeouts`] has something to do.
    pub(crate) fn next_timeout(&self) -> Option<Timestamp> {
        self.deadlines.next().into_iter().chain(self.next_fault()).min()
    }

    /// Gives an input other than a result to one judge and carries out what it decides.
    fn input(&mut self, id: MonitorId, input: Input) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        let before = entry.judge.status();
        entry.judge.handle(&entry.policy, input, self.now, &mut self.commands);
        let dirty = entry.judge.take_dirty();
        if dirty || !self.commands.is_empty() {
            self.unsteady(id, before, None, None, dirty);
        } else {
            schedule(entry, &mut self.deadlines);
        }
    }

    /// What is known of a monitor at this moment.
    pub(crate) fn glimpse(&self, id: MonitorId) -> Option<Glimpse> {
        let entry = self.entries.get(id)?;
        let judge = &entry.judge;
        let recent = entry.recent.read();
        Some(Glimpse { status: judge.status(), since: judge.since(), code: judge.code(), recent })
    }

    /// Selected monitors as they are at this moment.
    pub(crate) fn survey(&self, select: &Select) -> Survey {
        let total = self.entries.len();
        let monitors = match select {
            Select::First(most) => self.entries.iter().take(*most).map(surveyed).collect(),
            Select::Named(text) => {
                let id = text.parse::<MonitorId>().ok();
                let fits = |entry: &&Entry| *entry.card.name == **text || Some(entry.card.id) == id;
                self.entries.iter().filter(fits).map(surveyed).collect()
            }
            Select::These(ids) => ids.iter().filter_map(|id| self.entries.get(*id)).map(surveyed).collect(),
        };
        Survey { monitors, total }
    }

    /// Whether a location is known to be blind.
    pub(crate) fn is_blind(&self, location: LocationId) -> bool {
        self.blind.contains_key(&location)
    }

    /// Whether something is to be written.
    pub(crate) fn has_work(&self) -> bool {
        !self.lazy.is_empty() || !self.steps.is_empty()
    }

    /// Puts states that wait without hurry into the group that is about to close; `all` at the end of the server.
    pub(crate) fn add_lazy_states(&mut self, all: bool) {
        for id in self.lazy.take(all) {
            if let Some(entry) = self.entries.get_mut(id).filter(|entry| entry.lazy) {
                entry.lazy = false;
                self.steps.quietly(id.shard()).states.push(decide::state(entry));
            }
        }
    }
}

/// Enters the judge's next deadline, where it is earlier than the one that is entered.
fn schedule(entry: &mut Entry, deadlines: &mut Deadlines) {
    if let Some(at) = entry.judge.next_deadline(&entry.policy).filter(|at| *at < entry.deadline) {
        deadlines.insert(entry.card.id, at);
        entry.deadline = at;
    }
}

fn is_slow(policy: &Policy, latency_us: Option<u32>) -> bool {
    policy.threshold_us.is_some_and(|limit| latency_us.is_some_and(|latency| latency > limit))
}

fn is_late(policy: &Policy, slot: Timestamp, now: Timestamp) -> bool {
    now.since(slot) > (2 * policy.check_interval).max(LATE).max(policy.freshness())
}

fn surveyed(entry: &Entry) -> Surveyed {
    let was_good = entry.last_ok_at > Timestamp(0);
    let last = entry.recent.last();
    let is_named = matches!(entry.card.host, Host::Name(_));
    Surveyed {
        id: entry.card.id,
        name: entry.card.name.to_string(),
        target: entry.card.host.with_port(entry.card.port),
        status: entry.judge.status(),
        last,
        last_at: last.map(|_| entry.last_slot),
        dns_us: last.filter(|_| is_named).map(|_| u32::from(entry.dns_100us) * 100),
        last_ok_us: was_good.then_some(entry.last_ok_us),
        last_ok_at: was_good.then_some(entry.last_ok_at),
    }
}
