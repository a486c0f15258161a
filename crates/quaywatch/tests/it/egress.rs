//! A guest of a server with many accounts, and every way in over HTTP by which an account can have something dialled:
//! single and many monitors, the call of other products, documents that are imported and applied, changes of what was
//! lawful, channels, and what is only tried out. The corpus goes through each, in a network where every packet that
//! leaves for a place that is not public is counted; two hundred lawful names work meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quaywatch_testkit::process::Server;
use quaywatch_testkit::wait;
use quaywatch_testkit::world::{Corpus, LAWFUL, Network, PORT, RESOLVER, World, lawful};
use serde_json::{Value, json};

use crate::BINARY;
use crate::program::{beside, token};
use crate::talk::{Answer, Talk};

/// Only used up where the test fails.
const PATIENCE: Duration = Duration::from_secs(60);
const PASSWORD: &str = "tugboats at dawn";
/// Requests at once: an account may try so many channels at once.
const LANES: usize = 4;

/// Somebody who asks, from inside of the network.
struct Guest {
    talk: Talk,
    by: String,
}

impl Guest {
    /// Somebody whom the owner of the server invited into an account of their own.
    fn invited(server: &Server<'_>) -> Self {
        let added = beside(&server.data(), &["user", "add", "kim@example.com"], &format!("{PASSWORD}\n"));
        assert!(added.status.success(), "{added:?}");
        let talk = Talk::to(server.listen);
        let post = |path: &str, by: &str, body: &Value| {
            let headers = [by, "content-type: application/json"];
            let answer = talk.ask_once("POST", &format!("/api/v1{path}"), &headers, &body.to_string());
            assert!((200..300).contains(&answer.status), "{path}: {} {}", answer.status, answer.body);
            answer
        };
        let cookie = |answer: &Answer| format!("cookie: {}", answer.cookie.as_deref().expect("signed in"));
        let kim = post("/session", "", &json!({ "email": "kim@example.com", "password": PASSWORD }));
        let invited = post("/invitations", &cookie(&kim), &json!({ "email": "eve@example.com" }));
        let accept = json!({
            "secret": invited.text("/secret"), "name": "Eve", "password": PASSWORD, "account_name": "Guest",
        });
        let eve = post("/invitations/accept", "", &accept);
        let made = post("/tokens", &cookie(&eve), &json!({ "name": "all", "scopes": ["admin"] }));
        let by = format!("authorization: Bearer {}", made.text("/token"));
        Self { talk, by }
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        // A document of JSON is one of YAML.
        let is_document = path.starts_with("/import") || path.starts_with("/apply");
        let kind = if is_document { "application/yaml" } else { "application/json" };
        let headers = [self.by.as_str(), &format!("content-type: {kind}")];
        self.talk.ask_once(method, &format!("/api/v1{path}"), &headers, &body.to_string())
    }

    /// Makes something: its answer, or `None` where it is refused as it is written.
    fn make(&self, method: &str, path: &str, body: &Value) -> Option<Value> {
        let answer = self.ask(method, path, body);
        match answer.status {
            200 | 201 => Some(answer.json()),
            422 => None,
            _ => panic!("{method} {path} {body}: {} {}", answer.status, answer.body),
        }
    }

    fn all(&self, list: &str) -> Vec<Value> {
        let (mut items, mut after) = (Vec::new(), String::new());
        loop {
            let page = self.ask("GET", &format!("/{list}?limit=1000{after}"), &Value::Null).json();
            items
                .extend(page["items"].as_array().unwrap_or_else(|| panic!("{list}: {page}")).iter().cloned());
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return items,
            }
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Does it to each, several at once.
fn each<T: Sync>(network: &Network, all: &[T], work: impl Fn(usize, &T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                network.watcher.enter(|| {
                    while let Some((n, one)) = {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        all.get(n).map(|one| (n, one))
                    } {
                        work(n, one);
                    }
                });
            });
        }
    });
}

fn monitor(name: &str, host: &str) -> Value {
    json!({
        "name": name, "host": host, "port": PORT, "check_interval": "2s", "timeout": "500ms", "dns_timeout": "1s",
        "retry_interval": "500ms",
    })
}

/// How often each way in took a spelling, and refused one as written.
type Taken = Mutex<BTreeMap<&'static str, (usize, usize)>>;

fn note(taken: &Taken, way: &'static str, is_taken: bool) {
    let mut taken = taken.lock().expect("no holder panics");
    let (yes, no) = taken.entry(way).or_default();
    if is_taken { *yes += 1 } else { *no += 1 }
}

