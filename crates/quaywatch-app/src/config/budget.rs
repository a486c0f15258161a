//! Whether monitors ask more of a target than its budget allows. It is told when the file is read, before checks are
//! delayed or left out.
//!
//! Identical checks share one connection, so of monitors that look at a target in the same way only the most frequent
//! counts; checks that exchange bytes each count for themselves.

use std::hash::BuildHasher as _;

use foldhash::fast::FixedState;
use quaywatch_core::MonitorSpec;
use quaywatch_core::doc::{Path, Problems};
use quaywatch_core::spec::Kind;

use super::{MonitorConfig, Server};

/// What all monitors together ask of their targets: a few bytes each.
pub(super) struct Load {
    asks: Vec<Ask>,
    hasher: FixedState,
    per_port: f64,
    per_address: f64,
}

#[derive(Clone, Copy)]
struct Ask {
    host: u64,
    port: u16,
    /// Equal for monitors that look in the same way.
    way: u64,
    per_second: f32,
    monitor: u32,
}

impl Load {
    pub(super) fn new(server: &Server) -> Self {
        Self {
            asks: Vec::new(),
            hasher: FixedState::default(),
            per_port: f64::from(server.target_per_port),
            per_address: f64::from(server.target_per_address),
        }
    }

    /// Adds the monitor that is the next in the file's order.
    pub(super) fn add(&mut self, spec: &MonitorSpec, monitor: usize) {
        if !spec.enabled {
            return;
        }
        let Kind::Tcp(tcp) = &spec.kind;
        let talks = tcp.send.is_some() || tcp.expect.is_some();
        let way = if talks {
            // Nobody shares a dialogue: its own number keeps it apart.
            self.hasher.hash_one((monitor, "dialogue"))
        } else {
            self.hasher.hash_one((tcp.ip_family, tcp.addresses, tcp.handshake, tcp.settle, spec.timeout))
        };
        self.asks.push(Ask {
            host: self.hasher.hash_one(&tcp.host),
            port: tcp.port,
            way,
            per_second: 1.0 / spec.check_interval.as_secs_f32(),
            monitor: u32::try_from(monitor).unwrap_or(u32::MAX),
        });
    }

    /// Tells of each target that is over its budget, at the first monitor that watches it.
    pub(super) fn warn(mut self, monitors: &[MonitorConfig], problems: &mut Problems) {
        self.asks.sort_unstable_by_key(|ask| (ask.host, ask.port, ask.way, ask.monitor));
        for host in self.asks.chunk_by(|a, b| a.host == b.host) {
            let mut at_host = 0.0;
            let mut told = false;
            for port in host.chunk_by(|a, b| a.port == b.port) {
                let rate = rate(port);
                at_host += rate;
                if rate > self.per_port {
                    tell(port, true, rate, self.per_port, monitors, problems);
                    told = true;
                }
            }
            if at_host > self.per_address && !told {
                tell(host, false, at_host, self.per_address, monitors, problems);
            }
        }
    }
}

/// Connections a second to one port.
fn rate(port: &[Ask]) -> f64 {
    let most = |asks: &[Ask]| asks.iter().map(|ask| f64::from(ask.per_second)).fold(0.0, f64::max);
    port.chunk_by(|a, b| a.way == b.way).map(most).sum()
}

fn tell(
    asks: &[Ask],
    port: bool,
    rate: f64,
    budget: f64,
    monitors: &[MonitorConfig],
    problems: &mut Problems,
) {
    let Some(first) = asks.iter().map(|ask| ask.monitor).min().and_then(|i| monitors.get(i as usize)) else {
        return;
    };
    let spec = first.spec();
    let Kind::Tcp(tcp) = &spec.kind;
    let target = if port { tcp.host.with_port(tcp.port) } else { tcp.host.to_string() };
    let message = format!(
        "`{target}` would be dialled {rate:.0} times a second by {} monitors; its budget is {budget:.0}",
        asks.len()
    );
    let remedy = "lengthen `check_interval`, or raise `server.target_budget` if the target can bear it";
    problems.warning(&Path::Root.key("monitors"), first.span, "over_budget", message, remedy);
}
