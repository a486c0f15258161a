//! Is it them, or is it us? Before a failure counts that could be our own network's fault, the watcher proves that its
//! network works: somebody near (the gateway, the resolvers, whoever the owner names) must answer.
//!
//! Pure: this says when to look and what a look means; the looking is the runner's. One look serves every failure for
//! three seconds. All anchors dead: the failure is ours (`self_network`, unknown). No anchors at all: verdicts stand.

use std::net::IpAddr;
use std::time::Duration;

use crate::time::BootTime;

/// For how long one look at the anchors speaks for further failures.
pub const LOOK_LASTS: Duration = Duration::from_secs(3);

/// Networks that must be failing at once before the location itself is suspected.
pub const SUSPICIOUS_NETWORKS: usize = 3;

/// The family that a target was dialled in: each has its own gateway and its own fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// The family of an address as it is dialled: mapped ones travel as IPv4.
    #[must_use]
    pub const fn of(ip: IpAddr) -> Self {
        if ip.to_canonical().is_ipv4() { Self::V4 } else { Self::V6 }
    }

    const fn index(self) -> usize {
        match self {
            Self::V4 => 0,
            Self::V6 => 1,
        }
    }
}

/// What a look at the anchors of one family saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// How many anchors there are.
    pub anchors: usize,
    /// How many answered, with whatever.
    pub answered: usize,
}

/// What is to be made of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opinion {
    /// Our network works, or nothing can prove it: the failure is the target's.
    TheirFault,
    /// All anchors are dead: the failure is ours.
    OurFault,
    /// Look at the anchors, then ask again.
    Look,
}

/// A change in what the location can see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// No family has an anchor that answers.
    Lost,
    /// One has again.
    Back,
}

/// What is known of the watcher's own network.
#[derive(Debug, Clone, Copy, Default)]
pub struct Health {
    families: [Known; 2],
    blind: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Known {
    looked: Option<(BootTime, bool)>,
    /// Something beyond this machine last answered in this family.
    answered: Option<BootTime>,
    /// The last look is not to be trusted any more.
    doubted: bool,
}

impl Health {
    /// Whose fault a failure in `family` is, as far as is known at `now`.
    #[must_use]
    pub fn opinion(&self, family: Family, now: BootTime) -> Opinion {
        let known = &self.families[family.index()];
        match known.looked {
            Some((at, alive)) if !known.doubted && now.since(at) < LOOK_LASTS => {
                if alive {
                    Opinion::TheirFault
                } else {
                    Opinion::OurFault
                }
            }
            Some(_) | None => Opinion::Look,
        }
    }

    /// Takes what a look saw.
    pub fn looked(&mut self, family: Family, look: Look, now: BootTime) -> Option<Change> {
        let alive = look.anchors == 0 || look.answered > 0;
        let known = &mut self.families[family.index()];
        known.looked = Some((now, alive));
        known.doubted = false;
        if alive {
            self.families[family.index()].answered = Some(now);
            return self.sees();
        }
        let other_sees =
            Family::ALL.iter().any(|other| *other != family && self.has_answered_lately(*other, now));
        (!self.blind && !other_sees).then(|| {
            self.blind = true;
            Change::Lost
        })
    }

    /// A target beyond this machine and its links answered in `family`: the network works.
    pub fn answered(&mut self, family: Family, now: BootTime) -> Option<Change> {
        let known = &mut self.families[family.index()];
        known.answered = Some(now);
        if let Some((_, alive @ false)) = &mut known.looked {
            *alive = true;
        }
        if self.blind { self.sees() } else { None }
    }

    /// The last looks are not to be trusted: many fail at once. The next failure looks again.
    pub fn doubt(&mut self) {
        for known in &mut self.families {
            known.doubted = true;
        }
    }

    /// Whether the location cannot see: someone should look again before long.
    #[must_use]
    pub const fn is_blind(&self) -> bool {
        self.blind
    }

    fn sees(&mut self) -> Option<Change> {
        std::mem::take(&mut self.blind).then_some(Change::Back)
    }

    /// Within the time of two looks: a family that nobody dials says nothing.
    fn has_answered_lately(&self, family: Family, now: BootTime) -> bool {
        let known = &self.families[family.index()];
        known.answered.is_some_and(|at| now.since(at) < 2 * LOOK_LASTS)
    }
}

/// Sees when so many monitors fail at once that the location itself must be suspected first: over half of them,
/// in three or more networks, within two intervals.
#[derive(Debug, Default)]
pub struct Suspicion {
    /// Monitors that began to fail, by the time slice in which they did; a window is [`SLICES`] slices.
    began: [u32; SLICES],
    /// Networks in which something began to fail, with the slice of the last time.
    networks: [Option<(u64, u64)>; SUSPICIOUS_NETWORKS],
    slice: u64,
    raised: bool,
}

/// Slices in a window: a failure leaves the window at most a sixteenth of it late.
const SLICES: usize = 16;

impl Suspicion {
    /// A monitor that was well failed at `ip`. `monitors` is how many the location has, `window` two of their
    /// intervals. True when suspicion arises, once until it goes.
    pub fn failed(&mut self, ip: IpAddr, now: BootTime, monitors: usize, window: Duration) -> bool {
        self.advance(now, window);
        self.began[index(self.slice)] += 1;
        self.note_network(network(ip));
        let failed: u64 = self.began.iter().map(|n| u64::from(*n)).sum();
        let networks = self.networks.iter().flatten().count();
        let is_suspicious = networks >= SUSPICIOUS_NETWORKS && 2 * failed > monitors as u64;
        is_suspicious && !std::mem::replace(&mut self.raised, true)
    }

