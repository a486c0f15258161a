//! Registering endpoints: method and path, the rule of who may, the handler, and what the document says of it, in one
//! call, so that none of them can be forgotten.
//!
//! ```text
//! pub(crate) fn routes(routes: &mut Routes) {
//!     routes.tag(Tag::Groups);
//!     routes.get("/groups", Needs(Resource::Monitors, Level::Look), list, docs("groups_list", "List groups"));
//! }
//!
//! async fn list(call: Call<(), GroupQuery>) -> Result<Listed<Group>, Problem> { … }
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{RawPathParams, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use quaywatch_web::Identified;
use quaywatch_web::problem::Problem;
use serde_json::{Value, json};

use super::answer::Output;
use super::body::{Body, Checks, Refused, USUAL_LIMIT};
use super::call::{Call, Head};
use super::describe::Describe;
use super::parameters::{Parameters, Reader};
use super::replay;
use super::rule::Rule;
use crate::Api;

/// What an endpoint is about: the chapters of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the chapter of its name")]
pub enum Tag {
    Monitors,
    Results,
    Incidents,
    Events,
    Groups,
    Tags,
    Channels,
    Locations,
    Presets,
    Configuration,
    Bin,
    Account,
    Audit,
    Tokens,
    People,
    Session,
    Urls,
    Server,
}

impl Tag {
    /// All, in the order of the document, with what each is about.
    pub const ALL: [(Self, &'static str, &'static str); 18] = [
        (Self::Monitors, "monitors", "What is watched: one host and port each."),
        (Self::Results, "results", "What checks saw: results, latency, uptime, and what was not up."),
        (Self::Incidents, "incidents", "Outages with their proof and timeline."),
        (Self::Events, "events", "The stream of transitions."),
        (Self::Groups, "groups", "The tree that monitors stand in."),
        (Self::Tags, "tags", "Free labels."),
        (Self::Channels, "channels", "Who is told."),
        (Self::Locations, "locations", "From where checks run."),
        (Self::Presets, "presets", "Well-known services and their ports."),
        (Self::Configuration, "configuration", "Everything as one YAML document."),
        (Self::Bin, "bin", "What was deleted and can still be restored."),
        (Self::Account, "account", "Plan, limits and use."),
        (Self::Audit, "audit", "Who changed what."),
        (Self::Tokens, "tokens", "API tokens."),
        (Self::People, "people", "Members and invitations."),
        (Self::Session, "session", "Signing in and out."),
        (Self::Urls, "urls", "The call of other products, for scripts that already make it."),
        (Self::Server, "server", "The document itself."),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(tag, ..)| *tag == self).map_or("", |(_, name, _)| name)
    }
}

/// What the document says of an endpoint.
#[derive(Debug, Clone)]
pub struct Docs {
    id: &'static str,
    summary: &'static str,
    about: &'static str,
    answers: Vec<u16>,
    body_limit: usize,
    example: Option<Value>,
    is_replayed: bool,
}

/// Begins the documentation of an endpoint: its `operationId` and a line of summary.
#[must_use]
pub fn docs(id: &'static str, summary: &'static str) -> Docs {
    Docs {
        id,
        summary,
        about: "",
        answers: Vec::new(),
        body_limit: USUAL_LIMIT,
        example: None,
        is_replayed: true,
    }
}

impl Docs {
    /// What else there is to know.
    #[must_use]
    pub fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// Statuses that it can answer beyond those that follow from its form (see `document`).
    #[must_use]
    pub fn answers(mut self, statuses: &[u16]) -> Self {
        self.answers.extend(statuses);
        self
    }

    /// A body that works, for the document and for its test.
    #[must_use]
    pub fn example(mut self, body: Value) -> Self {
        self.example = Some(body);
        self
    }

    /// Larger bodies than usual.
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// `Idempotency-Key` means nothing here: what is answered must not be kept (a secret), or nothing is changed.
    #[must_use]
    pub fn never_replayed(mut self) -> Self {
        self.is_replayed = false;
        self
    }
}

/// A function that answers calls.
pub trait Handler<P, Q, B, W>: Clone + Send + Sync + 'static {
    /// What it answers.
    type Output: Output;

    /// Answers one.
    fn call(
        self,
        call: Call<P, Q, B, W>,
    ) -> impl Future<Output = Result<Self::Output, Problem>> + Send + 'static;
}

impl<F, R, O, P, Q, B, W> Handler<P, Q, B, W> for F
where
    F: Fn(Call<P, Q, B, W>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<O, Problem>> + Send + 'static,
    O: Output,
    P: Send,
    Q: Send,
    B: Send,
    W: Send,
{
    type Output = O;

    fn call(self, call: Call<P, Q, B, W>) -> impl Future<Output = Result<O, Problem>> + Send + 'static {
        self(call)
    }
}

/// Where every path begins.
pub const ROOT: &str = "/api/v1";

