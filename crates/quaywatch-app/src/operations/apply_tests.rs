//! Documents of an account: planned, applied, exported, imported.

use quaywatch_core::AccountId;
use quaywatch_core::access::{Access, Role};
use quaywatch_core::doc::Node;
use quaywatch_store::Store as _;
use quaywatch_store::records::Owner;

use super::OperationError;
use super::apply::{ApplyPlan, Document};
use super::kit::{Kit, caller, owner};
use crate::caller::Caller;

async fn apply(kit: &Kit, text: &str, dry_run: bool) -> Result<ApplyPlan, OperationError> {
    kit.operations.apply_document(&owner(), &Document::Apply("site".into()), text, dry_run).await
}

async fn names(kit: &Kit) -> Vec<String> {
    let monitors = kit.store.account(AccountId::DEFAULT).monitors().await.expect("read");
    monitors.into_iter().map(|one| one.name).collect()
}

const FIRST: &str = "\
channels:
  - {name: ops, type: log}
defaults: {channels: [ops]}
monitors:
  - {name: ssh, host: 192.0.2.1, port: 22}
  - {name: web, host: 192.0.2.2, ports: [80, 443]}
";

#[tokio::test]
async fn a_document_is_planned_then_made_true_then_changes_nothing() {
    let kit = Kit::new().await;
    let planned = apply(&kit, FIRST, true).await.expect("a plan");
    assert_eq!((planned.added.len(), planned.applied), (4, false));
    assert_eq!(names(&kit).await, [""; 0], "a plan changes nothing");
    let done = apply(&kit, FIRST, false).await.expect("applied");
    assert!(done.applied && done.added.iter().all(|thing| thing.id.is_some()), "{done:?}");
    assert_eq!(names(&kit).await, ["ssh", "web 80", "web 443"]);
    let again = apply(&kit, FIRST, false).await.expect("nothing to do");
    assert_eq!((again.added.len(), again.changed.len(), again.removed.len(), again.unchanged), (0, 0, 0, 4));

    let second = FIRST.replace("port: 22", "port: 2222").replace("[80, 443]", "[443]");
    let plan = apply(&kit, &second, false).await.expect("applied");
    let change = &plan.changed[0];
    assert_eq!((change.thing.name.as_str(), change.fields[0].field.as_str()), ("ssh", "port"));
    assert_eq!(change.fields[0].before.as_deref(), Some("22"));
    assert_eq!(change.fields[0].after.as_deref(), Some("2222"));
    assert_eq!(plan.removed.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["web 80"]);
}

#[tokio::test]
async fn an_owner_removes_only_its_own_and_its_things_are_edited_nowhere_else() {
    let kit = Kit::new().await;
    kit.monitor("mine").await;
    apply(&kit, "monitors: [{name: ssh, host: 192.0.2.1, port: 22}]\n", false).await.expect("applied");
    apply(&kit, "monitors: []\n", false).await.expect("applied");
    assert_eq!(names(&kit).await, ["mine"]);
    apply(&kit, "monitors: [{name: ssh, host: 192.0.2.1, port: 22}]\n", false).await.expect("applied");
    let id = kit.operations.find_monitor(&owner(), "ssh").await.expect("back again");
    let refused = kit.operations.delete_monitor(&owner(), id, None).await;
    assert!(matches!(refused, Err(OperationError::Conflict { code: "managed_by_apply", .. })), "{refused:?}");
    assert_eq!(
        kit.operations.read_monitor(&owner(), id).await.expect("shown").owner,
        Owner::Apply("site".into())
    );
}

#[tokio::test]
async fn what_is_wrong_is_told_with_its_line_and_changes_nothing() {
    let kit = Kit::new().await;
    let text = "server: {listen: 127.0.0.1:1}\nmonitors:\n  - {name: a, host: x, port: 0}\n  - {name: b, host: x, port: 1, channels: [gone]}\n";
    let Err(OperationError::Invalid(problems)) = apply(&kit, text, false).await else {
        panic!("it is wrong")
    };
    let found: Vec<(u32, &str)> = problems.sorted().iter().map(|one| (one.span.line, one.code)).collect();
    assert_eq!(found, [(1, "not_here"), (3, "out_of_range"), (4, "undeclared")]);
    assert!(apply(&kit, "[]", false).await.is_err() && apply(&kit, "", false).await.is_err());
    let name = Document::Apply("a/b".into());
    assert!(kit.operations.apply_document(&owner(), &name, "monitors: []", true).await.is_err());
    let editor = caller(AccountId::DEFAULT, Role::Editor);
    let refused = kit.operations.apply_document(&editor, &Document::Import, "monitors: []", true).await;
    assert!(matches!(refused, Err(OperationError::Denied(_))), "{refused:?}");
}

#[tokio::test]
async fn a_plan_of_an_account_bounds_its_documents() {
    let plans = "server: {plans: {free: {max_urls: 2, channels: 0}}, default_plan: free}\nmonitors: []\n";
    let kit = Kit::with(plans).await;
    let refused = apply(&kit, "monitors: [{name: a, host: x, ports: [1-3]}]\n", true).await;
    assert!(matches!(refused, Err(OperationError::Limit { limit: "max_urls", .. })), "{refused:?}");
    apply(&kit, "monitors: [{name: a, host: x, ports: [1-2]}]\n", false).await.expect("two");
    apply(&kit, "monitors: [{name: b, host: x, ports: [1-2]}]\n", false)
        .await
        .expect("two others in their place");
    let refused = apply(&kit, "channels: [{name: ops, type: log}]\nmonitors: []\n", true).await;
    assert!(matches!(refused, Err(OperationError::Limit { limit: "channels", .. })), "{refused:?}");
}

