//! What a runner must know to run the checks of a monitor, and nothing more: the server makes jobs from specs; an
//! agent will get the same records over the wire.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::id::{AccountId, MonitorId};
use crate::secret::Secret;
use crate::spec::{Addresses, Expectation, Handshake, Hidden, Host, IpFamily, Message, Pattern};

/// Which of the targets that a monitor has had: the low bits of the spec's revision. It goes out with a job and comes
/// back with every result, so that what was seen of an old target is never taken for a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Epoch(pub u16);

impl Epoch {
    /// Revisions apart by more than this cannot be told apart.
    const FURTHEST: u32 = 1 << 15;

    /// The epoch that begins with a revision.
    #[must_use]
    pub const fn of(revision: u32) -> Self {
        Self(revision as u16)
    }

    /// The earliest that can be told from a revision: nothing of before counts as of another target.
    #[must_use]
    pub const fn long_before(revision: u32) -> Self {
        Self::of(revision.saturating_sub(Self::FURTHEST - 1))
    }

    /// Whether it lies before another one.
    #[must_use]
    pub const fn is_before(self, other: Self) -> bool {
        (self.0.wrapping_sub(other.0) as i16) < 0
    }
}

/// One monitor as its runner sees it. Kept small: there may be a million.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Whose checks these are.
    pub monitor: MonitorId,
    /// For fairness between accounts.
    pub account: AccountId,
    /// What to dial.
    pub host: Host,
    /// Which port.
    pub port: u16,
    /// Which of the monitor's targets this is.
    pub epoch: Epoch,
    /// How to look; shared by all monitors with the same settings.
    pub plan: Arc<Plan>,
}

impl Job {
    /// The address, where the target is a literal one.
    #[must_use]
    pub fn literal(&self) -> Option<IpAddr> {
        match &self.host {
            Host::Ip(ip) => Some(*ip),
            Host::Name(_) => None,
        }
    }
}

/// How a runner looks: everything of a spec that changes what is sent or when. Monitors with the same settings share
/// one plan (see [`crate::job::Plans`]).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Plan {
    /// From slot to slot.
    pub check_interval: Duration,
    /// From the first SYN to the end of the dialogue.
    pub timeout: Duration,
    /// For resolving alone.
    pub dns_timeout: Duration,
    /// Which families may be dialled.
    pub ip_family: IpFamily,
    /// The first address that answers, or all of them.
    pub addresses: Addresses,
    /// Half-open or full.
    pub handshake: Handshake,
    /// How long a full handshake is looked at before it is closed; zero: not at all.
    pub settle: Duration,
    /// What the port should be.
    pub expectation: Expectation,
    /// What to send once connected.
    pub send: Option<Speech>,
    /// What the first answer must match.
    pub expect: Option<Pattern>,
}

impl Plan {
    /// Whether this check talks, and so runs as a dialogue rather than in bulk.
    #[must_use]
    pub const fn talks(&self) -> bool {
        self.send.is_some() || self.expect.is_some()
    }
}

/// What a check says, and whose it is where that is a secret: it opens for its own account alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Speech {
    /// For everybody to see.
    Open(Box<[u8]>),
    /// A secret, as it is kept.
    Hidden(AccountId, Hidden),
}

impl Speech {
    /// What a monitor of this account says.
    #[must_use]
    pub fn of(account: AccountId, message: Message) -> Self {
        match message {
            Message::Open(bytes) => Self::Open(bytes),
            Message::Hidden(hidden) => Self::Hidden(account, hidden),
        }
    }
}

/// Opens what checks say in secret, at the moment when they say it.
pub trait Opener: Send + Sync {
    /// The message itself.
    ///
    /// # Errors
    /// Why it cannot be had, for people and without a secret in it.
    fn open(&self, account: AccountId, hidden: &Hidden) -> Result<Secret<Box<[u8]>>, String>;
}

/// Gives out one shared [`Plan`] for equal settings.
#[derive(Debug, Default)]
pub struct Plans(std::collections::BTreeSet<Arc<Plan>>);

impl Plans {
    /// The shared plan equal to `plan`.
    pub fn share(&mut self, plan: Plan) -> Arc<Plan> {
        if let Some(known) = self.0.get(&plan) {
            return Arc::clone(known);
        }
        let plan = Arc::new(plan);
        self.0.insert(Arc::clone(&plan));
        plan
    }

    /// Forgets plans that nobody uses any more.
    pub fn sweep(&mut self) {
        self.0.retain(|plan| Arc::strong_count(plan) > 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_are_in_the_order_of_revisions_all_around() {
        for revision in [0, 1, 7, 32_767, 32_768, 65_535, 65_536, u32::MAX - 1] {
            let epoch = Epoch::of(revision);
            assert!(epoch.is_before(Epoch::of(revision.wrapping_add(1))));
            assert!(!epoch.is_before(epoch) && !Epoch::of(revision.wrapping_add(1)).is_before(epoch));
            assert!(!epoch.is_before(Epoch::long_before(revision)), "{revision}");
        }
        assert_eq!(Epoch::long_before(5), Epoch(0));
    }
}
