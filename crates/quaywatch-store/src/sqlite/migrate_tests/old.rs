//! A data directory as the first version left it, with something in every table.

use std::collections::BTreeMap;
use std::path::Path;

use quaywatch_core::judge::{CloseReason, Severity, Status};
use quaywatch_core::{ChannelId, ErrorCode, MonitorId};
use rusqlite::types::Value;
use rusqlite::{Connection, Transaction, params};

use crate::blocks::key::{self, DAY_MS, HOUR_MS};
use crate::blocks::rows::{LogWriter, encode_chunk};
use crate::blocks::{BlockCodec, Row, SummaryBuilder, encode_hours, encode_one};
use crate::conformance::{DAY, HOUR, MINUTE, SECOND, at, event, failed, incident, incident_id, ok, state};
use crate::records::{EventRecord, IncidentRecord, Interval, OutboxWrite};
use crate::sqlite::connection::{self, Use};
use crate::sqlite::{convert, migrate};

/// Down, with all that there can be of a monitor.
pub(super) const ORDERS: MonitorId = MonitorId(1);
/// Up; it was down once.
pub(super) const CACHE: MonitorId = MonitorId(2);
/// Paused.
pub(super) const NIGHTLY: MonitorId = MonitorId(4);
/// In the bin, for six weeks.
pub(super) const GONE: MonitorId = MonitorId(5);
/// Somebody else's document says that it is there.
pub(super) const CI: MonitorId = MonitorId(6);
/// In the shard of [`ORDERS`], switched off, never judged.
pub(super) const SHOP: MonitorId = MonitorId(65);
/// Of another account, with more like it.
pub(super) const GUESTS: i64 = 1_000;
/// More than one piece of what lists are made in.
pub(super) const MANY: i64 = 1_100;
pub(super) const WEEKS: i64 = -42 * 24 * HOUR;

pub(super) const ORDERS_SPEC: &str = r#"{"name":"orders database","monitor_type":"tcp","host":"db.example.com","port":5432,"group":"infra/db","tags":{"env":"prod"},"channels":["ops"]}"#;

/// Everything that a table holds, in an order that does not change.
pub(super) fn dump(connection: &Connection, table: &str, columns: &[String]) -> Vec<Vec<Value>> {
    let names = columns.join(", ");
    let order = (1..=columns.len()).map(|i| i.to_string()).collect::<Vec<_>>().join(", ");
    connection
        .prepare(&format!("SELECT {names} FROM {table} ORDER BY {order}"))
        .and_then(|mut s| s.query_map([], |row| (0..columns.len()).map(|i| row.get(i)).collect())?.collect())
        .expect(table)
}

fn columns(connection: &Connection, table: &str) -> Vec<String> {
    connection
        .prepare("SELECT name FROM pragma_table_info(?1)")
        .and_then(|mut s| s.query_map([table], |row| row.get(0))?.collect())
        .expect(table)
}

pub(super) fn columns_of_1(table: &str) -> Vec<String> {
    let mut connection = Connection::open_in_memory().expect("memory");
    schema_1(&mut connection, |_| {});
    columns(&connection, table)
}

