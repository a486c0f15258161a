//! An export reads back equal: on the server that wrote it nothing changes, and an empty one writes the same.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use quaywatch_core::doc::Node;
use quaywatch_core::{AccountId, MonitorId};
use quaywatch_notify::notice::ServerWords;
use quaywatch_store::records::{ChangeSet, Owner, ResourceChange};
use quaywatch_store::{Sealer, Store as _};

use super::OperationError;
use super::apply::{ApplyPlan, Document};
use super::delivery::Delivery;
use super::kit::{Kit, owner};

/// A kit that can keep secrets.
async fn kit() -> Kit {
    let kit = Kit::new().await;
    let vault = Arc::new(Sealer::open_or_create(kit.directory.path()).expect("a key"));
    let server = ServerWords { name: "watch-1".into(), version: "0".into() };
    let factory = Arc::new(|_: &_| Err("nothing is delivered here".to_owned()));
    kit.operations.attach_delivery(Delivery { factory, server, vault: Some(vault) });
    kit
}

impl Kit {
    async fn put(&self, owner: Owner, changes: Vec<ResourceChange>) {
        let set = ChangeSet { owner, actor: "test".into(), changes, accepted: None };
        let turn = self.operations.changes.turn().await;
        turn.apply(AccountId::DEFAULT, set, quaywatch_core::Clock::now(&*self.clock)).await.expect("applied");
    }

    async fn export(&self) -> String {
        self.operations.export_config(&owner(), None).await.expect("YAML")
    }

    async fn import(&self, text: &str, dry_run: bool) -> Result<ApplyPlan, OperationError> {
        self.operations.apply_document(&owner(), &Document::Import, text, dry_run).await
    }

    async fn expect_unchanged(&self, document: &Document, text: &str) {
        let plan = self.operations.apply_document(&owner(), document, text, true).await;
        let plan = plan.unwrap_or_else(|error| panic!("{error}\n{text}"));
        let changes = (&plan.added, &plan.changed, &plan.removed, &plan.warnings);
        assert!(
            plan.added.is_empty() && plan.changed.is_empty() && plan.removed.is_empty(),
            "{changes:?}\n{text}"
        );
        assert_eq!(plan.warnings, [], "{text}");
    }
}

fn channel(key: &str, name: &str, kind: &str, settings: &str) -> ResourceChange {
    let (key, name, kind, settings) = (key.into(), name.into(), kind.into(), settings.into());
    ResourceChange::PutChannel { key, name, kind, settings }
}

