//! Plain connects by the thousand, on threads that do nothing else.
//!
//! A half-open check must be closed within 150 ms of its SYN-ACK (the kernel sends the withheld ACK after some
//! 200 ms), so each thread runs one small loop over epoll: answers first, then deadlines, then a burst of new dials.
//! Dials come in and reports leave in batches; nobody ever waits for anybody.

mod answers;
mod flight;
mod governor;
mod start;
mod wheel;
mod worker;

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use mio::Waker;
use quaywatch_core::Clock;
use quaywatch_core::meter::{Counter, Gauge, Histogram};

use crate::dial::{Dial, Report};
use worker::Worker;

/// How a [`Bulk`] works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkConfig {
    /// One thread carries some tens of thousands of checks a second.
    pub threads: usize,
    /// The most dials in flight, per thread; each holds a descriptor.
    pub max_in_flight: usize,
    /// The most dials that wait for their turn, per thread; further ones come back at once as `self_overload`.
    pub max_waiting: usize,
    /// Source addresses to take turns with, one family's for its targets; none: the kernel's choice. One address has
    /// some 28,000 ports for each destination.
    pub sources: Vec<IpAddr>,
    /// Whether half-open checks use each other's sockets, which costs a third less CPU time. A target that watches its
    /// own checks could then guess the sequence numbers of others': turn it off where targets of strangers, who might
    /// forge answers in each other's names, are looked at side by side.
    pub reuse: bool,
    /// A loop that was away for longer than this (stopped, suspended, starved) no longer calls silence a timeout.
    pub stall_after: Duration,
    /// The longest that a report waits for others to leave with.
    pub batch_after: Duration,
}

impl Default for BulkConfig {
    fn default() -> Self {
        Self {
            threads: 1,
            max_in_flight: 10_000,
            max_waiting: 1 << 20,
            sources: Vec::new(),
            reuse: true,
            stall_after: Duration::from_secs(1),
            batch_after: Duration::from_millis(2),
        }
    }
}

/// What a [`Bulk`] knows of itself, over all its threads.
#[derive(Debug, Default)]
pub struct BulkStats {
    /// Dials under way, each with a descriptor.
    pub in_flight: Gauge,
    /// Dials that wait for their turn.
    pub waiting: Gauge,
    /// The most that may be in flight now; falls when closes come late.
    pub cap: Gauge,
    /// Dials begun.
    pub dials: Counter,
    /// Sockets opened for them.
    pub sockets: Counter,
    /// From the SYN-ACK to our close, of half-open checks whose SYN was not lost.
    pub close_lag: Histogram,
    /// Half-open checks whose handshake was completed because our close came too late.
    pub late_close: Counter,
    /// By how much later than asked a loop woke up, where it did.
    pub loop_lag: Histogram,
    /// How often a loop was away for so long that silence proves nothing.
    pub stalls: Counter,
}

/// Threads that dial. Dropping it ends them; what is in flight then is never reported.
pub struct Bulk {
    threads: Vec<Thread>,
    stats: Arc<BulkStats>,
}

struct Thread {
    inbox: Arc<Inbox>,
    handle: Option<JoinHandle<()>>,
}

/// Where dials wait until their thread fetches them. The lock is held for the copy of a batch at the most.
struct Inbox {
    post: Mutex<Post>,
    waker: Waker,
}

/// What has come in since the thread last looked.
#[derive(Default)]
struct Post {
    dials: Vec<Dial>,
    /// Everything from before `dials` is to be forgotten.
    cancel_all: bool,
    /// Tokens whose dials, from before or in `dials`, are to be forgotten.
    cancel: Vec<u64>,
    stop: bool,
}

impl Bulk {
    /// Starts the threads. Reports go to `deliver`, in batches, from these threads: it must not wait for anything.
    ///
    /// # Errors
    /// If the system gives no epoll instance or no thread.
    pub fn start(
        config: &BulkConfig,
        clock: &Arc<dyn Clock>,
        deliver: impl Fn(Vec<Report>) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let stats = Arc::new(BulkStats::default());
        let deliver: Arc<worker::Deliver> = Arc::new(deliver);
        let mut bulk = Self { threads: Vec::new(), stats: Arc::clone(&stats) };
        for number in 0..config.threads.max(1) {
            let (worker, inbox) =
                Worker::new(config, Arc::clone(clock), Arc::clone(&deliver), Arc::clone(&stats))?;
            let name = format!("probe-{number}");
            let handle = std::thread::Builder::new().name(name).spawn(move || worker.run())?;
            bulk.threads.push(Thread { inbox, handle: Some(handle) });
        }
        Ok(bulk)
    }

    /// Asks for dials. Never blocks; each is answered with one report, unless it is cancelled.
    pub fn submit(&self, dials: Vec<Dial>) {
        if let [thread] = &self.threads[..] {
            return thread.inbox.post(|post| {
                if post.dials.is_empty() {
                    post.dials = dials;
                } else {
                    post.dials.extend_from_slice(&dials);
                }
            });
        }
        for (number, thread) in self.threads.iter().enumerate() {
            let mine = dials.iter().filter(|dial| self.thread_of(dial.token) == number).copied();
            thread.inbox.post(|post| post.dials.extend(mine));
        }
    }

    /// Forgets the dials with these tokens. Those whose reports are already on their way are reported.
    pub fn cancel(&self, tokens: &[u64]) {
        for (number, thread) in self.threads.iter().enumerate() {
            let mine = tokens.iter().copied().filter(|token| self.thread_of(*token) == number);
            thread.inbox.post(|post| post.cancel.extend(mine));
        }
    }

    /// Forgets every dial submitted before. Those whose reports are already on their way are reported.
    pub fn cancel_all(&self) {
        for thread in &self.threads {
            thread.inbox.post(|post| {
                post.dials.clear();
                post.cancel.clear();
                post.cancel_all = true;
            });
        }
    }

    /// What is known of this prober itself.
    #[must_use]
    pub fn stats(&self) -> Arc<BulkStats> {
        Arc::clone(&self.stats)
    }

    /// Which thread has the dials of a token. Tokens often count up in steps, so they are mixed first.
    fn thread_of(&self, token: u64) -> usize {
        let mixed = token.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        usize::try_from(mixed).unwrap_or(0) % self.threads.len()
    }
}

impl Drop for Bulk {
    fn drop(&mut self) {
        for thread in &self.threads {
            thread.inbox.post(|post| post.stop = true);
        }
        for thread in &mut self.threads {
            if let Some(Err(_)) = thread.handle.take().map(JoinHandle::join) {
                tracing::error!("a probe thread panicked");
            }
        }
    }
}

impl Inbox {
    fn post(&self, write: impl FnOnce(&mut Post)) {
        let mut post = self.lock();
        let was_empty = post.is_empty();
        write(&mut post);
        let wake = was_empty && !post.is_empty();
        drop(post);
        if wake && let Err(error) = self.waker.wake() {
            tracing::error!(%error, "a probe thread cannot be woken");
        }
    }

    /// What a panicking thread leaves behind is a vector of dials, whole or not yet extended.
    fn lock(&self) -> MutexGuard<'_, Post> {
        self.post.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Post {
    const fn is_empty(&self) -> bool {
        self.dials.is_empty() && self.cancel.is_empty() && !self.cancel_all && !self.stop
    }
}
