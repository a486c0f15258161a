//! The schema and its versions. A migration is a numbered file; the version stands in the database's header and
//! changes in the transaction that changes the schema, which is exclusive, so two servers cannot migrate at once.
//! Our own forty lines instead of a crate: the crate knows no lock, accepts two files of one number, and lags behind
//! the driver.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::error::engine;
use super::listed;
use crate::{Result, StoreError};

/// `QWAY` in the header says whose file it is.
const APPLICATION_ID: u32 = 0x5157_4159;

const MIGRATIONS: &[&str] =
    &[include_str!("migrations/V1__first.sql"), include_str!("migrations/V2__accounts.sql")];

/// The version that this program speaks.
pub(super) const VERSION: u32 = MIGRATIONS.len() as u32;

/// Brings the schema to [`VERSION`].
pub(super) fn migrate(connection: &mut Connection) -> Result<()> {
    if found(connection)? == VERSION {
        return Ok(());
    }
    let tx = connection.transaction_with_behavior(TransactionBehavior::Exclusive).map_err(engine)?;
    let from = lift(&tx, VERSION)?;
    // What is made from other tables is made by what this version knows, whichever version the data came from.
    listed::rebuild(&tx)?;
    tx.commit().map_err(engine)?;
    tracing::info!(from, to = VERSION, "the store has a new schema");
    Ok(())
}

/// Runs the migrations that are missing up to version `to`; the version before.
pub(super) fn lift(tx: &Transaction<'_>, to: u32) -> Result<u32> {
    let from = found(tx)?;
    let missing = MIGRATIONS.get(from as usize..to as usize).ok_or_else(|| newer(from))?;
    for migration in missing {
        tx.execute_batch(migration).map_err(engine)?;
    }
    tx.pragma_update(None, "application_id", APPLICATION_ID).map_err(engine)?;
    tx.pragma_update(None, "user_version", to).map_err(engine)?;
    Ok(from)
}

/// Refuses any schema but [`VERSION`].
pub(super) fn expect_current(connection: &Connection) -> Result<()> {
    match found(connection)? {
        VERSION => Ok(()),
        newer_one if newer_one > VERSION => Err(newer(newer_one)),
        older => Err(StoreError::Schema {
            found: older,
            wanted: VERSION,
            remedy: "start `quaywatch serve` of this version there once; it brings the data up to date",
        }),
    }
}

fn newer(found: u32) -> StoreError {
    StoreError::Schema {
        found,
        wanted: VERSION,
        remedy: "a newer Quaywatch wrote it; use that version, or restore a backup from before",
    }
}

fn found(connection: &Connection) -> Result<u32> {
    let number =
        |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, u32>(0)).map_err(engine);
    let version = number("user_version")?;
    let tables: u32 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(engine)?;
    if tables > 0 && number("application_id")? != APPLICATION_ID {
        return Err(StoreError::Directory(
            "the database in the data directory is not Quaywatch's: name another --data-dir".to_owned(),
        ));
    }
    Ok(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_numbered_without_gaps() {
        let mut names: Vec<_> =
            std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/sqlite/migrations"))
                .expect("our own sources")
                .map(|entry| entry.expect("readable").file_name().into_string().expect("plain"))
                .filter(|name| name.ends_with(".sql"))
                .collect();
        names.sort();
        for (i, name) in names.iter().enumerate() {
            assert!(name.starts_with(&format!("V{}__", i + 1)), "{name}");
        }
        assert_eq!(names.len(), MIGRATIONS.len());
    }

    #[test]
    fn a_foreign_database_is_left_alone() {
        let mut connection = Connection::open_in_memory().expect("memory");
        connection.execute_batch("CREATE TABLE theirs (a)").expect("made");
        assert!(matches!(migrate(&mut connection), Err(StoreError::Directory(_))));
    }

    #[test]
    fn a_schema_of_another_version_is_refused_by_its_number() {
        let mut connection = Connection::open_in_memory().expect("memory");
        let refused = expect_current(&connection).expect_err("empty").to_string();
        assert!(refused.contains("version 0") && refused.contains("quaywatch serve"), "{refused}");
        migrate(&mut connection).expect("migrates");
        expect_current(&connection).expect("current");
        connection.pragma_update(None, "user_version", VERSION + 1).expect("set");
        assert!(
            matches!(migrate(&mut connection), Err(StoreError::Schema { found, .. }) if found == VERSION + 1)
        );
        assert!(matches!(expect_current(&connection), Err(StoreError::Schema { .. })));
    }
}
