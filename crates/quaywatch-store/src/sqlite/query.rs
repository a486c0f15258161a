//! Queries as short as they can be written.

use rusqlite::{Connection, OptionalExtension, Row, ToSql};

use super::error::engine;
use crate::{Result, StoreError};

/// Runs a query and converts its rows.
pub(super) fn rows<T>(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    convert: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>> {
    connection.prepare_cached(sql).and_then(|mut s| s.query_map(params, convert)?.collect()).map_err(engine)
}

/// The value of one row, if there is one.
pub(super) fn one<T>(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    convert: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>> {
    connection.prepare_cached(sql).and_then(|mut s| s.query_row(params, convert).optional()).map_err(engine)
}

/// As [`rows`]; of the parameters those are bound that the text names.
pub(super) fn rows_asked<T>(
    connection: &Connection,
    sql: &str,
    params: &[(&str, &dyn ToSql)],
    mut convert: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>> {
    let mut run = || -> rusqlite::Result<Vec<T>> {
        let mut statement = connection.prepare_cached(sql)?;
        for (name, value) in params {
            if let Some(index) = statement.parameter_index(name)? {
                statement.raw_bind_parameter(index, value)?;
            }
        }
        let mut found = statement.raw_query();
        let mut all = Vec::new();
        while let Some(row) = found.next()? {
            all.push(convert(row)?);
        }
        Ok(all)
    };
    run().map_err(engine)
}

/// Whether there is such a row.
pub(super) fn exists(connection: &Connection, sql: &str, params: impl rusqlite::Params) -> Result<bool> {
    connection.prepare_cached(sql).and_then(|mut s| s.exists(params)).map_err(engine)
}

/// Runs a statement; how many rows it touched.
pub(super) fn run(connection: &Connection, sql: &str, params: impl rusqlite::Params) -> Result<u64> {
    connection.prepare_cached(sql).and_then(|mut s| s.execute(params)).map(|n| n as u64).map_err(engine)
}

/// As [`run`], of a thing that must be there.
pub(super) fn run_on(
    connection: &Connection,
    what: impl std::fmt::Display,
    sql: &str,
    params: impl rusqlite::Params,
) -> Result<()> {
    match run(connection, sql, params)? {
        0 => Err(StoreError::Missing(what.to_string())),
        _ => Ok(()),
    }
}
