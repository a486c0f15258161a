//! SQLite against the conformance suite, and what only SQLite has: the lock, the settings of its file, a second
//! process beside the server, moves that a crash cut in two, a full disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use quaywatch_core::{AccountId, BootTime, Clock, ErrorCode, MonitorId, ShardId, Timestamp};
use rusqlite::Connection;

use super::pieces::{self, Move};
use super::readers::Limit;
use super::{Options, SqliteStore, blocks, sort};
use crate::conformance::{
    self, Bench, CASES, HOUR, MINUTE, SECOND, at, commit, failed, ok, step, wait, window,
};
use crate::records::{EventRecord, IncidentFilter, ShardStep};
use crate::{Store, StoreError};

/// Wall time stands still; the time since boot goes on by a microsecond a look.
#[derive(Default)]
struct StillClock(AtomicU64);

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        at(0)
    }

    fn boot(&self) -> BootTime {
        BootTime(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(StillClock::default())
}

/// Tests need no ballast of 64 MiB each.
fn options() -> Options {
    Options { ballast_bytes: 0, ..Options::default() }
}

pub(super) fn serve(path: &Path) -> Arc<SqliteStore> {
    SqliteStore::open_serving_with(path, clock(), options()).expect("opens")
}

pub(super) fn beside(path: &Path) -> crate::Result<Arc<SqliteStore>> {
    SqliteStore::open_beside(path, clock())
}

pub(super) fn place() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

pub(super) fn database(place: &Path) -> Connection {
    Connection::open(place.join("quaywatch.db")).expect("opens")
}

#[test]
fn sqlite_passes_the_conformance_suite() {
    let places = place();
    for case in CASES {
        println!("{}", case.name);
        let place: PathBuf = places.path().join(case.name);
        (case.run)(&|| serve(&place));
    }
}

#[test]
fn the_file_is_made_as_it_can_never_be_changed_later() {
    let place = place();
    let store = SqliteStore::open_serving(place.path(), clock()).expect("opens");
    let connection = database(place.path());
    let pragma = |name: &str| -> String {
        connection
            .query_row(&format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}"), [], |row| row.get(0))
            .expect("a pragma")
    };
    assert_eq!(pragma("page_size"), "8192");
    assert_eq!(pragma("auto_vacuum"), "2", "incremental");
    assert_eq!(pragma("application_id"), 0x5157_4159.to_string());
    assert_eq!(pragma("user_version"), "2");
    assert_eq!(pragma("journal_mode"), "wal");
    let loose: Vec<String> = connection
        .prepare(
            "SELECT name FROM pragma_table_list t WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%'
             AND (NOT strict OR (wr AND EXISTS (SELECT 1 FROM pragma_table_info(t.name) WHERE type = 'BLOB')))",
        )
        .and_then(|mut s| s.query_map([], |row| row.get(0))?.collect())
        .expect("the list of tables");
    assert!(loose.is_empty(), "not strict, or a blob without a row id: {loose:?}");
    let ballast = std::fs::metadata(place.path().join("ballast")).expect("room put aside").len();
    assert_eq!(ballast, 64 << 20);
    drop(store);
}

#[test]
fn a_directory_is_served_once_until_it_is_closed() {
    let place = place();
    let first = serve(place.path());
    let refused =
        SqliteStore::open_serving_with(place.path(), clock(), options()).expect_err("served").to_string();
    assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
    // A handle that somebody still holds does not keep the directory.
    let account = first.account(AccountId::DEFAULT);
    wait(first.system().close()).expect("closes");
    let second = serve(place.path());
    assert!(matches!(wait(account.monitors()), Err(StoreError::Engine(_))));
    drop(second);
    serve(place.path());
}

#[test]
fn beside_a_server_others_read_and_write_but_never_checkpoint() {
    let place = place();
    let missing = beside(&place.path().join("nowhere")).expect_err("nothing there").to_string();
    assert!(missing.contains("quaywatch serve") && missing.contains("--data-dir"), "{missing}");
    let server = Bench::open(&|| serve(place.path()));
    let (id, shard) = server.one();
    commit(&shard, ShardStep { results: vec![ok(id, SECOND, 5)], ..step(id, 2 * SECOND) });
    let guest = Bench::open(&|| beside(place.path()).expect("opens"));
    assert_eq!(guest.slots(id, window(0, HOUR)), [SECOND]);
    let added = guest.add(&["by a guest"]);
    assert_eq!(
        wait(server.account.monitor_named("by a guest")).expect("read").map(|m| m.id),
        added.first().copied()
    );
    let grown = server.system.gauges().wal_bytes;
    assert!(grown > 0);
    drop(guest);
    assert_eq!(server.system.gauges().wal_bytes, grown);
    drop((shard, server));

    // Nor without a server, where it is the last to close.
    let guest = Bench::open(&|| beside(place.path()).expect("opens"));
    guest.add(&["without a server"]);
    let wal = guest.system.gauges().wal_bytes;
    assert!(wal > 0);
    drop(guest);
    assert_eq!(std::fs::metadata(place.path().join("quaywatch.db-wal")).expect("still there").len(), wal);
    let server = Bench::open(&|| serve(place.path()));
    assert_eq!(wait(server.account.monitors()).expect("monitors").len(), 3);
}

#[test]
fn another_schema_is_refused_by_its_number() {
    let place = place();
    drop(serve(place.path()));
    database(place.path()).pragma_update(None, "user_version", 7).expect("set");
    for refused in [beside(place.path()), SqliteStore::open_serving_with(place.path(), clock(), options())] {
        assert!(matches!(refused, Err(StoreError::Schema { found: 7, wanted: 2, .. })), "{refused:?}");
    }
    database(place.path()).pragma_update(None, "user_version", 0).expect("set");
    let refused = beside(place.path()).expect_err("older").to_string();
    assert!(refused.contains("version 0") && refused.contains("quaywatch serve"), "{refused}");
}

/// Does the first half of a move: the new rows are written, the old ones are still there, as after a crash.
fn half(store: &SqliteStore, moved: Move, route: pieces::Route) {
    let halved = Move { deletes: [].into(), ..moved };
    wait(halved.run(&store.0, route)).expect("written");
}

#[test]
fn a_move_that_a_crash_cut_in_two_loses_and_doubles_nothing() {
    let place = place();
    let store = serve(place.path());
    let bench = Bench::open(&|| Arc::clone(&store) as Arc<dyn Store>);
    let (id, shard) = bench.one();
    for i in 0..3 {
        let results = (0..5).map(|j| ok(id, i * MINUTE + j * 10 * SECOND, 5)).collect();
        commit(&shard, ShardStep { results, ..step(id, i * MINUTE + 55 * SECOND) });
    }
    let expected: Vec<i64> = (0..3).flat_map(|i| (0..5).map(move |j| i * MINUTE + j * 10 * SECOND)).collect();
    let check = || assert_eq!(bench.slots(id, window(0, HOUR)), expected);
    let sorted = wait(store.0.readers.read(Limit::None, move |c| sort::sort(c, at(HOUR).0))).expect("sorted");
    half(&store, sorted.expect("a minute").1, pieces::SORT);
    check();
    while wait(bench.system.sort_minutes(at(HOUR))).expect("sorted").is_some() {}
    check();
    let hour = at(0).millis() / HOUR;
    let shard_id = id.shard();
    let pack = move |c: &Connection| blocks::pack_hour(c, shard_id, hour);
    let (checks, moved) = wait(store.0.readers.read(Limit::None, pack)).expect("packed");
    assert_eq!((checks, moved.puts.len()), (15, 1));
    half(&store, moved, pieces::BLOCKS);
    check();
    // Once more: the block is there already, and stays as it is.
    let (_, moved) = wait(store.0.readers.read(Limit::None, pack)).expect("packed");
    assert!(moved.puts.is_empty() && !moved.deletes.is_empty());
    while wait(shard.write_blocks(at(3 * HOUR))).expect("packed").is_some() {}
    check();
}

#[test]
fn damaged_rows_are_named_to_who_reads_and_do_not_stop_upkeep() {
    let place = place();
    let bench = Bench::open(&|| serve(place.path()));
    let (id, shard) = bench.one();
    for i in 0..3 {
        commit(&shard, ShardStep { results: vec![ok(id, i * MINUTE, 5)], ..step(id, i * MINUTE + SECOND) });
    }
    database(place.path()).execute("UPDATE log SET data = x'0102030405' WHERE id = 2", []).expect("damaged");
    let refused = wait(bench.account.results(id, window(0, HOUR)));
    assert!(matches!(refused, Err(StoreError::Damaged { table: "log", .. })), "{refused:?}");
    while wait(bench.system.sort_minutes(at(HOUR))).expect("sorted").is_some() {}
    assert_eq!(bench.slots(id, window(0, HOUR)), [0, 2 * MINUTE]);
    database(place.path())
        .execute("UPDATE chunk SET data = x'ff' WHERE id = (SELECT min(id) FROM chunk)", [])
        .expect("damaged");
    while wait(shard.write_blocks(at(3 * HOUR))).expect("packed").is_some() {}
    assert_eq!(bench.slots(id, window(0, HOUR)), [2 * MINUTE]);
}

#[test]
fn a_query_without_an_end_is_stopped() {
    /// Every look at the clock is a second later.
    #[derive(Default)]
    struct Hasty(AtomicU64);
    impl Clock for Hasty {
        fn now(&self) -> Timestamp {
            at(0)
        }
        fn boot(&self) -> BootTime {
            BootTime(self.0.fetch_add(1_000_000, Ordering::Relaxed))
        }
    }
    let place = place();
    let store =
        SqliteStore::open_serving_with(place.path(), Arc::new(Hasty::default()), options()).expect("opens");
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    let run = move |c: &Connection| {
        c.query_row(endless, [], |row| row.get::<_, i64>(0)).map_err(super::error::engine)
    };
    let stopped = wait(store.0.readers.read(Limit::FiveSeconds, run));
    assert!(matches!(&stopped, Err(StoreError::Busy(why)) if why.contains("5 s")), "{stopped:?}");
    // The reader is as good as new.
    assert_eq!(wait(store.account(AccountId::DEFAULT).monitors()), Ok(Vec::new()));
}

/// A small disk of the test's own, seen by this thread and those that it starts; gone with them.
fn small_disk(at: &Path, megabytes: u32) {
    let done = unshare(CloneFlags::CLONE_NEWNS)
        .and_then(|()| {
            mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        })
        .and_then(|()| {
            mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::empty(), Some(&*format!("size={megabytes}m")))
        });
    done.expect("a file system of the test's own needs root, or `scripts/without-root cargo test …`");
}

