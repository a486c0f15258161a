//! Identical checks: the same target looked at in the same way under the same egress policy. One of them dials, the
//! others take what it saw, as rows of their own. Which monitors are identical is found out when they are added, so
//! a monitor without a twin costs nothing at check time.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use quaywatch_core::schedule::Millis;
use quaywatch_core::{BootTime, Plan};

use super::flight::Observation;
use super::roster::{Entry, Map, NONE, Roster, Target};

/// Says that a value of the table is a group, not a lone entry. Entries are fewer than 2³¹.
const GROUP: u32 = 1 << 31;

/// Who is identical to whom.
#[derive(Debug, Default)]
pub(super) struct Sharing {
    enabled: bool,
    /// By hash: a lone entry, or a group. 32 bits, as there are a million of them; two different checks of one hash
    /// (one in four thousand at a million) do without sharing.
    table: Map<u32, u32>,
    hasher: foldhash::fast::FixedState,
    groups: Vec<Group>,
    free: Vec<u32>,
}

/// What makes checks identical.
#[derive(Debug, Clone)]
struct Check {
    target: Target,
    port: u16,
    account: u16,
    plan: Arc<Plan>,
}

impl Check {
    fn of(roster: &Roster, key: u32) -> Self {
        let Entry { target, port, account, .. } = *roster.entry(key);
        Self { target, port, account, plan: Arc::clone(&roster.plan_of(key).plan) }
    }

    /// Whether one observation serves both.
    fn equals(&self, other: &Self, roster: &Roster) -> bool {
        self.target == other.target
            && self.port == other.port
            && roster.account(self.account).egress == roster.account(other.account).egress
            && (Arc::ptr_eq(&self.plan, &other.plan) || look(&self.plan) == look(&other.plan))
    }
}

/// Several entries with identical checks.
#[derive(Debug)]
pub(super) struct Group {
    members: u32,
    hash: u32,
    check: Check,
    /// The flight of one of them, while there is one.
    pub(super) flight: u32,
    /// When the last one began.
    pub(super) begun: BootTime,
    /// The same by the schedule's time.
    pub(super) begun_at: Millis,
    /// What it saw, once it has ended.
    pub(super) seen: Option<Box<Observation>>,
}

impl Sharing {
    pub(super) fn new(enabled: bool) -> Self {
        Self { enabled, ..Self::default() }
    }

    pub(super) fn group(&self, place: u32) -> Option<&Group> {
        self.groups.get(place as usize)
    }

    pub(super) fn group_mut(&mut self, place: u32) -> Option<&mut Group> {
        self.groups.get_mut(place as usize)
    }

    /// Finds the twins of a new entry.
    pub(super) fn join(&mut self, roster: &mut Roster, key: u32) {
        roster.entry_mut(key).group = NONE;
        if !self.enabled || roster.plan_of(key).talks {
            return;
        }
        let hash = self.hash(roster, key);
        let Some(found) = self.table.get(&hash).copied() else {
            self.table.insert(hash, key);
            return;
        };
        let check = match found & GROUP {
            0 => Check::of(roster, found),
            _ => self.groups[(found & !GROUP) as usize].check.clone(),
        };
        if !check.equals(&Check::of(roster, key), roster) {
            return;
        }
        let place = if found & GROUP == 0 { self.found_group(roster, hash, found) } else { found & !GROUP };
        self.groups[place as usize].members += 1;
        roster.entry_mut(key).group = place;
    }

    /// Forgets an entry; to be called while it still has its target.
    pub(super) fn leave(&mut self, roster: &mut Roster, key: u32) {
        if !self.enabled {
            return;
        }
        let place = std::mem::replace(&mut roster.entry_mut(key).group, NONE);
        if place == NONE {
            let hash = self.hash(roster, key);
            if self.table.get(&hash) == Some(&key) {
                self.table.remove(&hash);
            }
            return;
        }
        let group = &mut self.groups[place as usize];
        group.members -= 1;
        if group.members == 0 {
            self.table.remove(&group.hash);
            group.seen = None;
            self.free.push(place);
        }
    }

    /// Forgets who is identical to whom.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.enabled);
    }

    /// Nothing is in flight any more, and nothing that was seen counts.
    pub(super) fn forget_observations(&mut self) {
        for group in &mut self.groups {
            group.flight = NONE;
            group.seen = None;
        }
    }

    fn found_group(&mut self, roster: &mut Roster, hash: u32, first: u32) -> u32 {
        let group = Group {
            members: 1,
            hash,
            check: Check::of(roster, first),
            flight: NONE,
            begun: BootTime(0),
            begun_at: Millis::MIN,
            seen: None,
        };
        let place = if let Some(place) = self.free.pop() {
            self.groups[place as usize] = group;
            place
        } else {
            self.groups.push(group);
            u32::try_from(self.groups.len() - 1).expect("there are not more groups than monitors")
        };
        self.table.insert(hash, place | GROUP);
        roster.entry_mut(first).group = place;
        place
    }

    fn hash(&self, roster: &Roster, key: u32) -> u32 {
        let entry = roster.entry(key);
        let mut hasher = self.hasher.build_hasher();
        match entry.target {
            Target::Ip(ip) => ip.hash(&mut hasher),
            Target::Name(name) => name.hash(&mut hasher),
        }
        let plan = &roster.plan_of(key).plan;
        (entry.port, plan.timeout, plan.settle, plan.handshake, plan.addresses, plan.expectation)
            .hash(&mut hasher);
        (hasher.finish() >> 32) as u32
    }
}

/// What of a plan an observation depends on.
fn look(plan: &Plan) -> impl PartialEq + '_ {
    (
        plan.ip_family,
        plan.addresses,
        plan.handshake,
        plan.settle,
        plan.timeout,
        plan.expectation,
        plan.send.as_ref(),
        plan.expect.as_ref(),
    )
}
