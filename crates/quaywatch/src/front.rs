//! Threads for clients: a runtime of their own, whose threads give way to those that check.
//!
//! Checks run on threads of their own, yet they share the cores with whatever clients make the server do: thousands of
//! connections that are made and dropped, lists of a hundred thousand monitors, passwords that are meant to cost time.
//! The kernel gives a nice thread a smaller share wherever there is not enough for all (sched(7)), so a crowd at the
//! door makes answers slower, and no check later.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// As many as there may be cores in use for clients at once.
const WORKERS: usize = 2;

/// A third of the share of a thread that checks (`sched_prio_to_weight` in the kernel: 335 of 1,024). More would leave
/// people waiting for pages on a machine where other programs are at work too.
#[cfg(target_os = "linux")]
const GIVES_WAY_BY: i32 = 5;

/// Starts it.
///
/// # Errors
/// Where the kernel gives no thread or no descriptor.
pub(crate) fn start() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("front")
        .on_thread_start(give_way)
        .enable_all()
        .build()
}

/// On Linux the niceness belongs to the thread (nice(2), notes), elsewhere to the whole process.
#[cfg(target_os = "linux")]
fn give_way() {
    if let Err(error) = rustix::process::nice(GIVES_WAY_BY) {
        tracing::warn!(%error, "threads for clients have the same priority as checks");
    }
}

/// Nothing to do without taking checks along.
#[cfg(not(target_os = "linux"))]
fn give_way() {}
