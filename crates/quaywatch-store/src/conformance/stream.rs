//! What is followed and what is looked up: transitions, incidents, intervals, notices, and calls that come twice.

use quaywatch_core::judge::{Severity, Status};
use quaywatch_core::{ErrorCode, IncidentId, MonitorId};

use super::configuration::retain;
use super::{
    Bench, DAY, HOUR, MINUTE, Open, at, commit, event, incident, incident_id, put_channel, remove, state,
    step, wait, window,
};
use crate::StoreError;
use crate::records::{
    AccountCounts, Acknowledged, DeliveryState, DeliveryUpdate, Idempotency, IdempotentCall, IncidentFilter,
    IntervalFilter, IntervalWrite, OutboxWrite, Retention, StoredAnswer,
};

fn opened(monitor: MonitorId, from: i64, status: Status, incident: Option<u8>) -> IntervalWrite {
    let code = if status == Status::Down { ErrorCode::TcpRefused } else { ErrorCode::Ok };
    IntervalWrite::Open { monitor, from: at(from), status, code, incident: incident.map(incident_id) }
}

fn closed(monitor: MonitorId, to: i64) -> IntervalWrite {
    IntervalWrite::Close { monitor, to: at(to) }
}

pub(super) fn transitions_are_numbered_and_written_with_their_intervals(open: Open<'_>) {
    let bench = Bench::open(open);
    assert_eq!(wait(bench.account.newest_transition()), Ok(0));
    let (id, shard) = bench.one();
    let down = |step: &mut crate::records::ShardStep| {
        step.intervals.push(opened(id, 50, Status::Down, Some(1)));
    };
    let mut first = step(id, 100);
    down(&mut first);
    commit(&shard, first.clone());
    let mut second = step(id, 200);
    second.intervals.extend([closed(id, 150), opened(id, 150, Status::Degraded, None)]);
    commit(&shard, second.clone());
    let mut third = step(id, 300);
    third.intervals.push(closed(id, 250));
    commit(&shard, third.clone());
    // Written twice, said once.
    commit(&shard, third);
    commit(&shard, second);
    let said = |after| -> Vec<_> {
        let found = wait(bench.account.transitions(after, 100)).expect("read");
        found.into_iter().map(|one| (one.id, one.at.millis() - DAY, one.status, one.incident)).collect()
    };
    let wanted = [
        (1, 50, Status::Down, Some(incident_id(1))),
        (2, 150, Status::Degraded, None),
        (3, 250, Status::Up, None),
    ];
    assert_eq!(said(0), wanted);
    assert_eq!(said(1), wanted[1..]);
    assert_eq!(wait(bench.account.transitions(0, 1)).expect("read").len(), 1);
    assert_eq!(wait(bench.account.newest_transition()), Ok(3));
    // A new target is nothing yet, and what lies in the bin says no more.
    let mut fresh = step(id, 400);
    fresh.intervals.extend([opened(id, 310, Status::Down, None), closed(id, 400)]);
    fresh.states.push(state(id, Status::Pending, 400));
    commit(&shard, fresh);
    assert_eq!(said(4), [(5, 400, Status::Pending, None)]);
    wait(bench.account.apply(super::file_change(vec![remove("orders database")]), at(500))).expect("removed");
    let mut last = step(id, 500);
    last.intervals.extend([opened(id, 450, Status::Down, None), closed(id, 500)]);
    commit(&shard, last);
    assert_eq!(said(5), []);
    let other = wait(bench.system.create_account("other".to_owned(), at(0))).expect("made").id;
    assert_eq!(wait(bench.store.account(other).transitions(0, 100)), Ok(Vec::new()));
    // Emptied by retention, it goes on with the next number.
    retain(&bench, Retention::default(), 60 * 24 * HOUR);
    bench.close();
    let bench = Bench::open(open);
    assert_eq!(wait(bench.account.transitions(0, 100)), Ok(Vec::new()));
    assert_eq!(wait(bench.account.newest_transition()), Ok(5));
    let (id, shard) = bench.one();
    let mut next = step(id, 600);
    next.intervals.push(opened(id, 600, Status::Down, None));
    commit(&shard, next);
    assert_eq!(wait(bench.account.transitions(5, 100)).expect("read")[0].id, 6);
}

