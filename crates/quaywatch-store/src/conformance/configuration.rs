//! Accounts, monitors, channels, locations, the accepted file.

use quaywatch_core::{AccountId, ChannelId, LocationId, MonitorId, ShardId};

use super::{
    Bench, HOUR, Open, at, commit, file_change, ok, put, put_channel, remove, state, step, wait, window,
};
use crate::StoreError;
use crate::records::{AcceptedConfig, ChangeSet, IncidentFilter, Owner, ResourceChange, Retention};

pub(super) fn a_new_store_has_the_default_account_and_the_local_location(open: Open<'_>) {
    let bench = Bench::open(open);
    let accounts = wait(bench.system.accounts()).expect("accounts");
    assert_eq!(
        accounts.iter().map(|a| (a.id, a.name.as_str())).collect::<Vec<_>>(),
        [(AccountId(1), "default")]
    );
    let locations = wait(bench.system.locations()).expect("locations");
    assert_eq!(
        locations.iter().map(|l| (l.id, l.name.as_str())).collect::<Vec<_>>(),
        [(LocationId(0), "local")]
    );
    assert_eq!(wait(bench.account.monitors()), Ok(Vec::new()));
    assert_eq!(wait(bench.system.last_commit()), Ok(None));
    assert_eq!(wait(bench.system.accepted_config()), Ok(None));
}

pub(super) fn edits_are_numbered_and_the_same_again_changes_nothing(open: Open<'_>) {
    let bench = Bench::open(open);
    let apply = |spec: &str, ms| {
        wait(bench.account.apply(file_change(vec![put("orders", spec)]), at(ms))).expect("applied")
    };
    let first = apply("{1}", 1);
    assert_eq!((first.monitors.len(), first.monitors[0].revision), (1, 1));
    let same = apply("{1}", 2);
    assert!(same.monitors.is_empty() && same.seq == first.seq, "{same:?}");
    let second = apply("{2}", 3);
    let record = &second.monitors[0];
    assert_eq!((record.id, record.revision, record.spec.as_str()), (first.monitors[0].id, 2, "{2}"));
    assert_eq!(record.created_at, at(1));
    bench.close();
    let bench = Bench::open(open);
    assert_eq!(wait(bench.account.monitors()), Ok(second.monitors.clone()));
    assert_eq!(wait(bench.account.monitor_named("orders")), Ok(second.monitors.first().cloned()));
    assert_eq!(wait(bench.account.monitor_named("nothing")), Ok(None));
}

pub(super) fn a_change_set_is_applied_whole_or_not_at_all(open: Open<'_>) {
    let bench = Bench::open(open);
    bench.add(&["kept"]);
    let wrong = [
        vec![put("new", "{}"), remove("kept"), remove("never there")],
        vec![put("new", "{}"), put("new", "{2}")],
        vec![put("new", "{}"), put_channel("a", "ops"), put_channel("b", "ops")],
    ];
    for changes in wrong {
        let refused = wait(bench.account.apply(file_change(changes), at(2)));
        assert!(matches!(refused, Err(StoreError::Conflict(_) | StoreError::Taken(_))), "{refused:?}");
        let names: Vec<_> =
            wait(bench.account.monitors()).expect("monitors").into_iter().map(|m| m.name).collect();
        assert_eq!(names, ["kept"]);
        assert_eq!(wait(bench.account.channels()), Ok(Vec::new()));
        assert_eq!(wait(bench.system.changes_after(0, 10)).expect("feed").len(), 1);
    }
}

pub(super) fn removed_things_come_back_with_their_key_and_numbers_are_never_reused(open: Open<'_>) {
    let bench = Bench::open(open);
    let ids = bench.add(&["a", "b"]);
    let removed = wait(bench.account.apply(file_change(vec![remove("b")]), at(1))).expect("removed");
    assert_eq!(removed.removed_monitors, [ids[1]]);
    assert_eq!(wait(bench.account.monitor_named("b")), Ok(None));
    let new = bench.add(&["c"]);
    assert!(new[0] > ids[1], "{new:?} after {ids:?}");
    let back = bench.add(&["b"]);
    assert_eq!(back, [ids[1]]);
    let record = wait(bench.account.monitor_named("b")).expect("read").expect("back");
    assert_eq!(record.revision, 2);
}

