//! Opening the store of a server that runs, or ran: for `status` and `export`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use quaywatch_app::server;
use quaywatch_core::Clock;
use quaywatch_net::SystemClock;
use quaywatch_store::{SqliteStore, Store};

use crate::arguments::Data;

/// The opened store and the clock that goes with it.
pub(crate) struct Opened {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Whether a server writes it now.
    pub(crate) is_served: bool,
}

/// Opens the store beside a server that may be running.
///
/// # Errors
/// A sentence for people: which directory, what is wrong, what to do.
pub(crate) fn open(data: &Data) -> Result<Opened, String> {
    let directory = directory(data)?;
    if !directory.is_dir() {
        return Err(format!(
            "there is no data directory {}: name it with --data-dir, or name the server's file with --config",
            directory.display()
        ));
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store =
        SqliteStore::open_beside(&directory, Arc::clone(&clock)).map_err(|error| error.to_string())?;
    let is_served = store.is_served();
    Ok(Opened { store, clock, is_served })
}

fn directory(data: &Data) -> Result<PathBuf, String> {
    if let Some(directory) = &data.data_dir {
        return Ok(directory.clone());
    }
    let named = data.config.as_deref().map(server::data_dir_of).transpose()?.flatten();
    Ok(named.unwrap_or_else(|| Path::new(server::DEFAULT_DATA_DIR).to_owned()))
}
