//! Is it them, or is it us? Before a failure counts that could be our own network's fault, the watcher proves that its
//! network works: somebody near (the gateway, the resolvers, whoever the owner names) must answer.
//!
//! Pure: this says when to look and what a look means; the looking is the runner's. One look serves every failure for
//! three seconds, but what was sent after it was not seen by it: an anchor that answered before our network was cut says
//! nothing of silence since. All anchors dead: the failure is ours (`self_network`, unknown). No anchors at all: verdicts
//! stand.

use std::net::IpAddr;
use std::time::Duration;

use crate::time::BootTime;

/// For how long one look at the anchors speaks for further failures.
pub const LOOK_LASTS: Duration = Duration::from_secs(3);

/// A look that is no older than this speaks for a check that began after it, too: what fails within moments (a router says
/// that there is no way) would else have the anchors asked for every check.
pub const LOOK_REACHES: Duration = Duration::from_millis(250);

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

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::V4 => 0,
            Self::V6 => 1,
        }
    }
}

/// What a look at the anchors of one family saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Look {
    /// How many answered, with whatever.
    pub answered: usize,
    /// How many did not, but have before.
    pub silent: usize,
    /// How many never did: some routers answer nobody.
    pub mute: usize,
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

/// What follows from a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Neither family has an anchor that answers.
    Lost,
    /// One has again.
    Back,
    /// Before the location is called blind, look at this family too.
    LookAt(Family),
}

/// What is known of the watcher's own network.
#[derive(Debug, Clone, Copy, Default)]
pub struct Health {
    families: [Known; 2],
    blind: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Known {
    looked: Option<Looked>,
    /// A target beyond our links has answered.
    reached: bool,
    /// When the anchors were last known to be dead: the moment at which something answered again.
    dead_until: BootTime,
}

#[derive(Debug, Clone, Copy)]
struct Looked {
    /// When the anchors were asked, and when it was known what they say.
    asked: BootTime,
    at: BootTime,
    sight: Sight,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    Clear,
    Dead,
    /// There is nothing to look at.
    Unproven,
}

impl Known {
    fn comes_back(&mut self, now: BootTime) {
        if let Some(Looked { at, sight: Sight::Dead, .. }) = self.looked {
            // Nobody knows when it came back; a look that is older than two speaks for no longer.
            self.dead_until = now.min(at + 2 * LOOK_LASTS);
        }
    }
}

impl Health {
    /// Whose fault it is that a check in `family` failed which `began` then, as far as is known at `now`.
    #[must_use]
    pub fn opinion(&self, family: Family, began: BootTime, now: BootTime) -> Opinion {
        let Some(Looked { asked, sight, .. }) = self.fresh(family, now) else { return Opinion::Look };
        match sight {
            Sight::Clear if asked < began && now.since(asked) >= LOOK_REACHES => Opinion::Look,
            Sight::Clear | Sight::Unproven => Opinion::TheirFault,
            Sight::Dead => Opinion::OurFault,
        }
    }

    /// Whether our network in `family` was still dead after `began`: what was sent then and never answered says nothing
    /// of the target, however well the network is by now.
    #[must_use]
    pub fn was_dead_after(&self, family: Family, began: BootTime) -> bool {
        began < self.families[family.index()].dead_until
    }

    /// Takes what a look saw that was begun at `asked`. An anchor that never answered is mute rather than dead once a target has answered: it
    /// does not take part. Before that, nothing at all has answered, and it speaks for a dead network.
    pub fn looked(
        &mut self,
        family: Family,
        look: Look,
        (asked, now): (BootTime, BootTime),
    ) -> Option<Change> {
        let known = &mut self.families[family.index()];
        let dead = look.silent + if known.reached { 0 } else { look.mute };
        let sight = match (look.answered, dead) {
            (0, 0) => Sight::Unproven,
            (0, _) => Sight::Dead,
            _ => Sight::Clear,
        };
        if sight == Sight::Clear {
            known.comes_back(now);
        }
        known.looked = Some(Looked { asked, at: now, sight });
        match sight {
            Sight::Clear => self.sees(),
            Sight::Unproven => None,
            Sight::Dead if self.blind => None,
            Sight::Dead => match self.fresh(family.other(), now).map(|other| other.sight) {
                Some(Sight::Clear) => None,
                Some(Sight::Dead | Sight::Unproven) => {
                    self.blind = true;
                    Some(Change::Lost)
                }
                None => Some(Change::LookAt(family.other())),
            },
        }
    }

