//! Channels through operations, on a real store, with a receiver that keeps what it is sent.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use quaywatch_core::access::Role;
use quaywatch_core::doc::Node;
use quaywatch_core::{AccountId, Clock};
use quaywatch_notify::BoxFuture;
use quaywatch_notify::notice::ServerWords;
use quaywatch_notify::registry::{self, Site};
use quaywatch_notify::wire::{Answer, Post, Wire, WireError};
use quaywatch_store::records::{ChangeSet, ChannelRecord, Owner, ResourceChange};
use quaywatch_store::{Sealer, Store};

use super::OperationError;
use super::apply::Document;
use super::audit::AuditQuery;
use super::channels::ChannelView;
use super::delivery::Delivery;
use super::kit::{Kit, caller, owner};
use super::page::Paging;
use super::sealed::{self, Vault};
use crate::caller::Caller;

/// Words that must be seen nowhere but by the receiver.
const PLANTED: &str = "PLANTED";

/// Takes everything and keeps it.
#[derive(Default)]
struct Receiver(Mutex<Vec<Post>>);

impl Wire for Receiver {
    fn send(&self, request: Post) -> BoxFuture<'_, Result<Answer, WireError>> {
        self.0.lock().expect("no panic").push(request);
        let answer = Answer {
            status: http::StatusCode::OK,
            headers: http::HeaderMap::new(),
            body: bytes::Bytes::from_static(b"thanks"),
        };
        Box::pin(async move { Ok(answer) })
    }
}

/// Operations whose channels lead to the receiver.
async fn kit() -> (Kit, Arc<Receiver>) {
    let kit = Kit::with("server: {plans: {small: {channels: 2}}, default_plan: small}\nmonitors: []\n").await;
    let receiver = Arc::new(Receiver::default());
    let vault: Arc<dyn Vault> = Arc::new(Sealer::open_or_create(kit.directory.path()).expect("a key"));
    let (wire, clock): (Arc<dyn Wire>, Arc<dyn Clock>) = (receiver.clone(), kit.clock.clone());
    let site = Site { wire, clock, user_agent: "Quaywatch/0".into() };
    let opens = Arc::clone(&vault);
    let factory = Arc::new(move |record: &ChannelRecord| {
        let stored = serde_json::from_str(&record.settings).expect("an object");
        let clear = sealed::open(Some(&*opens), record.account, &stored)?;
        registry::build(&record.kind, &clear, &site).map_err(|problems| problems.to_string())
    });
    let server = ServerWords { name: "watch-1".into(), version: "0".into() };
    kit.operations.attach_delivery(Delivery { factory, server, vault: Some(vault) });
    (kit, receiver)
}

const HOOK: &str = r#"{"name":"ops","type":"webhook","url":"https://hooks.example.com/PLANTED1",
    "secret":"PLANTED2PLANTED2PLANTED2","headers":{"x-key":"PLANTED3"},"method":"PUT"}"#;

async fn create(kit: &Kit, body: &str) -> Result<ChannelView, OperationError> {
    kit.operations.create_channel(&owner(), &Node::from_json(body).expect("JSON")).await
}

async fn patch(
    kit: &Kit,
    which: &str,
    body: &str,
    revision: Option<u32>,
) -> Result<ChannelView, OperationError> {
    kit.operations.patch_channel(&owner(), which, &Node::from_json(body).expect("JSON"), revision).await
}

