//! The document itself: whole, well formed, and known to the letter.

use std::collections::BTreeSet;

use quaywatch_api::document;
use serde_json::{Value, json};

/// Every operation with its path and method.
pub(crate) fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("an item") {
            all.push((path.clone(), method.to_uppercase(), operation.clone()));
        }
    }
    all
}

#[test]
fn the_document_is_known_to_the_letter() {
    insta::assert_json_snapshot!("openapi", document());
}

#[test]
fn every_route_names_its_policy_id_summary_and_chapter() {
    let document = document();
    let chapters: BTreeSet<&str> =
        document["tags"].as_array().expect("tags").iter().filter_map(|tag| tag["name"].as_str()).collect();
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let at = format!("{method} {path}");
        let id = operation["operationId"].as_str().expect(&at);
        assert!(ids.insert(id.to_owned()), "{at}: `{id}` is the id of two");
        assert!(!operation["summary"].as_str().expect(&at).is_empty(), "{at}");
        let tag = operation["tags"][0].as_str().expect(&at);
        assert!(chapters.contains(tag), "{at}: {tag}");
        let policy = &operation["x-policy"];
        assert!(policy["resource"].is_string() || policy.is_string(), "{at}: {policy}");
        let is_public = policy == "public";
        assert_eq!(operation["security"] == json!([]), is_public, "{at}");
    }
    assert!(ids.len() > 40, "{}", ids.len());
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_one() {
    let document = document();
    let mut references = Vec::new();
    collect(&document, &mut references);
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("references stay in the document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
        assert!(jsonschema::meta::is_valid(schema), "{name}: {schema}");
    }
}

fn collect<'d>(value: &'d Value, found: &mut Vec<&'d str>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get("$ref") {
                found.push(reference);
            }
            map.values().for_each(|value| collect(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn a_monitor_is_answered_with_every_setting_that_there_is() {
    let document = document();
    let answered = &document["components"]["schemas"]["Monitor"]["properties"];
    let sent = &document["components"]["schemas"]["MonitorSpec"]["properties"];
    for field in quaywatch_core::spec::fields::FIELDS {
        assert!(sent[field.name].is_object(), "{}", field.name);
        // Those that make several are gone once it is made; the `id` that was given is its `key`.
        // Secrets are named in `secrets`, and never shown.
        if field.secret {
            assert_eq!(sent[field.name]["writeOnly"], true, "{}", field.name);
            assert!(answered[field.name].is_null(), "{}", field.name);
        } else if !["hosts", "ports", "preset", "id"].contains(&field.name) {
            assert!(answered[field.name].is_object(), "{}", field.name);
        }
    }
}
