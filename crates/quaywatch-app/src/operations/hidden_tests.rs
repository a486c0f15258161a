//! Secrets that checks send: sealed in the store, kept over changes of anything but the target, shown to nobody, and
//! left out of exports that read back equal.

use std::sync::Arc;

use quaywatch_core::doc::Node;
use quaywatch_core::spec::Hidden;
use quaywatch_core::{AccountId, MonitorId, MonitorSpec};
use quaywatch_notify::notice::ServerWords;
use quaywatch_store::records::{ChangeSet, Owner, ResourceChange};
use quaywatch_store::{Sealer, Store as _};

use super::apply::{ApplyPlan, Document};
use super::audit::AuditQuery;
use super::bulk::{BulkAct, BulkReport, BulkUpdate};
use super::delivery::Delivery;
use super::hidden::{self, hidden_of};
use super::kit::{Kit, owner};
use super::sealed::Vault;
use super::{OperationError, Operations, monitors};

/// Operations with a key.
struct Harbour {
    kit: Kit,
    vault: Arc<dyn Vault>,
}

impl Harbour {
    async fn new() -> Self {
        Self::over(Kit::new().await)
    }

    /// Started anew over what is there.
    fn over(mut kit: Kit) -> Self {
        let Operations { store, clock, settings, .. } = kit.operations.clone();
        kit.operations = Operations::new(store, clock, settings);
        let vault: Arc<dyn Vault> = Arc::new(Sealer::open_or_create(kit.directory.path()).expect("a key"));
        let server = ServerWords { name: "watch-1".into(), version: "0".into() };
        let factory = Arc::new(|_: &_| Err("nothing is delivered here".to_owned()));
        kit.operations.attach_delivery(Delivery { factory, server, vault: Some(Arc::clone(&vault)) });
        Self { kit, vault }
    }

    async fn create(&self, body: &str) -> Result<monitors::Written, OperationError> {
        self.kit.operations.create_monitor(&owner(), &node(body)).await
    }

    async fn patch(&self, id: MonitorId, body: &str) -> Result<monitors::Written, OperationError> {
        self.kit.operations.update_monitor(&owner(), id, &node(body), None).await
    }

    async fn bulk(&self, id: MonitorId, set: &str) -> BulkReport {
        let patch = &node(set);
        let act = BulkAct::Update(vec![BulkUpdate { id, patch, revision: None }]);
        self.kit.operations.bulk_monitors(&owner(), act, false).await.expect("a report")
    }

    async fn copy(&self, id: MonitorId, body: &str) -> Result<monitors::Written, OperationError> {
        self.kit.operations.clone_monitor(&owner(), id, Some(&node(body))).await
    }

    async fn apply(&self, document: Document, text: &str) -> Result<ApplyPlan, OperationError> {
        self.kit.operations.apply_document(&owner(), &document, text, false).await
    }

    async fn export(&self) -> String {
        self.kit.operations.export_config(&owner(), None).await.expect("YAML")
    }

    async fn stored(&self, id: MonitorId) -> String {
        self.kit.store.account(AccountId::DEFAULT).monitor(id).await.expect("read").expect("there").spec
    }

    /// What the monitor's check would send.
    async fn sends(&self, id: MonitorId) -> Option<String> {
        let spec = MonitorSpec::from_canonical(&self.stored(id).await).expect("canonical");
        let Some(Hidden::Sealed(sealed)) = hidden_of(&spec) else { return None };
        let opened = hidden::open(Some(&*self.vault), AccountId::DEFAULT, sealed).expect("it opens");
        Some(String::from_utf8(opened.reveal().to_vec()).expect("a text"))
    }

    async fn put_of_file(&self, name: &str, secret: &str) {
        let spec = format!(
            r#"{{"name":"{name}","monitor_type":"tcp","host":"192.0.2.9","port":6379,"send_secret":"{secret}"}}"#
        );
        let changes = vec![ResourceChange::PutMonitor { key: name.to_owned(), name: name.to_owned(), spec }];
        let set = ChangeSet { owner: Owner::File, actor: "test".into(), changes, accepted: None };
        let turn = self.kit.operations.changes.turn().await;
        let now = quaywatch_core::Clock::now(&*self.kit.clock);
        turn.apply(AccountId::DEFAULT, set, now).await.expect("applied");
    }
}

fn node(json: &str) -> Node<'_> {
    Node::from_json(json).expect("JSON")
}

