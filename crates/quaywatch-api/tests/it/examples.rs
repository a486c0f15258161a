//! Every example in the document is executed, and every answer is one that the document describes.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::Request;
use jsonschema::Validator;
use quaywatch_api::document;
use serde_json::{Value, json};

use crate::document::operations;
use crate::kit::{Answer, Kit, Serving};

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

/// The target of an operation with its parameters' examples: those that must be there.
pub(crate) fn path_of(path: &str, operation: &Value) -> String {
    let mut path = path.to_owned();
    for parameter in operation["parameters"].as_array().expect("parameters") {
        if parameter["in"] == "path" {
            let name = parameter["name"].as_str().expect("a name");
            let example = match &parameter["example"] {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                other @ (Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => {
                    panic!("{path}: {name} has no example: {other}")
                }
            };
            path = path.replace(&format!("{{{name}}}"), &example);
        } else if parameter["in"] == "query" && parameter["required"] == true {
            let (name, example) = (parameter["name"].as_str(), parameter["example"].as_str());
            let pair =
                name.expect("a name").to_owned() + "=" + &example.expect("an example").replace(' ', "+");
            path.push(if path.contains('?') { '&' } else { '?' });
            path.push_str(&pair);
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

/// What examples are about: monitor `m1`, the payments database.
pub(crate) async fn furnish(kit: &Kit) {
    let monitor = json!({ "name": "payments database", "host": "127.0.0.1", "port": 9, "group": "infra/db", "tags": { "env": "prod" }, "consecutive_failures_before_alert": 1, "check_interval": 1 });
    let answer = kit.post(OWNER, "/monitors", &monitor).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
}

/// The same in a server with people: the owner `u1` and another, token `tok1`, an invitation that waits.
async fn furnish_whole(serving: &Serving) {
    let kit = &serving.kit;
    furnish(kit).await;
    let key = serving.identity.new_setup_key().await.expect("a store").expect("nobody is there yet");
    let first = json!({ "key": key.reveal(), "email": "ada@example.org", "name": "Ada", "password": "correct horse battery" });
    let invitation = |email: &str| json!({ "email": email, "role": "owner" });
    let made = [
        ("/setup", first),
        ("/channels", json!({ "name": "first", "type": "log" })),
        ("/tokens", json!({ "name": "first", "scopes": ["read"] })),
        ("/invitations", invitation("waits@example.org")),
        ("/invitations", invitation("grace@example.org")),
    ];
    let mut secret = Value::Null;
    for (path, body) in made {
        let answer = kit.post(OWNER, path, &body).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.text);
        secret = answer.json()["secret"].clone();
    }
    let accept = json!({ "secret": secret, "name": "Grace", "password": "staple battery horse" });
    let answer = kit.post("", "/invitations/accept", &accept).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

/// The incident that the first monitor has, since nothing listens on its port.
async fn incident(kit: &Kit) -> String {
    let found = async || {
        let page = kit.get(OWNER, "/incidents").await.json();
        page["items"][0]["id"].as_str().map(str::to_owned)
    };
    for _ in 0..600 {
        if let Some(id) = found().await {
            return id;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("a port on which nothing listens opened no incident within 30 s");
}

const OWNER: &str = "a1:owner";

/// What an example needs to have happened before.
async fn prepare(kit: &Kit, id: &str) {
    let thing = match id {
        "bin_restore_monitor" => "/monitors/m1",
        "bin_restore_channel" => "/channels/ch1",
        _ => return,
    };
    let answer = kit.call(OWNER, "DELETE", thing, None).await;
    assert_eq!(answer.status, 204, "{}", answer.text);
}

/// Whether an operation is about somebody's own session, or for people who have none: those are executed in `people`.
fn is_personal(operation: &Value) -> bool {
    operation["tags"][0] == "session" || operation["x-policy"] == "public"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_example_works_and_is_answered_as_described() {
    let mut contract = Contract::new();
    let mut failed = Vec::new();
    for (path, method, operation) in operations(&document()) {
        if is_personal(&operation) {
            continue;
        }
        let id = operation["operationId"].as_str().expect("an id");
        // A server of its own: what one example changes must not matter to another.
        let serving = Serving::start().await;
        furnish_whole(&serving).await;
        prepare(&serving.kit, id).await;
        let mut target = path_of(&path, &operation);
        if let Some(begin) = target.find("inc_") {
            target.replace_range(begin..begin + 30, &incident(&serving.kit).await);
        }
        let answer = serving.kit.send(request(OWNER, &method, &target, &operation)).await;
        contract.check(&operation, &answer);
        if !answer.status.is_success() {
            failed.push(format!("{id}: {method} {target} answered {}: {}", answer.status, answer.text));
        }
        serving.end().await;
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
