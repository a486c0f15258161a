//! Tests of [`super::lanes`]: pure, so a day of retries takes no time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::{BootTime, ChannelId, DeliveryKey, IncidentId, Timestamp};
use quaywatch_notify::{Class, EventKind, Outcome};
use quaywatch_store::records::{DeliveryState, EventRecord, OutboxWrite};

use super::lane::{MOST_HELD, MOST_IN_FLIGHT};
use super::lanes::{Effects, Lanes, Try};
use super::pace::Pace;
use crate::rng::Rng;
use crate::steps::Queued;

const NOW: Timestamp = Timestamp::from_secs(1_777_652_100);

fn incident(n: u64) -> IncidentId {
    IncidentId::new(n, [0; 10])
}

fn notice(n: u64, sequence: u32, channel: i64) -> Queued {
    let incident = incident(n);
    let event =
        EventRecord { incident, sequence, at: NOW, kind: "incident.opened".into(), snapshot: String::new() };
    Queued {
        write: OutboxWrite { incident, sequence, channel: ChannelId(channel), due: NOW },
        event: Arc::new(event),
        queued_at: NOW,
        attempts: 0,
        committed: true,
    }
}

struct Bench {
    lanes: Lanes,
    now: Timestamp,
    effects: Effects,
}

impl Bench {
    fn new() -> Self {
        Self { lanes: Lanes::new(7), now: NOW, effects: Effects::default() }
    }

    fn add(&mut self, notice: Queued) {
        self.lanes.add(notice, self.now, &mut self.effects);
    }

    fn poll(&mut self) -> Vec<Try> {
        self.lanes.poll(self.now, &mut self.effects);
        std::mem::take(&mut self.effects.tries)
    }

    fn done(&mut self, key: DeliveryKey, class: Class) {
        self.ended(key, Outcome::new(class, "said so"));
    }

    fn ended(&mut self, key: DeliveryKey, outcome: Outcome) {
        self.lanes.done(key, outcome, Duration::from_millis(20), self.now, &mut self.effects);
    }

    /// Goes on to the moment at which something is due.
    fn skip(&mut self) {
        self.now = self.now.max(self.lanes.next_due().expect("something is due"));
    }
}

#[test]
fn a_notice_climbs_the_ladder_with_jitter() {
    let mut bench = Bench::new();
    bench.add(notice(1, 0, 1));
    let mut times = Vec::new();
    for _ in 0..9 {
        bench.skip();
        let tries = bench.poll();
        assert_eq!(tries.len(), 1);
        times.push(bench.now);
        bench.done(tries[0].key, Class::Transient);
    }
    assert_eq!(times[0], NOW, "the first at once");
    let pauses: Vec<_> = times.windows(2).map(|pair| pair[1].since(pair[0]).as_secs_f64()).collect();
    for (pause, step) in pauses.iter().zip([5.0, 30.0, 120.0, 600.0, 1_800.0, 3_600.0, 3_600.0, 3_600.0]) {
        assert!((step * 0.9..=step * 1.1).contains(pause), "{pauses:?}");
    }
    let keys: BTreeSet<_> = bench.effects.updates.iter().map(|row| row.attempts).collect();
    assert_eq!(keys, (1..=9).collect(), "a row for each attempt");
}

