//! What people say about incidents, played in [`crate::simulation`]: there is never an act without its row in the audit log,
//! nor a row without its act, whatever breaks between the two.

use std::collections::BTreeSet;

use quaywatch_core::{ErrorCode, IncidentId, MonitorId};
use quaywatch_notify::{EventKind, Notice};
use quaywatch_store::StoreError;
use quaywatch_store::records::Author;

use crate::By;
use crate::judging::{Afterword, Refused, Saying, Words};
use crate::simulation::{Crash, World, monitor};

fn down_once(_: MonitorId, second: u64) -> ErrorCode {
    if (30..90).contains(&second) { ErrorCode::TcpRefused } else { ErrorCode::Ok }
}

fn anna() -> By {
    By { name: "Anna".into(), author: Author::from("user:u3") }
}

/// Says something of the incident, where one is known: open or over, as people do.
fn say(world: &mut World, words: Words) {
    let Some(record) = world.database.incidents.values().next().cloned() else { return };
    let (monitor, incident) = (record.monitor, record.id);
    let text = match &words {
        Words::Comments(text) => Some(text.clone()),
        Words::Acknowledges(_) => None,
    };
    let said = world.judging().say(Saying { monitor, incident, by: anna(), words });
    if let (Err(Refused::NotOpen), Some(text)) = (said, text) {
        let events = world.database.events.range((incident, 0)..=(incident, u32::MAX));
        let last = events.last().map(|(_, event)| Notice::from_snapshot(&event.snapshot));
        let last = last.expect("it has an opening").expect("our own snapshot");
        world.judging().say_after(Afterword { record, last, by: anna(), text });
    }
}

/// An outage in which somebody acknowledges, comments, and comments once more when it is over; `meanwhile` happens after
/// each, before anything of it is written.
fn play(world: &mut World, meanwhile: impl Fn(&mut World)) {
    let comment = |text: &str| Words::Comments(text.to_owned());
    let script = [
        (50, Words::Acknowledges(Some("on it".into()))),
        (10, comment("the disk")),
        (60, comment("it was the disk")),
    ];
    for (seconds, words) in script {
        world.run(seconds, down_once);
        say(world, words);
        meanwhile(world);
    }
    world.run(20, down_once);
}

/// What was said by events, and by rows of the audit log.
fn assert_told_alike(world: &World, context: &dyn std::fmt::Debug) -> usize {
    let acts = [EventKind::IncidentAcknowledged.as_str(), EventKind::IncidentCommented.as_str()];
    let events = world.database.events.values().filter(|event| acts.contains(&event.kind.as_str()));
    let said: BTreeSet<(IncidentId, u32, &str)> =
        events.map(|event| (event.incident, event.sequence, event.kind.as_str())).collect();
    let rows: Vec<_> =
        world.database.acts.iter().map(|act| (act.incident, act.sequence, act.action)).collect();
    assert_eq!(rows.iter().copied().collect::<BTreeSet<_>>(), said, "{context:?}");
    assert_eq!(rows.len(), said.len(), "{context:?}: a row twice");
    rows.len()
}

#[test]
fn a_crash_at_any_effect_parts_no_act_from_its_row() {
    let run = |crash| {
        let mut world = World::new(vec![monitor(1, |_| ())]);
        world.crash = crash;
        play(&mut world, |_| ());
        world
    };
    let steady = run(Crash::Never);
    assert_eq!(assert_told_alike(&steady, &"steady"), 3);
    let row = &steady.database.acts[0];
    assert_eq!((&row.author, row.monitor), (&anna().author, MonitorId(1)));
    assert_eq!(row.detail, format!("{}: on it", row.incident));
    let mut lost = 0;
    for effect in 1..=steady.effects {
        for crash in [Crash::Before(effect), Crash::After(effect)] {
            let world = run(crash);
            assert_eq!(world.restarts, 1, "{crash:?}");
            lost += usize::from(assert_told_alike(&world, &crash) < 3);
        }
    }
    assert!(lost >= 3, "each of them is lost at least once, with its row");
}

#[test]
fn a_step_that_is_written_again_writes_no_row_again() {
    let mut world = World::new(vec![monitor(1, |_| ())]);
    play(&mut world, |world| world.lost_answers = 2);
    assert_eq!((world.lost_answers, world.stats.failed_groups.read()), (0, 6));
    assert_eq!(assert_told_alike(&world, &"written again"), 3);
}

#[test]
fn what_is_said_while_the_store_takes_nothing_is_written_later_with_its_row() {
    let mut world = World::new(vec![monitor(1, |_| ())]);
    world.run(50, down_once);
    world.trouble = Some(StoreError::Busy("somebody else writes".into()));
    say(&mut world, Words::Acknowledges(None));
    world.run(1, down_once);
    // Joins what has failed before.
    say(&mut world, Words::Comments("the disk".into()));
    world.run(2, down_once);
    assert_eq!(assert_told_alike(&world, &"busy"), 0);
    world.trouble = None;
    world.run(5, down_once);
    assert_eq!(assert_told_alike(&world, &"taken"), 2);
    assert_eq!(world.database.acts[0].detail, world.database.acts[0].incident.to_string());
}
