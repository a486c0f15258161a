//! `Idempotency-Key`: a POST that is sent again because its answer was lost is done once and answered twice.
//!
//! The answer of the first is kept for a day under the account and the key. The same key with another request is a
//! mistake of the client's and said to be one; while the first is still at work, the second is told to wait.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use quaywatch_app::caller::Caller;
use quaywatch_app::operations::replays::{KeptAnswer, KeyedRequest, Known};
use quaywatch_web::problem::{FieldError, Place, Problem};
use sha2::{Digest as _, Sha256};

use crate::Api;

/// The header.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Larger answers are not kept: a bulk call that made a thousand monitors fits.
const KEPT_MOST: usize = 1 << 20;
/// What of an answer's head is kept.
const KEPT_HEADERS: [HeaderName; 3] = [header::CONTENT_TYPE, header::LOCATION, header::ETAG];

/// Keys whose first request is still at work.
#[derive(Debug, Default)]
pub(crate) struct Replays(Mutex<HashSet<(i64, String)>>);

/// Answers a request, or answers again what was answered to it.
pub(super) async fn once(
    api: &Api,
    caller: &Caller,
    parts: &Parts,
    body: &Bytes,
    answered: impl Future<Output = Response> + Send + 'static,
) -> Result<Response, Problem> {
    let Some(key) = key_of(parts)? else { return Ok(answered.await) };
    let held = Held::take(&api.replays, (caller.account.0, key.clone())).ok_or_else(at_work)?;
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let route = format!("{} {target}", parts.method);
    let request = KeyedRequest { key, route, hash: Sha256::digest(body).into() };
    let (api, caller) = (api.clone(), caller.clone());
    // A task of its own, from the first trace of it in the store on: a client that hangs up must not leave a request
    // half done, or begun and never done, and nobody knowing.
    let work = tokio::spawn(async move {
        let answer = match api.operations.begin_keyed(&caller, request.clone()).await? {
            Known::New => keep(&api, &caller, request, answered.await).await,
            Known::Answered(kept) => Ok(again(kept)),
            Known::Other => Err(other_request()),
            Known::Open => Err(cut_short()),
        };
        drop(held);
        answer
    });
    work.await.unwrap_or_else(|_| Err(Problem::of(StatusCode::INTERNAL_SERVER_ERROR)))
}

/// Keeps the answer, unless it may be another one the next time.
async fn keep(
    api: &Api,
    caller: &Caller,
    request: KeyedRequest,
    response: Response,
) -> Result<Response, Problem> {
    let status = response.status();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        api.operations.end_keyed(caller, request, None).await?;
        return Ok(response);
    }
    let (head, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, KEPT_MOST).await else {
        let detail = "it was done, but its answer is too large to be kept for an `Idempotency-Key`";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail));
    };
    let text = |name: &HeaderName| {
        let value = head.headers.get(name)?.to_str().ok()?;
        Some((name.as_str().to_owned(), value.to_owned()))
    };
    let headers = KEPT_HEADERS.iter().filter_map(text).collect();
    let kept = KeptAnswer { status: status.as_u16(), headers, body: bytes.to_vec() };
    api.operations.end_keyed(caller, request, Some(kept)).await?;
    Ok(Response::from_parts(head, Body::from(bytes)))
}

/// The same answer, marked as one that was given before.
fn again(kept: KeptAnswer) -> Response {
    let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
    let mut response = (status, kept.body).into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    for (name, value) in kept.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

fn key_of(parts: &Parts) -> Result<Option<String>, Problem> {
    let Some(value) = parts.headers.get(KEY) else { return Ok(None) };
    let fits =
        |text: &&str| (1..=100).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    match value.to_str().ok().filter(fits) {
        Some(text) => Ok(Some(text.to_owned())),
        None => Err(wrong_key(
            "bad_key",
            "`Idempotency-Key` is not 1 to 100 printable characters",
            "send a new UUID for each thing to be done",
        )),
    }
}

fn other_request() -> Problem {
    wrong_key(
        "key_reused",
        "this `Idempotency-Key` was sent with another request before",
        "send a new one for each thing to be done",
    )
}

fn wrong_key(code: &str, message: &str, suggestion: &str) -> Problem {
    Problem::invalid(vec![FieldError {
        place: Place::Parameter("Idempotency-Key".to_owned()),
        code: code.to_owned(),
        message: message.to_owned(),
        suggestion: Some(suggestion.to_owned()),
    }])
}

fn at_work() -> Problem {
    let detail = "the first request with this `Idempotency-Key` is still at work";
    Problem::new(StatusCode::CONFLICT, detail).with_code("at_work").retry_after(Duration::from_secs(1))
}

/// The server ended in the middle of the first one.
fn cut_short() -> Problem {
    let detail = "the first request with this `Idempotency-Key` was cut short: look whether it was done, and if \
                  not, send it with a new key";
    Problem::new(StatusCode::CONFLICT, detail).with_code("cut_short")
}

/// A key at work; free again when dropped.
struct Held {
    replays: Arc<Replays>,
    place: (i64, String),
}

impl Held {
    fn take(replays: &Arc<Replays>, place: (i64, String)) -> Option<Self> {
        let is_free = replays.0.lock().unwrap_or_else(PoisonError::into_inner).insert(place.clone());
        is_free.then(|| Self { replays: Arc::clone(replays), place })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.replays.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.place);
    }
}
