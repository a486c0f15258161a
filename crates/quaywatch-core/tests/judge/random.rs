//! Random sequences: the judge against the model, and what must hold of any sequence.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use quaywatch_core::judge::{Command, Input, Judge, Policy, Status};
use quaywatch_core::{ErrorCode, LocationId, Verdict};

use crate::kit::{secs, show};
use crate::model::{Model, Secs};

/// One step of a sequence.
#[derive(Debug, Clone)]
enum Step {
    /// Time passes; the shell looks at deadlines (or is too busy to).
    Wait { secs: u8, tick: bool },
    /// A check from location `at`, begun `took` seconds ago.
    Check { at: u8, kind: u8, took: u8 },
    /// Anything else.
    Act(u8),
}

const CODES: [(ErrorCode, Option<u32>); 9] = [
    (ErrorCode::Ok, Some(300)),
    (ErrorCode::Ok, Some(900_000)),
    (ErrorCode::AddressPartial, Some(300)),
    (ErrorCode::TcpRefused, None),
    (ErrorCode::TcpTimeout, None),
    (ErrorCode::TcpReset, None),
    (ErrorCode::SelfNetwork, None),
    (ErrorCode::SelfDns, None),
    (ErrorCode::PolicyBlocked, None),
];

fn policies() -> impl Strategy<Value = Policy> {
    let counts = (1..=3_u16, 1..=3_u16, 1..=3_u16);
    let quorum = prop::sample::select(vec![None, Some(1), Some(2), Some(7)]);
    let flaps = (prop::sample::select(vec![0_u16, 1, 2, 3, 6, 9]), 20..200_u64, 10..80_u64);
    (counts, quorum, flaps, any::<bool>(), 1..=10_u64).prop_map(|(counts, quorum, flaps, alert, timeout)| {
        Policy {
            check_interval: Duration::from_secs(10),
            timeout: Duration::from_secs(timeout),
            dns_timeout: Duration::from_secs(2),
            retry_interval: Duration::from_secs(3),
            failures: counts.0,
            successes: counts.1,
            threshold_us: Some(500_000),
            locations: (0..counts.2).map(LocationId).collect(),
            quorum,
            flap_changes: flaps.0,
            flap_window: Duration::from_secs(flaps.1),
            flap_hold: Duration::from_secs(flaps.2),
            alert_before_first_success: alert,
        }
    })
}

/// A stretch in which much the same happens: long enough for things to be confirmed.
fn stretches(acts: bool) -> impl Strategy<Value = Vec<Step>> {
    let wait = (1..8_u8, any::<bool>()).prop_map(|(secs, tick)| Step::Wait { secs, tick });
    let silence = (1..60_u8, any::<bool>()).prop_map(|(secs, tick)| vec![Step::Wait { secs, tick }]);
    let moods = prop::sample::select(vec![
        vec![0],
        vec![1],
        vec![3],
        vec![8],
        vec![6, 7],
        vec![0, 3],
        vec![3, 4, 5],
        vec![1, 2],
        vec![1, 3],
        vec![6, 3],
        vec![0, 1, 2, 3, 4, 5, 6, 7, 8],
    ]);
    let checks = moods.prop_flat_map(move |kinds| {
        let check = (0..3_u8, prop::sample::select(kinds), 0..4_u8)
            .prop_map(|(at, kind, took)| Step::Check { at, kind, took });
        prop::collection::vec(prop_oneof![3 => check, 1 => wait.clone()], 1..12)
    });
    let act = (0..if acts { 13_u8 } else { 1 }).prop_map(|act| vec![Step::Act(act)]);
    prop_oneof![6 => checks, 1 => silence, if acts { 2 } else { 0 } => act]
}

fn sequences(acts: bool) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(stretches(acts), 1..14).prop_map(|stretches| stretches.concat())
}

