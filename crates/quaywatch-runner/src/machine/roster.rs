//! The monitors that a runner checks, packed: there may be a million. An entry is found by its place (a small number
//! that the schedule and the flights carry); what many monitors have in common (settings, account, name, identical
//! checks) stands once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::egress::EgressPolicy;
use quaywatch_core::schedule::{Grid, Millis};
use quaywatch_core::spec::Host;
use quaywatch_core::{AccountId, Epoch, Job, MonitorId, Plan};

use super::names::NameTable;
use super::sharing::Sharing;

/// No entry, flight, name or group.
pub(super) const NONE: u32 = u32::MAX;

pub(super) type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// What an entry dials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Ip(IpAddr),
    /// A place in the [`NameTable`].
    Name(u32),
}

/// Where an entry's check is. An entry has at most one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Idle,
    /// Waits for capacity.
    Queued,
    /// Waits until its target's budget lets it go.
    Delayed,
    /// In the flight `Entry::flight`, its own or an identical check's.
    Flying,
    /// This place is free.
    Free,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) target: Target,
    /// The slot of the check that `stage` is about.
    pub(super) due: Millis,
    pub(super) monitor: u32,
    pub(super) plan: u32,
    pub(super) group: u32,
    pub(super) flight: u32,
    pub(super) account: u16,
    pub(super) port: u16,
    /// Goes out with every result.
    pub(super) epoch: Epoch,
    pub(super) stage: Stage,
    /// Slots in a row without a check, saturated.
    pub(super) skips: u8,
    /// Its last result was a failure.
    pub(super) failing: bool,
    /// Somebody asked for a check while one was running.
    pub(super) again: bool,
    /// The check that waits has its place in the target's budget.
    pub(super) booked: bool,
}

const _: () = assert!(size_of::<Entry>() <= 56, "there are a million of them");

impl Entry {
    pub(super) fn id(&self) -> MonitorId {
        MonitorId(i64::from(self.monitor))
    }
}

/// One plan, and what the hot path wants of it.
#[derive(Debug)]
pub(super) struct PlanEntry {
    pub(super) plan: Arc<Plan>,
    users: u32,
    pub(super) interval: Duration,
    pub(super) talks: bool,
}

/// One account and what binds it.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) id: AccountId,
    pub(super) egress: EgressPolicy,
}

/// What came of adding or changing a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) key: u32,
    pub(super) change: Change,
}

/// How much of a monitor is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// All of it.
    New,
    /// What is dialled, or how.
    Target {
        /// And when.
        interval: bool,
    },
    /// Only when.
    Interval,
    /// Nothing that matters here.
    Nothing,
}

#[derive(Debug)]
pub(super) struct Roster {
    pub(super) entries: Vec<Entry>,
    free: Vec<u32>,
    ids: Map<u32, u32>,
    plans: Vec<PlanEntry>,
    free_plans: Vec<u32>,
    plan_places: Map<usize, u32>,
    accounts: Vec<Account>,
    account_places: Map<AccountId, u16>,
    egress: EgressPolicy,
    /// Checks a second, in total: the sum of 1 / interval.
    rate: f64,
}

impl Roster {
    pub(super) fn new(egress: EgressPolicy) -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            ids: Map::default(),
            plans: Vec::new(),
            free_plans: Vec::new(),
            plan_places: Map::default(),
            accounts: Vec::new(),
            account_places: Map::default(),
            egress,
            rate: 0.0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn find(&self, id: MonitorId) -> Option<u32> {
        self.ids.get(&u32::try_from(id.0).ok()?).copied()
    }

    pub(super) fn entry(&self, key: u32) -> &Entry {
        &self.entries[key as usize]
    }

    pub(super) fn entry_mut(&mut self, key: u32) -> &mut Entry {
        &mut self.entries[key as usize]
    }

    pub(super) fn plan_of(&self, key: u32) -> &PlanEntry {
        &self.plans[self.entry(key).plan as usize]
    }

    pub(super) fn account(&self, place: u16) -> &Account {
        &self.accounts[usize::from(place)]
    }

    pub(super) fn grid(&self, key: u32) -> Grid {
        Grid::new(self.entry(key).id(), self.plan_of(key).interval)
    }

    /// The interval that a monitor has on average, by how often each is checked.
    pub(super) fn usual_interval(&self) -> Duration {
        if self.rate > 0.0 {
            Duration::from_secs_f64((self.len() as f64 / self.rate).clamp(1.0, 86_400.0))
        } else {
            Duration::from_secs(60)
        }
    }

    /// Adds a job, or takes over what changed of one. `None` if its id is none.
    pub(super) fn place(
        &mut self,
        job: &Job,
        names: &mut NameTable,
        sharing: &mut Sharing,
    ) -> Option<Placed> {
        let monitor = u32::try_from(job.monitor.0).ok().filter(|id| *id != NONE)?;
        let Some(key) = self.ids.get(&monitor).copied() else {
            let key = self.add(monitor, job, names);
            sharing.join(self, key);
            return Some(Placed { key, change: Change::New });
        };
        let change = self.compare(key, job, names);
        self.entry_mut(key).epoch = job.epoch;
        if change == Change::Nothing {
            // Equal, but perhaps another copy: nothing to let go of.
            return Some(Placed { key, change });
        }
        let plan = self.hold_plan(&job.plan);
        let old = self.entry(key).plan;
        if matches!(change, Change::Target { .. }) {
            sharing.leave(self, key);
            if let Target::Name(name) = self.entry(key).target {
                names.release(name);
            }
            let target = Self::target(job, names);
            let account = self.hold_account(job.account);
            let entry = self.entry_mut(key);
            (entry.target, entry.port, entry.account, entry.failing) = (target, job.port, account, false);
        }
        self.entry_mut(key).plan = plan;
        self.release_plan(old);
        if matches!(change, Change::Target { .. }) {
            sharing.join(self, key);
        }
        Some(Placed { key, change })
    }

