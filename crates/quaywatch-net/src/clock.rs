//! The one type that reads the system's clocks. Everything else is handed a [`Clock`], so that tests can bend time
//! and so that one place decides which clock a duration comes from.

use nix::time::{ClockId, clock_gettime};
use quaywatch_core::{BootTime, Clock, Timestamp};

/// CLOCK_REALTIME for wall time; CLOCK_BOOTTIME, which also counts suspend, for durations. Both are answered by the
/// vDSO on Linux 5.3 and later: no system call, some 30 ns.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

/// Without CLOCK_BOOTTIME (systems other than Linux) a suspend is seen by the wall clock's step alone.
#[cfg(target_os = "linux")]
const SINCE_BOOT: ClockId = ClockId::CLOCK_BOOTTIME;
#[cfg(not(target_os = "linux"))]
const SINCE_BOOT: ClockId = ClockId::CLOCK_MONOTONIC;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp(micros(ClockId::CLOCK_REALTIME))
    }

    fn boot(&self) -> BootTime {
        BootTime(micros(SINCE_BOOT).unsigned_abs())
    }
}

fn micros(clock: ClockId) -> i64 {
    let time =
        clock_gettime(clock).expect("clock_gettime fails only for clocks that the system does not have");
    time.tv_sec() * 1_000_000 + time.tv_nsec() / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_go_forward() {
        let clock = SystemClock;
        let (wall, boot) = (clock.now(), clock.boot());
        assert!(wall > Timestamp::from_secs(1_700_000_000));
        for _ in 0..1_000 {
            assert!(clock.boot() >= boot);
        }
    }
}
