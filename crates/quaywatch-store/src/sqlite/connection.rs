//! How connections are opened: the same settings everywhere, and no engine older than the one that is known to be
//! sound.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::engine;
use crate::{Result, StoreError};

/// 3.7.0 to 3.51.2 can corrupt a database when a checkpoint races a commit (<https://sqlite.org/wal.html#walresetbug>).
const OLDEST_ENGINE: i32 = 3_051_003;
/// How long a call waits for another process.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// The room for pages of the server's writer.
pub(super) const WRITER_KIB: i64 = 16 << 10;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// The one writer of the server.
    Serving,
    /// A writer beside the server: checkpoints are not its business, not even when it closes as the last.
    Beside,
    /// Only reads.
    Reading,
}

/// Opens `path`; makes it only for [`Use::Serving`].
pub(super) fn open(path: &Path, purpose: Use) -> Result<Connection> {
    if rusqlite::version_number() < OLDEST_ENGINE {
        return Err(StoreError::Directory(format!(
            "this program was built with SQLite {}, which can damage data: build it with 3.51.3 or newer",
            rusqlite::version()
        )));
    }
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, purpose == Use::Serving);
    let connection = Connection::open_with_flags(path, flags)
        .map_err(|e| StoreError::Directory(format!("cannot open {}: {e}", path.display())))?;
    configure(&connection, purpose).map_err(engine)?;
    Ok(connection)
}

fn configure(connection: &Connection, purpose: Use) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    if purpose == Use::Serving {
        // These two only count before the first table is made.
        connection.pragma_update(None, "page_size", 8_192)?;
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(
        None,
        "cache_size",
        if purpose == Use::Serving { -WRITER_KIB } else { -4_096 },
    )?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    // A plan depends on the statement alone. Without this, statements near a partial index are planned anew for each
    // value that is bound, which costs more than running them.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, purpose != Use::Serving)?;
    connection.set_prepared_statement_cache_capacity(64);
    if purpose == Use::Reading {
        connection.pragma_update(None, "query_only", true)?;
    }
    Ok(())
}