fn schema_1(connection: &mut Connection, fill: impl FnOnce(&Transaction<'_>)) {
    let tx = connection.transaction().expect("begun");
    migrate::lift(&tx, 1).expect("schema 1");
    fill(&tx);
    tx.commit().expect("committed");
}

/// A data directory as the first version left it; what its tables hold.
pub(super) fn old(place: &Path) -> BTreeMap<String, Vec<Vec<Value>>> {
    let mut connection = connection::open(&place.join("quaywatch.db"), Use::Serving).expect("opens");
    schema_1(&mut connection, |tx| {
        configured(tx);
        judged(tx);
        told(tx);
        results(tx);
    });
    let tables: Vec<String> = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")
        .and_then(|mut s| s.query_map([], |row| row.get(0))?.collect())
        .expect("the tables");
    tables
        .into_iter()
        .map(|table| (table.clone(), dump(&connection, &table, &columns(&connection, &table))))
        .collect()
}

fn configured(tx: &Transaction<'_>) {
    let run = |sql: &str| tx.execute_batch(sql).expect(sql);
    let (made, edited, now) = (at(WEEKS).0, at(-2 * HOUR).0, at(-HOUR).0);
    run(&format!("INSERT INTO account (name, created_at) VALUES ('guests', {made});
        INSERT INTO location (id, account_id, name) VALUES (1, 1, 'eu');
        UPDATE meta SET value = 2 WHERE key = 'next_location';
        UPDATE meta SET value = 3 WHERE key = 'next_channel';
        UPDATE meta SET value = {} WHERE key = 'next_monitor';
        INSERT INTO meta (key, value) VALUES ('last_commit', {});
        INSERT INTO channel VALUES
            (1, 1, 'file', 'ops', 'ops', 'webhook', '{{\"url\":\"https://hooks.example.com\",\"secret\":\"${{S}}\"}}',
             3, {edited}, 'file', NULL),
            (2, 1, 'file', 'old', 'old', 'log', '{{}}', 1, {made}, 'file', {made});
        INSERT INTO change (seq, at, account_id, kind, id, op) VALUES
            (3, {edited}, 1, 'monitor', 1, 'put'), (4, {edited}, 1, 'monitor', 2, 'put');
        INSERT INTO audit (at, account_id, actor, action, detail) VALUES
            ({edited}, 1, 'file', 'apply', 'monitors +2 -0'), ({now}, 2, 'file', 'apply', 'monitors +9 -0');
        INSERT INTO config (id, text, hash, accepted_at) VALUES (1, 'monitors: []\n', 'abc', {edited});
        INSERT INTO fence (shard, fence) VALUES (1, 3), (9, 7);
        INSERT INTO inbox (shard, received_at, payload) VALUES (1, {now}, x'0102'), (2, {now}, x'03');",
        GUESTS + MANY, at(-3 * HOUR).0));
    let monitor = |id: MonitorId, owner: &str, key: &str, spec: &str, revised: i64| {
        let sql =
            "INSERT INTO monitor (key, account_id, owner, resource_key, name, revision, spec, created_at,
                   revised_at, revised_by) VALUES (?1, 1, ?2, ?3, ?3, 1, ?4, ?5, ?6, 'file')";
        tx.execute(sql, params![key::monitor(id), owner, key, spec, made, revised]).expect(key);
    };
    monitor(ORDERS, "file", "orders database", ORDERS_SPEC, edited);
    monitor(
        CACHE,
        "file",
        "cache",
        r#"{"name":"cache","monitor_type":"tcp","host":"cache.example.com","port":6379,"group":"infra"}"#,
        made,
    );
    monitor(
        NIGHTLY,
        "file",
        "nightly",
        r#"{"name":"nightly","monitor_type":"tcp","host":"192.0.2.4","port":22}"#,
        made,
    );
    monitor(
        GONE,
        "file",
        "gone",
        r#"{"name":"gone","monitor_type":"tcp","host":"192.0.2.5","port":22}"#,
        made,
    );
    monitor(
        CI,
        "apply:ci",
        "runner",
        r#"{"name":"runner","monitor_type":"tcp","host":"192.0.2.6","port":22}"#,
        made,
    );
    monitor(
        SHOP,
        "file",
        "shop",
        r#"{"name":"shop","monitor_type":"tcp","host":"192.0.2.65","port":443,"enabled":false,"locations":["eu"]}"#,
        made,
    );
    run(&format!(
        "UPDATE monitor SET revision = 2 WHERE key = {};
        INSERT INTO monitor_revision (account_id, monitor_id, revision, spec, revised_at, revised_by)
            VALUES (1, 1, 1, '{{\"name\":\"orders database\"}}', {made}, 'file');
        UPDATE monitor SET paused = 1 WHERE key = {};
        UPDATE monitor SET removed_at = {made} WHERE key = {};",
        key::monitor(ORDERS),
        key::monitor(NIGHTLY),
        key::monitor(GONE)
    ));
    for i in 0..MANY {
        let (id, name) = (MonitorId(GUESTS + i), format!("guest {i}"));
        let sql =
            "INSERT INTO monitor (key, account_id, owner, resource_key, name, revision, spec, created_at,
                   revised_at, revised_by) VALUES (?1, 2, 'file', ?2, ?2, 1, ?3, ?4, ?4, 'file')";
        let spec = format!(r#"{{"name":"{name}","monitor_type":"tcp","host":"10.0.0.1","port":{}}}"#, 1 + i);
        tx.execute(sql, params![key::monitor(id), name, spec, made]).expect("a guest");
        let sql = "INSERT INTO judge_state (key, status, since, code, state) VALUES (?1, 1, ?2, 0, x'00')";
        tx.execute(sql, params![key::monitor(id), made]).expect("a state");
    }
}

