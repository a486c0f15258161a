//! The runner without its thread: what is due, who goes, what came back, and what it means. It reads no clock and
//! waits for nothing; the loop hands it the time and what has arrived, and it hands out dials, questions and batches.
//! So a day of a million monitors can be run in a test.
//!
//! One turn: has time stood still or jumped → what came back → orders → what is due → who may go → what leaves.

mod aloft;
mod budget;
mod check;
mod conclude;
mod due;
mod fair;
mod flight;
mod lines;
mod names;
mod orders;
mod room;
mod roster;
mod sharing;
mod sight;
#[cfg(test)]
mod tests;
mod turns;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::egress::EgressPolicy;
use quaywatch_core::health::{Family, Health, Look, Suspicion};
use quaywatch_core::schedule::{Millis, Moment, Timeline, Wheel};
use quaywatch_core::{BootTime, CheckResult, Plan, Timestamp};
use quaywatch_net::{Answer, Descriptors};

use crate::config::RunnerConfig;
use crate::ports::{Dial, Ports, Question, Report};
use crate::sink::{Sight, Sink};
use crate::stats::RunnerStats;
use aloft::Aloft;
use budget::Budgets;
use fair::Fair;
use flight::{Flights, Token};
use lines::Lines;
use names::NameTable;
pub(crate) use orders::Order;
use room::Room;
use roster::Roster;
use sharing::Sharing;

/// How long the loop may sleep while nothing is due: it must notice that the clock was set.
const IDLE_SLEEP: Duration = Duration::from_millis(250);

/// The moment that a turn happens at.
#[derive(Debug, Clone, Copy)]
struct Now {
    boot: BootTime,
    /// The schedule's time, and the same in its milliseconds.
    at: Timestamp,
    ms: Millis,
}

/// Everything that a runner knows.
pub(crate) struct Machine {
    config: RunnerConfig,
    ports: Ports,
    stats: Arc<RunnerStats>,
    sink: Box<dyn Sink>,
    now: Now,
    timeline: Timeline,
    wheel: Wheel,
    roster: Roster,
    names: NameTable,
    sharing: Sharing,
    flights: Flights,
    /// Plain checks in flight, and those that talk.
    aloft: [Aloft; 2],
    room: Room,
    /// The last check that had to wait did so for want of descriptors.
    starved: bool,
    /// Plain checks and those that talk wait apart: each has its own bound.
    lanes: [Fair; 2],
    budgets: Option<Budgets>,
    lines: Lines,
    staggers: BTreeMap<(BootTime, Token), ()>,
    health: Health,
    suspicion: Suspicion,
    looks: Looks,
    orders: VecDeque<Order>,
    /// Until when newly added monitors have had their first look spread.
    first_looks: Millis,
    swept: BootTime,
    arrived: Arrived,
    leaving: Leaving,
    due: Vec<(u32, Millis)>,
}

/// What came back since the last turn.
#[derive(Default)]
struct Arrived {
    reports: Vec<Report>,
    answers: Vec<(Question, Answer)>,
    looks: Vec<(Family, Look)>,
}

/// What goes out with this turn.
#[derive(Default)]
struct Leaving {
    dials: Vec<Dial>,
    talks: Vec<(Dial, Arc<Plan>)>,
    results: Vec<CheckResult>,
    sight: Vec<Sight>,
    /// When the first of the results came to be known.
    since: BootTime,
    /// There is something that must not wait.
    urgent: bool,
    last: BootTime,
}

/// Looks at the anchors, and the failures that wait for them.
#[derive(Default)]
struct Looks {
    families: [OneLook; 2],
}

#[derive(Default)]
struct OneLook {
    wanted: bool,
    /// The one that is under way was wanted by nobody.
    learns: bool,
    begun: Option<BootTime>,
    last: BootTime,
    held: Vec<Token>,
}

impl Looks {
    const fn of(&mut self, family: Family) -> &mut OneLook {
        match family {
            Family::V4 => &mut self.families[0],
            Family::V6 => &mut self.families[1],
        }
    }
}

/// What the machine is made of.
pub(crate) struct Parts {
    pub(crate) config: RunnerConfig,
    pub(crate) ports: Ports,
    pub(crate) egress: EgressPolicy,
    pub(crate) descriptors: Option<Descriptors>,
    pub(crate) sink: Box<dyn Sink>,
    pub(crate) stats: Arc<RunnerStats>,
}

