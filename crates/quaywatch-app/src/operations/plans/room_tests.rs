//! The room in a plan while everybody adds at once: it is never exceeded, and what is whole stays whole.

use quaywatch_core::AccountId;
use quaywatch_core::doc::Node;
use quaywatch_store::Store as _;
use quaywatch_store::records::Owner;
use tokio::task::JoinSet;

use crate::operations::OperationError;
use crate::operations::apply::Document;
use crate::operations::bulk::BulkAct;
use crate::operations::kit::{Kit, owner};

/// Several pieces, between which others have their turns.
const MONITORS: &str = "monitors: [{name: site, host: 192.0.2.2, ports: [1-550]}]\n";

fn plan(limits: &str) -> String {
    format!("server: {{plans: {{free: {{{limits}}}}}, default_plan: free}}\nmonitors: []\n")
}

fn spec(name: &str) -> String {
    format!(r#"{{"name":"{name}","host":"192.0.2.1","port":22}}"#)
}

async fn create(kit: &Kit, name: String) -> Result<(), OperationError> {
    let text = spec(&name);
    let body = Node::from_json(&text).expect("JSON");
    kit.operations.create_monitor(&owner(), &body).await.map(drop)
}

/// How many were made.
async fn create_many(kit: &Kit, name: &str, count: usize, atomic: bool) -> usize {
    let texts: Vec<String> = (0..count).map(|i| spec(&format!("{name} {i}"))).collect();
    let bodies: Vec<Node<'_>> = texts.iter().map(|text| Node::from_json(text).expect("JSON")).collect();
    let report =
        kit.operations.bulk_monitors(&owner(), BulkAct::Create(&bodies), atomic).await.expect("a report");
    report.items.iter().filter_map(|item| item.outcome.as_ref().ok()).map(Vec::len).sum()
}

async fn stored(kit: &Kit) -> Vec<(Owner, String)> {
    let monitors = kit.store.account(AccountId::DEFAULT).monitors().await.expect("read");
    monitors.into_iter().map(|one| (one.owner, one.name)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t18_however_many_add_at_once_a_plan_is_never_exceeded() {
    let kit = std::sync::Arc::new(Kit::with(&plan("max_urls: 40")).await);
    let mut all: JoinSet<usize> = JoinSet::new();
    for i in 0..10 {
        for j in 0..3 {
            let kit = kit.clone();
            all.spawn(async move { usize::from(create(&kit, format!("single {i} {j}")).await.is_ok()) });
        }
        let kit = kit.clone();
        all.spawn(async move { create_many(&kit, &format!("whole {i}"), 5, true).await });
    }
    for i in 0..4 {
        let kit = kit.clone();
        all.spawn(async move { create_many(&kit, &format!("each {i}"), 10, false).await });
    }
    let made: usize = all.join_all().await.into_iter().sum();
    let stored = stored(&kit).await;
    assert_eq!(made, stored.len(), "what is said to be made is there, and nothing else");
    assert!(stored.len() <= 40, "{} monitors", stored.len());
    assert!(stored.len() > 35, "the room was used: {}", stored.len());
    for i in 0..10 {
        let of_one = stored.iter().filter(|(_, name)| name.starts_with(&format!("whole {i} "))).count();
        assert!(of_one == 0 || of_one == 5, "all or nothing: {of_one} of `whole {i}`");
    }
}

#[tokio::test]
async fn t18_a_document_that_fits_is_made_true_whole_whoever_adds_meanwhile() {
    let kit = Kit::with(&plan("max_urls: 600, channels: 2")).await;
    let ports =
        "channels: [{name: ops, type: log}]\nmonitors: [{name: site, host: 192.0.2.2, ports: [1-550]}]\n";
    let site = Document::Apply("site".into());
    let (owner, channel) = (owner(), Node::from_json(r#"{"name":"mine","type":"log"}"#).expect("JSON"));
    let (document, single, whole, each, channels) = tokio::join!(
        kit.operations.apply_document(&owner, &site, ports, false),
        create(&kit, "single".to_owned()),
        create_many(&kit, "whole", 60, true),
        create_many(&kit, "each", 60, false),
        async {
            let first = kit.operations.create_channel(&owner, &channel).await;
            let second = Node::from_json(r#"{"name":"other","type":"log"}"#).expect("JSON");
            (first.is_ok(), kit.operations.create_channel(&owner, &second).await)
        },
    );
    document.expect("it was first, and it fits");
    assert_eq!((whole, each + usize::from(single.is_ok())), (0, 50), "sixty do not fit any more");
    assert!(channels.0);
    assert!(matches!(channels.1, Err(OperationError::Limit { limit: "channels", .. })), "{:?}", channels.1);
    assert_eq!(of_site(&kit).await, (550, 600));

    // Whoever comes first: the document is made true, or nothing of it.
    let kit = Kit::with(&plan("max_urls: 600")).await;
    let (each, document) = tokio::join!(
        create_many(&kit, "each", 60, false),
        kit.operations.apply_document(&owner, &site, MONITORS, false),
    );
    match document {
        Ok(_) => assert_eq!((each, of_site(&kit).await), (50, (550, 600))),
        Err(OperationError::Limit { limit: "max_urls", .. }) => {
            assert_eq!((each, of_site(&kit).await), (60, (0, 60)));
        }
        Err(other) => panic!("{other}"),
    }
}

/// Monitors of the document, and of everybody.
async fn of_site(kit: &Kit) -> (usize, usize) {
    let stored = stored(kit).await;
    (stored.iter().filter(|(owner, _)| *owner == Owner::Apply("site".into())).count(), stored.len())
}

#[tokio::test]
async fn a_call_that_is_cut_in_the_middle_tells_what_it_did() {
    let kit = Kit::new().await;
    let texts: Vec<String> = (0..1_000).map(|i| spec(&format!("m {i}"))).collect();
    let bodies: Vec<Node<'_>> = texts.iter().map(|text| Node::from_json(text).expect("JSON")).collect();
    let owner = owner();
    // The server goes down as soon as the first piece is written; turns are given in the order of asking.
    let (report, ()) =
        tokio::join!(kit.operations.bulk_monitors(&owner, BulkAct::Create(&bodies), false), async {
            while stored(&kit).await.is_empty() {}
            kit.operations.changes.close().await;
        });
    let outcomes: Vec<bool> =
        report.expect("a report").items.iter().map(|item| item.outcome.is_ok()).collect();
    let done = outcomes.iter().filter(|ok| **ok).count();
    assert_eq!(outcomes.len(), 1_000);
    assert!(done > 0 && done < 1_000, "{done} were made");
    assert!(outcomes[..done].iter().all(|ok| *ok), "one piece after the other");
    assert_eq!(stored(&kit).await.len(), done);
}
