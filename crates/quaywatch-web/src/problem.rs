//! What went wrong, as RFC 9457 says it: `application/problem+json`, one entry for each wrong field.
//!
//! The same type serves operations that were refused and everything that never reaches one (a body that is too large, a
//! method that does not exist), so that a client needs one way to read an error.

use std::fmt;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use quaywatch_app::operations::Allowed;
use quaywatch_app::operations::OperationError;
use quaywatch_core::access::{Policy, Resource};
use quaywatch_core::doc::{self, Problems};
use serde::Serialize;

/// The media type of problems.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Why a request was not done.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Problem(Box<Told>);

/// What is told of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Told {
    /// Which kind, as a path of this server's reference: `/problems/validation`.
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    #[serde(serialize_with = "number")]
    status: StatusCode,
    /// In words, with the remedy.
    detail: String,
    /// The request that failed: its id stands in the log too.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    /// A stable word where the kind alone does not say it: `name_taken`, `managed_by_file`, `max_urls`.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<ExceededLimit>,
    /// Seconds until it may work.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

/// One wrong field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Where in the body (RFC 6901), or else which parameter.
    #[serde(flatten)]
    pub place: Place,
    /// A stable word: `unknown_key`, `out_of_range`, …
    pub code: String,
    /// What is wrong, naming the field.
    pub message: String,
    /// What to send instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

/// Where a wrong value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A JSON pointer into the body.
    Pointer(String),
    /// The same in a text that people wrote, with line and column.
    Text {
        /// The pointer.
        pointer: String,
        /// From 1.
        line: u32,
        /// From 1.
        column: u32,
    },
    /// The name of a parameter of path, query or head.
    Parameter(String),
}

impl Serialize for Place {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Pointer(pointer) => map.serialize_entry("pointer", pointer)?,
            Self::Text { pointer, line, column } => {
                map.serialize_entry("pointer", pointer)?;
                map.serialize_entry("line", line)?;
                map.serialize_entry("column", column)?;
            }
            Self::Parameter(name) => map.serialize_entry("parameter", name)?,
        }
        map.end()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct ExceededLimit {
    name: &'static str,
    plan: String,
    /// In words.
    allowed: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_locations: Option<Vec<String>>,
}

impl ExceededLimit {
    fn new(name: &'static str, plan: String, allowed: Allowed) -> Self {
        let words = allowed.to_string();
        let (count, seconds, locations) = match allowed {
            Allowed::Monitors(most) | Allowed::Channels(most) => (Some(most), None, None),
            Allowed::Interval(least) => (None, Some(least), None),
            Allowed::Retries { least, in_a_row } => (Some(u64::from(in_a_row)), Some(least), None),
            Allowed::Locations(names) => (None, None, Some(names)),
        };
        Self {
            name,
            plan,
            allowed: words,
            allowed_count: count,
            allowed_seconds: seconds.map(|least| least.as_secs_f64()),
            allowed_locations: locations,
        }
    }
}

fn number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    /// A problem of this status, told in `detail`.
    #[must_use]
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let (word, title) = words(status);
        Self(Box::new(Told {
            kind: format!("/problems/{word}"),
            title,
            status,
            detail: detail.into(),
            instance: None,
            code: None,
            errors: Vec::new(),
            limit: None,
            retry_after: None,
        }))
    }

    /// A problem about which no more is known than its status.
    #[must_use]
    pub fn of(status: StatusCode) -> Self {
        Self::new(status, words(status).1)
    }

    /// What was sent is well formed and wrong: everything that is wrong with it.
    #[must_use]
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [one] => one.message.clone(),
            many => format!("{} things are wrong with what was sent", many.len()),
        };
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
        problem.0.errors = errors;
        problem
    }

    /// Whether a plan's limit was reached.
    #[must_use]
    pub fn is_limit(&self) -> bool {
        self.0.limit.is_some()
    }

    /// With these wrong fields as well.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.0.errors = errors;
        self
    }

    /// With a stable word.
    #[must_use]
    pub fn with_code(mut self, code: &'static str) -> Self {
        self.0.code = Some(code);
        self
    }

    /// Not now; again after this time.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait.as_millis().div_ceil(1_000).max(1) as u64);
        self
    }

    /// Of the request with this id.
    #[must_use]
    pub fn of_request(mut self, id: &str) -> Self {
        self.0.instance = Some(format!("/requests/{id}"));
        self
    }

    /// Of a request without a body: what is wrong are parameters of its query.
    #[must_use]
    pub fn of_parameters(mut self) -> Self {
        for error in &mut self.0.errors {
            if let Place::Pointer(pointer) = &error.place {
                let name = pointer.split('/').nth(1).unwrap_or_default();
                error.place = Place::Parameter(name.replace("~1", "/").replace("~0", "~"));
            }
        }
        self
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// In words.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// Its stable word.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        self.0.code
    }

    /// Its wrong fields.
    #[must_use]
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }
}

