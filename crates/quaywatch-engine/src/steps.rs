//! The steps of all shards, as they grow until their group closes, and how a step that failed joins the next one.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use quaywatch_core::{CheckResult, ShardId, Timestamp};
use quaywatch_store::records::{EventRecord, OutboxWrite, ShardStep};

use crate::stats::EngineStats;

/// The most results that wait for a store that takes nothing: at 16,700 a second, half a minute. About 25 MB.
pub(crate) const MOST_RESULTS: usize = 500_000;

/// A notice on its way from a step to delivery.
#[derive(Debug, Clone)]
pub(crate) struct Queued {
    pub(crate) write: OutboxWrite,
    pub(crate) event: Arc<EventRecord>,
    pub(crate) queued_at: Timestamp,
    /// Attempts so far, where it comes from the store.
    pub(crate) attempts: u32,
    /// False only in the emergency: sent before it is durable.
    pub(crate) committed: bool,
}

pub(crate) struct Steps {
    steps: Vec<ShardStep>,
    results: usize,
    hurry: bool,
    most_results: usize,
}

impl Steps {
    pub(crate) fn new(most_results: usize) -> Self {
        let steps = ShardId::all().map(|shard| ShardStep::new(shard, Timestamp(0))).collect();
        Self { steps, results: 0, hurry: false, most_results }
    }

    /// Records a result.
    pub(crate) fn result(&mut self, result: CheckResult) {
        self.results += 1;
        self.steps[usize::from(result.monitor.shard().0)].results.push(result);
    }

    /// The step of a shard, for a decision: the group will close at once.
    pub(crate) fn decide(&mut self, shard: ShardId) -> &mut ShardStep {
        self.hurry = true;
        &mut self.steps[usize::from(shard.0)]
    }

    /// The step of a shard, for rows that can wait for the group's time.
    pub(crate) fn quietly(&mut self, shard: ShardId) -> &mut ShardStep {
        &mut self.steps[usize::from(shard.0)]
    }

    /// Whether a decision waits.
    pub(crate) const fn hurry(&self) -> bool {
        self.hurry
    }

    /// Acts in the group that grows.
    pub(crate) fn inputs(&self) -> usize {
        self.steps.iter().map(|step| step.inputs.len()).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.results == 0 && self.steps.iter().all(ShardStep::is_empty)
    }

    /// The group: every step that holds something, stamped with `at`.
    pub(crate) fn take(&mut self, at: Timestamp) -> Vec<ShardStep> {
        self.results = 0;
        self.hurry = false;
        let mut group = Vec::new();
        for (shard, step) in ShardId::all().zip(&mut self.steps) {
            if !step.is_empty() {
                let next = ShardStep {
                    results: Vec::with_capacity(step.results.len()),
                    ..ShardStep::new(shard, at)
                };
                let mut step = std::mem::replace(step, next);
                step.at = at;
                group.push(step);
            }
        }
        group
    }

    /// Puts a step that failed before what has come since. Of rows that say how something *is*, the last one stands.
    pub(crate) fn put_back(&mut self, failed: ShardStep) {
        let step = &mut self.steps[usize::from(failed.shard)];
        let mut merged = failed;
        self.results += merged.results.len();
        let ShardStep {
            shard: _,
            at: _,
            results,
            states,
            intervals,
            incidents,
            events,
            acts,
            evidence,
            outbox,
            inputs,
            inbox_acks,
        } = std::mem::take(step);
        merged.results.extend(results);
        merged.states.extend(states);
        merged.intervals.extend(intervals);
        merged.incidents.extend(incidents);
        merged.events.extend(events);
        merged.acts.extend(acts);
        merged.evidence.extend(evidence);
        merged.outbox.extend(outbox);
        merged.inputs.extend(inputs);
        merged.inbox_acks.extend(inbox_acks);
        keep_last(&mut merged.states, |state| state.monitor);
        keep_last(&mut merged.incidents, |incident| incident.id);
        self.hurry |= merged.has_decisions();
        *step = merged;
    }

    /// Drops raw results until no more than the bound are waiting; decisions are never dropped.
    pub(crate) fn shed(&mut self, stats: &EngineStats) {
        while self.results > self.most_results {
            let Some(step) = self.steps.iter_mut().max_by_key(|step| step.results.len()) else { return };
            let excess = (self.results - self.most_results).min(step.results.len());
            step.results.drain(..excess);
            self.results -= excess;
            stats.not_recorded.add(excess as u64);
        }
    }
}

