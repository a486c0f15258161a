//! One connection attempt: how its socket is made, and what a look at it tells. Shared by both probers, so that they
//! cannot disagree about what an answer means.

use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nix::errno::Errno;
use quaywatch_core::{ErrorCode, Icmp, Signal};
use socket2::{Domain, Protocol, Socket, Type};

use crate::outcome::{Failure, is_fatal};
use crate::own::OwnAddresses;
use crate::sys::{self, CAN_HALF_OPEN, Facts, QueueReader, State};

/// How the handshake shall end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With our reset instead of the last ACK.
    Reset,
    /// As a connection.
    Connection,
}

impl Ending {
    pub(crate) const fn of(handshake: quaywatch_core::spec::Handshake) -> Self {
        match handshake {
            quaywatch_core::spec::Handshake::HalfOpen if CAN_HALF_OPEN => Self::Reset,
            quaywatch_core::spec::Handshake::HalfOpen | quaywatch_core::spec::Handshake::Full => {
                Self::Connection
            }
        }
    }
}

/// What a look at a connection saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// No answer yet.
    Waiting(Facts),
    /// SYN-ACK.
    Answered(Facts),
    /// It failed; the facts tell whether that was after the SYN-ACK.
    Broken(Failure, Facts),
}

/// What the peer did after the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// Nothing that ends the connection.
    Quiet,
    /// FIN, or RST, or worse.
    Over(Failure),
}

/// Why a socket did not get as far as its SYN.
pub(crate) struct NotStarted {
    pub(crate) errno: Errno,
    /// Kept, so that its error queue can be asked.
    pub(crate) socket: Option<Socket>,
}

impl From<io::Error> for NotStarted {
    fn from(error: io::Error) -> Self {
        Self { errno: errno_of(&error), socket: None }
    }
}

/// Sends the SYN. Mapped addresses are dialled as the IPv4 addresses that they are.
pub(crate) fn begin(
    address: SocketAddr,
    ending: Ending,
    source: Option<IpAddr>,
) -> Result<Socket, NotStarted> {
    let address = SocketAddr::new(address.ip().to_canonical(), address.port()).with_zone_of(address);
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new_raw(Domain::for_address(address), kind, Some(Protocol::TCP))?;
    if ending == Ending::Reset {
        sys::postpone_ack(&socket)?;
        // Set before connect, so that even a killed process resets.
        socket.set_linger(Some(Duration::ZERO))?;
    }
    if address.is_ipv6() {
        sys::want_icmp_v6(&socket)?;
    }
    if let Some(source) = source {
        sys::bind_late(&socket)?;
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    match socket.connect(&address.into()).map_err(|error| errno_of(&error)) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(socket),
        Err(errno) => Err(NotStarted { errno, socket: Some(socket) }),
    }
}

/// Sends the SYN of another half-open check on a socket that [`release`] has made as good as new.
pub(crate) fn begin_again(socket: &Socket, address: SocketAddr) -> Result<(), Errno> {
    sys::postpone_ack(socket).map_err(|error| errno_of(&error))?;
    let address = SocketAddr::new(address.ip().to_canonical(), address.port()).with_zone_of(address);
    match socket.connect(&address.into()).map_err(|error| errno_of(&error)) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Resets an answered half-open check without closing its socket. False: it can only be closed.
pub(crate) fn release(socket: &Socket) -> bool {
    sys::disconnect(socket).is_ok()
}

/// `SocketAddr::new` forgets the zone of a link-local address.
trait WithZone {
    fn with_zone_of(self, original: SocketAddr) -> Self;
}

impl WithZone for SocketAddr {
    fn with_zone_of(self, original: SocketAddr) -> Self {
        if self.is_ipv6() { original } else { self }
    }
}

/// The errno inside an I/O error of a system call.
pub(crate) fn errno_of(error: &io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(0))
}

/// Looks at connections; keeps what looking needs.
pub(crate) struct Looker {
    queue: QueueReader,
    own: OwnAddresses,
}

impl Looker {
    pub(crate) fn new(own: OwnAddresses) -> Self {
        Self { queue: QueueReader::new(), own }
    }

