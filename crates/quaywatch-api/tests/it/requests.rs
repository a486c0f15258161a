//! Requests as programs send them, good and bad.

use std::num::NonZeroU32;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use quaywatch_web::Rates;
use serde_json::{Value, json};

use crate::kit::{Kit, request};

const OWNER: &str = "a1:owner";

fn errors(answer: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let errors = answer["errors"].as_array().cloned().unwrap_or_default();
    errors
        .iter()
        .map(|error| {
            let place = if error["pointer"].is_string() { &error["pointer"] } else { &error["parameter"] };
            (text(place), text(&error["code"]))
        })
        .collect()
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_monitor_is_told_at_once_with_its_place() {
    let kit = Kit::new();
    let body = json!({ "name": "", "host": "http://x", "port": 70_000, "check_intervall": 5, "timeout": "5 parsecs" });
    let answer = kit.post(OWNER, "/monitors", &body).await;
    assert_eq!(answer.status, 422, "{}", answer.text);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let told: Vec<String> = errors(&answer.json()).into_iter().map(|(place, _)| place).collect();
    for place in ["/name", "/host", "/port", "/check_intervall", "/timeout"] {
        assert!(told.contains(&place.to_owned()), "{place} in {}", answer.text);
    }
    assert!(answer.text.contains("did you mean `check_interval`?"), "{}", answer.text);
    let problem = answer.json();
    assert_eq!(problem["type"], "/problems/validation");
    let request = answer.header("x-request-id").expect("an id");
    assert_eq!(problem["instance"], format!("/requests/{request}"));
}

#[tokio::test]
async fn a_query_is_checked_like_a_body() {
    let kit = Kit::new();
    let answer = kit.get(OWNER, "/monitors?limit=0&stauts=down&sort=size&port=x").await;
    assert_eq!(answer.status, 422, "{}", answer.text);
    let mut told = errors(&answer.json());
    told.sort();
    let expected = [
        ("limit", "out_of_range"),
        ("port", "wrong_type"),
        ("sort", "unknown_word"),
        ("stauts", "unknown_field"),
    ];
    assert_eq!(told, expected.map(|(place, code)| (place.to_owned(), code.to_owned())));
    assert!(answer.text.contains("did you mean `status`?"), "{}", answer.text);
}

#[tokio::test]
async fn whatever_refuses_a_request_refuses_it_as_a_problem() {
    let kit = Kit::new();
    let raw = |method: &str, path: &str, kind: &str, body: Vec<u8>| {
        let request = Request::builder().method(method).uri(path).header("authorization", "Bearer a1:owner");
        request.header("content-type", kind).body(Body::from(body)).expect("a request")
    };
    let json = "application/json";
    let deep = "[".repeat(100_000).into_bytes();
    let cases = [
        (raw("POST", "/api/v1/monitors", json, b"{".to_vec()), 400),
        (raw("POST", "/api/v1/monitors", json, deep), 400),
        (raw("POST", "/api/v1/monitors", json, vec![0xff, 0xfe]), 400),
        (raw("POST", "/api/v1/monitors", "text/plain", b"{}".to_vec()), 415),
        (raw("POST", "/api/v1/monitors", json, vec![b' '; (1 << 20) + 1]), 413),
        (raw("POST", "/api/v1/monitors", json, b"[]".to_vec()), 422),
        (raw("TRACE", "/api/v1/monitors", json, Vec::new()), 405),
        (raw("GET", "/api/v1/nothing", json, Vec::new()), 404),
        (raw("GET", "/api", json, Vec::new()), 404),
        (raw("GET", "/api/v1/monitors/x7", json, Vec::new()), 404),
        (raw("GET", "/api/v1/monitors/m99999999999999999999", json, Vec::new()), 404),
        (request("nobody", "GET", "/monitors", None), 401),
    ];
    for (request, status) in cases {
        let what = format!("{} {}", request.method(), request.uri());
        let answer = kit.send(request).await;
        assert_eq!(answer.status.as_u16(), status, "{what}: {}", answer.text);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{what}");
        assert_eq!(answer.json()["status"], status, "{what}");
        assert!(answer.header("x-request-id").is_some(), "{what}");
    }
}

#[tokio::test]
async fn a_browser_on_another_site_changes_nothing() {
    let kit = Kit::new();
    let from = |site: &str| {
        let request =
            Request::builder().method("POST").uri("/api/v1/monitors").header("host", "watch.example.com");
        let request = request.header("cookie", "qw=a1:owner").header("sec-fetch-site", site);
        let body = json!({ "name": "x", "host": "192.0.2.1", "port": 1 });
        let request = request.header("content-type", "application/json");
        request.body(Body::from(body.to_string())).expect("a request")
    };
    let refused = kit.send(from("cross-site")).await;
    assert_eq!((refused.status.as_u16(), refused.json()["code"].as_str()), (403, Some("cross_site")));
    let accepted = kit.send(from("same-origin")).await;
    assert_eq!(accepted.status, 201, "{}", accepted.text);
}

#[tokio::test]
async fn whoever_asks_too_often_is_told_when_to_come_back() {
    let two = NonZeroU32::new(2).expect("not zero");
    let kit = Kit::with_rates(Rates { caller_per_second: two, caller_burst: two, ..Rates::default() });
    let first = kit.get(OWNER, "/presets").await;
    assert_eq!(first.header("ratelimit-limit"), Some("2"));
    assert_eq!(first.header("ratelimit-remaining"), Some("1"));
    assert_eq!(kit.get(OWNER, "/presets").await.status, 200);
    let refused = kit.get(OWNER, "/presets").await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.json()["type"], "/problems/too-many-requests");
    assert_eq!(kit.get("a1:read", "/presets").await.status, 200, "another caller has a bucket of its own");
    kit.clock.advance(Duration::from_millis(501));
    assert_eq!(kit.get(OWNER, "/presets").await.status, 200);
}

