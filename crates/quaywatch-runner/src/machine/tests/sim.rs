//! The made-up world: targets that behave as told, names, anchors, and a clock that the test moves.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use quaywatch_core::egress::EgressPolicy;
use quaywatch_core::evidence::Stage;
use quaywatch_core::health::{Family, Look};
use quaywatch_core::schedule::Moment;
use quaywatch_core::spec::{Addresses, Expectation, Handshake, Host, IpFamily};
use quaywatch_core::{
    AccountId, Attempt, BootTime, CheckResult, Epoch, ErrorCode, Job, LocationId, MonitorId, Plan, Signal,
    Timestamp,
};
use quaywatch_net::{Answer, Descriptors};

use super::super::{Machine, Order, Parts};
use crate::config::RunnerConfig;
use crate::ports::{Anchors, Dial, Names, Ports, Prober, Question, Report};
use crate::sink::{Batch, Sight, Sink};
use crate::stats::RunnerStats;

/// 2026-05-01T16:15:00Z.
pub(super) const START: Timestamp = Timestamp::from_secs(1_777_652_100);

/// How a target behaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Target {
    Open(Duration),
    Refuses,
    Silent,
    /// A router says so.
    Unreachable,
    /// The prober never reports: a bug of ours.
    Lost,
}

pub(super) struct World {
    pub(super) now: Moment,
    pub(super) targets: BTreeMap<SocketAddr, Target>,
    pub(super) usually: Target,
    pub(super) names: BTreeMap<String, (Answer, Duration)>,
    /// What a look at each family sees; `None`: it never comes back.
    pub(super) looks: BTreeMap<Family, Option<Look>>,
    pub(super) near: BTreeSet<IpAddr>,
    pub(super) dials: Vec<(Timestamp, Dial)>,
    pub(super) asked: Vec<String>,
    pub(super) looked: Vec<Family>,
    flying: BTreeMap<(BootTime, u64), Report>,
    answers: Vec<(BootTime, Question, Answer)>,
    seen: Vec<(BootTime, Family, Look)>,
    pub(super) most_flying: usize,
    results: Vec<CheckResult>,
    arrived: Vec<(BootTime, usize)>,
    sight: Vec<Sight>,
}

impl World {
    fn report(&self, dial: &Dial) -> Option<(Duration, Report)> {
        let target = self.targets.get(&dial.address).copied().unwrap_or(self.usually);
        let (after, code, signal) = match target {
            Target::Open(after) if after < dial.timeout => (after, ErrorCode::Ok, Signal::SynAck),
            Target::Open(_) | Target::Silent => (dial.timeout, ErrorCode::TcpTimeout, Signal::Silence),
            Target::Refuses => (Duration::from_millis(1), ErrorCode::TcpRefused, Signal::Rst),
            Target::Unreachable => (Duration::from_millis(2), ErrorCode::HostUnreachable, Signal::Icmp),
            Target::Lost => return None,
        };
        let elapsed_us = after.as_micros() as u32;
        let is_ok = code == ErrorCode::Ok;
        let detail = (!is_ok).then(|| {
            Box::new(Attempt {
                address: dial.address,
                error_code: code,
                stage: Stage::Connect,
                signal,
                latency_us: None,
                elapsed_us,
                syn_retransmits: 0,
                errno: None,
                icmp: None,
            })
        });
        let latency_us = NonZeroU32::new(elapsed_us).filter(|_| is_ok);
        let full = dial.handshake == Handshake::Full;
        let started = self.now.boot;
        let report = Report {
            token: dial.token,
            code,
            latency_us,
            started,
            elapsed_us,
            full,
            syn_retransmits: 0,
            detail,
            first_bytes: None,
        };
        Some((after, report))
    }

    fn dial(&mut self, dial: Dial) {
        self.dials.push((self.now.wall, dial));
        if let Some((after, report)) = self.report(&dial) {
            self.flying.insert((self.now.boot + after, dial.token), report);
        }
        self.most_flying = self.most_flying.max(self.flying.len());
    }
}

#[derive(Clone)]
struct Shared(Arc<Mutex<World>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }
}

impl Prober for Shared {
    fn submit(&mut self, dials: Vec<Dial>) {
        let mut world = self.lock();
        dials.into_iter().for_each(|dial| world.dial(dial));
    }

