//! The real ends of the machine's ports: the bulk prober and the dialogues, the resolver, and the anchors.

mod anchors;
mod names;
mod prober;

use std::io;
use std::sync::Arc;

use quaywatch_core::egress::EgressPolicy;
use quaywatch_core::{Clock, Opener};
use quaywatch_net::{Descriptors, Resolver};
use quaywatch_probe::BulkStats;
use tokio::runtime::Handle;

use crate::config::RunnerConfig;
use crate::ports::Ports;

/// What of the server's network a runner works with.
#[derive(Clone)]
pub struct NetParts {
    /// Resolves names, for checks and for channels.
    pub resolver: Resolver,
    /// What may be dialled; the server's own policy, which is narrowed to each account.
    pub egress: EgressPolicy,
    /// The server's budget of descriptors.
    pub descriptors: Descriptors,
    /// Where dialogues, lookups and looks at anchors run. Never blocked by the runner.
    pub runtime: Handle,
    /// Opens what checks say in secret.
    pub opener: Arc<dyn Opener>,
}

/// Opens the ports onto the real network.
pub(crate) fn ports(
    config: &RunnerConfig,
    parts: &NetParts,
    clock: &Arc<dyn Clock>,
) -> io::Result<(Ports, Arc<BulkStats>)> {
    let prober = prober::Real::start(config, parts, clock)?;
    let stats = prober.bulk_stats();
    let names = names::Real::new(parts.resolver.clone(), parts.runtime.clone());
    let anchors = anchors::Real::new(config, parts, clock);
    Ok((Ports { prober: Box::new(prober), names: Box::new(names), anchors: Box::new(anchors) }, stats))
}

/// Where answers wait until the loop fetches them. The lock is held for a push or a swap.
#[derive(Debug)]
pub(crate) struct Tray<T>(Arc<std::sync::Mutex<Vec<T>>>);

impl<T> Clone for Tray<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Tray<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Tray<T> {
    pub(crate) fn push(&self, item: T) {
        self.lock().push(item);
    }

    pub(crate) fn extend(&self, items: Vec<T>) {
        let mut tray = self.lock();
        if tray.is_empty() {
            *tray = items;
        } else {
            tray.extend(items);
        }
    }

    /// Moves what there is to the end of `into`.
    pub(crate) fn take(&self, into: &mut Vec<T>) {
        let mut tray = self.lock();
        if into.is_empty() {
            std::mem::swap(&mut *tray, into);
        } else {
            into.append(&mut tray);
        }
    }

    /// What a panicking writer leaves behind is a vector, with its item or without.
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<T>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
