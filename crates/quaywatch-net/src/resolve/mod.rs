//! Names to addresses, for all who dial: an asynchronous resolver with a cache of its own.
//!
//! A watcher needs more of a resolver than addresses: whose fault it is when there are none (the name's, or our own
//! name server's), proof of that, one sick upstream that never decides alone, and the last good addresses while
//! nobody answers. Each upstream is asked by itself (`upstream`), `lookup` decides who is asked when, the pure
//! rules are in [`quaywatch_core::dns`], and this file keeps answers and sees to it that a name is asked for once,
//! however many monitors want it.

mod cache;
mod kept;
mod lookup;
mod machine;
mod message;
mod system;
mod upstream;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use hickory_proto::rr::Name;
use quaywatch_core::dns::{self, Outcome, Said, Word};
use quaywatch_core::meter::{Counter, Gauge, Histogram};
use quaywatch_core::spec::IpFamily;
use quaywatch_core::{BootTime, Clock, ErrorCode, Verdict};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::descriptors::Descriptors;
use cache::Cache;
use kept::kept_for;
use machine::Machine;
use system::{Paths, System};
use upstream::{Tools, Upstream};

/// Lookups in flight. Each holds a socket or two, so they must leave room for the checks.
const MAX_IN_FLIGHT: usize = 512;

/// Names that are looked up or wait for their turn. A resolver so slow that more gather is our own fault.
const MAX_WAITING: usize = 8_192;

/// How often the machine's files are looked at, and so how long an entry of /etc/hosts is kept.
const FILES_EVERY: Duration = Duration::from_secs(30);
/// While no upstream answers anything, one question this often finds out when that ends.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// How to resolve. The default is the machine's own configuration.
#[derive(Debug, Clone)]
pub struct ResolverConfig {
    /// Name servers to ask; `None`: those of the machine.
    pub upstreams: Option<Vec<SocketAddr>>,
    /// The machine's configuration.
    pub resolv_conf: PathBuf,
    /// The machine's own names.
    pub hosts: PathBuf,
    /// Where sockets are counted.
    pub descriptors: Option<Descriptors>,
}

impl Default for ResolverConfig {
    fn default() -> Self {
        Self {
            upstreams: None,
            resolv_conf: PathBuf::from("/etc/resolv.conf"),
            hosts: PathBuf::from("/etc/hosts"),
            descriptors: None,
        }
    }
}

/// What is known of a name. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The addresses to dial, best first, families alternating. Empty exactly if `outcome` is not `Ok`.
    pub addresses: Arc<[IpAddr]>,
    /// `Ok`, also where the addresses are stale; else `dns_*` (the name's fault) or `self_*` (ours).
    pub outcome: ErrorCode,
    /// Our resolver does not answer, and these are the last good addresses, at most a day old.
    pub stale: bool,
    /// How long it took; 0 for an answer that was known.
    pub took_us: u32,
    /// Until when it stands.
    pub valid_until: BootTime,
    /// Who said what, for anything but fresh addresses.
    pub detail: Option<Arc<str>>,
}

impl Answer {
    const fn is_good(&self) -> bool {
        matches!(self.outcome, ErrorCode::Ok)
    }
}

/// What the resolver counts for `/metrics`.
#[derive(Debug, Default)]
pub struct ResolverStats {
    /// Lookups begun: one for all who wanted the name at that moment.
    pub lookups: Counter,
    /// Callers that joined a lookup of somebody else.
    pub joined: Counter,
    /// Lookups by the name's fault (`dns_*`).
    pub failed: Counter,
    /// Lookups by our own fault (`self_*`), stale answers included.
    pub own_failed: Counter,
    /// Stale answers given out.
    pub stale: Counter,
    /// Lookups in flight.
    pub in_flight: Gauge,
    /// 1 while no upstream answers anything.
    pub down: Gauge,
    /// How long lookups took.
    pub took: Histogram,
}

