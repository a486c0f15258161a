//! Clients that send a byte now and then and never finish a request, from many addresses; whoever is thrown out comes
//! again. In a thread of its own, bounded: it ends with the run.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use quaywatch_core::Clock as _;
use quaywatch_net::SystemClock;
use quaywatch_net::descriptors::raise_limit;
use socket2::{Domain, Socket, Type};

const CLIENTS: usize = 5_000;
/// Ten from each: far below what one address may have.
const ADDRESSES: usize = 500;
/// Each sends a byte so often.
const EVERY: Duration = Duration::from_secs(1);
/// In so many portions, so that the second is used evenly.
const PORTIONS: usize = 50;

/// What a slow client sends, over and over at its end.
const HEAD: &[u8] = b"GET /api/v1/monitors HTTP/1.1\r\nhost: quay\r\nx-slow: ";

/// The slow clients, at work until they are stopped.
#[derive(Debug)]
pub(super) struct Crowd {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

/// What the crowd did.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    /// Bytes that were taken.
    pub(super) bytes: u64,
    /// Connections beyond the first 5,000.
    pub(super) anew: u64,
}

struct Client {
    socket: Option<Socket>,
    from: Ipv4Addr,
    sent: usize,
}

impl Crowd {
    /// Sends the crowd to `door`.
    ///
    /// # Errors
    /// Where this process may not have so many connections.
    pub(super) fn start(door: SocketAddr) -> io::Result<Self> {
        let wanted = CLIENTS as u64 + 100;
        let limit = raise_limit()?;
        if limit.soft < wanted {
            return Err(io::Error::other(format!("{} descriptors are not {wanted}", limit.soft)));
        }
        let stop = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&stop);
        let thread = std::thread::spawn(move || drip(door, &until));
        Ok(Self { stop, thread })
    }

    /// Sends it home.
    pub(super) fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

fn drip(door: SocketAddr, stop: &AtomicBool) -> Seen {
    let mut clients: Vec<Client> = (0..CLIENTS)
        .map(|n| {
            let n = n % ADDRESSES;
            // Below the addresses that are watched, which begin at 127.1.0.1.
            let from = Ipv4Addr::new(127, 0, (10 + n / 250) as u8, (1 + n % 250) as u8);
            Client { socket: None, from, sent: 0 }
        })
        .collect();
    let mut seen = Seen::default();
    let mut connected = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        for portion in clients.chunks_mut(CLIENTS / PORTIONS) {
            let began = SystemClock.boot();
            for client in portion {
                connected += u64::from(client.come(door));
                seen.bytes += u64::from(client.send());
            }
            std::thread::sleep((EVERY / PORTIONS as u32).saturating_sub(SystemClock.boot().since(began)));
        }
    }
    seen.anew = connected.saturating_sub(CLIENTS as u64);
    seen
}

impl Client {
    /// Connects where it is not connected; says whether it did.
    fn come(&mut self, door: SocketAddr) -> bool {
        if self.socket.is_some() {
            return false;
        }
        self.socket = self.connect(door).ok();
        self.sent = 0;
        self.socket.is_some()
    }

    fn connect(&self, door: SocketAddr) -> io::Result<Socket> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((self.from, 0)).into())?;
        socket.connect_timeout(&door.into(), Duration::from_millis(100))?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    }

    /// One byte; a client whose connection has ended comes again in its next turn.
    fn send(&mut self) -> bool {
        let Some(socket) = &self.socket else { return false };
        let byte = HEAD.get(self.sent).copied().unwrap_or(b'a');
        let taken = socket.send(&[byte]).is_ok();
        self.sent += 1;
        if !taken {
            self.socket = None;
        }
        taken
    }
}
