//! Leaves an endpoint alone that fails whatever it is sent: after five failures in a row, one attempt at a time, at the
//! pace of the ladder. A notice that was never tried may be tried a little sooner: it may be the first to find that
//! the endpoint is well again.

use std::time::Duration;

use quaywatch_core::Timestamp;

use super::ladder;

/// So many failures in a row open it.
pub(crate) const OPENS_AFTER: u32 = 5;
/// How soon a notice that was never tried may look whether the endpoint is well.
const FRESH_LOOK: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Default)]
pub(crate) struct Breaker {
    failures: u32,
    last: Timestamp,
    /// When it opened.
    opened: Timestamp,
}

impl Breaker {
    pub(crate) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// An attempt that took so long failed. What was under way when the breaker opened failed for the same reason, and
    /// is no step further down the ladder: else sixteen attempts that hang together would cost hours.
    pub(crate) fn failed(&mut self, now: Timestamp, took: Duration) {
        if self.is_open() && now - took < self.opened {
            return;
        }
        self.failures = self.failures.saturating_add(1);
        self.last = now;
        if self.failures == OPENS_AFTER {
            self.opened = now;
        }
    }

    pub(crate) const fn is_open(&self) -> bool {
        self.failures >= OPENS_AFTER
    }

    /// The earliest moment for the next attempt; `fresh`: of a notice that was never tried.
    pub(crate) fn not_before(&self, fresh: bool) -> Option<Timestamp> {
        let probes = (self.failures + 1).checked_sub(OPENS_AFTER).filter(|probes| *probes > 0)?;
        let pace = ladder::step(probes);
        Some(self.last + if fresh { pace.min(FRESH_LOOK) } else { pace })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(10);

    #[test]
    fn attempts_that_hang_together_are_one_step() {
        let mut breaker = Breaker::default();
        let at = |ms| Timestamp::from_millis(ms);
        for n in 0..16 {
            breaker.failed(at(15_000 + n), Duration::from_secs(15));
        }
        assert_eq!(breaker.not_before(false), Some(at(20_004)), "five seconds after the fifth");
        breaker.failed(at(35_004), Duration::from_secs(15));
        assert_eq!(breaker.not_before(false), Some(at(65_004)));
    }

    #[test]
    fn it_opens_after_five_failures_and_one_success_closes_it() {
        let mut breaker = Breaker::default();
        let at = |seconds| Timestamp::from_secs(seconds);
        for second in 0..4 {
            breaker.failed(at(second), SHORT);
            assert_eq!((breaker.is_open(), breaker.not_before(false)), (false, None));
        }
        breaker.failed(at(10), SHORT);
        assert_eq!((breaker.is_open(), breaker.not_before(false)), (true, Some(at(15))));
        breaker.failed(at(15), SHORT);
        assert_eq!(breaker.not_before(false), Some(at(45)));
        breaker.failed(at(45), SHORT);
        assert_eq!((breaker.not_before(false), breaker.not_before(true)), (Some(at(165)), Some(at(75))));
        breaker.succeeded();
        assert_eq!(breaker.not_before(false), None);
    }
}
