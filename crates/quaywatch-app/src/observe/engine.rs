//! What the engine says of itself: judged, decided, written, told.

use std::sync::Arc;

use quaywatch_core::meter::{Counter, Gauge, Histogram};
use quaywatch_engine::EngineStats;

use super::{Family, Reading, Source, Wanted, gauge};

/// Readings of the engine and of delivery.
#[derive(Debug)]
pub struct EngineSource(pub Arc<EngineStats>);

impl Source for EngineSource {
    fn collect(&self, _: &Wanted, families: &mut Vec<Family>) {
        let stats = &*self.0;
        families.extend(COUNTERS.iter().map(|(name, help, of)| {
            let counter: &Counter = of(stats);
            Family::single(name, help, Reading::Counter(counter.read()))
        }));
        families.extend(GAUGES.iter().map(|(name, help, of)| Family::single(name, help, gauge(of(stats)))));
        families.extend(HISTOGRAMS.iter().map(|(name, help, of)| {
            let histogram: &Histogram = of(stats);
            Family::single(name, help, Reading::Histogram(Box::new(histogram.read())))
        }));
        families.push(Family::by(
            "quaywatch_delivery_attempts",
            "Attempts to deliver a notice, by class of outcome.",
            "class",
            stats.attempts.read().map(|(class, count)| (class.as_str().to_owned(), Reading::Counter(count))),
        ));
    }
}

type Of<T> = (&'static str, &'static str, fn(&EngineStats) -> &T);

const COUNTERS: &[Of<Counter>] = &[
    ("quaywatch_judged", "Results judged.", |s| &s.judged),
    ("quaywatch_late_results", "Results that came too late to be judged for alerts.", |s| &s.late),
    ("quaywatch_duplicate_results", "Results that were there already.", |s| &s.duplicates),
    ("quaywatch_stray_results", "Results of monitors that are gone.", |s| &s.strays),
    ("quaywatch_outdated_results", "Results of targets that their monitors no longer have.", |s| &s.outdated),
    ("quaywatch_transitions", "Confirmed changes of status.", |s| &s.transitions),
    ("quaywatch_incidents_opened", "Incidents opened since the start.", |s| &s.incidents_opened),
    ("quaywatch_dropped_input", "Results dropped because the engine's queue was full.", |s| &s.dropped_input),
    ("quaywatch_not_recorded", "Results judged but not recorded.", |s| &s.not_recorded),
    ("quaywatch_evidence_stored", "Evidence rows stored.", |s| &s.evidence_stored),
    ("quaywatch_evidence_repeated", "Failures whose evidence told nothing new.", |s| &s.evidence_repeated),
    ("quaywatch_groups", "Groups of steps handed to the store.", |s| &s.groups),
    ("quaywatch_failed_groups", "Groups of which some step failed.", |s| &s.failed_groups),
    ("quaywatch_lost_steps", "Steps that the store will never take.", |s| &s.lost_steps),
    ("quaywatch_dead_notices", "Notices given up.", |s| &s.dead_notices),
];

const GAUGES: &[Of<Gauge>] = &[
    ("quaywatch_incidents_open", "Incidents open now.", |s| &s.incidents_open),
    ("quaywatch_monitors", "Monitors judged now.", |s| &s.monitors),
    ("quaywatch_engine_queue", "Results that wait to be judged.", |s| &s.queue_depth),
    ("quaywatch_emergency", "1 while notices go out from memory because the store takes nothing.", |s| {
        &s.emergency
    }),
    ("quaywatch_shards_loaded", "Shards loaded so far, of 64.", |s| &s.shards_loaded),
    ("quaywatch_outbox", "Notices not yet delivered.", |s| &s.outbox_depth),
    (
        "quaywatch_oldest_undelivered_seconds",
        "Age of the oldest notice that is not yet delivered. Worth an alarm of its own.",
        |s| &s.oldest_undelivered_s,
    ),
    ("quaywatch_failing_channels", "Channels that do not deliver now.", |s| &s.failing_channels),
];

const HISTOGRAMS: &[Of<Histogram>] = &[
    ("quaywatch_group_seconds", "From handing a group to the store until it was durable.", |s| {
        &s.commit_times
    }),
    ("quaywatch_decision_seconds", "From a deciding result until its decision was durable.", |s| {
        &s.decision_times
    }),
    ("quaywatch_delivery_attempt_seconds", "Time of an attempt to deliver.", |s| &s.attempt_times),
    ("quaywatch_delivery_delay_seconds", "From an event to its delivery.", |s| &s.delivery_delays),
];
