//! A channel and a check that were made by the API: their secrets lie sealed in the database, open again after a crash,
//! and are of no use without their key. That is said, nothing is lost meanwhile, and the key works from the environment too.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use quaywatch_testkit::port::Toggle;
use quaywatch_testkit::process::Server;
use quaywatch_testkit::sink::{Received, Sink};
use quaywatch_testkit::wait;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::BINARY;
use crate::parrot::Parrot;
use crate::program::token;
use crate::talk::Talk;

const PATIENCE: Duration = Duration::from_secs(20);
const SIGNING: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BEARER: &str = "tide-tables-4711";
const HEADER: &str = "bollard-0815";
const PASSWORD: &str = "capstan-0711";

/// Somebody with a token.
struct Client {
    talk: Talk,
    by: String,
}

impl Client {
    fn of(server: &Server<'_>) -> Self {
        let by = format!("authorization: Bearer {}", token(&server.data(), "sealed", "admin"));
        Self { talk: Talk::to(server.listen), by }
    }

    fn post(&mut self, path: &str, body: &Value) -> Value {
        let answer = self.talk.post(&format!("/api/v1{path}"), &self.by, body);
        assert!((200..300).contains(&answer.status), "{path}: {} {}", answer.status, answer.body);
        answer.json()
    }

    fn is(&mut self, monitor: &str, status: &str) -> bool {
        self.said(monitor, "status") == status
    }

    fn said(&mut self, monitor: &str, field: &str) -> Value {
        let path = format!("/api/v1/monitors/{monitor}");
        self.talk.ask("GET", &path, &[&self.by], "").json()[field].clone()
    }
}

/// What only whoever knows the secrets can send (Standard Webhooks v1).
fn assert_ours(notice: &Received) {
    let header = |name: &str| notice.headers.get(name).map_or("", String::as_str);
    assert_eq!(header("authorization"), format!("Bearer {BEARER}"));
    assert_eq!(header("x-token"), HEADER);
    assert_eq!(notice.path, "/hooks/T0Psecret");
    let key = STANDARD.decode(SIGNING.trim_start_matches("whsec_")).expect("base64");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("any length");
    mac.update(format!("{}.{}.", header("webhook-id"), header("webhook-timestamp")).as_bytes());
    mac.update(&notice.body);
    let right = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    assert!(header("webhook-signature").split(' ').any(|signature| signature == right), "{notice:?}");
}

fn text(notice: &Received, field: &str) -> String {
    notice.json()[field].as_str().unwrap_or_default().to_owned()
}

/// The key itself, as it stands in its file.
fn key_in(file: &Path) -> String {
    let text = std::fs::read_to_string(file).expect("the key file");
    text.lines().find(|line| !line.starts_with('#')).expect("a key").to_owned()
}

