//! What a check costs before and after its system calls: the machine at full size with a prober that answers at once.
//! Time is bent, so a minute of a million monitors takes as long as the work in it. `examples/schedule_cost.rs` prints it.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::egress::EgressPolicy;
use quaywatch_core::health::{Family, Look};
use quaywatch_core::schedule::Moment;
use quaywatch_core::spec::{Addresses, Expectation, Handshake, Host, IpFamily};
use quaywatch_core::{AccountId, BootTime, Clock, ErrorCode, Job, LocationId, MonitorId, Plan, Timestamp};
use quaywatch_net::{Answer, SystemClock};

use crate::config::RunnerConfig;
use crate::machine::{Machine, Order, Parts};
use crate::ports::{Anchors, Dial, Names, Ports, Prober, Question, Report};
use crate::sink::{Batch, Sink};
use crate::stats::RunnerStats;

/// Figures of one run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Checks made.
    pub checks: u64,
    /// Time of one check in the runner, from its slot to its result.
    pub ns_a_check: f64,
    /// Growth of the resident memory by one monitor.
    pub bytes_a_monitor: f64,
    /// From the order to the last monitor on the schedule.
    pub load: Duration,
}

/// Runs `monitors` at `interval` for two intervals of bent time, the second of which is measured.
#[must_use]
pub fn schedule_cost(monitors: u32, interval: Duration) -> Cost {
    let start = Moment { wall: Timestamp::from_secs(1_777_652_100), boot: BootTime(1_000_000_000) };
    let stats = Arc::new(RunnerStats::default());
    let ports =
        Ports { prober: Box::new(Echo::default()), names: Box::new(Nobody), anchors: Box::new(Nobody) };
    let parts = Parts {
        config: RunnerConfig::new(LocationId::LOCAL),
        ports,
        egress: EgressPolicy::default(),
        descriptors: None,
        sink: Box::new(Nobody),
        stats: Arc::clone(&stats),
    };
    let mut run = Run { machine: Machine::new(parts, start), now: start };
    let before = resident();
    let began = SystemClock.boot();
    let plan = Arc::new(plan(interval));
    for first in (0..monitors).step_by(10_000) {
        run.machine
            .order(Order::Upsert((first..monitors.min(first + 10_000)).map(|n| job(n, &plan)).collect()));
        while run.turn().is_zero() {}
    }
    let load = SystemClock.boot().since(began);
    run.pass(interval);
    let (counted, began) = (stats.results_total(), on_cpu());
    run.pass(interval);
    let took = on_cpu().saturating_sub(began);
    let checks = stats.results_total() - counted;
    Cost {
        checks,
        ns_a_check: took.as_nanos() as f64 / checks.max(1) as f64,
        bytes_a_monitor: resident().saturating_sub(before) as f64 / f64::from(monitors),
        load,
    }
}

struct Run {
    machine: Machine,
    now: Moment,
}

impl Run {
    fn turn(&mut self) -> Duration {
        self.machine.fetch();
        self.machine.turn(self.now)
    }

    fn pass(&mut self, duration: Duration) {
        let end = self.now.boot + duration;
        while self.now.boot < end {
            let sleep = self.turn().clamp(Duration::from_millis(1), Duration::from_millis(5));
            self.now = Moment { wall: self.now.wall + sleep, boot: self.now.boot + sleep };
        }
    }
}

fn plan(interval: Duration) -> Plan {
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

fn job(number: u32, plan: &Arc<Plan>) -> Job {
    Job {
        monitor: MonitorId(i64::from(number) + 1),
        account: AccountId::DEFAULT,
        host: Host::Ip(IpAddr::from((0x0a00_0000 + number).to_be_bytes())),
        port: 5432,
        epoch: quaywatch_core::Epoch::default(),
        plan: Arc::clone(plan),
    }
}

/// Time that this thread has been on a processor; others may be busy too (proc(5), schedstat).
fn on_cpu() -> Duration {
    let ns = std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    Duration::from_nanos(ns.unwrap_or(0))
}

/// Resident memory in bytes.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
    pages.unwrap_or(0) * 4_096
}

/// Answers every dial with SYN-ACK by the next turn.
#[derive(Default)]
struct Echo(Vec<Report>);

impl Prober for Echo {
    fn submit(&mut self, dials: Vec<Dial>) {
        self.0.extend(dials.iter().map(|dial| Report {
            token: dial.token,
            code: ErrorCode::Ok,
            latency_us: NonZeroU32::new(250),
            started: BootTime(0),
            elapsed_us: 300,
            full: false,
            syn_retransmits: 0,
            detail: None,
            first_bytes: None,
        }));
    }

    fn talk(&mut self, dial: Dial, _: &Arc<Plan>) {
        self.submit(vec![dial]);
    }

    fn drain(&mut self, into: &mut Vec<Report>) {
        into.append(&mut self.0);
    }

    fn cancel(&mut self, _: &[u64]) {}

    fn cancel_all(&mut self) {
        self.0.clear();
    }
}

struct Nobody;

impl Names for Nobody {
    fn ask(&mut self, _: Question, _: &Arc<str>, _: IpFamily, _: Duration) {}

    fn drain(&mut self, _: &mut Vec<(Question, Answer)>) {}
}

impl Anchors for Nobody {
    fn look(&mut self, _: Family) {}

    fn drain(&mut self, _: &mut Vec<(Family, Look)>) {}

    fn is_near(&mut self, _: IpAddr, _: BootTime) -> bool {
        true
    }

    fn describe(&self, _: Family) -> String {
        String::new()
    }
}

impl Sink for Nobody {
    fn deliver(&mut self, _: Batch) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_measured_interval_has_each_check_once() {
        let cost = schedule_cost(10_000, Duration::from_secs(10));
        assert!((9_990..=10_010).contains(&cost.checks), "{cost:?}");
    }
}
