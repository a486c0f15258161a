//! What stands in path and query: texts, made into the types of their schema, checked all at once.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use axum::http::StatusCode;
use quaywatch_web::problem::{FieldError, Place, Problem};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::describe::flat;
use super::validate::Checker;

/// Types that are read from a query or a path: structs whose fields are the parameters, or `()`.
pub trait Parameters: JsonSchema + DeserializeOwned + Send + 'static {}

impl<T: JsonSchema + DeserializeOwned + Send + 'static> Parameters for T {}

/// Reads the parameters of one route.
#[derive(Debug, Clone)]
pub struct Reader(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Names and schemas; empty for `()`.
    properties: BTreeMap<String, Value>,
    required: Vec<String>,
    schema: schemars::Schema,
    checker: OnceLock<Checker>,
}

impl Reader {
    /// For the parameters of `T`.
    pub(super) fn of<T: Parameters>() -> Self {
        let schema = flat::<T>();
        let properties = schema.get("properties").and_then(Value::as_object);
        let properties = properties.into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        let required = required.filter_map(Value::as_str).map(str::to_owned).collect();
        Self(Arc::new(Inner { properties, required, schema, checker: OnceLock::new() }))
    }

    /// Whether there are any.
    pub(super) fn is_empty(&self) -> bool {
        self.0.properties.is_empty()
    }

    /// As the document lists them.
    pub(super) fn describe(&self, place: &str) -> Vec<Value> {
        let each = self.0.properties.iter().map(|(name, schema)| {
            let mut schema = schema.clone();
            let about = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            let example = schema
                .as_object_mut()
                .and_then(|schema| schema.remove("examples"))
                .and_then(|examples| examples.get(0).cloned());
            let mut parameter = json!({
                "name": name,
                "in": place,
                "required": place == "path" || self.0.required.contains(name),
                "schema": without_null(schema),
            });
            if let Some(about) = about {
                parameter["description"] = about;
            }
            if let Some(example) = example {
                parameter["example"] = example;
            }
            parameter
        });
        each.collect()
    }

    /// Reads a path: what does not fit names nothing.
    pub(super) fn path<T: Parameters>(&self, given: &[(String, String)]) -> Result<T, Problem> {
        if self.is_empty() {
            return Ok(nothing());
        }
        let map: Map<String, Value> =
            given.iter().map(|(name, value)| (name.clone(), Value::String(value.clone()))).collect();
        let map: Map<String, Value> = map
            .into_iter()
            .map(|(name, value)| {
                let text = value.as_str().unwrap_or_default().to_owned();
                let value = self.0.properties.get(&name).map_or(value, |schema| typed(schema, &[text]));
                (name, value)
            })
            .collect();
        let value = Value::Object(map);
        let checker = self.0.checker.get_or_init(|| Checker::new(self.0.schema.clone()));
        let fits = checker.check(&value, |pointer| Place::Parameter(pointer.to_owned())).is_empty();
        fits.then(|| serde_json::from_value(value).ok()).flatten().ok_or_else(|| {
            let named = given.last().map_or("", |(_, value)| value);
            Problem::new(
                StatusCode::NOT_FOUND,
                format!("{} names nothing here", quaywatch_core::doc::quote(named)),
            )
        })
    }

