//! Who waits for a busy target, and whose turn it is: start-time fair queueing (Goyal, Vin, Cheng 1996) over monitors.
//! Each check made is a round; whoever is a round behind goes first, and where two are in the same round, who came
//! first. Whoever has to let a slot go by stays in its round, and comes first with its next slot: a dial is left over
//! for it if its slot is yet to come. So of monitors that are too many, none is passed over a second time before all
//! others were once.
//!
//! That is so within one account. Each account has a line of its own before a target, and the lines take turns, a dial
//! each, in the same way (start-time fair queueing over accounts): what one brings can make its own checks wait, and
//! another's by no more than one dial.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use quaywatch_core::BootTime;
use quaywatch_core::schedule::Millis;

use super::roster::Map;

/// No budget saves up more dials than this, so no more are left over for others.
const MOST_SPARE: usize = 1_000;
/// How far behind one may be: who wants little has no claim to much later.
const FURTHEST_BEHIND: u64 = 3;
/// A line is given up when nobody had to wait in it for so many of the longest interval in it.
const IDLE_INTERVALS: u32 = 2;

/// A round, and the place in it.
type Turn = (u64, u64);

/// The lines before all busy targets; empty as long as none is.
#[derive(Debug, Default)]
pub(super) struct Lines {
    places: Map<u32, Place>,
    sites: Map<IpAddr, Site>,
    /// When an address may have somebody to let go.
    looks: BTreeSet<(BootTime, IpAddr)>,
    /// When those who are ready have waited too long for this slot.
    lapses: BTreeSet<(Millis, u32)>,
    /// How many places were given out.
    given: u64,
}

/// Where one check stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    ip: IpAddr,
    account: u16,
    port: u16,
    turn: Turn,
    /// It is ready to go, until then; else it waits for its next slot.
    lapses: Option<Millis>,
}

/// The lines before one address.
#[derive(Debug, Default)]
struct Site {
    lines: BTreeMap<u16, Line>,
    /// The dial that was made last: where an account begins that has made none lately.
    dial: u64,
    look: Option<BootTime>,
}

/// Those of one account at one address.
#[derive(Debug, Default)]
struct Line {
    ports: BTreeMap<u16, Port>,
    /// The next dial is the account's in the order of these numbers.
    dial: u64,
    /// The turns of those that are not ready, over all ports.
    absent: BTreeSet<Turn>,
    /// The furthest round of all ports.
    round: u64,
    /// When somebody had to wait, last.
    busy: BootTime,
    longest: Duration,
}

/// Those of one port.
#[derive(Debug, Default)]
struct Port {
    ready: BTreeMap<Turn, u32>,
    absent: BTreeMap<Turn, u32>,
    /// The furthest round in which a check was made.
    round: u64,
}

/// How many dials are to be left over for those who come first but are not ready, at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Spare {
    pub(super) port: u32,
    pub(super) address: u32,
}

/// Who is first at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    /// Nobody is ready.
    Nobody,
    /// Nobody may go before this has passed.
    After(Duration),
    /// This check may go, to this port.
    Key(u32, u16),
}

impl Lines {
    /// How many stand in a line, ready or not.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// How many are ready to go.
    pub(super) fn ready(&self) -> usize {
        self.lapses.len()
    }

    /// Whether there is a line at an address.
    pub(super) fn is_busy(&self, ip: IpAddr) -> bool {
        self.sites.contains_key(&ip)
    }

    /// Whether somebody of another account is ready to go to this address: whose turn it is, is then to be found out.
    pub(super) fn has_others(&self, ip: IpAddr, account: u16) -> bool {
        let others = self.sites.get(&ip).into_iter().flat_map(|site| &site.lines);
        others.filter(|(of, _)| **of != account).any(|(_, line)| line.has_ready())
    }

    /// Puts a check of an account into its line, not ready; one that stands there already keeps its round.
    pub(super) fn stand(
        &mut self,
        (account, key): (u16, u32),
        (ip, port): (IpAddr, u16),
        interval: Duration,
        now: BootTime,
    ) {
        let old = self.places.get(&key).copied();
        self.leave(key);
        let Site { lines, dial, .. } = self.sites.entry(ip).or_default();
        let line = lines.entry(account).or_insert_with(|| Line { busy: now, dial: *dial, ..Line::default() });
        line.longest = line.longest.max(interval);
        let round = line.round;
        let at_port = line.ports.entry(port).or_insert_with(|| Port { round, ..Port::default() });
        let stayed = old.filter(|old| (old.ip, old.port) == (ip, port)).map(|old| old.turn);
        let turn = match stayed {
            Some(turn) if turn.0 + FURTHEST_BEHIND >= at_port.round => turn,
            Some(_) | None => {
                self.given += 1;
                let behind = if stayed.is_some() { FURTHEST_BEHIND } else { 0 };
                (at_port.round.saturating_sub(behind), self.given)
            }
        };
        at_port.absent.insert(turn, key);
        line.absent.insert(turn);
        self.places.insert(key, Place { ip, account, port, turn, lapses: None });
    }