/// Fills the disk until `left` bytes are free.
fn fill(place: &Path, name: &str, left: u64) {
    let stat = nix::sys::statvfs::statvfs(place).expect("a disk");
    let free = stat.blocks_available() * stat.fragment_size();
    let file = std::fs::File::create(place.join(name)).expect("made");
    nix::fcntl::posix_fallocate(&file, 0, (free - left) as i64).expect("room");
}

/// A step with a result and `kilobytes` of decisions.
fn heavy_step(id: MonitorId, n: i64, kilobytes: usize) -> ShardStep {
    let mut heavy = step(id, n * SECOND);
    heavy.results.push(failed(id, n * SECOND, ErrorCode::TcpRefused));
    heavy.incidents.push(conformance::incident(n as u8, id, n * SECOND));
    let snapshot = "x".repeat(kilobytes << 10);
    heavy.events.push(EventRecord { snapshot, ..conformance::event(n as u8, 0, n * SECOND) });
    heavy
}

#[test]
fn on_a_full_disk_raw_results_go_first_decisions_last_and_all_comes_back() {
    // On a thread of its own, as the file system belongs to the thread.
    let place = place();
    let mountpoint = place.path().to_owned();
    std::thread::spawn(move || {
        let place = mountpoint.as_path();
        small_disk(place, 96);
        let data = place.join("data");
        let options = Options { ballast_bytes: 8 << 20, ..Options::default() };
        let bench =
            Bench::open(&|| SqliteStore::open_serving_with(&data, clock(), options.clone()).expect("opens"));
        let (id, shard) = bench.one();
        commit(&shard, heavy_step(id, 1, 1));
        assert!(data.join("ballast").exists());
        assert!(!bench.system.gauges().shedding);

        // Nearly full: less than five percent.
        fill(place, "first", 3 << 20);
        commit(&shard, heavy_step(id, 2, 1));
        let gauges = bench.system.gauges();
        assert!(gauges.shedding && gauges.shed_results == 1, "{gauges:?}");
        assert!(data.join("ballast").exists());

        // Full: the ballast makes room for decisions.
        let mut n = 3;
        while data.join("ballast").exists() {
            commit(&shard, heavy_step(id, n, 512));
            n += 1;
            assert!(n < 30, "the disk never filled up");
        }
        // Full again: nothing helps, the step comes back whole.
        fill(place, "second", 0);
        let refused = loop {
            match wait(shard.commit(Box::new(heavy_step(id, n, 512)))) {
                Ok(()) => n += 1,
                Err(refused) => break refused,
            }
            assert!(n < 60, "the disk never filled up");
        };
        assert!(matches!(refused.error, StoreError::Full(_)), "{}", refused.error);
        assert!(refused.error.is_transient());
        assert_eq!((refused.step.results.len(), refused.step.events.len()), (1, 1));

        // Room again: the same step is written, results are recorded, and room is put aside.
        for name in ["first", "second"] {
            std::fs::remove_file(place.join(name)).expect("there");
        }
        wait(shard.commit(refused.step)).expect("committed");
        assert!(!bench.system.gauges().shedding);
        assert!(data.join("ballast").exists());
        drop(shard);
        bench.close();
        let bench =
            Bench::open(&|| SqliteStore::open_serving_with(&data, clock(), options.clone()).expect("opens"));
        let incidents = wait(bench.account.incidents(IncidentFilter::default())).expect("incidents");
        assert_eq!(incidents.len() as i64, n, "every decision is there");
        assert_eq!(bench.slots(id, window(0, HOUR)), [SECOND, n * SECOND]);
    })
    .join()
    .expect("the thread's own assertions");
}

