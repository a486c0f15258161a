//! States that changed without a decision (a first failure, a streak that ended): they are written soon, in an order
//! that is cheap for the disk.
//!
//! A few go with the next group. When everything changes at once, states come in the order of the checks, and each
//! would rewrite a page of its own; the same states in the order of their keys share pages by the dozen. So then each
//! group takes an eighth of them, in whole shards, one shard after the other: every state is written within eight
//! groups, and a page once instead of eight times.

use quaywatch_core::{MonitorId, ShardId};

/// So many are no matter, in any order.
const FEW: usize = 1_000;
/// In how many groups all are written, when they are many.
const GROUPS: usize = 8;
/// The most that one group takes, give or take a shard: some 20 ms of the store's writer.
const MOST: usize = 4_000;

/// Monitors whose states are to be written without hurry.
pub(super) struct Lazy {
    shards: Vec<Vec<MonitorId>>,
    count: usize,
    /// The shard that comes first.
    next: usize,
}

impl Default for Lazy {
    fn default() -> Self {
        Self { shards: vec![Vec::new(); ShardId::COUNT], count: 0, next: 0 }
    }
}

impl Lazy {
    /// Adds a monitor; the caller sees to it that it is not there yet.
    pub(super) fn push(&mut self, monitor: MonitorId) {
        self.shards[usize::from(monitor.shard().0)].push(monitor);
        self.count += 1;
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Takes what goes with the next group, in the order of shards and keys; `all` at the end of the server.
    pub(super) fn take(&mut self, all: bool) -> Vec<MonitorId> {
        let wanted =
            if all || self.count <= FEW { self.count } else { (self.count / GROUPS).clamp(FEW, MOST) };
        let mut taken = Vec::with_capacity(wanted);
        for _ in 0..self.shards.len() {
            if taken.len() >= wanted {
                break;
            }
            let mut shard = std::mem::take(&mut self.shards[self.next]);
            shard.sort_unstable();
            taken.append(&mut shard);
            self.next = (self.next + 1) % self.shards.len();
        }
        self.count -= taken.len();
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_go_at_once_and_many_shard_by_shard_within_a_bounded_number_of_groups() {
        let mut lazy = Lazy::default();
        for id in [200, 8, 7, 72, 64] {
            lazy.push(MonitorId(id));
        }
        assert_eq!(lazy.take(false), [64, 7, 8, 72, 200].map(MonitorId), "by shard, then by id");
        assert!(lazy.is_empty());

        (1..=100_000).rev().for_each(|id| lazy.push(MonitorId(id)));
        let mut seen = Vec::new();
        let mut groups = 0;
        while !lazy.is_empty() {
            let group = lazy.take(false);
            let mut shards: Vec<_> = group.iter().map(|id| id.shard()).collect();
            assert!(
                shards.is_sorted_by_key(|shard| (usize::from(shard.0) + 64 - usize::from(shards[0].0)) % 64)
            );
            shards.dedup();
            assert!(group.len() < MOST + 100_000 / 64 + 2, "{}", group.len());
            seen.extend(group);
            groups += 1;
        }
        assert!(groups < 40, "{groups}");
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 100_000);

        (1..=5_000).for_each(|id| lazy.push(MonitorId(id)));
        assert_eq!((lazy.take(true).len(), lazy.is_empty()), (5_000, true));
    }
}
