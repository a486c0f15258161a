//! From committed notices to their receivers: a thin shell around [`lanes::Lanes`], which decides everything.
//!
//! One task owns the lanes; each attempt is a task of its own, so nothing here waits for a receiver. What came of an
//! attempt goes to the recorder, which writes it to the store; if the process dies in between, the notice is sent
//! again under the same key, and the receiver drops it.

pub(crate) mod breaker;
pub(crate) mod ladder;
mod lane;
pub(crate) mod lanes;
#[cfg(test)]
mod lanes_tests;
pub(crate) mod pace;
mod recorder;
mod teller;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::{AccountId, BootTime, ChannelId, Clock, DeliveryKey, Timestamp};
use quaywatch_notify::{Attempt, Channel, Class, Notice, Outcome};
use quaywatch_store::Store;
use quaywatch_store::records::{ChannelRecord, DeliveryState, EventRecord};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::config::ChannelFactory;
use crate::judging::ChannelNote;
use crate::stats::EngineStats;
use crate::steps::Queued;
use lanes::{Effects, Lanes, Try};
use pace::Pace;

pub(crate) use recorder::ShardStores;

/// A channel's own limit is 15 s; one that does not keep to it is cut off here.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(90);
/// How long attempts that are on their way may take when the server stops.
const GRACE: Duration = Duration::from_secs(5);
/// How long a channel waits for a store that could not be read.
const AFTER_READ_FAILED: Duration = Duration::from_secs(5);
/// Gauges are set this often.
const READ_EVERY: Duration = Duration::from_secs(1);

/// What delivery is told.
pub(crate) enum Order {
    /// These notices are to be delivered.
    Notices(Vec<Queued>),
    /// These channels are new or have changed.
    Channels(Vec<ChannelRecord>),
    /// These channels are gone.
    Removed(Vec<ChannelId>),
    /// Nothing more will come.
    Stop,
}

/// Where orders go. Unbounded on purpose: what is in it is in the outbox already, and is as old as that.
pub(crate) type Orders = mpsc::UnboundedSender<Order>;

/// What delivery works with.
pub(crate) struct DeliveryParts {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) factory: ChannelFactory,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) stores: ShardStores,
    pub(crate) stats: Arc<EngineStats>,
    pub(crate) seed: u64,
    /// Hears of channels that fail or recover.
    pub(crate) notes: teller::Notes,
}

/// Starts delivery on the current runtime. It ends after [`Order::Stop`].
pub(crate) fn start(parts: DeliveryParts) -> (Orders, JoinHandle<()>) {
    let (orders, inbox) = mpsc::unbounded_channel();
    (orders, tokio::spawn(run(parts, inbox)))
}

/// An attempt that came to its end.
struct Done {
    key: DeliveryKey,
    outcome: Outcome,
    took: Duration,
}

/// A channel, or why it cannot be used.
#[derive(Clone)]
struct Known {
    account: AccountId,
    channel: Result<Arc<dyn Channel>, String>,
}

