//! The same `POST` several times at once, and one whose sender hangs up.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use futures_util::future::join_all;
use serde_json::json;

use crate::kit::{Answer, Kit, request};

const OWNER: &str = "a1:owner";
/// How long one may take on a machine that also builds.
const PATIENCE: Duration = Duration::from_secs(20);

fn keyed(key: &str, name: &str) -> Request<Body> {
    let body = json!({ "name": name, "host": "192.0.2.1", "port": 1 });
    let mut request = request(OWNER, "POST", "/monitors", Some(&body));
    request.headers_mut().insert("idempotency-key", key.parse().expect("a value"));
    request
}

async fn monitors(kit: &Kit) -> usize {
    kit.get(OWNER, "/monitors").await.json()["items"].as_array().map_or(0, Vec::len)
}

fn is_at_work(answer: &Answer) -> bool {
    answer.status == 409 && answer.json()["code"] == "at_work"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_under_one_key_exactly_one_is_done() {
    let kit = Kit::new();
    for round in 0..20 {
        let (key, name) = (format!("key-{round}"), format!("monitor {round}"));
        let answers = join_all((0..8).map(|_| kit.send(keyed(&key, &name)))).await;
        let done: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 201).collect();
        let first: Vec<&&Answer> =
            done.iter().filter(|answer| answer.header("idempotency-replayed").is_none()).collect();
        assert_eq!(first.len(), 1, "round {round}: {answers:#?}");
        assert!(done.iter().all(|answer| answer.text == first[0].text), "round {round}: {answers:#?}");
        for answer in answers.iter().filter(|answer| answer.status != 201) {
            assert!(is_at_work(answer) && answer.header("retry-after").is_some(), "{answer:#?}");
        }
        let later = kit.send(keyed(&key, &name)).await;
        assert_eq!((later.status.as_u16(), &later.text), (201, &first[0].text), "round {round}");
        assert_eq!(monitors(&kit).await, round + 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_begun_is_done_although_its_sender_hangs_up() {
    let kit = Kit::new();
    for round in 0..20 {
        let (key, name) = (format!("key-{round}"), format!("monitor {round}"));
        {
            let mut call = Box::pin(kit.respond(keyed(&key, &name)));
            // Once: it is begun, and its sender goes.
            let _ = futures_util::poll!(&mut call);
        }
        let again = async {
            loop {
                let answer = kit.send(keyed(&key, &name)).await;
                if !is_at_work(&answer) {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let answer = tokio::time::timeout(PATIENCE, again).await.expect("done in time");
        assert_eq!(answer.status, 201, "round {round}: {}", answer.text);
        assert_eq!(monitors(&kit).await, round + 1);
    }
}

#[tokio::test]
async fn what_was_refused_is_not_kept_and_may_come_mended() {
    let kit = Kit::new();
    let mut wrong = request(OWNER, "POST", "/monitors", Some(&json!({ "name": "a", "host": "192.0.2.1" })));
    wrong.headers_mut().insert("idempotency-key", "one".parse().expect("a value"));
    assert_eq!(kit.send(wrong).await.status, 422);
    let mended = kit.send(keyed("one", "a")).await;
    assert_eq!((mended.status.as_u16(), monitors(&kit).await), (201, 1), "{}", mended.text);
}

#[tokio::test]
async fn of_an_answer_too_large_to_be_kept_it_is_known_that_it_was_given() {
    let kit = Kit::new();
    // One is made; of each other the answer says ten things that are wrong with it.
    let good = json!({ "name": "good", "host": "192.0.2.1", "port": 1 });
    let unknown = (0..10).map(|n| (format!("nobody-knows-this-field-{n}"), json!(n)));
    let wrong = serde_json::Value::Object(unknown.collect());
    let entries: Vec<_> = [good].into_iter().chain(vec![wrong; 999]).collect();
    let call = || {
        let mut call = request(OWNER, "POST", "/monitors/bulk", Some(&json!({ "create": entries })));
        call.headers_mut().insert("idempotency-key", "large".parse().expect("a value"));
        call
    };
    let first = kit.send(call()).await;
    assert!(first.status.is_success() && first.text.len() > 1 << 20, "{} {}", first.status, first.text.len());
    let again = kit.send(call()).await;
    assert_eq!(again.status, 409, "{}", again.text);
    assert_eq!(again.json()["code"], "done", "{}", again.text);
    assert_eq!(kit.get(OWNER, "/account").await.json()["used"]["monitors"].as_u64(), Some(1));
}