/// What a step comes to at `now`: an input, or only the time.
fn input_of(step: &Step, policy: &Policy, now: &mut Secs) -> Option<Option<Input>> {
    match *step {
        Step::Wait { secs, tick } => {
            *now += Secs::from(secs);
            tick.then_some(None)
        }
        Step::Check { at, kind, took } => {
            *now += 1;
            let (code, latency_us) = CODES[usize::from(kind)];
            let location = policy.locations[usize::from(at) % policy.locations.len()];
            Some(Some(Input::Observed { location, slot: secs(*now - Secs::from(took)), code, latency_us }))
        }
        Step::Act(act) => {
            let location = LocationId(u16::from(act) % 3);
            let input = match act {
                0 => Input::Paused,
                1 => Input::Resumed,
                2 => Input::Revised { reset: true },
                3 => Input::Revised { reset: false },
                4 => Input::MaintenanceStarted,
                5 => Input::MaintenanceEnded,
                6..=8 => Input::LocationLost { location, code: ErrorCode::AgentOffline },
                9 | 10 => Input::LocationBack { location },
                11 => {
                    let gap = *now % 60;
                    *now += gap;
                    Input::Restarted { gap: Duration::from_secs(gap as u64) }
                }
                _ => Input::Removed,
            };
            Some(Some(input))
        }
    }
}

/// The same sequence for the same `name` on every machine; failing cases are shrunk and shown.
fn check<S: Strategy>(
    name: &str,
    cases: u32,
    strategy: &S,
    test: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let mut seed = [0_u8; 32];
    for (to, from) in seed.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    if let Err(error) = runner.run(strategy, test) {
        panic!("{name}: {error}");
    }
}

fn start() -> Secs {
    1_000
}

/// Plays a whole sequence; `between` sees the judge after each step.
fn run(
    policy: &Policy,
    steps: &[Step],
    mut between: impl FnMut(&mut Judge, Option<&Input>, Secs, &[Command]),
) -> Vec<Command> {
    let mut judge = Judge::new(secs(start()));
    let mut now = start();
    let mut all = Vec::new();
    for step in steps {
        let Some(input) = input_of(step, policy, &mut now) else { continue };
        let mut out = Vec::new();
        match input {
            Some(input) => judge.handle(policy, input, secs(now), &mut out),
            None => judge.handle_timeout(policy, secs(now), &mut out),
        }
        between(&mut judge, input.as_ref(), now, &out);
        all.extend(out);
    }
    all
}

#[test]
fn the_judge_and_the_model_tell_the_same() {
    check("judge = model", 3_000, &(policies(), sequences(true)), |(policy, steps)| {
        let mut judge = Judge::new(secs(start()));
        let mut model = Model::new(&policy, start());
        let mut now = start();
        let mut told = Vec::new();
        for (index, step) in steps.iter().enumerate() {
            let Some(input) = input_of(step, &policy, &mut now) else { continue };
            let mut out = Vec::new();
            let wanted = match &input {
                Some(input) => {
                    judge.handle(&policy, *input, secs(now), &mut out);
                    model.handle(input, now)
                }
                None => {
                    judge.handle_timeout(&policy, secs(now), &mut out);
                    model.tick(now)
                }
            };
            told.extend(out.iter().map(|c| format!("{now}: {}", show(c))));
            prop_assert_eq!(
                out.iter().map(show).collect::<Vec<_>>(),
                wanted.iter().map(show).collect::<Vec<_>>(),
                "step {} at {}: {:?}\ntold until then: {:#?}",
                index,
                now,
                input,
                told
            );
            prop_assert_eq!(&out, &wanted);
            prop_assert_eq!(judge.status(), model.status());
        }
        Ok(())
    });
}

/// Follows commands as the engine does, and complains about any that does not fit.
#[derive(Default)]
struct Ledger {
    status: Option<Status>,
    since: i64,
    open_interval: Option<(i64, Status)>,
    last_boundary: Option<i64>,
    open: Option<u32>,
    flapping: bool,
    last_ordinal: u32,
    closed: BTreeSet<u32>,
}