impl Known {
    /// Whether nothing about a channel has changed.
    fn is_like(&self, other: &Self) -> bool {
        match (&self.channel, &other.channel) {
            (Ok(old), Ok(new)) => old.print().is_some() && old.print() == new.print(),
            (Err(old), Err(new)) => old == new,
            (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
        }
    }
}

struct Shell {
    parts: DeliveryParts,
    pace: Pace,
    lanes: Lanes,
    channels: BTreeMap<ChannelId, Known>,
    done: mpsc::UnboundedSender<Done>,
    recorder: recorder::Recorder,
    teller: mpsc::UnboundedSender<ChannelNote>,
    read_at: BootTime,
}

async fn run(mut parts: DeliveryParts, mut orders: mpsc::UnboundedReceiver<Order>) {
    let (done, mut finished) = mpsc::unbounded_channel();
    let recorder = recorder::start(parts.stores.clone());
    let notes = std::mem::replace(&mut parts.notes, Box::new(|_| {}));
    let teller = teller::start(Arc::clone(&parts.store), notes);
    let lanes = Lanes::new(parts.seed);
    let pace = Pace::new(parts.clock.now(), parts.clock.boot());
    let (channels, read_at) = (BTreeMap::new(), BootTime(0));
    let mut shell = Shell { parts, pace, lanes, channels, done, recorder, teller, read_at };
    let mut open = true;
    while open {
        let pause = shell.pause();
        tokio::select! {
            order = orders.recv() => open = shell.obey(order.unwrap_or(Order::Stop)),
            Some(end) = finished.recv() => shell.ended(end),
            () = tokio::time::sleep(pause) => {}
        }
        // Whatever else is there belongs to the same look.
        while let Ok(order) = orders.try_recv() {
            open &= shell.obey(order);
        }
        while let Ok(end) = finished.try_recv() {
            shell.ended(end);
        }
        if open {
            shell.poll();
        }
    }
    let rest = async {
        while shell.lanes.in_flight() > 0 {
            let Some(end) = finished.recv().await else { return };
            shell.ended(end);
        }
    };
    if tokio::time::timeout(GRACE, rest).await.is_err() {
        tracing::warn!("stopping while notices are on their way; they are sent again under the same key");
    }
    shell.recorder.finish().await;
}

impl Shell {
    /// How long nothing is due.
    fn pause(&self) -> Duration {
        let now = self.pace.at(self.parts.clock.boot());
        let until = self.lanes.next_due().map_or(READ_EVERY, |due| due.since(now));
        // Never zero: whatever is due is started before this, so a due time in the past is waited for by outcomes.
        until.clamp(Duration::from_millis(1), READ_EVERY)
    }

    /// The even time; whatever comes out of the lanes next is by the wall clock as it stands now.
    fn look(&mut self) -> Timestamp {
        let (wall, boot) = (self.parts.clock.now(), self.parts.clock.boot());
        self.lanes.set_shift(self.pace.shift(wall, boot));
        self.pace.at(boot)
    }

    fn obey(&mut self, order: Order) -> bool {
        let now = self.look();
        let mut effects = Effects::default();
        match order {
            Order::Notices(notices) => {
                for notice in notices {
                    self.lanes.add(notice, now, &mut effects);
                }
            }
            Order::Channels(records) => {
                for record in records {
                    let channel = (self.parts.factory)(&record).inspect_err(|error| {
                        tracing::error!(channel = record.name, error, "a channel cannot be used");
                    });
                    let known = Known { account: record.account, channel };
                    let old = self.channels.insert(record.id, known);
                    if old.is_some_and(|old| old.is_like(&self.channels[&record.id])) {
                        // What waits for a receiver that asked to be left alone goes on waiting.
                        self.lanes.confirmed(record.id);
                    } else {
                        self.lanes.changed(record.id, now);
                    }
                }
            }
            Order::Removed(channels) => {
                // How to reach them is kept: what waits has one more chance.
                for channel in channels {
                    self.lanes.removed(channel, now);
                }
            }
            Order::Stop => return false,
        }
        self.perform(effects);
        true
    }

    fn ended(&mut self, Done { key, outcome, took }: Done) {
        let stats = &self.parts.stats;
        stats.attempts.of(outcome.class).inc();
        stats.attempt_times.observe(took);
        let mut effects = Effects::default();
        let now = self.look();
        self.lanes.done(key, outcome, took, now, &mut effects);
        self.perform(effects);
    }

    fn poll(&mut self) {
        let mut effects = Effects::default();
        let now = self.look();
        self.lanes.poll(now, &mut effects);
        self.perform(effects);
        let boot = self.parts.clock.boot();
        if boot.since(self.read_at) >= READ_EVERY {
            self.read_at = boot;
            self.read();
        }
    }

    fn read(&self) {
        let (depth, oldest) = self.lanes.backlog();
        let stats = &self.parts.stats;
        stats.outbox_depth.set(depth as i64);
        let age = oldest.map_or(0, |at| self.pace.at(self.parts.clock.boot()).since(at).as_secs());
        stats.oldest_undelivered_s.set(i64::try_from(age).unwrap_or(i64::MAX));
        stats.failing_channels.set(self.lanes.failing() as i64);
    }

