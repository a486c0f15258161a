//! Steps: fences, idempotence, and everything that a judge decides.

use std::time::Duration;

use quaywatch_core::judge::{CloseReason, Status};
use quaywatch_core::{ChannelId, ErrorCode, Evidence, LocationId, MonitorId, ShardId};

use super::{
    Bench, HOUR, MINUTE, OPS, Open, SECOND, at, commit, event, failed, file_change, incident, incident_id,
    ok, put, state, step, wait, window,
};
use crate::records::{
    Acknowledged, ActWrite, AuditFilter, AuditRecord, Author, Blind, BlindChange, DeliveryState,
    DeliveryUpdate, EvidenceRecord, Fence, IncidentFilter, IncidentRecord, InputRecord, Interval,
    IntervalWrite, OutboxWrite, ShardStep,
};
use crate::{AccountStore, StoreError};

pub(super) fn opened(monitor: MonitorId, ms: i64) -> IntervalWrite {
    opened_as(monitor, ms, Status::Down, ErrorCode::TcpRefused)
}

fn opened_as(monitor: MonitorId, ms: i64, status: Status, code: ErrorCode) -> IntervalWrite {
    IntervalWrite::Open { monitor, from: at(ms), status, code, incident: Some(incident_id(1)) }
}

fn closed(monitor: MonitorId, ms: i64) -> IntervalWrite {
    IntervalWrite::Close { monitor, to: at(ms) }
}

pub(super) fn evidence(monitor: MonitorId, ms: i64) -> EvidenceRecord {
    EvidenceRecord {
        monitor,
        location: LocationId::LOCAL,
        slot: at(ms),
        code: ErrorCode::TcpRefused,
        incident: Some(incident_id(1)),
        evidence: Evidence { elapsed_us: 812, detail: Some("RST".to_owned()), ..Evidence::default() },
    }
}