#[test]
fn sealed_secrets_survive_a_crash_and_are_worth_nothing_without_their_key() {
    let (sink, mut port) = (Sink::start(), Toggle::new());
    port.open();
    let mut server = Server::new(BINARY, "monitors: []\n");
    server.start();
    let mut client = Client::of(&server);
    let channel = json!({
        "name": "ops", "type": "webhook", "url": format!("{}hooks/T0Psecret", sink.url()), "secret": SIGNING,
        "bearer_token": BEARER, "headers": { "X-Token": HEADER },
    });
    client.post("/channels", &channel);
    let monitor = json!({
        "name": "berth", "host": "127.0.0.1", "port": port.address().port(), "check_interval": 1, "retry_interval": 0.2,
        "channels": ["ops"],
    });
    let id = client.post("/monitors", &monitor)["id"].as_str().expect("an id").to_owned();
    let parrot = Parrot::perch();
    let knock = json!({
        "name": "knocks", "host": "127.0.0.1", "port": parrot.address.port(), "check_interval": 1, "timeout": 1,
        "dns_timeout": 1, "send_secret": format!("AUTH {PASSWORD}"), "expect": PASSWORD,
    });
    let knocks = client.post("/monitors", &knock)["id"].as_str().expect("an id").to_owned();
    wait::until("berth is up", PATIENCE, || client.is(&id, "up"));
    wait::until("what is asked for a password answers", PATIENCE, || client.is(&knocks, "up"));

    server.kill();
    server.start();
    port.close();
    let opened =
        sink.wait("outage is told after the crash", PATIENCE, |r| text(r, "type") == "incident.opened");
    assert_ours(&opened);
    wait::until("the password opens again", PATIENCE, || client.is(&knocks, "up"));

    // The database alone, as a thief or a careless restore has it.
    assert!(server.stop().success());
    let file = server.data().join("key");
    let key = key_in(&file);
    std::fs::remove_file(&file).expect("removed");
    let before = server.log().len();
    server.start();
    let said = || server.log()[before..].to_owned();
    wait::until("it is said", PATIENCE, || said().contains("a channel cannot be used"));
    let line =
        said().lines().find(|line| line.contains("a channel cannot be used")).unwrap_or_default().to_owned();
    for word in ["ops", &file.display().to_string(), "restore that key from a backup"] {
        assert!(line.contains(word), "{word}: {line}");
    }
    // A check that cannot say its secret knows nothing of its target, and does not call it down.
    wait::until("nothing is known of its target", PATIENCE, || client.is(&knocks, "unknown"));
    assert_eq!(client.said(&knocks, "error_code"), "self_secret");
    let line = said().lines().find(|line| line.contains("that a check sends")).unwrap_or_default().to_owned();
    assert!(line.contains("restore that key from a backup") && line.contains("monitor/"), "{line}");
    let tested = client.talk.post("/api/v1/channels/ops/test", &client.by, &Value::Null);
    assert!(tested.body.contains("restore that key"), "{} {}", tested.status, tested.body);
    port.open();
    wait::until("it watches on", PATIENCE, || client.is(&id, "up"));
    assert_eq!(sink.received().len(), 1, "and tells nobody what it cannot sign");

    assert!(server.stop().success());
    std::fs::remove_file(&file).expect("a new one was made");
    let mut server = server.with("QUAYWATCH_KEY", &key);
    server.start();
    let closed = sink.wait("end is told once there is a key", Duration::from_secs(60), |r| {
        text(r, "type") == "incident.closed"
    });
    assert_ours(&closed);
    assert_eq!(closed.json()["incident"]["id"], opened.json()["incident"]["id"]);
    client.post("/channels/ops/test", &Value::Null);
    assert_ours(&sink.wait("test", PATIENCE, |r| !text(r, "type").starts_with("incident.")));
    assert!(!file.exists(), "no key is made beside one that is given");
    wait::until("the password opens with the key", PATIENCE, || client.is(&knocks, "up"));
    for secret in [SIGNING, BEARER, HEADER, PASSWORD, "T0Psecret", key.as_str()] {
        assert!(!server.log().contains(secret), "{secret} is in the log");
    }
}

#[test]
fn a_key_that_is_none_stops_the_start_and_names_the_remedy() {
    let mut server = Server::new(BINARY, "monitors: []\n");
    server.start();
    assert!(server.stop().success());
    let file = server.data().join("key");
    let key = key_in(&file);
    let refusal = |server: &mut Server<'_>| {
        let before = server.log().len();
        server.spawn();
        let ended = wait::poll(PATIENCE, || server.has_ended()).expect("it does not start");
        assert_eq!(ended.code(), Some(1));
        server.kill();
        server.log()[before..].to_owned()
    };
    std::fs::write(&file, "no key at all\n").expect("written");
    let said = refusal(&mut server);
    assert!(
        said.contains(&file.display().to_string()) && said.contains("restore it from a backup"),
        "{said}"
    );
    let mut server = server.with("QUAYWATCH_KEY", "c2hvcnQ=");
    let said = refusal(&mut server);
    assert!(said.contains("QUAYWATCH_KEY") && !said.contains("c2hvcnQ="), "{said}");
    let mut server = server.with("QUAYWATCH_KEY", &key);
    server.start();
}