    /// A dial is made for this monitor, which was its account's turn and its own.
    pub(super) fn dialled(&mut self, key: u32) {
        if let Some(place) = self.places.get(&key)
            && let Some(site) = self.sites.get_mut(&place.ip)
            && let Some(line) = site.lines.get_mut(&place.account)
        {
            site.dial = line.dial.max(site.dial);
            line.dial = site.dial + 1;
        }
        self.served(key);
    }

    /// A check of this monitor was made, or it has shared one: its next turn is in the next round.
    pub(super) fn served(&mut self, key: u32) {
        if self.places.is_empty() {
            return;
        }
        self.step_back(key);
        let Some(place) = self.places.get_mut(&key) else { return };
        let Some(line) = line_of(&mut self.sites, place) else { return };
        let Some(at_port) = line.ports.get_mut(&place.port) else { return };
        at_port.absent.remove(&place.turn);
        line.absent.remove(&place.turn);
        at_port.round = at_port.round.max(place.turn.0);
        line.round = line.round.max(at_port.round);
        self.given += 1;
        place.turn = (place.turn.0 + 1, self.given);
        at_port.absent.insert(place.turn, key);
        line.absent.insert(place.turn);
    }

    /// Whether more than so many of its account who are ready come before this one.
    pub(super) fn is_behind(&self, key: u32, most: usize) -> bool {
        let Some(place) = self.places.get(&key) else { return false };
        let line = self.sites.get(&place.ip).and_then(|site| site.lines.get(&place.account));
        let port = line.and_then(|line| line.ports.get(&place.port));
        port.and_then(|port| port.ready.keys().nth(most)).is_some_and(|turn| *turn < place.turn)
    }

    /// What is to be left over for those of its account who come before a check.
    pub(super) fn spare_before(&self, key: u32) -> Spare {
        let Some(Place { ip, account, port, turn, .. }) = self.places.get(&key) else {
            return Spare::default();
        };
        let line = self.sites.get(ip).and_then(|site| site.lines.get(account));
        line.and_then(|line| Some(line.spare(line.ports.get(port)?, *turn))).unwrap_or_default()
    }

    /// A check in a line is ready to go, until `lapses`; the first one may go at `look`.
    pub(super) fn make_ready(&mut self, key: u32, lapses: Millis, look: BootTime) {
        self.step_back(key);
        let Some(place) = self.places.get_mut(&key) else { return };
        let Some(line) = line_of(&mut self.sites, place) else { return };
        let Some(at_port) = line.ports.get_mut(&place.port) else { return };
        place.lapses = Some(lapses);
        self.lapses.insert((lapses, key));
        line.absent.remove(&place.turn);
        at_port.absent.remove(&place.turn);
        at_port.ready.insert(place.turn, key);
        line.busy = line.busy.max(look);
        let ip = place.ip;
        self.look_at(ip, look);
    }

    /// A check is not ready for now; it keeps its place.
    pub(super) fn step_back(&mut self, key: u32) {
        let Some(place) = self.places.get_mut(&key) else { return };
        let Some(lapses) = place.lapses.take() else { return };
        self.lapses.remove(&(lapses, key));
        let Some(line) = line_of(&mut self.sites, place) else { return };
        let Some(at_port) = line.ports.get_mut(&place.port) else { return };
        line.absent.insert(place.turn);
        at_port.ready.remove(&place.turn);
        at_port.absent.insert(place.turn, key);
    }

    /// A check had to let a slot go by.
    pub(super) fn passed_over(&mut self, key: u32, now: BootTime) {
        self.step_back(key);
        if let Some(line) = self.places.get(&key).and_then(|place| line_of(&mut self.sites, place)) {
            line.busy = line.busy.max(now);
        }
    }

    /// A monitor has no place any more.
    pub(super) fn leave(&mut self, key: u32) {
        if self.places.is_empty() {
            return;
        }
        self.step_back(key);
        let Some(place) = self.places.remove(&key) else { return };
        let Some(line) = line_of(&mut self.sites, &place) else { return };
        line.absent.remove(&place.turn);
        if let Some(at_port) = line.ports.get_mut(&place.port) {
            at_port.absent.remove(&place.turn);
        }
    }

    /// Looks at an address at this time, if not sooner.
    pub(super) fn look_at(&mut self, ip: IpAddr, at: BootTime) {
        let Some(site) = self.sites.get_mut(&ip) else { return };
        if site.look.is_some_and(|look| look <= at) {
            return;
        }
        if let Some(later) = site.look.replace(at) {
            self.looks.remove(&(later, ip));
        }
        self.looks.insert((at, ip));
    }