pub(super) fn incidents_are_filtered_and_paged(open: Open<'_>) {
    let bench = Bench::open(open);
    let (id, shard) = bench.one();
    let mut all = step(id, 100);
    for n in 1..=6_u8 {
        let mut one = incident(n, id, i64::from(n / 2) * MINUTE);
        if n % 2 == 0 {
            one.ended_at = Some(at(i64::from(n) * MINUTE));
        }
        if n % 3 == 0 {
            one.severity = Severity::Warning;
            one.code = ErrorCode::TcpTimeout;
            one.acknowledged = Some(Box::new(Acknowledged { at: at(7), by: "Ada".to_owned() }));
        }
        all.incidents.push(one);
    }
    commit(&shard, all.clone());
    let found = |filter: IncidentFilter| -> Vec<IncidentId> {
        wait(bench.account.incidents(filter)).expect("read").into_iter().map(|one| one.id).collect()
    };
    let ids = |numbers: &[u8]| -> Vec<IncidentId> { numbers.iter().map(|n| incident_id(*n)).collect() };
    let any = IncidentFilter::default;
    assert_eq!(found(any()), ids(&[6, 5, 4, 3, 2, 1]));
    assert_eq!(found(IncidentFilter { open: true, ..any() }), ids(&[5, 3, 1]));
    assert_eq!(found(IncidentFilter { closed: true, ..any() }), ids(&[6, 4, 2]));
    assert_eq!(found(IncidentFilter { acknowledged: Some(true), ..any() }), ids(&[6, 3]));
    assert_eq!(found(IncidentFilter { acknowledged: Some(false), open: true, ..any() }), ids(&[5, 1]));
    assert_eq!(found(IncidentFilter { severity: Some(Severity::Warning), ..any() }), ids(&[6, 3]));
    let codes = |code| IncidentFilter { codes: vec![code], ..any() };
    assert_eq!(found(codes(ErrorCode::TcpTimeout)), ids(&[6, 3]));
    assert_eq!(found(codes(ErrorCode::TcpRefused)).len(), 6, "what it was opened for counts as well");
    // 5 and 4 began at one moment.
    let after = Some((at(2 * MINUTE), incident_id(5)));
    assert_eq!(found(IncidentFilter { after, limit: 2, ..any() }), ids(&[4, 3]));
    let one = wait(bench.account.incident(incident_id(3))).expect("read").expect("there");
    assert_eq!(Some(&one), all.incidents.get(2));
    assert_eq!(wait(bench.account.incident(incident_id(9))), Ok(None));
    let open = wait(shard.load()).expect("loaded").open_incidents;
    assert!(open.iter().any(|one| one.acknowledged.is_some()), "{open:?}");
    let other = wait(bench.system.create_account("other".to_owned(), at(0))).expect("made").id;
    assert_eq!(wait(bench.store.account(other).incident(incident_id(3))), Ok(None));
}

