//! Who can prove that our own network works, and whether they answer: the default gateway of the family, the name
//! servers, and whoever the owner names. Which of them is dead and what that means is for `core::health` to say.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quaywatch_core::health::{Family, LOOK_LASTS, Look};
use quaywatch_core::{BootTime, Clock};
use quaywatch_net::routes::{Interfaces, default_route_v4, default_route_v6};
use quaywatch_net::{Anchor, Resolver, anchor_answers};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::{NetParts, Tray};
use crate::config::RunnerConfig;
use crate::ports::Anchors;

/// Anchors are near, or near enough.
const LIMIT: Duration = Duration::from_millis(1_500);

pub(super) struct Real {
    resolver: Resolver,
    named: Vec<SocketAddr>,
    runtime: Handle,
    clock: Arc<dyn Clock>,
    looks: Tray<(Family, Look)>,
    /// Anchors that have answered since the start.
    alive_once: Arc<Mutex<HashSet<SocketAddr>>>,
    interfaces: Interfaces,
    read_at: Option<BootTime>,
}

impl Real {
    pub(super) fn new(config: &RunnerConfig, parts: &NetParts, clock: &Arc<dyn Clock>) -> Self {
        Self {
            resolver: parts.resolver.clone(),
            named: config.anchors.clone(),
            runtime: parts.runtime.clone(),
            clock: Arc::clone(clock),
            looks: Tray::default(),
            alive_once: Arc::default(),
            interfaces: Interfaces::default(),
            read_at: None,
        }
    }

    fn anchors(&self, family: Family) -> Vec<Anchor> {
        anchors(family, &self.resolver, &self.named)
    }
}

/// The anchors of a family, as they are now. A name server on this very machine proves nothing about the way out.
fn anchors(family: Family, resolver: &Resolver, named: &[SocketAddr]) -> Vec<Anchor> {
    let route = match family {
        Family::V4 => default_route_v4(),
        Family::V6 => default_route_v6(),
    };
    let own = Interfaces::read().unwrap_or_default();
    let gateway = route.and_then(|route| route.gateway).map(Anchor::Gateway);
    let resolvers = resolver.upstreams().into_iter().filter(|address| !own.is_own(address.ip()));
    let named = named.iter().copied().filter(|address| Family::of(address.ip()) == family);
    gateway.into_iter().chain(resolvers.map(Anchor::Resolver)).chain(named.map(Anchor::Tcp)).collect()
}

impl Anchors for Real {
    fn look(&mut self, family: Family) {
        let (resolver, named) = (self.resolver.clone(), self.named.clone());
        let (clock, looks) = (Arc::clone(&self.clock), self.looks.clone());
        let alive_once = Arc::clone(&self.alive_once);
        self.runtime.spawn(async move {
            let anchors = anchors(family, &resolver, &named);
            let look = look(anchors, &clock, &alive_once).await;
            looks.push((family, look));
        });
    }

    fn drain(&mut self, into: &mut Vec<(Family, Look)>) {
        self.looks.take(into);
    }

    fn is_near(&mut self, ip: IpAddr, now: BootTime) -> bool {
        if ip.to_canonical().is_loopback() {
            return true;
        }
        if self.read_at.is_none_or(|at| now.since(at) >= LOOK_LASTS) {
            self.read_at = Some(now);
            match Interfaces::read() {
                Ok(interfaces) => self.interfaces = interfaces,
                Err(error) => tracing::warn!(%error, "the machine's addresses cannot be read"),
            }
        }
        self.interfaces.is_on_link(ip)
    }

    fn describe(&self, family: Family) -> String {
        let describe = |anchor: Anchor| match anchor {
            Anchor::Gateway(address) => format!("gateway {}", address.ip()),
            Anchor::Resolver(address) => format!("resolver {}", address.ip()),
            Anchor::Tcp(address) => format!("{address}"),
        };
        self.anchors(family).into_iter().map(describe).collect::<Vec<_>>().join(", ")
    }
}

/// Asks all at once; the first answer is enough.
async fn look(anchors: Vec<Anchor>, clock: &Arc<dyn Clock>, alive_once: &Mutex<HashSet<SocketAddr>>) -> Look {
    let mut asked = JoinSet::new();
    for anchor in &anchors {
        let (anchor, clock) = (*anchor, Arc::clone(clock));
        asked.spawn(async move { (anchor.address(), anchor_answers(anchor, &clock, LIMIT).await) });
    }
    let mut answered = 0;
    while let Some(outcome) = asked.join_next().await {
        if let Ok((address, true)) = outcome {
            answered += 1;
            alive_once.lock().unwrap_or_else(PoisonError::into_inner).insert(address);
            break;
        }
    }
    let known = alive_once.lock().unwrap_or_else(PoisonError::into_inner);
    let alive = anchors.iter().filter(|anchor| known.contains(&anchor.address())).count();
    Look { answered, silent: alive.saturating_sub(answered), mute: anchors.len() - alive }
}