    /// Reads a query: everything that is wrong with it.
    pub(super) fn query<T: Parameters>(&self, query: Option<&str>) -> Result<T, Vec<FieldError>> {
        let mut given: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            given.entry(name.into_owned()).or_default().push(value.into_owned());
        }
        if self.is_empty() {
            return if given.is_empty() {
                Ok(nothing())
            } else {
                Err(given.keys().map(|k| unknown(k)).collect())
            };
        }
        let mut errors = Vec::new();
        let mut map = Map::new();
        for (name, values) in given {
            match self.0.properties.get(&name) {
                Some(schema) => {
                    if values.len() > 1 && !is_list(schema) {
                        errors.push(FieldError {
                            place: Place::Parameter(name.clone()),
                            code: "repeated".to_owned(),
                            message: format!("`{name}` stands there {} times", values.len()),
                            suggestion: Some("send it once".to_owned()),
                        });
                    }
                    map.insert(name, typed(schema, &values));
                }
                None => {
                    map.insert(name, Value::String(values.join(",")));
                }
            }
        }
        let value = Value::Object(map);
        let checker = self.0.checker.get_or_init(|| Checker::new(self.0.schema.clone()));
        errors.extend(checker.check(&value, |pointer| {
            Place::Parameter(pointer.split('/').nth(1).unwrap_or_default().to_owned())
        }));
        if !errors.is_empty() {
            return Err(errors);
        }
        serde_json::from_value(value).map_err(|error| {
            // What the schema lets pass and the type does not: its message names the field.
            vec![FieldError {
                place: Place::Parameter(String::new()),
                code: "invalid".to_owned(),
                message: error.to_string(),
                suggestion: None,
            }]
        })
    }
}

/// `()` from nothing.
fn nothing<T: Parameters>() -> T {
    let empty = serde_json::from_value(Value::Null);
    empty.or_else(|_| serde_json::from_value(json!({}))).expect("a type without fields is made from nothing")
}

fn unknown(name: &str) -> FieldError {
    FieldError {
        place: Place::Parameter(name.to_owned()),
        code: "unknown_field".to_owned(),
        message: format!("unknown parameter {}", quaywatch_core::doc::quote(name)),
        suggestion: Some("this call takes none".to_owned()),
    }
}

fn kinds(schema: &Value) -> Vec<&str> {
    let here = match schema.get("type") {
        Some(Value::String(kind)) => vec![kind.as_str()],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => Vec::new(),
    };
    let branches = ["anyOf", "oneOf"].into_iter().filter_map(|word| schema.get(word)?.as_array()).flatten();
    here.into_iter().chain(branches.flat_map(kinds)).collect()
}

fn is_list(schema: &Value) -> bool {
    kinds(schema).contains(&"array")
}

/// A parameter's text as the first of its schema's types that it can be; else as the text that it is.
fn typed(schema: &Value, values: &[String]) -> Value {
    if is_list(schema) {
        let items = schema.get("items").cloned().unwrap_or_default();
        let split = values.iter().flat_map(|value| value.split(',')).filter(|item| !item.is_empty());
        return split.map(|item| typed(&items, &[item.to_owned()])).collect();
    }
    let text = values.last().map_or("", String::as_str);
    let kinds = kinds(schema);
    let number = || text.parse::<i64>().ok().map(Value::from);
    let decimal = || text.parse::<f64>().ok().filter(|n| n.is_finite()).map(Value::from);
    let boolean = || text.parse::<bool>().ok().map(Value::from);
    let found = kinds.iter().find_map(|kind| match *kind {
        "integer" => number(),
        "number" => number().or_else(decimal),
        "boolean" => boolean(),
        _ => None,
    });
    found.unwrap_or_else(|| Value::String(text.to_owned()))
}

/// A parameter is there or not; it is never null.
fn without_null(mut schema: Value) -> Value {
    if let Some(Value::Array(kinds)) = schema.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [one] = kinds.as_slice() {
            schema["type"] = one.clone();
        }
    }
    for word in ["anyOf", "oneOf"] {
        let Some(Value::Array(branches)) = schema.get_mut(word) else { continue };
        branches.retain(|branch| branch.get("type") != Some(&json!("null")));
        if let [one] = branches.as_slice() {
            let one = one.clone();
            if let Some(object) = schema.as_object_mut() {
                object.remove(word);
                object.extend(one.as_object().cloned().unwrap_or_default());
            }
        }
    }
    if let Some(Value::Array(words)) = schema.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    if let Some(object) = schema.as_object_mut()
        && object.get("default").is_some_and(Value::is_null)
    {
        object.remove("default");
    }
    schema
}