pub(super) fn input(monitor: MonitorId, ms: i64) -> InputRecord {
    InputRecord { monitor, at: at(ms), kind: "paused".to_owned(), detail: r#"{"by":"cli:0"}"#.to_owned() }
}

fn notice(sequence: u32, channel: ChannelId) -> OutboxWrite {
    OutboxWrite { incident: incident_id(1), sequence, channel, due: at(MINUTE) }
}

/// A step with something of everything.
fn full_step(monitor: MonitorId) -> ShardStep {
    let mut full = step(monitor, MINUTE);
    full.results = vec![failed(monitor, 50 * SECOND, ErrorCode::TcpRefused), ok(monitor, 40 * SECOND, 800)];
    full.states.push(state(monitor, Status::Down, 50 * SECOND));
    full.intervals.push(opened(monitor, 50 * SECOND));
    full.incidents.push(incident(1, monitor, 50 * SECOND));
    full.events.push(event(1, 0, MINUTE));
    full.evidence.push(evidence(monitor, 50 * SECOND));
    full.outbox.push(notice(0, OPS));
    full.inputs.push(input(monitor, 45 * SECOND));
    full
}

pub(super) fn an_old_fence_writes_nothing_and_gets_its_step_back(open: Open<'_>) {
    let bench = Bench::open(open);
    let (id, old) = bench.one();
    let shard = id.shard();
    commit(&old, step(id, 1));
    let fence = wait(bench.system.claim(shard)).expect("a fence");
    let new = bench.with_fence(shard.0, fence);
    for stale in [&old, &bench.with_fence(shard.0, Fence(fence.0 + 1)), &bench.with_fence(shard.0, Fence(0))]
    {
        let refused = wait(stale.commit(Box::new(full_step(id)))).expect_err("fenced");
        assert!(
            matches!(refused.error, StoreError::Fenced { shard: s, seen, .. } if s == shard.0 && seen == fence.0),
            "{}",
            refused.error
        );
        assert_eq!(refused.step.results.len(), 2);
        assert_eq!(refused.step.outbox.len(), 1);
    }
    assert!(bench.slots(id, window(0, HOUR)).is_empty());
    assert!(wait(new.load()).expect("loaded").states.is_empty());
    assert!(wait(new.undelivered()).expect("outbox").is_empty());
    commit(&new, full_step(id));
    assert_eq!(bench.slots(id, window(0, HOUR)).len(), 2);
    // A fence survives a restart; the next is larger.
    bench.close();
    let bench = Bench::open(open);
    commit(&bench.with_fence(shard.0, fence), step(id, 2 * MINUTE));
    assert!(wait(bench.system.claim(shard)).expect("a fence") > fence);
    assert_eq!(wait(bench.system.claim(ShardId(63))).expect("a fence"), Fence(1));
}

pub(super) fn a_step_written_twice_changes_nothing(open: Open<'_>) {
    let bench = Bench::open(open);
    let (id, shard) = bench.one();
    let deliveries = bench.own(OPS.shard().0);
    let read = || {
        let all = window(0, HOUR);
        (
            wait(bench.account.results(id, all)).expect("results"),
            wait(bench.account.intervals(id, all)).expect("intervals"),
            wait(bench.account.incidents(IncidentFilter::default())).expect("incidents"),
            wait(bench.account.events(incident_id(1))).expect("events"),
            wait(bench.account.evidence(id, all)).expect("evidence"),
            wait(bench.account.inputs(id, all)).expect("inputs"),
            wait(shard.load()).expect("loaded").states,
            wait(deliveries.undelivered()).expect("outbox").into_iter().map(|o| o.notice).collect::<Vec<_>>(),
        )
    };
    commit(&shard, full_step(id));
    let once = read();
    assert_eq!((once.0.len(), once.1.len(), once.2.len(), once.3.len()), (2, 1, 1, 1));
    assert_eq!((once.4.len(), once.5.len(), once.6.len(), once.7.len()), (1, 1, 1, 1));
    commit(&shard, full_step(id));
    assert_eq!(read(), once);
    // Nor does it queue a notice again that was delivered.
    wait(deliveries.record_deliveries(vec![update(0, DeliveryState::Sent, 1)])).expect("recorded");
    commit(&shard, full_step(id));
    assert!(read().7.is_empty());
    // The whole of the end, twice.
    for _ in 0..2 {
        let mut end = step(id, 3 * MINUTE);
        end.states.push(state(id, Status::Up, 2 * MINUTE));
        end.intervals.push(closed(id, 2 * MINUTE));
        let mut closed = incident(1, id, 50 * SECOND);
        (closed.ended_at, closed.close_reason) = (Some(at(2 * MINUTE)), Some(CloseReason::Recovered));
        (closed.next_sequence, closed.failed_checks) = (2, 9);
        end.incidents.push(closed);
        end.events.push(event(1, 1, 3 * MINUTE));
        end.outbox.push(notice(1, OPS));
        commit(&shard, end);
        let after = read();
        assert_eq!(after.1[0].to, Some(at(2 * MINUTE)));
        assert_eq!((after.2[0].close_reason, after.2[0].failed_checks), (Some(CloseReason::Recovered), 9));
        assert_eq!((after.3.len(), after.7.as_slice()), (2, &[notice(1, OPS)][..]));
    }
}

pub(super) fn a_step_is_written_whole_or_not_at_all(open: Open<'_>) {
    let bench = Bench::open(open);
    let (id, shard) = bench.one();
    let mut wrong = full_step(id);
    wrong.results.push(ok(MonitorId(id.0 + 1), 40 * SECOND, 800));
    let refused = wait(shard.commit(Box::new(wrong))).expect_err("a result of another shard");
    assert!(matches!(refused.error, StoreError::Conflict(_)), "{}", refused.error);
    let other = bench.own(id.shard().0 + 1);
    let refused = wait(other.commit(Box::new(full_step(id)))).expect_err("another shard's step");
    assert!(matches!(refused.error, StoreError::Conflict(_)), "{}", refused.error);
    assert!(bench.slots(id, window(0, HOUR)).is_empty());
    assert!(wait(bench.account.incidents(IncidentFilter::default())).expect("incidents").is_empty());
    // What waits together with a refused step is written all the same.
    let fenced = bench.with_fence(id.shard().0, Fence(0));
    let (bad, good) = (fenced.commit(Box::new(full_step(id))), shard.commit(Box::new(full_step(id))));
    assert!(wait(bad).is_err());
    wait(good).expect("committed");
    assert_eq!(bench.slots(id, window(0, HOUR)), [40 * SECOND, 50 * SECOND]);
}

pub(super) fn acts_stand_in_the_audit_log_exactly_where_their_events_are_written(open: Open<'_>) {
    let bench = Bench::open(open);
    let other = wait(bench.system.create_account("other".to_owned(), at(0))).expect("made").id;
    let theirs = bench.store.account(other);
    let id = wait(theirs.apply(file_change(vec![put("db", "{}")]), at(0))).expect("made").monitors[0].id;
    let shard = bench.own(id.shard().0);
    let rows = |account: &dyn AccountStore| {
        let of_incidents = |row: &AuditRecord| row.action.starts_with("incident.");
        let rows = wait(account.audit(AuditFilter::default())).expect("audit");
        rows.into_iter().filter(of_incidents).collect::<Vec<_>>()
    };
    let author = Author {
        actor: "user:u1".to_owned(),
        address: Some([192, 0, 2, 7].into()),
        request: Some("req-1".into()),
    };
    let act = |sequence| ActWrite {
        incident: incident_id(1),
        sequence,
        action: "incident.commented",
        monitor: id,
        detail: format!("words {sequence}"),
        author: author.clone(),
    };
    let mut said = step(id, MINUTE);
    said.incidents.push(IncidentRecord { account: other, ..incident(1, id, 50 * SECOND) });
    said.events.extend([event(1, 0, 51 * SECOND), event(1, 1, 52 * SECOND)]);
    said.acts.push(act(1));
    assert!(said.has_decisions());

    let refused = wait(bench.with_fence(id.shard().0, Fence(0)).commit(Box::new(said.clone())));
    assert_eq!(refused.expect_err("fenced").step.acts, [act(1)], "the step comes back whole");
    assert!(rows(&*theirs).is_empty() && wait(theirs.events(incident_id(1))).expect("events").is_empty());
    // What waits together with it and is written, twice, as if the first answer was lost; the second time with more.
    commit(&shard, said.clone());
    said.events.push(event(1, 2, 53 * SECOND));
    said.acts.push(act(2));
    commit(&shard, said);
    let told: Vec<_> =
        rows(&*theirs).into_iter().map(|row| (row.at, row.author, row.object, row.detail)).collect();
    let row = |sequence: u32| {
        let (kind, words) = ("monitor".to_owned(), format!("words {sequence}"));
        (at((51 + i64::from(sequence)) * SECOND), author.clone(), Some((kind, id.0)), words)
    };
    assert_eq!(told, [row(2), row(1)]);
    assert!(rows(&*bench.account).is_empty(), "it is the account's of the incident");
    // Without its event there is no act.
    commit(&shard, ShardStep { acts: vec![act(3)], ..step(id, 2 * MINUTE) });
    assert_eq!(rows(&*theirs).len(), 2);
}

pub(super) fn a_shard_is_loaded_as_it_was_left(open: Open<'_>) {
    let bench = Bench::open(open);
    let (id, shard) = bench.one();
    bench.add(&["another"]);
    commit(&shard, full_step(id));
    bench.close();
    let bench = Bench::open(open);
    let shard = bench.own(id.shard().0);
    let loaded = wait(shard.load()).expect("loaded");
    assert_eq!(loaded.monitors.iter().map(|m| m.id).collect::<Vec<_>>(), [id]);
    assert_eq!(loaded.states, [state(id, Status::Down, 50 * SECOND)]);
    assert_eq!(loaded.open_incidents, [incident(1, id, 50 * SECOND)]);
    let mut cared_for = incident(1, id, 50 * SECOND);
    cared_for.acknowledged = Some(Box::new(Acknowledged { at: at(90 * SECOND), by: "Anna".into() }));
    commit(&shard, ShardStep { incidents: vec![cared_for.clone()], ..step(id, 2 * MINUTE) });
    assert_eq!(wait(shard.load()).expect("loaded").open_incidents, [cared_for]);
    let mut end = step(id, 3 * MINUTE);
    end.states.push(crate::records::StateWrite { state: None, ..state(id, Status::Up, 0) });
    let mut over = incident(1, id, 50 * SECOND);
    over.ended_at = Some(at(2 * MINUTE));
    end.incidents.push(over);
    commit(&shard, end);
    let loaded = wait(shard.load()).expect("loaded");
    assert!(loaded.states.is_empty() && loaded.open_incidents.is_empty());
}

pub(super) fn intervals_follow_each_other_also_when_written_twice(open: Open<'_>) {
    let bench = Bench::open(open);
    let (id, shard) = bench.one();
    let write = |intervals: &[IntervalWrite]| {
        commit(&shard, ShardStep { intervals: intervals.to_vec(), ..step(id, HOUR) });
    };
    let read = |from, to| wait(bench.account.intervals(id, window(from, to))).expect("intervals");
    let shape = |intervals: Vec<Interval>| -> Vec<_> {
        intervals.into_iter().map(|i| (i.from, i.to, i.status)).collect()
    };
    write(&[opened_as(id, 10, Status::Degraded, ErrorCode::TcpSlow)]);
    // One ends and the next begins at the same moment; again, as if the first answer was lost.
    for _ in 0..2 {
        write(&[closed(id, 20), opened(id, 20)]);
        assert_eq!(
            shape(read(0, HOUR)),
            [(at(10), Some(at(20)), Status::Degraded), (at(20), None, Status::Down)]
        );
    }
    // One that never lasted is replaced in place.
    for _ in 0..2 {
        write(&[closed(id, 20), opened_as(id, 20, Status::Unknown, ErrorCode::SelfNetwork)]);
        assert_eq!(
            shape(read(0, HOUR)),
            [(at(10), Some(at(20)), Status::Degraded), (at(20), None, Status::Unknown)]
        );
    }
    // With a time between them.
    for _ in 0..2 {
        write(&[closed(id, 30), opened(id, 40), closed(id, 50)]);
        assert_eq!(
            shape(read(0, HOUR)),
            [
                (at(10), Some(at(20)), Status::Degraded),
                (at(20), Some(at(30)), Status::Unknown),
                (at(40), Some(at(50)), Status::Down)
            ]
        );
    }
    let first = &read(0, HOUR)[0];
    assert_eq!((first.monitor, first.code, first.incident), (id, ErrorCode::TcpSlow, Some(incident_id(1))));
    // A window takes what overlaps it: from is inside, to is not.
    assert_eq!(shape(read(20, 40)).len(), 1);
    assert_eq!(shape(read(19, 41)).len(), 3);
    assert!(read(50, HOUR).is_empty());
}

fn update(sequence: u32, state: DeliveryState, attempts: u32) -> DeliveryUpdate {
    DeliveryUpdate {
        notice: OutboxWrite { due: at(2 * MINUTE), ..notice(sequence, OPS) },
        state,
        attempts,
        at: at(MINUTE + i64::from(attempts)),
        class: "transient".to_owned(),
        answer: "503".to_owned(),
        took: Duration::from_millis(12),
        remote_id: None,
    }
}

pub(super) fn notices_wait_until_they_are_delivered(open: Open<'_>) {
    let bench = Bench::open(open);
    let (id, shard) = bench.one();
    let other = ChannelId(OPS.0 + 1);
    let mut both = full_step(id);
    both.outbox.push(notice(0, other));
    commit(&shard, both);
    // The server's own events belong to no incident record.
    let mut fault = ShardStep::new(ShardId(0), at(2 * MINUTE));
    fault.events.push(event(9, 0, 2 * MINUTE));
    fault.outbox.push(OutboxWrite { incident: incident_id(9), ..notice(0, OPS) });
    commit(&bench.own(0), fault);
    bench.close();

    let bench = Bench::open(open);
    let deliveries = bench.own(OPS.shard().0);
    let waiting = wait(deliveries.undelivered()).expect("outbox");
    assert_eq!(
        waiting.iter().map(|o| o.notice.incident).collect::<Vec<_>>(),
        [incident_id(1), incident_id(9)]
    );
    assert_eq!((&waiting[0].event, waiting[0].attempts), (&event(1, 0, MINUTE), 0));
    assert_eq!((waiting[0].notice.due, waiting[0].queued_at), (at(MINUTE), at(MINUTE)));
    for _ in 0..2 {
        wait(deliveries.record_deliveries(vec![update(0, DeliveryState::Queued, 1)])).expect("recorded");
        let waiting = wait(deliveries.undelivered()).expect("outbox");
        assert_eq!((waiting[0].attempts, waiting[0].notice.due), (1, at(2 * MINUTE)));
    }
    wait(deliveries.record_deliveries(vec![update(0, DeliveryState::Sent, 2)])).expect("recorded");
    assert_eq!(wait(deliveries.undelivered()).expect("outbox").len(), 1);
    let elsewhere = bench.own(other.shard().0);
    assert_eq!(wait(elsewhere.undelivered()).expect("outbox")[0].notice.channel, other);
    let dead = DeliveryUpdate { notice: notice(0, other), ..update(0, DeliveryState::Dead, 3) };
    wait(elsewhere.record_deliveries(vec![dead.clone()])).expect("recorded");
    assert!(wait(elsewhere.undelivered()).expect("outbox").is_empty());

    let never = DeliveryUpdate { notice: notice(7, OPS), ..update(0, DeliveryState::Sent, 1) };
    assert!(matches!(wait(deliveries.record_deliveries(vec![never])), Err(StoreError::Conflict(_))));
    assert!(matches!(wait(deliveries.record_deliveries(vec![dead])), Err(StoreError::Conflict(_))));
    wait(bench.system.claim(OPS.shard())).expect("a fence");
    let late = wait(deliveries.record_deliveries(vec![update(0, DeliveryState::Dead, 3)]));
    assert!(matches!(late, Err(StoreError::Fenced { .. })), "{late:?}");
}

pub(super) fn incidents_are_found_by_monitor_window_and_state(open: Open<'_>) {
    let bench = Bench::open(open);
    let ids = bench.add(&["a", "b"]);
    for (n, id, started, ended) in [(1, ids[0], 0, Some(10)), (2, ids[1], 5, None), (3, ids[0], 20, None)] {
        let mut record = incident(n, id, started);
        record.ended_at = ended.map(at);
        commit(&bench.own(id.shard().0), ShardStep { incidents: vec![record], ..step(id, 30) });
    }
    let found = |filter| {
        let incidents = wait(bench.account.incidents(filter)).expect("incidents");
        incidents.iter().map(|incident| incident.ordinal).collect::<Vec<_>>()
    };
    let all = IncidentFilter::default();
    assert_eq!(found(all.clone()), [3, 2, 1]);
    assert_eq!(found(IncidentFilter { monitor: Some(ids[0]), ..all.clone() }), [3, 1]);
    assert_eq!(found(IncidentFilter { open: true, ..all.clone() }), [3, 2]);
    assert_eq!(found(IncidentFilter { window: Some(window(0, 20)), ..all.clone() }), [2, 1]);
    assert_eq!(found(IncidentFilter { window: Some(window(10, 21)), ..all.clone() }), [3, 2]);
    assert_eq!(found(IncidentFilter { limit: 1, ..all }), [3]);
}

pub(super) fn evidence_and_inputs_are_read_back(open: Open<'_>) {
    let bench = Bench::open(open);
    let (id, shard) = bench.one();
    let mut both = step(id, HOUR);
    both.evidence = vec![evidence(id, 20), evidence(id, 10)];
    both.inputs =
        vec![input(id, 20), input(id, 10), InputRecord { detail: "{}".to_owned(), ..input(id, 20) }];
    commit(&shard, both);
    assert_eq!(wait(bench.account.evidence(id, window(0, 30))), Ok(vec![evidence(id, 10), evidence(id, 20)]));
    assert_eq!(wait(bench.account.evidence(id, window(10, 20))), Ok(vec![evidence(id, 10)]));
    let inputs = wait(bench.account.inputs(id, window(0, 30))).expect("inputs");
    assert_eq!(
        inputs,
        [input(id, 10), input(id, 20), InputRecord { detail: "{}".to_owned(), ..input(id, 20) }]
    );
}

pub(super) fn the_inbox_keeps_what_is_not_acknowledged(open: Open<'_>) {
    let bench = Bench::open(open);
    let deliver = |shard: u8, payload: &[u8]| {
        wait(bench.system.deliver_inbox(ShardId(shard), payload.to_vec(), at(5))).expect("delivered")
    };
    let (first, second, other) = (deliver(3, b"one"), deliver(3, b"two"), deliver(4, b"three"));
    let shard = bench.own(3);
    // Another shard's batch is not acknowledged by mistake.
    commit(&shard, ShardStep { inbox_acks: vec![first, other], ..ShardStep::new(ShardId(3), at(6)) });
    bench.close();
    let bench = Bench::open(open);
    let ids = |shard| wait(bench.own(shard).inbox()).expect("inbox").iter().map(|b| b.id).collect::<Vec<_>>();
    assert_eq!((ids(3), ids(4)), (vec![second], vec![other]));
    let batch = &wait(bench.own(3).inbox()).expect("inbox")[0];
    assert_eq!((batch.payload.as_slice(), batch.received_at), (&b"two"[..], at(5)));
    let again = wait(bench.system.deliver_inbox(ShardId(3), Vec::new(), at(7))).expect("delivered");
    assert!(again > other, "numbers are not used again");
}

pub(super) fn blind_time_is_one_row_a_location(open: Open<'_>) {
    let bench = Bench::open(open);
    let location = LocationId::LOCAL;
    let change = |change| wait(bench.system.blind(change)).expect("written");
    let began = |ms, code| change(BlindChange::Began { location, at: at(ms), code });
    change(BlindChange::Ended { location, at: at(1) });
    began(10, ErrorCode::SelfNetwork);
    began(15, ErrorCode::SelfDns);
    change(BlindChange::Ended { location, at: at(20) });
    change(BlindChange::Ended { location, at: at(25) });
    began(30, ErrorCode::SelfStall);
    let read = |from, to| wait(bench.account.blind(window(from, to))).expect("blind");
    let row = |from, to: Option<i64>, code| Blind { location, from: at(from), to: to.map(at), code };
    let (first, second) = (row(10, Some(20), ErrorCode::SelfNetwork), row(30, None, ErrorCode::SelfStall));
    assert_eq!(read(0, HOUR), [first.clone(), second.clone()]);
    assert_eq!(read(0, 30), [first]);
    assert_eq!(read(20, HOUR), [second]);
}

pub(super) fn the_last_commit_survives_sorting(open: Open<'_>) {
    let bench = Bench::open(open);
    let (id, shard) = bench.one();
    commit(&shard, step(id, 10 * SECOND));
    assert_eq!(wait(bench.system.last_commit()), Ok(Some(at(10 * SECOND))));
    commit(&shard, ShardStep { results: vec![ok(id, 11 * SECOND, 5)], ..step(id, 12 * SECOND) });
    while wait(bench.system.sort_minutes(at(HOUR))).expect("sorted").is_some() {}
    bench.close();
    let bench = Bench::open(open);
    assert_eq!(wait(bench.system.last_commit()), Ok(Some(at(12 * SECOND))));
}