pub(super) fn the_bin_is_emptied_after_its_time(open: Open<'_>) {
    let bench = Bench::open(open);
    let (id, shard) = bench.one();
    let mut last = step(id, 10);
    last.states.push(state(id, quaywatch_core::judge::Status::Up, 5));
    last.incidents.push(super::incident(1, id, 5));
    last.events.push(super::event(1, 0, 6));
    commit(&shard, last);
    let changes = vec![remove("orders database"), put_channel("ops", "ops")];
    wait(bench.account.apply(file_change(changes), at(1))).expect("applied");
    let removal = ResourceChange::RemoveChannel { key: "ops".to_owned() };
    wait(bench.account.apply(file_change(vec![removal]), at(1))).expect("applied");
    let retention = Retention::default();
    retain(&bench, retention, 29 * 24 * HOUR);
    // What is in the bin is still there for the shard, which closes the incident.
    assert_eq!(wait(shard.load()).expect("loaded").states.len(), 1);
    retain(&bench, retention, 31 * 24 * HOUR);
    let left = wait(shard.load()).expect("loaded");
    assert!(left.states.is_empty() && left.open_incidents.is_empty(), "{left:?}");
    assert_eq!(wait(bench.account.incidents(IncidentFilter::default())), Ok(Vec::new()));
    // The same name again is another monitor now.
    assert!(bench.add(&["orders database"])[0] > id);
}

/// Calls until nothing is left to do.
pub(super) fn retain(bench: &Bench, retention: Retention, ms: i64) {
    for _ in 0..10_000 {
        if !wait(bench.system.retain(retention, at(ms))).expect("deleted").more {
            return;
        }
    }
    panic!("retention never ends");
}

pub(super) fn names_of_channels_are_unique_and_can_be_passed_on(open: Open<'_>) {
    let bench = Bench::open(open);
    let apply = |changes| wait(bench.account.apply(file_change(changes), at(0)));
    let first = apply(vec![put_channel("a", "ops")]).expect("applied");
    assert_eq!(first.channels[0].id, ChannelId(1));
    let refused = apply(vec![put_channel("b", "ops")]).expect_err("taken").to_string();
    assert!(refused.contains("ops") && refused.contains("ch1"), "{refused}");
    let passed = vec![put_channel("b", "ops"), ResourceChange::RemoveChannel { key: "a".to_owned() }];
    let second = apply(passed).expect("the removal frees the name");
    assert_eq!(
        (second.channels[0].id, second.removed_channels.as_slice()),
        (ChannelId(2), &[ChannelId(1)][..])
    );
    let same = apply(vec![put_channel("b", "ops")]).expect("applied");
    assert!(same.channels.is_empty());
    assert_eq!(wait(bench.system.channels()), Ok(second.channels.clone()));
    assert_eq!(wait(bench.account.channels()), Ok(second.channels));
    apply(vec![put_channel("c", "dev")]).expect("applied");
    let exchanged =
        apply(vec![put_channel("b", "dev"), put_channel("c", "ops")]).expect("they exchange names");
    assert_eq!(wait(bench.account.channels()), Ok(exchanged.channels));
    apply(vec![put_channel("b", "ops")]).expect_err("taken, and nothing is half done");
    let names: Vec<_> =
        wait(bench.account.channels()).expect("channels").into_iter().map(|c| c.name).collect();
    assert_eq!(names, ["dev", "ops"]);
}

pub(super) fn owners_and_accounts_do_not_see_each_other(open: Open<'_>) {
    let bench = Bench::open(open);
    let other = wait(bench.system.create_account("other".to_owned(), at(0))).expect("made");
    assert!(matches!(
        wait(bench.system.create_account("other".to_owned(), at(0))),
        Err(StoreError::Taken(_))
    ));
    let (id, shard) = bench.one();
    let theirs = bench.store.account(other.id);
    let mut full = step(id, 100);
    full.results.push(ok(id, 50, 800));
    full.states.push(state(id, quaywatch_core::judge::Status::Down, 50));
    full.intervals.push(super::steps::opened(id, 50));
    full.incidents.push(super::incident(1, id, 50));
    full.events.push(super::event(1, 0, 60));
    full.evidence.push(super::steps::evidence(id, 50));
    full.inputs.push(super::steps::input(id, 50));
    commit(&shard, full);
    wait(bench.account.apply(file_change(vec![put_channel("ops", "ops")]), at(0))).expect("applied");

    let all = window(0, HOUR);
    assert_eq!(wait(theirs.monitors()), Ok(Vec::new()));
    assert_eq!(wait(theirs.monitor_named("orders database")), Ok(None));
    assert_eq!(wait(theirs.channels()), Ok(Vec::new()));
    assert_eq!(wait(theirs.statuses()), Ok(Vec::new()));
    assert_eq!(wait(theirs.results(id, all)), Ok(Vec::new()));
    assert_eq!(wait(theirs.summaries(id, all)), Ok(Vec::new()));
    assert_eq!(wait(theirs.daily_summaries(id, all)), Ok(Vec::new()));
    assert_eq!(wait(theirs.intervals(id, all)), Ok(Vec::new()));
    assert_eq!(wait(theirs.incidents(IncidentFilter::default())), Ok(Vec::new()));
    assert_eq!(wait(theirs.events(super::incident_id(1))), Ok(Vec::new()));
    assert_eq!(wait(theirs.evidence(id, all)), Ok(Vec::new()));
    assert_eq!(wait(theirs.inputs(id, all)), Ok(Vec::new()));
    assert_eq!(wait(bench.account.results(id, all)).expect("ours").len(), 1);

    // The same key elsewhere, or of another owner, is another thing; nobody removes what is not his.
    let file = || file_change(vec![put("orders database", "{}"), put_channel("ops", "ops")]);
    let copy = wait(theirs.apply(file(), at(0))).expect("applied");
    assert_ne!(copy.monitors[0].id, id);
    assert_eq!(copy.monitors[0].account, other.id);
    for owner in [Owner::Api, Owner::Apply("staging".to_owned())] {
        let set = |changes| {
            let (owner, actor) = (owner.clone(), "cli:0".into());
            ChangeSet { owner, actor, changes, accepted: None }
        };
        let refused = wait(bench.account.apply(set(vec![remove("orders database")]), at(0)));
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
        let own = wait(bench.account.apply(set(vec![put("orders database", "{}")]), at(0))).expect("applied");
        assert_eq!(own.monitors[0].owner, owner);
    }
    assert_eq!(wait(bench.account.monitors()).expect("ours").len(), 3);
    // Shards hold the monitors of all accounts.
    let copies = bench.own(copy.monitors[0].id.shard().0);
    assert_eq!(wait(copies.load()).expect("loaded").monitors[0].account, other.id);
}

