//! Data that the first version wrote goes on with this one: every table of schema 1 is filled by hand, the directory is
//! opened, and everything must be where it was, be read by every call, and go on as if nothing had happened.

mod old;

use quaywatch_core::judge::{CloseReason, Status};
use quaywatch_core::{AccountId, ErrorCode, LocationId, MonitorId, ShardId};

use self::old::{
    CACHE, GONE, GUESTS, MANY, NIGHTLY, ORDERS, ORDERS_SPEC, SHOP, WEEKS, block_rows, chunk_rows,
    closed_events, closed_incident, closed_interval, columns_of_1, day_rows, degraded_interval, dump,
    log_rows, notice, old, open_incident, open_interval, removed_incident,
};
use super::migrate;
use super::tests::{database, place, serve};
use crate::StoreError;
use crate::blocks::key::DAY_MS;
use crate::conformance::{
    Bench, DAY, HOUR, MINUTE, OPS, SECOND, at, commit, event, file_change, incident_id, ok, put, state, step,
    wait, window,
};
use crate::records::{
    AuditFilter, BlindChange, DeliveryState, DeliveryUpdate, IncidentFilter, IncidentRecord, IntervalFilter,
    IntervalWrite, MonitorFilter, MonitorQuery, MonitorSort, OutboxWrite, Owner, Retention, ShardStep,
    StatusCounts, TagFilter, Window,
};

#[test]
fn everything_of_schema_1_is_there_in_schema_2() {
    let place = place();
    let before = old(place.path());
    let empty: Vec<&String> =
        before.iter().filter(|(_, rows)| rows.is_empty()).map(|(table, _)| table).collect();
    assert!(empty.is_empty(), "a table that shows nothing: {empty:?}");
    assert!(before.len() >= 24, "{:?}", before.keys());
    drop(serve(place.path()));
    let connection = database(place.path());
    for (table, rows) in &before {
        assert_eq!(&dump(&connection, table, &columns_of_1(table)), rows, "{table}");
    }
    let broken: Vec<String> = connection
        .prepare(
            "SELECT \"table\" FROM pragma_foreign_key_check UNION ALL
                  SELECT integrity_check FROM pragma_integrity_check WHERE integrity_check != 'ok'",
        )
        .and_then(|mut s| s.query_map([], |row| row.get(0))?.collect())
        .expect("checked");
    assert!(broken.is_empty(), "{broken:?}");
}

