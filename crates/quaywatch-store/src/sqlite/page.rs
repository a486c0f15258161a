//! Pages of monitors, quick also where an account has a hundred thousand. Two ways lead to a page:
//!
//! - **few**: some term of the query (a text, a tag, a status, …) has few monitors, as an index tells: those are looked
//!   at one by one and sorted;
//! - **in order**: otherwise what is wanted is frequent, so the list is read in its order until the page is full.
//!
//! Terms without an index (a port, an owner) may be rare without anybody knowing; then all of the list is read, in the
//! order in which it lies, which costs some tens of milliseconds at worst.

use std::cmp::Ordering;
use std::fmt::Write as _;

use quaywatch_core::{AccountId, MonitorId};
use rusqlite::Connection;
use rusqlite::types::Value;

use super::listed::{self, folded};
use super::listing::{monitor_rows, rank_of, status_counts};
use super::query::rows;
use crate::Result;
use crate::blocks::key;
use crate::records::{
    CursorKey, MonitorCursor, MonitorFilter, MonitorPage, MonitorQuery, MonitorSort, StatusCounts,
};

/// So many monitors are few.
const FEW: usize = 2_000;
/// An account with fewer monitors is read through sooner than its texts are asked for.
const SMALL: u64 = 5_000;
const MOST: usize = 1_000;
const USUAL: usize = 100;

/// A page of monitors of one account.
pub(super) fn page(connection: &Connection, account: AccountId, query: &MonitorQuery) -> Result<MonitorPage> {
    let mut select = Select::new(account);
    select.filter(&query.filter);
    let limit = if query.limit == 0 { USUAL } else { query.limit.min(MOST) };
    let (mut found, total) = match few(connection, account, &query.filter)? {
        Some(keys) => {
            let mut all = select.among(connection, query, &keys)?;
            let total = all.len() as u64;
            if let Some(after) = &query.after {
                let end = all.partition_point(|place| !is_behind(query, place, after));
                all.drain(..end);
            }
            (all, Some(total))
        }
        None => (select.in_order(connection, query, limit + 1)?, kept_total(connection, account, query)?),
    };
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).cloned();
    let items = monitor_rows(connection, account, found.into_iter().map(|place| place.id))?;
    Ok(MonitorPage { items, next, total })
}

/// Whether a place comes after another in the order of the query.
fn is_behind(query: &MonitorQuery, place: &MonitorCursor, after: &MonitorCursor) -> bool {
    let order = if query.sort == MonitorSort::Id {
        place.id.cmp(&after.id)
    } else {
        let by_key = match (&place.key, &after.key) {
            (CursorKey::Number(one), CursorKey::Number(other)) => one.cmp(other),
            (CursorKey::Text(one), CursorKey::Text(other)) => one.cmp(other),
            // A cursor of a list in another order: numbers stand before texts.
            (CursorKey::Number(_), CursorKey::Text(_)) => Ordering::Less,
            (CursorKey::Text(_), CursorKey::Number(_)) => Ordering::Greater,
        };
        by_key.then(key::monitor(place.id).cmp(&key::monitor(after.id)))
    };
    order == if query.descending { Ordering::Less } else { Ordering::Greater }
}

/// The statement, as it grows: terms in words, values by number.
struct Select {
    terms: String,
    values: Vec<Value>,
}

impl Select {
    fn new(account: AccountId) -> Self {
        Self { terms: "l.account_id = ?1".to_owned(), values: vec![Value::Integer(account.0)] }
    }

    /// Remembers a value; what stands for it in a term.
    fn value(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }

    fn and(&mut self, term: &str) {
        self.terms.push_str(" AND ");
        self.terms.push_str(term);
    }

    /// Holds a column against a value. The sign keeps the engine from choosing an index for it: that was chosen here.
    fn equals(&mut self, column: &str, value: impl Into<Value>) {
        let value = self.value(value);
        self.and(&format!("+l.{column} = {value}"));
    }

    fn filter(&mut self, filter: &MonitorFilter) {
        if let Some(search) = &filter.search {
            let value = self.value(folded(search.trim()));
            self.and(&format!("instr(l.text, {value}) > 0"));
        }
        if !filter.statuses.is_empty() {
            let ranks: Vec<_> = filter.statuses.iter().map(|status| rank_of(*status).to_string()).collect();
            self.and(&format!("+l.rank IN ({})", ranks.join(", ")));
        }
        if let Some(kind) = &filter.kind {
            self.equals("kind", kind.clone());
        }
        if let Some(host) = &filter.host {
            self.equals("host", folded(host));
        }
        if let Some(port) = filter.port {
            self.equals("port", i64::from(port));
        }
        if let Some(group) = &filter.group {
            let value = self.value(group.clone());
            self.and(&format!("(+l.grp = {value} OR (+l.grp > {value} || '/' AND +l.grp < {value} || '0'))"));
        }
        if let Some(owner) = &filter.owner {
            self.equals("owner", owner.to_text());
        }
        if let Some(paused) = filter.paused {
            self.equals("paused", i64::from(paused));
        }
        if let Some(enabled) = filter.enabled {
            self.equals("enabled", i64::from(enabled));
        }
        self.filter_labels(filter);
    }