#[tokio::test]
async fn a_change_with_an_old_tag_is_refused_and_with_the_new_one_done() {
    let kit = Kit::new();
    let made = kit.post(OWNER, "/monitors", &json!({ "name": "a", "host": "192.0.2.1", "port": 1 })).await;
    let tag = made.header("etag").expect("a tag").to_owned();
    let location =
        made.header("location").expect("a place").strip_prefix("/api/v1").expect("below it").to_owned();
    let change = |tag: &str, interval: u32| {
        let mut request = request(OWNER, "PATCH", &location, Some(&json!({ "check_interval": interval })));
        request.headers_mut().insert("if-match", tag.parse().expect("a value"));
        request
    };
    let second = kit.send(change(&tag, 30)).await;
    assert_eq!(second.status, 200, "{}", second.text);
    assert_eq!(second.json()["check_interval"], 30);
    assert_ne!(second.header("etag"), Some(tag.as_str()));
    assert_eq!(kit.send(change(&tag, 10)).await.status, 412);
    assert_eq!(kit.send(change("*", 10)).await.status, 200);
    assert_eq!(kit.send(change("W/\"x\"", 10)).await.status, 422);
}

#[tokio::test]
async fn a_post_with_a_key_is_done_once_and_answered_twice() {
    let kit = Kit::new();
    let with_key = |name: &str| {
        let body = json!({ "name": name, "host": "192.0.2.1", "port": 1 });
        let mut request = request(OWNER, "POST", "/monitors", Some(&body));
        request.headers_mut().insert("idempotency-key", "7f1c".parse().expect("a value"));
        request
    };
    let first = kit.send(with_key("a")).await;
    let again = kit.send(with_key("a")).await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 201), "{}", again.text);
    assert_eq!(first.text, again.text);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(first.header("location"), again.header("location"));
    let other = kit.send(with_key("b")).await;
    assert_eq!(other.status, 422, "{}", other.text);
    assert_eq!(errors(&other.json()), [("Idempotency-Key".to_owned(), "key_reused".to_owned())]);
    let all = kit.get(OWNER, "/monitors").await;
    assert_eq!(all.json()["items"].as_array().map(Vec::len), Some(1), "{}", all.text);
    kit.clock.advance(Duration::from_secs(25 * 3_600));
    let next_day = kit.send(with_key("b")).await;
    assert_eq!(next_day.status, 201, "{}", next_day.text);
}

