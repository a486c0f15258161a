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
    let niceness = niceness_of_clients()?;
    Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("front")
        .on_thread_start(move || give_way(niceness))
        .enable_all()
        .build()
}

/// Reckoned from the thread that starts the runtime: a thread inherits the niceness of whoever starts it, and threads of
/// the runtime start others.
#[cfg(target_os = "linux")]
fn niceness_of_clients() -> io::Result<i32> {
    Ok(rustix::process::getpriority_process(None)? + GIVES_WAY_BY)
}

/// On Linux the niceness belongs to the thread (setpriority(2), C library/kernel differences), elsewhere to the process.
#[cfg(target_os = "linux")]
fn give_way(niceness: i32) {
    if let Err(error) = rustix::process::setpriority_process(None, niceness) {
        tracing::warn!(%error, "threads for clients have the same priority as checks");
    }
}

/// Nothing to reckon, and nothing to do, without taking checks along.
#[cfg(not(target_os = "linux"))]
fn niceness_of_clients() -> io::Result<i32> {
    Ok(0)
}

#[cfg(not(target_os = "linux"))]
fn give_way(_: i32) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn niceness() -> i32 {
        rustix::process::getpriority_process(None).expect("of this thread")
    }

    #[test]
    fn every_thread_for_clients_gives_way_once() {
        let before = niceness();
        let front = start().expect("a runtime");
        let (worker, blocking, nested) = front.block_on(async {
            tokio::spawn(async {
                let blocking = tokio::task::spawn_blocking(niceness);
                let nested =
                    tokio::task::spawn_blocking(|| std::thread::spawn(niceness).join().expect("it ends"));
                (niceness(), blocking.await.expect("it ends"), nested.await.expect("it ends"))
            })
            .await
            .expect("it ends")
        });
        assert_eq!([worker, blocking, nested], [before + GIVES_WAY_BY; 3]);
        assert_eq!(niceness(), before, "whoever started it stays as it was");
    }
}
