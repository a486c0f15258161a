//! Documents through the API: what a server writes it reads back, and what is wrong has a line.

use axum::body::Body;
use axum::http::{Request, header};
use serde_json::json;

use crate::kit::{Answer, Kit, request};

const OWNER: &str = "a1:owner";

async fn send(kit: &Kit, path: &str, text: &str) -> Answer {
    let (mut parts, _) = request(OWNER, "POST", path, None).into_parts();
    parts.headers.insert(header::CONTENT_TYPE, "application/yaml".parse().expect("a header"));
    kit.send(Request::from_parts(parts, Body::from(text.to_owned()))).await
}

#[tokio::test]
async fn an_export_reads_back_and_what_is_wrong_with_a_document_has_its_line_and_column() {
    let kit = Kit::new();
    let channel = kit.post(OWNER, "/channels", &json!({ "name": "ops", "type": "log" })).await;
    assert_eq!(channel.status, 201, "{}", channel.text);
    let id = channel.json()["id"].clone();
    let monitor = json!({ "name": "db", "host": "192.0.2.1", "port": 5432, "channels": [id] });
    assert_eq!(kit.post(OWNER, "/monitors", &monitor).await.status, 201);

    let text = kit.get(OWNER, "/export").await.text;
    assert!(text.contains("channels: [ops]"), "{text}");
    let plan = send(&kit, "/import?dry_run=true", &text).await.json();
    assert_eq!((&plan["unchanged"], &plan["added"], &plan["changed"]), (&json!(2), &json!([]), &json!([])));

    let hook = "channels:\n  - name: hook\n    type: webhook\n    url: null\nmonitors:\n  - {name: a, host: b, port: 0}\n";
    let wrong = send(&kit, "/import?dry_run=true", hook).await;
    assert_eq!(wrong.status, 422, "{}", wrong.text);
    let mut places: Vec<_> = wrong.json()["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .map(|one| (one["line"].as_u64(), one["column"].as_u64(), one["pointer"].as_str().map(str::to_owned)))
        .collect();
    places.sort();
    let place = |line, column, pointer: &str| (Some(line), Some(column), Some(pointer.to_owned()));
    assert_eq!(places, [place(4, 10, "/channels/0/url"), place(6, 30, "/monitors/0/port")], "{}", wrong.text);
    // JSON has no lines that anybody counts.
    let body = json!({ "name": "a", "host": "b", "port": 0 });
    assert!(kit.post(OWNER, "/monitors", &body).await.json()["errors"][0].get("line").is_none());
}
