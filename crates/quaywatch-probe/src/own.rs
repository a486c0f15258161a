//! Which addresses are this machine's: an ICMP answer from one of them is our own firewall speaking. Asked only after
//! an ICMP answer, and remembered for a while, since a dead network can bring thousands of them a second.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::{BootTime, Clock};
use quaywatch_net::routes::Interfaces;

/// Addresses change seldom; a wrong guess for this long costs a word, not a verdict of another monitor.
const LASTS: Duration = Duration::from_secs(5);

/// The addresses of this machine, as seen by the thread that asks.
pub(crate) struct OwnAddresses {
    clock: Arc<dyn Clock>,
    read: Option<(BootTime, Option<Interfaces>)>,
}

impl OwnAddresses {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, read: None }
    }

    /// Whether `ip` is one of ours. Where the system does not say, nothing but loopback is.
    pub(crate) fn contains(&mut self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        if ip.is_loopback() {
            return true;
        }
        let now = self.clock.boot();
        let fresh = self.read.take().filter(|(at, _)| now.since(*at) < LASTS);
        let (at, networks) = fresh.unwrap_or_else(|| (now, Interfaces::read().ok()));
        let own = networks.as_ref().is_some_and(|networks| networks.is_own(ip));
        self.read = Some((at, networks));
        own
    }
}
