//! The engine's one thread: takes what waits, judges it, hands steps to the store and notices to delivery, and sleeps
//! until something is due. It never waits for the store, a channel or the network.

use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::{BootTime, Clock, ShardId};
use quaywatch_runner::Sight;
use quaywatch_store::records::BlindChange;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};

use crate::changes::Changes;
use crate::commits::Commits;
use crate::config::Checks;
use crate::delivery::{Order, Orders, ShardStores};
use crate::gaps::Gaps;
use crate::inbox::{Inbox, Message};
use crate::judging::Judging;
use crate::stats::EngineStats;
use crate::steps::Queued;

/// The longest sleep: wall time may be set, and deadlines are wall times.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// How long the last commit may take.
const LAST_COMMIT: Duration = Duration::from_secs(10);

pub(crate) struct Worker {
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) judging: Judging,
    pub(crate) commits: Commits,
    pub(crate) checks: Box<dyn Checks>,
    pub(crate) stores: ShardStores,
    pub(crate) runtime: Handle,
    pub(crate) orders: Orders,
    pub(crate) blind: mpsc::UnboundedSender<BlindChange>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) stats: Arc<EngineStats>,
    /// Changes that are being followed.
    pub(crate) changes: Changes,
    /// Changes that wait until every shard is loaded.
    pub(crate) until_loaded: Vec<Message>,
    /// Who waits for the group that grows, and for the one in flight.
    pub(crate) waiting: Vec<oneshot::Sender<()>>,
    pub(crate) answered_with: Vec<oneshot::Sender<()>>,
    /// Counts the groups that hold changes of intervals.
    pub(crate) transitions: watch::Sender<u64>,
}

impl Worker {
    /// Runs until [`Message::Stop`], and writes what is left.
    pub(crate) fn run(mut self) {
        let mut stopping: Option<BootTime> = None;
        let mut gaps = Gaps::new(self.clock.boot(), self.clock.now());
        loop {
            let pause = self.pause(gaps.holds());
            let (batches, messages) = self.inbox.take(pause);
            let now = self.clock.now();
            gaps.look(self.clock.boot(), now, pause);
            self.judging.tick(now);
            for batch in batches {
                if batch.sight.iter().any(|sight| matches!(sight, Sight::Void { .. })) {
                    gaps.explained();
                }
                self.judging.batch(batch);
                self.judging.tick(self.clock.now());
            }
            for message in messages {
                if self.obey(message) {
                    stopping.get_or_insert(self.clock.boot());
                }
            }
            if let Some(done) = self.changes.follow(&mut self.judging, &*self.checks) {
                self.wait_for(done);
            }
            if !gaps.holds() {
                self.judging.timeouts();
            }
            self.flush_effects();
            self.commit(stopping.is_some());
            let Some(since) = stopping else { continue };
            let done = !self.judging.has_work() && !self.commits.in_flight();
            if done || self.clock.boot().since(since) > LAST_COMMIT {
                return;
            }
        }
    }