/// The word of the problem's type and its title, by status.
fn words(status: StatusCode) -> (&'static str, &'static str) {
    match status.as_u16() {
        400 => ("malformed", "the request cannot be read"),
        401 => ("unauthenticated", "nobody is signed in"),
        403 => ("forbidden", "this is not allowed"),
        404 => ("not-found", "there is no such thing"),
        405 => ("method-not-allowed", "this cannot be done here"),
        406 => ("not-acceptable", "the answer cannot be given in that form"),
        408 => ("timeout", "the request took too long to arrive"),
        409 => ("conflict", "something else is in the way"),
        412 => ("changed", "it was changed in the meantime"),
        413 => ("too-large", "the request is too large"),
        415 => ("unsupported-media-type", "this kind of body is not understood here"),
        422 => ("validation", "some fields are wrong"),
        429 => ("too-many-requests", "too many requests"),
        500 => ("fault", "the server made a mistake"),
        503 => ("unavailable", "the server cannot do it now"),
        _ => ("other", "the request was not done"),
    }
}

impl From<OperationError> for Problem {
    fn from(error: OperationError) -> Self {
        let text = error.to_string();
        match error {
            OperationError::Unauthenticated => Self::new(StatusCode::UNAUTHORIZED, text),
            OperationError::NotRecognised { code, message } => {
                Self::new(StatusCode::UNAUTHORIZED, message).with_code(code)
            }
            OperationError::Denied(policy) => Self::denied(policy),
            OperationError::NotFound { .. } => Self::new(StatusCode::NOT_FOUND, text),
            OperationError::Invalid(problems) => Self::invalid(field_errors(&problems, "")),
            OperationError::Conflict { code, message } => {
                Self::new(StatusCode::CONFLICT, message).with_code(code)
            }
            OperationError::Changed => Self::new(StatusCode::PRECONDITION_FAILED, text),
            OperationError::Limit { limit, plan, allowed } => {
                let mut problem = Self::new(StatusCode::FORBIDDEN, text).with_code("plan_limit");
                problem.0.limit = Some(ExceededLimit::new(limit, plan, allowed));
                problem
            }
            OperationError::Throttled(wait) => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, text).retry_after(wait)
            }
            OperationError::Unavailable(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, text).retry_after(Duration::from_secs(5))
            }
            OperationError::Store(error) => {
                tracing::error!(%error, "a request failed in the store");
                let detail = "the store could not do it; the server's log says why";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(Duration::from_secs(5))
            }
        }
    }
}

impl Problem {
    /// The caller is known, and this needs more than they may.
    #[must_use]
    pub fn denied(policy: Policy) -> Self {
        let resource = policy.resource.word();
        let detail = match (policy.resource, need(policy)) {
            // What people do for themselves, and what makes accounts.
            (Resource::People, (_, None)) => {
                "this belongs to a person: sign in for it; no token may do it".to_owned()
            }
            (Resource::Account, (role, None)) => format!(
                "this needs the role {role} in the server's first account, whoever is {role} elsewhere; no token may \
                 do it"
            ),
            (_, (role, None)) => format!("this needs the role {role} in the account; no token may do it"),
            (_, (role, Some(scope))) => format!(
                "this needs the role {role} in the account, or a token with the scope `{resource}:{scope}`"
            ),
        };
        Self::new(StatusCode::FORBIDDEN, detail).with_code("access")
    }
}

/// The least role, and the word of the least scope, that a policy needs.
fn need(policy: Policy) -> (&'static str, Option<&'static str>) {
    use quaywatch_core::access::Level;
    match policy.level {
        Level::Look => ("viewer", Some("read")),
        Level::Respond => ("responder", Some("write")),
        Level::Edit => ("editor", Some("write")),
        Level::Administer => ("admin", Some("admin")),
        Level::Own => ("owner", None),
    }
}