#[test]
fn a_clock_that_is_set_moves_no_attempt() {
    let hour = 3_600_000_000;
    for step in [-hour, hour] {
        let boot = |now: Timestamp| BootTime(now.since(NOW).as_micros() as u64);
        let pace = Pace::new(NOW, BootTime(0));
        let set = |bench: &mut Bench| {
            let wall = Timestamp(bench.now.0 + step);
            bench.lanes.set_shift(pace.shift(wall, boot(bench.now)));
        };
        let mut bench = Bench::new();
        bench.add(notice(1, 0, 1));
        let tries = bench.poll();
        bench.done(tries[0].key, Class::Transient);
        set(&mut bench);
        let mut times = Vec::new();
        for _ in 0..3 {
            bench.skip();
            set(&mut bench);
            times.push(bench.now.since(NOW).as_secs());
            let tries = bench.poll();
            assert_eq!(tries[0].attempt.at, Timestamp(bench.now.0 + step), "receivers know the wall clock");
            assert_eq!(tries[0].attempt.late.is_some(), bench.now.since(NOW) > Duration::from_secs(60));
            bench.done(tries[0].key, Class::Transient);
            let row = bench.effects.updates.last().expect("a row");
            assert_eq!(row.at, Timestamp(bench.now.0 + step), "and so does the store");
            assert!((row.notice.due.0 - row.at.0) < hour / 5);
        }
        assert!(times[0] <= 6 && times[1] <= 40 && times[2] <= 170, "{times:?}");
        // What happens after the step is not late for it, and a channel's silence is not longer for it.
        let now = Timestamp(bench.now.0 + step);
        let event = Arc::new(EventRecord { at: now, ..(*notice(2, 0, 2).event).clone() });
        bench.add(Queued { event, queued_at: now, ..notice(2, 0, 2) });
        let tries = bench.poll();
        assert_eq!((tries.len(), tries[0].attempt.late), (1, None));
    }
}

#[test]
fn what_was_tried_before_a_start_is_tried_within_half_a_minute() {
    // In the pause of an hour, in one that is over soon, and with a clock that was set back while the server was off.
    for (due, queued, wait) in [(3_600, 0, 30), (7, 0, 7), (86_400, 86_400, 30)] {
        let mut bench = Bench::new();
        let known = notice(1, 0, 1);
        let write = OutboxWrite { due: NOW + Duration::from_secs(due), ..known.write };
        bench.add(Queued { write, queued_at: NOW + Duration::from_secs(queued), attempts: 3, ..known });
        assert!(bench.poll().is_empty(), "not at once");
        bench.skip();
        assert_eq!(bench.now.since(NOW), Duration::from_secs(wait));
        let tries = bench.poll();
        assert_eq!(tries.len(), 1);
        // It goes on where the ladder was.
        bench.done(tries[0].key, Class::Credentials);
        bench.skip();
        assert!(bench.now.since(NOW) >= Duration::from_secs(wait + 3_600));
    }
}

#[test]
fn one_incident_goes_in_order_and_others_beside_it() {
    let mut bench = Bench::new();
    for (n, sequence) in [(1, 0), (1, 1), (2, 0), (1, 2)] {
        bench.add(notice(n, sequence, 1));
    }
    let tries = bench.poll();
    let key = |attempt: &Try| (attempt.key.incident, attempt.key.sequence);
    assert_eq!(tries.iter().map(key).collect::<Vec<_>>(), [(incident(1), 0), (incident(2), 0)]);
    bench.done(tries[0].key, Class::Transient);
    assert_eq!(bench.poll().len(), 0, "its second waits until the first is through");
    bench.skip();
    let again = bench.poll();
    assert_eq!(key(&again[0]), (incident(1), 0));
    bench.done(again[0].key, Class::Sent);
    assert_eq!(bench.poll().iter().map(key).collect::<Vec<_>>(), [(incident(1), 1)]);
}

#[test]
fn a_storm_is_bounded_and_a_slow_channel_delays_nobody_else() {
    let mut bench = Bench::new();
    for n in 0..100 {
        bench.add(notice(n, 0, 1));
    }
    bench.add(notice(7, 0, 2));
    let tries = bench.poll();
    let slow = tries.iter().filter(|attempt| attempt.key.channel == ChannelId(1)).count();
    assert_eq!((slow, tries.len()), (MOST_IN_FLIGHT, MOST_IN_FLIGHT + 1));
    assert_eq!(bench.poll().len(), 0);
    // Channel 1 says nothing for hours; channel 2 goes on.
    for n in 200..300 {
        bench.now = bench.now + Duration::from_secs(60);
        bench.add(notice(n, 0, 2));
        let tries = bench.poll();
        assert_eq!(tries.len(), 1);
        bench.done(tries[0].key, Class::Sent);
    }
}

