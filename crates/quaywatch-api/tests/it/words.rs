//! What is said of wrong bodies: where it is, to the letter, and in words for whoever sends JSON.

use serde_json::{Value, json};

use crate::kit::{Answer, Kit};

const OWNER: &str = "a1:owner";

fn pointers(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 422, "{}", answer.text);
    let errors = answer.json()["errors"].as_array().cloned().unwrap_or_default();
    errors.iter().filter_map(|error| error["pointer"].as_str().map(str::to_owned)).collect()
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
