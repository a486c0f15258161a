//! What the runner says of itself: how punctual it is, what it saw, and what it could not do.

use std::sync::Arc;

use quaywatch_core::ErrorCode;
use quaywatch_core::meter::{Counter, Gauge};
use quaywatch_runner::RunnerStats;

use super::{Family, Reading, Source, Wanted, gauge};

/// Readings of one runner.
#[derive(Debug)]
pub struct RunnerSource(pub Arc<RunnerStats>);

impl Source for RunnerSource {
    fn collect(&self, _: &Wanted, families: &mut Vec<Family>) {
        let stats = &*self.0;
        families.push(Family::single(
            "quaywatch_lateness_seconds",
            "From a check's slot to its first SYN.",
            Reading::Histogram(Box::new(stats.lateness.read())),
        ));
        let by_code = ErrorCode::ALL.iter().filter_map(|code| {
            let count = stats.results_with(*code);
            (count > 0 || *code == ErrorCode::Ok).then(|| (code.as_str().to_owned(), Reading::Counter(count)))
        });
        families.push(Family::by("quaywatch_results", "Results by outcome.", "error_code", by_code));
        families.extend(COUNTERS.iter().map(|(name, help, of)| {
            let counter: &Counter = of(stats);
            Family::single(name, help, Reading::Counter(counter.read()))
        }));
        families.extend(GAUGES.iter().map(|(name, help, of)| Family::single(name, help, gauge(of(stats)))));
    }
}

type Of<T> = (&'static str, &'static str, fn(&RunnerStats) -> &T);

const COUNTERS: &[Of<Counter>] = &[
    ("quaywatch_missed", "Slots that passed without a check.", |s| &s.missed),
    ("quaywatch_overlapped", "Slots that fell while a check of the same monitor ran.", |s| &s.overlapped),
    ("quaywatch_over_budget", "Checks not made because their target had its share.", |s| &s.over_budget),
    ("quaywatch_delayed", "Checks made later than due because their target had its share.", |s| &s.delayed),
    ("quaywatch_shared", "Results that took the observation of an identical check.", |s| &s.shared),
    ("quaywatch_void", "Checks in flight whose result was thrown away: suspend, stall, clock step.", |s| {
        &s.void
    }),
    ("quaywatch_wall_steps", "Times that the wall clock was set.", |s| &s.wall_steps),
    ("quaywatch_stalls", "Times that the schedule was away too long.", |s| &s.stalls),
    ("quaywatch_lost_checks", "Checks that never came back and were given up.", |s| &s.lost),
    ("quaywatch_anchor_looks", "Looks at the anchors before a failure was believed.", |s| &s.anchor_looks),
    ("quaywatch_blamed_on_self", "Failures that the anchors turned into unknown.", |s| &s.blamed_on_us),
    ("quaywatch_batches", "Batches of results handed to the engine.", |s| &s.batches),
];

const GAUGES: &[Of<Gauge>] = &[
    ("quaywatch_scheduled_monitors", "Monitors on the schedule.", |s| &s.monitors),
    ("quaywatch_checks_in_flight", "Checks in flight, dialogues included.", |s| &s.in_flight),
    ("quaywatch_dialogues_in_flight", "Dialogues in flight.", |s| &s.dialogues),
    ("quaywatch_checks_queued", "Checks due that wait for capacity.", |s| &s.queued),
    ("quaywatch_names_resolving", "Names being resolved or waiting for it.", |s| &s.resolving),
    ("quaywatch_failures_held", "Failures that wait for a look at the anchors.", |s| &s.held),
    ("quaywatch_blind", "1 while this place cannot see.", |s| &s.blind),
];
