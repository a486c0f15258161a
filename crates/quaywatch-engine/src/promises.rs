//! Tests of what the engine promises, played in [`crate::simulation`].

use std::time::Duration;

use quaywatch_core::judge::CloseReason;
use quaywatch_core::{ChannelId, CheckResult, ErrorCode, MonitorId, Timestamp};
use quaywatch_notify::{Class, EventKind, Notice};
use quaywatch_runner::Sight;
use quaywatch_store::StoreError;
use quaywatch_store::records::{BlindChange, DeliveryState};

use crate::simulation::{Crash, START, World, channel, monitor, result};

use ErrorCode::{Ok as Good, TcpRefused};

/// Down from 30 s to 90 s and from 200 s to 260 s.
fn twice_down(_: MonitorId, second: u64) -> ErrorCode {
    if (30..90).contains(&second) || (200..260).contains(&second) { TcpRefused } else { Good }
}

/// Down from 30 s on.
fn down_for_good(_: MonitorId, second: u64) -> ErrorCode {
    if second >= 30 { TcpRefused } else { Good }
}

fn down_once(_: MonitorId, second: u64) -> ErrorCode {
    if (30..90).contains(&second) { TcpRefused } else { Good }
}

fn all_good(_: MonitorId, _: u64) -> ErrorCode {
    Good
}

const BOTH: [(u32, Option<CloseReason>); 2] =
    [(1, Some(CloseReason::Recovered)), (2, Some(CloseReason::Recovered))];

#[test]
fn each_confirmed_change_is_one_notice_to_each_channel() {
    let mut world = World::new(vec![monitor(1, |_| ())]);
    world.run(400, twice_down);
    assert_eq!(world.incidents(), BOTH);
    let opened = "incident.opened down";
    let closed = "incident.closed up";
    assert_eq!(world.database.story(), [opened, closed, opened, closed]);
    assert_eq!(world.receivers.keys().len(), 8);
    assert_eq!(world.receivers.attempts, 8, "and not one attempt more");
    world.assert_all_told_once(&"steady");
}

#[test]
fn a_silent_monitor_records_and_tells_nobody() {
    let mut world = World::new(vec![monitor(1, |spec| spec.alert_on_failure = false)]);
    world.run(400, twice_down);
    assert_eq!(world.incidents(), BOTH);
    assert_eq!(world.database.outbox.len(), 0);
}

/// A crash before and after every commit, every send and every record, with receivers that fail in every way that may
/// be tried again: no incident and no notice is lost, none told under two keys.
#[test]
fn a_crash_at_any_effect_loses_and_doubles_nothing() {
    let play = |crash: Crash| {
        let mut world = World::new(vec![monitor(1, |_| ()), monitor(2, |_| ())]);
        world.crash = crash;
        world
            .receivers
            .answer
            .insert(ChannelId(1), |n| if n.is_multiple_of(3) { Class::Unknown } else { Class::Sent });
        world.receivers.answer.insert(ChannelId(2), |n| match n % 4 {
            1 => Class::Transient,
            2 => Class::Limited,
            _ => Class::Sent,
        });
        world.run(500, twice_down);
        world
    };
    let steady = play(Crash::Never);
    steady.assert_all_told_once(&Crash::Never);
    assert!(steady.effects > 60, "{}", steady.effects);
    let mut points = 0;
    for effect in 1..=steady.effects {
        for crash in [Crash::Before(effect), Crash::After(effect)] {
            let world = play(crash);
            assert_eq!(world.restarts, 1, "{crash:?}");
            world.assert_all_told_once(&crash);
            let closed = world.incidents().iter().filter(|i| i.1 == Some(CloseReason::Recovered)).count();
            assert_eq!((world.incidents().len(), closed), (4, 4), "{crash:?}: {:?}", world.incidents());
            assert_eq!(world.receivers.keys().len(), 16, "{crash:?}");
            points += 1;
        }
    }
    println!("{points} crashes, {} effects in a run", steady.effects);
}

#[test]
fn a_recovery_is_told_where_its_opening_was_told_though_routes_changed_and_we_were_away() {
    let mut world = World::new(vec![monitor(1, |spec| spec.channels = vec!["ops".into()])]);
    world.run(60, down_once);
    // Now it names the other channel, and the server is stopped meanwhile.
    let mut moved = monitor(1, |spec| spec.channels = vec!["dev".into()]);
    moved.revision = 2;
    world.database.monitors.insert(moved.id, moved);
    world.restart();
    world.run(100, down_once);
    let keys: Vec<_> = world.receivers.keys().iter().map(|key| (key.1, key.2)).collect();
    assert_eq!(keys, [(0, ChannelId(1)), (1, ChannelId(1))]);
}

