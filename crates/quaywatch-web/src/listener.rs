//! Accepting connections without being hurt by them.
//!
//! `axum::serve` installs no timer, so hyper's header deadline would silently be off; protocol detection has no
//! deadline at all. So the loop is our own and the plain port speaks HTTP/1 only: a connection that sends nothing, or
//! headers byte by byte, or never reads its answer is closed by a deadline, and there are never more than
//! [`Limits::connections`] of them. Checks run on threads of their own, so no client can delay one.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::{Extension, Router};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// How much clients may ask of the listener.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once; further ones wait in the kernel's queue.
    pub connections: usize,
    /// Connections at once from one IPv4 address or IPv6 /64.
    pub connections_per_peer: usize,
    /// For the head of a request to arrive, and so also the limit of an idle connection.
    pub header_read: Duration,
    /// For bytes of an answer to be acknowledged (TCP_USER_TIMEOUT, tcp(7)).
    pub unacknowledged: Duration,
    /// For open requests to finish at shutdown.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1_024,
            connections_per_peer: 256,
            header_read: Duration::from_secs(15),
            unacknowledged: Duration::from_secs(30),
            drain: Duration::from_secs(5),
        }
    }
}

/// Largest head of a request, all headers together.
const MAX_HEAD: usize = 32 << 10;

/// How long to wait after `accept` failed for want of descriptors: spinning would not bring one back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Who asks: the address at the other end of the connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// A bound port that serves a router until it is told to stop.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    limits: Limits,
}

impl Listener {
    /// Binds `address`; the error names it and what to do.
    ///
    /// # Errors
    /// Where the address is in use, not of this machine, or a port below 1024 without the right to it.
    pub async fn bind(address: SocketAddr, limits: Limits) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await.map_err(|e| {
            let remedy = remedy(e.kind());
            io::Error::new(e.kind(), format!("cannot listen on {address}: {e} ({remedy})"))
        })?;
        Ok(Self { socket, limits })
    }

    /// The address that is listened on: with port 0 asked for, the one the kernel chose.
    ///
    /// # Errors
    /// Where the kernel cannot say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until `stop` is cancelled, then lets open requests finish for [`Limits::drain`].
    pub async fn serve(self, router: Router, stop: CancellationToken) {
        let seats = Arc::new(Semaphore::new(self.limits.connections));
        let peers = Arc::new(Peers::default());
        let graceful = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.accept(&seats) => accepted,
            };
            let Some((stream, peer, seat)) = accepted else { continue };
            let Some(place) = peers.enter(peer.ip(), self.limits.connections_per_peer) else { continue };
            if let Err(error) = prepare(&stream, self.limits) {
                tracing::debug!(%peer, %error, "connection lost before it was served");
                continue;
            }
            let service =
                TowerToHyperService::new(router.clone().layer(Extension(Peer(peer.ip().to_canonical()))));
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(self.limits.header_read)
                .max_buf_size(MAX_HEAD)
                .serve_connection(TokioIo::new(stream), service);
            let connection = graceful.watch(connection);
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%peer, %error, "connection ended early");
                }
                drop((seat, place));
            });
        }
        drop(self.socket);
        if tokio::time::timeout(self.limits.drain, graceful.shutdown()).await.is_err() {
            tracing::info!("some connections were still open at shutdown and are cut");
        }
    }

    async fn accept(
        &self,
        seats: &Arc<Semaphore>,
    ) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
        let seat = Arc::clone(seats).acquire_owned().await.ok()?;
        match self.socket.accept().await {
            Ok((stream, peer)) => Some((stream, peer, seat)),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                None
            }
        }
    }
}

/// What to do about an address that cannot be listened on.
fn remedy(kind: io::ErrorKind) -> &'static str {
    if kind == io::ErrorKind::AddrInUse {
        "another program listens there; choose another address with --listen"
    } else if kind == io::ErrorKind::PermissionDenied {
        "ports below 1024 need a privilege; choose another with --listen"
    } else if kind == io::ErrorKind::AddrNotAvailable {
        "this machine has no such address"
    } else {
        "see `server.listen`"
    }
}

fn prepare(stream: &TcpStream, limits: Limits) -> io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(stream).set_tcp_user_timeout(Some(limits.unacknowledged))?;
    #[cfg(not(target_os = "linux"))]
    let _ = limits;
    Ok(())
}

/// Connections by peer, so that one cannot take all seats.
#[derive(Debug, Default)]
struct Peers(Mutex<BTreeMap<IpAddr, usize>>);

impl Peers {
    fn enter(self: &Arc<Self>, peer: IpAddr, most: usize) -> Option<Place> {
        let peer = network_of(peer);
        let mut counts = self.0.lock().expect("no holder of this lock panics");
        let count = counts.entry(peer).or_insert(0);
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Place { peers: Arc::clone(self), peer })
    }
}

/// One connection's place in [`Peers`]; given back when dropped.
#[derive(Debug)]
struct Place {
    peers: Arc<Peers>,
    peer: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.peers.0.lock().expect("no holder of this lock panics");
        if let Some(count) = counts.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.peer);
            }
        }
    }
}

/// Whoever has one IPv6 address has its whole /64.
pub(crate) fn network_of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_takes_no_more_seats_than_it_may_and_gives_them_back() {
        let peers = Arc::new(Peers::default());
        let peer: IpAddr = "2001:db8::1".parse().expect("literal");
        let neighbour: IpAddr = "2001:db8::ffff".parse().expect("literal");
        let first = peers.enter(peer, 2);
        let _second = peers.enter(neighbour, 2);
        assert!(first.is_some() && peers.enter(peer, 2).is_none());
        drop(first);
        assert!(peers.enter(peer, 2).is_some());
        assert!(peers.enter("192.0.2.1".parse().expect("literal"), 1).is_some());
    }

    #[tokio::test]
    async fn a_client_that_says_nothing_is_closed_by_the_header_deadline() {
        use tokio::io::AsyncReadExt as _;
        let limits = Limits { header_read: Duration::from_millis(50), ..Limits::default() };
        let listener = Listener::bind("127.0.0.1:0".parse().expect("literal"), limits).await.expect("bind");
        let address = listener.address().expect("bound");
        let stop = CancellationToken::new();
        let server = tokio::spawn(listener.serve(Router::new(), stop.clone()));
        #[expect(clippy::disallowed_methods, reason = "the test is the client")]
        let mut client = TcpStream::connect(address).await.expect("connect");
        let mut rest = Vec::new();
        // Ends only when the server closes: the test's own deadline is far above the server's.
        tokio::time::timeout(Duration::from_secs(5), client.read_to_end(&mut rest))
            .await
            .expect("closed in time")
            .expect("closed politely");
        stop.cancel();
        server.await.expect("serve ends");
    }
}