#[test]
fn monitors_of_schema_1_are_listed_counted_and_found() {
    let place = place();
    old(place.path());
    let bench = Bench::open(&|| serve(place.path()));
    let all = wait(bench.account.monitors()).expect("monitors");
    assert_eq!(ids(all.iter().map(|one| one.id)), [1, 2, 4, 6, 65]);
    assert_eq!(
        (all[0].name.as_str(), all[0].spec.as_str(), all[0].revision),
        ("orders database", ORDERS_SPEC, 2)
    );
    assert_eq!(all[0].created_at, at(WEEKS));
    assert_eq!((all[2].paused, &all[3].owner), (true, &Owner::Apply("ci".to_owned())));

    let find_by = |query: MonitorQuery| {
        let page = wait(bench.account.monitor_page(query)).expect("a page");
        ids(page.items.iter().map(|row| row.monitor.id))
    };
    let find = |filter: MonitorFilter| find_by(filter.into());
    let any = MonitorFilter::default;
    assert_eq!(find(any()), [1, 2, 4, 6, 65]);
    assert_eq!(find(MonitorFilter { search: Some("ORDERS".into()), ..any() }), [1]);
    assert_eq!(find(MonitorFilter { search: Some("example.com".into()), ..any() }), [1, 2]);
    assert_eq!(find(MonitorFilter { host: Some("db.example.com".into()), ..any() }), [1]);
    assert_eq!(find(MonitorFilter { port: Some(6379), ..any() }), [2]);
    assert_eq!(find(MonitorFilter { group: Some("infra".into()), ..any() }), [1, 2]);
    assert_eq!(find(MonitorFilter { channels: vec!["ops".into()], ..any() }), [1]);
    assert_eq!(find(MonitorFilter { location: Some("eu".into()), ..any() }), [65]);
    assert_eq!(find(MonitorFilter { enabled: Some(false), ..any() }), [65]);
    assert_eq!(find(MonitorFilter { paused: Some(true), ..any() }), [4]);
    assert_eq!(find(MonitorFilter { owner: Some(Owner::Apply("ci".into())), ..any() }), [6]);
    assert_eq!(find(MonitorFilter { statuses: vec![Status::Down], ..any() }), [1]);
    let env = TagFilter { name: "env".into(), value: Some("prod".into()) };
    assert_eq!(find(MonitorFilter { tags: vec![env], ..any() }), [1]);
    assert_eq!(
        find_by(MonitorQuery { sort: MonitorSort::Status, ..MonitorQuery::default() }),
        [1, 6, 65, 4, 2],
        "trouble first"
    );
    assert_eq!(
        find_by(MonitorQuery { sort: MonitorSort::Since, ..MonitorQuery::default() }),
        [65, 4, 2, 6, 1]
    );
    assert_eq!(
        find_by(MonitorQuery { sort: MonitorSort::Updated, ..MonitorQuery::default() }),
        [65, 2, 4, 6, 1]
    );

    let down = wait(bench.account.monitor_rows(vec![ORDERS, NIGHTLY])).expect("rows");
    assert_eq!(
        (down[0].status, down[0].since, down[0].code),
        (Status::Down, at(-MINUTE), ErrorCode::TcpRefused)
    );
    assert_eq!((down[0].incident, down[0].updated_at), (Some(incident_id(1)), at(-2 * HOUR)));
    assert_eq!(down[1].status, Status::Paused);
    let counts = wait(bench.account.status_counts()).expect("counts");
    let counts = StatusCounts::ORDER.map(|status| counts.of(status));
    assert_eq!(counts, [1, 1, 0, 0, 1, 0, 1, 1]);
    let groups = wait(bench.account.groups()).expect("groups");
    let groups: Vec<_> = groups.iter().map(|one| (one.group.as_str(), one.counts.total())).collect();
    assert_eq!(groups, [("", 3), ("infra", 1), ("infra/db", 1)]);
    let tags = wait(bench.account.tags()).expect("tags");
    let tags: Vec<_> = tags.iter().map(|tag| (tag.name.as_str(), tag.value.as_str(), tag.monitors)).collect();
    assert_eq!(tags, [("env", "prod", 1)]);
    let naming = wait(bench.account.monitors_naming(vec!["ops".to_owned()], 10)).expect("monitors");
    assert_eq!(ids(naming.iter().map(|one| one.id)), [1]);
    let counts = wait(bench.account.counts()).expect("counts");
    assert_eq!((counts.monitors, counts.channels, counts.members, counts.tokens), (5, 1, 0, 0));
    let statuses = wait(bench.account.statuses()).expect("statuses");
    let last = statuses.iter().find(|one| one.monitor.id == ORDERS).and_then(|one| one.last);
    assert_eq!(last.map(|check| (check.slot, check.code)), Some((at(-MINUTE), ErrorCode::TcpRefused)));

    // Another account sees its own and nothing else, all of it.
    let guests = bench.store.account(AccountId(2));
    let counts = wait(guests.status_counts()).expect("counts");
    assert_eq!((counts.of(Status::Up), counts.total()), (MANY as u64, MANY as u64));
    assert_eq!(wait(guests.monitors()).expect("monitors").len(), MANY as usize);
    assert_eq!(wait(guests.monitor(ORDERS)), Ok(None));
    let last = MonitorFilter { search: Some(format!("guest {}", MANY - 1)), ..any() };
    assert_eq!(wait(guests.monitor_page(last.into())).expect("a page").items.len(), 1);
}