impl Machine {
    pub(crate) fn new(parts: Parts, start: Moment) -> Self {
        let Parts { config, ports, egress, descriptors, sink, stats } = parts;
        let now = Now { boot: start.boot, at: start.wall, ms: start.wall.millis() };
        Self {
            timeline: Timeline::new(start, config.step_after),
            wheel: Wheel::new(now.ms),
            roster: Roster::new(egress),
            names: NameTable::default(),
            sharing: Sharing::new(config.share),
            flights: Flights::default(),
            aloft: [Aloft::default(), Aloft::default()],
            room: Room::new(descriptors),
            starved: false,
            lanes: [Fair::default(), Fair::default()],
            budgets: config.budget.map(Budgets::new),
            lines: Lines::default(),
            staggers: BTreeMap::new(),
            health: Health::default(),
            suspicion: Suspicion::default(),
            looks: Looks::default(),
            orders: VecDeque::new(),
            first_looks: now.ms,
            swept: now.boot,
            arrived: Arrived::default(),
            leaving: Leaving::default(),
            due: Vec::new(),
            config,
            ports,
            stats,
            sink,
            now,
        }
    }

    /// Fetches what has arrived. The clocks must be read after this and before [`Machine::turn`]: what is fetched
    /// after the process was stopped is then known to be so.
    pub(crate) fn fetch(&mut self) {
        self.ports.prober.drain(&mut self.arrived.reports);
        self.ports.names.drain(&mut self.arrived.answers);
        self.ports.anchors.drain(&mut self.arrived.looks);
    }

    /// Takes an order; it is carried out with the next turns.
    pub(crate) fn order(&mut self, order: Order) {
        self.orders.push_back(order);
    }

    /// One turn, at `moment`. Returns how long the loop may sleep if nothing arrives.
    pub(crate) fn turn(&mut self, moment: Moment) -> Duration {
        self.notice_gaps(moment);
        self.take_arrived();
        self.carry_out();
        self.sweep();
        self.next_addresses();
        self.take_turns();
        self.take_due();
        self.admit();
        self.send();
        self.deliver(false);
        self.gauge();
        self.sleep()
    }

    /// Sends what is left to the sink; the last act.
    pub(crate) fn finish(&mut self) {
        self.ports.prober.cancel_all();
        self.deliver(true);
    }

    fn take_arrived(&mut self) {
        let mut arrived = std::mem::take(&mut self.arrived);
        for (question, answer) in arrived.answers.drain(..) {
            self.resolved(question, &answer);
        }
        for (family, look) in arrived.looks.drain(..) {
            self.looked(family, look);
        }
        for report in arrived.reports.drain(..) {
            self.reported(report);
        }
        self.arrived = arrived;
    }

    /// Hands out dials, questions and looks.
    fn send(&mut self) {
        if !self.leaving.dials.is_empty() {
            let dials = std::mem::take(&mut self.leaving.dials);
            self.leaving.dials.reserve(dials.len());
            self.ports.prober.submit(dials);
        }
        for (dial, plan) in self.leaving.talks.drain(..) {
            self.ports.prober.talk(dial, &plan);
        }
        self.names.ask(self.config.max_resolving, &mut *self.ports.names);
        self.look();
    }

    fn gauge(&self) {
        let gauge = |gauge: &quaywatch_core::meter::Gauge, n: usize| {
            gauge.set(i64::try_from(n).unwrap_or(i64::MAX));
        };
        gauge(&self.stats.monitors, self.roster.len());
        gauge(&self.stats.in_flight, self.flights.len());
        gauge(&self.stats.dialogues, self.aloft[1].total());
        gauge(&self.stats.queued, self.lanes.iter().map(Fair::len).sum::<usize>() + self.lines.ready());
        gauge(&self.stats.resolving, self.names.pending());
        gauge(&self.stats.held, self.looks.families.iter().map(|look| look.held.len()).sum());
        self.stats.blind.set(i64::from(self.health.is_blind()));
    }

    fn sleep(&self) -> Duration {
        let busy = self.flights.len() > 0
            || self.lanes.iter().any(|lane| !lane.is_empty())
            || self.lines.ready() > 0
            || !self.leaving.results.is_empty();
        if !self.orders.is_empty() {
            Duration::ZERO
        } else if busy {
            self.config.tick
        } else {
            let quiet = self.wheel.quiet_until(Millis::try_from(IDLE_SLEEP.as_millis()).unwrap_or(250));
            Duration::from_millis(u64::try_from(quiet - self.now.ms).unwrap_or(0))
                .max(Duration::from_millis(1))
        }
    }
}