fn told(result: Result<impl std::fmt::Debug, OperationError>) -> String {
    let Err(OperationError::Invalid(problems)) = result else { panic!("{result:?}") };
    problems.sorted().iter().map(|one| format!("{} {} {}\n", one.code, one.message, one.remedy)).collect()
}

const CACHE: &str = r#"{"name":"cache","host":"192.0.2.7","port":6379,"send_secret":"AUTH hunter2\\r\\nPING\\r\\n","expect":"PONG"}"#;

#[tokio::test]
async fn a_secret_is_sealed_and_stays_over_changes_of_anything_but_what_it_is_told_and_asked() {
    let harbour = Harbour::new().await;
    let id = harbour.create(CACHE).await.expect("made").monitor.id;
    assert!(!harbour.stored(id).await.contains("hunter2"));
    assert_eq!(harbour.sends(id).await.as_deref(), Some("AUTH hunter2\r\nPING\r\n"));
    harbour.patch(id, r#"{"check_interval":"30s","expect":"PONG","timeout":5}"#).await.expect("changed");
    assert_eq!(harbour.sends(id).await.as_deref(), Some("AUTH hunter2\r\nPING\r\n"));
    let before = harbour.stored(id).await;
    for elsewhere in [
        r#"{"host":"192.0.2.8"}"#,
        r#"{"port":6380}"#,
        r#"{"url":"attacker.example.com"}"#,
        r#"{"expect":"^AUTH h"}"#,
        r#"{"expect":"^AUTH h","name":"other"}"#,
    ] {
        let said = told(harbour.patch(id, elsewhere).await);
        assert!(said.contains("secret_again") && said.contains("192.0.2.7:6379"), "{said}");
        let said = told(harbour.copy(id, elsewhere).await);
        assert!(said.contains("secret_again"), "{said}");
    }
    let said = told(harbour.kit.operations.update_url(&owner(), id, &node(r#"{"port":1}"#), None).await);
    assert!(said.contains("secret_again"), "{said}");
    assert_eq!(harbour.stored(id).await, before, "nothing was changed");

    let copy = harbour.copy(id, r#"{"name":"copy"}"#).await.expect("the same target").monitor.id;
    assert_eq!(harbour.sends(copy).await.as_deref(), Some("AUTH hunter2\r\nPING\r\n"));
    harbour.patch(copy, r#"{"host":"192.0.2.8","send_secret":"other"}"#).await.expect("given again");
    assert_eq!(harbour.sends(copy).await.as_deref(), Some("other"));
    harbour.patch(copy, r#"{"send_secret":null,"port":1}"#).await.expect("taken away");
    assert_eq!(harbour.sends(copy).await, None);
    // Without a pattern there is nothing to ask.
    let bare =
        harbour.copy(id, r#"{"name":"bare","expect":null}"#).await.expect("nothing is asked").monitor.id;
    assert!(harbour.sends(bare).await.is_some());
    assert!(told(harbour.patch(bare, r#"{"expect":"PONG"}"#).await).contains("secret_again"));
    // Whoever guesses a secret does not learn whether they were right: it is a change, as any other would be.
    let revision = harbour.patch(id, "{}").await.expect("no change").monitor.revision;
    for guess in [r#"{"send_secret":"AUTH hunter2\\r\\nPING\\r\\n"}"#, r#"{"send_secret":"AUTH hunter3"}"#] {
        harbour.patch(id, guess).await.expect("changed");
    }
    assert_eq!(harbour.patch(id, "{}").await.expect("no change").monitor.revision, revision + 2);
    let said = told(harbour.patch(id, r#"{"send":"PING"}"#).await);
    assert!(said.contains("both given"), "{said}");
}

#[tokio::test]
async fn nothing_that_stands_in_the_place_of_a_secret_brings_the_kept_one_back() {
    let harbour = Harbour::new().await;
    let id = harbour.create(CACHE).await.expect("made").monitor.id;
    let before = harbour.stored(id).await;
    let stored: serde_json::Value = serde_json::from_str(&before).expect("JSON");
    let seal = stored["send_secret"].to_string();
    let moves = [r#""host":"192.0.2.66""#, r#""port":1"#, r#""expect":"^AUTH h""#];
    for there in [
        "{}",
        r#"{"x":null}"#,
        r#"{"$sealed":null}"#,
        "[]",
        "[{}]",
        "0",
        "false",
        "\"\"",
        seal.as_str(),
        "true,\"send_secret\":{}",
    ] {
        for moved in moves {
            let body = format!(r#"{{{moved},"send_secret":{there}}}"#);
            let ways = [harbour.patch(id, &body).await, harbour.copy(id, &body).await];
            for way in ways {
                assert!(matches!(way, Err(OperationError::Invalid(_))), "{body}: {way:?}");
            }
            let report = harbour.bulk(id, &body).await;
            assert!(report.items.iter().all(|item| item.outcome.is_err()), "{body}: {report:?}");
        }
    }
    assert_eq!(harbour.stored(id).await, before);
    assert_eq!(harbour.sends(id).await.as_deref(), Some("AUTH hunter2\r\nPING\r\n"));
}

#[tokio::test]
async fn a_monitor_is_changed_though_its_secret_does_not_open() {
    let harbour = Harbour::new().await;
    let id = harbour.create(CACHE).await.expect("made").monitor.id;
    let before = harbour.stored(id).await;
    let sealed = before.split("sealed").nth(1).expect("a seal").get(..40).expect("a text").to_owned();
    std::fs::remove_file(harbour.kit.directory.path().join("key")).expect("there");
    let other = Harbour::over(harbour.kit);
    other.patch(id, r#"{"enabled":false,"description":"waits for its key"}"#).await.expect("changed");
    assert!(other.stored(id).await.contains(&sealed), "the seal stays");
    other.patch(id, r#"{"send_secret":"AUTH hunter4"}"#).await.expect("given again");
    assert_eq!(other.sends(id).await.as_deref(), Some("AUTH hunter4"));
}

#[tokio::test]
async fn nobody_brings_a_reference_or_a_seal_of_their_own() {
    let harbour = Harbour::new().await;
    let id = harbour.create(CACHE).await.expect("made").monitor.id;
    let stored: serde_json::Value = serde_json::from_str(&harbour.stored(id).await).expect("JSON");
    let seal = stored["send_secret"].to_string();
    for secret in ["\"${HOME}\"", "\"file:/etc/passwd\"", seal.as_str(), "{}", "7", "true"] {
        let body = format!(r#"{{"name":"x","host":"192.0.2.1","port":1,"send_secret":{secret}}}"#);
        let made = harbour.create(&body).await;
        let said = told(made);
        assert!(said.starts_with("reference") || said.starts_with("wrong_type"), "{secret}: {said}");
        // In a document, which need not quote them, these are texts.
        if matches!(secret, "7" | "true") {
            continue;
        }
        let document =
            format!("monitors:\n  - {{name: y, host: 192.0.2.1, port: 1, send_secret: {secret}}}\n");
        for way in [Document::Import, Document::Apply("c1".into())] {
            let said = told(harbour.apply(way, &document).await);
            assert!(said.starts_with("reference") || said.starts_with("wrong_type"), "{secret}: {said}");
        }
    }
    harbour.put_of_file("filed", "AUTH ${PW}").await;
    let filed = harbour.kit.store.account(AccountId::DEFAULT).monitors().await.expect("read");
    let filed = filed.iter().find(|one| one.name == "filed").expect("there").id;
    for over in ["{}", r#"{"host":"192.0.2.8"}"#] {
        let said = told(harbour.copy(filed, over).await);
        assert!(said.contains("server's own file"), "{said}");
    }
    harbour.copy(filed, r#"{"send_secret":"mine"}"#).await.expect("a secret of its own");
    harbour.copy(filed, r#"{"name":"bare","send_secret":null}"#).await.expect("without");
}

#[tokio::test]
async fn an_export_leaves_secrets_out_and_reads_back_where_they_are_kept() {
    let harbour = Harbour::new().await;
    let id = harbour.create(CACHE).await.expect("made").monitor.id;
    harbour.put_of_file("filed", "AUTH ${PW}").await;
    let text = harbour.export().await;
    assert!(text.contains("send_secret: null  # a secret: exports leave it out"), "{text}");
    assert!(text.contains(r#"send_secret: "AUTH ${PW}""#) && !text.contains("sealed"), "{text}");
    let plan = harbour.apply(Document::Import, &text).await.expect("it reads back");
    assert!(plan.added.is_empty() && plan.changed.is_empty() && plan.removed.is_empty(), "{plan:?}");
    assert_eq!(harbour.sends(id).await.as_deref(), Some("AUTH hunter2\r\nPING\r\n"));

    let elsewhere = text.replace("192.0.2.7", "192.0.2.8");
    assert!(told(harbour.apply(Document::Import, &elsewhere).await).starts_with("secret_again"));
    let other = text.replace("192.0.2.9", "192.0.2.10");
    assert!(told(harbour.apply(Document::Import, &other).await).starts_with("reference"));
    let fresh = Harbour::new().await;
    let said = told(fresh.apply(Document::Import, &text).await);
    assert!(said.contains("missing") && said.contains("exports leave secrets out"), "{said}");
    let given = text.replace("null  # a secret: exports leave it out", r#""AUTH hunter3""#);
    let given = given.replace(r#"send_secret: "AUTH ${PW}""#, "send_secret: x");
    let plan = fresh.apply(Document::Import, &given).await.expect("filled in");
    assert_eq!(plan.added.len(), 2);
}

#[tokio::test]
async fn a_document_that_is_applied_twice_changes_nothing_the_second_time() {
    let harbour = Harbour::new().await;
    let text = |secret: &str| {
        format!("monitors:\n  - {{name: cache, host: 192.0.2.7, port: 6379, send_secret: '{secret}'}}\n")
    };
    let apply = async |secret: &str| {
        harbour.apply(Document::Apply("infra".into()), &text(secret)).await.expect("applied")
    };
    assert_eq!(apply("AUTH hunter2").await.added.len(), 1);
    let plan = apply("AUTH hunter2").await;
    assert_eq!((plan.unchanged, plan.changed.len()), (1, 0), "{plan:?}");
    let plan = apply("AUTH hunter3").await;
    let field = &plan.changed[0].fields[0];
    assert_eq!(
        (field.field.as_str(), field.before.as_deref(), field.after.as_deref()),
        ("send_secret", Some("\"…\""), Some("\"…\""))
    );
    // What is left out stays; what is not there any more goes.
    let left_out = text("").replace("''", "null");
    let plan = harbour.apply(Document::Apply("infra".into()), &left_out).await.expect("applied");
    assert_eq!((plan.unchanged, plan.changed.len()), (1, 0), "{plan:?}");
    let none = text("").replace(", send_secret: ''", "");
    let plan = harbour.apply(Document::Apply("infra".into()), &none).await.expect("applied");
    assert_eq!(plan.changed[0].fields[0].after, None);
}

#[tokio::test]
async fn the_audit_log_tells_that_a_secret_changed_and_nothing_of_it() {
    let harbour = Harbour::new().await;
    let id = harbour.create(CACHE).await.expect("made").monitor.id;
    harbour.patch(id, r#"{"send_secret":"AUTH hunter3"}"#).await.expect("changed");
    harbour.kit.operations.delete_monitor(&owner(), id, None).await.expect("deleted");
    let page = harbour.kit.operations.list_audit(&owner(), &AuditQuery::default()).await.expect("rows");
    let rows = format!("{page:?}");
    assert!(!rows.contains("sealed") && !rows.contains("hunter"), "{rows}");
    let changed = page.items.iter().find(|row| row.action == "monitor.changed").expect("a row");
    let secret = |text: &Option<String>| {
        let value: serde_json::Value = serde_json::from_str(text.as_deref().expect("a text")).expect("JSON");
        value["send_secret"].as_str().expect("a word").to_owned()
    };
    let (before, after) = (secret(&changed.before), secret(&changed.after));
    assert!(
        before.starts_with("[secret ") && after.starts_with("[secret ") && before != after,
        "{before} {after}"
    );
}

#[tokio::test]
async fn a_document_that_is_applied_again_exchanges_the_seals_of_an_older_key() {
    let harbour = Harbour::new().await;
    let text = "monitors:\n  - {name: cache, host: 192.0.2.7, port: 6379, send_secret: AUTH hunter2}\n";
    let document = || Document::Apply("infra".into());
    harbour.apply(document(), text).await.expect("applied");
    let file = harbour.kit.directory.path().join("key");
    let older = std::fs::read_to_string(&file).expect("a key");
    std::fs::remove_file(&file).expect("removed");
    drop(Sealer::open_or_create(harbour.kit.directory.path()).expect("a new key"));
    let newer = std::fs::read_to_string(&file).expect("a key");
    std::fs::write(&file, format!("{newer}{older}")).expect("written");

    let both = Harbour::over(harbour.kit);
    assert_eq!(both.apply(document(), text).await.expect("applied").changed.len(), 1, "sealed anew");
    assert_eq!(both.apply(document(), text).await.expect("applied").unchanged, 1);
    std::fs::write(&file, newer).expect("written");
    let alone = Harbour::over(both.kit);
    assert_eq!(
        alone.apply(document(), text).await.expect("applied").unchanged,
        1,
        "the older key is not needed"
    );
}