fn monitor(key: &str, fields: &str) -> ResourceChange {
    let spec = format!(r#"{{{fields},"monitor_type":"tcp","host":"192.0.2.1","port":22}}"#);
    let spec = quaywatch_core::MonitorSpec::from_canonical(&spec).expect("a spec");
    ResourceChange::PutMonitor { key: key.into(), name: spec.name.clone(), spec: spec.to_canonical() }
}

fn problems(error: OperationError) -> Vec<(u32, u32, String, String)> {
    let OperationError::Invalid(problems) = error else { panic!("{error:?}") };
    let told = |one: &&quaywatch_core::doc::Problem| {
        (one.span.line, one.span.column, one.message.clone(), one.remedy.clone())
    };
    problems.sorted().iter().map(told).collect()
}

#[tokio::test]
async fn an_export_of_secrets_reads_back_where_they_are_kept_and_says_elsewhere_what_it_lacks() {
    let kit = kit().await;
    let webhook = r#"{"name":"hook","type":"webhook","method":"PUT","url":"https://hooks.example.com/planted",
        "secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw","headers":{"X-Key":"planted"}}"#;
    kit.operations.create_channel(&owner(), &Node::from_json(webhook).expect("JSON")).await.expect("made");
    let filed = r#"{"url":"${HOOK}","headers":{"Authorization":"file:token","Accept":"text/plain"}}"#;
    kit.put(Owner::File, vec![channel("filed", "filed", "webhook", filed)]).await;
    let id = kit.monitor("db").await;
    let patch = Node::from_json(r#"{"channels":["ch1","filed"]}"#).expect("JSON");
    kit.operations.update_monitor(&owner(), id, &patch, None).await.expect("changed");

    let text = kit.export().await;
    let wanted = r#"channels:
  - name: hook
    type: webhook
    method: PUT
    headers: null  # a secret: exports leave it out
    secret: null  # a secret: exports leave it out
    url: null  # a secret: exports leave it out
  - name: filed
    type: webhook
    headers: {"Authorization": "file:token"}
    url: "${HOOK}"
    # left out: headers.Accept
monitors:
"#;
    assert!(text.starts_with(wanted) && text.contains("channels: [hook, filed]"), "{text}");
    kit.expect_unchanged(&Document::Import, &text).await;
    kit.import(&text, false).await.expect("done");
    assert_eq!(kit.export().await, text);
    // Whoever else applies it has the monitors of their own, and leaves the channels to whom they belong.
    let theirs = Document::Apply("c1".into());
    let plan = kit.operations.apply_document(&owner(), &theirs, &text, true).await.expect("a plan");
    assert_eq!((plan.added.len(), plan.unchanged, plan.warnings[0].code), (1, 2, "twin"));
    assert_eq!(plan.added[0].kind, "monitor");
    // What was left out before the word stood there is kept as well.
    let without: String =
        text.lines().filter(|line| !line.contains(": null")).map(|line| format!("{line}\n")).collect();
    kit.expect_unchanged(&Document::Import, &without).await;

    let other = self::kit().await;
    let lacks = problems(other.import(&text, true).await.expect_err("no secrets"));
    let places: Vec<(u32, u32)> = lacks.iter().map(|one| (one.0, one.1)).collect();
    assert_eq!(places[..3], [(5, 14), (6, 13), (7, 10)], "{lacks:?}");
    assert_eq!(
        lacks[2].2,
        "`url` of channel `hook` is missing: this server has no such channel yet, and exports leave secrets out"
    );
    assert_eq!(lacks[2].3, "fill it in here; in the server's own file: `url: ${NAME}`");
    assert!(lacks[3..].iter().all(|one| one.2.contains("reference") && one.0 > 9), "{lacks:?}");

    // Another channel in place of one that another owner has is refused, with its place.
    let changed = text.replace("url: \"${HOOK}\"", "url: https://elsewhere.example.com/");
    assert_ne!(changed, text);
    let refused = problems(kit.import(&changed, true).await.expect_err("it is the file's"));
    assert!(refused.len() == 1 && refused[0].2.contains("owner `file`") && refused[0].0 > 0, "{refused:?}");
}

#[tokio::test]
async fn filled_in_secrets_are_all_that_an_empty_server_lacks() {
    let from = kit().await;
    let webhook = r#"{"name":"hook","type":"webhook","id":"h","url":"https://hooks.example.com/planted"}"#;
    from.operations.create_channel(&owner(), &Node::from_json(webhook).expect("JSON")).await.expect("made");
    from.monitor_of(AccountId::DEFAULT, r#"{"name":"db","host":"192.0.2.1","port":1,"channels":["hook"]}"#)
        .await;
    let text = from.export().await;
    let to = kit().await;
    let filled = text.replace("url: null  #", "url: https://hooks.example.com/other  #");
    to.import(&filled, false).await.expect("all is there");
    assert_eq!(to.export().await, text);
    to.expect_unchanged(&Document::Import, &text).await;
}

#[tokio::test]
async fn a_renamed_monitor_and_one_that_is_told_by_number_are_as_they_were() {
    let kit = kit().await;
    kit.put(Owner::Api, vec![channel("ops", "ops", "log", "{}"), channel("night", "late", "log", "{}")])
        .await;
    let (a, b) = (kit.monitor("a").await, kit.monitor("b").await);
    let change = async |id: MonitorId, patch: &str| {
        let patch = Node::from_json(patch).expect("JSON");
        kit.operations.update_monitor(&owner(), id, &patch, None).await.expect("changed");
    };
    change(a, r#"{"name":"c","channels":["ch1","ops","night"]}"#).await;
    change(b, r#"{"name":"d"}"#).await;
    // A document may have given the one the other's name.
    kit.put(Owner::Api, vec![monitor("x", r#""name":"y""#), monitor("y", r#""name":"x""#)]).await;
    let text = kit.export().await;
    assert!(text.contains("channels: [ops, late]") && !text.contains("ch1"), "{text}");
    kit.expect_unchanged(&Document::Import, &text).await;
    let changed = text.replace("192.0.2.10", "192.0.2.11");
    let plan = kit.import(&changed, true).await.expect("a plan");
    let fields: Vec<Vec<&str>> =
        plan.changed.iter().map(|one| one.fields.iter().map(|field| &*field.field).collect()).collect();
    assert_eq!(fields, [["host"], ["host"]], "an identity that is the same is no change");
}

#[tokio::test]
async fn an_export_of_one_owner_is_made_true_again_by_that_owner() {
    let kit = kit().await;
    let infra = || Owner::Apply("infra".into());
    for (owner, host) in [(Owner::Api, "1"), (infra(), "2"), (Owner::File, "3")] {
        let spec = monitor("db", &format!(r#""name":"db","description":"{host}""#));
        kit.put(owner, vec![spec]).await;
    }
    let text = kit.operations.export_config(&owner(), Some(&infra())).await.expect("YAML");
    assert!(!text.contains("id:"), "{text}");
    kit.expect_unchanged(&Document::Apply("infra".into()), &text).await;
    kit.expect_unchanged(&Document::Import, &text).await;
    let all = kit.export().await;
    assert!(all.contains("id: \"db@apply:infra\"") && all.contains("id: \"db@file\""), "{all}");
    kit.expect_unchanged(&Document::Import, &all).await;
    // A change to what is another owner's is told: it would stand beside it.
    let plan = kit.import(&all.replace("\"3\"", "\"4\""), true).await.expect("a plan");
    assert_eq!((plan.added.len(), plan.warnings[0].code), (1, "twin"), "{plan:?}");
    assert!(plan.warnings[0].span.line > 0);
}

/// Owner, key and name of a channel; of a monitor, with whom it tells.
type Anything = (Vec<(Owner, usize, usize)>, Vec<(Owner, usize, usize, Vec<usize>)>);

/// Owners, keys and names from so few that they meet.
fn anything() -> impl Strategy<Value = Anything> {
    let someone = || {
        prop_oneof![
            3 => Just(Owner::Api),
            1 => Just(Owner::File),
            1 => Just(Owner::Apply("infra".into())),
            1 => Just(Owner::Apply("x".into())),
        ]
    };
    let channels = prop::collection::vec((someone(), 0..5_usize, 0..5_usize), 0..6);
    let told = prop::collection::vec(0..14_usize, 0..4);
    let monitors = prop::collection::vec((someone(), 0..6_usize, 0..6_usize, told), 0..14);
    (channels, monitors)
}

const WORDS: [&str; 6] = ["db", "db@file", "yes", "a: #b", "db@apply:infra", "ch2"];

#[test]
fn any_export_changes_nothing_where_it_is_from_and_is_written_again_by_an_empty_server() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let config = Config { cases: 40, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, rng);
    let result = runner.run(&anything(), |(channels, monitors)| {
        runtime.block_on(async {
            let kit = kit().await;
            let (mut names, mut keys) =
                (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
            let mut known = Vec::new();
            for (owner, key, name) in channels {
                if names.insert(name) && keys.insert((owner.clone(), key)) {
                    kit.put(owner, vec![channel(WORDS[key], WORDS[name], "log", "{}")]).await;
                    known.extend([
                        WORDS[name].to_owned(),
                        format!("ch{}", names.len()),
                        WORDS[key].to_owned(),
                    ]);
                }
            }
            for (owner, key, name, told) in monitors {
                let told: Vec<&String> = told.iter().filter_map(|i| known.get(*i)).collect();
                let fields = serde_json::json!({"name": WORDS[name], "channels": told}).to_string();
                let spec = monitor(WORDS[key], fields.trim_matches(['{', '}']));
                kit.put(owner, vec![spec]).await;
            }
            let text = kit.export().await;
            kit.expect_unchanged(&Document::Import, &text).await;
            for owner in [Owner::Apply("infra".into()), Owner::Apply("x".into())] {
                let theirs = kit.operations.export_config(&self::owner(), Some(&owner)).await.expect("YAML");
                let Owner::Apply(name) = owner else { unreachable!() };
                // Their monitors may tell channels of others, who are there.
                kit.expect_unchanged(&Document::Apply(name), &theirs).await;
            }
            let empty = self::kit().await;
            empty.import(&text, false).await.unwrap_or_else(|error| panic!("{error}\n{text}"));
            assert_eq!(empty.export().await, text);
            empty.expect_unchanged(&Document::Import, &text).await;
            let count =
                async |kit: &Kit| kit.store.account(AccountId::DEFAULT).monitors().await.expect("read").len();
            assert_eq!(count(&empty).await, count(&kit).await, "all of them");
        });
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}