fn judged(tx: &Transaction<'_>) {
    let states = [
        state(ORDERS, Status::Down, -MINUTE),
        state(CACHE, Status::Up, -40 * MINUTE),
        state(NIGHTLY, Status::Paused, -50 * MINUTE),
        state(CI, Status::Degraded, -20 * MINUTE),
    ];
    for one in states {
        let sql = "INSERT INTO judge_state (key, status, since, code, state) VALUES (?1, ?2, ?3, ?4, ?5)";
        let values =
            params![key::monitor(one.monitor), one.status as u8, one.since.0, one.code.number(), one.state];
        tx.execute(sql, values).expect("a state");
    }
    for one in [open_interval(), degraded_interval(), closed_interval()] {
        let sql = "INSERT INTO interval (account_id, monitor_id, from_at, to_at, status, code, incident_id)
                   VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)";
        let incident = one.incident.map(convert::incident_blob);
        let to = one.to.map(|to| to.0);
        tx.execute(
            sql,
            params![one.monitor.0, one.from.0, to, one.status as u8, one.code.number(), incident],
        )
        .expect("an interval");
    }
    let blind = ErrorCode::SelfNetwork.number();
    let (from, to, now) = (at(-HOUR).0, at(-50 * MINUTE).0, at(-10 * MINUTE).0);
    tx.execute_batch(&format!(
        "INSERT INTO blind VALUES (0, {from}, {to}, {blind}), (1, {now}, NULL, {blind});
         INSERT INTO input (account_id, monitor_id, at, kind, detail) VALUES (1, 4, {to}, 'paused', '{{}}');"
    ))
    .expect("blind times and inputs");
}

fn told(tx: &Transaction<'_>) {
    for one in [open_incident(), closed_incident(), removed_incident()] {
        let sql = "INSERT INTO incident (account_id, id, monitor_id, ordinal, severity, opening_code, code, started_at,
                   confirmed_at, ended_at, close_reason, failed_checks, next_sequence, judge_version)
                   VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
        let values = params![
            convert::incident_blob(one.id),
            one.monitor.0,
            one.ordinal,
            convert::severity_number(one.severity),
            one.opening_code.number(),
            one.code.number(),
            one.started_at.0,
            one.confirmed_at.0,
            one.ended_at.map(|at| at.0),
            one.close_reason.map(convert::close_reason_number),
            one.failed_checks,
            one.next_sequence,
            one.judge_version,
        ];
        tx.execute(sql, values).expect("an incident");
    }
    for one in closed_events().into_iter().chain([event(1, 0, -MINUTE)]) {
        let sql = "INSERT INTO incident_event (account_id, incident_id, sequence, at, kind, snapshot)
                   VALUES (1, ?1, ?2, ?3, ?4, ?5)";
        let values =
            params![convert::incident_blob(one.incident), one.sequence, one.at.0, one.kind, one.snapshot];
        tx.execute(sql, values).expect("an event");
    }
    let evidence = r#"{"elapsed_us":812,"detail":"RST"}"#;
    let sql = "INSERT INTO evidence (account_id, monitor_id, slot, location_id, code, incident_id, evidence)
               VALUES (1, 1, ?1, 0, ?2, ?3, ?4)";
    let id = convert::incident_blob(incident_id(1));
    tx.execute(sql, params![at(-MINUTE).0, ErrorCode::TcpRefused.number(), id, evidence]).expect("evidence");
    for (incident, sequence, state, attempts) in [(2, 0, 1, 1), (2, 1, 2, 9), (1, 0, 0, 1)] {
        let id = convert::incident_blob(incident_id(incident));
        let sql = "INSERT INTO outbox (account_id, incident_id, sequence, channel_id, state, attempts, due, queued_at,
                   remote_id) VALUES (1, ?1, ?2, 1, ?3, ?4, ?5, ?5, 'x')";
        tx.execute(sql, params![id, sequence, state, attempts, at(-MINUTE).0]).expect("a notice");
        let sql =
            "INSERT INTO delivery_attempt (account_id, incident_id, sequence, channel_id, attempt, at, class,
                   answer, took_us) VALUES (1, ?1, ?2, 1, ?3, ?4, 'transient', '500', 12)";
        tx.execute(sql, params![id, sequence, attempts, at(-MINUTE).0]).expect("an attempt");
    }
}

