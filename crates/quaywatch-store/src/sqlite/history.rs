//! Reading results back. A check stands in one of four layers, or in two while it is moved: all are read on one state
//! of the data, and each check is given once.

use std::collections::{BTreeMap, BTreeSet};

use quaywatch_core::{AccountId, LocationId, MonitorId, Timestamp};
use rusqlite::{Connection, OptionalExtension};

use super::error::{damaged, engine};
use crate::Result;
use crate::blocks::key::{self, DAY_MS, HOUR_MS};
use crate::blocks::rows::{self, RowReader};
use crate::blocks::{Row, SummaryBuilder, decode_block, decode_hours, decode_one};
use crate::records::{CheckRow, SummaryRow, Window};

/// Whether the monitor belongs to the account; one in the bin still does.
pub(super) fn owns(connection: &Connection, account: AccountId, monitor: MonitorId) -> Result<bool> {
    let owner: Option<i64> = connection
        .prepare_cached("SELECT account_id FROM monitor WHERE key = ?1")
        .and_then(|mut s| s.query_row([key::monitor(monitor)], |row| row.get(0)).optional())
        .map_err(engine)?;
    Ok(owner == Some(account.0))
}

/// Raw results of one monitor, oldest first.
pub(super) fn results(connection: &Connection, monitor: MonitorId, window: Window) -> Result<Vec<CheckRow>> {
    let mut found = Rows::new(monitor, window);
    found.read(connection)?;
    found.rows.into_iter().map(|row| row.to_check().map_err(damaged("results", row.slot_ms))).collect()
}

/// Hourly sums of one monitor, oldest first: from day rows, or summed up from raw results where these are in reach.
pub(super) fn summaries(
    connection: &Connection,
    monitor: MonitorId,
    window: Window,
) -> Result<Vec<SummaryRow>> {
    let from_hour = key::hour_of(window.from.millis());
    let mut found =
        Rows::new(monitor, Window { from: Timestamp::from_millis(from_hour * HOUR_MS), to: window.to });
    found.whole_hours = true;
    found.read_young(connection)?;
    found.tidy();
    let mut hours: BTreeMap<(i64, u16), Vec<Row>> = BTreeMap::new();
    for row in &found.rows {
        hours.entry((key::hour_of(row.slot_ms), row.location)).or_default().push(*row);
    }
    // Hours of which there are young results, although their day is packed: late ones. Only raw tells which are new.
    let days: BTreeSet<i64> = hours.keys().map(|(hour, _)| hour / 24).collect();
    let mut sums = BTreeMap::new();
    let mut builder = SummaryBuilder::new();
    for day in found.days(connection, "day_hours")? {
        if days.contains(&day) {
            found.read_day(connection, day)?;
        }
        read_day_hours(connection, monitor, day, &mut sums)?;
    }
    found.tidy();
    hours.clear();
    for row in &found.rows {
        hours.entry((key::hour_of(row.slot_ms), row.location)).or_default().push(*row);
    }
    for (hour, rows) in hours {
        sums.insert(hour, builder.sum(rows.iter()));
    }
    Ok(sums
        .into_iter()
        .filter(|((hour, _), _)| *hour >= from_hour && hour * HOUR_MS < to_ms(window))
        .map(|((hour, location), summary)| SummaryRow {
            location: LocationId(location),
            hour: Timestamp::from_millis(hour * HOUR_MS),
            summary,
        })
        .collect())
}

fn read_day_hours(
    connection: &Connection,
    monitor: MonitorId,
    day: i64,
    sums: &mut BTreeMap<(i64, u16), crate::records::Summary>,
) -> Result<()> {
    let (first, last) = key::block_of_monitor(day, monitor);
    let mut select = connection
        .prepare_cached("SELECT id, data FROM day_hours WHERE id BETWEEN ?1 AND ?2")
        .map_err(engine)?;
    let mut found = select.query([first, last]).map_err(engine)?;
    while let Some(row) = found.next().map_err(engine)? {
        let id: i64 = row.get(0).map_err(engine)?;
        let data = row.get_ref(1).and_then(|d| Ok(d.as_blob()?)).map_err(engine)?;
        for (hour, summary) in decode_hours(data, id).map_err(damaged("day_hours", id))? {
            sums.insert((day * 24 + i64::from(hour), key::block_location(id)), summary);
        }
    }
    Ok(())
}