#[test]
fn a_limit_quiets_the_whole_channel_and_uses_up_no_attempt() {
    let mut bench = Bench::new();
    bench.add(notice(1, 0, 1));
    let tries = bench.poll();
    let outcome =
        Outcome { retry_after: Some(Duration::from_secs(17)), ..Outcome::new(Class::Limited, "429") };
    bench.ended(tries[0].key, outcome);
    bench.add(notice(2, 0, 1));
    bench.add(notice(2, 0, 2));
    assert_eq!(bench.poll().len(), 1, "only the other channel");
    bench.skip();
    assert_eq!(bench.now, NOW + Duration::from_secs(17));
    assert_eq!(bench.poll().len(), 2);
    assert_eq!(bench.effects.updates[0].attempts, 0);
}

#[test]
fn an_endpoint_that_fails_is_left_alone_until_one_attempt_gets_through() {
    let mut bench = Bench::new();
    for n in 0..100 {
        bench.add(notice(n, 0, 1));
    }
    for attempt in bench.poll() {
        bench.done(attempt.key, Class::Transient);
    }
    assert_eq!(bench.effects.notes.len(), 1, "told once");
    let mut attempts = 0;
    while bench.now < NOW + Duration::from_secs(600) {
        bench.skip();
        let tries = bench.poll();
        assert_eq!(tries.len(), 1, "one at a time");
        attempts += 1;
        bench.done(tries[0].key, Class::Transient);
    }
    // Those that were never tried look every 30 s.
    assert!((10..=25).contains(&attempts), "{attempts}");
    bench.skip();
    let tries = bench.poll();
    bench.done(tries[0].key, Class::Sent);
    assert_eq!(bench.poll().len(), MOST_IN_FLIGHT, "nothing climbs down its ladder first");
    let notes: Vec<_> = bench.effects.notes.iter().map(|note| note.kind).collect();
    assert_eq!(notes, [EventKind::ChannelFailing, EventKind::ChannelRecovered]);
    assert_eq!(bench.effects.notes[0].episode, bench.effects.notes[1].episode);
}

#[test]
fn a_form_that_is_refused_is_tried_once_more_and_plainly() {
    let mut bench = Bench::new();
    bench.add(notice(1, 0, 1));
    bench.add(notice(1, 1, 1));
    let tries = bench.poll();
    assert!(!tries[0].attempt.reduced);
    bench.done(tries[0].key, Class::Payload);
    let tries = bench.poll();
    assert!(tries[0].attempt.reduced && tries[0].key.sequence == 0);
    bench.done(tries[0].key, Class::Payload);
    assert_eq!(bench.effects.updates[1].state, DeliveryState::Dead);
    assert_eq!(bench.poll()[0].key.sequence, 1, "the next event has its own chance");
}

#[test]
fn new_settings_and_removal_are_followed_at_once() {
    let mut bench = Bench::new();
    bench.add(notice(1, 0, 1));
    let tries = bench.poll();
    bench.done(tries[0].key, Class::Credentials);
    assert_eq!(bench.poll().len(), 0);
    bench.lanes.changed(ChannelId(1), bench.now);
    assert_eq!(bench.poll().len(), 1, "a new token heals it");
    bench.add(notice(2, 0, 1));
    bench.lanes.removed(ChannelId(1), bench.now);
    for attempt in bench.poll() {
        bench.done(attempt.key, Class::Transient);
    }
    bench.done(DeliveryKey { incident: incident(1), sequence: 0, channel: ChannelId(1) }, Class::Sent);
    let ends: Vec<_> = bench.effects.updates[1..].iter().map(|row| row.state).collect();
    assert_eq!(ends, [DeliveryState::Dead, DeliveryState::Sent], "each had one more chance");
    assert_eq!((bench.lanes.next_due(), bench.lanes.backlog().0), (None, 0));
}