/// Monitors of hosts, by every way in: their names begin with `forbidden`.
fn bring_monitors(network: &Network, guest: &Guest, corpus: &Corpus, taken: &Taken) {
    let forbidden = corpus.forbidden();
    let named = |way: &str, n: usize| format!("forbidden {way} {n}");
    let bulk: Vec<Value> =
        forbidden.iter().enumerate().map(|(n, host)| monitor(&named("bulk", n), host)).collect();
    let answer = network.watcher.enter(|| guest.make("POST", "/monitors/bulk", &json!({ "create": bulk })));
    let answer = answer.expect("each by itself");
    for item in answer["items"].as_array().expect("items") {
        note(taken, "bulk", item["monitors"].as_array().is_some_and(|made| !made.is_empty()));
    }
    let movable = AtomicUsize::new(0);
    each(network, &forbidden, |n, host| {
        let one = |way: &str| json!({ "monitors": [monitor(&named(way, n), host)] });
        let way = |way: &'static str, method: &str, path: &str, body: &Value| {
            note(taken, way, guest.make(method, path, body).is_some());
        };
        way("monitors", "POST", "/monitors", &monitor(&named("monitors", n), host));
        way("import", "POST", "/import", &one("import"));
        way("apply", "POST", &format!("/apply/document-{n}"), &one("apply"));
        let url =
            json!({ "url": host, "monitor_type": "tcp", "port": PORT, "period": 2, "custom_timeout": 0.5 });
        way("urls", "POST", "/urls", &url);
        let made =
            guest.make("POST", "/monitors", &monitor(&named("patch", n), "45.1.203.1")).expect("lawful");
        let id = text(&made["id"]);
        let patched = guest.make("PATCH", &format!("/monitors/{id}"), &json!({ "host": host })).is_some();
        note(taken, "patch", patched);
        if patched {
            let copy =
                guest.make("POST", &format!("/monitors/{id}/clone"), &json!({ "name": named("clone", n) }));
            note(taken, "clone", copy.is_some());
            guest.ask("POST", &format!("/monitors/{id}/check-now"), &json!({}));
            movable.fetch_add(1, Ordering::Relaxed);
        } else {
            assert_eq!(guest.ask("DELETE", &format!("/monitors/{id}"), &Value::Null).status, 204);
        }
        // Seen at once, and nothing is kept.
        let seen =
            guest.make("POST", "/monitors/test", &json!({ "host": host, "port": PORT, "timeout": "500ms" }));
        note(taken, "test", seen.is_some());
        if let Some(seen) = seen {
            assert_eq!(text(&seen["error_code"]), "policy_blocked", "{host}: {seen}");
        }
    });
    assert!(movable.into_inner() >= 100);
}