/// Sums of whole days of one monitor, oldest first.
pub(super) fn daily_summaries(
    connection: &Connection,
    monitor: MonitorId,
    window: Window,
) -> Result<Vec<SummaryRow>> {
    let mut select = connection
        .prepare_cached("SELECT id, data FROM day_total WHERE id BETWEEN ?1 AND ?2")
        .map_err(engine)?;
    let mut sums = Vec::new();
    for day in Rows::new(monitor, window).days(connection, "day_total")? {
        let (first, last) = key::block_of_monitor(day, monitor);
        let mut found = select.query([first, last]).map_err(engine)?;
        while let Some(row) = found.next().map_err(engine)? {
            let id: i64 = row.get(0).map_err(engine)?;
            let data = row.get_ref(1).and_then(|d| Ok(d.as_blob()?)).map_err(engine)?;
            sums.push(SummaryRow {
                location: LocationId(key::block_location(id)),
                hour: Timestamp::from_millis(day * DAY_MS),
                summary: decode_one(data, id).map_err(damaged("day_total", id))?,
            });
        }
    }
    Ok(sums)
}

/// The end of a window in milliseconds, rounded up: slots are whole milliseconds.
const fn to_ms(window: Window) -> i64 {
    window.to.0.saturating_add(999).div_euclid(1_000)
}

/// Results of one monitor within a window, as they are gathered.
struct Rows {
    monitor: MonitorId,
    from_ms: i64,
    to_ms: i64,
    /// Whether the last hour is wanted to its end, beyond the window.
    whole_hours: bool,
    rows: Vec<Row>,
}

impl Rows {
    fn new(monitor: MonitorId, window: Window) -> Self {
        let from_ms = window.from.0.saturating_add(999).div_euclid(1_000);
        Self { monitor, from_ms, to_ms: to_ms(window), whole_hours: false, rows: Vec::new() }
    }

    fn read(&mut self, connection: &Connection) -> Result<()> {
        for day in self.days(connection, "day_raw")? {
            self.read_day(connection, day)?;
        }
        self.read_young(connection)?;
        self.tidy();
        Ok(())
    }

    /// Everything younger than day rows.
    fn read_young(&mut self, connection: &Connection) -> Result<()> {
        self.read_blocks(connection)?;
        self.read_chunks(connection)?;
        self.read_log(connection)
    }

    /// Oldest first, each check once. Older layers were read first: of two results for one slot theirs stays.
    fn tidy(&mut self) {
        let to_ms = if self.whole_hours { i64::MAX } else { self.to_ms };
        let wanted = self.from_ms..to_ms;
        self.rows.retain(|row| wanted.contains(&row.slot_ms));
        self.rows.sort_by_key(|row| (row.slot_ms, row.location));
        self.rows.dedup_by_key(|row| (row.slot_ms, row.location));
    }

    /// The hours or days from the window that can have rows in a table, as its first and last row tell.
    fn periods(&self, ends: (Option<i64>, Option<i64>), period_ms: i64) -> std::ops::Range<i64> {
        let (Some(first), Some(last)) = ends else { return 0..0 };
        let from = self.from_ms.max(0) / period_ms;
        let to = (self.to_ms.max(0) - 1).div_euclid(period_ms) + 1;
        from.max(first)..to.min(last + 1)
    }

    fn days(&self, connection: &Connection, table: &str) -> Result<std::ops::Range<i64>> {
        let ends = ends(connection, table)?;
        Ok(self.periods((ends.0.map(key::block_period), ends.1.map(key::block_period)), DAY_MS))
    }

    fn read_day(&mut self, connection: &Connection, day: i64) -> Result<()> {
        let sql = "SELECT id, data FROM day_raw WHERE id BETWEEN ?1 AND ?2";
        self.read_packed(connection, sql, ("day_raw", day, DAY_MS))
    }

