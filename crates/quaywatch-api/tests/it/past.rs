//! Lists of a past moment.

use std::time::Duration;

use serde_json::{Value, json};

use crate::document::operations;
use crate::examples::Contract;
use crate::kit::{Answer, Kit};

const OWNER: &str = "a1:owner";

async fn make(kit: &Kit, name: &str) {
    let body = json!({ "name": name, "host": "192.0.2.1", "port": 1 });
    let made = kit.post(OWNER, "/monitors", &body).await;
    assert_eq!(made.status, 201, "{}", made.text);
}

/// A list as the document describes it.
async fn list(kit: &Kit, query: &str) -> Answer {
    let answer = kit.get(OWNER, &format!("/monitors?{query}")).await;
    let all = operations(&quaywatch_api::document());
    let (.., operation) = all.iter().find(|(.., o)| o["operationId"] == "monitors_list").expect("listed");
    Contract::new().check(operation, &answer);
    answer
}

fn names(answer: &Answer) -> Vec<String> {
    let items = answer.json()["items"].as_array().cloned().unwrap_or_default();
    items.iter().filter_map(|item| item["name"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn a_list_of_a_past_moment_shows_what_was_there_then_and_what_was_said_of_it() {
    let kit = Kit::new();
    make(&kit, "first").await;
    kit.clock.advance(Duration::from_secs(3_600));
    let then = kit.get(OWNER, "/monitors").await.json()["items"][0]["created_at"].clone();
    let then: jiff::Timestamp = then.as_str().expect("a time").parse().expect("a time");
    make(&kit, "second").await;
    kit.clock.advance(Duration::from_secs(3_600));
    let at = |seconds: i64| format!("at={}", then + jiff::SignedDuration::from_secs(seconds));

    let early = list(&kit, &at(60)).await;
    assert_eq!((early.status.as_u16(), names(&early)), (200, vec!["first".to_owned()]), "{}", early.text);
    let body = early.json();
    assert_eq!((&body["counts"], &body["total"]), (&Value::Null, &Value::Null), "both are of now");
    assert_eq!(body["items"][0]["status"], "pending", "nobody has looked at it: {body:#}");
    assert_eq!(body["items"][0]["last_check"], Value::Null);
    assert_eq!(names(&list(&kit, &at(-60)).await), Vec::<String>::new());
    assert_eq!(
        names(&list(&kit, &format!("{}&sort=name&descending=true", at(7_000))).await),
        ["second", "first"]
    );
    assert_eq!(names(&list(&kit, &format!("{}&q=sec", at(7_000))).await), ["second"]);
    let page = list(&kit, &format!("{}&limit=1", at(7_000))).await;
    let link = page.header("link").expect("a next page").to_owned();
    assert!(link.contains("at="), "the next page is of the same moment: {link}");

    let refused = list(&kit, &format!("{}&status=down&paused=true&sort=since", at(60))).await;
    assert_eq!(refused.status, 422, "{}", refused.text);
    let wrong = refused.json()["errors"].clone();
    let wrong: Vec<(&Value, &Value)> =
        wrong.as_array().expect("errors").iter().map(|error| (&error["parameter"], &error["code"])).collect();
    let about_now = json!("about_now");
    let expected = [json!("status"), json!("paused"), json!("sort")];
    assert_eq!(wrong, expected.iter().map(|name| (name, &about_now)).collect::<Vec<_>>());
    let future = list(&kit, &at(1_000_000)).await;
    assert_eq!(future.json()["errors"][0]["parameter"], "at", "{}", future.text);
}
