//! How long pages of monitors take in an account of a hundred thousand, through the real store: run with `--release`,
//! the directory as the first argument. Fails when a page that has a promise breaks it.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quaywatch_core::judge::Status;
use quaywatch_core::{AccountId, BootTime, Clock, ErrorCode, ShardId, Timestamp};
use quaywatch_store::records::{
    ChangeSet, MonitorFilter, MonitorQuery, MonitorSort, Owner, ResourceChange, ShardStep, StateWrite,
    TagFilter,
};
use quaywatch_store::{SqliteStore, Store};

const MONITORS: i64 = 100_000;
const RUNS: usize = 300;
/// What a first page may take, at its slowest but one in a hundred.
const PROMISE: Duration = Duration::from_millis(20);

/// The system's, for this measurement.
struct Real(Instant);

impl Clock for Real {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_777_593_600_000)
    }

    fn boot(&self) -> BootTime {
        BootTime(self.0.elapsed().as_micros() as u64 + 1)
    }
}

#[expect(clippy::disallowed_methods, reason = "a measurement by the system's own clock")]
fn now() -> Instant {
    Instant::now()
}

fn main() -> ExitCode {
    let directory = std::env::args().nth(1).unwrap_or_else(|| "/tmp/monitor_page".to_owned());
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime for one thread");
    match runtime.block_on(measure(directory.as_ref())) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            show(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "figures are what this is for")]
fn show(line: &str) {
    println!("{line}");
}

async fn measure(directory: &std::path::Path) -> quaywatch_store::Result<bool> {
    let store: Arc<dyn Store> = SqliteStore::open_serving(directory, Arc::new(Real(now())))?;
    fill(&*store).await?;
    judge(&*store).await?;
    let account = store.account(AccountId::DEFAULT);
    let mut kept = true;
    for (name, query, promised) in queries() {
        let mut times = Vec::with_capacity(RUNS);
        let mut items = 0;
        for _ in 0..RUNS {
            let started = now();
            items = account.monitor_page(query.clone()).await?.items.len();
            times.push(started.elapsed());
        }
        times.sort_unstable();
        let (half, most) = (times[RUNS / 2], times[RUNS * 99 / 100]);
        let broken = promised && most >= PROMISE;
        kept &= !broken;
        show(&format!("{name:34} {items:4} rows  p50 {half:9.2?}  p99 {most:9.2?}{}", mark(broken)));
    }
    let once = |name: &str, took: Duration| show(&format!("{name:34}            once {took:9.2?}"));
    once("status counts", time(async { account.status_counts().await }).await?);
    once("groups", time(async { account.groups().await }).await?);
    once("tags", time(async { account.tags().await }).await?);
    Ok(kept)
}

const fn mark(broken: bool) -> &'static str {
    if broken { "  too slow" } else { "" }
}

async fn time<T>(
    work: impl Future<Output = quaywatch_store::Result<T>>,
) -> quaywatch_store::Result<Duration> {
    let started = now();
    work.await?;
    Ok(started.elapsed())
}

/// (what, query, whether it has a promise)
fn queries() -> Vec<(&'static str, MonitorQuery, bool)> {
    let any = MonitorQuery::default;
    let all = MonitorFilter::default;
    let search = |text: &str| MonitorFilter { search: Some(text.to_owned()), ..all() };
    let sorted = |sort| MonitorQuery { sort, ..any() };
    let by_name = |filter| MonitorQuery { filter, ..sorted(MonitorSort::Name) };
    let tag = |name: &str, value: Option<&str>| MonitorFilter {
        tags: vec![TagFilter { name: name.to_owned(), value: value.map(str::to_owned) }],
        ..all()
    };
    vec![
        ("first page by id", any(), true),
        ("first page by name", sorted(MonitorSort::Name), true),
        ("first page, trouble first", sorted(MonitorSort::Status), true),
        (
            "first page, changed last first",
            MonitorQuery { descending: true, ..sorted(MonitorSort::Since) },
            true,
        ),
        ("status down", MonitorFilter { statuses: vec![Status::Down], ..all() }.into(), true),
        ("status up, by name", by_name(MonitorFilter { statuses: vec![Status::Up], ..all() }), true),
        ("text of one monitor", search("db 099999").into(), true),
        ("text of 20 monitors", search("HOST-04999.").into(), true),
        ("text of a fifth, by name", by_name(search("orders")), true),
        ("text of none", search("zebra crossing").into(), true),
        ("two letters that are frequent", search("db").into(), true),
        ("two letters of none", search("qz").into(), false),
        ("tag of a tenth", tag("team", Some("t7")).into(), true),
        ("tag of 100", tag("rack", Some("r777")).into(), true),
        ("tag of all, any value", tag("team", None).into(), true),
        (
            "group of 2,000 and below",
            MonitorFilter { group: Some("prod/7".to_owned()), ..all() }.into(),
            true,
        ),
        ("port, by name", by_name(MonitorFilter { port: Some(443), ..all() }), false),
        ("port of none", MonitorFilter { port: Some(9), ..all() }.into(), false),
        (
            "down, with a tag, by name",
            by_name(MonitorFilter { statuses: vec![Status::Down], ..tag("team", Some("t7")) }),
            true,
        ),
    ]
}