pub(super) fn every_change_is_in_the_feed(open: Open<'_>) {
    let bench = Bench::open(open);
    let ids = bench.add(&["a", "b"]);
    let applied = wait(bench.account.apply(file_change(vec![remove("a")]), at(1))).expect("applied");
    let feed = wait(bench.system.changes_after(0, 10)).expect("feed");
    let said: Vec<_> =
        feed.iter().map(|c| (c.seq, c.kind.as_str(), MonitorId(c.id), c.op.as_str())).collect();
    assert_eq!(
        said,
        [(1, "monitor", ids[0], "put"), (2, "monitor", ids[1], "put"), (3, "monitor", ids[0], "remove")]
    );
    assert_eq!(applied.seq, 3);
    assert_eq!(wait(bench.system.changes_after(1, 1)).expect("feed")[0].seq, 2);
    assert_eq!(wait(bench.system.changes_after(3, 10)), Ok(Vec::new()));
    // Emptied by retention, it goes on with the next number.
    retain(&bench, Retention::default(), 60 * 24 * HOUR);
    bench.close();
    let bench = Bench::open(open);
    assert_eq!(wait(bench.system.changes_after(0, 10)), Ok(Vec::new()));
    bench.add(&["c"]);
    assert_eq!(wait(bench.system.changes_after(3, 10)).expect("feed")[0].seq, 4);
}

pub(super) fn the_accepted_configuration_and_the_locations_are_remembered(open: Open<'_>) {
    let bench = Bench::open(open);
    let config =
        |text: &str| AcceptedConfig { text: text.to_owned(), hash: format!("{text}#"), accepted_at: at(9) };
    let accept = |text: &str, changes| {
        let set = ChangeSet { accepted: Some(config(text)), ..file_change(changes) };
        wait(bench.account.apply(set, at(9)))
    };
    accept("monitors: []", vec![put("orders", "{}")]).expect("applied");
    // Also where nothing follows from it; not where what follows from it is refused.
    accept("secret: ${TOKEN}", Vec::new()).expect("applied");
    accept("wrong", vec![remove("nothing")]).expect_err("there is nothing to remove");
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    wait(bench.system.declare_locations(names(&["us-east", "local", "eu-west", "us-east"])))
        .expect("declared");
    bench.close();
    let bench = Bench::open(open);
    assert_eq!(wait(bench.system.accepted_config()), Ok(Some(config("secret: ${TOKEN}"))));
    let locations = wait(bench.system.declare_locations(names(&["ap-south", "eu-west"]))).expect("declared");
    let said: Vec<_> = locations.iter().map(|l| (l.id.0, l.name.as_str())).collect();
    assert_eq!(said, [(0, "local"), (1, "us-east"), (2, "eu-west"), (3, "ap-south")]);
}

pub(super) fn a_hundred_thousand_changes_are_one(open: Open<'_>) {
    let bench = Bench::open(open);
    let changes =
        (0..100_000).map(|i| put(&format!("host-{i:06}"), r#"{"host":"192.0.2.1","port":5432}"#)).collect();
    let applied = wait(bench.account.apply(file_change(changes), at(0))).expect("applied");
    assert_eq!((applied.monitors.len(), applied.seq), (100_000, 100_000));
    let mut loaded = 0;
    for shard in ShardId::all() {
        let state = wait(bench.own(shard.0).load()).expect("loaded");
        assert!(state.monitors.iter().all(|monitor| monitor.id.shard() == shard));
        assert!(state.monitors.is_sorted_by_key(|monitor| monitor.id));
        loaded += state.monitors.len();
    }
    assert_eq!(loaded, 100_000);
}