    fn perform(&mut self, effects: Effects) {
        for attempt in effects.tries {
            self.attempt(attempt);
        }
        for update in &effects.updates {
            match update.state {
                DeliveryState::Queued => {}
                DeliveryState::Sent => {}
                DeliveryState::Dead => {
                    self.parts.stats.dead_notices.inc();
                    tracing::error!(channel = %update.notice.channel, incident = %update.notice.incident,
                        class = update.class, answer = update.answer, "a notice was given up");
                }
            }
        }
        self.recorder.write(effects.updates);
        for note in effects.notes {
            tracing::warn!(channel = %note.channel, class = %note.class, answer = note.answer, waiting = note.waiting,
                "{}", note.kind.as_str());
            // The teller ends only with this sender.
            let _ = self.teller.send(note);
        }
    }

    fn attempt(&self, Try { key, event, happened, attempt }: Try) {
        let known = self.channels.get(&key.channel).cloned();
        let store = Arc::clone(&self.parts.store);
        let clock = Arc::clone(&self.parts.clock);
        let stats = Arc::clone(&self.parts.stats);
        let mut report = Report { key, done: Some(self.done.clone()), started: clock.boot(), clock };
        tokio::spawn(async move {
            let outcome = match known {
                Some(Known { account, channel: Ok(channel) }) => {
                    match recall(event, &*store, account, key).await {
                        Ok(event) => deliver(&*channel, &event, &attempt).await,
                        Err(outcome) => outcome,
                    }
                }
                Some(Known { channel: Err(error), .. }) => Outcome::new(Class::Config, error),
                // By its owner, while we were off: no fault of the receiver, and nobody has to hear of it.
                None => Outcome::new(Class::Expired, "the channel was removed"),
            };
            if outcome.class == Class::Sent {
                stats.delivery_delays.observe(report.clock.now().since(happened));
            }
            report.send(outcome);
        });
    }
}

async fn deliver(channel: &dyn Channel, event: &EventRecord, attempt: &Attempt) -> Outcome {
    let notice = match Notice::from_snapshot(&event.snapshot) {
        Ok(notice) => notice,
        Err(error) => {
            tracing::error!(key = attempt.key, %error, "a stored event cannot be read");
            return Outcome::new(Class::Recipient, "the stored event cannot be read");
        }
    };
    let rendered = channel.render(&notice, attempt);
    tokio::time::timeout(LONGEST_ATTEMPT, channel.deliver(rendered))
        .await
        .unwrap_or_else(|_| Outcome::new(Class::Unknown, "no answer in time"))
}

/// The event, from memory or from the store. The server's own events are in the first account.
async fn recall(
    event: Option<Arc<EventRecord>>,
    store: &dyn Store,
    account: AccountId,
    key: DeliveryKey,
) -> Result<Arc<EventRecord>, Outcome> {
    if let Some(event) = event {
        return Ok(event);
    }
    for account in [account, AccountId::DEFAULT] {
        match store.account(account).events(key.incident).await {
            Ok(events) => {
                if let Some(event) = events.into_iter().find(|event| event.sequence == key.sequence) {
                    return Ok(Arc::new(event));
                }
            }
            // Our own trouble uses up no attempt.
            Err(error) => {
                let retry_after = Some(AFTER_READ_FAILED);
                return Err(Outcome { retry_after, ..Outcome::new(Class::Limited, error.to_string()) });
            }
        }
    }
    Err(Outcome::new(Class::Recipient, "the event is no longer stored"))
}

/// Reports how an attempt ended, also if it panics: a bug in one channel must not stop its queue for ever.
struct Report {
    key: DeliveryKey,
    done: Option<mpsc::UnboundedSender<Done>>,
    started: BootTime,
    clock: Arc<dyn Clock>,
}

impl Report {
    fn send(&mut self, outcome: Outcome) {
        if let Some(done) = self.done.take() {
            let took = self.clock.boot().since(self.started);
            // The receiver is gone only when the server is going, too.
            let _ = done.send(Done { key: self.key, outcome, took });
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        self.send(Outcome::new(Class::Transient, "the attempt was broken off by a bug"));
    }
}