#[test]
fn what_happened_in_schema_1_is_read() {
    let place = place();
    old(place.path());
    let bench = Bench::open(&|| serve(place.path()));
    let (account, system) = (&bench.account, &bench.system);
    let all = Window { from: at(WEEKS), to: at(HOUR) };
    let incidents = wait(account.incidents(IncidentFilter::default())).expect("incidents");
    assert_eq!(incidents, [open_incident(), closed_incident(), removed_incident()]);
    let open = wait(account.incidents(IncidentFilter { open: true, ..IncidentFilter::default() }));
    assert_eq!(open, Ok(vec![open_incident()]));
    let unseen = IncidentFilter { acknowledged: Some(false), ..IncidentFilter::default() };
    assert_eq!(wait(account.incidents(unseen)).map(|found| found.len()), Ok(3));
    assert_eq!(wait(account.incident(incident_id(2))), Ok(Some(closed_incident())));
    assert_eq!(wait(account.events(incident_id(2))), Ok(closed_events()));

    let whole = wait(account.account_intervals(IntervalFilter::default())).expect("intervals");
    assert_eq!(whole, [open_interval(), degraded_interval(), closed_interval()]);
    assert_eq!(wait(account.intervals(CACHE, all)), Ok(vec![closed_interval()]));
    assert_eq!(wait(account.intervals_at(at(-10 * SECOND))), Ok(vec![open_interval(), degraded_interval()]));
    let blind = wait(account.blind(all)).expect("blind");
    assert_eq!(
        blind.iter().map(|one| (one.location.0, one.to)).collect::<Vec<_>>(),
        [(0, Some(at(-50 * MINUTE))), (1, None)]
    );

    let slots: Vec<i64> = wait(account.results(ORDERS, all))
        .expect("results")
        .iter()
        .map(|check| check.slot.millis() - DAY)
        .collect();
    let expected: Vec<i64> = [day_rows(), block_rows(), chunk_rows(), log_rows()]
        .iter()
        .flatten()
        .filter(|row| row.monitor == ORDERS.within_shard())
        .map(|row| row.slot_ms - DAY)
        .collect();
    assert_eq!(slots, expected, "from days, blocks, chunks and the log");
    assert_eq!(wait(account.results(SHOP, all)).map(|found| found.len()), Ok(1));
    let hours = wait(account.summaries(ORDERS, all)).expect("summaries");
    assert_eq!(hours.iter().map(|hour| hour.summary.up).sum::<u32>(), 7);
    let days = wait(account.daily_summaries(ORDERS, all)).expect("days");
    assert_eq!(days.iter().map(|day| (day.hour, day.summary.up)).collect::<Vec<_>>(), [(at(-5 * DAY_MS), 3)]);
    let evidence = wait(account.evidence(ORDERS, all)).expect("evidence");
    assert_eq!(evidence[0].evidence.detail.as_deref(), Some("RST"));
    let inputs = wait(account.inputs(NIGHTLY, all)).expect("inputs");
    assert_eq!((inputs.len(), inputs[0].kind.as_str()), (1, "paused"));

    let told = wait(account.deliveries(incident_id(2))).expect("deliveries");
    let told: Vec<_> = told.iter().map(|one| (one.sequence, one.state, one.last.is_some())).collect();
    assert_eq!(told, [(0, DeliveryState::Sent, true), (1, DeliveryState::Dead, true)]);
    let waiting = wait(bench.own(OPS.shard().0).undelivered()).expect("notices");
    assert_eq!((waiting.len(), &waiting[0].event), (1, &event(1, 0, -MINUTE)));

    // What only schema 2 has begins with nothing.
    assert_eq!(wait(account.transitions(0, 100)), Ok(Vec::new()));
    assert_eq!(wait(account.newest_transition()), Ok(0));
    assert_eq!(wait(bench.people.users()), Ok(Vec::new()));
    assert_eq!(wait(account.tokens()), Ok(Vec::new()));
    assert_eq!(wait(account.members()).map(|found| found.len()), Ok(0));
    let detail = wait(account.detail()).expect("the account");
    assert_eq!((detail.name.as_str(), detail.plan.as_str(), detail.settings.as_str()), ("default", "", "{}"));
    let audit = wait(account.audit(AuditFilter::default())).expect("audit");
    assert_eq!(audit.len(), 1);
    assert_eq!((audit[0].author.actor.as_str(), audit[0].action.as_str()), ("file", "apply"));
    assert_eq!(
        (audit[0].detail.as_str(), &audit[0].object, &audit[0].before),
        ("monitors +2 -0", &None, &None)
    );

    let bin = wait(account.removed_monitors(None, 10)).expect("the bin");
    assert_eq!((bin.len(), bin[0].monitor.id, bin[0].monitor.key.as_str()), (1, GONE, "gone"));
    assert_eq!(bin[0].removed_at, Some(at(WEEKS)));
    let bin = wait(account.removed_channels()).expect("the bin");
    assert_eq!((bin.len(), bin[0].channel.name.as_str()), (1, "old"));
    let channels = wait(account.channels()).expect("channels");
    assert_eq!((channels.len(), channels[0].name.as_str(), channels[0].revision), (1, "ops", 3));

    let names = wait(system.accounts()).expect("accounts");
    assert_eq!(names.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["default", "guests"]);
    let names = wait(system.locations()).expect("locations");
    assert_eq!(names.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["local", "eu"]);
    let accepted = wait(system.accepted_config()).expect("read").expect("there");
    assert_eq!((accepted.text.as_str(), accepted.accepted_at), ("monitors: []\n", at(-2 * HOUR)));
    let changes = wait(system.changes_after(0, 10)).expect("changes");
    assert_eq!(changes.iter().map(|one| (one.seq, one.id)).collect::<Vec<_>>(), [(3, 1), (4, 2)]);
    assert_eq!(wait(system.last_commit()), Ok(Some(at(-30 * SECOND))));
    assert_eq!(wait(system.next_pause_end()), Ok(None));
}

