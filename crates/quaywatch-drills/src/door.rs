//! A port that can be opened and closed again and again and never leaves the drill's hands.
//!
//! A half-open check never reaches the accept queue, so nobody has to accept: one socket, no thread. It is closed by
//! `shutdown`, after which Linux keeps it bound: nobody can take the port in between, and a child that is just being
//! forked and holds a copy of the descriptor keeps nothing open.

use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};

use socket2::{Domain, Socket, Type};

/// Ports of the drills, below those that the kernel gives to clients.
const FIRST: u16 = 10_000;
const COUNT: u16 = 20_000;

#[derive(Debug)]
pub(crate) struct Door {
    socket: Socket,
    address: SocketAddr,
    is_open: bool,
}

impl Door {
    /// An open one on 127.0.0.1.
    pub(crate) fn open() -> Self {
        Self::open_at(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    /// A closed one on 127.0.0.1.
    pub(crate) fn shut() -> Self {
        Self::shut_at(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    /// A closed one at an address of the calling thread's namespace.
    pub(crate) fn shut_at(ip: IpAddr) -> Self {
        let (socket, address) = bind(ip);
        Self { socket, address, is_open: false }
    }

    /// An open one at an address of the calling thread's namespace.
    pub(crate) fn open_at(ip: IpAddr) -> Self {
        let (socket, address) = bind(ip);
        let mut door = Self { socket, address, is_open: false };
        door.set(true);
        door
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) const fn is_open(&self) -> bool {
        self.is_open
    }

    /// Connects are answered, or refused, from now on.
    pub(crate) fn set(&mut self, open: bool) {
        match (self.is_open, open) {
            (false, true) => self.socket.listen(1_024).expect("a bound socket can listen"),
            (true, false) => self.socket.shutdown(Shutdown::Read).expect("a listening socket can stop"),
            (false, false) | (true, true) => {}
        }
        self.is_open = open;
    }
}

/// An address whose port no client can be given: for a server that is started again and again.
pub(crate) fn free_address() -> SocketAddr {
    bind(IpAddr::V4(Ipv4Addr::LOCALHOST)).1
}

fn bind(ip: IpAddr) -> (Socket, SocketAddr) {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes that run drills at the same time begin elsewhere.
    let begin = (std::process::id() % u32::from(COUNT)) as u16;
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let address = SocketAddr::new(ip, FIRST + (begin + step) % COUNT);
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
        if socket.bind(&address.into()).is_ok() {
            return (socket, address);
        }
    }
    panic!("no port of {ip} from {FIRST} on is free")
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "this test is a client of the door")]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn a_door_answers_only_while_it_is_open() {
        let mut door = Door::open();
        for _ in 0..3 {
            assert!(TcpStream::connect(door.address()).is_ok());
            door.set(false);
            assert!(TcpStream::connect(door.address()).is_err());
            assert!(TcpStream::connect(door.address()).is_err(), "nobody else has it");
            door.set(true);
        }
    }
}
