//! Accepting connections without being hurt by them.
//!
//! `axum::serve` installs no timer, so hyper's header deadline would silently be off; protocol detection has no
//! deadline at all. So the loop is our own and the plain port speaks HTTP/1 only: a connection that sends nothing, or
//! headers byte by byte, or never reads its answer is closed by a deadline, and there are never more than
//! [`Limits::connections`] of them: who waits for nothing gives way to who comes ([`seats`]). Checks run on threads of
//! their own, so no client can delay one.

mod seats;

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::{CONNECTION, RETRY_AFTER};
use axum::http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;

pub(crate) use seats::network_of;
use seats::{Seats, Taken};

/// How much clients may ask of the listener.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once; for a further one another that waits for nothing is closed, or it is turned away.
    pub connections: usize,
    /// Connections at once from one IPv4 address or IPv6 /64; in the same way.
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

/// Connections that the kernel has made and nobody has accepted yet. Beyond, it answers no SYN, and an honest client
/// among a crowd tries again only after a second (RFC 6298); the kernel's own limit is 4,096 (`net.core.somaxconn`).
const BACKLOG: u32 = 1_024;

/// Largest head of a request, all headers together. The buffer of the reader alone is no such bound: a head that arrives in
/// large pieces may be twice as long before it is looked at.
const MAX_HEAD: usize = 32 << 10;

/// An answer of which nothing was taken for so long may be cut off for the sake of others. Longer than any request may
/// take before its answer begins.
const STALLED: Duration = Duration::from_secs(35);

