//! Changes by number: renames, revisions, the bin, pauses, and what the audit log says of them.

use quaywatch_core::judge::Status;
use quaywatch_core::{ChannelId, MonitorId};

use super::configuration::retain;
use super::{Bench, HOUR, Open, at, commit, put, remove, state, step, wait};
use crate::StoreError;
use crate::records::{
    Applied, AuditFilter, AuditRecord, Author, ChangeSet, Owner, Pause, ResourceChange, Retention,
};

fn author() -> Author {
    Author {
        actor: "user:u1".to_owned(),
        address: Some([192, 0, 2, 7].into()),
        request: Some("req-1".into()),
    }
}

fn spec(host: &str) -> String {
    format!(r#"{{"monitor_type":"tcp","host":"{host}","port":22}}"#)
}

fn add(key: &str, host: &str) -> ResourceChange {
    ResourceChange::AddMonitor { key: key.to_owned(), name: key.to_owned(), spec: spec(host) }
}

fn edit(id: MonitorId, revision: Option<u32>, key: &str, host: &str) -> ResourceChange {
    let (key, name) = (key.to_owned(), key.to_owned());
    ResourceChange::EditMonitor { id, revision, key, name, spec: spec(host) }
}

fn settings(url: &str) -> String {
    format!(r#"{{"method":"PUT","url":"{url}"}}"#)
}

fn add_channel(key: &str, url: &str) -> ResourceChange {
    let (key, name, kind) = (key.to_owned(), key.to_owned(), "webhook".to_owned());
    ResourceChange::AddChannel { key, name, kind, settings: settings(url) }
}

fn edit_channel(id: ChannelId, revision: Option<u32>, key: &str, url: &str) -> ResourceChange {
    let (key, name, kind) = (key.to_owned(), key.to_owned(), "webhook".to_owned());
    ResourceChange::EditChannel { id, revision, key, name, kind, settings: settings(url) }
}

impl Bench {
    fn change(&self, owner: Owner, changes: Vec<ResourceChange>, ms: i64) -> Result<Applied, StoreError> {
        wait(self.account.apply(ChangeSet { owner, actor: author(), changes, accepted: None }, at(ms)))
    }

    fn api(&self, changes: Vec<ResourceChange>) -> Result<Applied, StoreError> {
        self.change(Owner::Api, changes, 1)
    }

    fn made(&self, key: &str) -> MonitorId {
        self.api(vec![add(key, "192.0.2.1")]).expect("made").monitors[0].id
    }

    fn names(&self) -> Vec<(MonitorId, String)> {
        wait(self.account.monitors()).expect("read").into_iter().map(|one| (one.id, one.key)).collect()
    }

    fn audited(&self) -> Vec<AuditRecord> {
        let mut rows = wait(self.account.audit(AuditFilter::default())).expect("audit");
        rows.reverse();
        rows
    }
}

pub(super) fn a_rename_keeps_the_number_and_an_old_revision_changes_nothing(open: Open<'_>) {
    let bench = Bench::open(open);
    let id = bench.made("orders");
    let taken = bench.api(vec![add("orders", "192.0.2.9")]);
    assert!(matches!(taken, Err(StoreError::Taken(_))), "{taken:?}");
    let renamed = bench.api(vec![edit(id, Some(1), "orders db", "192.0.2.2")]).expect("renamed").monitors;
    let said = (renamed[0].id, renamed[0].revision, renamed[0].key.as_str(), renamed[0].name.as_str());
    assert_eq!(said, (id, 2, "orders db", "orders db"));
    let stale = bench.api(vec![edit(id, Some(1), "mine", "192.0.2.3")]).expect_err("changed meanwhile");
    assert_eq!(stale, StoreError::Stale { what: id.to_string(), revision: 2 });
    let same = bench.api(vec![edit(id, Some(2), "orders db", "192.0.2.2")]).expect("nothing to do");
    assert!(same.monitors.is_empty());
    // The old name is free.
    let other = bench.made("orders");
    assert_ne!(other, id);
    let taken = bench.api(vec![edit(other, None, "orders db", "192.0.2.1")]);
    assert!(matches!(taken, Err(StoreError::Taken(_))), "{taken:?}");
    let exchanged = vec![edit(id, None, "orders", "192.0.2.2"), edit(other, None, "orders db", "192.0.2.1")];
    bench.api(exchanged).expect("two exchange their names");
    assert_eq!(bench.names(), [(id, "orders".to_owned()), (other, "orders db".to_owned())]);
    // Nobody changes what is another owner's, another account's, or not there.
    let refused = bench.change(Owner::File, vec![edit(id, None, "x", "192.0.2.1")], 1);
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    let nothing = bench.api(vec![edit(MonitorId(99), None, "x", "192.0.2.1")]);
    assert!(matches!(nothing, Err(StoreError::Missing(_))), "{nothing:?}");
    let theirs = wait(bench.system.create_account("other".to_owned(), at(0))).expect("made").id;
    let changes = vec![edit(id, None, "x", "192.0.2.1")];
    let set = ChangeSet { owner: Owner::Api, actor: author(), changes, accepted: None };
    let refused = wait(bench.store.account(theirs).apply(set, at(1)));
    assert!(matches!(refused, Err(StoreError::Missing(_))), "{refused:?}");
    assert_eq!(wait(bench.store.account(theirs).monitor(id)), Ok(None));
    bench.close();
    let bench = Bench::open(open);
    assert_eq!(wait(bench.account.monitor(id)).expect("read").expect("there").revision, 3);
    let was: Vec<_> = wait(bench.account.revisions(id, 2)).expect("read");
    assert_eq!(was.iter().map(|one| one.revision).collect::<Vec<_>>(), [3, 2]);
    let all: Vec<_> = wait(bench.account.revisions(id, 9)).expect("read");
    assert_eq!((all.len(), all[2].revision, &all[2].spec), (3, 1, &spec("192.0.2.1")));
    assert_eq!(wait(bench.store.account(theirs).revisions(id, 9)), Ok(Vec::new()));
    let keys = vec!["orders".to_owned(), "nothing".to_owned(), "orders".to_owned()];
    let found = wait(bench.account.monitors_by_keys(Owner::Api, keys)).expect("read");
    assert_eq!(found.iter().map(|one| one.id).collect::<Vec<_>>(), [id]);
    let found = wait(bench.account.monitors_by_ids(vec![other, id, MonitorId(99), id])).expect("read");
    assert_eq!(found.iter().map(|one| one.id).collect::<Vec<_>>(), [id, other]);
}

pub(super) fn what_is_in_the_bin_comes_back_unless_its_name_was_given_away(open: Open<'_>) {
    let bench = Bench::open(open);
    let bin = |id, revision| bench.api(vec![ResourceChange::BinMonitor { id, revision }]);
    let restore_as = |id, key| bench.api(vec![ResourceChange::RestoreMonitor { id, key }]);
    let restore = |id| restore_as(id, None);
    let first = bench.made("orders");
    assert!(matches!(bin(first, Some(7)), Err(StoreError::Stale { .. })));
    assert_eq!(bin(first, Some(1)).expect("removed").removed_monitors, [first]);
    assert!(matches!(bin(first, None), Err(StoreError::Missing(_))), "it lies there already");
    // Something new of the same name is something else.
    let second = bench.made("orders");
    assert_ne!(second, first);
    bench
        .change(Owner::Api, vec![ResourceChange::BinMonitor { id: second, revision: None }], 9)
        .expect("removed");
    let third = bench.made("orders");
    let removed = |after, limit| {
        let rows = wait(bench.account.removed_monitors(after, limit)).expect("read");
        rows.into_iter()
            .map(|row| (row.monitor.id, row.monitor.key, row.removed_at.expect("in the bin")))
            .collect::<Vec<_>>()
    };
    let wanted = [(second, "orders".to_owned(), at(9)), (first, "orders".to_owned(), at(1))];
    assert_eq!(removed(None, 10), wanted);
    assert_eq!(removed(None, 1), wanted[..1]);
    assert_eq!(removed(Some((at(9), second)), 10), wanted[1..]);
    assert!(matches!(restore(first), Err(StoreError::Taken(_))));
    bench.api(vec![edit(third, None, "orders 3", "192.0.2.1")]).expect("renamed");
    let back = restore(first).expect("the name is free").monitors;
    assert_eq!((back[0].id, back[0].key.as_str(), back[0].revision), (first, "orders", 2));
    assert!(matches!(restore(first), Err(StoreError::Missing(_))), "it is there");
    assert!(matches!(restore(second), Err(StoreError::Taken(_))));
    assert_eq!(bench.names(), [(first, "orders".to_owned()), (third, "orders 3".to_owned())]);
    // Under another key it comes back beside the one that has its own.
    assert!(matches!(restore_as(second, Some("orders 3".to_owned())), Err(StoreError::Taken(_))));
    let beside = restore_as(second, Some("m2".to_owned())).expect("the key is free").monitors;
    assert_eq!((beside[0].id, beside[0].key.as_str(), beside[0].name.as_str()), (second, "m2", "orders"));
    bench.api(vec![ResourceChange::BinMonitor { id: second, revision: None }]).expect("removed");
    retain(&bench, Retention::default(), 31 * 24 * HOUR);
    assert_eq!(removed(None, 10), []);
}

pub(super) fn channels_change_by_number_as_monitors_do(open: Open<'_>) {
    let bench = Bench::open(open);
    let made = bench.api(vec![add_channel("ops", "https://a"), add_channel("dev", "https://b")]);
    let ids: Vec<_> = made.expect("made").channels.iter().map(|channel| channel.id).collect();
    assert!(matches!(bench.api(vec![add_channel("ops", "https://c")]), Err(StoreError::Taken(_))));
    let stale = bench.api(vec![edit_channel(ids[0], Some(4), "ops", "https://c")]);
    assert!(matches!(stale, Err(StoreError::Stale { revision: 1, .. })), "{stale:?}");
    let exchanged = vec![
        edit_channel(ids[0], Some(1), "dev", "https://a"),
        edit_channel(ids[1], None, "ops", "https://b"),
    ];
    bench.api(exchanged).expect("they exchange names");
    let told: Vec<_> = bench.audited().into_iter().skip(2).map(|row| (row.before, row.after)).collect();
    let called = |name: &str| Some(format!(r#"{{"kind":"webhook","name":"{name}"}}"#));
    let since = |name: &str| Some(format!(r#"{{"changed_settings":[],"kind":"webhook","name":"{name}"}}"#));
    assert_eq!(told, [(called("ops"), since("dev")), (called("dev"), since("ops"))]);
    assert_eq!(wait(bench.account.channel(ids[0])).expect("read").expect("there").name, "dev");
    bench.api(vec![ResourceChange::BinChannel { id: ids[0], revision: Some(2) }]).expect("removed");
    assert_eq!(wait(bench.account.channel(ids[0])), Ok(None));
    let third = bench.api(vec![add_channel("dev", "https://d")]).expect("made").channels[0].id;
    let removed = wait(bench.account.removed_channels()).expect("read");
    let said: Vec<_> = removed.iter().map(|one| (one.channel.id, one.channel.key.as_str())).collect();
    assert_eq!(said, [(ids[0], "dev")]);
    let restore = |id| bench.api(vec![ResourceChange::RestoreChannel { id }]);
    assert!(matches!(restore(ids[0]), Err(StoreError::Taken(_))));
    bench.api(vec![ResourceChange::BinChannel { id: third, revision: None }]).expect("removed");
    assert_eq!(restore(ids[0]).expect("back").channels[0].name, "dev");
    assert!(matches!(restore(third), Err(StoreError::Taken(_))));
}

pub(super) fn a_pause_outlives_reloads_and_ends_by_itself(open: Open<'_>) {
    let bench = Bench::open(open);
    let ids = bench.add(&["a", "b"]);
    let made = bench.made("c");
    let pause = |until: Option<i64>| Some(Pause { until: until.map(at), reason: "upgrade".to_owned() });
    let set =
        |ids: &[MonitorId], pause, ms| wait(bench.account.set_paused(ids.to_vec(), pause, author(), at(ms)));
    let paused = set(&[ids[0], made], pause(Some(HOUR)), 1).expect("paused");
    assert!(paused.monitors.iter().all(|one| one.paused && one.revision == 1), "{paused:?}");
    assert_eq!(paused.monitors.len(), 2);
    assert_eq!(set(&[ids[0]], pause(Some(HOUR)), 2).expect("so already").monitors, []);
    assert!(matches!(set(&[ids[1], MonitorId(99)], pause(None), 2), Err(StoreError::Missing(_))));
    assert!(!wait(bench.account.monitor(ids[1])).expect("read").expect("there").paused, "all or nothing");
    let read_again = vec![put("a", r#"{"name":"a","new":1}"#), put("b", r#"{"name":"b"}"#)];
    let applied = bench.change(Owner::File, read_again, 3).expect("applied");
    assert!(applied.monitors.iter().all(|one| one.id == ids[0] && one.paused), "{applied:?}");

    let row = |id| wait(bench.account.monitor_rows(vec![id])).expect("read").remove(0);
    let kept = row(ids[0]).pause.expect("paused");
    assert_eq!((kept.until, kept.at, kept.by.as_str()), (Some(at(HOUR)), at(1), "user:u1"));
    assert_eq!((row(ids[0]).status, row(ids[0]).since), (Status::Paused, at(1)));
    // What the judge says meanwhile does not matter, until it goes on.
    let shard = bench.own(made.shard().0);
    let mut judged = step(made, 5);
    judged.states.push(state(made, Status::Down, 4));
    commit(&shard, judged);
    assert_eq!(row(made).status, Status::Paused);
    let counts = || wait(bench.account.status_counts()).expect("counts");
    assert_eq!((counts().of(Status::Paused), counts().of(Status::Down), counts().total()), (2, 0, 3));

    assert_eq!(wait(bench.system.next_pause_end()), Ok(Some(at(HOUR))));
    assert_eq!(wait(bench.system.end_pauses(at(HOUR - 1), 10)), Ok(Vec::new()));
    set(&[ids[0]], pause(None), 6).expect("for longer");
    let ended = wait(bench.system.end_pauses(at(HOUR), 10)).expect("ended");
    assert_eq!(ended.len(), 1);
    let went_on: Vec<_> = ended[0].1.monitors.iter().map(|one| (one.id, one.paused)).collect();
    assert_eq!((ended[0].0, went_on), (quaywatch_core::AccountId::DEFAULT, vec![(made, false)]));
    assert_eq!(wait(bench.system.next_pause_end()), Ok(None));
    assert_eq!((row(made).status, row(made).since), (Status::Down, at(4)));
    assert_eq!((counts().of(Status::Paused), counts().of(Status::Down)), (1, 1));
    set(&[ids[0], ids[1]], None, 7).expect("goes on");
    assert_eq!(row(ids[0]).pause, None);
    assert!(!row(ids[0]).monitor.paused);

    let said: Vec<_> = bench
        .audited()
        .into_iter()
        .filter(|row| row.action.ends_with("paused") || row.action.ends_with("resumed"))
        .map(|row| (row.action, row.author.actor, row.object.expect("a monitor").1))
        .collect();
    let by = |action: &str, actor: &str, id: MonitorId| (action.to_owned(), actor.to_owned(), id.0);
    let wanted = [
        by("monitor.paused", "user:u1", ids[0]),
        by("monitor.paused", "user:u1", made),
        by("monitor.paused", "user:u1", ids[0]),
        by("monitor.resumed", "clock", made),
        by("monitor.resumed", "user:u1", ids[0]),
    ];
    assert_eq!(said, wanted);
}

pub(super) fn every_change_is_in_the_audit_log_as_it_was_and_as_it_is(open: Open<'_>) {
    let bench = Bench::open(open);
    let id = bench.made("orders");
    bench.api(vec![edit(id, None, "orders", "192.0.2.2")]).expect("changed");
    bench.api(vec![ResourceChange::BinMonitor { id, revision: None }]).expect("removed");
    bench.api(vec![ResourceChange::RestoreMonitor { id, key: None }]).expect("restored");
    let channel = bench.api(vec![add_channel("ops", "https://PLANTED")]).expect("made").channels[0].id;
    bench.api(vec![edit_channel(channel, None, "ops", "https://PLANTED/2")]).expect("changed");
    bench.change(Owner::File, vec![put("a", &spec("192.0.2.5"))], 2).expect("applied");
    let rows = bench.audited();
    let (old, new) = (spec("192.0.2.1"), spec("192.0.2.2"));
    let said: Vec<_> =
        rows.iter().map(|row| (row.action.as_str(), row.before.as_deref(), row.after.as_deref())).collect();
    let file = spec("192.0.2.5");
    let ops = r#"{"kind":"webhook","name":"ops"}"#;
    assert_eq!(
        said,
        [
            ("monitor.created", None, Some(old.as_str())),
            ("monitor.changed", Some(old.as_str()), Some(new.as_str())),
            ("monitor.removed", Some(new.as_str()), None),
            ("monitor.restored", Some(new.as_str()), Some(new.as_str())),
            ("channel.created", None, Some(ops)),
            (
                "channel.changed",
                Some(ops),
                Some(r#"{"changed_settings":["url"],"kind":"webhook","name":"ops"}"#)
            ),
            ("monitor.created", None, Some(file.as_str())),
            ("apply", None, None),
        ]
    );
    assert!(rows.iter().all(|row| row.author == author()), "{rows:?}");
    assert_eq!(rows[7].detail, "monitors +1 -0, channels +0 -0");
    assert!(!format!("{rows:?}").contains("PLANTED"), "no setting of a channel is told");
    // Nothing changed, nothing said.
    bench.change(Owner::File, vec![put("a", &spec("192.0.2.5"))], 3).expect("applied");
    assert_eq!(bench.audited().len(), 8);
    // Of very many things at once the first are told one by one.
    let many = (0..1_200).map(|i| put(&format!("m{i}"), "{}")).collect();
    bench.change(Owner::Apply("staging".to_owned()), many, 4).expect("applied");
    let count = wait(bench.account.audit(AuditFilter { limit: 10_000, ..AuditFilter::default() }));
    assert_eq!(count.expect("audit").len(), 8 + 1_000 + 1);
    let gone = bench.change(Owner::Apply("staging".to_owned()), vec![remove("m0")], 5).expect("applied");
    assert_eq!(gone.removed_monitors.len(), 1);
}