fn results(tx: &Transaction<'_>) {
    let put = |table: &str, id: i64, data: &[u8]| {
        tx.execute(&format!("INSERT INTO {table} (id, data) VALUES (?1, ?2)"), params![id, data])
            .expect(table);
    };
    let (mut codec, mut sums) = (BlockCodec::default(), SummaryBuilder::new());
    let day = DAY / DAY_MS - 5;
    let id = key::block(day, ORDERS.shard().0, ORDERS.within_shard(), 0);
    let mut raw = Vec::new();
    codec.encode(&day_rows(), day * DAY_MS, id, &mut raw);
    put("day_raw", id, &raw);
    let sum = sums.sum(day_rows().iter());
    put("day_hours", id, &encode_hours(&[(3, sum.clone())], id));
    put("day_total", id, &encode_one(&sum, id));
    let hour = DAY / HOUR_MS - 3;
    let id = key::block(hour, ORDERS.shard().0, ORDERS.within_shard(), 0);
    let mut block = Vec::new();
    codec.encode(&block_rows(), hour * HOUR_MS, id, &mut block);
    put("block", id, &block);
    let id = key::chunk(DAY / HOUR_MS - 1, ORDERS.shard().0, 5);
    put("chunk", id, &encode_chunk(&chunk_rows(), id));
    let mut log = LogWriter::new();
    log.section(ORDERS.shard().0, log_rows().into_iter());
    tx.execute("INSERT INTO log (at, data) VALUES (?1, ?2)", params![at(-30 * SECOND).0, log.finish()])
        .expect("log");
}

fn good(monitor: MonitorId, ms: i64) -> Row {
    Row::of(&ok(monitor, ms, 800))
}

pub(super) fn day_rows() -> Vec<Row> {
    (0..3).map(|i| good(ORDERS, -5 * DAY_MS + 3 * HOUR + i * MINUTE)).collect()
}

pub(super) fn block_rows() -> Vec<Row> {
    (0..2).map(|i| good(ORDERS, -3 * HOUR + i * MINUTE)).collect()
}

pub(super) fn chunk_rows() -> Vec<Row> {
    vec![good(ORDERS, -50 * MINUTE), good(ORDERS, -49 * MINUTE), good(SHOP, -50 * MINUTE)]
}

pub(super) fn log_rows() -> Vec<Row> {
    vec![Row::of(&failed(ORDERS, -MINUTE, ErrorCode::TcpRefused))]
}

pub(super) fn open_incident() -> IncidentRecord {
    incident(1, ORDERS, -MINUTE)
}

pub(super) fn closed_incident() -> IncidentRecord {
    IncidentRecord {
        severity: Severity::Warning,
        ended_at: Some(at(-40 * MINUTE)),
        close_reason: Some(CloseReason::Recovered),
        next_sequence: 2,
        ..incident(2, CACHE, -45 * MINUTE)
    }
}

pub(super) fn removed_incident() -> IncidentRecord {
    IncidentRecord {
        ended_at: Some(at(WEEKS)),
        close_reason: Some(CloseReason::Removed),
        ..incident(3, GONE, WEEKS - HOUR)
    }
}

pub(super) fn closed_events() -> Vec<EventRecord> {
    vec![event(2, 0, -45 * MINUTE), event(2, 1, -40 * MINUTE)]
}

pub(super) fn open_interval() -> Interval {
    Interval {
        monitor: ORDERS,
        from: at(-MINUTE),
        to: None,
        status: Status::Down,
        code: ErrorCode::TcpRefused,
        incident: Some(incident_id(1)),
    }
}

pub(super) fn degraded_interval() -> Interval {
    Interval {
        monitor: CI,
        from: at(-20 * MINUTE),
        to: None,
        status: Status::Degraded,
        code: ErrorCode::AddressPartial,
        incident: None,
    }
}

pub(super) fn closed_interval() -> Interval {
    Interval {
        monitor: CACHE,
        from: at(-45 * MINUTE),
        to: Some(at(-40 * MINUTE)),
        incident: Some(incident_id(2)),
        ..open_interval()
    }
}

pub(super) fn notice(incident: u8, sequence: u32) -> OutboxWrite {
    OutboxWrite { incident: incident_id(incident), sequence, channel: ChannelId(1), due: at(-MINUTE) }
}