/// The resolver. Cheap to clone.
#[derive(Clone)]
pub struct Resolver(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    descriptors: Option<Descriptors>,
    paths: Paths,
    fixed: Option<Vec<SocketAddr>>,
    machine: RwLock<Arc<Machine>>,
    looked_at_files: AtomicU64,
    cache: Cache,
    in_flight: Mutex<HashMap<Key, watch::Receiver<Option<Answer>>>>,
    permits: Semaphore,
    /// 0 while upstreams answer; else when to ask the next time whether they do again.
    down_until: AtomicU64,
    /// Whether they are being asked that now.
    probing: AtomicBool,
    stats: ResolverStats,
}

type Key = (IpFamily, Box<str>);

impl Resolver {
    /// Reads the machine's configuration; asks nothing yet.
    #[must_use]
    pub fn new(config: ResolverConfig, clock: Arc<dyn Clock>) -> Self {
        let paths = Paths { resolv_conf: config.resolv_conf, hosts: config.hosts };
        let machine = Machine::new(System::read(&paths), config.upstreams.as_deref(), &[]);
        let looked_at_files = AtomicU64::new(clock.boot().0);
        Self(Arc::new(Inner {
            clock,
            descriptors: config.descriptors,
            paths,
            fixed: config.upstreams,
            machine: RwLock::new(Arc::new(machine)),
            looked_at_files,
            cache: Cache::new(),
            in_flight: Mutex::default(),
            permits: Semaphore::new(MAX_IN_FLIGHT),
            down_until: AtomicU64::new(0),
            probing: AtomicBool::new(false),
            stats: ResolverStats::default(),
        }))
    }

    /// What is known of `name` without asking anybody. Cheap: for the path of every check.
    #[must_use]
    pub fn cached(&self, name: &str, family: IpFamily, now: BootTime) -> Option<Answer> {
        self.0.cache.fresh(name, family, now).map(|answer| Answer { took_us: 0, ..answer })
    }

    /// What is known of `name`, asking if need be. Ends within `limit`. Must be called on a tokio runtime.
    pub async fn resolve(&self, name: &str, family: IpFamily, limit: Duration) -> Answer {
        let start = self.0.clock.boot();
        if let Some(answer) = self.cached(name, family, start) {
            return answer;
        }
        let mut receiver = match self.join_or_lead(name, family, limit, start) {
            Ok(receiver) => receiver,
            Err(known) => return known,
        };
        let answer = match timeout(limit, receiver.wait_for(Option::is_some)).await {
            Ok(Ok(answer)) => answer.clone(),
            Ok(Err(_)) | Err(_) => None,
        };
        let took_us = micros(self.0.clock.boot().since(start));
        match answer {
            Some(answer) => Answer { took_us, ..answer },
            None => self.answer(
                name,
                family,
                &failed(ErrorCode::SelfDns),
                format!("no answer within {} ms", limit.as_millis()),
                start,
            ),
        }
    }

    /// The name servers in use.
    #[must_use]
    pub fn upstreams(&self) -> Vec<SocketAddr> {
        self.machine().upstreams.iter().map(|upstream| upstream.address).collect()
    }

    /// Whether any name server answers anything (it is asked for the root's), now.
    pub async fn any_upstream_answers(&self) -> bool {
        let machine = self.machine();
        let answers = lookup::any_answers(&machine.upstreams, self.tools()).await;
        self.note_upstreams(answers);
        answers
    }

    /// Forgets all answers but keeps the last good addresses: for a reload, or when the network changed.
    pub fn expire(&self) {
        self.0.cache.expire();
    }

    /// Figures for `/metrics`.
    #[must_use]
    pub fn stats(&self) -> &ResolverStats {
        &self.0.stats
    }

