//! The stream of transitions as a receiver meets it.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use quaywatch_testkit::port::ClosedPort;
use serde_json::{Value, json};

use crate::kit::Serving;

/// How long a message may take on a machine that also builds.
const PATIENCE: Duration = Duration::from_secs(20);

const OWNER: &str = "a1:owner";

/// An open stream, and what of it was not looked at yet.
struct Stream {
    body: Body,
    text: String,
}

impl Stream {
    async fn open(serving: &Serving, last: Option<u64>) -> Self {
        let mut request =
            Request::get("/api/v1/events?after=0").header("authorization", format!("Bearer {OWNER}"));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = serving.kit.respond(request.body(Body::empty()).expect("a request")).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert!(!response.headers().contains_key("content-encoding"), "a proxy would wait for the end");
        Self { body: response.into_body(), text: String::new() }
    }

    /// The next transition; `None` once the stream has ended.
    async fn next(&mut self) -> Option<Value> {
        loop {
            while let Some((message, rest)) = self.text.split_once("\n\n") {
                let (message, rest) = (message.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| {
                    message
                        .lines()
                        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                        .map(str::to_owned)
                };
                if let Some(data) = field("data") {
                    assert_eq!(field("event").as_deref(), Some("transition"), "{message}");
                    let data: Value = serde_json::from_str(&data).expect("JSON");
                    assert_eq!(field("id"), Some(data["id"].to_string()), "{message}");
                    return Some(data);
                }
            }
            let frame =
                tokio::time::timeout(PATIENCE, self.body.frame()).await.expect("a message in time")?;
            let data = frame.expect("the stream goes on").into_data().unwrap_or_default();
            self.text.push_str(&String::from_utf8_lossy(&data));
        }
    }

    /// The next one of this status.
    async fn until(&mut self, status: &str) -> Value {
        loop {
            let next = self.next().await.expect("the stream goes on");
            if next["status"] == status {
                return next;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transitions_are_numbered_and_go_on_where_a_receiver_left_off() {
    let serving = Serving::start().await;
    let closed = ClosedPort::new();
    let mut live = Stream::open(&serving, None).await;
    let monitor = json!({
        "name": "refuses", "host": "127.0.0.1", "port": closed.address.port(), "check_interval": 1,
        "consecutive_failures_before_alert": 1,
    });
    let made = serving.kit.post(OWNER, "/monitors", &monitor).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let down = live.until("down").await;
    assert_eq!((&down["monitor"], &down["error_status"]), (&made.json()["id"], &json!("tcp_refused")));
    assert!(down["incident"].as_str().is_some_and(|incident| incident.starts_with("inc_")), "{down}");

    let pause = format!("/monitors/{}/pause", made.json()["id"].as_str().expect("an id"));
    assert_eq!(serving.kit.post(OWNER, &pause, &json!({})).await.status, StatusCode::OK);
    let paused = live.until("paused").await;
    assert!(paused["id"].as_u64() > down["id"].as_u64(), "{paused}");

    // The head wins over the query, which asks for all.
    let mut again = Stream::open(&serving, down["id"].as_u64()).await;
    assert_eq!(
        again.next().await.as_ref(),
        Some(&paused),
        "what was seen does not come again, what was not does"
    );

    serving.stop.cancel();
    assert_eq!((live.next().await, again.next().await), (None, None), "streams end with the server");
    serving.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_is_none_is_refused() {
    let serving = Serving::start().await;
    let request = Request::get("/api/v1/events")
        .header("authorization", format!("Bearer {OWNER}"))
        .header("last-event-id", "yesterday");
    let answer = serving.kit.send(request.body(Body::empty()).expect("a request")).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.text);
    assert_eq!(answer.json()["errors"][0]["parameter"], "Last-Event-ID");
    serving.end().await;
}
