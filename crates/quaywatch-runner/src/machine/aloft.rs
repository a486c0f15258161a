//! How much of what may be in flight at once each account has taken. Turns alone are not fair to who wants little: if
//! everything in flight belongs to one account's dead targets, no place comes free for seconds. So a part is kept for
//! those who have little in flight.

/// One part in so many is kept.
const KEPT: usize = 8;

/// What is in flight, by account: a place in the roster's table.
#[derive(Debug, Default)]
pub(super) struct Aloft {
    accounts: Vec<usize>,
    total: usize,
    /// Accounts that ever had something in flight: with one alone there is nobody to keep anything for.
    seen: usize,
}

impl Aloft {
    pub(super) const fn total(&self) -> usize {
        self.total
    }

    /// Whether an account may begin one more, where `most` may be in flight in all.
    pub(super) fn may(&self, account: u16, most: usize) -> bool {
        if self.total >= most {
            return false;
        }
        let kept = if self.is_shared_by(account) { (most / KEPT).max(1) } else { 0 };
        self.total + kept < most || self.of(account) < kept
    }

    pub(super) fn began(&mut self, account: u16) {
        let place = usize::from(account);
        if self.accounts.len() <= place {
            self.accounts.resize(place + 1, NEVER);
        }
        let own = &mut self.accounts[place];
        if *own == NEVER {
            *own = 0;
            self.seen += 1;
        }
        *own += 1;
        self.total += 1;
    }

    pub(super) fn ended(&mut self, account: u16) {
        self.accounts[usize::from(account)] -= 1;
        self.total -= 1;
    }

    /// Nothing is in flight any more.
    pub(super) fn clear(&mut self) {
        self.accounts.iter_mut().filter(|own| **own != NEVER).for_each(|own| *own = 0);
        self.total = 0;
    }

    fn of(&self, account: u16) -> usize {
        self.accounts.get(usize::from(account)).copied().filter(|own| *own != NEVER).unwrap_or(0)
    }

    fn is_shared_by(&self, account: u16) -> bool {
        let others =
            self.seen - usize::from(self.accounts.get(usize::from(account)).is_some_and(|own| *own != NEVER));
        others > 0
    }
}

/// An account that has had nothing in flight yet.
const NEVER: usize = usize::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    fn take(aloft: &mut Aloft, account: u16, most: usize) -> usize {
        let mut taken = 0;
        while aloft.may(account, most) {
            aloft.began(account);
            taken += 1;
        }
        taken
    }

    #[test]
    fn one_alone_may_take_all_and_beside_others_a_part_is_left_for_them() {
        let mut aloft = Aloft::default();
        assert_eq!(take(&mut aloft, 0, 80), 80);
        (0..80).for_each(|_| aloft.ended(0));
        aloft.began(7);
        aloft.ended(7);
        assert_eq!(take(&mut aloft, 0, 80), 70);
        assert_eq!(take(&mut aloft, 7, 80), 10, "who has little in flight has the rest");
        assert!(!aloft.may(0, 80) && !aloft.may(7, 80));
        aloft.ended(0);
        assert!(!aloft.may(0, 80), "that is another's");
        assert!(!aloft.may(7, 80), "who has its part by now waits like the others");
        aloft.ended(7);
        assert!(!aloft.may(0, 80));
        assert!(aloft.may(7, 80));
        aloft.clear();
        assert_eq!((aloft.total(), take(&mut aloft, 3, 8)), (0, 7));
    }
}
