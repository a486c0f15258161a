//! Every example in the document is executed, and every answer is one that the document describes.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::Request;
use jsonschema::Validator;
use quaywatch_api::document;
use serde_json::{Value, json};

use crate::document::operations;
use crate::kit::{Answer, Kit};

/// Checks answers against the document.
pub(crate) struct Contract {
    document: Value,
    validators: BTreeMap<String, Validator>,
}

impl Contract {
    pub(crate) fn new() -> Self {
        Self { document: document(), validators: BTreeMap::new() }
    }

    /// The answer is one that the operation says it may give.
    pub(crate) fn check(&mut self, operation: &Value, answer: &Answer) {
        let id = operation["operationId"].as_str().expect("an id");
        let status = answer.status.as_u16().to_string();
        let mut described = &operation["responses"][&status];
        assert!(described.is_object(), "{id} answered {status}, which is not described: {}", answer.text);
        if let Some(reference) = described["$ref"].as_str() {
            described = self.document.pointer(&reference[1..]).expect("a reference that leads somewhere");
        }
        let Some(content) = described["content"].as_object() else {
            assert!(answer.text.is_empty(), "{id} {status}: {}", answer.text);
            return;
        };
        let kind = answer.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default();
        let schema = content.get(kind).unwrap_or_else(|| panic!("{id} {status} as {kind}: {}", answer.text));
        if kind.ends_with("json") {
            let schema = schema["schema"].clone();
            let components = &self.document["components"];
            let validator = self.validators.entry(schema.to_string()).or_insert_with(|| {
                let mut root = schema.clone();
                root["components"] = components.clone();
                jsonschema::options().should_validate_formats(true).build(&root).expect("a schema")
            });
            let value = answer.json();
            let errors: Vec<String> =
                validator.iter_errors(&value).map(|e| format!("{} {e}", e.instance_path())).collect();
            assert!(errors.is_empty(), "{id} {status}: {errors:?} in {value:#}");
        }
    }
}

/// The path of an operation with its parameters' examples.
pub(crate) fn path_of(path: &str, operation: &Value) -> String {
    let mut path = path.to_owned();
    for parameter in operation["parameters"].as_array().expect("parameters") {
        if parameter["in"] == "path" {
            let name = parameter["name"].as_str().expect("a name");
            let example = match &parameter["example"] {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                other => panic!("{path}: {name} has no example: {other}"),
            };
            path = path.replace(&format!("{{{name}}}"), &example);
        }
    }
    path
}

/// A request with the operation's example body.
pub(crate) fn request(token: &str, method: &str, path: &str, operation: &Value) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if !token.is_empty() {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let content = operation["requestBody"]["content"].as_object();
    let body = match content.and_then(|content| content.iter().next()) {
        Some((kind, media)) if !media["example"].is_null() => {
            request = request.header("content-type", kind);
            let example = &media["example"];
            if kind.ends_with("json") {
                Body::from(example.to_string())
            } else {
                Body::from(example.as_str().expect("text").to_owned())
            }
        }
        Some(_) | None => Body::empty(),
    };
    request.body(body).expect("a request")
}

/// What examples are about: monitor `m1`, channel `ch1`.
pub(crate) async fn furnish(kit: &Kit) {
    let monitor = json!({ "name": "first", "host": "192.0.2.10", "port": 5432, "tags": { "env": "prod" }, "group": "infra/db" });
    let answer = kit.post("a1:owner", "/monitors", &monitor).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let channel = json!({ "name": "first", "type": "log" });
    let answer = kit.post("a1:owner", "/channels", &channel).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
}

/// Operations whose example needs what a test without an engine has not; each is executed in another test.
const ELSEWHERE: [&str; 0] = [];

#[tokio::test]
async fn every_example_works_and_is_answered_as_described() {
    let mut contract = Contract::new();
    for (path, method, operation) in operations(&document()) {
        let id = operation["operationId"].as_str().expect("an id");
        if ELSEWHERE.contains(&id) {
            continue;
        }
        // What one example changes must not matter to another.
        let kit = Kit::new();
        furnish(&kit).await;
        if id.starts_with("bin_restore") {
            let thing = if id.ends_with("monitor") { "/monitors/m1" } else { "/channels/ch1" };
            assert_eq!(kit.call("a1:owner", "DELETE", thing, None).await.status, 204);
        }
        let target = path_of(&path, &operation);
        let answer = kit.send(request("a1:owner", &method, &target, &operation)).await;
        contract.check(&operation, &answer);
        let worked = answer.status.is_success();
        assert!(worked, "{id}: {method} {target} answered {}: {}", answer.status, answer.text);
    }
}