    /// Forgets an entry. Its place may be taken by another at once.
    pub(super) fn remove(&mut self, key: u32, names: &mut NameTable, sharing: &mut Sharing) {
        sharing.leave(self, key);
        let entry = self.entry(key);
        let (monitor, plan, target) = (entry.monitor, entry.plan, entry.target);
        if let Target::Name(name) = target {
            names.release(name);
        }
        self.release_plan(plan);
        self.ids.remove(&monitor);
        self.entry_mut(key).stage = Stage::Free;
        self.free.push(key);
    }

    /// Another policy binds all accounts from now on. Tells whether it is another one.
    pub(super) fn bind(&mut self, egress: EgressPolicy) -> bool {
        if self.egress == egress {
            return false;
        }
        for account in &mut self.accounts {
            account.egress = egress.of(account.id);
        }
        self.egress = egress;
        true
    }

    fn add(&mut self, monitor: u32, job: &Job, names: &mut NameTable) -> u32 {
        let entry = Entry {
            target: Self::target(job, names),
            due: 0,
            monitor,
            plan: self.hold_plan(&job.plan),
            group: NONE,
            flight: NONE,
            account: self.hold_account(job.account),
            port: job.port,
            epoch: job.epoch,
            stage: Stage::Idle,
            skips: 0,
            failing: false,
            again: false,
            booked: false,
        };
        let key = if let Some(key) = self.free.pop() {
            self.entries[key as usize] = entry;
            key
        } else {
            self.entries.push(entry);
            u32::try_from(self.entries.len() - 1).expect("monitor ids, and so entries, are 32 bits wide")
        };
        self.ids.insert(monitor, key);
        key
    }

    /// How much of a monitor `job` would change.
    pub(super) fn compare(&self, key: u32, job: &Job, names: &NameTable) -> Change {
        let entry = self.entry(key);
        let old = &self.plan_of(key).plan;
        let interval = old.check_interval != job.plan.check_interval;
        let same_host = match (&entry.target, &job.host) {
            (Target::Ip(old), Host::Ip(new)) => old == new,
            (Target::Name(old), Host::Name(new)) => {
                names.name(*old) == &**new && names.family(*old) == job.plan.ip_family
            }
            (Target::Ip(_), Host::Name(_)) | (Target::Name(_), Host::Ip(_)) => false,
        };
        let same_look = Arc::ptr_eq(old, &job.plan)
            || Plan { check_interval: job.plan.check_interval, ..(**old).clone() } == *job.plan;
        let same_account = self.account(entry.account).id == job.account;
        match same_host && same_look && same_account && entry.port == job.port {
            false => Change::Target { interval },
            true if interval => Change::Interval,
            true => Change::Nothing,
        }
    }

    fn target(job: &Job, names: &mut NameTable) -> Target {
        match &job.host {
            Host::Ip(ip) => Target::Ip(*ip),
            Host::Name(name) => Target::Name(names.hold(name, job.plan.ip_family)),
        }
    }

    fn hold_plan(&mut self, plan: &Arc<Plan>) -> u32 {
        self.rate += rate(plan.check_interval);
        let address = Arc::as_ptr(plan).addr();
        if let Some(place) = self.plan_places.get(&address).copied() {
            self.plans[place as usize].users += 1;
            return place;
        }
        let entry = PlanEntry {
            plan: Arc::clone(plan),
            users: 1,
            interval: plan.check_interval,
            talks: plan.talks(),
        };
        let place = if let Some(place) = self.free_plans.pop() {
            self.plans[place as usize] = entry;
            place
        } else {
            self.plans.push(entry);
            u32::try_from(self.plans.len() - 1).expect("there are not more plans than monitors")
        };
        // The address stays this plan's for as long as the entry holds it.
        self.plan_places.insert(address, place);
        place
    }

    fn release_plan(&mut self, place: u32) {
        let entry = &mut self.plans[place as usize];
        self.rate = (self.rate - rate(entry.interval)).max(0.0);
        entry.users -= 1;
        if entry.users == 0 {
            self.plan_places.remove(&Arc::as_ptr(&entry.plan).addr());
            self.free_plans.push(place);
        }
    }

    fn hold_account(&mut self, id: AccountId) -> u16 {
        if let Some(place) = self.account_places.get(&id) {
            return *place;
        }
        // Beyond 65,536 accounts on one server, fairness among the rest is coarser; their policy is the same.
        let place = u16::try_from(self.accounts.len()).unwrap_or(u16::MAX);
        if usize::from(place) == self.accounts.len() {
            self.accounts.push(Account { id, egress: self.egress.of(id) });
        }
        self.account_places.insert(id, place);
        place
    }
}

fn rate(interval: Duration) -> f64 {
    1.0 / interval.as_secs_f64().max(0.001)
}