    /// Takes an address that is to be looked at.
    pub(super) fn next(&mut self, now: BootTime) -> Option<IpAddr> {
        let (_, ip) = self.looks.first().copied().filter(|(at, _)| *at <= now)?;
        self.looks.pop_first();
        if let Some(site) = self.sites.get_mut(&ip) {
            site.look = None;
        }
        Some(ip)
    }

    /// Who is first at an address, where `wait` says how long a port must still be left alone: of the accounts the one
    /// whose turn it is, and that can go.
    pub(super) fn first(&self, ip: IpAddr, mut wait: impl FnMut(u16, Spare) -> Duration) -> First {
        let Some(site) = self.sites.get(&ip) else { return First::Nobody };
        let mut lines: Vec<&Line> = site.lines.values().filter(|line| line.has_ready()).collect();
        lines.sort_by_key(|line| line.dial.max(site.dial));
        let mut soonest: Option<Duration> = None;
        for line in lines {
            match line.first(&mut wait) {
                First::Nobody => {}
                First::After(wait) => soonest = Some(soonest.map_or(wait, |soonest| soonest.min(wait))),
                key @ First::Key(..) => return key,
            }
        }
        soonest.map_or(First::Nobody, First::After)
    }

    /// One that has waited too long for its slot; it is still ready.
    pub(super) fn lapsed(&self, now: Millis) -> Option<u32> {
        self.lapses.first().filter(|(at, _)| *at <= now).map(|(_, key)| *key)
    }

    /// Gives up lines in which nobody has had to wait for long.
    pub(super) fn sweep(&mut self, now: BootTime) {
        let Self { sites, places, looks, .. } = self;
        sites.retain(|ip, site| {
            site.lines.retain(|_, line| {
                let is_idle = now.since(line.busy) > line.longest * IDLE_INTERVALS;
                let stays = !is_idle || line.has_ready();
                if !stays {
                    for key in line.ports.values().flat_map(|port| port.absent.values()) {
                        places.remove(key);
                    }
                }
                stays
            });
            if let Some(look) = site.look.filter(|_| site.lines.is_empty()) {
                looks.remove(&(look, *ip));
            }
            !site.lines.is_empty()
        });
    }

    /// Sends everybody away.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

fn line_of<'s>(sites: &'s mut Map<IpAddr, Site>, place: &Place) -> Option<&'s mut Line> {
    sites.get_mut(&place.ip)?.lines.get_mut(&place.account)
}

impl Line {
    fn has_ready(&self) -> bool {
        self.ports.values().any(|port| !port.ready.is_empty())
    }

    fn first(&self, mut wait: impl FnMut(u16, Spare) -> Duration) -> First {
        let mut soonest: Option<Duration> = None;
        let mut first: Option<(Turn, u32, u16)> = None;
        for (port, at_port) in &self.ports {
            let Some((turn, key)) = at_port.ready.first_key_value() else { continue };
            if first.is_some_and(|(first, ..)| first < *turn) {
                continue;
            }
            let wait = wait(*port, self.spare(at_port, *turn));
            if wait.is_zero() {
                first = Some((*turn, *key, *port));
            } else {
                soonest = Some(soonest.map_or(wait, |soonest| soonest.min(wait)));
            }
        }
        match (first, soonest) {
            (Some((_, key, port)), _) => First::Key(key, port),
            (None, Some(wait)) => First::After(wait),
            (None, None) => First::Nobody,
        }
    }

