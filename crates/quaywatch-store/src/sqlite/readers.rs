//! A few threads that read. What a caller of an account asks may take five seconds, as a statement that runs for ever
//! keeps the write-ahead log from being cut; upkeep may take longer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use quaywatch_core::{BootTime, Clock};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::connection::{self, Use};
use super::directory::Directory;
use super::error::{closed, engine};
use crate::{Result, StoreError};

/// How long one call of an account may read.
const LONGEST: Duration = Duration::from_secs(5);
/// How many steps of the engine's machine pass between two looks at the clock: well under a millisecond.
const STEPS_BETWEEN_LOOKS: i32 = 10_000;

/// Whether a read may go on for as long as it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    FiveSeconds,
    None,
}

type Read = Box<dyn FnOnce(&mut Reader) + Send>;

/// The way to the readers.
#[derive(Debug)]
pub(super) struct Readers {
    // Not bounded here: who asks waits for its answer, and the listener bounds how many ask.
    jobs: Mutex<Option<mpsc::Sender<Read>>>,
}

struct Reader {
    connection: Connection,
    clock: Arc<dyn Clock>,
    /// `BootTime` after which the statement under way is stopped; 0: none.
    deadline: Arc<AtomicU64>,
}

impl Readers {
    pub(super) fn start(directory: &Directory, clock: &Arc<dyn Clock>, threads: usize) -> Result<Self> {
        let (jobs, queue) = mpsc::channel::<Read>();
        let queue = Arc::new(Mutex::new(queue));
        for i in 0..threads {
            let mut reader = Reader::open(directory, Arc::clone(clock))?;
            let queue = Arc::clone(&queue);
            std::thread::Builder::new()
                .name(format!("store-read-{i}"))
                .spawn(move || {
                    // The guard is dropped before the job runs: the others wait only for a job, not for its end.
                    while let Ok(job) = { queue.lock().unwrap_or_else(PoisonError::into_inner).recv() } {
                        job(&mut reader);
                    }
                })
                .map_err(|e| StoreError::Directory(format!("cannot start a reader's thread: {e}")))?;
        }
        Ok(Self { jobs: Mutex::new(Some(jobs)) })
    }

    /// Runs `read` on one state of the data: everything that it sees belongs to the same moment. Queued now.
    pub(super) fn read<T: Send + 'static>(
        &self,
        limit: Limit,
        read: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> impl Future<Output = Result<T>> + Send + 'static {
        let (reply, answer) = oneshot::channel();
        let job: Read = Box::new(move |reader| {
            // Nobody waits any more: do not even begin.
            if !reply.is_closed() {
                let _ = reply.send(reader.run(limit, read));
            }
        });
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        async move { if sent { answer.await.unwrap_or_else(|_| Err(closed())) } else { Err(closed()) } }
    }

    /// Lets the threads end once they are done.
    pub(super) fn close(&self) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Reader {
    fn open(directory: &Directory, clock: Arc<dyn Clock>) -> Result<Self> {
        let mut connection = connection::open(&directory.database(), Use::Reading)?;
        let deadline = Arc::new(AtomicU64::new(0));
        let (limit, watch) = (Arc::clone(&deadline), Arc::clone(&clock));
        let over = move || {
            let limit = limit.load(Ordering::Relaxed);
            limit != 0 && watch.boot() > BootTime(limit)
        };
        connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(over)).map_err(engine)?;
        Ok(Self { connection, clock, deadline })
    }

    fn run<T>(&mut self, limit: Limit, read: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let deadline = match limit {
            Limit::FiveSeconds => (self.clock.boot() + LONGEST).0,
            Limit::None => 0,
        };
        self.deadline.store(deadline, Ordering::Relaxed);
        let tx = self.connection.transaction().map_err(engine)?;
        let value = read(&tx);
        self.deadline.store(0, Ordering::Relaxed);
        tx.finish().map_err(engine)?;
        value
    }
}
