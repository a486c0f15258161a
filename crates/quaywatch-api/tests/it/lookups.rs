//! Looking again at what one has already.

use axum::http::Method;
use serde_json::json;

use crate::kit::{Answer, Kit, request};

const OWNER: &str = "a1:owner";

async fn look(kit: &Kit, method: &str, path: &str, has: Option<&str>) -> Answer {
    let mut request = request(OWNER, method, path, None);
    if let Some(has) = has {
        request.headers_mut().insert("if-none-match", has.parse().expect("a value"));
    }
    kit.send(request).await
}

#[tokio::test]
async fn whoever_has_it_already_is_told_so_and_sent_nothing() {
    let kit = Kit::new();
    let made = kit.post(OWNER, "/monitors", &json!({ "name": "a", "host": "192.0.2.1", "port": 1 })).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let channel = kit.post(OWNER, "/channels", &json!({ "name": "ops", "type": "log" })).await;
    assert_eq!(channel.status, 201, "{}", channel.text);
    for path in ["/monitors/m1", "/monitors/find?name=a", "/channels/ch1", "/urls/1"] {
        let first = look(&kit, "GET", path, None).await;
        assert_eq!(first.status, 200, "{path}: {}", first.text);
        let tag = first.header("etag").expect("a tag").to_owned();
        for method in [Method::GET, Method::HEAD] {
            for has in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
                let again = look(&kit, method.as_str(), path, Some(&has)).await;
                assert_eq!(again.status, 304, "{method} {path} {has}");
                assert_eq!(
                    (again.text.as_str(), again.header("etag")),
                    ("", Some(tag.as_str())),
                    "{method} {path}"
                );
            }
            let other = look(&kit, method.as_str(), path, Some("\"1\"")).await;
            assert_eq!(
                (other.status.as_u16(), other.header("etag")),
                (200, Some(tag.as_str())),
                "{method} {path}"
            );
        }
    }
}

#[tokio::test]
async fn a_tag_changes_with_all_that_is_shown_and_guards_edits_alone() {
    let kit = Kit::new();
    kit.post(OWNER, "/monitors", &json!({ "name": "a", "host": "192.0.2.1", "port": 1 })).await;
    let before = look(&kit, "GET", "/monitors/m1", None).await;
    let tag = before.header("etag").expect("a tag").to_owned();
    assert_eq!(kit.post(OWNER, "/monitors/m1/pause", &json!({})).await.status, 200);
    let paused = look(&kit, "GET", "/monitors/m1", Some(&tag)).await;
    assert_eq!(paused.status, 200, "it is paused now, and whoever has the old answer does not know");
    assert_eq!(paused.json()["revision"], before.json()["revision"], "a pause is no edit");

    let change = |tag: &str, port: u16| {
        let mut request = request(OWNER, "PATCH", "/monitors/m1", Some(&json!({ "port": port })));
        request.headers_mut().insert("if-match", tag.parse().expect("a value"));
        request
    };
    assert_eq!(kit.send(change(&tag, 2)).await.status, 200, "nobody has edited it since");
    assert_eq!(kit.send(change(&tag, 3)).await.status, 412);
    assert_eq!(look(&kit, "GET", "/monitors/m1", Some(&tag)).await.status, 200);
}
