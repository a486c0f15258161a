//! Whoever looks once: the runner's single checks, with network parts of their own for the command line, or with those
//! of a server.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use quaywatch_core::egress::EgressPolicy;
use quaywatch_core::job::Plans;
use quaywatch_core::{AccountId, Clock, ErrorCode, Evidence, MonitorId, MonitorSpec, ResultFlags, Stage};
use quaywatch_net::{Descriptors, Resolver, ResolverConfig, SystemClock, descriptors};
use quaywatch_probe::half_open_works;
use quaywatch_runner::{NetParts, OneShot};

use crate::check::Seen;
use crate::opener::Secrets;

/// Descriptors that are left to everything but checks: standard streams, name lookups, libraries.
const RESERVE: u64 = 128;

/// Looks once at what it is given, many at a time.
pub struct Looker {
    checks: OneShot,
}

impl std::fmt::Debug for Looker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Looker").finish_non_exhaustive()
    }
}

impl Looker {
    /// Gets ready, inside a tokio runtime. `resolvers` are asked instead of the machine's where there are any.
    ///
    /// # Errors
    /// A sentence for people: an address that is none, or a machine that gives no thread.
    pub fn new(resolvers: &[String]) -> Result<Self, String> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let limit = descriptors::raise_limit()
            .map_err(|error| format!("cannot read the descriptor limit: {error}"))?;
        let descriptors = Descriptors::new(limit.soft, RESERVE);
        let upstreams = resolvers.iter().map(|text| resolver_address(text)).collect::<Result<Vec<_>, _>>()?;
        let config = ResolverConfig {
            upstreams: (!upstreams.is_empty()).then_some(upstreams),
            descriptors: Some(descriptors.clone()),
            ..ResolverConfig::default()
        };
        let parts = NetParts {
            resolver: Resolver::new(config, Arc::clone(&clock)),
            // Whoever sits at the machine may dial what the machine may, metadata addresses apart.
            egress: EgressPolicy::default(),
            descriptors,
            runtime: tokio::runtime::Handle::current(),
            opener: Arc::new(Secrets::new(None, PathBuf::new())),
        };
        Self::of(&parts, clock)
    }

    /// Gets ready with the network parts of a server; its egress policy binds every look by its account.
    ///
    /// # Errors
    /// A sentence for people, where the machine gives no thread.
    pub fn of(parts: &NetParts, clock: Arc<dyn Clock>) -> Result<Self, String> {
        let checks = OneShot::start(parts, clock, half_open_works());
        Ok(Self { checks: checks.map_err(|error| format!("cannot start checking: {error}"))? })
    }

    /// Looks at one target.
    pub async fn look(&self, spec: &MonitorSpec) -> Seen {
        self.look_for(AccountId::DEFAULT, spec).await
    }

    /// Looks at one target on behalf of an account.
    pub async fn look_for(&self, account: AccountId, spec: &MonitorSpec) -> Seen {
        let job = spec.job(MonitorId(1), account, &mut Plans::default());
        match self.checks.check(&job).await {
            Some(result) => Seen {
                code: result.code,
                full: result.flags.has(ResultFlags::FULL),
                evidence: result.evidence.map(|evidence| *evidence).unwrap_or_default(),
            },
            None => Seen {
                code: ErrorCode::SelfStall,
                full: false,
                evidence: Evidence { stage: Some(Stage::Prepare), ..Evidence::default() },
            },
        }
    }
}

fn resolver_address(text: &str) -> Result<SocketAddr, String> {
    const DNS: u16 = 53;
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    text.parse::<SocketAddr>().or_else(|_| bare.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, DNS))).map_err(
        |_| format!("--resolvers {text}: write an address such as `192.0.2.53` or `192.0.2.53:5353`"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_addresses_with_or_without_a_port() {
        assert_eq!(resolver_address("192.0.2.53"), Ok("192.0.2.53:53".parse().expect("literal")));
        assert_eq!(
            resolver_address("[2001:db8::53]:5353"),
            Ok("[2001:db8::53]:5353".parse().expect("literal"))
        );
        assert_eq!(resolver_address("2001:db8::53"), Ok("[2001:db8::53]:53".parse().expect("literal")));
        assert!(resolver_address("dns.example.com").is_err());
    }
}
