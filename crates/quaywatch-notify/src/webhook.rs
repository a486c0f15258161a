//! `type: webhook`: JSON to a URL, signed. Any 2xx means that the receiver has it; `webhook-id` is the delivery key,
//! the same on every attempt, so a receiver that drops ids it knows sees each notice exactly once.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use quaywatch_core::{Clock, Secret};
use url::Url;

use crate::class::classify;
use crate::registry::{Field, Kind, Problems, Settings, Site};
use crate::sign::SigningSecret;
use crate::wire::{Post, Wire};
use crate::{Attempt, BoxFuture, Channel, Notice, Outcome, Rendered, body};

/// The registry's entry.
pub const KIND: Kind = Kind {
    name: "webhook",
    summary: "JSON to a URL, signed (Standard Webhooks)",
    fields: &[
        Field::text("url", "where to send it, e.g. https://hooks.example.com/quaywatch").required().secret(),
        Field::text("secret", "signs each request; `whsec_` and base64, or 16 characters and more").secret(),
        Field::text("previous_secret", "the old secret while it is being replaced: both sign").secret(),
        Field::text("method", "POST (default), PUT or PATCH"),
        Field::text("bearer_token", "sent as `authorization: Bearer …`").secret(),
        Field::text("username", "with `password`: sent as `authorization: Basic …`"),
        Field::text("password", "see `username`").secret(),
        Field::map("headers", "further headers, name: value").secret(),
        Field::text(
            "signature_header",
            "name of the simple signature's header; x-quaywatch-signature-256 by default",
        ),
    ],
    destination: &["url"],
    build: |settings, site| {
        Webhook::read(settings, site).map(|webhook| Arc::new(webhook) as Arc<dyn Channel>)
    },
};

const SIMPLE_HEADER: HeaderName = HeaderName::from_static("x-quaywatch-signature-256");
/// Names that are ours to set.
const RESERVED: [&str; 8] = [
    "content-type",
    "content-length",
    "host",
    "transfer-encoding",
    "connection",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
];

struct Webhook {
    url: Secret<Url>,
    method: Method,
    /// Fixed headers, some of which are secrets: marked as sensitive.
    headers: HeaderMap,
    /// The current secret first.
    secrets: Vec<SigningSecret>,
    simple_header: HeaderName,
    wire: Arc<dyn Wire>,
    clock: Arc<dyn Clock>,
}

impl Channel for Webhook {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn render(&self, notice: &Notice, attempt: &Attempt) -> Rendered {
        let body = body::json(notice, attempt);
        let mut headers = self.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        put(&mut headers, "webhook-id", &attempt.key);
        put(&mut headers, "webhook-timestamp", &attempt.at.secs().to_string());
        put(&mut headers, "x-quaywatch-event", notice.kind.as_str());
        if let Some(current) = self.secrets.first() {
            let signatures: Vec<_> =
                self.secrets.iter().map(|secret| secret.v1(&attempt.key, attempt.at.secs(), &body)).collect();
            put(&mut headers, "webhook-signature", &signatures.join(" "));
            if let Ok(value) = HeaderValue::from_str(&current.simple(&body)) {
                headers.insert(self.simple_header.clone(), value);
            }
        }
        Rendered { headers, body }
    }

    fn deliver<'a>(&'a self, rendered: Rendered) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let post = Post {
                method: self.method.clone(),
                url: self.url.reveal().clone(),
                headers: rendered.headers,
                body: rendered.body,
            };
            classify(&self.wire.send(post).await, self.clock.now())
        })
    }
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    let value =
        HeaderValue::from_str(value).expect("keys, numbers, base64 and event names are visible ASCII");
    headers.insert(HeaderName::from_static(name), value);
}

impl Webhook {
    fn read(settings: &Settings, site: &Site) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let url = settings.text("url").and_then(|text| problems.keep("url", read_url(text)));
        let method = match settings.text("method").map(str::to_ascii_uppercase).as_deref() {
            None | Some("POST") => Method::POST,
            Some("PUT") => Method::PUT,
            Some("PATCH") => Method::PATCH,
            Some(_) => {
                problems.add("method", "must be POST, PUT or PATCH");
                Method::POST
            }
        };
        let mut secrets = Vec::new();
        for name in ["secret", "previous_secret"] {
            if let Some(text) = settings.text(name) {
                secrets.extend(problems.keep(name, SigningSecret::read(text)));
            }
        }
        let simple_header = settings
            .text("signature_header")
            .and_then(|text| {
                problems.keep("signature_header", text.parse().map_err(|_| "is not a header name"))
            })
            .unwrap_or(SIMPLE_HEADER);
        let headers = read_headers(settings, &site.user_agent, &mut problems);
        problems.finish()?;
        let url = Secret::new(url.expect("`url` is required, and a bad one is a problem"));
        let (wire, clock) = (Arc::clone(&site.wire), Arc::clone(&site.clock));
        Ok(Self { url, method, headers, secrets, simple_header, wire, clock })
    }
}