    /// Whether many fail at once, at `now`.
    #[must_use]
    pub fn is_raised(&mut self, now: BootTime, window: Duration) -> bool {
        self.advance(now, window);
        self.raised
    }

    fn advance(&mut self, now: BootTime, window: Duration) {
        let width = u64::try_from(window.as_micros()).unwrap_or(u64::MAX) / SLICES as u64;
        let slice = now.0 / width.max(1);
        if slice.abs_diff(self.slice) >= SLICES as u64 {
            *self = Self { slice, ..Self::default() };
            return;
        }
        while self.slice < slice {
            self.slice += 1;
            self.began[index(self.slice)] = 0;
        }
        let oldest = self.slice.saturating_sub(SLICES as u64 - 1);
        for network in &mut self.networks {
            *network = network.filter(|(_, seen)| *seen >= oldest);
        }
        if self.began.iter().all(|n| *n == 0) {
            self.raised = false;
        }
    }

    fn note_network(&mut self, network: u64) {
        let slice = self.slice;
        let known = self.networks.iter().position(|n| n.is_some_and(|(name, _)| name == network));
        let place = known.or_else(|| self.networks.iter().position(Option::is_none));
        if let Some(place) = place {
            self.networks[place] = Some((network, slice));
        }
    }
}

fn index(slice: u64) -> usize {
    (slice % SLICES as u64) as usize
}

/// The network that an address is counted under: /24, or /48 in IPv6.
fn network(ip: IpAddr) -> u64 {
    match ip.to_canonical() {
        IpAddr::V4(v4) => u64::from(v4.to_bits() >> 8),
        IpAddr::V6(v6) => (1 << 63) | u64::try_from(v6.to_bits() >> 80).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEAD: Look = Look { anchors: 2, answered: 0 };
    const ALIVE: Look = Look { anchors: 2, answered: 1 };
    const NO_ANCHORS: Look = Look { anchors: 0, answered: 0 };

    fn at(ms: u64) -> BootTime {
        BootTime(ms * 1_000)
    }

    #[test]
    fn a_failure_waits_for_a_look_that_lasts_three_seconds() {
        let mut health = Health::default();
        assert_eq!(health.opinion(Family::V4, at(10_000)), Opinion::Look);
        health.looked(Family::V4, ALIVE, at(10_000));
        assert_eq!(health.opinion(Family::V4, at(12_999)), Opinion::TheirFault);
        assert_eq!(health.opinion(Family::V4, at(13_000)), Opinion::Look);
        assert_eq!(health.opinion(Family::V6, at(10_000)), Opinion::Look, "families have their own fate");
    }

    #[test]
    fn all_anchors_dead_means_that_we_cannot_see() {
        let mut health = Health::default();
        assert_eq!(health.looked(Family::V4, DEAD, at(10_000)), Some(Change::Lost));
        assert_eq!(health.opinion(Family::V4, at(10_001)), Opinion::OurFault);
        assert_eq!(health.looked(Family::V4, DEAD, at(13_000)), None, "told once");
        assert_eq!(health.looked(Family::V4, ALIVE, at(16_000)), Some(Change::Back));
        assert_eq!(health.opinion(Family::V4, at(16_001)), Opinion::TheirFault);
    }

    #[test]
    fn without_anchors_verdicts_stand() {
        let mut health = Health::default();
        assert_eq!(health.looked(Family::V4, NO_ANCHORS, at(0)), None);
        assert_eq!(health.opinion(Family::V4, at(1)), Opinion::TheirFault);
    }

    #[test]
    fn one_family_alone_does_not_blind_a_location() {
        let mut health = Health::default();
        health.answered(Family::V4, at(10_000));
        assert_eq!(health.looked(Family::V6, DEAD, at(11_000)), None);
        assert_eq!(health.opinion(Family::V6, at(11_001)), Opinion::OurFault);
        assert_eq!(health.looked(Family::V4, DEAD, at(14_000)), Some(Change::Lost), "now both");
    }

    #[test]
    fn a_target_that_answers_proves_more_than_a_look() {
        let mut health = Health::default();
        health.looked(Family::V4, DEAD, at(10_000));
        assert_eq!(health.answered(Family::V4, at(10_500)), Some(Change::Back));
        assert_eq!(health.opinion(Family::V4, at(10_501)), Opinion::TheirFault);
    }

    #[test]
    fn doubt_makes_the_next_failure_look_again() {
        let mut health = Health::default();
        health.looked(Family::V4, ALIVE, at(10_000));
        health.doubt();
        assert_eq!(health.opinion(Family::V4, at(10_001)), Opinion::Look);
    }

    fn ip(network: u8, host: u8) -> IpAddr {
        IpAddr::from([198, 51, network, host])
    }

    #[test]
    fn many_failures_in_many_networks_make_the_location_suspect() {
        let window = Duration::from_secs(60);
        let mut suspicion = Suspicion::default();
        let raised: Vec<bool> = (0..8).map(|n| suspicion.failed(ip(n, 1), at(100_000), 10, window)).collect();
        assert_eq!(raised, [false, false, false, false, false, true, false, false], "six of ten, told once");
        assert!(suspicion.is_raised(at(101_000), window));
        assert!(!suspicion.is_raised(at(170_000), window), "and forgotten after the window");
    }

    #[test]
    fn one_network_or_slow_decay_is_no_reason_to_suspect_the_location() {
        let window = Duration::from_secs(60);
        let mut suspicion = Suspicion::default();
        assert!((0..10).all(|n| !suspicion.failed(ip(n % 2, n), at(100_000), 10, window)));
        let mut suspicion = Suspicion::default();
        assert!((0..10).all(|n| !suspicion.failed(
            ip(n, n),
            at(100_000 + 30_000 * u64::from(n)),
            10,
            window
        )));
    }
}