/// Of several rows with one key, the last stays, where it stands.
fn keep_last<T, K: Hash + Eq>(rows: &mut Vec<T>, key: impl Fn(&T) -> K) {
    let mut seen = HashSet::new();
    let mut keep: Vec<bool> = rows.iter().rev().map(|row| seen.insert(key(row))).collect();
    keep.reverse();
    let mut keep = keep.into_iter();
    rows.retain(|_| keep.next().unwrap_or(true));
}

/// The notices that a step queues, each with its event.
pub(crate) fn notices(step: &ShardStep, committed: bool) -> Vec<Queued> {
    // Rows of one event stand together and in the order of the events, so looking on from the last one found looks at
    // each event once.
    let mut at = 0;
    let mut last: Option<Arc<EventRecord>> = None;
    let mut out = Vec::with_capacity(step.outbox.len());
    for write in &step.outbox {
        let is = |event: &EventRecord| event.incident == write.incident && event.sequence == write.sequence;
        if last.as_deref().is_none_or(|event| !is(event)) {
            let (before, after) = step.events.split_at(at);
            let found = after.iter().chain(before).position(is);
            at = found.map_or(at, |offset| (at + offset) % step.events.len());
            last = found.map(|_| Arc::new(step.events[at].clone()));
        }
        if let Some(event) = &last {
            let event = Arc::clone(event);
            out.push(Queued { write: write.clone(), queued_at: event.at, event, attempts: 0, committed });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use quaywatch_core::judge::Status;
    use quaywatch_core::{ErrorCode, LocationId, MonitorId, ResultFlags};
    use quaywatch_store::records::{ActWrite, StateWrite};

    use super::*;

    fn result(monitor: i64, slot: i64) -> CheckResult {
        CheckResult {
            monitor: MonitorId(monitor),
            slot: Timestamp::from_secs(slot),
            location: LocationId::LOCAL,
            epoch: quaywatch_core::Epoch::default(),
            code: ErrorCode::Ok,
            flags: ResultFlags::default(),
            syn_retransmits: 0,
            latency_us: None,
            dns_us: 0,
            elapsed_us: 0,
            evidence: None,
        }
    }

    fn state(monitor: i64, byte: u8) -> StateWrite {
        StateWrite {
            monitor: MonitorId(monitor),
            status: Status::Up,
            since: Timestamp(0),
            code: ErrorCode::Ok,
            state: Some(vec![byte]),
        }
    }

    fn act(sequence: u32) -> ActWrite {
        ActWrite {
            incident: crate::judging::derived_id(Timestamp(1), 1),
            sequence,
            action: "incident.commented",
            monitor: MonitorId(1),
            detail: String::new(),
            author: "user:u3".into(),
        }
    }

    #[test]
    fn a_failed_step_stands_before_what_came_since_and_of_states_the_last_stays() {
        let mut steps = Steps::new(10);
        steps.result(result(1, 1));
        steps.decide(ShardId(1)).states.extend([state(1, 1), state(65, 1)]);
        steps.decide(ShardId(1)).acts.push(act(1));
        let failed = steps.take(Timestamp(1)).remove(0);
        steps.result(result(1, 2));
        steps.decide(ShardId(1)).states.push(state(1, 2));
        steps.decide(ShardId(1)).acts.push(act(2));
        steps.put_back(failed);
        let merged = steps.take(Timestamp(2)).remove(0);
        assert_eq!(merged.results.iter().map(|r| r.slot.secs()).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(merged.states, [state(65, 1), state(1, 2)]);
        assert_eq!(merged.acts, [act(1), act(2)]);
        assert_eq!((merged.shard, merged.at), (1, Timestamp(2)));
        assert!(steps.is_empty());
    }

    #[test]
    fn raw_results_are_shed_first_counted_and_decisions_never() {
        let stats = EngineStats::default();
        let mut steps = Steps::new(3);
        for slot in 0..5 {
            steps.result(result(1, slot));
        }
        steps.decide(ShardId(1)).states.push(state(1, 1));
        steps.shed(&stats);
        let step = steps.take(Timestamp(9)).remove(0);
        assert_eq!(
            step.results.iter().map(|r| r.slot.secs()).collect::<Vec<_>>(),
            [2, 3, 4],
            "the oldest go"
        );
        assert_eq!((stats.not_recorded.read(), step.states.len()), (2, 1));
    }
}
