//! Ports that behave as told: open, closed, full, rude.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

/// What a port does with a connection.
#[derive(Debug, Clone)]
pub enum Manner {
    /// Accepts and closes.
    Close,
    /// Accepts and resets (SO_LINGER 0).
    Reset,
    /// Accepts, waits, and resets.
    ResetAfter(Duration),
    /// Accepts and says this, then waits for the peer to close.
    Say(Vec<u8>),
    /// Accepts, reads, and answers each piece with this, until the peer closes.
    Answer(Vec<u8>),
    /// Accepts, reads one piece, answers it with this, and closes: as mail and old web servers say goodbye.
    AnswerOnce(Vec<u8>),
    /// Accepts and says this over and over, as fast as it is taken.
    Flood(Vec<u8>),
    /// Accepts and says nothing.
    Silent,
}

/// A listening port in a thread; closed when dropped.
#[derive(Debug)]
pub struct Port {
    /// Where it listens.
    pub address: SocketAddr,
    accepted: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Port {
    /// Listens on a free port of 127.0.0.1.
    #[must_use]
    pub fn open(manner: Manner) -> Self {
        Self::open_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), manner)
    }

    /// Listens at an address (port 0: a free one), in the namespace of the calling thread.
    ///
    /// # Panics
    /// Where the address is not free.
    #[must_use]
    pub fn open_at(address: SocketAddr, manner: Manner) -> Self {
        let listener = listen(address, 1_024);
        Self::serve(listener.into(), manner)
    }

    fn serve(listener: TcpListener, manner: Manner) -> Self {
        let address = listener.local_addr().expect("bound");
        listener.set_nonblocking(true).expect("a flag");
        let (accepted, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, stopped) = (Arc::clone(&accepted), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut held = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => {
                        count.fetch_add(1, Ordering::SeqCst);
                        behave(stream, &manner, &mut held);
                    }
                    Err(_) => std::thread::sleep(Duration::from_millis(1)),
                }
            }
        });
        Self { address, accepted, stop, thread: Some(thread) }
    }

    /// How many connections its program was given.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn behave(mut stream: TcpStream, manner: &Manner, held: &mut Vec<TcpStream>) {
    stream.set_nonblocking(false).expect("a flag");
    match manner {
        Manner::Close => {}
        Manner::Reset => reset(stream),
        Manner::ResetAfter(wait) => {
            let wait = *wait;
            std::thread::spawn(move || {
                std::thread::sleep(wait);
                reset(stream);
            });
        }
        Manner::Silent => held.push(stream),
        Manner::Say(words) => {
            // The peer may be gone already: that is its business.
            let _ = stream.write_all(words);
            std::thread::spawn(move || wait_for_end(&mut stream));
        }
        Manner::AnswerOnce(words) => {
            let words = words.clone();
            std::thread::spawn(move || {
                let mut piece = [0; 4_096];
                if stream.read(&mut piece).is_ok_and(|n| n > 0) {
                    let _ = stream.write_all(&words);
                }
            });
        }
        Manner::Flood(words) => {
            let words = words.clone();
            std::thread::spawn(move || while stream.write_all(&words).is_ok() {});
        }
        Manner::Answer(words) => {
            let words = words.clone();
            std::thread::spawn(move || {
                let mut piece = [0; 4_096];
                while stream.read(&mut piece).is_ok_and(|n| n > 0) && stream.write_all(&words).is_ok() {}
            });
        }
    }
}

fn wait_for_end(stream: &mut TcpStream) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(30)));
    let mut piece = [0; 4_096];
    while stream.read(&mut piece).is_ok_and(|n| n > 0) {}
}

fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("an option");
    drop(stream);
}

fn listen(address: SocketAddr, backlog: i32) -> Socket {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
    socket.set_reuse_address(true).expect("an option");
    socket.bind(&address.into()).unwrap_or_else(|e| panic!("{address}: {e}"));
    socket.listen(backlog).expect("listening");
    socket
}

/// A port that nobody listens on but that nobody else can take either: bound, not listening. Connects are refused.
#[derive(Debug)]
pub struct ClosedPort {
    /// Its address.
    pub address: SocketAddr,
    _socket: Socket,
}

