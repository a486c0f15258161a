//! Two accounts, both full: what one has is nowhere in what the other is shown.

use std::collections::BTreeSet;
use std::time::Duration;

use quaywatch_api::document;
use quaywatch_core::AccountId;
use quaywatch_testkit::port::ClosedPort;
use serde_json::{Value, json};

use crate::document::operations;
use crate::events::Stream;
use crate::kit::{Kit, Serving, request};

/// How long an incident may take on a machine that also builds.
const PATIENCE: Duration = Duration::from_secs(30);

/// One account: everything in it is called by its word.
struct Account {
    word: &'static str,
    id: AccountId,
    token: String,
    /// Ids of what is there: of the monitor that is checked, its incident, and all else.
    monitor: String,
    incident: String,
    channel: String,
    others: Vec<String>,
}

impl Account {
    async fn furnish(serving: &Serving, word: &'static str, id: AccountId, port: u16) -> Self {
        let kit = &serving.kit;
        let token = serving.token(id, &format!("{word} furnishes")).await;
        let monitor = |name: &str, port: u16| {
            json!({
                "name": format!("{word} {name}"), "host": "127.0.0.1", "port": port, "group": format!("{word}/db"),
                "tags": { word: word }, "check_interval": 1, "consecutive_failures_before_alert": 1,
                "description": word,
            })
        };
        let log = |name: &str| json!({ "name": format!("{word} {name}"), "type": "log" });
        let invitation = json!({ "email": format!("waits@{word}.example"), "role": "viewer" });
        let made = [
            ("/monitors", monitor("database", port)),
            ("/monitors", monitor("removed", port)),
            ("/channels", log("ops")),
            ("/channels", log("removed")),
            ("/tokens", json!({ "name": format!("{word} token"), "scopes": ["read"] })),
            ("/invitations", invitation),
        ];
        let mut ids = Vec::new();
        for (path, body) in made {
            let answer = kit.post(&token, path, &body).await;
            assert_eq!(answer.status, 201, "{path}: {}", answer.text);
            // Invitations have bare numbers: their address tells whose they are.
            ids.extend(answer.json()["id"].as_str().map(str::to_owned));
        }
        let [monitor, removed, channel, removed_channel, other_token] = ids.try_into().expect("five ids");
        for gone in [format!("/monitors/{removed}"), format!("/channels/{removed_channel}")] {
            let answer = kit.call(&token, "DELETE", &gone, None).await;
            assert_eq!(answer.status, 204, "{gone}: {}", answer.text);
        }
        let incident = tokio::time::timeout(PATIENCE, incident(kit, &token, &monitor)).await;
        let incident = incident.expect("nothing listens on its port");
        let comment = json!({ "text": word });
        let answer = kit.post(&token, &format!("/incidents/{incident}/comments"), &comment).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        Self {
            word,
            id,
            token,
            monitor,
            incident,
            channel,
            others: vec![removed, removed_channel, other_token],
        }
    }

