//! Tests that an outage that goes on costs no more than health: played in [`crate::simulation`].

use quaywatch_core::judge::CloseReason;
use quaywatch_core::{ErrorCode, MonitorId};

use crate::simulation::{Crash, World, monitor};

use ErrorCode::{Ok as Good, TcpRefused, TcpTimeout};

const MONITORS: i64 = 200;

fn world() -> World {
    World::new((1..=MONITORS).map(|id| monitor(id, |_| ())).collect())
}

/// Down from 30 s to 1,230 s: 120 slots, and the recheck that confirmed.
fn down_for_twenty_minutes(_: MonitorId, second: u64) -> ErrorCode {
    if (30..1_230).contains(&second) { TcpRefused } else { Good }
}

fn failed_checks(world: &World) -> Vec<u32> {
    assert!(world.incidents().iter().all(|(_, reason)| *reason == Some(CloseReason::Recovered)));
    world.database.incidents.values().map(|incident| incident.failed_checks).collect()
}

#[test]
fn a_failure_of_a_confirmed_outage_writes_its_result_and_nothing_else() {
    let mut world = world();
    world.run(60, down_for_twenty_minutes);
    assert_eq!(world.stats.incidents_open.read(), MONITORS);
    let (rows, results) = (world.database.rows, world.database.results.len());
    let (judged, repeated) = (world.stats.judged.read(), world.stats.evidence_repeated.read());
    world.run(1_100, down_for_twenty_minutes);
    assert_eq!(world.database.rows, rows, "no state, incident, interval, event, evidence or notice");
    let checks = 110 * MONITORS as u64;
    assert_eq!(world.stats.judged.read() - judged, checks);
    assert_eq!(world.stats.evidence_repeated.read() - repeated, checks);
    assert!(world.database.results.len() - results > (109 * MONITORS) as usize);
    // A failure of another kind is written, once it is confirmed, and its proof at once.
    world.run(2, |_, _| TcpTimeout);
    assert!(world.database.rows > rows);
}

#[test]
fn a_minute_of_health_writes_nothing_either() {
    let mut world = world();
    world.run(60, |_, _| Good);
    let rows = world.database.rows;
    world.run(600, |_, _| Good);
    assert_eq!(world.database.rows, rows);
}

#[test]
fn a_kill_in_the_middle_of_an_outage_loses_no_count() {
    let mut steady = world();
    steady.run(1_400, down_for_twenty_minutes);
    let wanted = failed_checks(&steady);
    assert!(wanted.iter().all(|checks| *checks == 121), "{wanted:?}");

    let mut killed = world();
    for seconds in [17, 16, 400, 3, 500, 90] {
        killed.run(seconds, down_for_twenty_minutes);
        killed.restart();
    }
    killed.run(400, down_for_twenty_minutes);
    let counted = failed_checks(&killed);
    assert_eq!(counted.len(), MONITORS as usize, "one incident each");
    // A kill lasts three seconds, so each loses the slots of three monitors in ten.
    for (counted, wanted) in counted.iter().zip(&wanted) {
        assert!(counted.abs_diff(*wanted) <= 6, "{counted} of {wanted}");
    }
}

/// Wherever the process dies between a first failure and its confirmation, the streak is there afterwards: the outage
/// is confirmed by one more failure, and begins with the first.
#[test]
fn a_streak_that_is_not_confirmed_survives_a_kill() {
    let mut steady = World::new(vec![monitor(3, |spec| spec.consecutive_failures_before_alert = 4)]);
    steady.run(120, down_for_twenty_minutes);
    let began = steady.database.incidents.values().next().expect("it is confirmed").started_at;
    for effect in 1..=steady.effects {
        let mut world = World::new(vec![monitor(3, |spec| spec.consecutive_failures_before_alert = 4)]);
        world.crash = Crash::After(effect);
        world.run(120, down_for_twenty_minutes);
        let incident = world.database.incidents.values().next().expect("it is confirmed");
        assert_eq!(incident.started_at, began, "died after effect {effect}");
        assert!(incident.failed_checks >= 4, "died after effect {effect}: {}", incident.failed_checks);
    }
}
