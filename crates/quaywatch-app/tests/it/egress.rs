//! Accounts that do not know each other, and a corpus of what somebody would write who wants to see the inside of the
//! server's network: as monitors' hosts, as webhooks' addresses, in answers of a name server, in redirects. In a network
//! of the test's own, where the world would answer at every address, no packet goes anywhere but to the world's public
//! ones, and two hundred lawful names work meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use quaywatch_app::caller::{Actor, Caller};
use quaywatch_app::observe::{Reading, Wanted};
use quaywatch_app::operations::{OperationError, Operations};
use quaywatch_app::server::{Options, Server};
use quaywatch_core::access::{Access, Role};
use quaywatch_core::doc::Node;
use quaywatch_core::{AccountId, Clock as _, ErrorCode, UserId};
use quaywatch_net::SystemClock;
use quaywatch_store::{SqliteStore, Store as _};
use quaywatch_testkit::world::{Corpus, LAWFUL, Network, PORT, World, lawful};

/// Only used up where the test fails.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many channels one monitor tells.
const CHANNELS_EACH: usize = 50;

fn caller(account: AccountId) -> Caller {
    let (actor, access) = (Actor::User(UserId(1)), Access::Role(Role::Owner));
    Caller { account, actor, access, session: None, address: None, request_id: None }
}

/// A monitor of a host, made as the API makes it. `None`: refused as it is written.
async fn create(
    operations: &Operations,
    account: AccountId,
    name: &str,
    host: &str,
    more: &str,
) -> Option<()> {
    let (name, host) = (serde_json::json!(name), serde_json::json!(host));
    let body = format!(
        r#"{{"name":{name},"host":{host},"port":{PORT},"check_interval":"1s","timeout":"500ms","dns_timeout":"1s",
        "retry_interval":"200ms"{more}}}"#
    );
    let node = Node::from_json(&body).expect("JSON");
    match operations.create_monitor(&caller(account), &node).await {
        Ok(_) => Some(()),
        Err(OperationError::Invalid(_)) => None,
        Err(error) => panic!("{host}: {error}"),
    }
}

