//! What a runner must know to run the checks of a monitor, and nothing more: the server makes jobs from specs; an
//! agent will get the same records over the wire.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::id::{AccountId, MonitorId};
use crate::spec::{Addresses, Expectation, Handshake, Host, IpFamily, Pattern};

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
    /// Bytes to send once connected.
    pub send: Option<Box<[u8]>>,
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