    /// Whether an answer shows anything of this account.
    fn is_in(&self, answer: &Value) -> bool {
        match answer {
            Value::String(text) => {
                let own = [&self.monitor, &self.incident, &self.channel];
                text.contains(self.word) || own.into_iter().chain(&self.others).any(|id| id == text)
            }
            Value::Array(items) => items.iter().any(|item| self.is_in(item)),
            Value::Object(map) => map.iter().any(|(key, value)| key.contains(self.word) || self.is_in(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }

    /// The path of an operation, about what is this account's.
    fn path_of(&self, path: &str) -> String {
        let number = self.monitor.trim_start_matches('m');
        let id = match path {
            path if path.contains("/monitors/") => &self.monitor,
            path if path.contains("/incidents/") => &self.incident,
            path if path.contains("/urls/") => number,
            _ => "",
        };
        path.replace("{id}", id).replace("{channel}", &self.channel)
    }
}

async fn incident(kit: &Kit, token: &str, monitor: &str) -> String {
    loop {
        let page = kit.get(token, &format!("/incidents?monitor={monitor}")).await.json();
        if let Some(id) = page["items"][0]["id"].as_str() {
            return id.to_owned();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A server of many accounts with two that are full.
async fn two(serving: &Serving, ports: [u16; 2]) -> [Account; 2] {
    let kit = &serving.kit;
    let key = serving.identity.new_setup_key().await.expect("a store").expect("nobody is there yet");
    let first = json!({
        "key": key.reveal(), "email": "al@alpaca.example", "name": "Al", "password": "staple battery horse",
    });
    assert_eq!(kit.post("", "/setup", &first).await.status, 200);
    let own = json!({ "email": "zoe@guests.example" });
    let invited = kit.post("a1:owner", "/invitations", &own).await;
    assert_eq!(invited.status, 201, "{}", invited.text);
    let yes = json!({
        "secret": invited.json()["secret"], "name": "Zoe", "password": "correct horse battery",
        "account_name": "zebra",
    });
    let accepted = kit.post("", "/invitations/accept", &yes).await;
    assert_eq!(accepted.status, 200, "{}", accepted.text);
    let second = accepted.json()["account"].as_str().expect("an account").parse().expect("an account");
    [
        Account::furnish(serving, "alpaca", AccountId::DEFAULT, ports[0]).await,
        Account::furnish(serving, "zebra", second, ports[1]).await,
    ]
}

const FILE: &str = "\
server: {accounts: multi, egress: {allow: [127.0.0.0/8]}}
resolvers: ['127.0.0.1:1']
monitors: []
";

/// What is the same for all: presets and the like. Everything else shows an owner what is theirs.
const OF_NOBODY: [&str; 3] = ["channels_kinds", "presets_list", "locations_list"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_one_account_is_in_what_the_other_is_shown() {
    let (first, second) = (ClosedPort::new(), ClosedPort::new());
    let serving = Serving::of(FILE).await;
    let accounts = two(&serving, [first.address.port(), second.address.port()]).await;
    let mut asked = BTreeSet::new();
    for (one, other) in [(&accounts[0], &accounts[1]), (&accounts[1], &accounts[0])] {
        for (path, method, operation) in operations(&document()) {
            let id = operation["operationId"].as_str().expect("an id");
            if method != "GET" || operation["x-policy"]["level"].is_null() || id == "events_follow" {
                continue;
            }
            asked.insert(id.to_owned());
            let path = path.strip_prefix("/api/v1").expect("below it");
            let mut target = one.path_of(path);
            if id == "monitors_find" {
                target = format!("{target}?name={}+database", one.word);
            }
            let answer = serving.kit.send(request(&one.token, "GET", &target, None)).await;
            assert_eq!(answer.status, 200, "{target}: {}", answer.text);
            // An export is YAML.
            let shown =
                serde_json::from_str(&answer.text).unwrap_or_else(|_| Value::from(answer.text.clone()));
            assert!(!other.is_in(&shown), "{} sees {} in {target}: {shown:#}", one.word, other.word);
            if let Some(items) = shown["items"].as_array().filter(|_| !OF_NOBODY.contains(&id)) {
                assert!(!items.is_empty(), "nothing is in {target}, so nothing is proved by it");
            }
            // The same about a thing of the other's: as if it were not there.
            if path.contains('{') {
                let foreign = serving.kit.send(request(&one.token, "GET", &other.path_of(path), None)).await;
                assert_eq!(foreign.status, 404, "{path}: {}", foreign.text);
            }
        }
        let monitors = serving.kit.get(&one.token, "/monitors").await.json();
        assert_eq!(monitors["total"], 1, "{monitors:#}");
        let counted: u64 =
            monitors["counts"].as_object().expect("counts").values().filter_map(Value::as_u64).sum();
        assert_eq!(counted, 1, "{monitors:#}");
    }
    assert!(asked.len() > 25, "{asked:?}");
    serving.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_and_keys_of_one_account_know_nothing_of_the_other() {
    let (first, second) = (ClosedPort::new(), ClosedPort::new());
    let serving = Serving::of(FILE).await;
    let accounts = two(&serving, [first.address.port(), second.address.port()]).await;
    let mut streams = Vec::new();
    for account in &accounts {
        let token = serving.token(account.id, "follows").await;
        streams.push(Stream::open(&serving, ("x-api-key", &token), None).await);
    }
    for account in &accounts {
        let mut pause = request(
            &account.token,
            "POST",
            &format!("/monitors/{}/pause", account.monitor),
            Some(&json!({})),
        );
        pause.headers_mut().insert("idempotency-key", "the-same".parse().expect("a value"));
        let paused = serving.kit.send(pause).await;
        assert_eq!(
            (paused.status.as_u16(), paused.header("idempotency-replayed")),
            (200, None),
            "{}",
            paused.text
        );
        assert_eq!(paused.json()["id"], account.monitor.as_str());
    }
    for (account, stream) in accounts.iter().zip(&mut streams) {
        loop {
            let seen = stream.next().await.expect("the stream goes on");
            let own = [&account.monitor, &account.others[0]];
            assert!(own.into_iter().any(|id| seen["monitor"] == id.as_str()), "{}: {seen}", account.word);
            if seen["status"] == "paused" {
                break;
            }
        }
    }
    serving.end().await;
}