    /// A target beyond this machine and its links answered in `family`: the network works.
    pub fn reached(&mut self, family: Family, now: BootTime) -> Option<Change> {
        let known = &mut self.families[family.index()];
        known.reached = true;
        known.comes_back(now);
        if let Some(Looked { sight: sight @ Sight::Dead, .. }) = &mut known.looked {
            *sight = Sight::Clear;
        }
        self.sees()
    }

    /// Whether [`Health::reached`] would tell something new: asked for every success, so that few need the answer to
    /// "is that beyond our links?".
    #[must_use]
    pub const fn wants_reached(&self, family: Family) -> bool {
        self.blind || !self.families[family.index()].reached
    }

    /// Whether a target beyond our links has answered in `family`: then it is worth knowing which anchors answer, too,
    /// before one of them is needed.
    #[must_use]
    pub const fn has_reached(&self, family: Family) -> bool {
        self.families[family.index()].reached
    }

    /// The last looks are not to be trusted: many fail at once, or the machine slept. The next failure looks again.
    pub fn doubt(&mut self) {
        for known in &mut self.families {
            known.looked = None;
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

    fn fresh(&self, family: Family, now: BootTime) -> Option<Looked> {
        self.families[family.index()].looked.filter(|looked| now.since(looked.at) < LOOK_LASTS)
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

    const DEAD: Look = Look { answered: 0, silent: 2, mute: 0 };
    const ALIVE: Look = Look { answered: 1, silent: 1, mute: 0 };
    const MUTE: Look = Look { answered: 0, silent: 0, mute: 1 };
    const NO_ANCHORS: Look = Look { answered: 0, silent: 0, mute: 0 };

    fn at(ms: u64) -> BootTime {
        BootTime(ms * 1_000)
    }

    /// A look that is answered at once.
    fn saw(health: &mut Health, family: Family, look: Look, ms: u64) -> Option<Change> {
        health.looked(family, look, (at(ms), at(ms)))
    }

    #[test]
    fn a_look_says_nothing_of_what_was_sent_after_it() {
        let mut health = Health::default();
        health.looked(Family::V4, ALIVE, (at(10_000), at(10_100)));
        let opinion = |health: &Health, began, now| health.opinion(Family::V4, at(began), at(now));
        assert_eq!(opinion(&health, 10_000, 12_000), Opinion::TheirFault, "asked when it was sent");
        assert_eq!(
            opinion(&health, 10_001, 12_000),
            Opinion::Look,
            "our network may have been cut meanwhile"
        );
        assert_eq!(opinion(&health, 10_300, 10_300), Opinion::Look, "asked before, though answered after it");
        assert_eq!(opinion(&health, 10_200, 10_249), Opinion::TheirFault, "what fails at once");
        saw(&mut health, Family::V4, DEAD, 13_000);
        assert_eq!(opinion(&health, 13_500, 14_500), Opinion::OurFault, "death lasts");
        saw(&mut health, Family::V4, NO_ANCHORS, 16_000);
        assert_eq!(opinion(&health, 16_500, 17_500), Opinion::TheirFault, "nobody to ask, now as then");
    }

    #[test]
    fn a_failure_waits_for_a_look_that_lasts_three_seconds() {
        let mut health = Health::default();
        assert_eq!(health.opinion(Family::V4, at(0), at(10_000)), Opinion::Look);
        saw(&mut health, Family::V4, ALIVE, 10_000);
        assert_eq!(health.opinion(Family::V4, at(0), at(12_999)), Opinion::TheirFault);
        assert_eq!(health.opinion(Family::V4, at(0), at(13_000)), Opinion::Look);
        assert_eq!(
            health.opinion(Family::V6, at(0), at(10_000)),
            Opinion::Look,
            "families have their own fate"
        );
    }

    #[test]
    fn all_anchors_dead_means_that_we_cannot_see() {
        let mut health = Health::default();
        assert_eq!(saw(&mut health, Family::V4, DEAD, 10_000), Some(Change::LookAt(Family::V6)));
        assert_eq!(saw(&mut health, Family::V6, NO_ANCHORS, 10_100), None);
        assert_eq!(health.opinion(Family::V4, at(0), at(10_101)), Opinion::OurFault);
        assert_eq!(saw(&mut health, Family::V4, DEAD, 13_000), Some(Change::Lost));
        assert_eq!(saw(&mut health, Family::V4, DEAD, 16_000), None, "told once");
        assert_eq!(saw(&mut health, Family::V4, ALIVE, 19_000), Some(Change::Back));
        assert_eq!(health.opinion(Family::V4, at(0), at(19_001)), Opinion::TheirFault);
    }

    #[test]
    fn what_was_sent_into_a_dead_network_says_nothing_once_it_is_back() {
        let mut health = Health::default();
        assert!(!health.was_dead_after(Family::V4, at(0)));
        saw(&mut health, Family::V4, DEAD, 10_000);
        saw(&mut health, Family::V4, ALIVE, 13_000);
        saw(&mut health, Family::V4, ALIVE, 16_000);
        assert!(health.was_dead_after(Family::V4, at(12_999)), "sent while it was dead");
        assert!(!health.was_dead_after(Family::V4, at(13_000)) && !health.was_dead_after(Family::V6, at(0)));
    }

    #[test]
    fn without_anchors_verdicts_stand() {
        let mut health = Health::default();
        assert_eq!(saw(&mut health, Family::V4, NO_ANCHORS, 0), None);
        assert_eq!(health.opinion(Family::V4, at(0), at(1)), Opinion::TheirFault);
    }

    #[test]
    fn an_anchor_that_never_answered_speaks_only_until_a_target_does() {
        let mut health = Health::default();
        saw(&mut health, Family::V4, MUTE, 10_000);
        assert_eq!(
            health.opinion(Family::V4, at(0), at(10_001)),
            Opinion::OurFault,
            "nothing has ever answered"
        );
        assert!(health.wants_reached(Family::V4));
        health.reached(Family::V4, at(15_000));
        assert!(!health.wants_reached(Family::V4));
        saw(&mut health, Family::V4, MUTE, 20_000);
        assert_eq!(
            health.opinion(Family::V4, at(0), at(20_001)),
            Opinion::TheirFault,
            "a router that answers nobody"
        );
    }

    #[test]
    fn one_family_alone_does_not_blind_a_location() {
        let mut health = Health::default();
        assert_eq!(saw(&mut health, Family::V6, DEAD, 11_000), Some(Change::LookAt(Family::V4)));
        assert_eq!(saw(&mut health, Family::V4, ALIVE, 11_100), None);
        assert_eq!(health.opinion(Family::V6, at(0), at(11_101)), Opinion::OurFault);
        let look_again = Some(Change::LookAt(Family::V6));
        assert_eq!(saw(&mut health, Family::V4, DEAD, 14_050), look_again, "the look at IPv6 is old");
        assert_eq!(saw(&mut health, Family::V6, DEAD, 14_100), Some(Change::Lost), "now both");
    }

    #[test]
    fn a_target_that_answers_proves_more_than_a_look() {
        let mut health = Health::default();
        saw(&mut health, Family::V6, DEAD, 10_000);
        assert_eq!(saw(&mut health, Family::V4, DEAD, 10_001), Some(Change::Lost));
        assert_eq!(health.reached(Family::V4, at(20_000)), Some(Change::Back));
        assert_eq!(health.opinion(Family::V4, at(0), at(10_501)), Opinion::TheirFault);
    }

    #[test]
    fn doubt_makes_the_next_failure_look_again() {
        let mut health = Health::default();
        saw(&mut health, Family::V4, ALIVE, 10_000);
        health.doubt();
        assert_eq!(health.opinion(Family::V4, at(0), at(10_001)), Opinion::Look);
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
