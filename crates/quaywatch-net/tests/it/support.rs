//! What several modules of this suite need.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quaywatch_core::{BootTime, Clock, Timestamp};
use quaywatch_net::SystemClock;

/// The system's clock, moved forward at will: TTLs pass without waiting for them.
#[derive(Default)]
pub(crate) struct Shifted(AtomicU64);

impl Shifted {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_micros() as u64, Ordering::SeqCst);
    }

    fn shift(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::SeqCst))
    }
}

impl Clock for Shifted {
    fn now(&self) -> Timestamp {
        SystemClock.now() + self.shift()
    }

    fn boot(&self) -> BootTime {
        SystemClock.boot() + self.shift()
    }
}

/// Waits until `true`, a bounded time.
pub(crate) async fn until(what: &str, mut check: impl AsyncFnMut() -> bool) {
    for _ in 0..500 {
        if check().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what} did not happen within 10 s");
}