/// Webhooks by every way in, each tried out: those of [`Corpus::webhooks`], of which the last are lawful.
fn bring_channels(network: &Network, guest: &Guest, corpus: &Corpus, taken: &Taken) {
    let wanted = corpus.webhooks();
    let is_lawful = |n: usize| n >= wanted.len() - LAWFUL;
    // Some are slow to be tried out: each way of them is a task of its own.
    let tasks: Vec<(usize, &'static str)> = (0..wanted.len())
        .flat_map(|n| ["channels", "brought", "applied", "patched"].map(|way| (n, way)))
        // The lawful ones go in once; what is forbidden goes in by every way.
        .filter(|(n, way)| *way == "channels" || !is_lawful(*n) || n % 20 == 0)
        .collect();
    each(network, &tasks, |_, &(n, way)| {
        let (url, name) = (&wanted[n], format!("{way} {n}"));
        let channel = json!({ "name": name, "type": "webhook", "url": url });
        let document = json!({ "channels": [channel], "monitors": [] });
        let made = match way {
            "channels" => guest.make("POST", "/channels", &channel),
            "brought" => guest.make("POST", "/import", &document),
            "applied" => guest.make("POST", &format!("/apply/channel-{n}"), &document),
            _ => {
                let lawful = "http://n1.lawful.test:7000/before";
                let before = json!({ "name": name, "type": "webhook", "url": lawful });
                guest.make("POST", "/channels", &before).expect("lawful");
                guest.make("PATCH", &format!("/channels/{way}%20{n}"), &json!({ "url": url }))
            }
        };
        note(taken, way, made.is_some());
        assert!(made.is_some() || !is_lawful(n), "{way}: {url}");
        if made.is_some() {
            let tested = guest.ask("POST", &format!("/channels/{way}%20{n}/test"), &Value::Null);
            // The first answer for these names is lawful; what comes of later ones is counted below.
            let is_right = url.ends_with("/turning") || tested.json()["sent"] == is_lawful(n);
            assert!(is_right, "{way} {url}: {} {}", tested.status, tested.body);
        }
    });
}

#[test]
fn s03_no_way_in_over_http_leads_inside() {
    let corpus = Corpus::read();
    assert!(corpus.spellings() >= 250, "{}", corpus.spellings());
    let network = Network::new();
    let world = World::start(&network, &corpus);
    let file = format!(
        "server: {{accounts: multi, requests_per_second: 100000}}\nresolvers: [\"{RESOLVER}\"]\nmonitors: []\n"
    );
    let mut server = Server::new(BINARY, &file).within(&network.watcher);
    server.start();
    let guest = network.watcher.enter(|| Guest::invited(&server));
    let taken = Taken::default();
    // Before there are many monitors: a document is held against all that is there.
    bring_channels(&network, &guest, &corpus, &taken);
    bring_monitors(&network, &guest, &corpus, &taken);
    network.watcher.enter(|| {
        let names: Vec<Value> = (1..=LAWFUL).map(|n| monitor(&lawful(n), &lawful(n))).collect();
        let made = guest.make("POST", "/monitors/bulk", &json!({ "create": names })).expect("taken");
        assert_eq!(made["done"], LAWFUL, "every lawful name is taken");
        for (n, name) in corpus.mixed.keys().chain(corpus.turning.keys()).enumerate() {
            guest
                .make("POST", "/monitors", &monitor(&format!("turning {n}"), name))
                .expect("a name like any other");
        }
    });

    // What tells all of them.
    let channels = network.watcher.enter(|| guest.ask("GET", "/channels", &Value::Null).json());
    let items = channels["items"].as_array().expect("items");
    let names: Vec<String> = items.iter().map(|channel| text(&channel["name"]).to_owned()).collect();
    network.watcher.enter(|| {
        for (n, names) in names.chunks(50).enumerate() {
            let mut tells = monitor(&format!("tells {n}"), &format!("45.1.202.{}", n + 1));
            tells["expectation"] = json!("closed");
            tells["channels"] = json!(names);
            guest.make("POST", "/monitors", &tells).expect("a lawful monitor");
        }
    });
    let taken = taken.into_inner().expect("no holder panics");
    for (way, (yes, no)) in &taken {
        assert!(*yes >= 100 && (*no >= 30 || *way == "clone"), "{way} takes and refuses: {taken:?}");
    }
    assert_eq!(taken.len(), 12, "{taken:?}");

    let mut last = String::new();
    let settled = wait::poll(PATIENCE, || {
        let monitors = network.watcher.enter(|| guest.all("monitors"));
        let wrong: Vec<String> = monitors.iter().filter_map(unsettled).collect();
        last = format!("{} of {}: {:?}", wrong.len(), monitors.len(), &wrong[..wrong.len().min(20)]);
        wrong.is_empty().then_some(monitors.len())
    });
    assert!(settled.unwrap_or_else(|| panic!("not as it should be: {last}")) > 1_000);
    let posted = || world.posted();
    wait::until("every lawful receiver is told", PATIENCE, || {
        let posted = posted();
        (1..=LAWFUL).all(|n| posted.contains(&format!("/n{n}")))
    });
    assert!(!posted().contains("/forbidden") && !posted().contains("/"), "{:?}", posted());
    for n in 0..corpus.redirects.len() {
        assert!(posted().contains(&format!("/redirect/{n}")), "the redirect was received: {n}");
    }
    assert_eq!(network.leaked(), BTreeSet::new(), "no packet may go there");

    // That this would have been seen: the server's own account may look at its own network.
    network.watcher.enter(|| {
        let by = format!("authorization: Bearer {}", token(&server.data(), "own", "write"));
        let own = Guest { talk: Talk::to(server.listen), by };
        own.make("POST", "/monitors", &monitor("own", "10.9.9.9")).expect("a lawful monitor");
    });
    wait::until("the packet is counted", PATIENCE, || network.leaked().contains("10.9.9.9 . 7000"));
}

/// What is not yet, or never, as it should be.
fn unsettled(monitor: &Value) -> Option<String> {
    let (name, host) = (text(&monitor["name"]), text(&monitor["host"]));
    let code = text(&monitor["last_check"]["error_code"]);
    let fits = if name.starts_with("tells") {
        !code.is_empty()
    } else if name.ends_with("lawful.test") || host.ends_with("lawful.test") {
        code == "ok"
    } else if name.starts_with("turning") {
        // The first answer was lawful, or one of several is.
        code == "ok" || code == "policy_blocked"
    } else {
        code == "policy_blocked"
    };
    (!fits).then(|| format!("{name} {host:?} {code}"))
}