#[test]
fn a_failed_step_joins_the_next_and_tells_what_it_would_have_told() {
    let mut world = World::new(vec![monitor(1, |_| ())]);
    world.run(25, twice_down);
    let recorded = world.database.results.len();
    world.trouble = Some(StoreError::Busy("somebody else writes".into()));
    // The first failure and its confirmation fall into the trouble, which ends before patience does.
    world.run(8, twice_down);
    world.trouble = None;
    world.run(400, twice_down);
    assert_eq!(world.incidents(), BOTH);
    world.assert_all_told_once(&"busy");
    assert!(world.stats.failed_groups.read() > 0);
    assert!(world.database.results.len() > recorded + 40, "results of the trouble were recorded later");
    assert_eq!(world.stats.not_recorded.read(), 0);
}

#[test]
fn on_a_full_disk_notices_go_from_memory_under_their_normal_keys() {
    let mut world = World::new(vec![monitor(1, |_| ())]);
    world.run(25, twice_down);
    world.trouble = Some(StoreError::Full("no space left on device".into()));
    world.run(100, twice_down);
    assert_eq!(world.database.events.len(), 0, "nothing is durable");
    let told: Vec<_> = world.receivers.keys();
    assert_eq!(told.len(), 6, "our own fault, the opening and the end, to both");
    assert_eq!(world.receivers.attempts, 6, "once each, though the step failed many times");
    assert_eq!(world.stats.emergency.read(), 1);
    world.trouble = None;
    world.run(300, twice_down);
    assert_eq!(world.stats.emergency.read(), 0);
    assert_eq!(world.incidents(), BOTH);
    assert_eq!(&world.receivers.keys()[..6], &told[..], "the same keys");
    world.assert_all_told_once(&"full");
    let own = world.database.story().into_iter().filter(|event| event.starts_with("server."));
    assert_eq!(own.collect::<Vec<_>>(), ["server.fault -", "server.recovered -"]);
    assert_eq!(world.receivers.attempts, 12, "what went out from memory is not sent again");
}

#[test]
fn machines_get_both_events_in_order_and_marked_late() {
    let mut world = World::new(vec![monitor(1, |spec| spec.channels = vec!["ops".into()])]);
    // Out of order for about ten minutes, over the end of the incident.
    world.receivers.answer.insert(ChannelId(1), |n| if n <= 4 { Class::Transient } else { Class::Sent });
    world.run(1_200, down_once);
    let seen: Vec<_> = world.receivers.seen.iter().map(|(_, kind, late)| (*kind, *late)).collect();
    assert_eq!(seen, [(EventKind::IncidentOpened, true), (EventKind::IncidentClosed, true)]);
    world.assert_all_told_once(&"late");
}

#[test]
fn after_24_hours_a_notice_is_given_up() {
    let mut world = World::new(vec![monitor(1, |spec| spec.channels = vec!["ops".into()])]);
    world.receivers.answer.insert(ChannelId(1), |_| Class::Transient);
    world.run(26 * 3_600, down_for_good);
    let rows: Vec<_> =
        world.database.outbox.values().filter(|row| row.write.channel == ChannelId(1)).collect();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].state, DeliveryState::Dead);
    // 0, 5 s, 30 s, 2, 10, 30 min, then hourly: about 29 in a day, a little fewer while the breaker is open.
    assert!((24..=32).contains(&rows[0].attempts), "{}", rows[0].attempts);
}

#[test]
fn a_dead_channel_is_told_to_the_other_once_and_so_is_its_recovery() {
    let mut world = World::new(vec![monitor(1, |spec| spec.channels = vec!["ops".into()])]);
    world.receivers.answer.insert(ChannelId(1), |n| if n <= 7 { Class::Transient } else { Class::Sent });
    world.run(3 * 3_600, down_for_good);
    let to_dev: Vec<_> = world
        .receivers
        .seen
        .iter()
        .filter(|(key, _, _)| key.2 == ChannelId(2))
        .map(|(_, kind, _)| *kind)
        .collect();
    assert_eq!(to_dev, [EventKind::ChannelFailing, EventKind::ChannelRecovered]);
    world.assert_all_told_once(&"failing");
}