/// Each error of a reader as a wrong field of the body; `prefix` is the pointer of what was read.
#[must_use]
pub fn field_errors(problems: &Problems, prefix: &str) -> Vec<FieldError> {
    problems
        .sorted()
        .into_iter()
        .filter(|problem| problem.level == doc::Level::Error)
        .map(|problem| FieldError {
            place: place(format!("{prefix}{}", problem.pointer), problem.span),
            code: problem.code.to_owned(),
            message: problem.message.clone(),
            suggestion: (!problem.remedy.is_empty()).then(|| problem.remedy.clone()),
        })
        .collect()
}

/// JSON is read without lines: nobody counts them there.
fn place(pointer: String, span: doc::Span) -> Place {
    if span.is_known() {
        Place::Text { pointer, line: span.line, column: span.column }
    } else {
        Place::Pointer(pointer)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).expect("texts and numbers always become JSON");
        let mut response = (self.0.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.0.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.0.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"quaywatch\""));
        }
        // Layers further out add what they know (the request's id) and leave the rest.
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_names_one_place_whatever_stands_in_its_keys() {
        let mut problems = Problems::new();
        let (root, index) = (doc::Path::Root, doc::Path::Root.key("monitors"));
        let headers = root.key("headers");
        for path in
            [index.index(3).key("port"), headers.key("X.Y"), headers.key("a[0]"), headers.key("a/b~c")]
        {
            problems.error(&path, doc::Span::default(), "wrong", "wrong", "");
        }
        problems.error(&root, doc::Span::default(), "wrong", "wrong", "");
        let places: Vec<Place> =
            field_errors(&problems, "/it").into_iter().map(|error| error.place).collect();
        let expected =
            ["/it/monitors/3/port", "/it/headers/X.Y", "/it/headers/a[0]", "/it/headers/a~1b~0c", "/it"];
        assert_eq!(places, expected.map(|pointer| Place::Pointer(pointer.to_owned())));
    }

    #[test]
    fn what_is_wrong_with_a_text_has_a_line_and_a_column() {
        let mut problems = Problems::new();
        let span = doc::Span { line: 3, column: 7, ..doc::Span::default() };
        problems.error(&doc::Path::Root.key("monitors"), span, "wrong", "wrong", "");
        let json = serde_json::to_value(field_errors(&problems, "")).expect("JSON");
        let wanted = serde_json::json!({
            "pointer": "/monitors", "line": 3, "column": 7, "code": "wrong", "message": "wrong",
        });
        assert_eq!(json[0], wanted);
    }

    #[test]
    fn who_is_refused_hears_who_would_not_be() {
        use quaywatch_core::access::Level;
        let told = |resource, level| Problem::denied(Policy::new(resource, level)).detail().to_owned();
        let edit = told(Resource::Monitors, Level::Edit);
        assert_eq!(
            edit,
            "this needs the role editor in the account, or a token with the scope `monitors:write`"
        );
        assert!(told(Resource::People, Level::Own).starts_with("this belongs to a person: sign in"));
        assert!(told(Resource::Account, Level::Own).contains("owner in the server's first account"));
    }

    #[test]
    fn a_limit_is_a_number_beside_its_words() {
        let limit = |limit, allowed| {
            let error = OperationError::Limit { limit, plan: "free".to_owned(), allowed };
            serde_json::to_value(Problem::from(error)).expect("JSON")["limit"].clone()
        };
        assert_eq!(
            limit("max_urls", Allowed::Monitors(5)),
            serde_json::json!({
                "name": "max_urls", "plan": "free", "allowed": "5 monitors of every kind", "allowed_count": 5
            })
        );
        assert_eq!(
            limit("min_interval", Allowed::Interval(Duration::from_secs(300))),
            serde_json::json!({
                "name": "min_interval", "plan": "free", "allowed": "a check every 5m at most",
                "allowed_seconds": 300.0
            })
        );
    }

    #[test]
    fn a_problem_reads_as_rfc_9457_has_it() {
        let wrong = FieldError {
            place: Place::Pointer("/port".to_owned()),
            code: "out_of_range".to_owned(),
            message: "`port` is 0".to_owned(),
            suggestion: Some("write 1 to 65535".to_owned()),
        };
        let problem = Problem::invalid(vec![wrong]).of_request("req_1");
        let json = serde_json::to_value(&problem).expect("JSON");
        assert_eq!(json["type"], "/problems/validation");
        assert_eq!(json["status"], 422);
        assert_eq!(json["instance"], "/requests/req_1");
        assert_eq!(json["errors"][0]["pointer"], "/port");
        assert_eq!(json["errors"][0]["suggestion"], "write 1 to 65535");
    }
}