#[tokio::test]
async fn an_export_reads_back_equal() {
    let kit = Kit::new().await;
    apply(&kit, FIRST, false).await.expect("applied");
    kit.monitor_of(
        AccountId::DEFAULT,
        r#"{"name":"own: # odd","id":"k","host":"192.0.2.9","port":1,"check_interval":"90s","tags":["x:y"],"channels":["ops"]}"#,
    )
    .await;
    let text = kit.operations.export_config(&owner(), None).await.expect("YAML");
    let config =
        crate::config::read(&text, "q.yaml", &|_| None).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut read: Vec<String> = config.monitors.iter().map(|one| one.spec.to_string()).collect();
    let stored = kit.store.account(AccountId::DEFAULT).monitors().await.expect("read");
    let mut wanted: Vec<String> = stored.into_iter().map(|one| one.spec).collect();
    read.sort();
    wanted.sort();
    assert_eq!(read, wanted);

    let other = Kit::new().await;
    let import = async |dry_run| {
        let done = other.operations.apply_document(&owner(), &Document::Import, &text, dry_run).await;
        done.expect("a document")
    };
    assert_eq!(import(false).await.added.len(), 5);
    assert_eq!(import(true).await.unchanged, 5);
    let partial = "monitors: [{name: ssh, host: 192.0.2.8, port: 22}]\n";
    let plan =
        other.operations.apply_document(&owner(), &Document::Import, partial, false).await.expect("done");
    assert_eq!((plan.changed.len(), plan.removed.len()), (1, 0), "an import removes nothing");
}

#[tokio::test]
async fn a_document_silences_nobody_by_renaming_a_channel() {
    let kit = Kit::new().await;
    let named = |name: &str| format!("channels: [{{id: k, name: {name}, type: log}}]\nmonitors: []\n");
    apply(&kit, &named("ops"), false).await.expect("applied");
    let mine =
        |channel: &str| format!(r#"{{"name":"mine","host":"192.0.2.1","port":1,"channels":["{channel}"]}}"#);
    let id = kit.monitor_of(AccountId::DEFAULT, &mine("ops")).await;
    let refused = apply(&kit, &named("ops2"), true).await;
    let Err(OperationError::Conflict { code: "channel_in_use", message }) = refused else {
        panic!("{refused:?}")
    };
    assert!(message.contains("`mine`") && message.contains("ch1"), "{message}");
    let by_number = Node::from_json(r#"{"channels":["ch1"]}"#).expect("JSON");
    kit.operations.update_monitor(&owner(), id, &by_number, None).await.expect("changed");
    let done = apply(&kit, &named("ops2"), false).await.expect("nobody is silenced");
    assert_eq!((done.changed.len(), done.changed[0].fields[0].field.as_str()), (1, "name"));
    assert!(apply(&kit, "monitors: []\n", true).await.is_err(), "by its number it is told as well");
}

#[tokio::test]
async fn a_monitor_comes_back_only_if_its_channels_are_there() {
    let kit = Kit::new().await;
    let channel = async || {
        let ops = Node::from_json(r#"{"name":"ops","type":"log"}"#).expect("JSON");
        kit.operations.create_channel(&owner(), &ops).await.expect("made")
    };
    channel().await;
    let fields = r#"{"name":"db","host":"192.0.2.1","port":1,"channels":["ops"]}"#;
    let id = kit.monitor_of(AccountId::DEFAULT, fields).await;
    kit.operations.delete_monitor(&owner(), id, None).await.expect("into the bin");
    kit.operations.delete_channel(&owner(), "ops", None).await.expect("nobody names it");
    let refused = kit.operations.restore_monitor(&owner(), id).await.expect_err("it would tell nobody");
    let OperationError::Conflict { code: "channel_gone", message } = refused else { panic!("{refused}") };
    assert!(message.contains("`db`") && message.contains("`ops`"), "{message}");
    channel().await;
    kit.operations.restore_monitor(&owner(), id).await.expect("one of that name is there");
}

#[tokio::test]
async fn a_document_needs_the_right_to_change_what_it_touches() {
    let kit = Kit::new().await;
    let token = |scopes: &str| {
        let scopes = scopes.split(' ').map(|scope| scope.parse().expect("a scope")).collect();
        Caller { access: Access::Scopes(scopes), ..owner() }
    };
    let import = async |scopes: &str, text: &str| {
        kit.operations.apply_document(&token(scopes), &Document::Import, text, true).await
    };
    let monitor = "monitors: [{name: a, host: x, port: 1}]\n";
    let channel = "channels: [{name: ops, type: log}]\nmonitors: []\n";
    for (scopes, text, allowed) in [
        ("config:admin", monitor, false),
        ("config:admin", channel, false),
        ("config:admin monitors:write", monitor, true),
        ("config:admin monitors:write", channel, false),
        ("config:admin channels:admin", channel, true),
        ("config:admin", "monitors: []\n", true),
    ] {
        let planned = import(scopes, text).await;
        let denied = matches!(planned, Err(OperationError::Denied(_)));
        assert_eq!((planned.is_ok(), denied), (allowed, !allowed), "{scopes}: {text}");
    }
}
