//! What a check costs on disk and in CPU time: two simulated hours of checks through the real store.
//!
//! `cargo run --release -p quaywatch-store --example bytes_per_check -- [MONITORS [INTERVAL_S [GROUP_MS]]]` prints the growth of
//! the database over the second hour by check, and the CPU time of each phase by result. Without arguments it runs
//! the three intervals of the targets: at most 3 bytes at 60 s, at most 2 at 10 s, and 300 s for comparison.

#![expect(clippy::print_stdout, reason = "a report for people")]

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use quaywatch_core::meter::{BOUNDS_US, HistogramReading};
use quaywatch_core::{
    AccountId, BootTime, CheckResult, Clock, ErrorCode, LocationId, MonitorId, ResultFlags, ShardId,
    Timestamp,
};
use quaywatch_store::records::{ChangeSet, Owner, ResourceChange, ShardStep};
use quaywatch_store::{ShardStore, SqliteStore, Store, SystemStore};

/// 2026-05-01T00:00:00Z.
const START_MS: i64 = 1_777_593_600_000;
const HOUR_MS: i64 = 3_600_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<i64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let group_ms = arguments.get(2).copied().unwrap_or(1_000);
    match *arguments.as_slice() {
        [monitors, interval_s, ..] => simulate(monitors, interval_s, group_ms),
        [monitors] => simulate(monitors, 60, group_ms),
        [] => [(20_000, 60), (4_000, 10), (20_000, 300)]
            .iter()
            .try_for_each(|(n, s)| simulate(*n, *s, group_ms)),
    }
}

/// Wall time as the simulation says; time since boot is the machine's, so that pieces of upkeep are measured.
struct SimulatedClock(AtomicI64);

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }

    fn boot(&self) -> BootTime {
        let clock = nix::time::ClockId::CLOCK_BOOTTIME;
        let now = nix::time::clock_gettime(clock).expect("the clock can be read");
        BootTime(now.tv_sec() as u64 * 1_000_000 + now.tv_nsec() as u64 / 1_000)
    }
}

/// CPU time by phase.
#[derive(Default)]
struct Phase {
    cpu: Duration,
    checks: u64,
}

impl Phase {
    fn measure<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let before = cpu();
        let value = work();
        self.cpu += cpu() - before;
        value
    }

    fn per_check(&self) -> String {
        format!("{:.3} µs", self.cpu.as_secs_f64() * 1e6 / self.checks.max(1) as f64)
    }
}

fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("our own usage can be read");
    [usage.user_time(), usage.system_time()]
        .iter()
        .map(|t| Duration::new(t.tv_sec() as u64, t.tv_usec() as u32 * 1_000))
        .sum()
}

fn simulate(monitors: i64, interval_s: i64, group_ms: i64) -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir_in(".")?;
    let clock = Arc::new(SimulatedClock(AtomicI64::new(START_MS)));
    let store = SqliteStore::open_serving(directory.path(), Arc::clone(&clock) as Arc<dyn Clock>)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut apply = Phase::default();
    apply.measure(|| runtime.block_on(add_monitors(&*store, monitors)))?;
    apply.checks = monitors as u64;
    let system = store.system();
    let mut shards = Vec::new();
    for shard in ShardId::all() {
        let fence = runtime.block_on(system.claim(shard))?;
        shards.push(store.shard(shard, fence));
    }

    let mut load = Phase { checks: monitors as u64, ..Phase::default() };
    for shard in &shards {
        load.measure(|| runtime.block_on(shard.load()))?;
    }
    let import = system.gauges().upkeep_times;
    let mut lan = Lan(0x9e37_79b9_7f4a_7c15);
    let schedule = schedule(monitors, interval_s * 1_000);
    let (mut commit, mut sort, mut blocks) = (Phase::default(), Phase::default(), Phase::default());
    let mut size_after_first = 0;
    for from_ms in (0..2 * HOUR_MS).step_by(group_ms as usize) {
        let now_ms = START_MS + from_ms + group_ms;
        clock.0.store(now_ms, Ordering::Relaxed);
        let steps = steps(&schedule, interval_s * 1_000, from_ms..from_ms + group_ms, &mut lan);
        commit.checks += steps.iter().map(|step| step.results.len() as u64).sum::<u64>();
        commit.measure(|| runtime.block_on(commit_all(&shards, steps)))?;
        if (from_ms + group_ms) % 60_000 == 0 {
            let now = Timestamp::from_millis(now_ms);
            upkeep(&runtime, &*system, &shards, now, (&mut sort, &mut blocks))?;
        }
        if from_ms + group_ms == HOUR_MS {
            size_after_first = system.gauges().bytes;
        }
    }
    let grown = system.gauges().bytes - size_after_first;
    let gauges = system.gauges();
    runtime.block_on(system.close())?;
    println!(
        "{monitors} monitors at {interval_s} s, a commit each {group_ms} ms: {} checks in two hours",
        commit.checks
    );
    println!(
        "  disk      {:.2} bytes a check (growth over the second hour)",
        grown as f64 / (commit.checks as f64 / 2.0)
    );
    println!("  commit    {} of CPU a result", commit.per_check());
    println!("  sort      {}", sort.per_check());
    println!("  blocks    {} ({} checks packed)", blocks.per_check(), blocks.checks);
    let life = [&commit, &sort, &blocks]
        .iter()
        .map(|p| p.cpu.as_secs_f64() * 1e6 / p.checks.max(1) as f64)
        .sum::<f64>();
    println!("  in all    {life:.3} µs over the life of a result");
    println!("  a monitor is put in {}, loaded in {}", apply.per_check(), load.per_check());
    println!(
        "  the writer    {} of {} pieces of upkeep held it for more than 50 ms (the import apart); longest commit {:.1} ms",
        long(&gauges.upkeep_times) - long(&import),
        gauges.upkeep_times.count() - import.count(),
        gauges.commit_times.max_us as f64 / 1e3,
    );
    Ok(())
}

