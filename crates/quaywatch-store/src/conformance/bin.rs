//! Bins that hold more than they may: what has lain there longest goes before its time, and nothing else does.

use quaywatch_core::MonitorId;
use quaywatch_core::judge::CloseReason;

use super::steps::{evidence, opened};
use super::{
    Bench, HOUR, MINUTE, OPS, Open, at, commit, event, file_change, incident, incident_id, put, put_channel,
    remove, state, step, wait, window,
};
use crate::AccountStore;
use crate::records::{
    ActWrite, AuditFilter, Binned, BinnedChannel, DeliveryState, DeliveryUpdate, IncidentFilter,
    IncidentRecord, OutboxWrite, ResourceChange,
};

/// Makes monitors of these names and removes them one after the other, at 1, 2, 3, … milliseconds.
fn binned(account: &dyn AccountStore, names: &[&str]) -> Vec<Binned> {
    let make = names.iter().map(|name| put(name, "{}")).collect();
    let made = wait(account.apply(file_change(make), at(0))).expect("made").monitors;
    let mut all = Vec::new();
    for (ms, record) in (1..).zip(&made) {
        wait(account.apply(file_change(vec![remove(&record.key)]), at(ms))).expect("removed");
        all.push(Binned { monitor: record.id, removed_at: at(ms) });
    }
    all
}

/// Numbers in the bin, the last removed first.
fn listed(account: &dyn AccountStore) -> Vec<MonitorId> {
    let rows = wait(account.removed_monitors(None, 100)).expect("the bin");
    rows.into_iter().map(|row| row.monitor.id).collect()
}

fn sent(notice: OutboxWrite) -> DeliveryUpdate {
    DeliveryUpdate {
        notice,
        state: DeliveryState::Sent,
        attempts: 1,
        at: at(MINUTE),
        class: "sent".to_owned(),
        answer: "200".to_owned(),
        remote_id: None,
        took: std::time::Duration::from_millis(1),
    }
}

fn purge(account: &dyn AccountStore, mut binned: Vec<Binned>) {
    while !binned.is_empty() {
        let before = binned.len();
        binned = wait(account.purge(binned)).expect("purged");
        assert!(binned.len() < before, "each piece does something");
    }
}

pub(super) fn what_lies_beyond_in_a_bin_goes_and_nothing_else(open: Open<'_>) {
    let bench = Bench::open(open);
    let other = wait(bench.system.create_account("other".to_owned(), at(0))).expect("made").id;
    let theirs = bench.store.account(other);
    let kept_there = binned(&*theirs, &["a", "b", "c"]);
    let ours = binned(&*bench.account, &["a", "b", "c", "d"]);
    let live = bench.add(&["e"]);
    let bins = |fuller_than| {
        let bins = wait(bench.system.bins(fuller_than)).expect("bins");
        bins.into_iter().map(|bin| (bin.account, bin.name, bin.monitors)).collect::<Vec<_>>()
    };
    let us = quaywatch_core::AccountId::DEFAULT;
    assert_eq!(bins(2), [(us, "default".to_owned(), 4), (other, "other".to_owned(), 3)]);
    assert_eq!(bins(3), [(us, "default".to_owned(), 4)]);
    assert_eq!(bins(4), []);
    let counted = |account: &dyn AccountStore, most| wait(account.in_bin(most)).expect("counted");
    assert_eq!([0, 3, 4, 5, u64::MAX].map(|most| counted(&*bench.account, most)), [0, 3, 4, 4, 4]);
    assert_eq!(counted(&*theirs, 9), 3);
    let beyond = |kept, limit| wait(bench.account.beyond_in_bin(kept, limit)).expect("read");
    assert_eq!(beyond(4, 9), []);
    assert_eq!(beyond(1, 9), ours[..3], "the longest there first");
    assert_eq!(beyond(1, 2), ours[..2]);

    // What is known of one that stays, and of one that goes.
    for (n, one) in [(1, &ours[3]), (2, &ours[0])] {
        let mut known = step(one.monitor, 10);
        known.states.push(state(one.monitor, quaywatch_core::judge::Status::Up, 5));
        known.intervals.push(opened(one.monitor, 5));
        let mut record = incident(n, one.monitor, 5);
        (record.ended_at, record.close_reason) = (Some(at(9)), Some(CloseReason::Removed));
        known.incidents.push(record);
        known.events.push(event(n, 0, 6));
        known.evidence.push(evidence(one.monitor, 6));
        commit(&bench.own(one.monitor.shard().0), known);
    }
    // Nobody purges what is another's, or what is not in the bin.
    purge(&*theirs, ours.clone());
    purge(&*bench.account, vec![Binned { monitor: live[0], removed_at: at(1) }]);
    assert_eq!(
        (listed(&*bench.account).len(), wait(bench.account.monitors()).map(|all| all.len())),
        (4, Ok(1))
    );

    purge(&*bench.account, beyond(1, 9));
    assert_eq!(listed(&*bench.account), [ours[3].monitor]);
    assert_eq!(listed(&*theirs), [2, 1, 0].map(|i: usize| kept_there[i].monitor));
    let incidents = wait(bench.account.incidents(IncidentFilter::default())).expect("incidents");
    assert_eq!(incidents.iter().map(|one| one.id).collect::<Vec<_>>(), [incident_id(1)]);
    assert_eq!(wait(bench.account.events(incident_id(1))).expect("events").len(), 1);
    assert_eq!(wait(bench.account.events(incident_id(2))).expect("events").len(), 0);
    let all = window(0, HOUR);
    assert_eq!(wait(bench.account.intervals(ours[3].monitor, all)).expect("intervals").len(), 1);
    assert_eq!(wait(bench.account.evidence(ours[3].monitor, all)).expect("evidence").len(), 1);
    // It comes back as it was; of one that went, the name is free for something new.
    let back = bench.add(&["d", "a"]);
    assert_eq!(back[0], ours[3].monitor);
    assert!(back[1] > live[0]);
}