    /// The lookup of this name that is in flight, begun here if there was none; or the answer that came meanwhile.
    fn join_or_lead(
        &self,
        name: &str,
        family: IpFamily,
        limit: Duration,
        now: BootTime,
    ) -> Result<watch::Receiver<Option<Answer>>, Answer> {
        let key: Key = (family, name.into());
        let mut in_flight = self.0.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(receiver) = in_flight.get(&key) {
            self.0.stats.joined.inc();
            return Ok(receiver.clone());
        }
        // A lookup keeps its answer before it leaves the list, so this look misses none.
        if let Some(answer) = self.cached(name, family, now) {
            return Err(answer);
        }
        if in_flight.len() >= MAX_WAITING {
            drop(in_flight);
            let detail = format!("{MAX_WAITING} names wait for the name servers");
            return Err(self.answer(name, family, &failed(ErrorCode::SelfOverload), detail, now));
        }
        let (sender, receiver) = watch::channel(None);
        in_flight.insert(key.clone(), receiver.clone());
        drop(in_flight);
        let leaving = Leaving { resolver: self.clone(), key };
        // A task of its own: the lookup goes on for the others when this caller gives up.
        tokio::spawn(async move {
            let answer = leaving.resolver.look_up(&leaving.key.1, family, limit).await;
            drop(leaving);
            sender.send_replace(Some(answer));
        });
        Ok(receiver)
    }

    /// One lookup, from its turn to the kept answer.
    async fn look_up(&self, name: &str, family: IpFamily, limit: Duration) -> Answer {
        let stats = &self.0.stats;
        stats.lookups.inc();
        stats.in_flight.add(1);
        let start = self.0.clock.boot();
        let (outcome, detail) = self.ask(name, family, limit, start).await;
        let answer = self.answer(name, family, &outcome, detail, start);
        stats.in_flight.add(-1);
        stats.took.observe_us(u64::from(answer.took_us));
        match outcome.code.verdict() {
            Verdict::Unknown => stats.own_failed.inc(),
            Verdict::Down => stats.failed.inc(),
            Verdict::Up | Verdict::Degraded | Verdict::Blocked => {}
        }
        self.0.cache.keep(name, family, &answer, self.0.clock.boot());
        answer
    }

    async fn ask(&self, name: &str, family: IpFamily, limit: Duration, start: BootTime) -> (Outcome, String) {
        let question = match dns::question(name) {
            Ok(question) => question,
            Err(error) => return (failed(ErrorCode::DnsNxdomain), format!("`{name}`: {error}")),
        };
        self.look_at_files(start, FILES_EVERY);
        let machine = self.machine();
        if let Some(addresses) = machine.system.known(&question, family) {
            let ttl = u32::try_from(FILES_EVERY.as_secs()).ok();
            return (Outcome { code: ErrorCode::Ok, addresses, ttl, complete: true }, String::new());
        }
        if self.is_down(start) {
            return (failed(ErrorCode::SelfDns), machine.nobody_answers());
        }
        let Ok(Ok(_permit)) = timeout(limit, self.0.permits.acquire()).await else {
            return (failed(ErrorCode::SelfOverload), format!("{MAX_IN_FLIGHT} lookups were in flight"));
        };
        let end = start + limit;
        let mut last = None;
        for candidate in machine.candidates(&question) {
            let Ok(name) = Name::from_ascii(&candidate) else { continue };
            let left = end.since(self.0.clock.boot());
            let words = lookup::ask(&machine.upstreams, self.tools(), &name, family, left).await;
            let outcome = dns::outcome(&words);
            self.learn(&words);
            let is_no = words.iter().any(|word| word.said.is_no()) && outcome.addresses.is_empty();
            last = Some((outcome, dns::describe(&words)));
            if !is_no {
                break;
            }
        }
        last.unwrap_or_else(|| {
            (failed(ErrorCode::DnsNxdomain), format!("`{name}`: {}", dns::NameError::Malformed))
        })
    }

    /// Makes the answer: with the last good addresses where the fault is ours.
    fn answer(
        &self,
        name: &str,
        family: IpFamily,
        outcome: &Outcome,
        detail: String,
        start: BootTime,
    ) -> Answer {
        let now = self.0.clock.boot();
        let own_fault = outcome.code.verdict() == Verdict::Unknown;
        let last_good = if own_fault { self.0.cache.last_good(name, family, now) } else { None };
        let stale = last_good.is_some();
        if stale {
            self.0.stats.stale.inc();
        }
        let code = if stale { ErrorCode::Ok } else { outcome.code };
        let addresses = last_good.unwrap_or_else(|| dns::order(&outcome.addresses, None).into());
        Answer {
            addresses,
            outcome: code,
            stale,
            took_us: micros(now.since(start)),
            valid_until: now + kept_for(outcome),
            detail: (!detail.is_empty() && (stale || code != ErrorCode::Ok)).then(|| detail.into()),
        }
    }

