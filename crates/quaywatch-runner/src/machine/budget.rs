//! How hard one target may be hit, over all monitors and accounts: a rate with a burst for each address and port, and
//! one for each address, as virtual scheduling (GCRA, ITU-T I.371): one number a target says when it is due again.
//!
//! Nearly every target is far below its budget, so a small table of counters by hash is asked first; only what was
//! hit often within two seconds gets numbers of its own.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use quaywatch_core::BootTime;
use quaywatch_core::schedule::splitmix64;

use crate::config::TargetBudget;

/// Counters; at 20,000 checks a second one in three is hit within a second, and then mostly once.
const CELLS: usize = 1 << 16;
const SECOND_US: u64 = 1_000_000;

/// The bounds and what has been used of them.
#[derive(Debug)]
pub(super) struct Budgets {
    port_gap_us: u64,
    address_gap_us: u64,
    /// Hits within two seconds up to which no exact number is needed.
    surely_below: u32,
    cells: Box<[Cell]>,
    exact: HashMap<(IpAddr, u16), u64, foldhash::fast::RandomState>,
    swept: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    second: u32,
    hits: u16,
    before: u16,
}

/// What the budget says to a dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leave {
    /// Dial now; it is booked.
    Now,
    /// Dial after this time; it is booked.
    After(Duration),
    /// Do not dial; nothing is booked.
    No,
}

impl Budgets {
    pub(super) fn new(budget: TargetBudget) -> Self {
        Self {
            port_gap_us: SECOND_US / u64::from(budget.per_port.max(1)),
            address_gap_us: SECOND_US / u64::from(budget.per_address.max(1)),
            surely_below: budget.per_port.min(budget.per_address) / 2,
            cells: vec![Cell::default(); CELLS].into_boxed_slice(),
            exact: HashMap::default(),
            swept: 0,
        }
    }

    /// Books a dial of `ip` and `port`, if it may begin within `patience`.
    pub(super) fn book(&mut self, ip: IpAddr, port: u16, now: BootTime, patience: Duration) -> Leave {
        let lately = self.hit(ip, now);
        if lately < self.surely_below && (self.exact.is_empty() || !self.exact.contains_key(&(ip, 0))) {
            return Leave::Now;
        }
        self.sweep(now);
        let keys = [((ip, port), self.port_gap_us), ((ip, 0), self.address_gap_us)];
        // A number begins as if every hit that was not booked had been this target's.
        let unbooked = u64::from(self.surely_below);
        let due = |exact: &HashMap<_, u64, _>, key, gap| {
            exact.get(&key).copied().unwrap_or(now.0 + unbooked * gap).max(now.0)
        };
        // A second's worth may come at once.
        let wait_us = keys
            .iter()
            .map(|(key, gap)| (due(&self.exact, *key, *gap) + gap).saturating_sub(now.0 + SECOND_US))
            .max()
            .unwrap_or(0);
        let wait = Duration::from_micros(wait_us);
        if wait > patience {
            return Leave::No;
        }
        for (key, gap) in keys {
            let booked = due(&self.exact, key, gap) + gap;
            self.exact.insert(key, booked);
        }
        if wait.is_zero() { Leave::Now } else { Leave::After(wait) }
    }

    /// Counts a hit; returns how many there were before it within this second and the last, or more.
    fn hit(&mut self, ip: IpAddr, now: BootTime) -> u32 {
        let second = u32::try_from(now.0 / SECOND_US).unwrap_or(u32::MAX);
        let cell = &mut self.cells[(hash(ip) as usize) & (CELLS - 1)];
        if cell.second != second {
            let before = if cell.second + 1 == second { cell.hits } else { 0 };
            *cell = Cell { second, hits: 0, before };
        }
        let lately = u32::from(cell.before) + u32::from(cell.hits);
        cell.hits = cell.hits.saturating_add(1);
        lately
    }

    /// Forgets numbers that say nothing any more; once a second.
    fn sweep(&mut self, now: BootTime) {
        let second = now.0 / SECOND_US;
        if second != self.swept {
            self.swept = second;
            self.exact.retain(|_, due| *due + SECOND_US > now.0);
        }
    }
}

fn hash(ip: IpAddr) -> u64 {
    match ip {
        IpAddr::V4(v4) => splitmix64(u64::from(v4.to_bits())),
        IpAddr::V6(v6) => {
            let bits = v6.to_bits();
            splitmix64((bits >> 64) as u64 ^ splitmix64(bits as u64))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn ip(n: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, n])
    }

    fn at(ms: u64) -> BootTime {
        BootTime(ms * 1_000)
    }

    fn booked(budgets: &mut Budgets, port: impl Fn(u16) -> u16, n: u16, now: BootTime) -> usize {
        (0..n).filter(|i| budgets.book(ip(1), port(*i), now, Duration::ZERO) == Leave::Now).count()
    }

    #[test]
    fn one_port_gets_twenty_at_once_and_twenty_a_second() {
        let mut budgets = Budgets::new(TargetBudget::default());
        assert_eq!(booked(&mut budgets, |_| 5432, 100, at(50_000)), 20);
        assert_eq!(booked(&mut budgets, |_| 5432, 100, at(50_500)), 10);
        let over_ten_seconds: usize =
            (1..=100).map(|i| booked(&mut budgets, |_| 5432, 10, at(50_500 + 100 * i))).sum();
        assert!((199..=201).contains(&over_ten_seconds), "{over_ten_seconds}");
    }

    #[test]
    fn one_address_gets_a_hundred_over_all_its_ports() {
        let mut budgets = Budgets::new(TargetBudget::default());
        let first = booked(&mut budgets, |i| 1_000 + i, 500, at(50_000));
        assert!((90..=100).contains(&first), "{first}");
        let second = booked(&mut budgets, |i| 2_000 + i, 500, at(51_000));
        assert!((90..=100).contains(&second), "{second}");
    }

    #[test]
    fn the_patient_are_told_when() {
        let mut budgets = Budgets::new(TargetBudget::default());
        assert_eq!(booked(&mut budgets, |_| 25, 30, at(9_000)), 20);
        let mut waits = (0..200).map(|_| budgets.book(ip(1), 25, at(9_000), PATIENCE));
        assert_eq!(waits.next(), Some(Leave::After(Duration::from_millis(50))));
        assert_eq!(waits.next(), Some(Leave::After(Duration::from_millis(100))));
        assert_eq!(
            waits.filter(|leave| *leave == Leave::No).count(),
            100,
            "5 s at 20 a second, then no more"
        );
    }

    #[test]
    fn a_million_targets_leave_nothing_behind() {
        let mut budgets = Budgets::new(TargetBudget::default());
        for n in 0..1_000_000_u32 {
            let now = at(1_000 + u64::from(n) * 60 / 1_000);
            assert_eq!(budgets.book(IpAddr::from(n.to_be_bytes()), 80, now, Duration::ZERO), Leave::Now);
        }
        assert!(budgets.exact.len() < 50, "{}", budgets.exact.len());
    }
}