async fn until(what: &str, mut so: impl AsyncFnMut() -> Result<(), String>) {
    let began = SystemClock.boot();
    while let Err(left) = so().await {
        assert!(SystemClock.boot().since(began) < PATIENCE, "{what}: {left}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Attempts to deliver so far, by what came of them.
async fn attempts(server: &Server) -> BTreeMap<String, u64> {
    let families = server.observatory().families(&Wanted::default()).await;
    let family = families.into_iter().find(|family| family.name == "quaywatch_delivery_attempts");
    let samples = family.into_iter().flat_map(|family| family.samples);
    let count = |sample: quaywatch_app::observe::Sample| match sample.reading {
        Reading::Counter(count) => Some((sample.labels[0].1.clone(), count)),
        Reading::Gauge(_) | Reading::Histogram(_) => None,
    };
    samples.filter_map(count).collect()
}

#[test]
fn s03_a_guest_reaches_nothing_but_what_is_public_however_it_is_written() {
    let corpus = Corpus::read();
    assert!(corpus.spellings() >= 250, "{}", corpus.spellings());
    let network = Network::new();
    let world = World::start(&network, &corpus);
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("q.yaml");
    let text = "server: {accounts: multi}\nresolvers: [\"45.0.0.2:53\"]\nmonitors: []\n";
    std::fs::write(&file, text).expect("written");
    network.watcher.enter(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.expect("a runtime").block_on(play(&corpus, &network, &world, directory.path(), &file));
    });
}

async fn play(corpus: &Corpus, network: &Network, world: &World, directory: &Path, file: &Path) {
    let data = directory.join("data");
    let options =
        Options { config: Some(file.to_owned()), data_dir: Some(data.clone()), ..Options::default() };
    let (server, ()) = Server::start(options, async |_| Ok(())).await.expect("it starts");
    let operations = server.operations();
    let store = SqliteStore::open_beside(&data, Arc::new(SystemClock)).expect("a second way in");
    let guest = store.system().create_account("Guest".into(), SystemClock.now()).await.expect("free").id;

    // Webhooks: what goes down below tells them all.
    let wanted = corpus.webhooks();
    let mut channels = Vec::new();
    for (n, url) in wanted.iter().enumerate() {
        let body = serde_json::json!({ "name": format!("channel {n}"), "type": "webhook", "url": url });
        let body = body.to_string();
        match operations.create_channel(&caller(guest), &Node::from_json(&body).expect("JSON")).await {
            Ok(channel) => channels.push(channel.name),
            Err(OperationError::Invalid(_)) => {}
            Err(error) => panic!("{url}: {error}"),
        }
    }
    for (n, names) in channels.chunks(CHANNELS_EACH).enumerate() {
        let tells = format!(r#","expectation":"closed","channels":{}"#, serde_json::json!(names));
        let (name, host) = (format!("tells {n}"), format!("45.1.202.{}", n + 1));
        create(&operations, guest, &name, &host, &tells).await.expect("a lawful monitor");
    }

    let (mut accepted, mut refused) = (BTreeSet::new(), 0);
    for (n, host) in corpus.forbidden().into_iter().enumerate() {
        let name = format!("forbidden {n}: {host:?}");
        match create(&operations, guest, &name, host, "").await {
            Some(()) => drop(accepted.insert(name)),
            None => refused += 1,
        }
    }
    for name in corpus.mixed.keys().chain(corpus.turning.keys()) {
        create(&operations, guest, name, name, "").await.expect("a name like any other");
    }
    for n in 1..=LAWFUL {
        create(&operations, guest, &lawful(n), &lawful(n), "").await.expect("a lawful name");
    }
    assert!(accepted.len() >= 100 && refused >= 50, "{} {refused}: both ways are taken", accepted.len());

    until("what is forbidden is blocked, and all else is up", async || {
        let statuses = store.account(guest).statuses().await.map_err(|error| error.to_string())?;
        let wrong = |status: &quaywatch_store::records::StatusRecord| {
            let (name, code) = (&status.monitor.name, status.last.map(|row| row.code));
            let fits = match code {
                None => false,
                Some(code) if accepted.contains(name) || corpus.turning.contains_key(name) => {
                    code == ErrorCode::PolicyBlocked
                }
                Some(code) => name.starts_with("tells") || code == ErrorCode::Ok,
            };
            (!fits).then(|| format!("{name} {code:?}"))
        };
        let wrong: Vec<_> = statuses.iter().filter_map(wrong).collect();
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(format!("{} are not: {:?}", wrong.len(), &wrong[..wrong.len().min(20)]))
        }
    })
    .await;
    until("every channel was tried, and every lawful one reached", async || {
        let posted = world.posted();
        let missing: Vec<_> =
            (1..=LAWFUL).map(|n| format!("/n{n}")).filter(|path| !posted.contains(path)).collect();
        if !missing.is_empty() {
            return Err(format!("nothing was posted to {missing:?}"));
        }
        let attempts = attempts(&server).await;
        let tried: u64 = attempts.values().sum();
        if tried < channels.len() as u64 { Err(format!("{attempts:?}")) } else { Ok(()) }
    })
    .await;
    let attempts = attempts(&server).await;
    assert!(channels.len() < wanted.len(), "some are refused as written");
    assert!(attempts["refused_by_policy"] >= 100, "{attempts:?}");
    let posted = world.posted();
    assert!(!posted.contains("/forbidden") && !posted.contains("/"), "{posted:?}");
    for n in 0..corpus.redirects.len() {
        assert!(posted.contains(&format!("/redirect/{n}")), "the redirect was received: {n}");
    }

    // Once more, each by a test that saves nothing.
    for host in corpus.forbidden() {
        let body = format!(r#"{{"host":{},"port":{PORT},"timeout":"500ms"}}"#, serde_json::json!(host));
        match operations.test_monitor(&caller(guest), &Node::from_json(&body).expect("JSON")).await {
            Ok(seen) => assert_eq!(seen.report.error_code, ErrorCode::PolicyBlocked, "{host}"),
            Err(OperationError::Invalid(_)) => {}
            Err(error) => panic!("{host}: {error}"),
        }
    }
    for channel in &channels {
        let tested = operations.test_channel(&caller(guest), channel).await.expect("tried");
        let number: usize = channel.trim_start_matches("channel ").parse().expect("named so above");
        let is_lawful = number >= wanted.len() - LAWFUL;
        assert_eq!(tested.sent, is_lawful, "{}: {}", wanted[number], tested.answer);
    }
    assert_eq!(network.leaked(), BTreeSet::new(), "no packet may go there");

    // That this would have been seen: the server's own account may look at its own network.
    create(&operations, AccountId::DEFAULT, "own", "10.9.9.9", "").await.expect("a lawful monitor");
    until("the packet is counted", async || {
        if network.leaked().contains("10.9.9.9 . 7000") { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
    server.shutdown().await;
    store.system().close().await.expect("closed");
}