    fn filter_labels(&mut self, filter: &MonitorFilter) {
        for tag in &filter.tags {
            let name = self.value(tag.name.clone());
            let value = tag.value.as_ref().map(|value| self.value(value.clone()));
            let and = value.map_or_else(String::new, |value| format!(" AND t.value = {value}"));
            self.label(&format!("t.kind = {} AND t.name = {name}{and}", listed::TAG), "");
        }
        if !filter.channels.is_empty() {
            let names: Vec<_> = filter.channels.iter().map(|name| self.value(name.clone())).collect();
            self.label(&format!("t.kind = {} AND t.name IN ({})", listed::CHANNEL, names.join(", ")), "");
        }
        if let Some(location) = &filter.location {
            let kind = listed::LOCATION;
            let name = self.value(location.clone());
            // Who names no location means this one.
            let or = if location == "local" {
                format!(
                    " OR NOT EXISTS (SELECT 1 FROM label t INDEXED BY label_id WHERE t.id = l.id AND t.kind = {kind})"
                )
            } else {
                String::new()
            };
            self.label(&format!("t.kind = {kind} AND t.name = {name}"), &or);
        }
    }

    fn label(&mut self, term: &str, or: &str) {
        self.and(&format!(
            "(EXISTS (SELECT 1 FROM label t INDEXED BY label_id WHERE t.id = l.id AND {term}){or})"
        ));
    }

    /// Among few: the places of all that are wanted, in order.
    fn among(
        mut self,
        connection: &Connection,
        query: &MonitorQuery,
        keys: &[i64],
    ) -> Result<Vec<MonitorCursor>> {
        let keys = self.value(format!("{keys:?}"));
        let from = format!("json_each({keys}) j CROSS JOIN listed l NOT INDEXED ON l.key = j.value");
        self.run(connection, query, &from, "")
    }

    /// Among many: the first places behind the cursor.
    fn in_order(
        mut self,
        connection: &Connection,
        query: &MonitorQuery,
        limit: usize,
    ) -> Result<Vec<MonitorCursor>> {
        let (column, index) = order(query.sort);
        let from = if is_unknown(&query.filter) {
            "listed l NOT INDEXED".to_owned()
        } else {
            format!("listed l INDEXED BY {index}")
        };
        let than = if query.descending { "<" } else { ">" };
        if let Some(after) = &query.after {
            if query.sort == MonitorSort::Id {
                let id = self.value(after.id.0);
                self.and(&format!("l.id {than} {id}"));
            } else {
                let place = self.value(key::monitor(after.id));
                let key = self.value(match &after.key {
                    CursorKey::Number(number) => Value::Integer(*number),
                    CursorKey::Text(text) => Value::Text(text.clone()),
                });
                self.and(&format!("(l.{column}, l.key) {than} ({key}, {place})"));
            }
        }
        self.run(connection, query, &from, &format!("LIMIT {limit}"))
    }

    fn run(
        self,
        connection: &Connection,
        query: &MonitorQuery,
        from: &str,
        limit: &str,
    ) -> Result<Vec<MonitorCursor>> {
        let (column, _) = order(query.sort);
        let direction = if query.descending { "DESC" } else { "ASC" };
        let then = if query.sort == MonitorSort::Id { String::new() } else { format!(", l.key {direction}") };
        let sql = format!(
            "SELECT l.id, l.{column} FROM {from} WHERE {} ORDER BY l.{column} {direction}{then} {limit}",
            self.terms
        );
        rows(connection, &sql, rusqlite::params_from_iter(&self.values), |row| {
            let key = match row.get(1)? {
                _ if query.sort == MonitorSort::Id => CursorKey::Number(0),
                Value::Text(text) => CursorKey::Text(text),
                Value::Integer(number) => CursorKey::Number(number),
                Value::Null | Value::Real(_) | Value::Blob(_) => CursorKey::Number(0),
            };
            Ok(MonitorCursor { key, id: MonitorId(row.get(0)?) })
        })
    }
}

/// The column that a list is sorted by, and its index.
const fn order(sort: MonitorSort) -> (&'static str, &'static str) {
    match sort {
        MonitorSort::Id => ("id", "listed_id"),
        MonitorSort::Name => ("text", "listed_text"),
        MonitorSort::Status => ("rank", "listed_rank"),
        MonitorSort::Since => ("since", "listed_since"),
        MonitorSort::Updated => ("updated_at", "listed_updated"),
    }
}