    /// Why a connect failed at once.
    pub(crate) fn why_not_started(&mut self, failed: &NotStarted) -> Failure {
        let queued = failed.socket.as_ref().and_then(|socket| self.ask_queue(socket, |_| true));
        queued.unwrap_or_else(|| Failure::of_errno(failed.errno))
    }

    /// How a connect is getting on. While the SYN is unanswered the error queue is asked only if `told_of_error`:
    /// our own firewall's answer arrives while connect(2) still holds the socket, and then does not end it.
    pub(crate) fn look(&mut self, socket: &Socket, told_of_error: bool) -> Look {
        let facts = match sys::facts(socket) {
            Ok(facts) => facts,
            Err(error) => return Look::Broken(Failure::of_errno(errno_of(&error)), UNKNOWN),
        };
        match facts.state {
            State::Open | State::PeerClosed => Look::Answered(facts),
            State::Dead => Look::Broken(self.why_dead(socket), facts),
            State::Waiting if told_of_error => match self.ask_queue(socket, is_fatal) {
                Some(failure) => Look::Broken(failure, facts),
                None => Look::Waiting(facts),
            },
            State::Waiting => Look::Waiting(facts),
        }
    }

    fn why_dead(&mut self, socket: &Socket) -> Failure {
        if let Some(failure) = self.ask_queue(socket, is_fatal) {
            return failure;
        }
        match socket.take_error() {
            Ok(Some(error)) | Err(error) => Failure::of_errno(errno_of(&error)),
            Ok(None) => Failure::seen(ErrorCode::TcpReset, Signal::Rst),
        }
    }

    fn ask_queue(&mut self, socket: &Socket, wanted: fn(Icmp) -> bool) -> Option<Failure> {
        let entry = self.queue.read(socket, wanted)?;
        Some(Failure::of_icmp(entry.icmp, Some(entry.errno), &mut self.own))
    }
}

/// What is known when the kernel does not even tell the state.
const UNKNOWN: Facts = Facts { state: State::Dead, rtt_us: 0, retransmits: 0, segments_out: 0 };

/// Whether a broken connection was established before: up, to a check that does not look further.
pub(crate) const fn was_answered(failure: &Failure, facts: &Facts) -> bool {
    // A reset in answer to a SYN is ECONNREFUSED; these two exist only after the SYN-ACK.
    facts.rtt_us > 0 || matches!(failure.errno, Some(Errno::ECONNRESET | Errno::EPIPE))
}

/// Whether we are connected to ourselves: a connect to a free local port may get that very port as its own and meet
/// itself (simultaneous open, RFC 9293 section 3.5). Nobody listens there.
pub(crate) fn is_ourselves(socket: &Socket, address: SocketAddr) -> bool {
    let local = socket.local_addr().ok().and_then(|local| local.as_socket());
    local.is_some_and(|local| local.port() == address.port() && local.ip() == address.ip().to_canonical())
}

/// The outcome of a connection to ourselves. Its port may be the very one that the missing service wants to open, so it
/// goes without a TIME_WAIT.
pub(crate) fn ourselves(socket: &Socket) -> Failure {
    let _ = socket.set_linger(Some(Duration::ZERO));
    Failure::local(ErrorCode::TcpRefused)
}

/// The most reads at one look: what a peer sends unasked is a banner, and a flood must not hold the thread.
const MOST_READS: usize = 16;

/// Reads what the peer has sent, for two reasons: its end shows FIN and RST, and closing over unread bytes would
/// send a reset instead of a polite FIN.
pub(crate) fn drain(mut socket: &Socket, scratch: &mut [u8], mut keep: impl FnMut(&[u8])) -> After {
    for _ in 0..MOST_READS {
        match socket.read(scratch) {
            Ok(0) => return After::Over(Failure::seen(ErrorCode::TcpClosedEarly, Signal::Fin)),
            Ok(read) => keep(&scratch[..read]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return After::Quiet,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return After::Over(Failure::of_errno(errno_of(&error))),
        }
    }
    After::Quiet
}
