//! In which order changes were made. Each has a number of the store's; two that are made at almost the same time may
//! arrive the other way round, and the older one must not undo the newer one (a pause, a removal).

use std::collections::HashMap;
use std::time::Duration;

use quaywatch_core::{MonitorId, Timestamp};

/// A change that arrives after a newer one is not later than this. What is older is forgotten: two such times at most.
const REMEMBERED: Duration = Duration::from_secs(60);

/// The newest change that was followed, by monitor.
#[derive(Debug, Default)]
pub(super) struct Order {
    young: HashMap<MonitorId, i64>,
    old: HashMap<MonitorId, i64>,
    since: Timestamp,
}

impl Order {
    /// Whether the change `seq` of this monitor is none that a newer one has overtaken; remembers it, if so.
    pub(super) fn is_news(&mut self, monitor: MonitorId, seq: i64, now: Timestamp) -> bool {
        if now.since(self.since) >= REMEMBERED {
            self.old = std::mem::take(&mut self.young);
            self.since = now;
        }
        let known = self.young.get(&monitor).or_else(|| self.old.get(&monitor));
        if known.is_some_and(|known| seq < *known) {
            return false;
        }
        self.young.insert(monitor, seq);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overtaken_change_is_none_and_old_ones_are_forgotten() {
        let mut order = Order::default();
        let at = |second: i64| Timestamp::from_secs(1_777_652_100 + second);
        let (one, other) = (MonitorId(1), MonitorId(2));
        assert!(order.is_news(one, 5, at(0)));
        assert!(!order.is_news(one, 4, at(1)), "overtaken");
        assert!(order.is_news(one, 5, at(2)), "the same change may name it twice");
        assert!(order.is_news(other, 4, at(3)), "of another monitor");
        assert!(!order.is_news(one, 4, at(61)), "still remembered");
        assert!(order.is_news(other, 6, at(122)));
        assert!(order.is_news(other, 7, at(183)));
        assert_eq!((order.young.len(), order.old.len()), (1, 1));
        assert!(!order.old.contains_key(&one), "nothing grows for ever");
    }
}