/// Whether a term may be rare without an index that could tell.
const fn is_unknown(filter: &MonitorFilter) -> bool {
    filter.kind.is_some()
        || filter.port.is_some()
        || filter.owner.is_some()
        || filter.paused.is_some()
        || filter.enabled.is_some()
        || filter.location.is_some()
}

/// The keys of the fewest monitors that one term of the query leaves, if these are few.
fn few(connection: &Connection, account: AccountId, filter: &MonitorFilter) -> Result<Option<Vec<i64>>> {
    let mut least: Option<Vec<i64>> = None;
    let mut consider = |sql: &str, values: &[Value]| -> Result<()> {
        let known = least.as_ref().map_or(FEW, Vec::len);
        let sql = format!("{sql} LIMIT {}", known + 1);
        // Tables of lists hold keys, all else the monitors' numbers.
        let are_keys = sql.starts_with("SELECT key");
        let found: Vec<i64> = rows(connection, &sql, rusqlite::params_from_iter(values), |row| {
            let number = row.get(0)?;
            Ok(if are_keys { number } else { key::monitor(MonitorId(number)) })
        })?;
        if found.len() <= known {
            least = Some(found);
        }
        Ok(())
    };
    let whose = Value::Integer(account.0);
    if !filter.statuses.is_empty() {
        let ranks: Vec<_> = filter.statuses.iter().map(|status| rank_of(*status).to_string()).collect();
        let sql = format!(
            "SELECT key FROM listed INDEXED BY listed_rank WHERE account_id = ?1 AND rank IN ({})",
            ranks.join(", ")
        );
        consider(&sql, std::slice::from_ref(&whose))?;
    }
    if let Some(host) = &filter.host {
        let sql = "SELECT key FROM listed INDEXED BY listed_host WHERE account_id = ?1 AND host = ?2";
        consider(sql, &[whose.clone(), Value::Text(folded(host))])?;
    }
    if let Some(group) = &filter.group {
        let sql = "SELECT key FROM listed INDEXED BY listed_group WHERE account_id = ?1 AND grp = ?2
                   UNION ALL SELECT key FROM listed INDEXED BY listed_group
                   WHERE account_id = ?1 AND grp > ?2 || '/' AND grp < ?2 || '0'";
        consider(sql, &[whose.clone(), Value::Text(group.clone())])?;
    }
    for tag in &filter.tags {
        let mut sql =
            format!("SELECT id FROM label WHERE account_id = ?1 AND kind = {} AND name = ?2", listed::TAG);
        let mut values = vec![whose.clone(), Value::Text(tag.name.clone())];
        if let Some(value) = &tag.value {
            sql.push_str(" AND value = ?3");
            values.push(Value::Text(value.clone()));
        }
        consider(&sql, &values)?;
    }
    if !filter.channels.is_empty() {
        let names: Vec<Value> = filter.channels.iter().map(|name| Value::Text(name.clone())).collect();
        let marks: Vec<_> = (2..names.len() + 2).map(|i| format!("?{i}")).collect();
        let sql = format!(
            "SELECT DISTINCT id FROM label WHERE account_id = ?1 AND kind = {} AND name IN ({})",
            listed::CHANNEL,
            marks.join(", ")
        );
        consider(&sql, &[vec![whose.clone()], names].concat())?;
    }
    if let Some(parts) = filter.search.as_deref().and_then(parts)
        && status_counts(connection, account)?.total() > SMALL
    {
        consider("SELECT rowid FROM listed_parts WHERE listed_parts MATCH ?1", &[Value::Text(parts)])?;
    }
    Ok(least)
}

/// All threes of letters of a text, as the index of parts is asked for them; nothing for a shorter text.
fn parts(search: &str) -> Option<String> {
    let letters: Vec<char> = folded(search.trim()).chars().collect();
    let mut asked = String::new();
    for three in letters.windows(3) {
        if !asked.is_empty() {
            asked.push_str(" AND ");
        }
        let three: String = three.iter().collect();
        let _ = write!(asked, "\"{}\"", three.replace('"', "\"\""));
    }
    (!asked.is_empty()).then_some(asked)
}

/// How many there are in all, where that is kept.
fn kept_total(connection: &Connection, account: AccountId, query: &MonitorQuery) -> Result<Option<u64>> {
    let filter = &query.filter;
    let plain = MonitorFilter { statuses: filter.statuses.clone(), ..MonitorFilter::default() };
    if *filter != plain {
        return Ok(None);
    }
    let counts = status_counts(connection, account)?;
    if filter.statuses.is_empty() {
        return Ok(Some(counts.total()));
    }
    let wanted = StatusCounts::ORDER.into_iter().filter(|status| filter.statuses.contains(status));
    Ok(Some(wanted.map(|status| counts.of(status)).sum()))
}
