//! The settings of a runner, with the reason of each bound beside it.

use std::net::SocketAddr;
use std::time::Duration;

use quaywatch_core::LocationId;

/// How a runner works. [`RunnerConfig::new`] gives the values that a server uses.
#[derive(Debug, Clone, PartialEq)]
pub struct RunnerConfig {
    /// The place that results are from.
    pub location: LocationId,
    /// Threads of the bulk prober. One carries some ten thousand checks a second.
    pub threads: usize,
    /// The most bulk checks at once; what descriptors allow is the other bound. A million monitors at 60 s that all
    /// run into a timeout of 10 s are 170,000.
    pub max_in_flight: usize,
    /// The most dialogues at once: each is a task with buffers.
    pub max_dialogues: usize,
    /// The most names that are resolved at once; others wait their turn.
    pub max_resolving: usize,
    /// How hard one target may be hit; `None`: no bound (a single check asked for by a person).
    pub budget: Option<TargetBudget>,
    /// Whether identical checks share an observation.
    pub share: bool,
    /// Addresses that also prove the watcher's own health, besides gateways and resolvers.
    pub anchors: Vec<SocketAddr>,
    /// False where half-open handshakes do not work here: every check is a full one.
    pub half_open: bool,
    /// Whether the socket of a half-open check may serve the next one: a third cheaper, but its sequence numbers can
    /// then be foretold by a target that was looked at with it. Off where targets belong to strangers.
    pub reuse_sockets: bool,
    /// Evidence for successes too (a single check, shown to a person).
    pub evidence_always: bool,
    /// How often the loop looks at what is due, while anything is.
    pub tick: Duration,
    /// The longest that a success waits for others to leave with. Failures leave with the next tick but one.
    pub batch_after: Duration,
    /// A loop that was away for longer than this cannot tell what happened meanwhile.
    pub stall_after: Duration,
    /// A difference between the wall clock and the time that passed, above which the clock was set.
    pub step_after: Duration,
    /// How long one address has before the next is tried beside it (RFC 8305 section 5).
    pub stagger: Duration,
}

/// The bound on connects to one target, over all monitors and accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetBudget {
    /// Connects a second to one address and port, and as many at once.
    pub per_port: u32,
    /// Connects a second to one address.
    pub per_address: u32,
}

impl Default for TargetBudget {
    fn default() -> Self {
        Self { per_port: 20, per_address: 100 }
    }
}

impl RunnerConfig {
    /// The settings of a server at `location`.
    #[must_use]
    pub const fn new(location: LocationId) -> Self {
        Self {
            location,
            threads: 1,
            max_in_flight: 250_000,
            max_dialogues: 1_000,
            max_resolving: 256,
            budget: Some(TargetBudget { per_port: 20, per_address: 100 }),
            share: true,
            anchors: Vec::new(),
            half_open: true,
            reuse_sockets: true,
            evidence_always: false,
            tick: Duration::from_millis(5),
            batch_after: Duration::from_millis(50),
            stall_after: Duration::from_secs(1),
            step_after: Duration::from_secs(2),
            stagger: Duration::from_millis(250),
        }
    }
}