#[test]
fn credentials_are_told_at_once_and_tried_hourly_and_what_is_gone_is_never_tried_again() {
    let mut world = World::new(vec![monitor(1, |spec| spec.channels = vec!["ops".into()])]);
    world.receivers.answer.insert(ChannelId(1), |n| if n <= 2 { Class::Credentials } else { Class::Sent });
    world.run(120, down_for_good);
    let kinds = |world: &World| world.receivers.seen.iter().map(|(_, kind, _)| *kind).collect::<Vec<_>>();
    assert_eq!(kinds(&world), [EventKind::ChannelFailing]);
    world.run(2 * 3_600, down_for_good);
    assert!(kinds(&world).contains(&EventKind::ChannelRecovered));

    let mut world = World::new(vec![monitor(1, |spec| spec.channels = vec!["ops".into()])]);
    world.receivers.answer.insert(ChannelId(1), |_| Class::Gone);
    world.run(1_000, twice_down);
    assert_eq!(kinds(&world), [EventKind::ChannelDisabled]);
    let dead = world.database.outbox.values().filter(|row| row.state == DeliveryState::Dead).count();
    assert_eq!(dead, 4, "all notices of both incidents");
    assert_eq!(world.receivers.attempts, 2, "one to each channel");
}

#[test]
fn removal_closes_and_tells_whether_we_ran_or_not() {
    for running in [true, false] {
        let mut world = World::new(vec![monitor(1, |_| ())]);
        world.run(60, down_for_good);
        if running {
            world.apply(vec![], vec![MonitorId(1)]);
            assert_eq!(world.runner_removed, [MonitorId(1)]);
        } else {
            world.database.monitors.clear();
            world.restart();
        }
        world.run(60, down_for_good);
        assert_eq!(world.incidents(), [(1, Some(CloseReason::Removed))], "running: {running}");
        assert_eq!(world.database.story(), ["incident.opened down", "incident.closed paused"], "{running}");
        world.assert_all_told_once(&running);
        assert_eq!(world.receivers.keys().len(), 4);
        // Back from the bin: numbers go on, streaks do not.
        world.apply(vec![monitor(1, |_| ())], vec![]);
        world.run(60, down_for_good);
        assert_eq!(world.incidents(), [(1, Some(CloseReason::Removed)), (2, None)], "running: {running}");
    }
}

#[test]
fn edits_reset_only_what_they_must() {
    for running in [true, false] {
        let mut world = World::new(vec![monitor(1, |_| ()), monitor(2, |_| ())]);
        world.run(60, down_for_good);
        let mut renamed = monitor(1, |spec| spec.description = Some("changed".into()));
        let mut moved = monitor(2, |spec| {
            let quaywatch_core::spec::Kind::Tcp(tcp) = &mut spec.kind;
            tcp.port = 5433;
        });
        (renamed.revision, moved.revision) = (2, 2);
        if running {
            world.apply(vec![renamed, moved], vec![]);
        } else {
            world.database.monitors.insert(renamed.id, renamed);
            world.database.monitors.insert(moved.id, moved);
            world.restart();
        }
        world.run(5, down_for_good);
        let ends: Vec<_> = world
            .database
            .incidents
            .values()
            .map(|i| (i.monitor, i.close_reason))
            .collect::<std::collections::BTreeMap<_, _>>()
            .into_iter()
            .collect();
        assert_eq!(
            ends,
            [(MonitorId(1), None), (MonitorId(2), Some(CloseReason::Superseded))],
            "running: {running}"
        );
        // A restart changes nothing more: the revision was noted.
        world.restart();
        world.run(5, all_good);
        let superseded =
            |i: &&quaywatch_store::records::IncidentRecord| i.close_reason == Some(CloseReason::Superseded);
        assert_eq!(world.database.incidents.values().filter(superseded).count(), 1, "running: {running}");
    }
}

