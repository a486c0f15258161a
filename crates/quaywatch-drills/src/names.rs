//! A name server of the drills' own: every name of `quaywatch.test` has the address 127.0.0.1, for a second. It can
//! fall silent, and speak again.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use quaywatch_testkit::netns::NetNs;

#[derive(Debug)]
pub(crate) struct NameServer {
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct State {
    silent: AtomicBool,
    asked: AtomicU64,
    stop: AtomicBool,
}

impl NameServer {
    /// Listens on port 53 of 127.0.0.1 in a namespace.
    pub(crate) fn start(namespace: &NetNs) -> Self {
        let socket = namespace.enter(|| UdpSocket::bind("127.0.0.1:53").expect("port 53 of a new namespace"));
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("an option");
        let state = Arc::<State>::default();
        let inner = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            let mut packet = [0; 1_500];
            while !inner.stop.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut packet) else { continue };
                inner.asked.fetch_add(1, Ordering::Relaxed);
                if inner.silent.load(Ordering::Relaxed) {
                    continue;
                }
                if let Some(answer) = answer(&packet[..length]) {
                    // Whoever asked may be gone.
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        Self { state, thread: Some(thread) }
    }

    /// Swallows every question from now on, or answers again.
    pub(crate) fn silence(&self, silent: bool) {
        self.state.silent.store(silent, Ordering::Relaxed);
    }

    /// How many questions came.
    pub(crate) fn asked(&self) -> u64 {
        self.state.asked.load(Ordering::Relaxed)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The answer to a question (RFC 1035 section 4): the address where an IPv4 address is asked for, else that there is
/// nothing of that kind.
fn answer(question: &[u8]) -> Option<Vec<u8>> {
    const HEADER: usize = 12;
    const A: [u8; 2] = [0, 1];
    let name = question.get(HEADER..)?;
    // Labels up to the root; then type and class. What follows (EDNS) is left out of the answer.
    let mut end = HEADER;
    while *question.get(end)? != 0 {
        end += 1 + usize::from(question[end]);
    }
    let asked = name.get(..end + 5 - HEADER)?;
    let is_address = asked[asked.len() - 4..asked.len() - 2] == A;
    let mut answer = question.get(..2)?.to_vec();
    // A response, recursion desired and available, no error; one question, one answer or none.
    answer.extend([0x81, 0x80, 0, 1, 0, u8::from(is_address), 0, 0, 0, 0]);
    answer.extend(asked);
    if is_address {
        // The name of the question, A, IN, one second, four bytes.
        answer.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 1]);
    }
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_answered_and_everything_else_has_none() {
        let mut question = vec![7, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2];
        question.extend(b"db\x00\x00\x01\x00\x01");
        let said = answer(&question).expect("an answer");
        assert_eq!(said[..2], [7, 9]);
        assert_eq!(said[said.len() - 4..], [127, 0, 0, 1]);
        let kind = question.len() - 3;
        question[kind] = 28;
        let said = answer(&question).expect("an answer");
        assert_eq!((said[7], said.len()), (0, question.len()));
        assert_eq!(answer(&question[..10]), None);
    }
}
