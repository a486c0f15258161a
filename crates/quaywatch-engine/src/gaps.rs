//! Time that passed while nobody looked: a stopped process, a machine that slept, a clock that was set. The runner says
//! which it was; until it has, no deadline is overdue. Else whoever wakes first would decide whether every monitor is
//! called unknown for a gap of our own.

use std::time::Duration;

use quaywatch_core::{BootTime, Timestamp};

/// As much lateness is no gap, but a busy machine.
const GAP: Duration = Duration::from_secs(1);
/// How long the runner has to say what the gap was: it looks at the clocks at least once a second.
const HOLD: Duration = Duration::from_secs(3);

/// The clocks at the last turn.
#[derive(Debug)]
pub(crate) struct Gaps {
    boot: BootTime,
    now: Timestamp,
    held_until: Option<BootTime>,
}

impl Gaps {
    pub(crate) const fn new(boot: BootTime, now: Timestamp) -> Self {
        Self { boot, now, held_until: None }
    }

    /// Reads the clocks after a sleep that was to last for `pause`.
    pub(crate) fn look(&mut self, boot: BootTime, now: Timestamp, pause: Duration) {
        let away = boot.since(self.boot);
        let expected = self.now + away;
        let set = now.since(expected).max(expected.since(now));
        (self.boot, self.now) = (boot, now);
        if away > pause + GAP || set > GAP {
            // Not extended: an engine that is always late still gets to its deadlines.
            self.held_until.get_or_insert(boot + HOLD);
        }
    }

    /// The runner has said what the gap was.
    pub(crate) const fn explained(&mut self) {
        self.held_until = None;
    }

    /// Whether deadlines have to wait.
    pub(crate) fn holds(&mut self) -> bool {
        if self.held_until.is_some_and(|until| self.boot >= until) {
            self.held_until = None;
        }
        self.held_until.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(1);

    const fn boot(ms: u64) -> BootTime {
        BootTime(ms * 1_000)
    }

    const fn wall(ms: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + ms)
    }

    #[test]
    fn an_hour_that_was_slept_or_set_holds_deadlines_until_it_is_explained() {
        for (slept, set) in [(3_600_000, 3_600_000), (900, 3_600_900), (900, -3_599_100)] {
            let mut gaps = Gaps::new(boot(0), wall(0));
            gaps.look(boot(900), wall(900), PAUSE);
            assert!(!gaps.holds(), "nothing happened yet");
            gaps.look(boot(900 + slept), wall(900 + set), PAUSE);
            assert!(gaps.holds());
            gaps.look(boot(1_000 + slept), wall(1_000 + set), PAUSE);
            assert!(gaps.holds(), "until the runner has spoken");
            gaps.explained();
            assert!(!gaps.holds());
        }
    }

    #[test]
    fn a_runner_that_saw_no_gap_holds_nothing_for_long() {
        let mut gaps = Gaps::new(boot(0), wall(0));
        for turn in 1..=4 {
            gaps.look(boot(turn * 2_500), wall(turn as i64 * 2_500), PAUSE);
            // Late again and again: held at 2.5 s and until 5.5 s, free at 7.5 s, held again.
            assert_eq!(gaps.holds(), turn != 3, "turn {turn}");
        }
    }
}
