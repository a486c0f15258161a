//! What is known of names: the answer, until when it stands, and the last good addresses for the time when nobody
//! answers. The look is on the path of every check, so it takes no lock that a lookup could hold for long and copies
//! nothing but two counted pointers.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use quaywatch_core::BootTime;
use quaywatch_core::spec::IpFamily;

use super::Answer;

/// So many parts that two threads seldom meet in one.
const SHARDS: usize = 64;

/// Last good addresses are forgotten after a day: older ones may belong to somebody else by now.
pub(super) const LAST_GOOD_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// How often a shard is rid of what nobody asked for in a day.
const SWEEP_EVERY: Duration = Duration::from_secs(600);

/// Names per shard; beyond it new names are not kept. 64 × 3 × 16,384 = 3 million.
const MAX_NAMES: usize = 16_384;

type Map = HashMap<Box<str>, Entry, foldhash::fast::RandomState>;

/// One map for each family setting, in shards.
pub(super) struct Cache {
    hasher: foldhash::fast::RandomState,
    shards: Vec<RwLock<Shard>>,
}

#[derive(Default)]
struct Shard {
    names: Map,
    swept: BootTime,
}

struct Entry {
    answer: Answer,
    last_good: Option<(Arc<[IpAddr]>, BootTime)>,
}

impl Entry {
    fn last_good(&self, now: BootTime) -> Option<&Arc<[IpAddr]>> {
        let (addresses, at) = self.last_good.as_ref()?;
        (now.since(*at) <= LAST_GOOD_FOR).then_some(addresses)
    }
}

impl Cache {
    pub(super) fn new() -> Self {
        Self {
            hasher: foldhash::fast::RandomState::default(),
            shards: (0..SHARDS * 3).map(|_| RwLock::default()).collect(),
        }
    }

    /// The answer, if it still stands.
    pub(super) fn fresh(&self, name: &str, family: IpFamily, now: BootTime) -> Option<Answer> {
        let shard = self.shard(name, family).read().unwrap_or_else(PoisonError::into_inner);
        shard.names.get(name).filter(|entry| entry.answer.valid_until > now).map(|entry| entry.answer.clone())
    }

    /// The last good addresses, if they are not too old.
    pub(super) fn last_good(&self, name: &str, family: IpFamily, now: BootTime) -> Option<Arc<[IpAddr]>> {
        let shard = self.shard(name, family).read().unwrap_or_else(PoisonError::into_inner);
        shard.names.get(name).and_then(|entry| entry.last_good(now)).cloned()
    }

    /// Keeps an answer. Only a fresh good one replaces the last good addresses.
    pub(super) fn keep(&self, name: &str, family: IpFamily, answer: &Answer, now: BootTime) {
        let good = (answer.is_good() && !answer.stale).then(|| (Arc::clone(&answer.addresses), now));
        let mut shard = self.shard(name, family).write().unwrap_or_else(PoisonError::into_inner);
        shard.sweep(now);
        if let Some(entry) = shard.names.get_mut(name) {
            entry.answer = answer.clone();
            if good.is_some() {
                entry.last_good = good;
            }
        } else if shard.names.len() < MAX_NAMES {
            shard.names.insert(name.into(), Entry { answer: answer.clone(), last_good: good });
        }
    }

    /// Forgets answers, so that the next look asks again; last good addresses stay.
    pub(super) fn expire(&self) {
        for shard in &self.shards {
            for entry in shard.write().unwrap_or_else(PoisonError::into_inner).names.values_mut() {
                entry.answer.valid_until = BootTime(0);
            }
        }
    }

    fn shard(&self, name: &str, family: IpFamily) -> &RwLock<Shard> {
        let part = match family {
            IpFamily::Any => 0,
            IpFamily::Ipv4 => 1,
            IpFamily::Ipv6 => 2,
        };
        let hash = self.hasher.hash_one(name);
        // The map itself uses the lowest and the highest bits.
        &self.shards[part * SHARDS + (hash >> 32) as usize % SHARDS]
    }
}

impl Shard {
    fn sweep(&mut self, now: BootTime) {
        if now.since(self.swept) < SWEEP_EVERY {
            return;
        }
        self.swept = now;
        self.names.retain(|_, entry| entry.answer.valid_until > now || entry.last_good(now).is_some());
    }
}
