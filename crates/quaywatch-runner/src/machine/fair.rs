//! Whose check goes next when not all can: deficit round robin over accounts (Shreedhar, Varghese 1995), so that one
//! account's million monitors, or its thousand dead targets, delay another's ten by nothing to speak of.
//!
//! A check is queued at most once, so an account's queue is bounded by the number of its monitors.

use std::collections::VecDeque;

/// Checks that one account may begin before it is another's turn: a turn that is worth its bookkeeping.
const QUANTUM: u32 = 16;

/// Checks that wait for capacity, by account.
#[derive(Debug, Default)]
pub(super) struct Fair {
    accounts: Vec<Account>,
    turns: VecDeque<u16>,
    len: usize,
}

#[derive(Debug, Default)]
struct Account {
    waiting: VecDeque<u32>,
    left: u32,
}

impl Fair {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn push(&mut self, account: u16, key: u32) {
        if self.accounts.len() <= usize::from(account) {
            self.accounts.resize_with(usize::from(account) + 1, Account::default);
        }
        let queue = &mut self.accounts[usize::from(account)];
        if queue.waiting.is_empty() {
            queue.left = QUANTUM;
            self.turns.push_back(account);
        }
        queue.waiting.push_back(key);
        self.len += 1;
    }

    /// The next one of the accounts that `may` have their turn now; those that may not keep their places.
    pub(super) fn pop_if(&mut self, may: impl Fn(u16) -> bool) -> Option<(u16, u32)> {
        let at = self.turns.iter().position(|account| may(*account))?;
        // Those passed over come next, in their order.
        let account = self.turns.remove(at)?;
        self.turns.push_front(account);
        let queue = &mut self.accounts[usize::from(account)];
        let key = queue.waiting.pop_front().expect("an account in the round has something waiting");
        self.len -= 1;
        queue.left -= 1;
        if queue.waiting.is_empty() {
            self.turns.pop_front();
        } else if queue.left == 0 {
            queue.left = QUANTUM;
            self.turns.rotate_left(1);
        }
        Some((account, key))
    }

    /// Empties the queues.
    pub(super) fn clear(&mut self) {
        for account in &mut self.accounts {
            account.waiting.clear();
        }
        self.turns.clear();
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_account_does_not_wait_behind_a_large_one() {
        let mut fair = Fair::default();
        for key in 0..100_000 {
            fair.push(0, key);
        }
        for key in 0..20 {
            fair.push(1, 1_000_000 + key);
        }
        let order: Vec<u32> = std::iter::from_fn(|| fair.pop_if(|_| true)).map(|(_, key)| key).collect();
        assert_eq!(order.len(), 100_020);
        let last_small = order.iter().rposition(|key| *key >= 1_000_000).unwrap();
        assert!(last_small < 60, "{last_small}");
        assert!(
            order.iter().filter(|key| **key < 1_000_000).is_sorted(),
            "first come, first served within one"
        );
        assert!(fair.is_empty());
    }
}