impl Ledger {
    fn take(&mut self, command: &Command) -> Result<(), TestCaseError> {
        match *command {
            Command::Changed { from, to, since, .. } => {
                prop_assert_eq!(from, self.status.unwrap_or(Status::Pending));
                prop_assert!(from != to);
                self.status = Some(to);
                self.since = since.micros();
            }
            Command::IntervalOpened { from, status, .. } => {
                prop_assert!(self.open_interval.is_none(), "at most one is open");
                prop_assert!(
                    self.last_boundary.is_none_or(|last| last <= from.micros()),
                    "none overlaps another"
                );
                prop_assert_eq!(from.micros() % 1_000, 0);
                self.open_interval = Some((from.micros(), status));
                self.last_boundary = Some(from.micros());
            }
            Command::IntervalClosed { to } => {
                let open = self.open_interval.take();
                prop_assert!(open.is_some_and(|(from, _)| from <= to.micros()), "closed after it was opened");
                self.last_boundary = Some(to.micros());
            }
            Command::IncidentOpened { ordinal, .. } => {
                prop_assert_eq!(self.open, None, "never two at once");
                prop_assert_eq!(ordinal, self.last_ordinal + 1);
                (self.open, self.last_ordinal, self.flapping) = (Some(ordinal), ordinal, false);
            }
            Command::IncidentUpdated { ordinal, .. } => {
                prop_assert_eq!(self.open, Some(ordinal));
                prop_assert!(!self.flapping, "single changes are not told");
            }
            Command::IncidentFlapping { ordinal, .. } => {
                prop_assert_eq!(self.open, Some(ordinal));
                prop_assert!(!self.flapping, "told once");
                self.flapping = true;
            }
            Command::IncidentSteady { ordinal, status, .. } => {
                prop_assert_eq!(self.open, Some(ordinal));
                prop_assert!(self.flapping && status != Status::Up);
                self.flapping = false;
            }
            Command::IncidentClosed { ordinal, .. } => {
                prop_assert_eq!(self.open.take(), Some(ordinal));
                prop_assert!(self.closed.insert(ordinal), "closed at most once");
            }
            Command::Recheck { .. } => {}
        }
        Ok(())
    }

    fn agrees_with(&self, judge: &Judge) -> Result<(), TestCaseError> {
        prop_assert_eq!(judge.status(), self.status.unwrap_or(Status::Pending));
        prop_assert_eq!(judge.open_incident(), self.open);
        prop_assert_eq!(judge.last_ordinal(), self.last_ordinal);
        prop_assert_eq!(judge.is_flapping(), self.flapping && self.open.is_some());
        if self.status.is_some() {
            prop_assert_eq!(judge.since().micros(), self.since);
        }
        match (judge.status(), self.open_interval) {
            // Of these one kind has an interval and the other has none.
            (Status::Pending | Status::Unknown, None) => {}
            (Status::Up, open) => prop_assert_eq!(open, None),
            (status, open) => prop_assert_eq!(open.map(|(_, status)| status), Some(status)),
        }
        Ok(())
    }
}

#[test]
fn incidents_and_intervals_are_well_formed() {
    check("well-formed", 3_000, &(policies(), sequences(true)), |(policy, steps)| {
        let mut ledger = Ledger::default();
        let mut failed = Ok(());
        run(&policy, &steps, |judge, _, _, out| {
            if failed.is_ok() {
                failed = out.iter().try_for_each(|c| ledger.take(c)).and_then(|()| ledger.agrees_with(judge));
            }
        });
        failed
    });
}