impl ClosedPort {
    /// A closed port of 127.0.0.1.
    #[must_use]
    pub fn new() -> Self {
        Self::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// A closed port at an address.
    ///
    /// # Panics
    /// Where the address is not free.
    #[must_use]
    pub fn at(address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
        socket.set_reuse_address(true).expect("an option");
        socket.bind(&address.into()).unwrap_or_else(|e| panic!("{address}: {e}"));
        let address = socket.local_addr().expect("bound").as_socket().expect("an IP address");
        Self { address, _socket: socket }
    }
}

impl Default for ClosedPort {
    fn default() -> Self {
        Self::new()
    }
}

/// A port whose accept queue is full: further SYNs are dropped by the kernel, so connects hear nothing.
#[derive(Debug)]
pub struct FullPort {
    /// Its address.
    pub address: SocketAddr,
    _listener: Socket,
    _fillers: Vec<Socket>,
}

impl FullPort {
    /// A full port at an address (port 0: a free one).
    ///
    /// # Panics
    /// Where the address is not free.
    #[must_use]
    pub fn at(address: SocketAddr) -> Self {
        let listener = listen(address, 0);
        let address = listener.local_addr().expect("bound").as_socket().expect("an IP address");
        let fillers = (0..4)
            .map(|_| {
                let filler = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
                filler.set_nonblocking(true).expect("a flag");
                // In progress, and some of them for ever.
                let _ = filler.connect(&address.into());
                filler
            })
            .collect();
        // The fillers' handshakes are over within a moment on loopback and veth; what is not is what fills.
        std::thread::sleep(Duration::from_millis(50));
        Self { address, _listener: listener, _fillers: fillers }
    }
}

/// A port that can be opened and closed again and again and belongs to the test all the time: a service that is
/// stopped and started.
#[derive(Debug)]
pub struct Toggle {
    address: SocketAddr,
    state: Option<ToggleState>,
}

#[derive(Debug)]
#[expect(dead_code, reason = "what a state holds is only held: dropping it frees the port")]
enum ToggleState {
    Open(Port),
    Closed(ClosedPort),
}

impl Toggle {
    /// A closed one on a free port of 127.0.0.1.
    #[must_use]
    pub fn new() -> Self {
        Self::at(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    /// A closed one on a free port of an address.
    #[must_use]
    pub fn at(ip: IpAddr) -> Self {
        let closed = ClosedPort::at(SocketAddr::new(ip, 0));
        Self { address: closed.address, state: Some(ToggleState::Closed(closed)) }
    }

    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it is open.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.state, Some(ToggleState::Open(_)))
    }

    /// Opens it.
    pub fn open(&mut self) {
        if !self.is_open() {
            self.state = None;
            self.state = Some(ToggleState::Open(Port::open_at(self.address, Manner::Close)));
        }
    }

    /// Closes it: connects are refused from now on.
    pub fn close(&mut self) {
        if self.is_open() {
            self.state = None;
            self.state = Some(ToggleState::Closed(ClosedPort::at(self.address)));
        }
    }
}

impl Default for Toggle {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "these tests are clients of the ports")]
mod tests {
    use super::*;

    #[test]
    fn a_toggle_answers_only_while_it_is_open() {
        let mut port = Toggle::new();
        assert!(TcpStream::connect(port.address()).is_err());
        port.open();
        assert!(TcpStream::connect(port.address()).is_ok());
        port.close();
        assert!(TcpStream::connect(port.address()).is_err());
    }

    #[test]
    fn a_full_port_says_nothing() {
        let port = FullPort::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let tried = TcpStream::connect_timeout(&port.address, Duration::from_millis(300));
        assert_eq!(tried.map(|_| ()).map_err(|e| e.kind()), Err(std::io::ErrorKind::TimedOut));
    }

    #[test]
    fn a_rude_port_resets() {
        let port = Port::open(Manner::Reset);
        let mut stream = TcpStream::connect(port.address).expect("accepted");
        let read = stream.read(&mut [0; 1]).map_err(|e| e.kind());
        assert_eq!(read, Err(std::io::ErrorKind::ConnectionReset));
        assert_eq!(port.accepted(), 1);
    }
}