pub(super) fn what_is_not_done_with_or_was_brought_back_is_not_purged(open: Open<'_>) {
    let bench = Bench::open(open);
    let ours = binned(&*bench.account, &["told", "open", "back", "last"]);
    let beyond = || wait(bench.account.beyond_in_bin(1, 9)).expect("read");
    let chosen = beyond();
    assert_eq!(chosen, ours[..3]);
    // Meanwhile: a notice of the first is on its way, the incident of the second is open, the third was brought back and
    // removed again.
    let notice = OutboxWrite { incident: incident_id(1), sequence: 0, channel: OPS, due: at(MINUTE) };
    let mut said = step(ours[0].monitor, 10);
    let mut ended = incident(1, ours[0].monitor, 5);
    ended.ended_at = Some(at(9));
    said.incidents.push(ended);
    said.events.push(event(1, 0, 6));
    said.outbox.push(notice.clone());
    commit(&bench.own(ours[0].monitor.shard().0), said);
    let mut opened = step(ours[1].monitor, 10);
    opened.incidents.push(incident(2, ours[1].monitor, 5));
    commit(&bench.own(ours[1].monitor.shard().0), opened.clone());
    bench.add(&["back"]);
    wait(bench.account.apply(file_change(vec![remove("back")]), at(20))).expect("removed");

    purge(&*bench.account, chosen);
    assert_eq!(listed(&*bench.account), [2, 3, 1, 0].map(|i: usize| ours[i].monitor), "all are still there");
    assert_eq!(beyond(), ours[3..], "the others wait");
    wait(bench.own(OPS.shard().0).record_deliveries(vec![sent(notice)])).expect("its notice is still there");
    opened.incidents[0].ended_at = Some(at(30));
    commit(&bench.own(ours[1].monitor.shard().0), opened);
    assert_eq!(beyond(), [ours[0], ours[1], ours[3]]);
    purge(&*bench.account, beyond());
    assert_eq!(listed(&*bench.account), [ours[2].monitor]);
}