#[test]
fn what_began_in_schema_1_goes_on() {
    let place = place();
    old(place.path());
    let bench = Bench::open(&|| serve(place.path()));
    let (account, system) = (&bench.account, &bench.system);
    // The engine takes the shard over where it was left.
    assert!(wait(system.claim(ShardId(9))).expect("a fence").0 > 7);
    let shard = bench.own(ORDERS.shard().0);
    let loaded = wait(shard.load()).expect("loaded");
    let own = loaded.monitors.iter().filter(|one| one.account == AccountId::DEFAULT);
    assert_eq!(ids(own.map(|one| one.id)), [1, 65]);
    assert_eq!(loaded.states[0], state(ORDERS, Status::Down, -MINUTE));
    assert_eq!(loaded.open_incidents, [open_incident()]);
    assert_eq!(wait(shard.inbox()).map(|found| found.len()), Ok(1));

    // The outage ends: incident, interval, list and counts follow, and the stream begins.
    let ended = IncidentRecord {
        ended_at: Some(at(MINUTE)),
        close_reason: Some(CloseReason::Recovered),
        next_sequence: 2,
        ..open_incident()
    };
    let inbox = wait(shard.inbox()).expect("the inbox")[0].id;
    commit(
        &shard,
        ShardStep {
            results: vec![ok(ORDERS, MINUTE, 700)],
            states: vec![state(ORDERS, Status::Up, MINUTE)],
            intervals: vec![IntervalWrite::Close { monitor: ORDERS, to: at(MINUTE) }],
            incidents: vec![ended.clone()],
            events: vec![event(1, 1, MINUTE)],
            outbox: vec![notice(1, 1)],
            inbox_acks: vec![inbox],
            ..step(ORDERS, MINUTE)
        },
    );
    assert_eq!(wait(shard.inbox()).map(|found| found.len()), Ok(0));
    assert_eq!(wait(account.incident(incident_id(1))), Ok(Some(ended)));
    let said = wait(account.transitions(0, 10)).expect("transitions");
    assert_eq!(said.iter().map(|one| (one.monitor, one.status)).collect::<Vec<_>>(), [(ORDERS, Status::Up)]);
    let counts = wait(account.status_counts()).expect("counts");
    assert_eq!((counts.of(Status::Down), counts.of(Status::Up), counts.total()), (0, 2, 5));
    let channel = bench.own(OPS.shard().0);
    let update = |notice: OutboxWrite| DeliveryUpdate {
        notice,
        state: DeliveryState::Sent,
        attempts: 2,
        at: at(MINUTE),
        class: "sent".to_owned(),
        answer: "204".to_owned(),
        took: std::time::Duration::from_millis(3),
        remote_id: None,
    };
    wait(channel.record_deliveries(vec![update(notice(1, 0)), update(notice(1, 1))])).expect("recorded");
    assert_eq!(wait(channel.undelivered()), Ok(Vec::new()));
    wait(system.blind(BlindChange::Ended { location: LocationId(1), at: at(MINUTE) })).expect("ended");
    assert!(wait(account.blind(window(-HOUR, HOUR))).expect("blind").iter().all(|one| one.to.is_some()));

    // People change what was there: numbers and revisions go on where they were.
    wait(account.set_paused(vec![NIGHTLY], None, "user:u1".into(), at(MINUTE))).expect("goes on");
    let row = &wait(account.monitor_rows(vec![NIGHTLY])).expect("rows")[0];
    assert_eq!((row.monitor.paused, row.pause.is_none()), (false, true));
    let applied = wait(account.apply(
        file_change(vec![put("orders database", r#"{"name":"orders database","host":"new.example.com"}"#)]),
        at(MINUTE),
    ))
    .expect("applied");
    assert_eq!((applied.monitors[0].id, applied.monitors[0].revision), (ORDERS, 3));
    assert_eq!(applied.seq, 6, "after the pause and what was there");
    assert_eq!(bench.add(&["new"]), [MonitorId(GUESTS + MANY)]);
    let back = file_change(vec![crate::records::ResourceChange::RestoreMonitor { id: GONE, key: None }]);
    assert_eq!(wait(account.apply(back, at(MINUTE))).expect("restored").monitors[0].revision, 2);
    let taken = wait(system.create_account("guests".to_owned(), at(0)));
    assert!(matches!(taken, Err(StoreError::Taken(_))), "{taken:?}");
    assert_eq!(wait(system.create_account("third".to_owned(), at(0))).map(|made| made.id), Ok(AccountId(3)));

    // Upkeep takes the young results along, and retention what is due.
    let before = bench.slots(ORDERS, window(WEEKS, HOUR));
    while wait(system.sort_minutes(at(3 * HOUR))).expect("sorted").is_some() {}
    while wait(shard.write_blocks(at(3 * HOUR))).expect("packed").is_some() {}
    while wait(shard.write_days(at(4 * DAY_MS))).expect("packed").is_some() {}
    assert_eq!(bench.slots(ORDERS, window(WEEKS, HOUR)), before);
    while wait(system.retain(Retention::default(), at(HOUR))).expect("deleted").more {}
    assert_eq!(wait(account.removed_channels()), Ok(Vec::new()));
    assert_eq!(bench.slots(ORDERS, window(WEEKS, HOUR)), before);
    bench.close();
    let bench = Bench::open(&|| serve(place.path()));
    assert_eq!(
        ids(wait(bench.account.monitors()).expect("monitors").iter().map(|one| one.id)),
        [1, 2, 4, 5, 6, 65, GUESTS + MANY]
    );
}

#[test]
fn a_migration_that_fails_changes_nothing() {
    let place = place();
    let before = old(place.path());
    // A table of that name is in the way of schema 2.
    database(place.path()).execute_batch("CREATE TABLE listed (a) STRICT").expect_err("no type");
    database(place.path()).execute_batch("CREATE TABLE listed (a TEXT) STRICT").expect("made");
    let mut connection = database(place.path());
    assert!(migrate::migrate(&mut connection).is_err());
    for (table, rows) in &before {
        assert_eq!(&dump(&connection, table, &columns_of_1(table)), rows, "{table}");
    }
    let refused = migrate::expect_current(&connection);
    assert!(matches!(refused, Err(StoreError::Schema { found: 1, .. })), "{refused:?}");
    connection.execute_batch("DROP TABLE listed").expect("gone");
    drop(connection);
    let bench = Bench::open(&|| serve(place.path()));
    assert_eq!(wait(bench.account.counts()).expect("counts").monitors, 5);
}

fn ids(ids: impl Iterator<Item = MonitorId>) -> Vec<i64> {
    ids.map(|id| id.0).collect()
}
