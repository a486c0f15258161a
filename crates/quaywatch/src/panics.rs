//! What a bug in one thread does to the process. Tasks are caught by the runtime and hurt only themselves; but a server
//! one of whose own threads has ended looks alive and watches nothing. It ends instead: what is durable is durable, and
//! whoever supervises it starts it again.

use std::panic;
use std::thread;

/// Threads that nothing replaces: checks, decisions and commits hang on them.
const VITAL: [&str; 4] = ["runner", "probe-", "engine", "store-writer"];

/// From now on the process ends with any of its vital threads.
pub(crate) fn end_with_vital_threads() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |about| {
        usual(about);
        if thread::current().name().is_some_and(is_vital) {
            tracing::error!(
                thread = thread::current().name(),
                "a thread ended by a bug; the process ends with it"
            );
            std::process::abort();
        }
    }));
}

fn is_vital(thread: &str) -> bool {
    VITAL.iter().any(|vital| thread.starts_with(vital))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_of_the_runtime_and_readers_are_not_vital() {
        assert!(["runner", "probe-0", "probe-1", "engine", "store-writer"].into_iter().all(is_vital));
        assert!(!["main", "tokio-rt-worker", "store-read-0"].into_iter().any(is_vital));
    }
}