#[test]
fn pieces_of_upkeep_are_small() {
    // What a piece holds, whatever is to be moved: the time that follows from it is measured by the benchmark.
    let place = place();
    let bench = Bench::open(&|| serve(place.path()));
    let names: Vec<String> = (0..6_400).map(|i| format!("host-{i}")).collect();
    let ids = bench.add(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let shards: Vec<_> = ShardId::all().map(|shard| bench.own(shard.0)).collect();
    for minute in 0..10 {
        for (shard, handle) in shards.iter().enumerate() {
            let own = ids.iter().filter(|id| usize::from(id.shard().0) == shard);
            let results = own.map(|id| ok(*id, minute * MINUTE + id.0, 800)).collect();
            commit(
                handle,
                ShardStep {
                    results,
                    ..ShardStep::new(ShardId(shard as u8), at(minute * MINUTE + 30 * SECOND))
                },
            );
        }
    }
    let before = bench.system.gauges().upkeep_times.count();
    let done = wait(bench.system.sort_minutes(at(HOUR))).expect("sorted").expect("a minute");
    assert_eq!(done.checks, 6_400);
    let pieces = bench.system.gauges().upkeep_times.count() - before;
    assert!(pieces >= 1 && done.bytes / pieces < 1 << 20, "{pieces} pieces for {} bytes", done.bytes);
    let retention = crate::records::Retention { bin: Duration::ZERO, ..crate::records::Retention::default() };
    let report = wait(bench.system.retain(retention, at(HOUR))).expect("deleted");
    assert!(report.more && report.deleted <= 8 * 256, "{report:?}");
}

#[test]
fn who_looks_learns_whether_a_server_runs_and_keeps_none_from_starting() {
    let place = place();
    let server = serve(place.path());
    let looker = beside(place.path()).expect("opens");
    assert!(looker.is_served());
    drop(server);
    assert!(!looker.is_served());
    let _again = serve(place.path());
    assert!(looker.is_served());
}