#[test]
fn what_does_not_fit_into_memory_is_read_again_when_its_turn_comes() {
    let mut bench = Bench::new();
    for n in 0..MOST_HELD as u64 + 50 {
        bench.add(notice(n, 0, 1));
    }
    let mut without = 0;
    while bench.lanes.backlog().0 > 0 {
        for attempt in bench.poll() {
            without += usize::from(attempt.event.is_none());
            assert_eq!(attempt.happened, NOW);
            bench.done(attempt.key, Class::Sent);
        }
    }
    assert_eq!(without, 50);
    bench.add(notice(1, 1, 1));
    assert!(bench.poll()[0].event.is_some(), "there is room again");
}

#[test]
fn what_is_known_is_not_queued_twice_and_what_waits_for_its_row_is_recorded_later() {
    let mut bench = Bench::new();
    bench.add(Queued { committed: false, ..notice(1, 0, 1) });
    bench.add(Queued { committed: false, ..notice(1, 0, 1) });
    let tries = bench.poll();
    assert_eq!(tries.len(), 1);
    bench.done(tries[0].key, Class::Sent);
    bench.add(Queued { committed: false, ..notice(1, 0, 1) });
    assert_eq!((bench.poll().len(), bench.effects.updates.len()), (0, 0), "it has no row yet");
    bench.add(notice(1, 0, 1));
    assert_eq!((bench.poll().len(), bench.effects.updates.len()), (0, 1));
    assert_eq!(bench.effects.updates[0].state, DeliveryState::Sent);
}

/// Random outcomes and times: whatever is said to be due can be started then (nobody spins), every notice comes to its
/// end, in order, under its one key.
#[test]
fn whatever_happens_every_notice_ends_once_and_in_order() {
    for seed in 0..200 {
        let mut rng = Rng::new(seed);
        let mut bench = Bench::new();
        let mut open: Vec<DeliveryKey> = Vec::new();
        let mut added = 0;
        let mut turns = 0;
        loop {
            turns += 1;
            assert!(turns < 20_000, "seed {seed} does not end");
            if added < 60 && rng.next().is_multiple_of(2) {
                bench.add(notice(added / 3, (added % 3) as u32, (rng.next() % 3) as i64 + 1));
                added += 1;
            }
            let due = bench.lanes.next_due();
            let tries = bench.poll();
            if due.is_some_and(|due| due <= bench.now) {
                let something = !tries.is_empty() || !bench.effects.updates.is_empty();
                assert!(something, "seed {seed}: due, but nothing to do");
            }
            open.extend(tries.iter().map(|attempt| attempt.key));
            if !open.is_empty() && rng.next().is_multiple_of(2) {
                let key = open.swap_remove((rng.next() % open.len() as u64) as usize);
                let class = [
                    Class::Sent,
                    Class::Sent,
                    Class::Transient,
                    Class::Unknown,
                    Class::Limited,
                    Class::Payload,
                ][(rng.next() % 6) as usize];
                bench.done(key, class);
            } else if open.is_empty() {
                match bench.lanes.next_due() {
                    Some(due) => bench.now = bench.now.max(due),
                    None if added == 60 => break,
                    None => {}
                }
            }
        }
        let mut ended = std::collections::BTreeMap::new();
        for row in bench.effects.updates.iter().filter(|row| row.state != DeliveryState::Queued) {
            let last = ended.insert((row.notice.incident, row.notice.channel), row.notice.sequence);
            assert!(last.is_none_or(|last| last < row.notice.sequence), "seed {seed}");
        }
        let finished = bench.effects.updates.iter().filter(|row| row.state != DeliveryState::Queued).count();
        assert_eq!((finished, bench.lanes.backlog().0), (60, 0), "seed {seed}");
    }
}
