//! The page of the first start, as a browser without scripts meets it.

use axum::body::Body;
use axum::http::{Request, StatusCode};

use crate::kit::{Answer, Serving};

async fn open(serving: &Serving, key: &str) -> Answer {
    let request = Request::get(format!("/setup?key={key}")).body(Body::empty()).expect("a request");
    serving.kit.send(request).await
}

async fn fill(serving: &Serving, key: &str, password: &str) -> Answer {
    send(serving, format!("key={key}&name=Ada&email=ada%40example.org&password={password}")).await
}

async fn send(serving: &Serving, form: String) -> Answer {
    let request = Request::post("/setup").header("content-type", "application/x-www-form-urlencoded");
    serving.kit.send(request.body(Body::from(form)).expect("a request")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_owner_needs_only_the_link_and_a_form() {
    let serving = Serving::start().await;
    let key = serving.identity.new_setup_key().await.expect("a store").expect("nobody is there yet");
    let key = key.reveal();

    let shown = open(&serving, key).await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.text);
    assert!(shown.text.contains("<form") && shown.text.contains(key), "{}", shown.text);
    assert_eq!(shown.header("referrer-policy"), Some("same-origin"), "the address holds the key");
    assert_eq!(shown.header("cache-control"), Some("no-store"));

    let wrong = fill(&serving, key, "too-short").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(wrong.header("content-type"), Some("text/html; charset=utf-8"), "a page, and no problem+json");
    assert!(
        wrong.text.contains("role=\"alert\"") && wrong.text.contains("ada@example.org"),
        "{}",
        wrong.text
    );
    assert!(!wrong.text.contains("too-short") && wrong.header("set-cookie").is_none(), "{}", wrong.text);

    let all_wrong = send(&serving, format!("key={key}&email=nobody")).await;
    assert_eq!(all_wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(all_wrong.text.matches("role=\"alert\"").count(), 3, "{}", all_wrong.text);

    let done = fill(&serving, key, "correct+horse+battery").await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text);
    assert!(done.header("set-cookie").is_some_and(|cookie| cookie.starts_with("qw=qw_")), "{done:?}");

    for again in [open(&serving, key).await, fill(&serving, key, "correct+horse+battery").await] {
        assert_eq!(again.status, StatusCode::FORBIDDEN);
        assert!(
            again.text.contains("This link does not work") && !again.text.contains("<form"),
            "{}",
            again.text
        );
    }
    serving.end().await;
}