/// All endpoints, while they are being registered.
#[derive(Debug)]
pub struct Routes {
    tag: Tag,
    routers: BTreeMap<String, MethodRouter<Api>>,
    pub(super) operations: Vec<(String, &'static str, Value)>,
    pub(super) describe: Describe,
}

impl Default for Routes {
    fn default() -> Self {
        Self {
            tag: Tag::Server,
            routers: BTreeMap::new(),
            operations: Vec::new(),
            describe: Describe::default(),
        }
    }
}

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident $filter:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name<R, P, Q, B, H>(&mut self, path: &str, rule: R, handler: H, docs: Docs)
        where
            R: Rule,
            P: Parameters,
            Q: Parameters,
            B: Body,
            H: Handler<P, Q, B, R::Who>,
        {
            self.add(MethodFilter::$filter, stringify!($name), path, rule, handler, docs);
        }
    )*};
}

impl Routes {
    /// What the next endpoints are about.
    pub fn tag(&mut self, tag: Tag) {
        self.tag = tag;
    }

    methods! {
        /// `GET`, below `/api/v1`.
        get GET;
        /// `POST`: with `Idempotency-Key` what was answered once is answered again, and done once.
        post POST;
        /// `PUT`.
        put PUT;
        /// `PATCH`: RFC 7396, `null` takes a setting away.
        patch PATCH;
        /// `DELETE`.
        delete DELETE;
    }

    fn add<R, P, Q, B, H>(
        &mut self,
        filter: MethodFilter,
        method: &'static str,
        path: &str,
        rule: R,
        handler: H,
        docs: Docs,
    ) where
        R: Rule,
        P: Parameters,
        Q: Parameters,
        B: Body,
        H: Handler<P, Q, B, R::Who>,
    {
        let path = format!("{ROOT}{path}");
        let route = Route {
            rule,
            handler,
            path: Reader::of::<P>(),
            query: Reader::of::<Q>(),
            checks: Checks::default(),
            body_limit: docs.body_limit,
            is_replayed: method == "post" && docs.is_replayed,
            types: std::marker::PhantomData::<fn() -> (P, Q, B)>,
        };
        let operation = route.describe(&mut self.describe, self.tag, method, docs);
        self.operations.push((path.clone(), method, operation));
        let route = Arc::new(route);
        let serve = move |State(api): State<Api>, path: RawPathParams, request: Request| {
            let route = Arc::clone(&route);
            async move { route.serve(api, &path, request).await }
        };
        let router = self.routers.remove(&path).unwrap_or_default();
        self.routers.insert(path, router.merge(on(filter, serve)));
    }

    /// The router, and what the document is made of.
    pub(super) fn into_router(self) -> (Router<Api>, Described) {
        let mut router = Router::new();
        for (path, methods) in self.routers {
            router = router.route(&path, methods.fallback(no_such_method));
        }
        (router, Described { operations: self.operations, describe: self.describe })
    }
}

/// What was described while routes were registered.
#[derive(Debug)]
pub struct Described {
    pub(super) operations: Vec<(String, &'static str, Value)>,
    pub(super) describe: Describe,
}

async fn no_such_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "there is something here, but not for this method")
}

/// One endpoint.
struct Route<R, P, Q, B, H> {
    rule: R,
    handler: H,
    path: Reader,
    query: Reader,
    checks: Checks,
    body_limit: usize,
    is_replayed: bool,
    types: Types<P, Q, B>,
}

/// What a route reads, without holding any of it.
type Types<P, Q, B> = std::marker::PhantomData<fn() -> (P, Q, B)>;

