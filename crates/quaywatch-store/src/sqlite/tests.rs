//! SQLite against the conformance suite, and what only SQLite has: the lock, the settings of its file, a full disk.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quaywatch_core::{BootTime, Clock, Timestamp};

use super::{Options, SqliteStore};
use crate::conformance::{self, CASES, wait};
use crate::{Store, StoreError};

/// Stands still, but for the time since boot, which goes on a microsecond a look.
#[derive(Default)]
pub(super) struct StillClock(AtomicU64);

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(conformance::DAY)
    }

    fn boot(&self) -> BootTime {
        BootTime(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(StillClock::default())
}

fn serve(path: &std::path::Path) -> Arc<dyn Store> {
    SqliteStore::open_serving(path, clock()).expect("opens")
}

/// A directory for one case, removed at the end of the test.
struct Places(tempfile::TempDir);

impl Places {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn place(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

#[test]
fn sqlite_passes_the_conformance_suite() {
    let places = Places::new();
    for case in CASES {
        let place = places.place(case.name);
        println!("{}", case.name);
        (case.run)(&|| serve(&place));
    }
}
