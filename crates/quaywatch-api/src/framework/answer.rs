//! What is answered: each form with its status, so that the document knows it from the handler's type.

use axum::body::Body as HttpBody;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use quaywatch_app::operations::page as views;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::call::Head;
use super::describe::Describe;

/// An answer that can be described.
pub trait Output: Send + 'static {
    /// Its status.
    const STATUS: u16;

    /// Whether it has an `ETag`, so that whoever has it already need not be sent it again.
    const IS_TAGGED: bool = false;

    /// As the document has it.
    fn describe(describe: &mut Describe) -> Value;

    /// For the wire.
    fn respond(self, head: &Head) -> Response;
}

/// 200 with a value.
#[derive(Debug)]
pub struct Shown<T>(pub T);

/// 200 with a value and its `ETag`; 304 to whoever looks and has it already.
#[derive(Debug)]
pub struct Tagged<T> {
    /// The value.
    pub value: T,
    /// Its revision.
    pub revision: u64,
}

/// 201: made, and where it is.
#[derive(Debug)]
pub struct Created<T> {
    /// The value.
    pub value: T,
    /// Its path below `/api/v1`.
    pub location: String,
    /// Its revision, where it has one.
    pub revision: Option<u64>,
}

/// 200 with a page of a list, and a `Link` to the next.
#[derive(Debug)]
pub struct Listed<T> {
    /// The items.
    pub items: Vec<T>,
    /// The cursor of the next page.
    pub next: Option<String>,
}

/// 200 with a page in a form of its own, and a `Link` to the next.
#[derive(Debug)]
pub struct Paged<B> {
    /// What is answered; it says `next` too.
    pub body: B,
    /// The cursor of the next page.
    pub next: Option<String>,
}

/// 202: it will be done.
#[derive(Debug)]
pub struct Accepted<T>(pub T);

/// 204: done, and nothing to say.
#[derive(Debug, Clone, Copy)]
pub struct Done;

/// 200 with YAML.
#[derive(Debug)]
pub struct Text(pub String);

impl<T> Listed<T> {
    /// A page of views, as it is answered.
    pub fn of<V: Into<T>>(page: views::Page<V>) -> Self {
        Self { items: page.items.into_iter().map(Into::into).collect(), next: page.next }
    }

    /// All there are.
    pub fn whole<V: Into<T>>(views: Vec<V>) -> Self {
        Self::of(views::Page { items: views, next: None })
    }
}

/// A page of a list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PageOf{T}")]
pub struct Page<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// What to send as `after` for the next page; null on the last.
    pub next: Option<String>,
}

impl<T: Serialize + JsonSchema + Send + 'static> Output for Shown<T> {
    const STATUS: u16 = 200;

    fn describe(describe: &mut Describe) -> Value {
        json_answer("done", &describe.written::<T>())
    }

    fn respond(self, _: &Head) -> Response {
        json_response(StatusCode::OK, &self.0)
    }
}

impl<T: Serialize + JsonSchema + Send + 'static> Output for Tagged<T> {
    const STATUS: u16 = 200;
    const IS_TAGGED: bool = true;

    fn describe(describe: &mut Describe) -> Value {
        let mut answer = json_answer("done", &describe.written::<T>());
        answer["headers"] = json!({ "ETag": etag_header() });
        answer
    }

    fn respond(self, head: &Head) -> Response {
        let body = match serde_json::to_vec(&self.value) {
            Ok(body) => body,
            Err(error) => return not_written(&error),
        };
        // A status changes without an edit: what is looked at has a tag that changes with all that is answered.
        let tag = if head.only_looks { tag_of(self.revision, &body) } else { etag(self.revision) };
        let mut response = if head.has(&tag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            json_bytes(StatusCode::OK, body)
        };
        response.headers_mut().insert(header::ETAG, tag);
        response
    }
}

