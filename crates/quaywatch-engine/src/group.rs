//! When a group of steps is handed to the store. Pure: times come in, a decision goes out.
//!
//! Every commit costs a flush of the disk, so results are gathered for 250 ms; a decision does not wait that long, but
//! commits stay at least 5 ms apart. One group is in flight at a time: what comes meanwhile is the next group, so a
//! slow disk makes groups larger, not queues longer, and a failed step can be merged into the next without
//! overtaking.

use std::time::Duration;

use quaywatch_core::BootTime;

/// How long results are gathered.
pub(crate) const GATHER: Duration = Duration::from_millis(250);
/// How far commits stay apart.
pub(crate) const APART: Duration = Duration::from_millis(5);
/// The longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
pub(crate) struct Group {
    opened: Option<BootTime>,
    hurried: bool,
    in_flight: bool,
    not_before: BootTime,
    failures: u32,
}

impl Group {
    /// There is something to write; `hurry`: a decision, or somebody waits.
    pub(crate) fn add(&mut self, now: BootTime, hurry: bool) {
        self.opened.get_or_insert(now);
        self.hurried |= hurry;
    }

    /// When the group is due; `None` while there is none, or one is in flight.
    pub(crate) fn due(&self) -> Option<BootTime> {
        let opened = self.opened.filter(|_| !self.in_flight)?;
        let wish = if self.hurried { opened } else { opened + GATHER };
        Some(wish.max(self.not_before))
    }

    /// The group is handed over.
    pub(crate) fn close(&mut self, now: BootTime) {
        self.opened = None;
        self.hurried = false;
        self.in_flight = true;
        self.not_before = now + APART;
    }

    /// The store answered. After failures the pauses grow, so that a broken store is not hammered.
    pub(crate) fn answered(&mut self, now: BootTime, failed: bool) {
        self.in_flight = false;
        if failed {
            let pause = APART * 2_u32.saturating_pow(self.failures.min(10));
            self.not_before = now + pause.min(LONGEST_PAUSE);
            self.failures += 1;
        } else {
            self.failures = 0;
        }
    }

    /// How many groups failed in a row.
    pub(crate) const fn failures(&self) -> u32 {
        self.failures
    }

    pub(crate) const fn in_flight(&self) -> bool {
        self.in_flight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> BootTime {
        BootTime(ms * 1_000)
    }

    #[test]
    fn results_wait_a_quarter_of_a_second_and_decisions_do_not() {
        let mut group = Group::default();
        assert_eq!(group.due(), None);
        group.add(ms(1_000), false);
        group.add(ms(1_100), false);
        assert_eq!(group.due(), Some(ms(1_250)));
        group.add(ms(1_110), true);
        assert_eq!(group.due(), Some(ms(1_000)), "at once");
        group.close(ms(1_110));
        group.add(ms(1_111), true);
        assert_eq!(group.due(), None, "one at a time");
        group.answered(ms(1_112), false);
        assert_eq!(group.due(), Some(ms(1_115)), "5 ms apart");
    }

    #[test]
    fn a_broken_store_is_not_hammered() {
        let mut group = Group::default();
        let mut now = ms(0);
        let mut pauses = Vec::new();
        for _ in 0..12 {
            group.add(now, true);
            group.close(now);
            group.answered(now, true);
            group.add(now, true);
            let due = group.due().expect("there is a group");
            pauses.push(due.since(now).as_millis());
            now = due;
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 640, 1_280, 2_000, 2_000, 2_000]);
    }
}