impl<R, P, Q, B, H> Route<R, P, Q, B, H>
where
    R: Rule,
    P: Parameters,
    Q: Parameters,
    B: Body,
    H: Handler<P, Q, B, R::Who>,
{
    /// What the document says of it.
    fn describe(&self, describe: &mut Describe, tag: Tag, method: &str, docs: Docs) -> Value {
        let mut parameters = self.path.describe("path");
        parameters.extend(self.query.describe("query"));
        if self.is_replayed {
            parameters.push(json!({ "$ref": "#/components/parameters/IdempotencyKey" }));
        }
        let changes = matches!(method, "put" | "patch" | "delete");
        if changes {
            parameters.push(json!({ "$ref": "#/components/parameters/IfMatch" }));
        }
        let is_kept = method == "get" && H::Output::IS_TAGGED;
        if is_kept {
            parameters.push(json!({ "$ref": "#/components/parameters/IfNoneMatch" }));
        }
        let mut statuses = docs.answers;
        statuses.extend(if is_kept { [304].as_slice() } else { &[] });
        statuses.extend([400, 406, 429, 503]);
        statuses.extend(if self.rule.is_open() { [].as_slice() } else { &[401, 403] });
        statuses.extend(if self.path.is_empty() { [].as_slice() } else { &[404] });
        statuses.extend(if B::EXISTS { [408, 413, 415, 422].as_slice() } else { &[] });
        statuses.extend(if self.query.is_empty() && method != "get" { [].as_slice() } else { &[422] });
        statuses.extend(if changes { [409, 412, 422].as_slice() } else { &[] });
        statuses.extend(if method == "post" { [403, 409].as_slice() } else { &[] });
        statuses.extend(if self.is_replayed { [422].as_slice() } else { &[] });
        statuses.sort_unstable();
        let mut responses = serde_json::Map::new();
        responses.insert(H::Output::STATUS.to_string(), H::Output::describe(describe));
        for status in statuses {
            let answer = json!({ "$ref": format!("#/components/responses/{status}") });
            responses.entry(status.to_string()).or_insert(answer);
        }
        let mut operation = json!({
            "operationId": docs.id,
            "summary": docs.summary,
            "tags": [tag.name()],
            "parameters": parameters,
            "responses": responses,
            "x-policy": self.rule.describe(),
        });
        if !docs.about.is_empty() {
            operation["description"] = docs.about.into();
        }
        if self.rule.is_open() {
            operation["security"] = json!([]);
        }
        if let Some(mut body) = B::describe(describe) {
            if let (Some(example), Some(content)) = (docs.example, body["content"].as_object_mut())
                && let Some(media) = content.values_mut().next()
            {
                media["example"] = example;
            }
            operation["requestBody"] = body;
        }
        operation
    }

    async fn serve(&self, api: Api, path: &RawPathParams, request: Request) -> Response {
        match self.answer(api, path, request).await {
            Ok(response) => response,
            Err(problem) => problem.into_response(),
        }
    }

    async fn answer(&self, api: Api, path: &RawPathParams, request: Request) -> Result<Response, Problem> {
        let (parts, body) = request.into_parts();
        let nobody = Identified::Nobody;
        let identified = parts.extensions.get::<Identified>().unwrap_or(&nobody);
        let caller = self.rule.admit(identified)?;
        let known = identified.caller().cloned();
        let given: Vec<(String, String)> =
            path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let path = self.path.path::<P>(&given)?;
        let head = Head::of(&parts);
        if matches!(parts.method, Method::PUT | Method::PATCH | Method::DELETE) {
            // Also where nothing has a revision: a tag that is none was meant to protect something.
            head.expected_revision()?;
        }
        let bytes = if B::EXISTS { read(body, &parts.headers, self.body_limit).await? } else { Bytes::new() };
        let (query, body) = self.read(parts.uri.query(), &bytes, &parts.headers)?;
        let call = Call { api: api.clone(), caller, path, query, body, head: head.clone() };
        let handler = self.handler.clone();
        let answered = async move {
            match handler.call(call).await {
                Ok(output) => output.respond(&head),
                // Where there is no body, whatever is wrong is a parameter.
                Err(problem) if !B::EXISTS => problem.of_parameters().into_response(),
                Err(problem) => problem.into_response(),
            }
        };
        match known {
            Some(caller) if self.is_replayed => replay::once(&api, &caller, &parts, &bytes, answered).await,
            Some(_) | None => Ok(answered.await),
        }
    }

    /// Query and body; everything that is wrong with both.
    fn read(
        &self,
        query: Option<&str>,
        bytes: &Bytes,
        headers: &axum::http::HeaderMap,
    ) -> Result<(Q, B), Problem> {
        let query = self.query.query::<Q>(query);
        let body = match B::read(bytes, headers, &self.checks) {
            Err(Refused::Unreadable(problem)) => return Err(problem),
            Err(Refused::Wrong(errors)) => Err(errors),
            Ok(body) => Ok(body),
        };
        match (query, body) {
            (Ok(query), Ok(body)) => Ok((query, body)),
            (query, body) => {
                let errors = query.err().into_iter().chain(body.err()).flatten().collect();
                Err(Problem::invalid(errors))
            }
        }
    }
}

async fn read(
    body: axum::body::Body,
    headers: &axum::http::HeaderMap,
    limit: usize,
) -> Result<Bytes, Problem> {
    let too_large = || {
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {} MiB", limit >> 20))
    };
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: u64| length > limit as u64) {
        return Err(too_large());
    }
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if caused_by::<LengthLimitError>(error.as_ref()) => Err(too_large()),
        Err(error) if caused_by::<tower_http::timeout::TimeoutError>(error.as_ref()) => {
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body took too long to arrive"))
        }
        Err(_) => Err(Problem::new(StatusCode::BAD_REQUEST, "the body ended early")),
    }
}

/// Whether a chain of errors holds one of this type: layers wrap each other's.
fn caused_by<E: std::error::Error + 'static>(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut link = Some(error);
    while let Some(error) = link {
        if error.is::<E>() {
            return true;
        }
        link = error.source();
    }
    false
}