/// How many took more than 50 ms.
fn long(times: &HistogramReading) -> u64 {
    times
        .buckets
        .iter()
        .zip(BOUNDS_US.iter().chain([&u64::MAX]))
        .filter(|(_, bound)| **bound > 50_000)
        .map(|(n, _)| n)
        .sum()
}

fn upkeep(
    runtime: &tokio::runtime::Runtime,
    system: &dyn SystemStore,
    shards: &[Arc<dyn ShardStore>],
    now: Timestamp,
    (sort, blocks): (&mut Phase, &mut Phase),
) -> quaywatch_store::Result<()> {
    while let Some(done) = sort.measure(|| runtime.block_on(system.sort_minutes(now)))? {
        sort.checks += done.checks;
    }
    for shard in shards {
        while let Some(done) = blocks.measure(|| runtime.block_on(shard.write_blocks(now)))? {
            blocks.checks += done.checks;
        }
    }
    Ok(())
}

async fn add_monitors(store: &dyn Store, monitors: i64) -> quaywatch_store::Result<()> {
    let changes = (0..monitors)
        .map(|i| ResourceChange::PutMonitor {
            key: format!("host-{i:07}"),
            name: format!("host-{i:07}"),
            spec: format!(
                r#"{{"name":"host-{i:07}","monitor_type":"tcp","host":"10.{}.{}.{}","port":5432}}"#,
                i >> 16,
                i >> 8 & 255,
                i & 255
            ),
        })
        .collect();
    let set = ChangeSet { owner: Owner::File, actor: "file".into(), changes, accepted: None };
    store.account(AccountId::DEFAULT).apply(set, Timestamp::from_millis(START_MS)).await?;
    Ok(())
}

/// (phase in milliseconds, monitor), by phase.
fn schedule(monitors: i64, interval_ms: i64) -> Vec<(i64, MonitorId)> {
    let mut schedule: Vec<_> = (1..=monitors)
        .map(|id| {
            let mut rng = Lan(id as u64);
            let phase = (u128::from(rng.bits()) * interval_ms as u128) >> 64;
            (phase as i64, MonitorId(id))
        })
        .collect();
    schedule.sort_unstable();
    schedule
}

/// The steps of all shards for the slots of a window, which is not longer than an interval.
fn steps(
    schedule: &[(i64, MonitorId)],
    interval_ms: i64,
    window: std::ops::Range<i64>,
    lan: &mut Lan,
) -> Vec<ShardStep> {
    let at = Timestamp::from_millis(START_MS + window.end);
    let mut steps: Vec<_> = ShardId::all().map(|shard| ShardStep::new(shard, at)).collect();
    // START_MS lies on the grid of every interval that divides an hour.
    let (from, base) = (window.start % interval_ms, window.start - window.start % interval_ms);
    let first = schedule.partition_point(|(phase, _)| *phase < from);
    let last = schedule.partition_point(|(phase, _)| *phase < from + window.end - window.start);
    for (phase, monitor) in &schedule[first..last] {
        steps[usize::from(monitor.shard().0)].results.push(CheckResult {
            monitor: *monitor,
            slot: Timestamp::from_millis(START_MS + base + phase),
            location: LocationId::LOCAL,
            epoch: quaywatch_core::Epoch::default(),
            code: ErrorCode::Ok,
            flags: ResultFlags::default(),
            syn_retransmits: 0,
            latency_us: NonZeroU32::new(lan.latency()),
            dns_us: 0,
            elapsed_us: 0,
            evidence: None,
        });
    }
    steps
}

async fn commit_all(shards: &[Arc<dyn ShardStore>], steps: Vec<ShardStep>) -> quaywatch_store::Result<()> {
    let under_way: Vec<_> = shards
        .iter()
        .zip(steps)
        .filter(|(_, step)| !step.is_empty())
        .map(|(shard, step)| shard.commit(Box::new(step)))
        .collect();
    for commit in under_way {
        commit.await.map_err(|failed| failed.error)?;
    }
    Ok(())
}

/// A local network: median 800 µs, lognormal with σ 0.15, one in a hundred up to ten times as slow. Seeded.
struct Lan(u64);

impl Lan {
    /// splitmix64
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn latency(&mut self) -> u32 {
        let normal =
            (-2.0 * self.unit().max(1e-12).ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos();
        let usual = 800.0 * (0.15 * normal).exp();
        let spike = if self.bits().is_multiple_of(100) { 1.0 + 9.0 * self.unit() } else { 1.0 };
        (usual * spike) as u32
    }
}