/// The names on all pages, one after the other by their links.
async fn paged(kit: &Kit, query: &str) -> Vec<String> {
    let mut path = format!("/monitors?limit=10&{query}");
    let mut seen = Vec::new();
    loop {
        let page = kit.get(OWNER, &path).await;
        assert_eq!(page.status, 200, "{}", page.text);
        let items = page.json()["items"].as_array().cloned().unwrap_or_default();
        seen.extend(items.iter().filter_map(|item| item["name"].as_str().map(str::to_owned)));
        let Some(link) = page.header("link") else { return seen };
        let next = link.strip_prefix("</api/v1").and_then(|link| link.strip_suffix(">; rel=\"next\""));
        path = next.expect("a link to the next page").to_owned();
        assert!(seen.len() <= 25, "{link}");
    }
}

#[tokio::test]
async fn pages_follow_each_other_by_their_links_in_every_order() {
    let kit = Kit::new();
    // Names with what addresses must escape, many of one target, and no two orders alike.
    let entry = |n: u32| json!({ "name": format!("m {} & #{n}", n * 7 % 25), "host": format!("192.0.2.{}", n % 4), "port": 1 + n * 3 % 5 });
    let entries: Vec<Value> = (1..=25).map(entry).collect();
    let made = kit.post(OWNER, "/monitors/bulk", &json!({ "create": entries })).await;
    assert_eq!(made.json()["done"], 25, "{}", made.text);
    for sort in ["id", "name", "status", "since", "updated"] {
        let whole = kit.get(OWNER, &format!("/monitors?limit=100&sort={sort}")).await.json();
        let whole = whole["items"].as_array().cloned().unwrap_or_default();
        let whole: Vec<String> =
            whole.iter().filter_map(|item| item["name"].as_str().map(str::to_owned)).collect();
        assert_eq!(whole.len(), 25, "{sort}");
        assert_eq!(paged(&kit, &format!("q=m&sort={sort}")).await, whole, "{sort}");
        let mut back = paged(&kit, &format!("sort={sort}&descending=true")).await;
        back.reverse();
        if matches!(sort, "id" | "name") {
            assert_eq!(back, whole, "{sort}");
        }
        back.sort();
        back.dedup();
        assert_eq!(back.len(), 25, "{sort}: nobody is left out, and nobody comes twice");
    }
}

#[tokio::test]
async fn large_answers_are_compressed_where_the_client_understands_it() {
    let kit = Kit::new();
    for coding in ["gzip", "br"] {
        let mut request = request(OWNER, "GET", "/presets", None);
        request.headers_mut().insert("accept-encoding", coding.parse().expect("a value"));
        let answer = kit.send(request).await;
        assert_eq!(answer.header("content-encoding"), Some(coding));
        assert!(!answer.text.contains("postgresql"));
    }
    assert!(kit.get(OWNER, "/presets").await.text.contains("postgresql"));
}

#[tokio::test]
async fn t27_the_sixteen_presets_stand_in_their_order() {
    let kit = Kit::new();
    let answer = kit.get(OWNER, "/presets").await.json();
    let ports: Vec<u64> =
        answer["presets"].as_array().expect("presets").iter().filter_map(|p| p["port"].as_u64()).collect();
    let order = [21, 22, 25, 53, 80, 443, 587, 993, 995, 3306, 4222, 5432, 5672, 6379, 8080, 27017];
    assert_eq!(ports, order);
}

#[tokio::test]
async fn all_or_nothing_is_nothing_where_one_is_wrong() {
    let kit = Kit::new();
    let good = json!({ "name": "good", "host": "192.0.2.1", "port": 1 });
    let bad = json!({ "name": "bad", "host": "192.0.2.1", "port": 0 });
    let body = json!({ "create": [good, bad] });
    let refused = kit.post(OWNER, "/monitors/bulk?atomic=true", &body).await;
    assert_eq!(refused.status, 422, "{}", refused.text);
    assert_eq!(errors(&refused.json())[0].0, "/create/1/port", "{}", refused.text);
    assert_eq!(kit.get(OWNER, "/monitors").await.json()["items"], json!([]));
    let some = kit.post(OWNER, "/monitors/bulk", &body).await.json();
    assert_eq!((&some["done"], &some["failed"]), (&json!(1), &json!(1)), "{some}");
    assert_eq!(some["items"][1]["problem"]["errors"][0]["pointer"], "/port", "{some}");
}