#[test]
fn another_target_answers_for_nothing_that_was_seen_of_the_one_before() {
    let moved = |port: u16, revision| {
        let mut moved = monitor(1, |spec| {
            let quaywatch_core::spec::Kind::Tcp(tcp) = &mut spec.kind;
            tcp.port = port;
            spec.consecutive_failures_before_alert = 1;
        });
        moved.revision = revision;
        moved
    };
    let mut world = World::new(vec![moved(5432, 1)]);
    world.run(60, down_for_good);
    let old = world.epoch(MonitorId(1));
    // Another name: what is on its way still counts. Another port: it does not.
    let renamed = |revision| {
        let mut renamed = moved(5433, revision);
        renamed.spec = renamed.spec.replace("monitor 1", "other name");
        renamed
    };
    world.apply(vec![moved(5433, 2)], vec![]);
    let judged = world.stats.judged.read();
    world.hand_in(CheckResult { epoch: old, ..result(MonitorId(1), world.now, TcpRefused) });
    assert_eq!((world.stats.judged.read(), world.stats.outdated.read()), (judged, 1));
    let new = world.epoch(MonitorId(1));
    world.apply(vec![renamed(3)], vec![]);
    world.hand_in(CheckResult { epoch: new, ..result(MonitorId(1), world.now, Good) });
    assert_eq!((world.stats.judged.read(), world.stats.outdated.read()), (judged + 1, 1));
    world.run(10, all_good);
    assert_eq!(world.incidents(), [(1, Some(CloseReason::Superseded))]);
    // And over a restart.
    world.restart();
    world.hand_in(CheckResult { epoch: new, ..result(MonitorId(1), world.now, Good) });
    world.run(10, all_good);
    assert_eq!(world.stats.outdated.read(), 1);
}

#[test]
fn a_target_that_changed_while_we_were_off_answers_for_itself_alone() {
    let mut world = World::new(vec![monitor(1, |spec| spec.consecutive_failures_before_alert = 1)]);
    world.run(20, all_good);
    let old = world.epoch(MonitorId(1));
    let mut moved = monitor(1, |spec| {
        let quaywatch_core::spec::Kind::Tcp(tcp) = &mut spec.kind;
        tcp.port = 5433;
        spec.consecutive_failures_before_alert = 1;
    });
    moved.revision = 2;
    world.database.monitors.insert(moved.id, moved);
    world.restart();
    // An agent had it in its spool.
    world.hand_in(CheckResult { epoch: old, ..result(MonitorId(1), world.now, TcpRefused) });
    world.run(20, all_good);
    assert_eq!((world.incidents().len(), world.stats.outdated.read()), (0, 1));
}

#[test]
fn an_incident_ends_in_the_words_of_its_own_target() {
    let mut world = World::new(vec![monitor(1, |_| ())]);
    world.run(60, down_for_good);
    let mut moved = monitor(1, |spec| {
        let quaywatch_core::spec::Kind::Tcp(tcp) = &mut spec.kind;
        tcp.port = 5433;
    });
    moved.revision = 2;
    world.apply(vec![moved], vec![]);
    world.run(10, all_good);
    assert_eq!(world.incidents(), [(1, Some(CloseReason::Superseded))]);
    let told = world.database.events.values().map(|event| Notice::from_snapshot(&event.snapshot));
    let ports: Vec<_> = told.filter_map(|notice| notice.ok()?.target).map(|target| target.port).collect();
    assert_eq!(ports, [5432; 2]);
}

#[test]
fn pause_and_resume_are_followed_over_a_restart() {
    let mut world = World::new(vec![monitor(1, |_| ())]);
    world.run(60, down_for_good);
    let mut paused = monitor(1, |_| ());
    paused.paused = true;
    world.apply(vec![paused.clone()], vec![]);
    world.run(10, down_for_good);
    assert_eq!(world.incidents(), [(1, Some(CloseReason::Paused))]);
    world.restart();
    world.run(60, down_for_good);
    assert_eq!(world.incidents().len(), 1, "it is still paused");
    world.apply(vec![monitor(1, |_| ())], vec![]);
    world.run(60, down_for_good);
    assert_eq!(world.incidents()[1], (2, None));
}

#[test]
fn evidence_is_stored_where_it_tells_something_new_and_first_and_last_always() {
    let mut world = World::new(vec![monitor(1, |_| ())]);
    world.run(400, twice_down);
    let rows = &world.database.evidence;
    let per_incident = |id| rows.iter().filter(|row| row.incident == Some(id)).count();
    for id in world.database.incidents.keys() {
        assert_eq!(per_incident(*id), 2, "the confirming one and the last");
    }
    // Two unconfirmed first failures besides.
    assert_eq!(rows.len(), 6);
    assert!(world.stats.evidence_repeated.read() >= 8);
    let last = rows.iter().map(|row| row.slot).max().expect("there is evidence");
    assert_eq!(last, Timestamp::from_secs(START.secs() + 251));
}

