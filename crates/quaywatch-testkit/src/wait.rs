//! Waiting for something to become true, with a deadline: never a sleep that hopes.

use std::time::Duration;

use quaywatch_core::{BootTime, Clock};

/// How often to look.
const STEP: Duration = Duration::from_millis(5);

/// The machine's clock: waiting for real servers takes real time.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealClock;

impl Clock for RealClock {
    #[expect(clippy::disallowed_methods, reason = "tests of real processes take real time")]
    fn now(&self) -> quaywatch_core::Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        quaywatch_core::Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    fn boot(&self) -> BootTime {
        let time =
            nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).expect("Linux has this clock");
        BootTime(u64::try_from(time.tv_sec() * 1_000_000 + time.tv_nsec() / 1_000).unwrap_or(0))
    }
}

/// Looks until `found` gives something; `None` after `patience`.
pub fn poll<T>(patience: Duration, mut found: impl FnMut() -> Option<T>) -> Option<T> {
    let began = RealClock.boot();
    loop {
        if let Some(value) = found() {
            return Some(value);
        }
        if RealClock.boot().since(began) > patience {
            return None;
        }
        std::thread::sleep(STEP);
    }
}

/// Waits until `is` is true.
///
/// # Panics
/// After `patience`, naming `what`.
pub fn until(what: &str, patience: Duration, mut is: impl FnMut() -> bool) {
    assert!(poll(patience, || is().then_some(())).is_some(), "not within {patience:?}: {what}");
}