    /// How long nothing is due. Deadlines that are held are not.
    fn pause(&mut self, held: bool) -> Duration {
        if self.changes.can_go_on(&mut self.judging) {
            return Duration::ZERO;
        }
        let group = self.commits.due().map(|due| due.since(self.clock.boot()));
        let timeout = self.judging.next_timeout().filter(|_| !held).map(|due| due.since(self.clock.now()));
        group.into_iter().chain(timeout).min().unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP)
    }

    /// Does what a message says; true: stop.
    fn obey(&mut self, message: Message) -> bool {
        match message {
            Message::Load(loaded) => {
                let jobs = self.judging.load(*loaded);
                self.stats.shards_loaded.add(1);
                if !jobs.is_empty() {
                    self.checks.upsert(jobs);
                }
            }
            Message::AllLoaded => {
                self.stats.loaded.set(1);
                tracing::info!(monitors = self.stats.monitors.read(), "every shard is loaded");
                for message in std::mem::take(&mut self.until_loaded) {
                    self.obey(message);
                }
            }
            // A shard that is still to come was perhaps read before the change, perhaps after.
            Message::Reload(..) | Message::CheckNow(..) | Message::Say(..) | Message::SayAfter(..)
                if self.stats.loaded.read() == 0 =>
            {
                self.until_loaded.push(message);
            }
            Message::Reload(reload, done) => self.changes.push(reload, done),
            Message::Committed(answers) => {
                let boot = self.clock.boot();
                let whole = answers.iter().all(|(_, answer)| answer.is_ok());
                let deliver = self.commits.answered(&mut self.judging, answers, boot, &self.stats);
                self.deliver(deliver);
                if self.commits.take_turned() {
                    self.transitions.send_modify(|count| *count += 1);
                }
                let waited = std::mem::take(&mut self.answered_with);
                if whole {
                    for done in waited {
                        // Whoever no longer waits does not need the answer.
                        let _ = done.send(());
                    }
                } else {
                    self.waiting.extend(waited);
                }
            }
            Message::Note(note) => self.judging.channel_note(note),
            Message::Operators(channels) => self.judging.set_operators(channels),
            Message::PublicUrl(url) => self.judging.set_public_url(url.as_deref()),
            Message::Flush(done) => self.wait_for(done),
            Message::Glimpse(id, answer) => {
                let _ = answer.send(self.judging.glimpse(id));
            }
            Message::CheckNow(id, answer) => {
                let may = self.judging.may_check_now(id);
                if may.is_ok() {
                    self.checks.check_now(id);
                }
                let _ = answer.send(may);
            }
            Message::Say(saying, answer, done) => {
                let said = self.judging.say(*saying);
                if said.is_ok() {
                    self.wait_for(done);
                }
                let _ = answer.send(said);
            }
            Message::SayAfter(afterword, answer, done) => {
                let _ = answer.send(self.judging.say_after(*afterword));
                self.wait_for(done);
            }
            Message::Resolver(since, until) => self.judging.tell_resolver(since, until),
            Message::Survey(select, answer) => {
                let _ = answer.send(self.judging.survey(&select));
            }
            Message::Stop => return true,
        }
        false
    }

    fn wait_for(&mut self, done: oneshot::Sender<()>) {
        self.waiting.push(done);
        self.commits.hurry(self.clock.boot());
    }

    fn flush_effects(&mut self) {
        let rechecks = self.judging.take_rechecks();
        if !rechecks.is_empty() {
            self.checks.recheck(rechecks);
        }
        for change in self.judging.take_blind_changes() {
            // Its receiver lives as long as the engine.
            let _ = self.blind.send(change);
        }
        let overdue = self.commits.overdue(&mut self.judging, self.clock.boot(), &self.stats);
        self.deliver(overdue);
    }

    fn deliver(&self, notices: Vec<Queued>) {
        if !notices.is_empty() {
            let _ = self.orders.send(Order::Notices(notices));
        }
    }

    fn commit(&mut self, last: bool) {
        let boot = self.clock.boot();
        self.commits.look(&mut self.judging, boot);
        if last && self.judging.has_work() {
            self.commits.hurry(boot);
        }
        if self.commits.due().is_none_or(|due| due > boot) {
            return;
        }
        let group = self.commits.close(&mut self.judging, boot, last);
        let waiting = std::mem::take(&mut self.waiting);
        if group.is_empty() {
            for done in waiting {
                let _ = done.send(());
            }
            return;
        }
        self.answered_with.extend(waiting);
        // Every step is queued before the first answer is awaited, so that the store can take them together.
        let stores = Arc::clone(&self.stores);
        let inbox = Arc::clone(&self.inbox);
        self.runtime.spawn(async move {
            let answers = group.into_iter().map(|step| {
                let shard = ShardId(step.shard);
                (shard, stores[usize::from(shard.0)].commit(Box::new(step)))
            });
            let answers: Vec<_> = answers.collect();
            let mut known = Vec::with_capacity(answers.len());
            for (shard, answer) in answers {
                known.push((shard, answer.await));
            }
            inbox.send(Message::Committed(known));
        });
    }
}