#[test]
fn blindness_is_one_row_and_told_after_two_minutes() {
    let mut world = World::new((1..=20).map(|id| monitor(id, |_| ())).collect());
    world.run(30, all_good);
    let lost = world.now;
    world.sight(Sight::Lost { at: lost, code: ErrorCode::SelfNetwork });
    let changes = world.judging().take_blind_changes();
    assert_eq!(changes.len(), 1);
    world.run(100, |_, _| ErrorCode::SelfNetwork);
    assert_eq!(world.database.events.len(), 0);
    world.run(60, |_, _| ErrorCode::SelfNetwork);
    let back = world.now;
    world.sight(Sight::Back { at: back });
    world.run(30, all_good);
    assert_eq!(world.database.story(), ["server.fault -", "server.recovered -"]);
    world.assert_all_told_once(&"blind");
    assert_eq!(world.receivers.keys().len(), 4, "to both channels of account 1");
    assert_eq!(world.judging().take_blind_changes().len(), 1);
    let fault = world.database.events.values().next().map(|event| Notice::from_snapshot(&event.snapshot));
    let fault = fault.and_then(Result::ok).and_then(|notice| notice.fault).expect("it says what is wrong");
    assert_eq!((fault.monitors, fault.location.as_str(), fault.since.secs()), (20, "local", lost.secs()));
    assert_eq!(world.incidents(), [], "nobody's target is blamed");
    assert_eq!(world.database.evidence.len(), 0);
}

#[test]
fn a_stall_and_a_clock_set_back_blame_nobody_and_end_by_themselves() {
    let mut world = World::new(vec![monitor(1, |_| ())]);
    world.run(30, all_good);
    let from = world.now;
    world.now = from + Duration::from_secs(300);
    let to = world.now;
    world.judging().tick(to);
    world.sight(Sight::Void { from, to, code: ErrorCode::SelfStall });
    world.run(60, all_good);
    assert_eq!(world.incidents(), []);
    assert_eq!(world.database.story(), ["server.fault -", "server.recovered -"], "five minutes are told");
    let changes = world.judging().take_blind_changes();
    assert!(matches!(changes[..], [BlindChange::Began { .. }, BlindChange::Ended { .. }]), "{changes:?}");
}

/// An hour back, while we run and while we do not: slots go on an hour earlier, and an outage there is seen at once.
#[test]
fn a_clock_set_back_does_not_make_us_blind_for_an_hour() {
    for running in [true, false] {
        let mut world = World::new(vec![monitor(1, |_| ())]);
        world.run(7_200, all_good);
        let from = world.now;
        world.now = from - Duration::from_secs(3_600);
        let to = world.now;
        if running {
            world.sight(Sight::Void { from, to, code: ErrorCode::SelfClock });
            world.rephase();
        } else {
            world.restart();
        }
        world.run(30, all_good);
        world.run(60, |_, _| TcpRefused);
        assert_eq!(world.incidents(), [(1, None)], "running: {running}");
        assert_eq!(world.receivers.keys().len(), 2, "and told at once");
        let incident = world.database.incidents.values().next().expect("there is one");
        assert!(incident.started_at < from, "at the time of the new clock");
    }
}

#[test]
fn a_channel_added_during_an_incident_hears_no_end_of_what_it_never_heard_of() {
    let mut world = World::new(vec![monitor(1, |spec| spec.channels = vec!["ops".into()])]);
    world.run(60, down_once);
    world.database.channels.push(channel(3, "new"));
    let mut edited = monitor(1, |spec| spec.channels = vec!["ops".into(), "new".into()]);
    edited.revision = 2;
    world.apply(vec![edited], vec![]);
    world.run(120, down_once);
    assert!(world.receivers.keys().iter().all(|key| key.2 == ChannelId(1)));
    assert_eq!(world.receivers.keys().len(), 2);
}

#[test]
fn a_dead_resolver_is_recorded_of_each_monitor_and_told_of_none() {
    let mut world = World::new(vec![monitor(1, |_| ())]);
    world.run(60, all_good);
    world.run(600, |_, _| ErrorCode::SelfDns);
    assert_eq!(world.incidents().len(), 1, "it is recorded");
    assert!(world.database.outbox.is_empty(), "the server tells it, once for all");
    world.run(60, all_good);
    assert!(world.database.outbox.is_empty(), "who was told of nothing hears no end");
}
