//! The one dialler of all who talk over tokio: resolve, ask the egress policy about each address, connect to the very
//! address that was judged. There is no way around the policy, because nothing resolves a second time.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::dns::{self, NameError};
use quaywatch_core::egress::{Egress, EgressPolicy};
use quaywatch_core::spec::IpFamily;
use quaywatch_core::{Clock, ErrorCode};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::race::Race;
use crate::resolve::Resolver;

/// The next address joins when the last one has not answered for so long (RFC 8305 section 8).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// Dials hosts for one owner of a policy. Cheap to clone.
#[derive(Clone)]
pub struct Dialler {
    resolver: Resolver,
    egress: EgressPolicy,
    clock: Arc<dyn Clock>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The host is neither a name nor an address.
    #[error("`{host}`: {error}")]
    Name {
        /// As given.
        host: String,
        /// What is wrong with it.
        error: NameError,
    },
    /// The egress policy forbids every address of the host.
    #[error("{address} may not be dialled: {rule}")]
    Policy {
        /// The first forbidden address.
        address: IpAddr,
        /// The rule.
        rule: String,
    },
    /// The name has no address.
    #[error("{}", Unresolved(*.code, .detail.as_deref()))]
    Resolve {
        /// `dns_*`: the name's fault; `self_*`: ours.
        code: ErrorCode,
        /// Who said what.
        detail: Option<Arc<str>>,
    },
    /// No address took the connection.
    #[error("{}", Refusals(.0))]
    Connect(Vec<(SocketAddr, io::Error)>),
    /// Time was up.
    #[error("no connection within {} ms", .0.as_millis())]
    Timeout(Duration),
}

impl DialError {
    /// Whether a policy forbade it, so that trying again cannot help.
    #[must_use]
    pub const fn is_policy(&self) -> bool {
        matches!(self, Self::Policy { .. })
    }
}

impl Dialler {
    /// A dialler under `egress`.
    #[must_use]
    pub fn new(resolver: Resolver, egress: EgressPolicy, clock: Arc<dyn Clock>) -> Self {
        Self { resolver, egress, clock }
    }

    /// The same dialler under another policy.
    #[must_use]
    pub fn under(&self, egress: EgressPolicy) -> Self {
        Self { egress, ..self.clone() }
    }

    /// The resolver it uses.
    #[must_use]
    pub const fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    /// Connects to `host` (a name, or an address with or without brackets) within `limit`.
    ///
    /// # Errors
    /// If the policy forbids it, the name does not resolve, or no address answers in time.
    pub async fn connect(&self, host: &str, port: u16, limit: Duration) -> Result<TcpStream, DialError> {
        let start = self.clock.boot();
        let addresses = self.addresses(host, limit).await?;
        let allowed = self.allowed(&addresses)?;
        let left = limit.saturating_sub(self.clock.boot().since(start));
        match timeout(left, self.first_of(&allowed, port)).await {
            Ok(result) => result,
            Err(_) => Err(DialError::Timeout(limit)),
        }
    }

    async fn addresses(&self, host: &str, limit: Duration) -> Result<Vec<IpAddr>, DialError> {
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        if let Ok(ip) = bare.parse() {
            return Ok(vec![ip]);
        }
        let name = dns::question(host).map_err(|error| DialError::Name { host: host.to_owned(), error })?;
        let answer = self.resolver.resolve(&name, IpFamily::Any, limit).await;
        if answer.outcome == ErrorCode::Ok {
            Ok(answer.addresses.to_vec())
        } else {
            Err(DialError::Resolve { code: answer.outcome, detail: answer.detail })
        }
    }

    /// Those addresses that the policy allows; an error if that is none.
    fn allowed(&self, addresses: &[IpAddr]) -> Result<Vec<IpAddr>, DialError> {
        let mut forbidden = None;
        let mut allowed = Vec::with_capacity(addresses.len());
        for ip in addresses {
            match self.egress.judge(*ip) {
                Egress::Allowed => allowed.push(*ip),
                Egress::Denied { rule } => {
                    forbidden
                        .get_or_insert_with(|| DialError::Policy { address: *ip, rule: rule.into_owned() });
                }
            }
        }
        match forbidden {
            Some(error) if allowed.is_empty() => Err(error),
            _ => Ok(allowed),
        }
    }

    /// The first connection that stands; the next address joins after a moment, or at once on a failure.
    async fn first_of(&self, addresses: &[IpAddr], port: u16) -> Result<TcpStream, DialError> {
        let mut waiting = addresses.iter().map(|ip| SocketAddr::new(*ip, port)).enumerate();
        let mut race = Race::default();
        let mut failures = Vec::new();
        loop {
            let next = waiting.next();
            let more = next.is_some();
            if let Some((index, address)) = next {
                race.join(index, connect(address));
            } else if race.is_empty() {
                return Err(DialError::Connect(failures));
            }
            // With an address left, a silent one is waited for only a moment; without, until the caller's deadline.
            let result = if more && waiting.len() > 0 {
                match timeout(NEXT_ADDRESS_AFTER, race.next()).await {
                    Ok(result) => result,
                    Err(_) => continue,
                }
            } else {
                race.next().await
            };
            match result {
                (_, Ok(stream)) => return Ok(stream),
                (index, Err(error)) => failures.push((SocketAddr::new(addresses[index], port), error)),
            }
        }
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_nodelay(true)?;
    socket.connect(address).await
}

impl fmt::Debug for Dialler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialler").field("egress", &self.egress).finish_non_exhaustive()
    }
}

struct Unresolved<'a>(ErrorCode, Option<&'a str>);

impl fmt::Display for Unresolved<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(detail) => write!(f, "the name does not resolve ({}): {detail}", self.0),
            None => write!(f, "the name does not resolve ({})", self.0),
        }
    }
}

struct Refusals<'a>(&'a [(SocketAddr, io::Error)]);

impl fmt::Display for Refusals<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (address, error)) in self.0.iter().enumerate() {
            let divider = if n > 0 { "; " } else { "" };
            write!(f, "{divider}{address}: {error}")?;
        }
        Ok(())
    }
}