async fn fill(store: &dyn Store) -> quaywatch_store::Result<()> {
    let account = store.account(AccountId::DEFAULT);
    if account.counts().await?.monitors > 0 {
        return Ok(());
    }
    let mut all: Vec<ResourceChange> = (0..MONITORS).map(monitor).collect();
    let mut longest = Duration::ZERO;
    for piece in [100_usize; 100] {
        let changes = all.drain(..piece).collect();
        let set = ChangeSet { owner: Owner::Api, actor: "user:u1".into(), changes, accepted: None };
        longest = longest.max(time(account.apply(set, Timestamp::from_millis(0))).await?);
    }
    show(&format!("{:34}         longest {longest:9.2?}", "10,000 added, 100 at a time"));
    let rest = all.len();
    let set = ChangeSet { owner: Owner::Api, actor: "user:u1".into(), changes: all, accepted: None };
    let took = time(account.apply(set, Timestamp::from_millis(0))).await?;
    show(&format!("{rest} added at once                       {took:9.2?}"));
    Ok(())
}

fn monitor(i: i64) -> ResourceChange {
    const WORDS: [&str; 5] = ["orders", "users", "billing", "search", "mail"];
    const KINDS: [&str; 3] = ["db", "api", "cache"];
    let (word, kind) = (WORDS[(i % 5) as usize], KINDS[(i % 3) as usize]);
    let name = format!("{word} {kind} {i:06}");
    let spec = format!(
        r#"{{"name":"{name}","monitor_type":"tcp","host":"host-{:05}.eu.example.com","port":{},"check_interval":60,"channels":["ops"],"group":"prod/{}/{}","tags":{{"rack":"r{}","team":"t{}","tier":"{kind}"}}}}"#,
        i % 5_000,
        [22, 443, 5_432][(i % 3) as usize],
        i % 50,
        i % 7,
        i % 1_000,
        i % 10,
    );
    ResourceChange::AddMonitor { key: name.clone(), name, spec }
}

/// One in two hundred is down, one in a thousand unknown, all else up.
async fn judge(store: &dyn Store) -> quaywatch_store::Result<()> {
    let system = store.system();
    let started = now();
    for shard in ShardId::all() {
        let handle = store.shard(shard, system.claim(shard).await?);
        let mut step = ShardStep::new(shard, Timestamp::from_millis(1_000));
        for monitor in handle.load().await?.monitors {
            let (status, code) = match monitor.id.0 % 1_000 {
                0 => (Status::Unknown, ErrorCode::SelfNetwork),
                n if n % 200 == 7 => (Status::Down, ErrorCode::TcpRefused),
                _ => (Status::Up, ErrorCode::Ok),
            };
            let since = Timestamp::from_millis(monitor.id.0.wrapping_mul(7_919) % 1_000_000);
            step.states.push(StateWrite {
                monitor: monitor.id,
                status,
                since,
                code,
                state: Some(vec![0; 24]),
            });
        }
        handle.commit(Box::new(step)).await.map_err(|failed| failed.error)?;
    }
    show(&format!("{:34}                 {:9.2?}", "all judged, 64 steps", started.elapsed()));
    Ok(())
}