    fn talk(&mut self, dial: Dial, _: &Arc<Plan>) {
        self.lock().dial(dial);
    }

    fn drain(&mut self, into: &mut Vec<Report>) {
        let mut world = self.lock();
        let end = BootTime(world.now.boot.0 + 1);
        let later = world.flying.split_off(&(end, 0));
        into.extend(std::mem::replace(&mut world.flying, later).into_values());
    }

    fn cancel(&mut self, tokens: &[u64]) {
        self.lock().flying.retain(|(_, token), _| !tokens.contains(token));
    }

    fn cancel_all(&mut self) {
        self.lock().flying.clear();
    }
}

impl Names for Shared {
    fn ask(&mut self, question: Question, name: &Arc<str>, _: IpFamily, limit: Duration) {
        let mut world = self.lock();
        world.asked.push(name.to_string());
        let (answer, after) = world.names.get(&**name).expect("the test has a name for it").clone();
        let at = world.now.boot + after.min(limit);
        world.answers.push((at, question, answer));
    }

    fn drain(&mut self, into: &mut Vec<(Question, Answer)>) {
        let mut world = self.lock();
        let now = world.now.boot;
        let (ready, later) = std::mem::take(&mut world.answers).into_iter().partition(|(at, ..)| *at <= now);
        world.answers = later;
        for (at, question, answer) in ready {
            // The world's TTLs run from the answer on.
            let valid_until = BootTime(at.0 + answer.valid_until.0);
            into.push((question, Answer { valid_until, ..answer }));
        }
    }
}

impl Anchors for Shared {
    fn look(&mut self, family: Family) {
        let mut world = self.lock();
        world.looked.push(family);
        if let Some(look) = world.looks.get(&family).copied().unwrap_or(Some(Look::default())) {
            let at = world.now.boot + Duration::from_millis(20);
            world.seen.push((at, family, look));
        }
    }

    fn drain(&mut self, into: &mut Vec<(Family, Look)>) {
        let mut world = self.lock();
        let now = world.now.boot;
        let (ready, later) = std::mem::take(&mut world.seen).into_iter().partition(|(at, ..)| *at <= now);
        world.seen = later;
        into.extend(ready.into_iter().map(|(_, family, look)| (family, look)));
    }

    fn is_near(&mut self, ip: IpAddr, _: BootTime) -> bool {
        self.lock().near.contains(&ip)
    }

    fn describe(&self, _: Family) -> String {
        "gateway 192.0.2.254".to_owned()
    }
}

impl Sink for Shared {
    fn deliver(&mut self, batch: Batch) {
        let mut world = self.lock();
        let now = world.now.boot;
        world.arrived.push((now, batch.results.len()));
        world.results.extend(batch.results);
        world.sight.extend(batch.sight);
    }
}

pub(super) struct Sim {
    pub(super) machine: Machine,
    pub(super) stats: Arc<RunnerStats>,
    world: Shared,
}

impl Sim {
    pub(super) fn new(change: impl FnOnce(&mut RunnerConfig)) -> Self {
        Self::with(change, EgressPolicy::default(), None)
    }

    pub(super) fn with(
        change: impl FnOnce(&mut RunnerConfig),
        egress: EgressPolicy,
        descriptors: Option<Descriptors>,
    ) -> Self {
        let now = Moment { wall: START, boot: BootTime(1_000_000_000) };
        let world = Shared(Arc::new(Mutex::new(World {
            now,
            targets: BTreeMap::new(),
            usually: Target::Open(Duration::from_millis(10)),
            names: BTreeMap::new(),
            looks: BTreeMap::new(),
            near: BTreeSet::new(),
            dials: Vec::new(),
            asked: Vec::new(),
            looked: Vec::new(),
            flying: BTreeMap::new(),
            answers: Vec::new(),
            seen: Vec::new(),
            most_flying: 0,
            results: Vec::new(),
            arrived: Vec::new(),
            sight: Vec::new(),
        })));
        let ports = Ports {
            prober: Box::new(world.clone()),
            names: Box::new(world.clone()),
            anchors: Box::new(world.clone()),
        };
        let mut config = RunnerConfig::new(LocationId::LOCAL);
        change(&mut config);
        let stats = Arc::new(RunnerStats::default());
        let parts = Parts {
            config,
            ports,
            egress,
            descriptors,
            sink: Box::new(world.clone()),
            stats: Arc::clone(&stats),
        };
        Self { machine: Machine::new(parts, now), stats, world }
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock()
    }

