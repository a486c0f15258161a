//! Looking once at what is not saved yet: what the monitor would see, address by address, and what its owner should
//! know before it is saved.
//!
//! Each test has a prober of its own for as long as it lasts: an idle one costs nothing, since there is none. How many
//! run at once is bounded by account and in all, because each may wait as long as its target is silent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use quaywatch_core::access::{Level, Policy, Resource};
use quaywatch_core::doc::{Node, Problem};
use quaywatch_core::spec::{Addresses, Expectation, Handshake, Host, Kind, TcpSpec};
use quaywatch_core::{AccountId, Attempt, ErrorCode, MonitorSpec};
use quaywatch_runner::NetParts;

use super::reading::{self, ReadSpec};
use super::{OperationError, Operations, advice};
use crate::caller::Caller;
use crate::check::{self, CheckReport, Seen};
use crate::look::Looker;

/// Tests of one account at once.
const AT_ONCE: usize = 4;
/// Tests of all accounts at once.
const IN_ALL: usize = 16;
/// Nobody waits longer for the answer to a form, whatever the spec's timeout.
const LONGEST: Duration = Duration::from_secs(30);
/// How long to look whether what answered hangs up: long enough for a proxy to be refused by what it stands for.
const LOOK: Duration = Duration::from_millis(500);

/// What tests dial with, and those that run.
#[derive(Default)]
pub(crate) struct Tests {
    net: OnceLock<NetParts>,
    running: Arc<Mutex<BTreeMap<AccountId, usize>>>,
}

impl Tests {
    /// From now on tests dial with these parts.
    pub(crate) fn attach(&self, net: NetParts) {
        // There is one network.
        let _ = self.net.set(net);
    }

    fn admit(&self, account: AccountId) -> Result<Running, OperationError> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let own = running.get(&account).copied().unwrap_or(0);
        if own >= AT_ONCE || running.values().sum::<usize>() >= IN_ALL {
            return Err(OperationError::Throttled(Duration::from_secs(1)));
        }
        running.insert(account, own + 1);
        Ok(Running { all: Arc::clone(&self.running), account })
    }
}

/// A test that runs, until it is dropped.
struct Running {
    all: Arc<Mutex<BTreeMap<AccountId, usize>>>,
    account: AccountId,
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.account);
            }
        }
    }
}

/// What a test came to.
#[derive(Debug, Clone, PartialEq)]
pub struct TestedSpec {
    /// What the check saw: outcome, words, phases, proof.
    pub report: CheckReport,
    /// Every address of the host, and what came of it.
    pub addresses: Vec<Attempt>,
    /// What its owner should know: of the spec, and of what was seen. Codes: `private_address`, `loopback`, `udp`,
    /// `http_beside`, `harmful`, `hangs_up`, `lost_syn`, `elsewhere`, `shortened`, and those of the reader.
    pub warnings: Vec<Problem>,
    /// A timeout that fits what was seen; `None` where nothing answered.
    pub suggested_timeout: Option<Duration>,
}

impl Operations {
    /// Runs a spec once, without saving it. A name is not needed.
    ///
    /// # Errors
    /// Where the caller may not, the spec is wrong, or too many tests of the account run already.
    pub async fn test_monitor(&self, caller: &Caller, body: &Node<'_>) -> Result<TestedSpec, OperationError> {
        caller.require(Policy::new(Resource::Monitors, Level::Edit))?;
        let known = self.known(caller.account).await?;
        let mut body = body.clone();
        if body.get("name").is_none() {
            reading::set(&mut body, "name", Some(Node::plain("test")));
        }
        let ReadSpec { mut spec, mut warnings } = reading::one(&body, &known)?;
        if spec.timeout > LONGEST {
            warnings.push(advice::shortened(LONGEST));
            spec.timeout = LONGEST;
        }
        let looker = self.looker()?;
        let _running = self.tests.admit(caller.account)?;
        let seen = Looks { looker: &looker, account: caller.account, spec: &spec }.all().await;
        // It ends a thread, which may take as long as a turn of its loop.
        tokio::task::spawn_blocking(move || drop(looker));

        warnings.extend(advice::of_spec(&spec));
        warnings.extend(advice::of_looks(&spec, &seen));
        let suggested_timeout = advice::timeout(&seen.addresses);
        let report = check::report(&spec.target(), &spec, seen.first);
        Ok(TestedSpec { report, addresses: seen.addresses, warnings, suggested_timeout })
    }

    /// A prober of its own, bound by the egress policy that is in force.
    fn looker(&self) -> Result<Looker, OperationError> {
        let net = self.tests.net.get().ok_or_else(|| {
            OperationError::Unavailable("this server checks nothing yet: try again in a moment".to_owned())
        })?;
        let net = NetParts { egress: self.settings.now().egress.clone(), ..net.clone() };
        Looker::of(&net, Arc::clone(&self.clock)).map_err(OperationError::Unavailable)
    }
}

/// Everything that a test has seen.
pub(super) struct AllSeen {
    /// By the spec itself.
    pub(super) first: Seen,
    /// Every address.
    pub(super) addresses: Vec<Attempt>,
    /// What hung up on a completed handshake.
    pub(super) hung_up: Option<ErrorCode>,
}

/// The looks of one test.
struct Looks<'l> {
    looker: &'l Looker,
    account: AccountId,
    spec: &'l MonitorSpec,
}

impl Looks<'_> {
    /// One by the spec itself, and from what that has seen: one at every address, one that completes the handshake.
    async fn all(&self) -> AllSeen {
        let first = self.looker.look_for(self.account, self.spec).await;
        let (addresses, hung_up) = tokio::join!(self.every_address(&first), self.hangs_up(&first));
        AllSeen { first, addresses, hung_up }
    }

    async fn every_address(&self, first: &Seen) -> Vec<Attempt> {
        let Kind::Tcp(tcp) = &self.spec.kind;
        let is_name = matches!(tcp.host, Host::Name(_));
        if !is_name || tcp.addresses == Addresses::All || first.evidence.attempts.is_empty() {
            return first.evidence.attempts.clone();
        }
        let plain = TcpSpec {
            addresses: Addresses::All,
            ip_family: tcp.ip_family,
            ..TcpSpec::new(tcp.host.clone(), tcp.port)
        };
        let spec = MonitorSpec { kind: Kind::Tcp(plain), ..self.spec.clone() };
        let mut attempts = self.looker.look_for(self.account, &spec).await.evidence.attempts;
        attempts.sort_by_key(|attempt| (attempt.address.is_ipv4(), attempt.address));
        attempts
    }

    /// A half-open handshake sees a proxy as well as what it stands for; whoever completes one sees the difference.
    async fn hangs_up(&self, first: &Seen) -> Option<ErrorCode> {
        let Kind::Tcp(tcp) = &self.spec.kind;
        let wanted = first.code == ErrorCode::Ok
            && tcp.handshake == Handshake::HalfOpen
            && tcp.expectation == Expectation::Open
            && !advice::counts_guests(tcp.port);
        if !wanted {
            return None;
        }
        let full = TcpSpec { handshake: Handshake::Full, settle: LOOK, ..tcp.clone() };
        let timeout = self.spec.timeout.max(2 * LOOK);
        let spec = MonitorSpec { kind: Kind::Tcp(full), timeout, ..self.spec.clone() };
        let seen = self.looker.look_for(self.account, &spec).await;
        matches!(seen.code, ErrorCode::TcpClosedEarly | ErrorCode::TcpReset).then_some(seen.code)
    }
}
