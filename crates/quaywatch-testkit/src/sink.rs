//! A place that webhooks are sent to: it keeps what it gets, and fails as told.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use quaywatch_core::{Clock as _, Timestamp};
use socket2::SockRef;

use crate::random::Random;
use crate::wait::{self, RealClock};

/// What the sink does with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Takes it: 204.
    Take,
    /// Answers with this status, e.g. 500.
    Status(u16),
    /// 429 with `Retry-After` in seconds.
    Limited(u32),
    /// A redirect.
    Redirect(String),
    /// Resets the connection before reading.
    ResetBefore,
    /// Reads and keeps the request, then resets: the sender cannot know.
    ResetAfter,
    /// Reads and keeps the request, then says nothing for so long.
    Hang(Duration),
}

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Received {
    /// When its last byte came.
    pub at: Timestamp,
    /// The path.
    pub path: String,
    /// Headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
    /// Whether the sender was told that it was taken.
    pub taken: bool,
}

impl Received {
    /// The delivery key.
    #[must_use]
    pub fn id(&self) -> &str {
        self.headers.get("webhook-id").map_or("", String::as_str)
    }

    /// The body as JSON; null where it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// Decides what happens to the next request.
type Mood = Box<dyn FnMut(&mut Random) -> Answer + Send>;

struct Shared {
    received: Mutex<Vec<Received>>,
    mood: Mutex<(Mood, Random)>,
    stop: AtomicBool,
}

/// The sink; closed when dropped.
pub struct Sink {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sink").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Sink {
    /// A sink that takes everything, on a free port of 127.0.0.1.
    #[must_use]
    pub fn start() -> Self {
        Self::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// A sink that takes everything, at an address, in the namespace of the calling thread.
    ///
    /// # Panics
    /// Where the address is not free.
    #[must_use]
    pub fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).unwrap_or_else(|e| panic!("{address}: {e}"));
        let address = listener.local_addr().expect("bound");
        let shared = Arc::new(Shared {
            received: Mutex::default(),
            mood: Mutex::new((Box::new(|_| Answer::Take), Random::new(1))),
            stop: AtomicBool::new(false),
        });
        let inner = Arc::clone(&shared);
        let until = Arc::clone(&shared);
        let thread =
            accept(listener, move || until.stop.load(Ordering::Relaxed), move |stream| inner.serve(stream));
        Self { address, shared, thread: Some(thread) }
    }

    /// `http://ADDRESS/`
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// From now on every request is dealt with in this way.
    pub fn always(&self, answer: Answer) {
        self.mood(1, move |_| answer.clone());
    }

    /// From now on `decide` says what happens to each request, with randomness from `seed`.
    ///
    /// # Panics
    /// Where a thread of the sink panicked.
    pub fn mood(&self, seed: u64, decide: impl FnMut(&mut Random) -> Answer + Send + 'static) {
        *self.shared.mood.lock().expect("no holder panics") = (Box::new(decide), Random::new(seed));
    }

    /// Everything so far, also what was not taken.
    ///
    /// # Panics
    /// Where a thread of the sink panicked.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().expect("no holder panics").clone()
    }

    /// What was taken, of this type (`incident.opened`), in order.
    #[must_use]
    pub fn taken(&self, kind: &str) -> Vec<Received> {
        self.received().into_iter().filter(|r| r.taken && r.json()["type"] == kind).collect()
    }

    /// Waits for the first request that fits.
    ///
    /// # Panics
    /// After `patience`, with the types of all that came.
    pub fn wait(&self, what: &str, patience: Duration, fits: impl Fn(&Received) -> bool) -> Received {
        wait::poll(patience, || self.received().into_iter().find(&fits)).unwrap_or_else(|| {
            let came: Vec<_> = self.received().iter().map(|r| r.json()["title"].clone()).collect();
            panic!("no {what} within {patience:?}; came: {came:?}")
        })
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) {
        let answer = {
            let mut mood = self.mood.lock().expect("no holder panics");
            let (decide, random) = &mut *mood;
            decide(random)
        };
        if answer == Answer::ResetBefore {
            reset(stream);
            return;
        }
        let _ = stream.set_nonblocking(false);
        let _ = stream.set_read_timeout(Some(Duration::from_secs(30)));
        let Some(mut request) = read_request(&stream) else { return };
        request.taken = answer == Answer::Take;
        self.received.lock().expect("no holder panics").push(request);
        self.answer(stream, &answer);
    }

    fn answer(&self, mut stream: TcpStream, answer: &Answer) {
        let head = match answer {
            Answer::Take => "204 No Content\r\n".to_owned(),
            Answer::Status(status) => format!("{status} As Told\r\n"),
            Answer::Limited(seconds) => format!("429 Too Many\r\nretry-after: {seconds}\r\n"),
            Answer::Redirect(to) => format!("302 Found\r\nlocation: {to}\r\n"),
            Answer::ResetBefore | Answer::ResetAfter => return reset(stream),
            Answer::Hang(length) => {
                let until = RealClock.boot() + *length;
                while RealClock.boot() < until && !self.stop.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(10));
                }
                return;
            }
        };
        let length = if *answer == Answer::Take { "" } else { "content-length: 0\r\n" };
        // The sender may be gone: that is what some tests are about.
        let _ = write!(stream, "HTTP/1.1 {head}{length}connection: close\r\n\r\n");
    }
}

/// Serves each connection on a thread of its own until it is told to stop.
pub(crate) fn accept(
    listener: TcpListener,
    stopped: impl Fn() -> bool + Send + 'static,
    serve: impl Fn(TcpStream) + Send + Sync + 'static,
) -> JoinHandle<()> {
    listener.set_nonblocking(true).expect("a flag");
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        while !stopped() {
            match listener.accept() {
                Ok((stream, _)) => {
                    let serve = Arc::clone(&serve);
                    std::thread::spawn(move || serve(stream));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    })
}

fn reset(stream: TcpStream) {
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    drop(stream);
}

pub(crate) fn read_request(stream: &TcpStream) -> Option<Received> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split_whitespace().nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length: usize = headers.get("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Received { at: RealClock.now(), path, headers, body, taken: false })
}