impl<T: Serialize + JsonSchema + Send + 'static> Output for Created<T> {
    const STATUS: u16 = 201;

    fn describe(describe: &mut Describe) -> Value {
        let mut answer = json_answer("made", &describe.written::<T>());
        let location = json!({ "description": "where it is", "schema": { "type": "string" } });
        answer["headers"] = json!({ "Location": location, "ETag": etag_header() });
        answer
    }

    fn respond(self, _: &Head) -> Response {
        let mut response = json_response(StatusCode::CREATED, &self.value);
        let headers = response.headers_mut();
        if let Ok(location) = HeaderValue::from_str(&format!("/api/v1{}", self.location)) {
            headers.insert(header::LOCATION, location);
        }
        if let Some(revision) = self.revision {
            headers.insert(header::ETAG, etag(revision));
        }
        response
    }
}

impl<T: Serialize + JsonSchema + Send + 'static> Output for Listed<T> {
    const STATUS: u16 = 200;

    fn describe(describe: &mut Describe) -> Value {
        Paged::<Page<T>>::describe(describe)
    }

    fn respond(self, head: &Head) -> Response {
        let body = Page { items: self.items, next: self.next.clone() };
        Paged { body, next: self.next }.respond(head)
    }
}

impl<B: Serialize + JsonSchema + Send + 'static> Output for Paged<B> {
    const STATUS: u16 = 200;

    fn describe(describe: &mut Describe) -> Value {
        let mut answer = json_answer("a page of the list", &describe.written::<B>());
        let link = json!({
            "description": "RFC 8288: `rel=\"next\"`, where there is a next page",
            "schema": { "type": "string" },
        });
        answer["headers"] = json!({ "Link": link });
        answer
    }

    fn respond(self, head: &Head) -> Response {
        let link = self.next.as_deref().map(|next| head.link_to_next(next));
        let mut response = json_response(StatusCode::OK, &self.body);
        if let Some(link) = link.and_then(|link| HeaderValue::from_str(&link).ok()) {
            response.headers_mut().insert(header::LINK, link);
        }
        response
    }
}

impl<T: Serialize + JsonSchema + Send + 'static> Output for Accepted<T> {
    const STATUS: u16 = 202;

    fn describe(describe: &mut Describe) -> Value {
        json_answer("it will be done", &describe.written::<T>())
    }

    fn respond(self, _: &Head) -> Response {
        json_response(StatusCode::ACCEPTED, &self.0)
    }
}

impl Output for Done {
    const STATUS: u16 = 204;

    fn describe(_: &mut Describe) -> Value {
        json!({ "description": "done" })
    }

    fn respond(self, _: &Head) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

impl Output for Text {
    const STATUS: u16 = 200;

    fn describe(_: &mut Describe) -> Value {
        // Whoever reads YAML finds a document in it, not a text.
        let text = json!({ "schema": { "type": "object" } });
        json!({ "description": "as YAML", "content": { "application/yaml": text } })
    }

    fn respond(self, _: &Head) -> Response {
        let headers = [(header::CONTENT_TYPE, "application/yaml; charset=utf-8")];
        (headers, HttpBody::from(self.0)).into_response()
    }
}

fn json_answer(about: &str, schema: &Value) -> Value {
    json!({ "description": about, "content": { "application/json": { "schema": schema } } })
}

/// A JSON answer.
pub fn json_response<T: Serialize>(status: StatusCode, value: &T) -> Response {
    serde_json::to_vec(value).map_or_else(|error| not_written(&error), |body| json_bytes(status, body))
}

fn json_bytes(status: StatusCode, body: Vec<u8>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn not_written(error: &serde_json::Error) -> Response {
    tracing::error!(%error, "an answer could not be written as JSON");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

fn etag(revision: u64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{revision}\"")).expect("digits in quotes are a header's value")
}

/// The revision, and what tells this answer from others of it.
fn tag_of(revision: u64, body: &[u8]) -> HeaderValue {
    let hash = Sha256::digest(body);
    let first = hash.iter().take(8).fold(0, |all: u64, byte| all << 8 | u64::from(*byte));
    HeaderValue::from_str(&format!("\"{revision}-{first:016x}\""))
        .expect("digits in quotes are a header's value")
}

fn etag_header() -> Value {
    let about = "begins with the revision: for `If-Match`, and for `If-None-Match`";
    json!({ "description": about, "schema": { "type": "string" } })
}