    fn read_blocks(&mut self, connection: &Connection) -> Result<()> {
        let ends = ends(connection, "block")?;
        let sql = "SELECT id, data FROM block WHERE id BETWEEN ?1 AND ?2";
        for hour in self.periods((ends.0.map(key::block_period), ends.1.map(key::block_period)), HOUR_MS) {
            self.read_packed(connection, sql, ("block", hour, HOUR_MS))?;
        }
        Ok(())
    }

    fn read_packed(
        &mut self,
        connection: &Connection,
        sql: &str,
        (table, period, period_ms): (&'static str, i64, i64),
    ) -> Result<()> {
        let (first, last) = key::block_of_monitor(period, self.monitor);
        let mut select = connection.prepare_cached(sql).map_err(engine)?;
        let mut found = select.query([first, last]).map_err(engine)?;
        while let Some(row) = found.next().map_err(engine)? {
            let id: i64 = row.get(0).map_err(engine)?;
            let data = row.get_ref(1).and_then(|d| Ok(d.as_blob()?)).map_err(engine)?;
            let whose = (key::block_monitor(id), key::block_location(id));
            decode_block(data, period * period_ms, id, whose, &mut self.rows).map_err(damaged(table, id))?;
        }
        Ok(())
    }

    fn read_chunks(&mut self, connection: &Connection) -> Result<()> {
        let ends = ends(connection, "chunk")?;
        let mut select = connection
            .prepare_cached("SELECT id, data FROM chunk WHERE id >= ?1 AND id < ?2")
            .map_err(engine)?;
        for hour in self.periods((ends.0.map(key::chunk_hour), ends.1.map(key::chunk_hour)), HOUR_MS) {
            let (from, to) = key::chunk_range(hour, self.monitor.shard().0);
            let mut found = select.query([from, to]).map_err(engine)?;
            while let Some(row) = found.next().map_err(engine)? {
                let id: i64 = row.get(0).map_err(engine)?;
                let data = row.get_ref(1).and_then(|d| Ok(d.as_blob()?)).map_err(engine)?;
                let reader = rows::chunk(data, id).map_err(damaged("chunk", id))?;
                self.take(reader, true).map_err(damaged("chunk", id))?;
            }
        }
        Ok(())
    }

    fn read_log(&mut self, connection: &Connection) -> Result<()> {
        let shard = self.monitor.shard().0;
        let mut select = connection.prepare_cached("SELECT id, data FROM log ORDER BY id").map_err(engine)?;
        let mut found = select.query([]).map_err(engine)?;
        while let Some(row) = found.next().map_err(engine)? {
            let id: i64 = row.get(0).map_err(engine)?;
            let data = row.get_ref(1).and_then(|d| Ok(d.as_blob()?)).map_err(engine)?;
            let sections = rows::sections(data).map_err(damaged("log", id))?;
            for (_, section) in sections.into_iter().filter(|(of, _)| *of == shard) {
                RowReader::new(section).and_then(|r| self.take(r, false)).map_err(damaged("log", id))?;
            }
        }
        Ok(())
    }

    fn take(
        &mut self,
        mut reader: RowReader<'_>,
        sorted: bool,
    ) -> std::result::Result<(), crate::blocks::Corrupt> {
        let monitor = self.monitor.within_shard();
        while let Some(row) = reader.next()? {
            if row.monitor == monitor {
                self.rows.push(row);
            } else if sorted && row.monitor > monitor {
                break;
            }
        }
        Ok(())
    }
}

/// The first and the last id of a table.
fn ends(connection: &Connection, table: &str) -> Result<(Option<i64>, Option<i64>)> {
    connection
        .prepare_cached(&format!("SELECT (SELECT min(id) FROM {table}), (SELECT max(id) FROM {table})"))
        .and_then(|mut s| s.query_row([], |row| Ok((row.get(0)?, row.get(1)?))))
        .map_err(engine)
}