fn read_url(text: &str) -> Result<Url, &'static str> {
    const FORM: &str = "must be a URL such as https://hooks.example.com/quaywatch";
    let url = Url::parse(text.trim()).map_err(|_| FORM)?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(FORM);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user name or password: use `username` and `password`");
    }
    Ok(url)
}

fn read_headers(settings: &Settings, user_agent: &str, problems: &mut Problems) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(user_agent) {
        headers.insert(USER_AGENT, value);
    }
    for (name, value) in settings.map("headers") {
        let parsed = (name.parse::<HeaderName>(), HeaderValue::from_str(value));
        match parsed {
            (Ok(name), Ok(mut value)) if !RESERVED.contains(&name.as_str()) => {
                value.set_sensitive(true);
                headers.insert(name, value);
            }
            (Ok(name), Ok(_)) => problems.add("headers", format!("`{name}` is set by Quaywatch itself")),
            (Ok(name), Err(_)) => {
                problems.add("headers", format!("the value of `{name}` has characters no header may have"));
            }
            (Err(_), _) => {
                problems.add("headers", format!("`{}` is not a header name", crate::clean::line(name, 80)));
            }
        }
    }
    let basic = match (settings.text("username"), settings.text("password")) {
        (Some(user), Some(password)) => {
            Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
        }
        (None, None) => None,
        _ => {
            problems.add("username", "needs `password`, and the reverse");
            None
        }
    };
    let bearer = settings.text("bearer_token").map(|token| format!("Bearer {token}"));
    if basic.is_some() && bearer.is_some() {
        problems.add("bearer_token", "cannot stand beside `username` and `password`");
    }
    if let Some(text) = bearer.or(basic) {
        match HeaderValue::from_str(&text) {
            Ok(mut value) => {
                value.set_sensitive(true);
                headers.insert(AUTHORIZATION, value);
            }
            Err(_) => problems.add("bearer_token", "has characters no header may have"),
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use http::StatusCode;
    use quaywatch_core::{BootTime, Timestamp};
    use serde_json::json;

    use super::*;
    use crate::wire::{Answer, Fault, WireError};
    use crate::{Class, registry, samples};

    struct Still;

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp::from_secs(1_777_652_200)
        }

        fn boot(&self) -> BootTime {
            BootTime(0)
        }
    }

    /// Answers what it is told to and keeps what it was sent.
    struct Receiver {
        answer: Result<Answer, WireError>,
        got: Mutex<Vec<Post>>,
    }

    impl Wire for Receiver {
        fn send(&self, request: Post) -> BoxFuture<'_, Result<Answer, WireError>> {
            self.got.lock().expect("no test panics here").push(request);
            Box::pin(std::future::ready(self.answer.clone()))
        }
    }

    fn receiver(status: u16) -> Arc<Receiver> {
        let answer = Answer {
            status: StatusCode::from_u16(status).expect("a status"),
            headers: HeaderMap::new(),
            body: bytes::Bytes::new(),
        };
        Arc::new(Receiver { answer: Ok(answer), got: Mutex::default() })
    }

    fn built(settings: serde_json::Value, wire: Arc<Receiver>) -> Result<Arc<dyn Channel>, Problems> {
        let serde_json::Value::Object(settings) = settings else { panic!("settings are a map") };
        let site = Site { wire, clock: Arc::new(Still), user_agent: "Quaywatch/0.4.0".into() };
        registry::build("webhook", &settings, &site)
    }

    fn now<T>(future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        match future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
            std::task::Poll::Ready(value) => value,
            std::task::Poll::Pending => panic!("the fake answers at once"),
        }
    }

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const OLD: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

    #[test]
    fn t33_a_request_carries_key_time_and_both_signatures_over_the_bytes_as_sent() {
        let wire = receiver(200);
        let channel = built(
            json!({"url": "https://hooks.example.com/t0ken?x=1", "secret": SECRET, "previous_secret": OLD,
                   "headers": {"X-Team": "db"}, "bearer_token": "b3arer", "method": "put"}),
            Arc::clone(&wire),
        )
        .expect("good settings");
        let attempt = samples::attempt();
        let rendered = channel.render(&samples::opened(), &attempt);
        assert_eq!(now(channel.deliver(rendered)).class, Class::Sent);

        let got = wire.got.lock().expect("no test panics here");
        let post = &got[0];
        let header = |name: &str| post.headers[name].to_str().expect("ASCII").to_owned();
        assert_eq!(post.method, Method::PUT);
        assert_eq!(post.url.as_str(), "https://hooks.example.com/t0ken?x=1");
        assert_eq!(header("webhook-id"), attempt.key);
        assert_eq!(header("webhook-timestamp"), attempt.at.secs().to_string());
        assert_eq!(header("x-quaywatch-event"), "incident.opened");
        assert_eq!(header("content-type"), "application/json");
        assert_eq!(header("user-agent"), "Quaywatch/0.4.0");
        assert_eq!(header("authorization"), "Bearer b3arer");
        assert_eq!(header("x-team"), "db");
        let expected: Vec<_> = [SECRET, OLD]
            .iter()
            .map(|s| SigningSecret::read(s).expect("good").v1(&attempt.key, attempt.at.secs(), &post.body))
            .collect();
        assert_eq!(header("webhook-signature"), expected.join(" "));
        let simple = SigningSecret::read(SECRET).expect("good").simple(&post.body);
        assert_eq!(header("x-quaywatch-signature-256"), simple);
    }

    #[test]
    fn only_time_and_signature_differ_between_attempts() {
        let channel =
            built(json!({"url": "http://127.0.0.1/", "secret": SECRET}), receiver(200)).expect("good");
        let first = channel.render(&samples::opened(), &samples::attempt());
        let later = Attempt { at: Timestamp::from_secs(1_777_652_300), ..samples::attempt() };
        let second = channel.render(&samples::opened(), &later);
        assert_eq!(first.body, second.body);
        assert_eq!(first.headers["webhook-id"], second.headers["webhook-id"]);
        assert_ne!(first.headers["webhook-signature"], second.headers["webhook-signature"]);
    }

    #[test]
    fn without_a_secret_nothing_is_signed() {
        let channel = built(json!({"url": "http://127.0.0.1/"}), receiver(200)).expect("good");
        let rendered = channel.render(&samples::opened(), &samples::attempt());
        assert!(!rendered.headers.contains_key("webhook-signature"));
        assert!(!rendered.headers.contains_key("x-quaywatch-signature-256"));
    }

    #[test]
    fn settings_are_checked_at_once_and_no_value_is_repeated() {
        let bad = json!({
            "url": "ftp://user:p4ss@example.com/s3cret", "secret": "sh0rt", "method": "GET", "colour": "red",
        });
        let problems = built(bad, receiver(200)).err().expect("bad settings");
        assert_eq!(problems.0.iter().map(|p| p.field.as_str()).collect::<Vec<_>>(), ["colour"]);
        let bad = json!({
            "url": "ftp://user:p4ss@example.com/s3cret", "secret": "sh0rt", "method": "GET",
            "headers": {"webhook-id": "x", "bad name": "y", "x": "a\nb"}, "username": "u", "signature_header": "a b",
        });
        let problems = built(bad, receiver(200)).err().expect("bad settings");
        let fields: Vec<_> = problems.0.iter().map(|p| p.field.as_str()).collect();
        assert_eq!(
            fields,
            ["url", "method", "secret", "signature_header", "headers", "headers", "headers", "username"]
        );
        for secret in ["p4ss", "s3cret", "sh0rt"] {
            assert!(!problems.to_string().contains(secret), "{problems}");
        }
        assert!(
            built(json!({}), receiver(200)).err().expect("no url").to_string().contains("`url` is missing")
        );
    }

    #[test]
    fn secrets_are_marked_and_never_in_an_outcome() {
        let wire = Arc::new(Receiver {
            answer: Err(WireError { fault: Fault::AfterRequest, text: "lost hooks.example.com".into() }),
            got: Mutex::default(),
        });
        let settings =
            json!({"url": "https://hooks.example.com/t0ken", "secret": SECRET, "headers": {"x-key": "k3y"}});
        let channel = built(settings, wire).expect("good");
        let rendered = channel.render(&samples::opened(), &samples::attempt());
        assert!(rendered.headers["x-key"].is_sensitive());
        assert!(!format!("{rendered:?}").contains("k3y"));
        let outcome = now(channel.deliver(rendered));
        assert_eq!(outcome.class, Class::Unknown);
        assert!(!format!("{outcome:?}").contains("t0ken"));
    }
}
