//! How many sockets may be open at once: descriptors are taken from the server's common budget in lots, so that a
//! check costs no shared counter.

use quaywatch_net::{Descriptors, Permit};

const LOT: usize = 64;

/// Descriptors at hand.
#[derive(Debug)]
pub(super) struct Room {
    budget: Option<Descriptors>,
    lots: Vec<(Permit, usize)>,
    at_hand: usize,
    used: usize,
}

impl Room {
    pub(super) const fn new(budget: Option<Descriptors>) -> Self {
        Self { budget, lots: Vec::new(), at_hand: 0, used: 0 }
    }

    /// How many there are, for whoever is quick.
    pub(super) fn most(&self) -> usize {
        self.budget.as_ref().map_or(usize::MAX, Descriptors::limit)
    }

    /// Whether there is one.
    pub(super) fn has_some(&mut self) -> bool {
        self.used < self.at_hand || self.fetch()
    }

    /// Takes one, if there is one.
    pub(super) fn take(&mut self) -> bool {
        let has_some = self.has_some();
        self.used += usize::from(has_some);
        has_some
    }

    fn fetch(&mut self) -> bool {
        let Some(budget) = &self.budget else {
            self.at_hand += LOT;
            return true;
        };
        // Near the limit, one by one.
        let lot = [LOT, 1].into_iter().find_map(|n| Some((budget.try_take(n)?, n)));
        let Some((permit, n)) = lot else { return false };
        self.at_hand += n;
        self.lots.push((permit, n));
        true
    }

    /// Gives one back.
    pub(super) fn give(&mut self) {
        self.used = self.used.saturating_sub(1);
        if let Some((_, n)) = self.lots.last()
            && self.used + 2 * LOT + n <= self.at_hand
        {
            self.at_hand -= n;
            self.lots.pop();
        }
    }

    /// Gives all back.
    pub(super) fn clear(&mut self) {
        self.used = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_the_budget_can_be_used_and_comes_back() {
        let budget = Descriptors::new(300, 100);
        let mut room = Room::new(Some(budget.clone()));
        assert_eq!((0..1_000).filter(|_| room.take()).count(), 200);
        assert_eq!(budget.in_use(), 200);
        (0..200).for_each(|_| room.give());
        assert!(budget.in_use() <= 3 * LOT, "{}", budget.in_use());
        assert_eq!((0..1_000).filter(|_| room.take()).count(), 200);
        drop(room);
        assert_eq!(budget.in_use(), 0);
    }
}