#[test]
fn revisions_at_any_point_keep_everything_well_formed() {
    check("revisions", 2_000, &(policies(), policies(), sequences(true)), |(policy, other, steps)| {
        let policies = [policy, other];
        let (mut judge, mut ledger, mut now, mut which) =
            (Judge::new(secs(start())), Ledger::default(), start(), 0);
        for step in &steps {
            if matches!(step, Step::Act(act) if act % 2 == 1) {
                which = 1 - which;
                let mut out = Vec::new();
                judge.handle(&policies[which], Input::Revised { reset: false }, secs(now), &mut out);
                out.iter().try_for_each(|c| ledger.take(c))?;
            }
            let Some(input) = input_of(step, &policies[which], &mut now) else { continue };
            let mut out = Vec::new();
            match input {
                Some(input) => judge.handle(&policies[which], input, secs(now), &mut out),
                None => judge.handle_timeout(&policies[which], secs(now), &mut out),
            }
            out.iter().try_for_each(|c| ledger.take(c))?;
            ledger.agrees_with(&judge)?;
        }
        Ok(())
    });
}

#[test]
fn nothing_happens_before_the_next_deadline_and_something_is_done_at_it() {
    check("deadlines", 1_000, &(policies(), sequences(true)), |(policy, steps)| {
        let mut failed = Ok(());
        run(&policy, &steps, |judge, _, now, _| {
            let Some(due) = judge.next_deadline(&policy) else { return };
            let mut out = Vec::new();
            let mut early = judge.clone();
            early.handle_timeout(&policy, due - Duration::from_millis(1), &mut out);
            let mut on_time = early.clone();
            if failed.is_ok() && (!out.is_empty() || early != *judge) {
                failed = Err(TestCaseError::fail(format!("at {now}: {out:?} before {due}")));
            }
            on_time.handle_timeout(&policy, due, &mut out);
            if failed.is_ok() && on_time.next_deadline(&policy).is_some_and(|next| next <= due) {
                failed = Err(TestCaseError::fail(format!("at {now}: still due at {due}")));
            }
        });
        failed
    });
}

#[test]
fn the_sequences_reach_what_they_are_about() {
    let reached = std::cell::RefCell::new(std::collections::BTreeMap::<String, u32>::new());
    check("reach", 1_000, &(policies(), sequences(true)), |(policy, steps)| {
        for command in run(&policy, &steps, |_, _, _, _| {}) {
            let text = show(&command);
            let word: String = text.chars().take_while(|c| !matches!(c, '#' | '@' | ' ')).collect();
            let kind = match command {
                Command::Changed { .. } => word,
                Command::IntervalOpened { .. } => "[".to_owned(),
                Command::IntervalClosed { .. } => "]".to_owned(),
                Command::IncidentOpened { status, .. } => format!("open {status:?}"),
                Command::IncidentUpdated { status, .. } => format!("update {status:?}"),
                Command::IncidentClosed { reason, .. } => format!("close {reason:?}"),
                _ => word,
            };
            *reached.borrow_mut().entry(kind).or_default() += 1;
        }
        Ok(())
    });
    let reached = reached.into_inner();
    for kind in [
        "up>down",
        "down>up",
        "up>degraded",
        "degraded>down",
        "down>degraded",
        "degraded>up",
        "down>unknown",
        "unknown>down",
        "up>unknown",
        "unknown>up",
        "up>blocked",
        "blocked>down",
        "maintenance>down",
        "down>maintenance",
        "pending>down",
        "paused>pending",
        "open Down",
        "open Degraded",
        "open Unknown",
        "open Blocked",
        "update Down",
        "update Degraded",
        "update Unknown",
        "flap",
        "steady",
        "close Recovered",
        "close Paused",
        "close Superseded",
        "close Removed",
        "look",
    ] {
        assert!(reached.get(kind).is_some_and(|count| *count >= 3), "{kind} is hardly reached: {reached:#?}");
    }
}

#[test]
fn storing_and_reading_back_at_any_point_changes_nothing() {
    check("split runs", 1_000, &(policies(), sequences(true)), |(policy, steps)| {
        let whole = run(&policy, &steps, |_, _, _, _| {});
        let split = run(&policy, &steps, |judge, _, _, _| {
            *judge = Judge::decode(&judge.encode()).expect("what was written can be read");
        });
        let again = run(&policy, &steps, |_, _, _, _| {});
        prop_assert_eq!(&whole, &split);
        prop_assert_eq!(&whole, &again, "the same inputs, the same commands");
        Ok(())
    });
}

