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

use super::lines::Spare;
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

    /// Books a dial of `ip` and `port`, if it may begin now.
    pub(super) fn book(&mut self, ip: IpAddr, port: u16, now: BootTime) -> bool {
        if self.is_far_below(ip, now) {
            return true;
        }
        self.sweep(now);
        let is_free = self.wait(ip, port, Spare::default(), now).is_zero();
        if is_free {
            self.charge(ip, port, now);
        }
        is_free
    }

    /// Counts a dial that needs no leave.
    pub(super) fn count(&mut self, ip: IpAddr, port: u16, now: BootTime) {
        if !self.is_far_below(ip, now) {
            self.charge(ip, port, now);
        }
    }

    /// How long the next dial of `ip` and `port` has to wait, if others could still be made at once after it. A
    /// second's worth may come at once, and more than that is not saved up for anybody.
    pub(super) fn wait(&self, ip: IpAddr, port: u16, spare: Spare, now: BootTime) -> Duration {
        let wait = |(key, gap): ((IpAddr, u16), u64), spare: u32| {
            let worth = (gap * (u64::from(spare) + 1)).min(SECOND_US.max(gap));
            (self.due(key, gap, now) + worth).saturating_sub(now.0 + SECOND_US)
        };
        let [at_port, at_address] = self.keys(ip, port);
        Duration::from_micros(wait(at_port, spare.port).max(wait(at_address, spare.address)))
    }

    /// From one dial of a port to the next, when it has no more than its share.
    pub(super) const fn port_gap(&self) -> Duration {
        Duration::from_micros(self.port_gap_us)
    }

    fn charge(&mut self, ip: IpAddr, port: u16, now: BootTime) {
        for (key, gap) in self.keys(ip, port) {
            let due = self.due(key, gap, now) + gap;
            self.exact.insert(key, due);
        }
    }

    /// A number begins as if every hit that was not booked had been this target's.
    fn due(&self, key: (IpAddr, u16), gap: u64, now: BootTime) -> u64 {
        let unbooked = u64::from(self.surely_below);
        self.exact.get(&key).copied().unwrap_or(now.0 + unbooked * gap).max(now.0)
    }

    const fn keys(&self, ip: IpAddr, port: u16) -> [((IpAddr, u16), u64); 2] {
        [((ip, port), self.port_gap_us), ((ip, 0), self.address_gap_us)]
    }

    /// Whether so few hits came lately that no exact number is needed.
    fn is_far_below(&mut self, ip: IpAddr, now: BootTime) -> bool {
        let lately = self.hit(ip, now);
        lately < self.surely_below && (self.exact.is_empty() || !self.exact.contains_key(&(ip, 0)))
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

    fn ip(n: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, n])
    }

    fn at(ms: u64) -> BootTime {
        BootTime(ms * 1_000)
    }

    fn booked(budgets: &mut Budgets, port: impl Fn(u16) -> u16, n: u16, now: BootTime) -> usize {
        (0..n).filter(|i| budgets.book(ip(1), port(*i), now)).count()
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
    fn those_who_must_wait_are_told_for_how_long() {
        let mut budgets = Budgets::new(TargetBudget::default());
        assert_eq!(booked(&mut budgets, |_| 25, 30, at(9_000)), 20);
        assert_eq!(budgets.wait(ip(1), 25, Spare::default(), at(9_000)), Duration::from_millis(50));
        assert_eq!(budgets.wait(ip(1), 26, Spare::default(), at(9_000)), Duration::ZERO, "another port");
        budgets.count(ip(1), 25, at(9_000));
        assert_eq!(
            budgets.wait(ip(1), 25, Spare::default(), at(9_000)),
            Duration::from_millis(100),
            "it came all the same"
        );
        assert_eq!(budgets.wait(ip(1), 25, Spare::default(), at(9_099)), Duration::from_millis(1));
        assert!(!budgets.book(ip(1), 25, at(9_099)) && budgets.book(ip(1), 25, at(9_100)));
    }

    #[test]
    fn a_million_targets_leave_nothing_behind() {
        let mut budgets = Budgets::new(TargetBudget::default());
        for n in 0..1_000_000_u32 {
            let now = at(1_000 + u64::from(n) * 60 / 1_000);
            assert!(budgets.book(IpAddr::from(n.to_be_bytes()), 80, now));
        }
        assert!(budgets.exact.len() < 50, "{}", budgets.exact.len());
    }
}