    /// Draws conclusions about the upstreams from what they said, or did not say.
    fn learn(&self, words: &[Word]) {
        if words.iter().any(|word| word.said.is_answer()) {
            self.note_upstreams(true);
        } else if words.iter().any(|word| matches!(word.said, Said::Silence | Said::Unreachable)) {
            self.look_at_files(self.0.clock.boot(), PROBE_EVERY);
            // Silence about one name may be that name's: only silence about the root too means they are down.
            self.probe();
        }
    }

    /// Asks in the background whether any upstream answers anything, unless that is being asked already.
    fn probe(&self) {
        if !self.0.probing.swap(true, Ordering::Relaxed) {
            let resolver = self.clone();
            tokio::spawn(async move {
                resolver.any_upstream_answers().await;
                resolver.0.probing.store(false, Ordering::Relaxed);
            });
        }
    }

    fn note_upstreams(&self, answers: bool) {
        let until = if answers { 0 } else { (self.0.clock.boot() + PROBE_EVERY).0 };
        let before = self.0.down_until.swap(until, Ordering::Relaxed);
        if (before == 0) != answers {
            self.0.stats.down.set(i64::from(!answers));
            if answers {
                tracing::info!("name servers answer again");
            } else {
                tracing::warn!(upstreams = ?self.upstreams(), "no name server answers; last good addresses are used");
            }
        }
    }

    /// Whether no upstream answered of late. Now and then one caller sets off the question whether that still holds.
    fn is_down(&self, now: BootTime) -> bool {
        let until = self.0.down_until.load(Ordering::Relaxed);
        if until == 0 {
            return false;
        }
        let next = (now + PROBE_EVERY).0;
        let turn = now.0 >= until
            && self.0.down_until.compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if turn {
            self.look_at_files(now, PROBE_EVERY);
            self.probe();
        }
        true
    }

    /// Reads the machine's files again if they changed, looking at most once in `every`.
    fn look_at_files(&self, now: BootTime, every: Duration) {
        let last = self.0.looked_at_files.load(Ordering::Relaxed);
        let due = now.since(BootTime(last)) >= every
            && self
                .0
                .looked_at_files
                .compare_exchange(last, now.0, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if !due {
            return;
        }
        let machine = self.machine();
        if let Some(system) = machine.system.reread(&self.0.paths) {
            let machine = Machine::new(system, self.0.fixed.as_deref(), &machine.upstreams);
            let upstreams: Vec<SocketAddr> =
                machine.upstreams.iter().map(|upstream| upstream.address).collect();
            tracing::info!(?upstreams, "the machine's resolver configuration changed");
            *self.0.machine.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(machine);
        }
    }

    fn machine(&self) -> Arc<Machine> {
        Arc::clone(&self.0.machine.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn tools(&self) -> Tools<'_> {
        Tools { clock: &*self.0.clock, descriptors: self.0.descriptors.as_ref() }
    }
}

/// Whether the name server at `address` answers anything within `limit`.
pub(crate) async fn answers_anything(address: SocketAddr, clock: &dyn Clock, limit: Duration) -> bool {
    let tools = Tools { clock, descriptors: None };
    Upstream::new(address).ask_root(tools, limit).await.is_some()
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").field("upstreams", &self.upstreams()).finish_non_exhaustive()
    }
}

/// Takes the lookup off the list, whatever becomes of it.
struct Leaving {
    resolver: Resolver,
    key: Key,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.resolver.0.in_flight.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

fn failed(code: ErrorCode) -> Outcome {
    Outcome::failed(code, None)
}

fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}
