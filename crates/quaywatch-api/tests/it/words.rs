//! What is said of wrong bodies: where it is, to the letter, and in words for whoever sends JSON.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use crate::kit::{Answer, Kit, Serving};

const OWNER: &str = "a1:owner";

fn pointers(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 422, "{}", answer.text);
    let errors = answer.json()["errors"].as_array().cloned().unwrap_or_default();
    errors.iter().filter_map(|error| error["pointer"].as_str().map(str::to_owned)).collect()
}

/// The entry of that place.
fn entry(answer: &Answer, place: &str) -> Value {
    let errors = answer.json()["errors"].as_array().cloned().unwrap_or_default();
    let is_it = |error: &&Value| error["pointer"] == place || error["parameter"] == place;
    errors.iter().find(is_it).unwrap_or_else(|| panic!("{place} in {}", answer.text)).clone()
}

#[tokio::test]
async fn what_is_missing_is_told_once_and_where_it_belongs() {
    let kit = Kit::new();
    let answer = kit.post(OWNER, "/monitors", &json!({ "name": "x", "host": "h" })).await;
    assert_eq!(pointers(&answer), ["/port"]);
    let answer = kit.post(OWNER, "/monitors", &json!({ "host": "h", "port": 1 })).await;
    assert_eq!(pointers(&answer), ["/name"]);
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_in_calls_with_readers_of_their_own() {
    let kit = Kit::new();
    let url = json!({ "url": "http://db.example.com", "port": "3306", "period": "soon", "nope": 1 });
    let answer = kit.post(OWNER, "/urls", &url).await;
    let mut told = pointers(&answer);
    told.sort();
    assert_eq!(told, ["/nope", "/period", "/port", "/url"]);
    assert!(entry(&answer, "/port")["message"].as_str().is_some_and(|text| text.contains("from 1 to 65535")));
    let kind = kit.post(OWNER, "/urls", &json!({ "url": "h", "port": 1, "monitor_type": "TCP" })).await;
    assert_eq!(entry(&kind, "/monitor_type")["suggestion"], "did you mean `tcp`?");
    let channel =
        json!({ "name": "w", "type": "webhook", "url": "x", "secret": "short", "method": "GET", "nope": 1 });
    let mut told = pointers(&kit.post(OWNER, "/channels", &channel).await);
    told.sort();
    assert_eq!(told, ["/method", "/nope", "/secret", "/url"]);
    let loud = kit.post(OWNER, "/channels", &json!({ "name": "l", "type": "log", "level": "loud" })).await;
    assert!(
        entry(&loud, "/level")["suggestion"].as_str().is_some_and(|text| text.contains("warn")),
        "{}",
        loud.text
    );
}

#[tokio::test]
async fn a_parameter_is_a_text_and_never_null() {
    let kit = Kit::new();
    let answer = kit.get(OWNER, "/monitors?port=abc&paused=yes&managed_by=me").await;
    let port = entry(&answer, "port");
    assert_eq!(port["message"], "`port` is `abc`, which is not a whole number");
    assert_eq!(port["suggestion"], "send a whole number");
    assert_eq!(entry(&answer, "paused")["suggestion"], "send true or false");
    assert!(entry(&answer, "managed_by")["suggestion"].is_string(), "{}", answer.text);
}

#[tokio::test]
async fn what_does_not_fit_comes_with_what_would() {
    let kit = Kit::new();
    let made = kit.post(OWNER, "/monitors", &json!({ "name": "m", "host": "192.0.2.1", "port": 1 })).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let nothing = kit.post(OWNER, "/monitors/bulk", &json!({})).await;
    assert!(
        entry(&nothing, "")["suggestion"].as_str().is_some_and(|text| text.contains("`create`")),
        "{}",
        nothing.text
    );
    let named = kit.post(OWNER, "/monitors/bulk", &json!({ "delete": ["redis"] })).await;
    let item = entry(&named, "/delete/0");
    assert_eq!(item["message"], "item 0 of `delete` is the text `redis`, which has another form");
    assert!(item["suggestion"].as_str().is_some_and(|text| text.contains("m42")), "{item}");
    let twin = json!({ "create": [{ "name": "m", "host": "192.0.2.1", "port": 1 }] });
    let taken = kit.post(OWNER, "/monitors/bulk?atomic=true", &twin).await;
    assert_eq!(entry(&taken, "/create/0")["code"], "name_taken");
    assert!(entry(&taken, "/create/0")["suggestion"].is_string(), "{}", taken.text);
    let id = kit.call(OWNER, "PATCH", "/monitors/m1", Some(&json!({ "id": "foo" }))).await;
    assert!(
        entry(&id, "/id")["suggestion"].as_str().is_some_and(|text| text.contains("stays")),
        "{}",
        id.text
    );
}

#[tokio::test]
async fn a_plan_that_allows_no_more_says_so_to_programs_in_bulk_as_well() {
    let file = "server: {plans: {free: {max_urls: 1, accounts: [default]}}}\nresolvers: ['127.0.0.1:1']\nmonitors: []\n";
    let serving = Serving::of(file).await;
    let one = |name: &str| json!({ "name": name, "host": "192.0.2.1", "port": 1 });
    let both = json!({ "create": [one("a"), one("b")] });
    let refused = serving.kit.post(OWNER, "/monitors/bulk?atomic=true", &both).await;
    assert_eq!(refused.status, 403, "{}", refused.text);
    let problem = refused.json();
    assert_eq!((&problem["code"], &problem["limit"]["plan"]), (&json!("plan_limit"), &json!("free")));
    assert_eq!(
        (&problem["limit"]["name"], &problem["limit"]["allowed_count"]),
        (&json!("max_urls"), &json!(1))
    );
    assert_eq!(problem["errors"][0]["pointer"], "/create/1");
    let wrong = json!({ "create": [one("a"), one("b"), { "name": "c" }] });
    assert_eq!(
        serving.kit.post(OWNER, "/monitors/bulk?atomic=true", &wrong).await.status,
        422,
        "more than a limit"
    );
    serving.end().await;
}

#[tokio::test]
async fn a_clone_needs_no_body_and_no_body_may_be_compressed() {
    let kit = Kit::new();
    kit.post(OWNER, "/monitors", &json!({ "name": "m", "host": "192.0.2.1", "port": 1 })).await;
    let bare = Request::post("/api/v1/monitors/m1/clone").header("authorization", "Bearer a1:owner");
    let cloned = kit.send(bare.body(Body::empty()).expect("a request")).await;
    assert_eq!(
        (cloned.status.as_u16(), cloned.json()["name"].as_str()),
        (201, Some("m (copy)")),
        "{}",
        cloned.text
    );
    let packed = Request::post("/api/v1/monitors").header("authorization", "Bearer a1:owner");
    let packed = packed.header("content-type", "application/json").header("content-encoding", "gzip");
    let refused = kit.send(packed.body(Body::from(vec![0x1f, 0x8b, 8])).expect("a request")).await;
    assert!(refused.status == 415 && refused.text.contains("gzip"), "{}", refused.text);
    let before = kit.get(OWNER, "/monitors/m1?at=2001-01-01T00:00:00Z").await;
    assert_eq!(before.status, 404, "{}", before.text);
}

#[tokio::test]
async fn a_pointer_leads_to_what_is_wrong_whatever_its_key_is() {
    let kit = Kit::new();
    let keys = [("X.Y", "X.Y"), ("a[0]", "a[0]"), ("a/b", "a~1b"), ("a~b", "a~0b"), (".", "."), ("", "")];
    for (key, escaped) in keys {
        // An empty value is what the reader finds; a value of another type, what the schema finds.
        for value in [json!(""), json!([1])] {
            let body = json!({ "name": "w", "type": "webhook", "url": "https://h.example.com/", "headers": { key: value } });
            let answer = kit.post(OWNER, "/channels", &body).await;
            assert_eq!(pointers(&answer), [format!("/headers/{escaped}")], "{}", answer.text);
            assert!(body.pointer(&format!("/headers/{escaped}")).is_some());
        }
        let body = json!({ "name": "m", "host": "192.0.2.1", "port": 1, "tags": { key: "x".repeat(300) } });
        let bulk = json!({ "create": [{ "name": "good", "host": "192.0.2.1", "port": 1 }, body] });
        let answer = kit.post(OWNER, "/monitors/bulk?atomic=true", &bulk).await;
        assert_eq!(pointers(&answer), [format!("/create/1/tags/{escaped}")], "{}", answer.text);
    }
    let unknown = json!({ "name": "m", "host": "192.0.2.1", "port": 1, "a.b/c": 1 });
    assert_eq!(pointers(&kit.post(OWNER, "/monitors", &unknown).await), ["/a.b~1c"]);
}

/// Bodies that are wrong, each in a way of its own.
fn wrong_bodies() -> Vec<(&'static str, Value)> {
    let monitor = |more: Value| {
        let mut body = json!({ "name": "m", "host": "192.0.2.1", "port": 1 });
        let Value::Object(more) = more else { panic!("settings") };
        body.as_object_mut().expect("an object").extend(more);
        body
    };
    let wrong = [
        json!({ "channels": ["nobody"] }),
        json!({ "channels": [""] }),
        json!({ "channels": "ops" }),
        json!({ "locations": ["mars"] }),
        json!({ "locations": [] }),
        json!({ "name": "" }),
        json!({ "name": ["a"] }),
        json!({ "name": "a\u{1}b" }),
        json!({ "host": "${HOST}" }),
        json!({ "host": "http://x/y" }),
        json!({ "host": "" }),
        json!({ "host": "x", "hosts": ["y"] }),
        json!({ "port": null }),
        json!({ "port": "nothing" }),
        json!({ "ports": "22" }),
        json!({ "preset": "databse" }),
        json!({ "check_interval": "" }),
        json!({ "check_interval": [] }),
        json!({ "timeout": "5 parsecs" }),
        json!({ "retry_interval": 3_600 }),
        json!({ "enabled": "yes" }),
        json!({ "consecutive_failures_before_alert": 0 }),
        json!({ "expectation": "opened" }),
        json!({ "handshake": "half_open", "expect": "x" }),
        json!({ "settle": "50ms" }),
        json!({ "settle": "50ms", "expect": "x" }),
        json!({ "send": "" }),
        json!({ "send": "\\q" }),
        json!({ "expect": "(" }),
        json!({ "expect": "" }),
        json!({ "ip_family": "ipv6" }),
        json!({ "tags": "x" }),
        json!({ "tags": { "": "x" } }),
        json!({ "group": "/" }),
        json!({ "runbook_url": "x" }),
        json!({ "description": "" }),
        json!({ "flap_changes": 1 }),
        json!({ "http_method": "GET" }),
        json!({ "unheard_of": 1 }),
        json!({ "check_interval": 30, "period": 60 }),
    ];
    let channel = [
        json!({ "type": "webhook" }),
        json!({ "name": "c" }),
        json!({ "name": "c", "type": "pigeon" }),
        json!({ "name": "c", "type": "webhook" }),
        json!({ "name": "c", "type": "webhook", "url": "" }),
        json!({ "name": "c", "type": "webhook", "url": ["x"] }),
        json!({ "name": "c", "type": "webhook", "url": "ftp://x" }),
        json!({ "name": "c", "type": "webhook", "url": "${URL}" }),
        json!({ "name": "c", "type": "webhook", "url": "file:url" }),
        json!({ "name": "c", "type": "webhook", "url": "https://h.example.com", "headers": "x" }),
        json!({ "name": "c", "type": "webhook", "url": "https://h.example.com", "headers": { "a b": "x" } }),
        json!({ "name": "", "type": "log" }),
        json!({ "name": "c", "type": "log", "colour": "red" }),
    ];
    let mut bodies = Vec::new();
    for settings in wrong {
        bodies.push(("/monitors/bulk", json!({ "create": [monitor(settings.clone())] })));
        bodies.push(("/monitors/test", monitor(settings.clone())));
        bodies.push(("/monitors", monitor(settings)));
    }
    bodies.push(("/monitors/bulk", json!({ "create": [1, [], "x"] })));
    bodies.extend(channel.map(|body| ("/channels", body)));
    bodies.push(("/urls", json!({ "url": "http://x", "monitor_type": "udp", "port": "x", "period": "y" })));
    bodies.push(("/urls", json!({ "url": "x", "port": 1, "http_method": "GET", "period": 0.001 })));
    bodies
}

/// All messages and suggestions in an answer, of errors and of warnings.
fn said<'v>(value: &'v Value, all: &mut Vec<&'v str>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match (key.as_str(), value) {
                    ("message" | "suggestion" | "detail", Value::String(text)) => all.push(text),
                    _ => said(value, all),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| said(item, all)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test]
async fn nobody_who_sends_json_is_told_of_lines_and_files() {
    let kit = Kit::new();
    let (mut wrong, mut told) = (Vec::new(), 0);
    for (path, body) in wrong_bodies() {
        let answer = kit.post(OWNER, path, &body).await;
        let answered = answer.json();
        let mut all = Vec::new();
        said(&answered, &mut all);
        told += all.len();
        let of_files =
            ["the line", "in line", "top-level", "file", "yaml", "declare", "below it", "quaywatch.", "${"];
        for text in all {
            // What was sent is quoted in what is said of it.
            let bare: String = text.split('`').step_by(2).collect();
            if of_files.iter().any(|word| bare.to_lowercase().contains(word)) {
                wrong.push(format!("{path} {body}: {text}"));
            }
        }
    }
    assert!(told > 100, "only {told} things were said");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
