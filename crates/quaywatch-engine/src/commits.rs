//! Between judging and the store: which steps go out together, what their answers mean, and which notices may be
//! delivered because of them. Pure; the thread hands steps over and brings answers back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use quaywatch_core::{BootTime, ShardId, Timestamp};
use quaywatch_store::records::ShardStep;
use quaywatch_store::{CommitFailed, StoreError};

use crate::group::Group;
use crate::judging::Judging;
use crate::stats::EngineStats;
use crate::steps::{self, Queued};

/// A full disk is given one more try (the store has made room by then); after that, notices go out from memory.
const FULL_TRIES: u32 = 2;
/// Any other trouble of the store holds notices back for this long.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a step is tried that the store says it will never take.
const REFUSED_TRIES: u32 = 3;

#[derive(Default)]
pub(crate) struct Commits {
    group: Group,
    /// The notices of the steps in flight.
    in_flight: BTreeMap<u8, Vec<Queued>>,
    /// The steps in flight that hold changes of intervals, by shard.
    turning: BTreeSet<u8>,
    /// Such a step has become durable.
    turned: bool,
    handed_over: BootTime,
    hurried: bool,
    /// Since when the store has taken nothing.
    failing_since: Option<BootTime>,
    refused: BTreeMap<u8, u32>,
    /// Since when notices have gone out from memory.
    emergency: Option<Timestamp>,
}

impl Commits {
    /// Looks what judging has left to write.
    pub(crate) fn look(&mut self, judging: &mut Judging, now: BootTime) {
        if judging.has_work() {
            let hurry = judging.steps().hurry();
            self.group.add(now, hurry);
        }
    }

    /// Somebody waits.
    pub(crate) fn hurry(&mut self, now: BootTime) {
        self.group.add(now, true);
    }

    /// When a group is due.
    pub(crate) fn due(&self) -> Option<BootTime> {
        self.group.due()
    }

    pub(crate) const fn in_flight(&self) -> bool {
        self.group.in_flight()
    }

    /// The steps that go out now; empty if there is nothing to write after all.
    pub(crate) fn close(&mut self, judging: &mut Judging, now: BootTime, last: bool) -> Vec<ShardStep> {
        judging.add_lazy_states(last);
        let at = judging.now();
        self.hurried = judging.steps().hurry();
        let group = judging.steps().take(at);
        self.group.close(now);
        self.handed_over = now;
        self.in_flight = group.iter().map(|step| (step.shard, steps::notices(step, true))).collect();
        self.turning =
            group.iter().filter(|step| !step.intervals.is_empty()).map(|step| step.shard).collect();
        if group.is_empty() {
            self.group.answered(now, false);
        }
        group
    }

    /// The store's answers: what may be delivered now. Failed steps join the next group.
    pub(crate) fn answered(
        &mut self,
        judging: &mut Judging,
        answers: Vec<(ShardId, Result<(), CommitFailed>)>,
        now: BootTime,
        stats: &EngineStats,
    ) -> Vec<Queued> {
        let mut deliver = Vec::new();
        let mut failed = Vec::new();
        for (shard, answer) in answers {
            match answer {
                Ok(()) => {
                    self.refused.remove(&shard.0);
                    self.turned |= self.turning.contains(&shard.0);
                    deliver.extend(self.in_flight.remove(&shard.0).unwrap_or_default());
                }
                Err(failure) => failed.push(failure),
            }
        }
        self.in_flight.clear();
        let took = now.since(self.handed_over);
        stats.commit_times.observe(took);
        stats.groups.inc();
        self.group.answered(now, !failed.is_empty());
        if failed.is_empty() {
            if self.hurried {
                stats.decision_times.observe(took);
            }
            self.failing_since = None;
            self.set_emergency(false, judging, stats);
            return deliver;
        }
        stats.failed_groups.inc();
        for failure in failed {
            deliver.extend(self.put_back(judging, failure, now, stats));
        }
        judging.steps().shed(stats);
        self.look(judging, now);
        deliver
    }

    /// Whether changes of intervals have become durable since this was last asked.
    pub(crate) const fn take_turned(&mut self) -> bool {
        std::mem::replace(&mut self.turned, false)
    }

    /// Notices in flight that have waited too long for a store that does not even answer.
    pub(crate) fn overdue(
        &mut self,
        judging: &mut Judging,
        now: BootTime,
        stats: &EngineStats,
    ) -> Vec<Queued> {
        if !self.group.in_flight() || now.since(self.handed_over) < PATIENCE {
            return Vec::new();
        }
        let stuck: Vec<_> = self.in_flight.values_mut().flatten().filter(|notice| notice.committed).collect();
        if stuck.is_empty() {
            return Vec::new();
        }
        let mut out = Vec::with_capacity(stuck.len());
        for notice in stuck {
            // Should the store answer after all, they are handed over once more, as committed.
            out.push(Queued { committed: false, ..notice.clone() });
        }
        self.set_emergency(true, judging, stats);
        self.handed_over = now;
        out
    }

    fn put_back(
        &mut self,
        judging: &mut Judging,
        failure: CommitFailed,
        now: BootTime,
        stats: &EngineStats,
    ) -> Vec<Queued> {
        let CommitFailed { error, step } = failure;
        let since = *self.failing_since.get_or_insert(now);
        let shard = step.shard;
        if self.group.failures() <= 1 || self.group.failures().is_power_of_two() {
            tracing::error!(shard, %error, "a step could not be written; it joins the next one");
        }
        if matches!(error, StoreError::Fenced { .. }) {
            // Another server owns the shard now, and tells what is to be told.
            stats.lost_steps.inc();
            return Vec::new();
        }
        let notices = || steps::notices(&step, false);
        if !error.is_transient() {
            let tries = self.refused.entry(shard).or_default();
            *tries += 1;
            if *tries >= REFUSED_TRIES {
                self.refused.remove(&shard);
                stats.lost_steps.inc();
                tracing::error!(shard, %error, "a step is given up: the store will never take it");
                return notices();
            }
        }
        let full = matches!(error, StoreError::Full(_)) && self.group.failures() >= FULL_TRIES;
        let emergency = full || now.since(since) >= PATIENCE;
        let out = if emergency { notices() } else { Vec::new() };
        judging.steps().put_back(*step);
        if emergency {
            self.set_emergency(true, judging, stats);
        }
        out
    }

    /// Says once that notices go out from memory, and once that they need not any more.
    fn set_emergency(&mut self, on: bool, judging: &mut Judging, stats: &EngineStats) {
        if self.emergency.is_some() == on {
            return;
        }
        stats.emergency.set(i64::from(on));
        if on {
            tracing::error!("the store takes nothing: decisions go on, and notices go out from memory");
            let since = judging.now();
            self.emergency = Some(since);
            judging.tell_storage(since, None);
        } else if let Some(since) = self.emergency.take() {
            tracing::warn!("the store takes steps again");
            judging.tell_storage(since, Some(judging.now()));
        }
    }
}