pub(super) fn intervals_of_the_account_are_filtered_and_paged(open: Open<'_>) {
    let bench = Bench::open(open);
    let ids = bench.add(&["a", "b", "c"]);
    for (i, id) in ids.iter().enumerate() {
        let from = i as i64 * 10;
        let mut one = step(*id, 100);
        one.intervals.extend([
            opened(*id, from, Status::Down, None),
            closed(*id, from + 20),
            opened(*id, 50, Status::Unknown, Some(1)),
        ]);
        commit(&bench.own(id.shard().0), one);
    }
    let found = |filter: IntervalFilter| -> Vec<(i64, MonitorId)> {
        let all = wait(bench.account.account_intervals(filter)).expect("read");
        all.into_iter().map(|one| (one.from.millis() - DAY, one.monitor)).collect()
    };
    let any = IntervalFilter::default;
    let all = [(50, ids[2]), (50, ids[1]), (50, ids[0]), (20, ids[2]), (10, ids[1]), (0, ids[0])];
    assert_eq!(found(any()), all);
    assert_eq!(found(IntervalFilter { after: Some((at(50), ids[1])), limit: 2, ..any() }), all[2..4]);
    assert_eq!(found(IntervalFilter { monitor: Some(ids[1]), ..any() }), [all[1], all[4]]);
    assert_eq!(found(IntervalFilter { statuses: vec![Status::Down], ..any() }), all[3..]);
    assert_eq!(found(IntervalFilter { window: Some(window(20, 30)), ..any() }), all[3..5]);
    let at_moment = |ms| -> Vec<(MonitorId, Status)> {
        let all = wait(bench.account.intervals_at(at(ms))).expect("read");
        all.into_iter().map(|one| (one.monitor, one.status)).collect()
    };
    assert_eq!(at_moment(20), [(ids[1], Status::Down), (ids[2], Status::Down)], "ends are exclusive");
    assert_eq!(at_moment(45), []);
    wait(bench.account.apply(super::file_change(vec![remove("b")]), at(60))).expect("removed");
    assert_eq!(at_moment(99), [(ids[0], Status::Unknown), (ids[2], Status::Unknown)]);
    let rows = wait(bench.account.monitor_rows(ids.clone())).expect("read");
    assert_eq!(rows.iter().map(|row| row.incident).collect::<Vec<_>>(), [Some(incident_id(1)); 3]);
    assert_eq!(rows[1].removed_at, Some(at(60)));
}

pub(super) fn notices_of_an_incident_say_how_they_stand(open: Open<'_>) {
    let bench = Bench::open(open);
    let (id, shard) = bench.one();
    let changes = vec![put_channel("a", "a"), put_channel("b", "b")];
    let channels = wait(bench.account.apply(super::file_change(changes), at(0))).expect("applied").channels;
    let notice = |i: usize| OutboxWrite {
        incident: incident_id(1),
        sequence: 0,
        channel: channels[i].id,
        due: at(10),
    };
    let mut first = step(id, 10);
    first.incidents.push(incident(1, id, 5));
    first.events.push(event(1, 0, 10));
    first.outbox.extend([notice(0), notice(1)]);
    commit(&shard, first);
    let update = |attempts, state, class: &str, ms| DeliveryUpdate {
        notice: notice(1),
        state,
        attempts,
        at: at(ms),
        class: class.to_owned(),
        answer: format!("answer {attempts}"),
        took: std::time::Duration::from_millis(5),
        remote_id: None,
    };
    let lane = bench.own(channels[1].id.shard().0);
    let updates =
        vec![update(1, DeliveryState::Queued, "transient", 20), update(2, DeliveryState::Sent, "sent", 30)];
    wait(lane.record_deliveries(updates)).expect("recorded");
    let all = wait(bench.account.deliveries(incident_id(1))).expect("read");
    let said: Vec<_> = all
        .iter()
        .map(|one| {
            let last = one.last.as_ref().map(|last| (last.at, last.class.as_str(), last.answer.as_str()));
            (one.channel, one.state, one.attempts, last)
        })
        .collect();
    assert_eq!(
        said,
        [
            (channels[0].id, DeliveryState::Queued, 0, None),
            (channels[1].id, DeliveryState::Sent, 2, Some((at(30), "sent", "answer 2"))),
        ]
    );
    let other = wait(bench.system.create_account("other".to_owned(), at(0))).expect("made").id;
    assert_eq!(wait(bench.store.account(other).deliveries(incident_id(1))), Ok(Vec::new()));
}

