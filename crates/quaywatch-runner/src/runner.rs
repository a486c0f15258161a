//! The thread that turns the machine, and the handle by which it is told what to do.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use quaywatch_core::egress::EgressPolicy;
use quaywatch_core::schedule::Moment;
use quaywatch_core::{Clock, Job, MonitorId, Timestamp};
use quaywatch_probe::BulkStats;

use crate::config::RunnerConfig;
use crate::machine::{Machine, Order, Parts};
use crate::net::{self, NetParts};
use crate::sink::Sink;
use crate::stats::RunnerStats;

/// A runner at work. Cheap to clone; all clones are the same runner. It goes on until [`Runner::shutdown`].
#[derive(Clone)]
pub struct Runner(Arc<Shared>);

struct Shared {
    orders: Arc<Mutex<Vec<Order>>>,
    stop: Arc<AtomicBool>,
    thread: std::thread::Thread,
    handle: Mutex<Option<JoinHandle<()>>>,
    stats: Arc<RunnerStats>,
    bulk: Arc<BulkStats>,
}

impl Runner {
    /// Starts a runner without monitors.
    ///
    /// # Errors
    /// If the system gives no thread or no epoll instance.
    pub fn start(
        config: RunnerConfig,
        parts: &NetParts,
        clock: Arc<dyn Clock>,
        sink: Box<dyn Sink>,
    ) -> io::Result<Self> {
        let (ports, bulk) = net::ports(&config, parts, &clock)?;
        let stats = Arc::new(RunnerStats::default());
        let machine = Machine::new(
            Parts {
                config,
                ports,
                egress: parts.egress.clone(),
                descriptors: Some(parts.descriptors.clone()),
                sink,
                stats: Arc::clone(&stats),
            },
            read(&*clock),
        );
        let (orders, stop) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let handle = {
            let (orders, stop) = (Arc::clone(&orders), Arc::clone(&stop));
            let run = move || run(machine, &orders, &stop, &*clock);
            std::thread::Builder::new().name("runner".to_owned()).spawn(run)?
        };
        let thread = handle.thread().clone();
        Ok(Self(Arc::new(Shared { orders, stop, thread, handle: Mutex::new(Some(handle)), stats, bulk })))
    }

    /// Adds monitors, or takes over what changed of them. Those that did not change keep their slots.
    pub fn upsert(&self, jobs: Vec<Job>) {
        self.order(Order::Upsert(jobs));
    }

    /// Stops checking these; a check in flight yields nothing.
    pub fn remove(&self, monitors: Vec<MonitorId>) {
        self.order(Order::Remove(monitors));
    }

    /// Checks each not later than said, by the wall clock; its next slot may come first.
    pub fn recheck(&self, monitors: Vec<(MonitorId, Timestamp)>) {
        self.order(Order::Recheck(monitors));
    }

    /// Checks now; if a check is running, once more after it.
    pub fn check_now(&self, monitor: MonitorId) {
        self.order(Order::CheckNow(monitor));
    }

    /// Judges dials by another egress policy from now on.
    pub fn bind(&self, egress: EgressPolicy) {
        self.order(Order::Bind(egress));
    }

    /// Asks for every name afresh when it is next dialled.
    pub fn expire_names(&self) {
        self.order(Order::ExpireNames);
    }

    /// Readings.
    #[must_use]
    pub fn stats(&self) -> Arc<RunnerStats> {
        Arc::clone(&self.0.stats)
    }

    /// Readings of the bulk prober.
    #[must_use]
    pub fn bulk_stats(&self) -> Arc<BulkStats> {
        Arc::clone(&self.0.bulk)
    }

    /// Stops: checks in flight yield nothing; results that are known are delivered. Returns when the last one is.
    pub fn shutdown(&self) {
        self.0.stop.store(true, Ordering::Release);
        self.0.thread.unpark();
        let handle = self.0.handle.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(_)) = handle.map(JoinHandle::join) {
            tracing::error!("the runner's thread panicked");
        }
    }

    fn order(&self, order: Order) {
        self.0.orders.lock().unwrap_or_else(PoisonError::into_inner).push(order);
        self.0.thread.unpark();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

fn run(mut machine: Machine, orders: &Mutex<Vec<Order>>, stop: &AtomicBool, clock: &dyn Clock) {
    while !stop.load(Ordering::Acquire) {
        for order in std::mem::take(&mut *orders.lock().unwrap_or_else(PoisonError::into_inner)) {
            machine.order(order);
        }
        machine.fetch();
        let sleep = machine.turn(read(clock));
        if !sleep.is_zero() {
            std::thread::park_timeout(sleep);
        }
    }
    machine.finish();
}

fn read(clock: &dyn Clock) -> Moment {
    Moment { wall: clock.now(), boot: clock.boot() }
}