    pub(super) fn order(&mut self, order: Order) {
        self.machine.order(order);
    }

    pub(super) fn add(&mut self, jobs: Vec<Job>) {
        self.order(Order::Upsert(jobs));
    }

    pub(super) fn turn(&mut self) -> Duration {
        self.machine.fetch();
        let now = self.world().now;
        self.machine.turn(now)
    }

    /// Lets time pass, with turns as the loop would make them.
    pub(super) fn run(&mut self, duration: Duration) {
        let end = self.world().now.boot + duration;
        while self.world().now.boot < end {
            let sleep = self.turn().max(Duration::from_micros(100));
            let left = end.since(self.world().now.boot);
            self.pass(sleep.min(left));
        }
        self.turn();
    }

    pub(super) fn run_s(&mut self, seconds: u64) {
        self.run(Duration::from_secs(seconds));
    }

    /// Lets time pass without turns: the process is stopped, or the machine sleeps.
    pub(super) fn pass(&self, duration: Duration) {
        let mut world = self.world();
        world.now.boot = world.now.boot + duration;
        world.now.wall = world.now.wall + duration;
    }

    /// Sets the wall clock by so many milliseconds.
    pub(super) fn set_clock(&self, by_ms: i64) {
        self.world().now.wall.0 += by_ms * 1_000;
    }

    pub(super) fn results(&self) -> Vec<CheckResult> {
        std::mem::take(&mut self.world().results)
    }

    pub(super) fn sight(&self) -> Vec<Sight> {
        std::mem::take(&mut self.world().sight)
    }

    /// When batches were delivered, and how many results each held.
    pub(super) fn arrived(&self) -> Vec<(BootTime, usize)> {
        std::mem::take(&mut self.world().arrived)
    }

    pub(super) fn target(&self, address: &str, target: Target) {
        self.world().targets.insert(address.parse().unwrap(), target);
    }

    /// A name whose addresses are known after `after`, for `ttl`.
    pub(super) fn name(&self, name: &str, addresses: &[&str], after: Duration, ttl: Duration) {
        let answer = Answer {
            addresses: addresses.iter().map(|ip| ip.parse().unwrap()).collect(),
            outcome: ErrorCode::Ok,
            stale: false,
            took_us: after.as_micros() as u32,
            valid_until: BootTime(ttl.as_micros() as u64),
            detail: None,
        };
        self.world().names.insert(name.to_owned(), (answer, after));
    }

    pub(super) fn change_name(&self, name: &str, change: impl FnOnce(&mut Answer)) {
        change(&mut self.world().names.get_mut(name).unwrap().0);
    }
}

pub(super) fn plan(interval: Duration) -> Plan {
    Plan {
        check_interval: interval,
        timeout: Duration::from_secs(10),
        dns_timeout: Duration::from_secs(5),
        ip_family: IpFamily::Any,
        addresses: Addresses::First,
        handshake: Handshake::HalfOpen,
        settle: Duration::ZERO,
        expectation: Expectation::Open,
        send: None,
        expect: None,
    }
}

/// A monitor of `host`, an address or a name.
pub(super) fn job(id: i64, host: &str, plan: &Arc<Plan>) -> Job {
    let host = host.parse().map_or_else(|_| Host::Name(host.into()), Host::Ip);
    let (monitor, epoch) = (MonitorId(id), Epoch::default());
    Job { monitor, account: AccountId::DEFAULT, host, port: 5432, epoch, plan: Arc::clone(plan) }
}

/// A monitor with an address of its own: a /24 for every 200.
pub(super) fn own_job(id: i64, plan: &Arc<Plan>) -> Job {
    job(id, &format!("10.{}.{}.{}", id / 51_200, id / 200 % 256, 1 + id % 200), plan)
}

pub(super) fn every(seconds: u64) -> Arc<Plan> {
    Arc::new(plan(Duration::from_secs(seconds)))
}

pub(super) fn codes(results: &[CheckResult]) -> BTreeMap<ErrorCode, usize> {
    let mut codes = BTreeMap::new();
    for result in results {
        *codes.entry(result.code).or_default() += 1;
    }
    codes
}
