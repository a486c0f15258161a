//! Monitors by operations, on a real store.

use quaywatch_core::access::Role;
use quaywatch_core::doc::Node;
use quaywatch_core::judge::Status;
use quaywatch_core::{AccountId, MonitorId};
use quaywatch_store::Store as _;
use quaywatch_store::records::{ChangeSet, Owner, ResourceChange};

use super::OperationError;
use super::apply::Document;
use super::audit::AuditQuery;
use super::bulk::{BulkAct, BulkUpdate};
use super::kit::{HOUR, Kit, caller, owner};
use super::monitors::{MonitorFilter, PauseFor, TagFilter};
use crate::caller::Caller;
use crate::config;

/// A body as it comes.
fn body(json: &str) -> Node<'_> {
    Node::from_json(json).expect("JSON")
}

/// The paths and codes of what is wrong.
fn wrong<T: std::fmt::Debug>(result: Result<T, OperationError>) -> Vec<(String, &'static str)> {
    match result {
        Err(OperationError::Invalid(problems)) => {
            problems.iter().map(|problem| (problem.path.clone(), problem.code)).collect()
        }
        other => panic!("nothing is wrong: {other:?}"),
    }
}

fn conflict<T: std::fmt::Debug>(result: Result<T, OperationError>) -> &'static str {
    match result {
        Err(OperationError::Conflict { code, .. }) => code,
        other => panic!("no conflict: {other:?}"),
    }
}

