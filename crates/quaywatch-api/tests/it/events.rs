//! The stream of transitions as a receiver meets it.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use quaywatch_core::AccountId;
use quaywatch_testkit::port::ClosedPort;
use serde_json::{Value, json};

use crate::kit::Serving;

/// How long a message may take on a machine that also builds.
const PATIENCE: Duration = Duration::from_secs(20);

/// For a stream to end whose receiver may no more: it is asked every three seconds.
const CUT_OFF: Duration = Duration::from_secs(12);

const OWNER: &str = "a1:owner";

/// An open stream, and what of it was not looked at yet.
pub(crate) struct Stream {
    body: Body,
    text: String,
}

/// What a client sends along to be recognised.
pub(crate) type By<'b> = (&'b str, &'b str);

impl Stream {
    pub(crate) async fn open(serving: &Serving, by: By<'_>, last: Option<u64>) -> Self {
        let mut request = Request::get("/api/v1/events?after=0").header(by.0, by.1);
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
    pub(crate) async fn next(&mut self) -> Option<Value> {
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
    pub(crate) async fn until(&mut self, status: &str) -> Value {
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
    let token = serving.token(AccountId::DEFAULT, "follows").await;
    let by = ("x-api-key", token.as_str());
    let mut live = Stream::open(&serving, by, None).await;
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
    let mut again = Stream::open(&serving, by, down["id"].as_u64()).await;
    assert_eq!(
        again.next().await.as_ref(),
        Some(&paused),
        "what was seen does not come again, what was not does"
    );

    serving.stop.cancel();
    assert_eq!((live.next().await, again.next().await), (None, None), "streams end with the server");
    serving.end().await;
}

/// Signs somebody in: the cookie of their session.
async fn sign_in(serving: &Serving, path: &str, body: &Value) -> String {
    let answer = serving.kit.post("", path, body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let cookie = answer.header("set-cookie").and_then(|cookie| cookie.split(';').next());
    cookie.expect("a cookie").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_may_no_more_is_cut_off_within_seconds_and_nobody_else_is() {
    const PASSWORD: &str = "correct horse battery";
    let serving = Serving::start().await;
    let kit = &serving.kit;
    let key = serving.identity.new_setup_key().await.expect("a store").expect("nobody is there yet");
    let ada = json!({ "key": key.reveal(), "email": "ada@example.org", "name": "Ada", "password": PASSWORD });
    let ada = sign_in(&serving, "/setup", &ada).await;
    let invite = json!({ "email": "grace@example.org", "role": "viewer" });
    let secret = kit.post(OWNER, "/invitations", &invite).await.json()["secret"].clone();
    let yes = json!({ "secret": secret, "name": "Grace", "password": "staple battery horse" });
    let grace = sign_in(&serving, "/invitations/accept", &yes).await;
    let made = kit.post(OWNER, "/monitors", &json!({ "name": "m", "host": "127.0.0.1", "port": 9 })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let (kept, revoked) =
        (serving.token(AccountId::DEFAULT, "kept").await, serving.token(AccountId::DEFAULT, "revoked").await);

    let mut stays = Stream::open(&serving, ("x-api-key", &kept), None).await;
    let mut by_token = Stream::open(&serving, ("x-api-key", &revoked), None).await;
    let mut by_session = Stream::open(&serving, ("cookie", &ada), None).await;
    let mut by_member = Stream::open(&serving, ("cookie", &grace), None).await;

    let listed = kit.get(OWNER, "/tokens").await.json();
    let items = listed["items"].as_array().expect("tokens");
    let id = items.iter().find(|token| token["name"] == "revoked").expect("listed")["id"].clone();
    let id = id.as_str().expect("an id");
    assert_eq!(
        kit.call(OWNER, "DELETE", &format!("/tokens/{id}"), None).await.status,
        StatusCode::NO_CONTENT
    );
    let sign_out = Request::delete("/api/v1/session").header("cookie", &ada).body(Body::empty());
    assert_eq!(kit.send(sign_out.expect("a request")).await.status, StatusCode::NO_CONTENT);
    assert_eq!(kit.call(OWNER, "DELETE", "/members/u2", None).await.status, StatusCode::NO_CONTENT);
    for (who, stream) in [("token", &mut by_token), ("session", &mut by_session), ("member", &mut by_member)]
    {
        // A stream that goes on says every 15 s that it does: one deadline for the whole.
        let ends = async { while stream.next().await.is_some() {} };
        tokio::time::timeout(CUT_OFF, ends).await.unwrap_or_else(|_| panic!("{who}: the stream goes on"));
    }
    assert_eq!(kit.post(OWNER, "/monitors/m1/pause", &json!({})).await.status, StatusCode::OK);
    stays.until("paused").await;
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