#[tokio::test]
async fn p14_a_channel_is_made_shown_without_its_secrets_and_changed_without_sending_them_again() {
    let (kit, receiver) = kit().await;
    let made = create(&kit, HOOK).await.expect("made");
    assert_eq!((made.name.as_str(), made.kind.as_str(), made.revision), ("ops", "webhook", 1));
    let secrets: Vec<_> = made.secrets.iter().map(|secret| secret.name.as_str()).collect();
    assert_eq!(secrets, ["headers", "secret", "url"]);
    let id = made.id.to_string();
    let changed = patch(&kit, &id, r#"{"method":"PATCH","headers":{"x-more":"PLANTED4"}}"#, Some(1)).await;
    let changed = changed.expect("changed");
    assert_eq!((changed.settings["method"].as_str(), changed.revision), (Some("PATCH"), 2));
    assert!(matches!(patch(&kit, "ops", r#"{"method":null}"#, Some(1)).await, Err(OperationError::Changed)));

    let tested = kit.operations.test_channel(&owner(), "ops").await.expect("tried");
    assert!(tested.sent && tested.answer.contains("thanks") && tested.class == "sent", "{tested:?}");
    assert!(tested.body.contains("notice.test") && tested.body.contains("\"test\":true"), "{}", tested.body);
    let sent = receiver.0.lock().expect("no panic").pop().expect("it came");
    assert_eq!(sent.url.as_str(), "https://hooks.example.com/PLANTED1", "kept over the change");
    assert_eq!(sent.method, http::Method::PATCH);
    let header = |name: &str| sent.headers.get(name).and_then(|value| value.to_str().ok());
    assert_eq!((header("x-key"), header("x-more")), (Some("PLANTED3"), Some("PLANTED4")));
    assert!(header("webhook-signature").is_some_and(|signature| signature.starts_with("v1,")));

    let shown = format!("{:?}", (&made, &changed, &tested, kit.operations.list_channels(&owner()).await));
    let stored = format!("{:?}", kit.store.account(AccountId::DEFAULT).channels().await);
    assert!(!shown.contains(PLANTED) && !stored.contains(PLANTED), "{shown}\n{stored}");
    for file in std::fs::read_dir(kit.directory.path()).expect("the data directory") {
        let path = file.expect("a file").path();
        let bytes = std::fs::read(&path).expect("it can be read");
        assert!(!bytes.windows(PLANTED.len()).any(|part| part == PLANTED.as_bytes()), "{}", path.display());
    }
    let audit = kit.operations.list_audit(&owner(), &AuditQuery::default()).await.expect("the log");
    assert!(audit.items.len() >= 2 && !format!("{audit:?}").contains(PLANTED));
    let told = audit.items[0].after.as_deref().unwrap_or_default();
    assert!(told.contains(r#""changed_settings":["headers","method"]"#), "only what was changed: {told}");
    let again = kit.operations.test_channel(&owner(), "ops").await;
    assert!(matches!(again, Err(OperationError::Throttled(wait)) if wait <= Duration::from_secs(5)));
}

#[tokio::test]
async fn secrets_follow_a_channel_to_no_other_host_unless_they_are_given_again() {
    let (kit, receiver) = kit().await;
    create(&kit, HOOK).await.expect("made");
    patch(&kit, "ops", r#"{"url":"https://hooks.example.com/PLANTED/other"}"#, None)
        .await
        .expect("the same host");
    let elsewhere =
        ["https://evil.example.com/PLANTED1", "http://hooks.example.com/", "https://hooks.example.com:8443/"];
    for url in elsewhere {
        let error = patch(&kit, "ops", &format!(r#"{{"url":"{url}","method":"POST"}}"#), None).await;
        let OperationError::Invalid(problems) = error.expect_err(url) else { panic!("{url}") };
        let places: Vec<_> = problems.iter().map(|one| (one.pointer.as_str(), one.code)).collect();
        assert_eq!(places, [("/secret", "secret_again"), ("/headers/x-key", "secret_again")], "{url}");
        assert!(!problems.to_string().contains(PLANTED), "{problems}");
    }
    let half = format!(r#"{{"url":"{}","secret":"{PLANTED}{PLANTED}{PLANTED}"}}"#, elsewhere[0]);
    let text = patch(&kit, "ops", &half, None).await.expect_err("the header is kept").to_string();
    assert!(text.contains("x-key") && !text.contains("`secret`"), "{text}");
    let all = format!(r#"{{"url":"{}","secret":null,"headers":{{"x-key":"PLANTED5"}}}}"#, elsewhere[0]);
    patch(&kit, "ops", &all, None).await.expect("one is given again, the other is given up");

    // A document leads it no farther either.
    let document = Document::Import;
    let led = |url: &str| format!("channels: [{{name: ops, type: webhook, url: '{url}'}}]\nmonitors: []\n");
    let error = kit.operations.apply_document(&owner(), &document, &led(elsewhere[1]), false).await;
    let OperationError::Invalid(problems) = error.expect_err("kept secrets") else { panic!("another error") };
    assert_eq!(
        problems.iter().map(|one| one.pointer.as_str()).collect::<Vec<_>>(),
        ["/channels/0/headers/x-key"]
    );
    let same = led("https://evil.example.com/moved");
    kit.operations.apply_document(&owner(), &document, &same, false).await.expect("the same host");
    assert!(receiver.0.lock().expect("no panic").is_empty());
}

#[tokio::test]
async fn what_is_wrong_with_a_channel_is_told_by_field_and_without_its_values() {
    let (kit, _) = kit().await;
    let cases = [
        (r#"{"name":"a","type":"webhook"}"#, "url"),
        (r#"{"name":"a","type":"webhook","url":"PLANTED"}"#, "url"),
        (
            r#"{"name":"a","type":"webhook","url":"https://h.example.com/x","secret":"${PLANTED}"}"#,
            "reference to a secret",
        ),
        (r#"{"name":"a","type":"webhook","url":"file:/etc/PLANTED"}"#, "reference to a secret"),
        (
            r#"{"name":"a","type":"webhook","url":"https://h.example.com","headers":{"x":["PLANTED"]}}"#,
            "`x` must be",
        ),
        (
            r#"{"name":"a","type":"webhook","url":"https://h.example.com","secrett":"PLANTED"}"#,
            "did you mean `secret`",
        ),
        (
            r#"{"name":"a","type":"webhook","url":"https://h.example.com","headers":"PLANTED"}"#,
            "`headers` must be a mapping",
        ),
        (r#"{"name":"a","type":"web"}"#, "webhook"),
        (r#"{"type":"log"}"#, "`name`"),
    ];
    for (body, expected) in cases {
        let error = create(&kit, body).await.expect_err(body);
        let text = error.to_string();
        assert!(matches!(error, OperationError::Invalid(_)) && text.contains(expected), "{body}: {text}");
        assert!(!text.contains(PLANTED), "{text}");
    }
    let made = create(&kit, HOOK).await.expect("made");
    let id = made.id.to_string();
    for (body, expected) in [
        (r#"{"type":"log"}"#, "stays `webhook`"),
        (r#"{"id":"other"}"#, "stays `ops`"),
        (r#"{"url":null}"#, "is missing"),
        (r#"{"username":"u"}"#, "needs `password`"),
    ] {
        let text = patch(&kit, &id, body, None).await.expect_err(body).to_string();
        assert!(text.contains(expected) && !text.contains(PLANTED), "{body}: {text}");
    }
    assert_eq!(kit.operations.read_channel(&owner(), "ops").await.expect("there").revision, 1, "unchanged");
}

#[tokio::test]
async fn z22_names_are_unique_and_plans_limit_channels() {
    let (kit, _) = kit().await;
    create(&kit, r#"{"name":"a","type":"log"}"#).await.expect("the first");
    let twin = create(&kit, r#"{"name":"a","type":"log"}"#).await.expect_err("taken");
    assert!(matches!(twin, OperationError::Conflict { code: "name_taken", .. }));
    create(&kit, r#"{"name":"b","type":"log"}"#).await.expect("the second");
    let third = create(&kit, r#"{"name":"c","type":"log"}"#).await.expect_err("too many");
    assert!(matches!(third, OperationError::Limit { limit: "channels", .. }), "{third}");
    let taken = patch(&kit, "b", r#"{"name":"a"}"#, None).await.expect_err("taken");
    assert!(matches!(taken, OperationError::Conflict { code: "name_taken", .. }));
    assert_eq!(patch(&kit, "b", r#"{"name":"z"}"#, None).await.expect("renamed").key, "z");
    let account = kit.operations.read_account(&owner()).await.expect("the account");
    assert_eq!(
        (account.plan.as_str(), account.limits.channels, account.used.channels),
        ("small", Some(2), 2)
    );
}

#[tokio::test]
async fn a_channel_that_monitors_tell_is_not_removed_and_its_new_name_is_carried_into_them() {
    let (kit, _) = kit().await;
    let made = create(&kit, r#"{"name":"ops","type":"log"}"#).await.expect("made");
    let fields = |name: &str, channel: &str| {
        format!(r#"{{"name":"{name}","host":"192.0.2.1","port":22,"channels":["{channel}"]}}"#)
    };
    kit.monitor_of(AccountId::DEFAULT, &fields("by-id", &made.id.to_string())).await;
    let gone = kit.operations.delete_channel(&owner(), "ops", None).await.expect_err("in use");
    let OperationError::Conflict { code: "channel_in_use", message } = gone else { panic!("{gone}") };
    assert!(message.contains("`by-id`"), "{message}");
    patch(&kit, "ops", r#"{"name":"night"}"#, None).await.expect("named by id only");
    kit.monitor_of(AccountId::DEFAULT, &fields("by-name", "night")).await;
    let renamed =
        patch(&kit, "night", r#"{"name":"day"}"#, None).await.expect("and carried into those that name it");
    let told = async |name: &str| {
        let id = kit.operations.find_monitor(&owner(), name).await.expect("there");
        kit.operations.read_monitor(&owner(), id).await.expect("shown").spec.channels
    };
    assert_eq!((renamed.name.as_str(), told("by-name").await), ("day", vec!["day".to_owned()]));
    assert_eq!(told("by-id").await, [made.id.to_string()], "a number stays what it is");
    let spec = r#"{"name":"filed","monitor_type":"tcp","host":"192.0.2.1","port":22,"channels":["day"]}"#;
    let put = ResourceChange::PutMonitor { key: "filed".into(), name: "filed".into(), spec: spec.into() };
    let set = ChangeSet { owner: Owner::File, actor: "file".into(), changes: vec![put], accepted: None };
    kit.store.account(AccountId::DEFAULT).apply(set, kit.clock.now()).await.expect("applied");
    let refused = patch(&kit, "day", r#"{"name":"dusk"}"#, None).await.expect_err("the file names it");
    let OperationError::Conflict { code: "channel_in_use", message } = refused else { panic!("{refused}") };
    assert!(message.contains("`filed`") && message.contains(&made.id.to_string()), "{message}");
    assert_eq!(told("by-name").await, ["day"], "nothing was changed");
    let free = create(&kit, r#"{"name":"free","type":"log"}"#).await.expect("made");
    kit.operations.delete_channel(&owner(), "free", Some(free.revision)).await.expect("removed");
    let gone = kit.operations.read_channel(&owner(), "free").await;
    assert!(matches!(gone, Err(OperationError::NotFound { .. })));

    let bin = kit.operations.list_removed_channels(&owner()).await.expect("the bin");
    assert!(bin.len() == 1 && bin[0].id == free.id && bin[0].removed_at.is_some(), "{bin:?}");
    let twin = create(&kit, r#"{"name":"free","type":"log"}"#).await.expect("another of that name");
    assert_ne!(twin.id, free.id);
    let taken = kit.operations.restore_channel(&owner(), free.id).await.expect_err("its name is taken");
    let OperationError::Conflict { code: "name_taken", message } = taken else { panic!("{taken}") };
    let wanted = format!("channel {} is called `free` by now", twin.id);
    assert!(message.contains(&wanted) && message.contains(&format!("then restore {}", free.id)), "{message}");
    kit.operations.delete_channel(&owner(), "free", None).await.expect("removed");
    assert_eq!(kit.operations.restore_channel(&owner(), free.id).await.expect("back").name, "free");
}

#[tokio::test]
async fn what_a_file_owns_and_what_others_own_is_left_alone() {
    let (kit, _) = kit().await;
    let settings = r#"{"url":"https://hooks.example.com/${PLANTED}"}"#.to_owned();
    let put = ResourceChange::PutChannel {
        key: "ops".into(),
        name: "ops".into(),
        kind: "webhook".into(),
        settings,
    };
    let set = ChangeSet { owner: Owner::File, actor: "file".into(), changes: vec![put], accepted: None };
    kit.store.account(AccountId::DEFAULT).apply(set, kit.clock.now()).await.expect("applied");
    let edit = patch(&kit, "ops", r#"{"method":"PUT"}"#, None).await.expect_err("the file's");
    assert!(matches!(edit, OperationError::Conflict { code: "managed_by_file", .. }), "{edit}");
    assert!(kit.operations.delete_channel(&owner(), "ops", None).await.is_err());
    let shown = kit.operations.read_channel(&owner(), "ops").await.expect("shown");
    assert!(shown.settings.is_empty() && shown.secrets[0].name == "url");

    let other = caller(kit.account("other").await, Role::Owner);
    assert!(kit.operations.list_channels(&other).await.expect("none").is_empty());
    for which in ["ops", &shown.id.to_string()] {
        assert!(matches!(
            kit.operations.read_channel(&other, which).await,
            Err(OperationError::NotFound { .. })
        ));
    }
    let viewer = caller(AccountId::DEFAULT, Role::Editor);
    assert!(kit.operations.read_channel(&viewer, "ops").await.is_ok());
    let denied = kit.operations.delete_channel(&viewer, "ops", None).await;
    assert!(matches!(denied, Err(OperationError::Denied(_))));
    assert!(matches!(kit.operations.test_channel(&viewer, "ops").await, Err(OperationError::Denied(_))));
}

#[tokio::test]
async fn every_change_stands_in_the_audit_log_of_its_account() {
    let (kit, _) = kit().await;
    let address = "192.0.2.7".parse().expect("an address");
    let who = Caller { address: Some(address), request_id: Some("req-1".into()), ..owner() };
    let body = Node::from_json(r#"{"name":"ops","type":"log"}"#).expect("JSON");
    let made = kit.operations.create_channel(&who, &body).await.expect("made");
    patch(&kit, "ops", r#"{"name":"night"}"#, None).await.expect("renamed");
    kit.operations.delete_channel(&owner(), "night", None).await.expect("removed");
    let mut query = AuditQuery {
        kind: Some("channel".into()),
        object: Some(made.id.to_string()),
        paging: Paging { after: None, limit: Some(2) },
        ..AuditQuery::default()
    };
    let monitor = kit.monitor_of(AccountId::DEFAULT, r#"{"name":"m","host":"192.0.2.1","port":1}"#).await;
    assert_eq!(monitor.0, made.id.0, "two things of one number");
    for object in [made.id.to_string(), monitor.to_string()] {
        let query = AuditQuery { object: Some(object.clone()), ..AuditQuery::default() };
        let rows = kit.operations.list_audit(&owner(), &query).await.expect("rows").items;
        let of = rows.iter().filter(|row| row.object.as_deref() == Some(object.as_str()));
        assert!(!rows.is_empty() && of.count() == rows.len(), "{object}: {rows:?}");
    }
    let of_both = AuditQuery { object: Some(made.id.0.to_string()), ..AuditQuery::default() };
    let rows = kit.operations.list_audit(&owner(), &of_both).await.expect("rows").items;
    assert!(rows.iter().any(|row| row.object == Some(monitor.to_string())), "{rows:?}");
    for object in ["zz1", "ch", "m-1"] {
        let query = AuditQuery { object: Some(object.into()), ..AuditQuery::default() };
        let error = kit.operations.list_audit(&owner(), &query).await.expect_err(object);
        assert!(matches!(error, OperationError::Invalid(_)), "{object}: {error}");
    }
    let first = kit.operations.list_audit(&owner(), &query).await.expect("a page");
    query.paging.after = first.next.clone();
    let second = kit.operations.list_audit(&owner(), &query).await.expect("a page");
    assert_eq!((first.items.len(), second.items.len(), &second.next), (2, 1, &None));
    let row = &second.items[0];
    assert_eq!(
        (row.actor.as_str(), row.address, row.request.as_deref()),
        ("user:u3", Some(address), Some("req-1"))
    );
    assert_eq!((row.kind.as_deref(), row.object.as_deref()), (Some("channel"), Some("ch1")));
    assert!(
        row.before.is_none() && row.after.as_deref().is_some_and(|after| after.contains("ops")),
        "{row:?}"
    );
    assert!(first.items[1].before.as_deref().is_some_and(|before| before.contains("ops")), "{first:?}");
    let other = caller(kit.account("other").await, Role::Owner);
    assert!(
        kit.operations.list_audit(&other, &AuditQuery::default()).await.expect("theirs").items.is_empty()
    );
    let editor = caller(AccountId::DEFAULT, Role::Editor);
    assert!(matches!(kit.operations.list_audit(&editor, &query).await, Err(OperationError::Denied(_))));
}

#[tokio::test]
async fn an_export_names_what_is_sealed_and_shows_nothing_of_it() {
    let (kit, _) = kit().await;
    let webhook = r#"{"name":"w","type":"webhook","url":"https://hooks.example.com/planted",
        "secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw","headers":{"X-Key":"planted"}}"#;
    kit.operations.create_channel(&owner(), &Node::from_json(webhook).expect("JSON")).await.expect("made");
    let text = kit.operations.export_config(&owner(), None).await.expect("YAML");
    for name in ["headers", "secret", "url"] {
        assert!(text.contains(&format!("    {name}: null  # a secret")), "{text}");
    }
    assert!(!text.contains("sealed") && !text.contains("planted"), "{text}");
}