#[tokio::test]
async fn a_monitor_is_made_read_changed_and_removed() {
    let kit = Kit::new().await;
    let (operations, me) = (&kit.operations, owner());
    let made = operations
        .create_monitor(
            &me,
            &body(r#"{"name":"db","host":"db.example.com","port":5432,"tags":{"env":"prod"}}"#),
        )
        .await
        .expect("made");
    let id = made.monitor.id;
    assert_eq!(
        (made.monitor.revision, made.monitor.status, made.monitor.owner),
        (1, Status::Pending, Owner::Api)
    );

    let patch = body(r#"{"port":"postgresql","name":"orders"}"#);
    let changed = operations.update_monitor(&me, id, &patch, Some(1)).await.expect("changed").monitor;
    assert_eq!((changed.id, changed.revision, changed.spec.name.as_str()), (id, 2, "orders"));
    assert_eq!(changed.spec.tags["env"], "prod", "what is not named stays");

    let late = operations.update_monitor(&me, id, &body("{}"), Some(1)).await;
    assert!(matches!(late, Err(OperationError::Changed)), "{late:?}");
    let late = operations.delete_monitor(&me, id, Some(1)).await;
    assert!(matches!(late, Err(OperationError::Changed)), "{late:?}");
    operations.delete_monitor(&me, id, Some(2)).await.expect("removed");
    let gone = operations.read_monitor(&me, id).await;
    assert!(matches!(gone, Err(OperationError::NotFound { .. })), "{gone:?}");
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_at_once() {
    let kit = Kit::new().await;
    let all_wrong = body(r#"{"name":"x","host":"a/b","port":70000,"prot":1}"#);
    let mut found = wrong(kit.operations.create_monitor(&owner(), &all_wrong).await);
    found.sort();
    let paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["host", "port", "prot"]);
}

#[tokio::test]
async fn a_name_is_taken_once_and_another_accounts_does_not_count() {
    let kit = Kit::new().await;
    let other = kit.account("other").await;
    kit.monitor_of(other, r#"{"name":"db","host":"b","port":1}"#).await;
    let spec = r#"{"name":"db","host":"a","port":1}"#;
    let first = kit.operations.create_monitor(&owner(), &body(spec)).await.expect("made").monitor.id;
    assert_eq!(conflict(kit.operations.create_monitor(&owner(), &body(spec)).await), "name_taken");
    let clone = kit.operations.clone_monitor(&owner(), first, None).await.expect("cloned").monitor;
    assert_eq!(clone.spec.name, "db (copy)");
    assert_eq!(conflict(kit.operations.clone_monitor(&owner(), first, None).await), "name_taken");
}

#[tokio::test]
async fn what_is_anothers_does_not_exist_and_looking_is_not_changing() {
    let kit = Kit::new().await;
    let id = kit.monitor("db").await;
    let stranger = caller(kit.account("other").await, Role::Owner);
    let operations = &kit.operations;
    let answers = [
        operations.read_monitor(&stranger, id).await.map(drop),
        operations.update_monitor(&stranger, id, &body("{}"), None).await.map(drop),
        operations.delete_monitor(&stranger, id, None).await,
        operations.clone_monitor(&stranger, id, None).await.map(drop),
        operations.check_now(&stranger, id).await.map(drop),
        operations.pause_monitor(&stranger, id, &Default::default()).await.map(drop),
        operations.resume_monitor(&stranger, id).await.map(drop),
        operations.restore_monitor(&stranger, id).await.map(drop),
        operations.delete_url(&stranger, id).await,
    ];
    for answer in answers {
        assert!(matches!(answer, Err(OperationError::NotFound { .. })), "{answer:?}");
    }
    let viewer = caller(AccountId::DEFAULT, Role::Viewer);
    assert!(operations.read_monitor(&viewer, id).await.is_ok());
    let refused = operations.update_monitor(&viewer, id, &body("{}"), None).await;
    assert!(matches!(refused, Err(OperationError::Denied(_))), "{refused:?}");
}

/// A monitor that the server's file owns, and the file itself.
async fn from_file(kit: &Kit) -> MonitorId {
    const FILE: &str = "monitors:\n  - {name: ssh, host: 192.0.2.1, port: 22}\n";
    let config = config::read(FILE, "q.yaml", &|_| None).expect("a good file");
    let account = kit.store.account(AccountId::DEFAULT);
    let set = ChangeSet {
        accepted: Some(config.accepted(FILE, quaywatch_core::Clock::now(&*kit.clock))),
        ..config::diff(&config, &[], &[])
    };
    account.apply(set, quaywatch_core::Clock::now(&*kit.clock)).await.expect("applied").monitors[0].id
}

#[tokio::test]
async fn what_a_file_owns_is_shown_and_refused_with_its_line() {
    let kit = Kit::new().await;
    let id = from_file(&kit).await;
    let view = kit.operations.read_monitor(&owner(), id).await.expect("shown");
    assert_eq!(view.owner, Owner::File);
    assert_eq!(view.source.as_ref().and_then(|source| source.line), Some(2));
    let refused = kit.operations.update_monitor(&owner(), id, &body(r#"{"port":23}"#), None).await;
    let Err(OperationError::Conflict { code, message }) = refused else { panic!("{refused:?}") };
    assert_eq!(code, "managed_by_file");
    assert!(message.contains("q.yaml, line 2"), "{message}");
    assert_eq!(conflict(kit.operations.delete_monitor(&owner(), id, None).await), "managed_by_file");
    assert!(kit.operations.clone_monitor(&owner(), id, None).await.is_ok(), "a copy is nobody's");
}

#[tokio::test]
async fn t18_p22_z22_a_plan_of_five_takes_five_and_says_so() {
    let plans =
        "server: {plans: {free: {max_urls: 5, min_interval: 5m}}, default_plan: free}\nmonitors: []\n";
    let kit = Kit::with(plans).await;
    let spec = |n: u32, interval: &str| {
        format!(r#"{{"name":"m{n}","host":"a","port":{n},"check_interval":"{interval}"}}"#)
    };
    for n in 1..=5 {
        kit.operations.create_monitor(&owner(), &body(&spec(n, "5m"))).await.expect("room for five");
    }
    let sixth = kit.operations.create_monitor(&owner(), &body(&spec(6, "5m"))).await;
    let Err(OperationError::Limit { limit, plan, .. }) = sixth else { panic!("{sixth:?}") };
    assert_eq!((limit, plan.as_str()), ("max_urls", "free"));
    let often = kit.operations.create_monitor(&owner(), &body(&spec(7, "1m"))).await;
    assert!(matches!(often, Err(OperationError::Limit { limit: "min_interval", .. })), "{often:?}");
}

#[tokio::test]
async fn without_plans_nothing_is_limited() {
    let kit = Kit::new().await;
    let entry = body(r#"{"name":"many","host":"a","ports":["1-1000"],"check_interval":"1s"}"#);
    let report = kit.operations.bulk_monitors(&owner(), BulkAct::Create(&[entry]), true).await.expect("done");
    assert_eq!(report.items[0].outcome.as_ref().map(Vec::len).ok(), Some(1_000));
}

#[tokio::test]
async fn many_are_made_each_with_its_own_answer() {
    let kit = Kit::new().await;
    kit.monitor("taken").await;
    let entries: Vec<Node<'_>> = [
        r#"{"name":"a","host":"a","port":1}"#,
        r#"{"name":"b","host":"a","port":0}"#,
        r#"{"name":"taken","host":"a","port":1}"#,
        r#"{"name":"a","host":"c","port":1}"#,
        r#"{"name":"web","hosts":["d","e"],"port":443}"#,
    ]
    .map(body)
    .into();
    let operations = &kit.operations;
    let whole = operations.bulk_monitors(&owner(), BulkAct::Create(&entries), true).await.expect("a report");
    assert!(!whole.done);
    assert_eq!(
        kit.store.account(AccountId::DEFAULT).monitors().await.expect("read").len(),
        1,
        "all or nothing"
    );

    let single =
        operations.bulk_monitors(&owner(), BulkAct::Create(&entries), false).await.expect("a report");
    let counts: Vec<Option<usize>> =
        single.items.iter().map(|item| item.outcome.as_ref().ok().map(Vec::len)).collect();
    assert_eq!(counts, [Some(1), None, None, None, Some(2)]);
    assert!(single.done);

    let too_many: Vec<Node<'_>> = (0..1_001).map(|_| body(r#"{"name":"x","host":"a","port":1}"#)).collect();
    let refused = operations.bulk_monitors(&owner(), BulkAct::Create(&too_many), false).await;
    assert_eq!(wrong(refused), [("monitors".to_owned(), "too_many")]);
}

#[tokio::test]
async fn many_are_changed_and_removed() {
    let kit = Kit::new().await;
    let ids = [kit.monitor("a").await, kit.monitor("b").await];
    let file = from_file(&kit).await;
    let patch = body(r#"{"check_interval":"5m"}"#);
    let update = |id| BulkUpdate { id, patch: &patch, revision: None };
    let updates = vec![update(ids[0]), update(MonitorId(999)), update(file), update(ids[0]), update(ids[1])];
    let report = kit.operations.bulk_monitors(&owner(), BulkAct::Update(updates), false).await.expect("done");
    let revisions: Vec<Option<u32>> =
        report.items.iter().map(|item| item.outcome.as_ref().ok().map(|done| done[0].revision)).collect();
    assert_eq!(revisions, [Some(2), None, None, None, Some(2)]);
    let report = kit.operations.bulk_monitors(&owner(), BulkAct::Delete(&[ids[0], file]), false).await;
    let outcomes: Vec<bool> = report.expect("done").items.iter().map(|item| item.outcome.is_ok()).collect();
    assert_eq!(outcomes, [true, false]);
    assert!(kit.operations.read_monitor(&owner(), file).await.is_ok());
}

#[tokio::test]
async fn monitors_are_found_by_what_they_are() {
    let kit = Kit::new().await;
    for spec in [
        r#"{"name":"orders db","host":"db.example.com","port":5432,"group":"infra/db","tags":{"env":"prod"}}"#,
        r#"{"name":"Cache","host":"cache.example.com","port":6379,"group":"infra","tags":{"env":"test"}}"#,
        r#"{"name":"shop","host":"192.0.2.7","port":443,"tags":{"env":"prod","tier":"1"}}"#,
    ] {
        kit.operations.create_monitor(&owner(), &body(spec)).await.expect("made");
    }
    let find = async |filter: MonitorFilter| {
        let list = kit.operations.list_monitors(&owner(), &filter.into()).await.expect("a page");
        list.page.items.into_iter().map(|one| one.spec.name).collect::<Vec<_>>()
    };
    let all = MonitorFilter::default;
    assert_eq!(find(all()).await.len(), 3);
    assert_eq!(find(MonitorFilter { search: Some("EXAMPLE".into()), ..all() }).await, ["orders db", "Cache"]);
    assert_eq!(find(MonitorFilter { search: Some("cach".into()), ..all() }).await, ["Cache"]);
    assert_eq!(find(MonitorFilter { port: Some(443), ..all() }).await, ["shop"]);
    assert_eq!(find(MonitorFilter { group: Some("infra".into()), ..all() }).await, ["orders db", "Cache"]);
    let tag = |name: &str, value: Option<&str>| TagFilter { name: name.into(), value: value.map(Into::into) };
    let tags = vec![tag("env", Some("prod")), tag("tier", None)];
    assert_eq!(find(MonitorFilter { tags, ..all() }).await, ["shop"]);
    assert_eq!(kit.operations.find_monitor(&owner(), "Cache").await.expect("by name"), MonitorId(2));
    assert_eq!(kit.operations.find_monitor(&owner(), "m3").await.expect("by number"), MonitorId(3));

    let groups = kit.operations.list_groups(&owner()).await.expect("groups");
    let counts: Vec<(&str, u64)> = groups.iter().map(|g| (g.path.as_str(), g.counts.total())).collect();
    assert_eq!(counts, [("infra", 2), ("infra/db", 1)]);
    let tags = kit.operations.list_tags(&owner()).await.expect("tags");
    let counts: Vec<_> =
        tags.iter().map(|tag| (tag.name.as_str(), tag.value.as_str(), tag.monitors)).collect();
    assert_eq!(counts, [("env", "prod", 2), ("env", "test", 1), ("tier", "1", 1)]);
}

#[tokio::test]
async fn a_removed_monitor_comes_back_with_its_number() {
    let kit = Kit::new().await;
    let id = kit.monitor("db").await;
    kit.operations.delete_monitor(&owner(), id, None).await.expect("removed");
    let bin = kit.operations.list_removed_monitors(&owner(), &Default::default()).await.expect("the bin");
    assert_eq!(bin.items.iter().map(|one| (one.id, one.name.as_str())).collect::<Vec<_>>(), [(id, "db")]);
    let back = kit.operations.restore_monitor(&owner(), id).await.expect("restored");
    assert_eq!((back.id, back.spec.name.as_str()), (id, "db"));
    let again = kit.operations.restore_monitor(&owner(), id).await;
    assert!(matches!(again, Err(OperationError::NotFound { .. })), "it lies in no bin: {again:?}");
}

#[tokio::test]
async fn what_lies_in_the_bin_is_nothing_that_is_made_anew() {
    let kit = Kit::new().await;
    let (operations, me) = (&kit.operations, owner());
    let of = |host: &str| format!(r#"{{"name":"db","host":"{host}","port":5432}}"#);
    let bin = async |id| operations.delete_monitor(&me, id, None).await.expect("removed");
    let first = operations.create_monitor(&me, &body(&of("192.0.2.1"))).await.expect("made").monitor;
    bin(first.id).await;
    kit.clock.advance(HOUR);

    // By each way in which the API makes monitors.
    let second = operations.create_monitor(&me, &body(&of("192.0.2.2"))).await.expect("made").monitor;
    assert_eq!((second.id, second.revision), (MonitorId(first.id.0 + 1), 1));
    assert_eq!(second.created_at, first.created_at + HOUR);
    bin(second.id).await;
    let text = of("192.0.2.3");
    let bulk = operations.bulk_monitors(&me, BulkAct::Create(&[body(&text)]), true).await.expect("done");
    let third = bulk.items[0].outcome.as_ref().expect("made")[0].id;
    bin(third).await;
    let like = kit.monitor_of(AccountId::DEFAULT, r#"{"name":"like","host":"192.0.2.4","port":1}"#).await;
    let over = body(r#"{"name":"db"}"#);
    let fourth = operations.clone_monitor(&me, like, Some(&over)).await.expect("cloned").monitor.id;
    bin(fourth).await;
    let url = body(r#"{"url":"192.0.2.5","monitor_type":"tcp","port":1,"name":"db"}"#);
    let fifth = operations.create_url(&me, &url).await.expect("made").url.id;
    bin(fifth).await;
    let text = "monitors: [{name: db, host: 192.0.2.6, port: 1}]\n";
    let plan = operations.apply_document(&me, &Document::Import, text, false).await.expect("imported");
    let sixth: MonitorId = plan.added[0].id.as_deref().expect("a number").parse().expect("a number");
    let all = [first.id, second.id, third, fourth, fifth, sixth];
    assert!(all.iter().collect::<std::collections::BTreeSet<_>>().len() == all.len(), "{all:?}");
    let rows = operations.list_removed_monitors(&me, &Default::default()).await.expect("the bin").items;
    let mut binned: Vec<(MonitorId, &str)> = rows.iter().map(|one| (one.id, &*one.target)).collect();
    binned.sort();
    assert_eq!(binned[..2], [(first.id, "192.0.2.1:5432"), (second.id, "192.0.2.2:5432")]);
    assert_eq!(binned.len(), 5);

    // What is in the way is told, and what is told helps.
    let refused = operations.restore_monitor(&me, first.id).await.expect_err("the name is taken");
    let OperationError::Conflict { code: "name_taken", message } = refused else { panic!("{refused}") };
    let (said, remedy) =
        (format!("monitor {sixth} is called `db` by now"), format!("then restore {}", first.id));
    assert!(message.contains(&said) && message.contains(&remedy), "{message}");
    operations.update_monitor(&me, sixth, &body(r#"{"name":"new db"}"#), None).await.expect("renamed");
    let back = operations.restore_monitor(&me, first.id).await.expect("nothing is in the way");
    assert_eq!(
        (back.id, &*back.spec.target(), back.created_at),
        (first.id, "192.0.2.1:5432", first.created_at)
    );
    let patch = body(r#"{"check_interval":"30s"}"#);
    operations.update_monitor(&me, first.id, &patch, None).await.expect("it can be changed as any other");
    operations.update_monitor(&me, sixth, &patch, None).await.expect("the other one too");
}

#[tokio::test]
async fn the_document_of_an_owner_brings_back_what_it_had() {
    let kit = Kit::new().await;
    let apply = async |text: &str| {
        let document = Document::Apply("infra".to_owned());
        kit.operations.apply_document(&owner(), &document, text, false).await.expect("applied")
    };
    let with = "monitors: [{name: db, host: 192.0.2.1, port: 1}]\n";
    let made = apply(with).await.added[0].id.clone();
    assert_eq!(apply("monitors: []\n").await.removed.len(), 1);
    assert_eq!(apply(with).await.added[0].id, made);
}

#[tokio::test]
async fn what_is_switched_off_is_neither_resumed_nor_looked_at() {
    let kit = Kit::new().await;
    let (operations, me) = (&kit.operations, owner());
    let id = kit
        .monitor_of(AccountId::DEFAULT, r#"{"name":"db","host":"192.0.2.1","port":1,"enabled":false}"#)
        .await;
    let bulk = operations.bulk_monitors(&me, BulkAct::Resume(&[id]), false).await.expect("told by item");
    let [item] = <[_; 1]>::try_from(bulk.items).expect("one");
    let refused = [
        operations.resume_monitor(&me, id).await.map(drop),
        operations.check_now(&me, id).await.map(drop),
        item.outcome.map(drop),
    ];
    for refused in refused {
        let Err(OperationError::Conflict { code: "switched_off", message }) = refused else {
            panic!("{refused:?}")
        };
        assert!(
            message.contains("`enabled: false`") && message.contains(r#"m1 {"enabled": true}"#),
            "{message}"
        );
    }
    operations.pause_monitor(&me, id, &PauseFor::default()).await.expect("as before");
    operations.update_monitor(&me, id, &body(r#"{"enabled":true}"#), None).await.expect("on again");
    assert!(operations.resume_monitor(&me, id).await.expect("resumed").paused.is_none());
}

#[tokio::test]
async fn a_pause_is_kept_over_edits_and_belongs_to_whoever_owns_the_monitor() {
    let kit = Kit::new().await;
    let (own, file) = (kit.monitor("db").await, from_file(&kit).await);
    for id in [own, file] {
        let paused = kit.operations.pause_monitor(&owner(), id, &Default::default()).await.expect("paused");
        assert_eq!(paused.status, Status::Paused);
    }
    let changed =
        kit.operations.update_monitor(&owner(), own, &body(r#"{"port":1}"#), None).await.expect("changed");
    assert!(changed.monitor.paused.is_some());
    let resumed = kit.operations.resume_monitor(&owner(), own).await.expect("resumed");
    assert!(resumed.paused.is_none() && resumed.status == Status::Pending, "{resumed:?}");
    assert!(kit.operations.resume_monitor(&owner(), own).await.is_ok(), "twice is once");
}

#[tokio::test]
async fn a_channel_can_be_named_by_name_and_by_number() {
    let kit = Kit::new().await;
    let put = ResourceChange::PutChannel {
        key: "ops".into(),
        name: "ops".into(),
        kind: "log".into(),
        settings: "{}".into(),
    };
    let set = ChangeSet { owner: Owner::Api, actor: "test".into(), changes: vec![put], accepted: None };
    let account = kit.store.account(AccountId::DEFAULT);
    account.apply(set, quaywatch_core::Clock::now(&*kit.clock)).await.expect("applied");
    for (n, channel) in ["ops", "ch1"].into_iter().enumerate() {
        let spec = format!(r#"{{"name":"m{n}","host":"a","port":1,"channels":["{channel}"]}}"#);
        kit.operations.create_monitor(&owner(), &body(&spec)).await.expect(channel);
    }
    let nobody = body(r#"{"name":"x","host":"a","port":1,"channels":["opps"]}"#);
    assert_eq!(
        wrong(kit.operations.create_monitor(&owner(), &nobody).await),
        [("channels".into(), "undeclared")]
    );
}

#[tokio::test]
async fn what_is_done_to_a_monitor_stands_in_the_audit_log_with_who_and_from_where() {
    let kit = Kit::new().await;
    let address = "192.0.2.7".parse().expect("an address");
    let who = Caller { address: Some(address), request_id: Some("req-1".into()), ..owner() };
    let made = kit
        .operations
        .create_monitor(&who, &body(r#"{"name":"db","host":"192.0.2.1","port":5432}"#))
        .await
        .expect("made");
    let id = made.monitor.id;
    kit.operations.update_monitor(&who, id, &body(r#"{"port":5433}"#), None).await.expect("changed");
    kit.operations.pause_monitor(&who, id, &PauseFor::default()).await.expect("paused");
    kit.operations.delete_monitor(&who, id, None).await.expect("removed");
    let query = AuditQuery { object: Some(id.to_string()), ..AuditQuery::default() };
    let rows = kit.operations.list_audit(&owner(), &query).await.expect("rows").items;
    assert_eq!(rows.len(), 4, "{rows:?}");
    for row in &rows {
        let told = (row.actor.as_str(), row.address, row.request.as_deref());
        assert_eq!(told, ("user:u3", Some(address), Some("req-1")), "{row:?}");
    }
    let changed = &rows[2];
    assert!(changed.before.as_deref().is_some_and(|before| before.contains("5432")), "{changed:?}");
    assert!(changed.after.as_deref().is_some_and(|after| after.contains("5433")), "{changed:?}");
}
