//! A server that says again whatever it is told, as many do with a command that they do not know, and remembers it.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Debug)]
pub(crate) struct Parrot {
    pub(crate) address: SocketAddr,
    heard: Arc<Mutex<BTreeSet<String>>>,
}

impl Parrot {
    pub(crate) fn perch() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of this machine");
        let address = listener.local_addr().expect("an address");
        let heard = Arc::<Mutex<BTreeSet<String>>>::default();
        let memory = Arc::clone(&heard);
        // Ends with the process; each check hangs up by itself.
        std::thread::spawn(move || {
            for peer in listener.incoming().flatten() {
                let memory = Arc::clone(&memory);
                std::thread::spawn(move || repeat(peer, &memory));
            }
        });
        Self { address, heard }
    }

    pub(crate) fn has_heard(&self, words: &str) -> bool {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|heard| heard.contains(words))
    }
}

fn repeat(mut peer: TcpStream, memory: &Mutex<BTreeSet<String>>) {
    let mut words = [0; 4_096];
    while let Ok(length) = peer.read(&mut words) {
        if length == 0 || peer.write_all(&words[..length]).is_err() {
            return;
        }
        let said = String::from_utf8_lossy(&words[..length]).into_owned();
        memory.lock().unwrap_or_else(PoisonError::into_inner).insert(said);
    }
}