pub(super) fn a_call_that_comes_twice_gets_the_first_answer_for_a_day(open: Open<'_>) {
    let bench = Bench::open(open);
    let call = |key: &str, body: u8| IdempotentCall {
        key: key.to_owned(),
        route: "POST /api/v1/monitors".to_owned(),
        request_hash: [body; 32],
    };
    let begin = |key: &str, body, ms| wait(bench.account.begin_call(call(key, body), at(ms))).expect("asked");
    let answer = StoredAnswer { status: 201, headers: "etag: 1".to_owned(), body: vec![1, 2] };
    assert_eq!(begin("k", 1, 0), Idempotency::New);
    assert_eq!(begin("k", 1, 1), Idempotency::UnderWay);
    assert_eq!(begin("k", 2, 1), Idempotency::OtherRequest);
    wait(bench.account.answer_call(call("k", 1), answer.clone())).expect("kept");
    assert_eq!(begin("k", 1, 2), Idempotency::Answered(answer.clone()));
    assert_eq!(begin("k", 2, 2), Idempotency::OtherRequest);
    let other = wait(bench.system.create_account("other".to_owned(), at(0))).expect("made").id;
    let theirs = wait(bench.store.account(other).begin_call(call("k", 1), at(2)));
    assert_eq!(theirs, Ok(Idempotency::New), "a key is its account's own");
    assert_eq!(begin("k", 1, 24 * HOUR - 1), Idempotency::Answered(answer));
    assert_eq!(begin("k", 1, 24 * HOUR), Idempotency::New, "a day is over");
    wait(bench.account.forget_call(call("k", 1))).expect("forgotten");
    assert_eq!(begin("k", 1, 25 * HOUR), Idempotency::New);
    // Whoever was to answer may be gone; what they did is not.
    assert_eq!(begin("k", 1, 49 * HOUR - 1), Idempotency::UnderWay);
    assert_eq!(begin("k", 1, 49 * HOUR), Idempotency::New);
}

pub(super) fn an_account_has_a_name_a_plan_settings_and_counts(open: Open<'_>) {
    let bench = Bench::open(open);
    bench.add(&["a", "b"]);
    let changes = vec![put_channel("ops", "ops"), remove("b")];
    wait(bench.account.apply(super::file_change(changes), at(0))).expect("applied");
    wait(bench.account.rename("ACME".to_owned(), "cli:0".into(), at(1))).expect("renamed");
    wait(bench.account.set_plan("free".to_owned(), "cli:0".into(), at(1))).expect("set");
    wait(bench.account.set_settings(r#"{"a":1}"#.to_owned(), "cli:0".into(), at(1))).expect("set");
    wait(bench.account.set_plan("free".to_owned(), "cli:0".into(), at(1))).expect("so already");
    let detail = wait(bench.account.detail()).expect("read");
    assert_eq!(
        (detail.name.as_str(), detail.plan.as_str(), detail.settings.as_str()),
        ("ACME", "free", r#"{"a":1}"#)
    );
    let counts = wait(bench.account.counts()).expect("read");
    assert_eq!(counts, AccountCounts { monitors: 1, channels: 1, members: 0, tokens: 0 });
    let other = wait(bench.system.create_account("other".to_owned(), at(5))).expect("made").id;
    let theirs = bench.store.account(other);
    let taken = wait(theirs.rename("ACME".to_owned(), "cli:0".into(), at(6)));
    assert!(matches!(taken, Err(StoreError::Taken(_))), "{taken:?}");
    assert_eq!(wait(theirs.detail()).expect("read").created_at, at(5));
    assert_eq!(wait(theirs.counts()), Ok(AccountCounts::default()));
    let actions = wait(
        bench
            .account
            .audit(crate::records::AuditFilter { kind: Some("account".to_owned()), ..Default::default() }),
    );
    assert_eq!(actions.expect("audit").len(), 3);
}