/// For the head of a request that is going to be turned away: just long enough to read it, because a connection that is
/// closed with something unread is reset, and the client never sees why.
const TURNED_AWAY_READ: Duration = Duration::from_secs(2);

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
    #[expect(clippy::unused_async, reason = "it must be called inside the runtime that serves")]
    pub async fn bind(address: SocketAddr, limits: Limits) -> io::Result<Self> {
        let socket = listen(address).map_err(|e| {
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
        let seats = Seats::new(self.limits.connections, self.limits.connections_per_peer);
        let graceful = GracefulShutdown::new();
        // One for all connections: a layer around a router makes every route of it anew.
        let service = TowerToHyperService::new(router);
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.socket.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let taken = Arc::new(seats.take(peer.ip()));
            if let Err(error) = prepare(&stream, self.limits) {
                tracing::debug!(%peer, %error, "connection lost before it was served");
                continue;
            }
            let turned_away = taken.seat.is_turned_away();
            let from = Peer(peer.ip().to_canonical());
            let (service, asked) = (service.clone(), Arc::clone(&taken));
            let service = service_fn(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(from);
                let (service, asking) = (service.clone(), asked.asks());
                async move {
                    let response = if turned_away {
                        no_seat()
                    } else if head_of(&request) > MAX_HEAD {
                        too_large_a_head()
                    } else {
                        service.call(request).await?
                    };
                    Ok::<_, Infallible>(response.map(|body| asking.answer(body)))
                }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(if turned_away { TURNED_AWAY_READ } else { self.limits.header_read })
                .max_buf_size(MAX_HEAD)
                .serve_connection(TokioIo::new(stream), service);
            let connection = graceful.watch(connection);
            tokio::spawn(async move {
                tokio::select! {
                    ended = connection => if let Err(error) = ended {
                        tracing::debug!(%peer, %error, "connection ended early");
                    },
                    () = taken.seat.leave.cancelled() => tracing::debug!(%peer, "connection gave way to another"),
                    never = watch(&taken) => match never {},
                }
            });
        }
        drop(self.socket);
        if tokio::time::timeout(self.limits.drain, graceful.shutdown()).await.is_err() {
            tracing::info!("some connections were still open at shutdown and are cut");
        }
    }
}

/// A port is taken over from a server that has just ended, as programs that serve do.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Marks a connection whose answer is not taken. Never ends.
async fn watch(taken: &Taken) -> Infallible {
    loop {
        let before = taken.busy_since();
        tokio::time::sleep(STALLED).await;
        if let Some(since) = before.filter(|_| before == taken.busy_since()) {
            taken.stalls(since);
        }
    }
}

/// What somebody hears for whom there is no seat.
fn no_seat() -> Response<Body> {
    let mut response = Response::new(Body::from("too many connections; come again in a second\n"));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// How long the head of a request was, as it is usually written.
fn head_of<B>(request: &Request<B>) -> usize {
    let target = request.uri().path_and_query().map_or(1, |target| target.as_str().len());
    let line = request.method().as_str().len() + target + "  HTTP/1.1\r\n\r\n".len();
    let fields = request.headers().iter();
    line + fields.map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len()).sum::<usize>()
}

fn too_large_a_head() -> Response<Body> {
    let text = format!("the head of the request is larger than {} KiB\n", MAX_HEAD >> 10);
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::task::JoinHandle;

    use super::*;

    /// Tests take this long only where they fail.
    const PATIENCE: Duration = Duration::from_secs(20);

    struct Server {
        address: SocketAddr,
        stop: CancellationToken,
        task: JoinHandle<()>,
    }

    impl Server {
        async fn start(limits: Limits, router: Router) -> Self {
            let any = "127.0.0.1:0".parse().expect("literal");
            let listener = Listener::bind(any, limits).await.expect("bind");
            let address = listener.address().expect("bound");
            let stop = CancellationToken::new();
            let task = tokio::spawn(listener.serve(router, stop.clone()));
            Self { address, stop, task }
        }

        /// A connection from one of this machine's own addresses.
        async fn connect(&self, from: [u8; 4]) -> TcpStream {
            let socket = TcpSocket::new_v4().expect("a socket");
            socket.bind((from, 0).into()).expect("all of 127.0.0.0/8 is ours");
            let connected = tokio::time::timeout(PATIENCE, socket.connect(self.address)).await;
            connected.expect("accepted in time").expect("accepted")
        }

        /// Asks as an honest client does, and returns all of the answer.
        async fn ask(&self, from: [u8; 4]) -> String {
            let mut client = self.connect(from).await;
            client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.expect("sent");
            all(&mut client).await
        }

        async fn stop(self) {
            self.stop.cancel();
            self.task.await.expect("serve ends");
        }
    }

    /// Everything until the server closes, politely and in time.
    async fn all(client: &mut TcpStream) -> String {
        let mut text = String::new();
        let read = tokio::time::timeout(PATIENCE, client.read_to_string(&mut text)).await;
        read.expect("closed in time").expect("closed politely");
        text
    }

    fn pleasant() -> Router {
        Router::new().route("/", axum::routing::get(|| async { "well" }))
    }

    #[tokio::test]
    async fn a_client_that_says_nothing_is_closed_by_the_header_deadline() {
        let limits = Limits { header_read: Duration::from_millis(50), ..Limits::default() };
        let server = Server::start(limits, Router::new()).await;
        let mut client = server.connect([127, 0, 0, 1]).await;
        assert_eq!(all(&mut client).await, "");
        server.stop().await;
    }

    #[tokio::test]
    async fn a_head_ends_at_its_limit_however_it_arrives() {
        let server = Server::start(Limits::default(), pleasant()).await;
        for (length, status) in [(31 << 10, "200"), (33 << 10, "431"), (48 << 10, "431"), (80 << 10, "431")] {
            let mut client = server.connect([127, 0, 0, 1]).await;
            let much = "x".repeat(length);
            let head = format!("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-much: {much}\r\n\r\n");
            // The server may have answered, and closed, before all of it is sent.
            let _ = client.write_all(head.as_bytes()).await;
            let mut begin = [0; 12];
            let read = tokio::time::timeout(PATIENCE, client.read_exact(&mut begin)).await;
            read.expect("answered in time").expect("answered");
            assert_eq!(&begin[9..], status.as_bytes(), "{length}");
        }
        server.stop().await;
    }

    #[tokio::test]
    async fn who_waits_for_nothing_gives_way_to_who_asks() {
        let server = Server::start(Limits::default(), pleasant()).await;
        let mut idle = Vec::new();
        for n in 0..330_usize {
            let mut client = server.connect([127, 0, 0, 1]).await;
            if n.is_multiple_of(2) {
                client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
                let mut some = [0; 64];
                assert!(client.read(&mut some).await.expect("answered") > 0);
            }
            idle.push(client);
        }
        let answer = server.ask([127, 0, 0, 1]).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("well"), "{answer}");
        server.stop().await;
    }

    #[tokio::test]
    async fn who_finds_everybody_at_work_is_turned_away_with_words() {
        let work = Arc::new(tokio::sync::Notify::new());
        let (begun, mut begins) = tokio::sync::mpsc::unbounded_channel();
        let handler = {
            let work = Arc::clone(&work);
            move || async move {
                begun.send(()).expect("the test waits");
                work.notified().await;
                "well"
            }
        };
        let limits = Limits { connections: 3, connections_per_peer: 2, ..Limits::default() };
        let server = Server::start(limits, Router::new().route("/", axum::routing::get(handler))).await;
        let mut workers = Vec::new();
        for _ in 0..2 {
            let mut client = server.connect([127, 0, 0, 1]).await;
            client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.expect("sent");
            begins.recv().await.expect("it is at work");
            workers.push(client);
        }
        let refused = server.ask([127, 0, 0, 1]).await;
        assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
        assert!(
            refused.contains("retry-after: 1\r\n") && refused.contains("connection: close\r\n"),
            "{refused}"
        );
        // Another address has a seat of its own.
        let mut other = server.connect([127, 0, 0, 2]).await;
        other.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.expect("sent");
        begins.recv().await.expect("it is at work");
        assert!(server.ask([127, 0, 0, 3]).await.starts_with("HTTP/1.1 503 "), "now all are taken");
        work.notify_waiters();
        for mut client in workers.into_iter().chain([other]) {
            assert!(all(&mut client).await.ends_with("well"));
        }
        server.stop().await;
    }

    /// Thousands of clients that send their request byte by byte, or nothing at all.
    async fn besieged(from: impl Fn(u32) -> [u8; 4]) {
        let server = Server::start(Limits::default(), pleasant()).await;
        let mut slow = Vec::new();
        for n in 0..5_000 {
            let mut client = server.connect(from(n)).await;
            // Some are cut off by then.
            let _ = client.write_all(b"GET / HT").await;
            slow.push(client);
            if n % 500 == 0 {
                let answer = server.ask([127, 9, 9, 9]).await;
                assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "among {n}: {answer}");
            }
        }
        for _ in 0..20 {
            assert!(server.ask([127, 9, 9, 9]).await.starts_with("HTTP/1.1 200 OK\r\n"));
        }
        server.stop().await;
    }

    #[tokio::test]
    async fn an_honest_client_is_served_while_thousands_of_slow_ones_of_one_address_hold_on() {
        besieged(|_| [127, 0, 0, 2]).await;
    }

    #[tokio::test]
    async fn an_honest_client_is_served_while_thousands_of_slow_ones_of_many_addresses_hold_on() {
        besieged(|n| [127, 1, (n / 250) as u8, 1 + (n % 250) as u8]).await;
    }
}
