//! The document: OpenAPI 3.1, put together from what the routes said of themselves and what holds for all of them.

use axum::Router;
use quaywatch_web::problem::PROBLEM_JSON;
use serde_json::{Map, Value, json};

use super::routes::{Described, Routes, Tag};
use crate::Api;

/// Ends the registration: the router, and the document as it is served.
pub(crate) fn finish(routes: Routes) -> (Router<Api>, Value) {
    let (router, described) = routes.into_router();
    (router, document(described))
}

fn document(mut described: Described) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for (path, method, operation) in described.operations {
        let item = paths.entry(path).or_insert_with(|| json!({}));
        item[method] = operation;
    }
    let mut schemas = described.describe.schemas();
    schemas.insert("Problem".to_owned(), problem());
    json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://spec.openapis.org/oas/3.1/dialect/base",
        "info": {
            "title": "Quaywatch",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Watches TCP ports and what speaks on them",
            "description": ABOUT,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }, { "key": [] }, { "session": [] }],
        "tags": Tag::ALL.map(|(_, name, about)| json!({ "name": name, "description": about })),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": responses(),
            "parameters": parameters(),
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "an API token: `Authorization: Bearer qw_…`" },
                "key": { "type": "apiKey", "in": "header", "name": "X-API-Key", "description": "the same token" },
                "session": { "type": "apiKey", "in": "cookie", "name": "__Host-qw", "description": "a person's session; over plain HTTP the cookie is `qw`" },
            },
        },
    })
}

const ABOUT: &str = "\
JSON with the names of the YAML file. Times are RFC 3339 in UTC; durations are seconds, and texts such as `5m` are \
understood; latencies are microseconds. Unknown fields are refused. An error is `application/problem+json` (RFC 9457) \
with one entry for each wrong field.

Lists come in pages: `limit`, and `after` with `next` of the page before (also as `Link`). A `POST` with an \
`Idempotency-Key` is done once, however often it is sent within a day. Things that can be changed have an `ETag`; \
`If-Match` makes a change fail (412) where somebody else was faster, and `If-None-Match` answers 304 where nothing has \
changed. `RateLimit-Limit`, `-Remaining` and `-Reset` stand \
on every answer; every answer has an `X-Request-Id`, which the server's log has too.

What a file owns is marked `managed_by: file` and is changed there; pausing, resuming, checking now and acknowledging \
work on everything.";

/// What any route can answer, by status.
fn responses() -> Value {
    let mut all = Map::new();
    let tag = json!({ "description": "the tag that was sent", "schema": { "type": "string" } });
    let unchanged =
        json!({ "description": "What was tagged so is still what it was.", "headers": { "ETag": tag } });
    all.insert("304".to_owned(), unchanged);
    let about: [(u16, &str); 14] = [
        (400, "The request cannot be read: no JSON, no UTF-8."),
        (401, "Nobody is signed in, or the token is not valid."),
        (403, "The role or the scopes are not enough, or the plan does not allow it (`limit` names which)."),
        (404, "There is no such thing in this account."),
        (405, "There is no such method here."),
        (406, "The answer cannot be encoded as `Accept-Encoding` asks."),
        (408, "The body took too long to arrive."),
        (
            409,
            "Something else is in the way: a name that is taken, a file that owns it, the same key at work.",
        ),
        (412, "It was changed in the meantime."),
        (413, "The body is too large."),
        (415, "The body's type is not understood here."),
        (422, "Some fields are wrong: `errors` names each."),
        (429, "Too many requests: `Retry-After` says when again."),
        (503, "The server cannot do it now."),
    ];
    for (status, text) in about {
        let mut answer = json!({
            "description": text,
            "content": { (PROBLEM_JSON): { "schema": { "$ref": "#/components/schemas/Problem" } } },
        });
        if status == 429 || status == 503 {
            let seconds = json!({ "description": "seconds to wait", "schema": { "type": "integer" } });
            answer["headers"] = json!({ "Retry-After": seconds });
        }
        all.insert(status.to_string(), answer);
    }
    Value::Object(all)
}

fn parameters() -> Value {
    json!({
        "IdempotencyKey": {
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "1 to 100 printable characters, new for each thing to be done: a UUID",
            "schema": { "type": "string", "minLength": 1, "maxLength": 100, "pattern": "^[!-~]+$" },
        },
        "IfMatch": {
            "name": "If-Match", "in": "header", "required": false,
            "description": "the `ETag` of what was read: the change fails (412) if it was changed since",
            "schema": { "type": "string", "pattern": "^(\\*|\"[0-9]{1,10}(-[0-9a-f]{16})?\")$" },
        },
        "IfNoneMatch": {
            "name": "If-None-Match", "in": "header", "required": false,
            "description": "the `ETag` of what is there already: 304 and nothing else if it is still that",
            "schema": { "type": "string" },
        },
    })
}

fn problem() -> Value {
    json!({
        "type": "object",
        "description": "Why a request was not done (RFC 9457).",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": { "type": "string", "description": "which kind: `/problems/validation`" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string", "description": "in words, with the remedy" },
            "instance": { "type": "string", "description": "the request: `/requests/req_…`" },
            "code": { "type": "string", "description": "a stable word, such as `name_taken`" },
            "retry_after": { "type": "integer", "description": "seconds to wait" },
            "limit": {
                "type": "object",
                "description": "the limit of the plan that was reached",
                "required": ["name", "plan", "allowed"],
                "properties": {
                    "name": { "type": "string" },
                    "plan": { "type": "string" },
                    "allowed": { "type": "string", "description": "in words" },
                    "allowed_count": { "type": "integer", "description": "at most so many" },
                    "allowed_seconds": { "type": "number", "description": "no closer together than this" },
                    "allowed_locations": { "type": "array", "items": { "type": "string" } },
                },
            },
            "errors": {
                "type": "array",
                "description": "each wrong field",
                "items": {
                    "type": "object",
                    "required": ["code", "message"],
                    "properties": {
                        "pointer": { "type": "string", "description": "where in the body (RFC 6901)" },
                        "line": { "type": "integer", "minimum": 1, "description": "its line, where the body is YAML" },
                        "column": { "type": "integer", "minimum": 1, "description": "its column there" },
                        "parameter": { "type": "string", "description": "which parameter" },
                        "code": { "type": "string", "description": "a stable word" },
                        "message": { "type": "string" },
                        "suggestion": { "type": "string", "description": "what to send instead" },
                    },
                },
            },
        },
    })
}
