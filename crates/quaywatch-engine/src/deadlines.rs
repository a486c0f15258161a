//! When judges want to be woken: one ordered structure for all monitors.
//!
//! A steady monitor moves its deadline (the end of its freshness) with every result, a million times a minute; moving
//! an entry each time would cost more than the judging. So an entry stays where it is until it comes up, and whoever
//! takes it asks the judge again: it is due, or it goes back in at its new place. Deadlines are gathered in buckets of
//! 65 ms and come up at their bucket's end, never before they are due.

use std::collections::BTreeMap;

use quaywatch_core::{MonitorId, Timestamp};

/// 2^16 µs.
const BUCKET_BITS: u32 = 16;

#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    buckets: BTreeMap<i64, Vec<u32>>,
}

impl Deadlines {
    /// Enters a deadline. The caller keeps the earliest one that it entered for a monitor and enters only earlier ones.
    pub(crate) fn insert(&mut self, monitor: MonitorId, at: Timestamp) {
        let id = u32::try_from(monitor.0).expect("monitor ids are below 2^32");
        self.buckets.entry(at.0 >> BUCKET_BITS).or_default().push(id);
    }

    /// When the next bucket comes up.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.buckets.keys().next().map(|bucket| Timestamp((bucket + 1) << BUCKET_BITS))
    }

    /// The monitors of one bucket that has come up.
    pub(crate) fn take(&mut self, now: Timestamp) -> Option<Vec<u32>> {
        let entry = self.buckets.first_entry()?;
        ((*entry.key() + 1) << BUCKET_BITS <= now.0).then(|| entry.remove())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_comes_up_soon_after_it_is_due_and_never_before() {
        let mut deadlines = Deadlines::default();
        let at = Timestamp::from_secs(1_777_652_100);
        deadlines.insert(MonitorId(7), at);
        deadlines.insert(MonitorId(8), Timestamp(at.0 + 10_000_000));
        let up = deadlines.next().expect("one is there");
        assert!(up >= at && up.0 - at.0 <= 1 << BUCKET_BITS);
        assert_eq!(deadlines.take(Timestamp(up.0 - 1)), None);
        assert_eq!(deadlines.take(up), Some(vec![7]));
        assert_eq!(deadlines.take(up), None);
    }
}