    fn spare(&self, port: &Port, turn: Turn) -> Spare {
        let at_port = port.absent.range(..turn).take(MOST_SPARE).count();
        let at_address = self.absent.range(..turn).take(MOST_SPARE).count();
        Spare { port: at_port as u32, address: at_address as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const FREE: fn(u16, Spare) -> Duration = |_, _| Duration::ZERO;
    const SECOND: Duration = Duration::from_secs(1);

    fn ready(lines: &mut Lines, key: u32, port: u16) {
        ready_of(lines, 0, key, port);
    }

    fn ready_of(lines: &mut Lines, account: u16, key: u32, port: u16) {
        lines.stand((account, key), (IP, port), SECOND, BootTime(0));
        lines.make_ready(key, 1_000, BootTime(0));
    }

    /// Serves whoever is ready; says who that was.
    fn serve(lines: &mut Lines) -> Vec<u32> {
        let mut order = Vec::new();
        while let First::Key(key, _) = lines.first(IP, FREE) {
            lines.dialled(key);
            order.push(key);
        }
        order
    }

    #[test]
    fn who_was_passed_over_comes_first_for_as_long_as_it_is_behind() {
        let mut lines = Lines::default();
        (1..=3).for_each(|key| ready(&mut lines, key, 80));
        assert!(lines.is_behind(3, 1) && !lines.is_behind(3, 2));
        lines.passed_over(1, BootTime(0));
        assert_eq!(lines.spare_before(2), Spare { port: 1, address: 1 }, "for the one that will be back");
        assert_eq!(lines.spare_before(1), Spare::default());
        assert_eq!(serve(&mut lines), [2, 3]);
        for _ in 0..3 {
            (2..=3).for_each(|key| ready(&mut lines, key, 80));
            ready(&mut lines, 1, 80);
            assert_eq!(serve(&mut lines)[0], 1, "it has had one less than the others");
        }
        (2..=3).for_each(|key| ready(&mut lines, key, 80));
        lines.passed_over(2, BootTime(0));
        lines.passed_over(3, BootTime(0));
        ready(&mut lines, 1, 80);
        serve(&mut lines);
        ready(&mut lines, 1, 80);
        (2..=3).for_each(|key| ready(&mut lines, key, 80));
        assert_eq!(serve(&mut lines)[2], 1, "all have had as many");
    }

    #[test]
    fn who_wants_little_has_no_claim_to_much_later() {
        let mut lines = Lines::default();
        (1..=2).for_each(|key| ready(&mut lines, key, 80));
        serve(&mut lines);
        for _ in 0..100 {
            ready(&mut lines, 1, 80);
            serve(&mut lines);
        }
        let mut firsts = 0;
        for _ in 0..10 {
            (1..=2).for_each(|key| ready(&mut lines, key, 80));
            firsts += usize::from(serve(&mut lines)[0] == 2);
            ready(&mut lines, 2, 80);
            serve(&mut lines);
        }
        assert!(firsts <= 4, "{firsts}");
    }

    #[test]
    fn a_port_that_must_be_left_alone_holds_up_no_other() {
        let mut lines = Lines::default();
        ready(&mut lines, 1, 80);
        ready(&mut lines, 2, 443);
        let busy = |port, _| if port == 80 { Duration::from_millis(50) } else { Duration::ZERO };
        assert_eq!(lines.first(IP, busy), First::Key(2, 443));
        lines.dialled(2);
        assert_eq!(lines.first(IP, busy), First::After(Duration::from_millis(50)));
    }

    #[test]
    fn accounts_take_turns_whatever_they_bring() {
        let mut lines = Lines::default();
        (100..200).for_each(|key| ready_of(&mut lines, 1, key, 80));
        let before: Vec<u32> = (0..50)
            .map(|_| {
                let First::Key(key, _) = lines.first(IP, FREE) else { panic!("there are a hundred") };
                lines.dialled(key);
                key
            })
            .collect();
        assert_eq!(before, (100..150).collect::<Vec<_>>());
        // Two others come, who have not gone since the fifty have.
        assert!(!lines.has_others(IP, 1) && lines.has_others(IP, 2));
        (1..=2).for_each(|key| ready_of(&mut lines, 2, key, 80));
        ready_of(&mut lines, 3, 3, 443);
        assert_eq!(
            serve(&mut lines)[..6],
            [2 - 1, 3, 150, 2, 151, 152][..],
            "one each, and no claim to fifty"
        );
        // Who cannot go holds up nobody.
        (0..3).for_each(|n| ready_of(&mut lines, n, 10 + u32::from(n), if n == 0 { 80 } else { 443 }));
        let busy = |port, _| if port == 80 { Duration::from_millis(50) } else { Duration::ZERO };
        assert!(matches!(lines.first(IP, busy), First::Key(11 | 12, 443)));
    }

    #[test]
    fn a_line_is_looked_at_when_it_should_be_and_given_up_when_nobody_waits() {
        let mut lines = Lines::default();
        lines.stand((0, 1), (IP, 80), SECOND, BootTime(0));
        lines.make_ready(1, 700, BootTime(20));
        lines.look_at(IP, BootTime(30));
        assert_eq!(lines.next(BootTime(19)), None);
        assert_eq!((lines.next(BootTime(20)), lines.next(BootTime(30))), (Some(IP), None));
        assert_eq!((lines.lapsed(699), lines.lapsed(700)), (None, Some(1)));
        lines.sweep(BootTime(9_000_000));
        assert!(lines.is_busy(IP), "somebody waits");
        lines.passed_over(1, BootTime(1_000_000));
        lines.sweep(BootTime(3_000_000));
        assert_eq!((lines.is_busy(IP), lines.len(), lines.ready()), (true, 1, 0));
        lines.sweep(BootTime(3_000_001));
        assert_eq!((lines.is_busy(IP), lines.len(), lines.looks.len()), (false, 0, 0));
    }
}
