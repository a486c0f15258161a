//! Who may do what, for every route of the document, every role, and own and foreign things.

use std::sync::{Arc, Mutex};

use quaywatch_api::document;
use quaywatch_core::access::{Level, Role};
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};

use crate::document::operations;
use crate::examples::{Contract, furnish, path_of, request};
use crate::kit::{Answer, Kit};

fn needed(policy: &Value) -> Option<Level> {
    match policy["level"].as_str()? {
        "look" => Some(Level::Look),
        "respond" => Some(Level::Respond),
        "edit" => Some(Level::Edit),
        "administer" => Some(Level::Administer),
        "own" => Some(Level::Own),
        other => panic!("{other} is no level"),
    }
}

/// Whether it was refused for this policy. Whoever gives access away (a token, an invitation) needs as much themselves,
/// which is another refusal and names what is missing.
fn is_denied(answer: &Answer, policy: &Value) -> bool {
    let problem = answer.json();
    let resource = policy["resource"].as_str().unwrap_or_default();
    let named = problem["detail"].as_str().unwrap_or_default().contains(&format!("`{resource}:"));
    answer.status == 403 && problem["code"] == "access" && named
}

#[tokio::test]
async fn every_route_lets_in_exactly_the_roles_that_its_policy_names() {
    let mut contract = Contract::new();
    for (path, method, operation) in operations(&document()) {
        let policy = &operation["x-policy"];
        let Some(needed) = needed(policy) else { continue };
        let target = path_of(&path, &operation);
        let kit = Kit::new();
        let nobody = kit.send(request("", &method, &target, &operation)).await;
        assert_eq!(nobody.status, 401, "{method} {target}");
        contract.check(&operation, &nobody);
        for role in Role::ALL {
            let answer = kit.send(request(&format!("a1:{role}"), &method, &target, &operation)).await;
            let is_denied = is_denied(&answer, policy);
            assert_eq!(is_denied, role.level() < needed, "{role}: {method} {target}: {}", answer.text);
            contract.check(&operation, &answer);
        }
    }
}

#[tokio::test]
async fn a_scope_opens_its_resource_and_no_other() {
    for (path, method, operation) in operations(&document()) {
        let policy = &operation["x-policy"];
        let (Some(level), Some(resource)) = (needed(policy), policy["resource"].as_str()) else { continue };
        let word = match level {
            Level::Look => "read",
            Level::Respond | Level::Edit => "write",
            Level::Administer => "admin",
            Level::Own => continue,
        };
        let target = path_of(&path, &operation);
        let kit = Kit::new();
        let other = if resource == "people" { "tokens" } else { "people" };
        for (scope, opens) in [(resource, true), (other, false)] {
            let token = format!("a1:{scope}:{word}");
            let answer = kit.send(request(&token, &method, &target, &operation)).await;
            let is_denied = is_denied(&answer, policy);
            assert_eq!(is_denied, !opens, "{token}: {method} {target}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn what_belongs_to_another_account_is_not_there() {
    let mut contract = Contract::new();
    let kit = Kit::new();
    furnish(&kit).await;
    for (path, method, operation) in operations(&document()) {
        if needed(&operation["x-policy"]).is_none() || !path.contains('{') || path.contains("/apply/") {
            continue;
        }
        let target = path_of(&path, &operation);
        let answer = kit.send(request("a2:owner", &method, &target, &operation)).await;
        assert_eq!(answer.status, 404, "{method} {target}: {}", answer.text);
        contract.check(&operation, &answer);
    }
    assert_eq!(kit.get("a1:owner", "/monitors/m1").await.status, 200, "and it is still there");
}

/// What operations ask for, as they say it to whoever listens.
#[derive(Debug, Clone, Default)]
struct Asked(Arc<Mutex<Vec<(String, String)>>>);

impl Asked {
    fn take(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.0.lock().expect("nobody panics with it"))
    }
}

impl<S: tracing::Subscriber> Layer<S> for Asked {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        #[derive(Default)]
        struct Policy(String, String);
        impl Visit for Policy {
            fn record_str(&mut self, field: &Field, value: &str) {
                match field.name() {
                    "resource" => value.clone_into(&mut self.0),
                    "level" => value.clone_into(&mut self.1),
                    _ => {}
                }
            }

            fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
        }
        if event.metadata().target() == "quaywatch::access" {
            let mut policy = Policy::default();
            event.record(&mut policy);
            self.0.lock().expect("nobody panics with it").push((policy.0, policy.1));
        }
    }
}

/// The matrix above cannot see an operation that asks for less than its route: the route refuses first.
#[tokio::test]
async fn every_operation_asks_first_for_exactly_what_its_route_asks_for() {
    let asked = Asked::default();
    // While only one listens in the whole process, what others say first on other threads is taken to interest nobody.
    let _another = tracing::Dispatch::new(tracing_subscriber::registry());
    let listening = tracing_subscriber::registry().with(asked.clone());
    let _listens = tracing::subscriber::set_default(listening);
    let mut differ = Vec::new();
    for (path, method, operation) in operations(&document()) {
        let policy = &operation["x-policy"];
        let (Some(resource), Some(level)) = (policy["resource"].as_str(), policy["level"].as_str()) else {
            continue;
        };
        let kit = Kit::new();
        furnish(&kit).await;
        asked.take();
        let target = path_of(&path, &operation);
        let answer = kit.send(request("a1:owner", &method, &target, &operation)).await;
        let asked = asked.take();
        if asked.first() != Some(&(resource.to_owned(), level.to_owned())) {
            differ.push(format!(
                "{method} {target}: its route asks for {resource}:{level}, its operation for {asked:?} ({}: {})",
                answer.status, answer.text
            ));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}