pub(super) fn of_what_was_purged_nothing_is_written_any_more(open: Open<'_>) {
    let bench = Bench::open(open);
    let other = wait(bench.system.create_account("other".to_owned(), at(0))).expect("made").id;
    let theirs = bench.store.account(other);
    let ours = binned(&*theirs, &["goes", "stays"]);
    let shard = bench.own(ours[0].monitor.shard().0);
    let notice =
        |n, sequence| OutboxWrite { incident: incident_id(n), sequence, channel: OPS, due: at(MINUTE) };
    // As somebody says it of an incident that is over.
    let said = |sequence| {
        let mut said = step(ours[0].monitor, MINUTE);
        for (n, one) in [(1, &ours[0]), (2, &ours[1])] {
            let ended_at = Some(at(9));
            said.incidents.push(IncidentRecord { account: other, ended_at, ..incident(n, one.monitor, 5) });
            said.events.push(event(n, sequence, MINUTE));
            said.acts.push(ActWrite {
                incident: incident_id(n),
                sequence,
                action: "incident.commented",
                monitor: one.monitor,
                detail: format!("{n}"),
                author: "user:u1".into(),
            });
            said.outbox.push(notice(n, sequence));
        }
        said
    };
    let known = |n| {
        let everywhere = [&*theirs, &*bench.account];
        let events = everywhere.map(|account| wait(account.events(incident_id(n))).expect("events").len());
        let told = |account: &dyn AccountStore| {
            let rows = wait(account.audit(AuditFilter::default())).expect("audit");
            rows.iter().filter(|row| row.detail == n.to_string()).count()
        };
        let is_there = wait(theirs.incident(incident_id(n))).expect("read").is_some();
        let waiting = wait(bench.own(OPS.shard().0).undelivered()).expect("outbox");
        let waiting = waiting.iter().filter(|one| one.notice.incident == incident_id(n)).count();
        (is_there, events, everywhere.map(told), waiting)
    };
    commit(&shard, said(0));
    assert_eq!([1, 2].map(known), [(true, [1, 0], [1, 0], 1); 2], "in the bin is not gone");
    let lane = bench.own(OPS.shard().0);
    wait(lane.record_deliveries(vec![sent(notice(1, 0))])).expect("recorded");
    purge(&*theirs, vec![ours[0]]);
    commit(&shard, said(1));
    // The row of what was said before stays in the audit log; all else of it is gone, and nothing has come.
    assert_eq!(known(1), (false, [0, 0], [1, 0], 0));
    assert_eq!(known(2), (true, [2, 0], [2, 0], 2), "what comes with it is written");
    // An answer on its way when its notice went keeps no other from being recorded.
    let answers = [(1, 1), (2, 0), (2, 1)].map(|(n, sequence)| sent(notice(n, sequence)));
    wait(lane.record_deliveries(answers.to_vec())).expect("recorded");
    assert_eq!(known(2).3, 0);
}

pub(super) fn of_channels_in_the_bin_the_longest_there_go_first(open: Open<'_>) {
    let bench = Bench::open(open);
    let other = wait(bench.system.create_account("other".to_owned(), at(0))).expect("made").id;
    let theirs = bench.store.account(other);
    let removal = |key: &str| file_change(vec![ResourceChange::RemoveChannel { key: key.to_owned() }]);
    let make = |account: &dyn AccountStore, name: &str| {
        let made = wait(account.apply(file_change(vec![put_channel(name, name)]), at(0))).expect("made");
        made.channels[0].id
    };
    let mut ours = Vec::new();
    for (ms, name) in (1..).zip(["a", "b", "c", "d"]) {
        ours.push(BinnedChannel { channel: make(&*bench.account, name), removed_at: at(ms) });
        wait(bench.account.apply(removal(name), at(ms))).expect("removed");
        make(&*theirs, name);
    }
    let live = make(&*bench.account, "live");
    let listed = || {
        let rows = wait(bench.account.removed_channels()).expect("the bin");
        rows.into_iter().map(|row| row.channel.id).collect::<Vec<_>>()
    };
    let bins = |fuller_than| wait(bench.system.bins(fuller_than)).expect("bins");
    assert_eq!(bins(3).iter().map(|bin| (bin.monitors, bin.channels)).collect::<Vec<_>>(), [(0, 4)]);
    assert_eq!(bins(4), []);
    let beyond = |kept, limit| wait(bench.account.channels_beyond_in_bin(kept, limit)).expect("read");
    assert_eq!((beyond(4, 9), beyond(1, 2)), (vec![], ours[..2].to_vec()));
    assert_eq!(wait(theirs.channels_beyond_in_bin(0, 9)), Ok(vec![]));

    let chosen = beyond(1, 9);
    assert_eq!(chosen, ours[..3]);
    // Meanwhile one comes back, and one comes back and is removed again.
    make(&*bench.account, "a");
    make(&*bench.account, "b");
    wait(bench.account.apply(removal("b"), at(9))).expect("removed");
    // Nobody purges what is another's, or what is not in the bin.
    assert_eq!(wait(theirs.purge_channels(chosen.clone())), Ok(vec![]));
    let stray = BinnedChannel { channel: live, removed_at: at(1) };
    assert_eq!(wait(bench.account.purge_channels([chosen, vec![stray]].concat())), Ok(vec![]));
    assert_eq!(listed(), [ours[1].channel, ours[3].channel]);
    let names: Vec<_> =
        wait(bench.account.channels()).expect("channels").into_iter().map(|c| c.name).collect();
    assert_eq!(
        (names, wait(theirs.channels()).map(|all| all.len())),
        (vec!["a".into(), "live".into()], Ok(4))
    );
    // Of one that went the name is free, for something with another number.
    assert!(make(&*bench.account, "c") > live);
}
