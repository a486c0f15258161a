//! Whether half-open handshakes work on this system: some sandboxes accept the socket options and ignore them, and
//! then every check would be a connection that the watched program sees. And whether a socket is as good as new after
//! one: kernels before 5.5 keep some of its counts.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::sync::OnceLock;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use crate::socket::{self, Ending};
use crate::sys::{self, CAN_HALF_OPEN, State};

/// One proves little: a sandbox's own timing might hide the connection.
const TRIES: usize = 3;
/// Loopback answers in microseconds.
const ANSWER: Duration = Duration::from_secs(1);
/// By now a completed handshake would have reached the listener.
const ACCEPT: Duration = Duration::from_millis(20);

/// Dials a listener of its own on loopback and sees whether that listener notices. Takes some 60 ms.
#[must_use]
pub fn half_open_works() -> bool {
    CAN_HALF_OPEN && try_all().unwrap_or(false)
}

/// Whether a socket may be used for another half-open check after one that went well. Asked of the kernel once.
pub(crate) fn reuse_works() -> bool {
    static WORKS: OnceLock<bool> = OnceLock::new();
    *WORKS.get_or_init(|| CAN_HALF_OPEN && try_again_on_one_socket().unwrap_or(false))
}

fn try_again_on_one_socket() -> io::Result<bool> {
    let listener = listen()?;
    let address = listener.local_addr()?;
    let failed = |not: socket::NotStarted| io::Error::from(not.errno);
    let socket = socket::begin(address, Ending::Reset, None).map_err(failed)?;
    for _ in 0..TRIES {
        happens(&socket, Interest::WRITABLE, ANSWER)?;
        let facts = sys::facts(&socket)?;
        let as_new = facts.state == State::Open && facts.rtt_us > 0 && facts.segments_out == 1;
        if !as_new || !socket::release(&socket) {
            return Ok(false);
        }
        socket::begin_again(&socket, address)?;
    }
    drop(socket);
    Ok(!happens(&listener, Interest::READABLE, ACCEPT)?)
}

fn listen() -> io::Result<TcpListener> {
    TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .or_else(|_| TcpListener::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, 0))))
}

fn try_all() -> io::Result<bool> {
    let listener = listen()?;
    for _ in 0..TRIES {
        if !answered_and_unnoticed(&listener)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn answered_and_unnoticed(listener: &TcpListener) -> io::Result<bool> {
    let failed = |not: socket::NotStarted| io::Error::from(not.errno);
    let socket = socket::begin(listener.local_addr()?, Ending::Reset, None).map_err(failed)?;
    happens(&socket, Interest::WRITABLE, ANSWER)?;
    let facts = sys::facts(&socket)?;
    drop(socket);
    let noticed = happens(listener, Interest::READABLE, ACCEPT)?;
    Ok(facts.state == State::Open && !facts.ack_is_out() && !noticed)
}

/// Whether the descriptor becomes ready in time.
fn happens(descriptor: &impl AsRawFd, interest: Interest, within: Duration) -> io::Result<bool> {
    let mut poll = Poll::new()?;
    poll.registry().register(&mut SourceFd(&descriptor.as_raw_fd()), Token(0), interest)?;
    let mut events = Events::with_capacity(1);
    poll.poll(&mut events, Some(within))?;
    Ok(!events.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_works_where_the_tests_run() {
        assert!(half_open_works());
        assert!(reuse_works());
    }
}