/// Counts of checks may be a little behind after a crash, and why nobody sees is asked anew.
fn without_counts(command: &Command) -> String {
    let text = show(command);
    let words =
        text.split(' ').filter(|w| !(w.starts_with('x') && w[1..].chars().all(|c| c.is_ascii_digit())));
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_crash_at_any_point_loses_nothing_that_was_decided() {
    let strategy = (policies(), sequences(true), sequences(false));
    check("crash", 2_000, &strategy, |(policy, before, after)| {
        let mut judge = Judge::new(secs(start()));
        judge.take_dirty();
        let mut stored = judge.encode();
        let mut now = start();
        let mut out = Vec::new();
        let mut lost = BTreeSet::new();
        for step in &before {
            let Some(input) = input_of(step, &policy, &mut now) else { continue };
            match input {
                Some(Input::LocationLost { location, .. }) => drop(lost.insert(location)),
                Some(Input::LocationBack { location }) => drop(lost.remove(&location)),
                _ => {}
            }
            match input {
                Some(input) => judge.handle(&policy, input, secs(now), &mut out),
                None => judge.handle_timeout(&policy, secs(now), &mut out),
            }
            if judge.take_dirty() {
                stored = judge.encode();
            }
        }
        let mut restored = Judge::decode(&stored).expect("what was written can be read");
        prop_assert_eq!(restored.status(), judge.status());
        prop_assert_eq!(restored.since(), judge.since());
        prop_assert_eq!(restored.open_incident(), judge.open_incident());
        prop_assert_eq!(restored.last_ordinal(), judge.last_ordinal());
        prop_assert_eq!(restored.is_flapping(), judge.is_flapping());
        prop_assert_eq!(restored.locations().collect::<Vec<_>>(), judge.locations().collect::<Vec<_>>());
        // Both go on from here; what was in flight is over, and the runner says again what it cannot see.
        now += 200;
        let both = |input: Option<Input>, now: Secs, restored: &mut Judge, judge: &mut Judge| {
            let (mut a, mut b) = (Vec::new(), Vec::new());
            match input {
                Some(input) => {
                    judge.handle(&policy, input, secs(now), &mut a);
                    restored.handle(&policy, input, secs(now), &mut b);
                }
                None => {
                    judge.handle_timeout(&policy, secs(now), &mut a);
                    restored.handle_timeout(&policy, secs(now), &mut b);
                }
            }
            (a, b)
        };
        let mut inputs = vec![(Some(Input::Restarted { gap: Duration::from_secs(200) }), now)];
        let loss = |location: &LocationId| {
            (Some(Input::LocationLost { location: *location, code: ErrorCode::AgentOffline }), now)
        };
        inputs.extend(lost.iter().map(loss));
        now += 5;
        for step in &after {
            if let Some(input) = input_of(step, &policy, &mut now) {
                inputs.push((input, now));
            }
        }
        for (input, now) in inputs {
            let (a, b) = both(input, now, &mut restored, &mut judge);
            let known_causes = |out: &[Command]| {
                let told = out.iter().filter(|c| !matches!(c, Command::Recheck { .. }));
                let told = told.map(without_counts);
                let dull = ["self_stall", "agent_offline", "self_network", "self_dns"];
                told.map(|t| dull.iter().fold(t, |t, d| t.replace(d, "self_…"))).collect::<Vec<_>>()
            };
            prop_assert_eq!(known_causes(&a), known_causes(&b), "at {} {:?}", now, input);
        }
        Ok(())
    });
}

#[test]
fn what_only_we_could_not_see_is_never_down() {
    check("self faults", 1_500, &(policies(), sequences(true)), |(policy, steps)| {
        let blameless: Vec<Step> = steps
            .into_iter()
            .map(|step| match step {
                Step::Check { at, kind, took }
                    if matches!(CODES[usize::from(kind)].0.verdict(), Verdict::Down) =>
                {
                    Step::Check { at, kind: 6 + kind % 3, took }
                }
                other => other,
            })
            .collect();
        let out = run(&policy, &blameless, |_, _, _, _| {});
        let downs = out.iter().filter(|c| matches!(c, Command::Changed { to: Status::Down, .. })).count();
        prop_assert_eq!(downs, 0);
        Ok(())
    });
}

/// The last results of one location, as far as they are about the target.
#[derive(Default, Clone)]
struct Recent {
    failures: u16,
    successes: u16,
    failing: bool,
    seen_at: Option<Secs>,
    last_slot: Option<Secs>,
}

impl Recent {
    fn take(&mut self, policy: &Policy, code: ErrorCode, slot: Secs, now: Secs) {
        // A second one, or one that was overtaken: recorded, not judged.
        if self.last_slot.is_some_and(|last| slot <= last) {
            return;
        }
        self.last_slot = Some(slot);
        match code.verdict() {
            Verdict::Down => {
                (self.failures, self.successes) = (self.failures + 1, 0);
                self.failing |= self.failures >= policy.failures;
                self.seen_at = Some(now);
            }
            Verdict::Up | Verdict::Degraded => {
                (self.failures, self.successes) = (0, self.successes + 1);
                self.failing &= self.successes < policy.successes;
                self.seen_at = Some(now);
            }
            Verdict::Unknown | Verdict::Blocked => {}
        }
    }
}

#[test]
fn down_takes_enough_failures_in_a_row_at_enough_locations() {
    let policies = policies().prop_map(|policy| Policy { flap_changes: 0, ..policy });
    check("no false down", 2_000, &(policies, sequences(false)), |(policy, steps)| {
        let mut recent = vec![Recent::default(); policy.locations.len()];
        let mut failed = Ok(());
        let fresh_for = policy.freshness().as_secs() as Secs;
        // Second by second, so that each command is judged by what was fresh at its time; nothing is forbidden,
        // because that takes a vote away.
        let seconds = steps.iter().flat_map(|step| match *step {
            Step::Check { at, kind, took } => {
                vec![Step::Wait { secs: 0, tick: true }, Step::Check { at, kind: kind.min(7), took }]
            }
            Step::Wait { secs, .. } => vec![Step::Wait { secs: 1, tick: true }; usize::from(secs)],
            ref other => vec![other.clone()],
        });
        run(&policy, &seconds.collect::<Vec<_>>(), |_, input, now, out| {
            let mut still = 0;
            if let Some(Input::Observed { location, code, slot, .. }) = input {
                recent[usize::from(location.0)].take(&policy, *code, slot.secs(), now);
                still = 1;
            }
            if out.iter().any(|c| matches!(c, Command::Changed { to: Status::Down, .. })) {
                let fresh = |r: &&Recent| r.seen_at.is_some_and(|at| now < at + fresh_for + still);
                let failing = recent.iter().filter(fresh).filter(|r| r.failing).count();
                let well = recent.iter().filter(fresh).filter(|r| !r.failing && r.failures == 0).count();
                let need =
                    policy.quorum.map_or(usize::from(failing > well), |q| usize::from(q).min(failing + well));
                let ok = if policy.quorum.is_none() { failing > well } else { failing >= need };
                if !ok || failing == 0 {
                    failed = Err(TestCaseError::fail(format!("down at {now} with {failing} against {well}")));
                }
            }
        });
        failed
    });
}

const fn is_dark(status: Status) -> bool {
    matches!(status, Status::Unknown | Status::Blocked)
}

#[test]
fn every_confirmed_change_is_told_once() {
    let policies =
        policies().prop_map(|policy| Policy { flap_changes: 0, alert_before_first_success: true, ..policy });
    check("told once", 2_000, &(policies, sequences(false)), |(policy, steps)| {
        let mut seen = Status::Pending;
        // What the open incident was last told to be about.
        let mut about = Status::Up;
        let mut failed = Ok(());
        run(&policy, &steps, |_, _, _, out| {
            let mut was_dark = is_dark(about);
            let (mut changes, mut told) = (0, 0);
            for command in out {
                match *command {
                    Command::Changed { to: to @ (Status::Up | Status::Degraded | Status::Down), .. } => {
                        changes += usize::from(to != seen && (seen, to) != (Status::Pending, Status::Up));
                        // From down to slow at once, the outage ends and the degradation begins.
                        changes += usize::from((seen, to) == (Status::Down, Status::Degraded));
                        seen = to;
                    }
                    Command::IncidentOpened { status, .. } => {
                        told += usize::from(!is_dark(status));
                        about = status;
                        was_dark |= is_dark(status);
                    }
                    Command::IncidentUpdated { status, .. } => {
                        // The same status again is another cause.
                        told += usize::from(!is_dark(status) && status != about);
                        about = status;
                        was_dark |= is_dark(status);
                    }
                    Command::IncidentClosed { .. } => {
                        told += 1;
                        about = Status::Up;
                    }
                    _ => {}
                }
            }
            // That a darkness which was told is over is told too, also where nothing else changed.
            if told < changes || told > changes + usize::from(was_dark) {
                failed = Err(TestCaseError::fail(format!("{changes} changes, {told} told: {out:?}")));
            }
        });
        failed
    });
}

#[test]
fn it_does_not_matter_how_often_the_shell_looks() {
    check("lazy shell", 1_000, &(policies(), sequences(true)), |(policy, steps)| {
        // Results are judged in the second of their slot, so that nothing is in flight when a deadline passes. A
        // restart forgives what was overdue, so it is left out.
        let prompt: Vec<Step> = steps
            .into_iter()
            .filter(|step| !matches!(step, Step::Act(11)))
            .map(|step| match step {
                Step::Check { at, kind, .. } => Step::Check { at, kind, took: 0 },
                other => other,
            })
            .collect();
        let waits = |tick: bool| -> Vec<Step> {
            let set = |step: &Step| match *step {
                Step::Wait { secs, .. } => Step::Wait { secs, tick },
                ref other => other.clone(),
            };
            let mut steps: Vec<Step> = prompt.iter().map(set).collect();
            steps.push(Step::Wait { secs: 1, tick: true });
            steps
        };
        prop_assert_eq!(
            run(&policy, &waits(true), |_, _, _, _| {}),
            run(&policy, &waits(false), |_, _, _, _| {})
        );
        Ok(())
    });
}

#[test]
fn garbage_is_refused_or_judged_on_without_a_panic() {
    let strategy = (policies(), sequences(true), prop::collection::vec((any::<u16>(), any::<u8>()), 1..4));
    check("garbage", 3_000, &strategy, |(policy, steps, bites)| {
        let mut bytes = Vec::new();
        run(&policy, &steps, |judge, _, _, _| bytes = judge.encode());
        for (at, bite) in bites {
            if !bytes.is_empty() {
                let at = usize::from(at) % bytes.len();
                bytes[at] = bite;
            }
        }
        let Ok(mut judge) = Judge::decode(&bytes) else { return Ok(()) };
        let again = Judge::decode(&judge.encode());
        prop_assert_eq!(again.as_ref(), Ok(&judge));
        let mut now = 1_000_000;
        for step in &steps {
            if let Some(Some(input)) = input_of(step, &policy, &mut now) {
                judge.handle(&policy, input, secs(now), &mut Vec::new());
                prop_assert!(judge.next_deadline(&policy).is_none_or(|at| at.micros() % 1_000 == 0));
            }
        }
        Ok(())
    });
}
