//! What waits for the engine's thread: batches of results, bounded, and messages.
//!
//! Whoever brings a batch never waits. If the engine cannot keep up, good results are dropped first: they say only that
//! nothing changed, and the next one says it again.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use quaywatch_core::judge::Status;
use quaywatch_core::{ChannelId, ErrorCode, MonitorId, ShardId, Timestamp};
use quaywatch_runner::{Batch, Sink};
use quaywatch_store::CommitFailed;
use quaywatch_store::records::EventRecord;
use tokio::sync::oneshot;

use crate::acts::NotNow;
use crate::judging::{Afterword, ChannelNote, Loaded, Refused, Reload, Saying};
use crate::stats::EngineStats;

/// What the engine's thread is told, besides results.
pub(crate) enum Message {
    Load(Box<Loaded>),
    AllLoaded,
    Reload(Box<Reload>, oneshot::Sender<()>),
    Committed(Vec<(ShardId, Result<(), CommitFailed>)>),
    Note(ChannelNote),
    /// Who hears of the server's own faults from now on.
    Operators(Vec<ChannelId>),
    /// With what links begin from now on.
    PublicUrl(Option<String>),
    /// Answered when everything that was judged before it is durable.
    Flush(oneshot::Sender<()>),
    Glimpse(MonitorId, oneshot::Sender<Option<Glimpse>>),
    Survey(Select, oneshot::Sender<Survey>),
    /// A person wants a monitor checked.
    CheckNow(MonitorId, oneshot::Sender<Result<Timestamp, NotNow>>),
    /// A person says something about an open incident; the second answer comes when it is durable.
    Say(Box<Saying>, oneshot::Sender<Result<EventRecord, Refused>>, oneshot::Sender<()>),
    /// The same about one that is over.
    SayAfter(Box<Afterword>, oneshot::Sender<EventRecord>, oneshot::Sender<()>),
    /// No name server answers since then; or, with the second moment, did not until then.
    Resolver(Timestamp, Option<Timestamp>),
    Stop,
}

/// Which monitors a survey is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Select {
    /// The first ones, at most so many.
    First(usize),
    /// Those of this name or id (`m42`).
    Named(String),
    /// These, as far as they are known.
    These(Vec<MonitorId>),
}

/// Monitors as they are at this moment, from memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// Those that were selected.
    pub monitors: Vec<Surveyed>,
    /// How many there are in all.
    pub total: usize,
}

/// One monitor in a [`Survey`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surveyed {
    /// Its number.
    pub id: MonitorId,
    /// Its name.
    pub name: String,
    /// `host:port`.
    pub target: String,
    /// What it is.
    pub status: Status,
    /// What its last check saw; `None` before the first.
    pub last: Option<ErrorCode>,
    /// The slot of that check.
    pub last_at: Option<Timestamp>,
    /// How long it waited for its target's name, in microseconds, rounded up to tenths of a millisecond: 0 where an answer
    /// of before was still valid, `None` where the target is an address.
    pub dns_us: Option<u32>,
    /// Handshake time of the last good check, in microseconds.
    pub last_ok_us: Option<u32>,
    /// When that was.
    pub last_ok_at: Option<Timestamp>,
}

/// What the engine knows of a monitor at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glimpse {
    /// What it is.
    pub status: Status,
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub code: ErrorCode,
    /// The outcomes of its last checks, at most 32, oldest first.
    pub recent: Vec<ErrorCode>,
}

pub(crate) struct Inbox {
    state: Mutex<State>,
    news: Condvar,
    most_results: usize,
    stats: Arc<EngineStats>,
}

#[derive(Default)]
struct State {
    batches: VecDeque<Batch>,
    messages: VecDeque<Message>,
    results: usize,
}

impl Inbox {
    pub(crate) fn new(most_results: usize, stats: Arc<EngineStats>) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), news: Condvar::new(), most_results, stats })
    }

    pub(crate) fn send(&self, message: Message) {
        self.lock().messages.push_back(message);
        self.news.notify_one();
    }

    /// Everything that is there; waits for at most `pause` if nothing is.
    pub(crate) fn take(&self, pause: Duration) -> (VecDeque<Batch>, VecDeque<Message>) {
        let mut state = self.lock();
        if state.batches.is_empty() && state.messages.is_empty() && !pause.is_zero() {
            let waited = self.news.wait_timeout(state, pause);
            state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
        state.results = 0;
        self.stats.queue_depth.set(0);
        (std::mem::take(&mut state.batches), std::mem::take(&mut state.messages))
    }

    fn deliver(&self, mut batch: Batch) {
        let mut state = self.lock();
        let room = self.most_results.saturating_sub(state.results);
        if batch.results.len() > room {
            let before = batch.results.len();
            batch.results.retain(|result| result.code != ErrorCode::Ok);
            // A second bound, in case everything fails at once while the engine stands still.
            batch.results.truncate(room + self.most_results);
            self.stats.dropped_input.add((before - batch.results.len()) as u64);
        }
        state.results += batch.results.len();
        self.stats.queue_depth.set(state.results as i64);
        state.batches.push_back(batch);
        drop(state);
        self.news.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock can leave it half done.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Where the runner puts its batches.
#[derive(Clone)]
pub struct EngineSink(pub(crate) Arc<Inbox>);

impl Sink for EngineSink {
    fn deliver(&mut self, batch: Batch) {
        self.0.deliver(batch);
    }
}

#[cfg(test)]
mod tests {
    use quaywatch_core::{CheckResult, LocationId, ResultFlags};

    use super::*;

    fn batch(codes: &[ErrorCode]) -> Batch {
        let result = |code: &ErrorCode| CheckResult {
            monitor: MonitorId(1),
            slot: Timestamp(0),
            location: LocationId::LOCAL,
            epoch: quaywatch_core::Epoch::default(),
            code: *code,
            flags: ResultFlags::default(),
            syn_retransmits: 0,
            latency_us: None,
            dns_us: 0,
            elapsed_us: 0,
            evidence: None,
        };
        Batch {
            location: LocationId::LOCAL,
            at: Timestamp(0),
            results: codes.iter().map(result).collect(),
            sight: Vec::new(),
        }
    }

    #[test]
    fn good_results_are_dropped_first_and_counted() {
        use ErrorCode::{Ok, TcpRefused};
        let stats = Arc::new(EngineStats::default());
        let inbox = Inbox::new(2, Arc::clone(&stats));
        let mut sink = EngineSink(Arc::clone(&inbox));
        sink.deliver(batch(&[Ok, Ok]));
        sink.deliver(batch(&[Ok, TcpRefused, Ok]));
        assert_eq!((stats.dropped_input.read(), stats.queue_depth.read()), (2, 3));
        let (batches, _) = inbox.take(Duration::ZERO);
        assert_eq!(batches[1].results.len(), 1);
        assert_eq!(batches[1].results[0].code, TcpRefused);
        sink.deliver(batch(&[Ok]));
        assert_eq!(stats.dropped_input.read(), 2, "there is room again");
    }
}
