//! `Idempotency-Key`: a POST that is sent again because its answer was lost is done once and answered twice.
//!
//! The answer of the first is kept for a day under the account and the key. The same key with another request is a
//! mistake of the client's and said to be one; while the first is still at work, the second is told to wait. A request
//! that was refused did nothing and is forgotten. Nobody fills the disk with answers: what is too large, or beyond what
//! an account may have kept, leaves only the fact that it was done ([`Larder`]).

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use quaywatch_app::caller::Caller;
use quaywatch_app::operations::replays::{KeptAnswer, KeyedRequest, Known};
use quaywatch_core::BootTime;
use quaywatch_web::problem::{FieldError, Place, Problem};
use sha2::{Digest as _, Sha256};

use crate::Api;

/// The header.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Larger answers are not kept: a bulk call that made a thousand monitors fits.
const KEPT_MOST: usize = 1 << 20;
/// Of answers, for one account: so many bytes at once, and so many a second again. In a day at most 350 MiB.
const LARDER: usize = 16 << 20;
const LARDER_A_SECOND: usize = 4 << 10;
/// What of an answer's head is kept.
const KEPT_HEADERS: [HeaderName; 3] = [header::CONTENT_TYPE, header::LOCATION, header::ETAG];

/// Keys whose first request is still at work, and room for answers.
#[derive(Debug, Default)]
pub(crate) struct Replays {
    at_work: Mutex<HashSet<(i64, String)>>,
    larders: Mutex<HashMap<i64, Larder>>,
}

impl Replays {
    /// Takes room for an answer, if there is any.
    fn has_room(&self, account: i64, bytes: usize, now: BootTime) -> bool {
        let mut larders = self.larders.lock().unwrap_or_else(PoisonError::into_inner);
        larders.entry(account).or_insert(Larder { free: LARDER, at: now }).take(bytes, now)
    }
}

/// How much of its answers an account may still have kept.
#[derive(Debug)]
struct Larder {
    free: usize,
    at: BootTime,
}

impl Larder {
    fn take(&mut self, bytes: usize, now: BootTime) -> bool {
        let seconds = usize::try_from(now.since(self.at).as_secs()).unwrap_or(usize::MAX);
        if seconds > 0 {
            self.free = self.free.saturating_add(seconds.saturating_mul(LARDER_A_SECOND)).min(LARDER);
            self.at = now;
        }
        let fits = bytes <= self.free;
        if fits {
            self.free -= bytes;
        }
        fits
    }
}

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
            Known::Answered(kept) => again(kept),
            Known::Other => Err(other_request()),
            Known::Open => Err(cut_short()),
        };
        drop(held);
        answer
    });
    work.await.unwrap_or_else(|_| Err(Problem::of(StatusCode::INTERNAL_SERVER_ERROR)))
}

/// Keeps the answer of what was done.
async fn keep(
    api: &Api,
    caller: &Caller,
    request: KeyedRequest,
    response: Response,
) -> Result<Response, Problem> {
    let status = response.status();
    if !status.is_success() {
        api.operations.end_keyed(caller, request, None).await?;
        return Ok(response);
    }
    let (head, body) = response.into_parts();
    // Every answer was made in memory as a whole, so this is no limit to it.
    let bytes = to_bytes(body, usize::MAX).await.map_err(|error| {
        tracing::error!(%error, "an answer could not be taken together");
        Problem::of(StatusCode::INTERNAL_SERVER_ERROR)
    })?;
    let is_kept =
        bytes.len() <= KEPT_MOST && api.replays.has_room(caller.account.0, bytes.len(), api.clock.boot());
    let text = |name: &HeaderName| {
        let value = head.headers.get(name)?.to_str().ok()?;
        Some((name.as_str().to_owned(), value.to_owned()))
    };
    let headers = KEPT_HEADERS.iter().filter_map(text).collect();
    let body = is_kept.then(|| bytes.to_vec());
    let kept = KeptAnswer { status: status.as_u16(), headers, body };
    api.operations.end_keyed(caller, request, Some(kept)).await?;
    Ok(Response::from_parts(head, Body::from(bytes)))
}

/// The same answer, marked as one that was given before.
fn again(kept: KeptAnswer) -> Result<Response, Problem> {
    let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
    let Some(body) = kept.body else { return Err(done(status)) };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    for (name, value) in kept.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
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

/// It was done, and what was answered is not known any more.
fn done(status: StatusCode) -> Problem {
    let detail = format!(
        "the first request with this `Idempotency-Key` was done and answered with {}, but its answer was too large to \
         be kept: look at what it made",
        status.as_u16()
    );
    Problem::new(StatusCode::CONFLICT, detail).with_code("done")
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
        let is_free = replays.at_work.lock().unwrap_or_else(PoisonError::into_inner).insert(place.clone());
        is_free.then(|| Self { replays: Arc::clone(replays), place })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.replays.at_work.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_room_for_answers_and_gets_it_back_with_time() {
        let replays = Replays::default();
        let at = |seconds: u64| BootTime::default() + Duration::from_secs(seconds);
        for _ in 0..16 {
            assert!(replays.has_room(1, KEPT_MOST, at(0)));
        }
        assert!(!replays.has_room(1, KEPT_MOST, at(0)), "all is taken");
        assert!(replays.has_room(2, KEPT_MOST, at(0)), "by one account");
        assert!(!replays.has_room(1, KEPT_MOST, at(255)));
        assert!(replays.has_room(1, KEPT_MOST, at(256)), "a MiB in 256 s");
        let later = (0..100).filter(|_| replays.has_room(1, KEPT_MOST, at(90_000))).count();
        assert_eq!(later, 16, "and never more than it holds");
    }
}
