//! Everything that is wrong with a value, by the schema that the document shows: each finding with its place, a stable
//! word, and what was probably meant.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{ValidationError, Validator};
use quaywatch_core::doc::{closest, quote};
use quaywatch_web::problem::{FieldError, Place};
use schemars::Schema;
use serde_json::Value;

/// At most this many findings are told: more than anybody reads.
const TOLD: usize = 100;

/// Checks values against one schema.
#[derive(Debug)]
pub struct Checker {
    validator: Validator,
    schema: Value,
}

impl Checker {
    /// A checker for a schema of ours.
    ///
    /// # Panics
    /// Where the schema is none: a mistake of ours, found by every test that starts the API.
    #[must_use]
    pub fn new(schema: Schema) -> Self {
        let schema = schema.to_value();
        let validator = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .should_validate_formats(true)
            .build(&schema)
            .expect("a schema that is derived is a schema");
        Self { validator, schema }
    }

    /// Everything that is wrong, each placed by `place` from its JSON pointer.
    pub fn check(&self, value: &Value, place: impl Fn(&str) -> Place) -> Vec<FieldError> {
        let mut found = Vec::new();
        for error in self.validator.iter_errors(value) {
            self.tell(&error, &place, &mut found);
            if found.len() >= TOLD {
                break;
            }
        }
        found
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a library's list of every keyword: those that our schemas use have words of their own"
    )]
    fn tell(&self, error: &ValidationError<'_>, place: &impl Fn(&str) -> Place, found: &mut Vec<FieldError>) {
        let at = error.instance_path().as_str();
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                let known = self.properties_beside(error.schema_path().as_str());
                for name in unexpected {
                    let meant = closest(name, known.iter().map(String::as_str));
                    let suggestion = meant.map_or_else(
                        || format!("there are {}", listed(&known)),
                        |meant| format!("did you mean `{meant}`?"),
                    );
                    let message = format!("unknown field {}", quote(name));
                    found.push(wrong(place(&join(at, name)), "unknown_field", message, Some(suggestion)));
                }
            }
            ValidationErrorKind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                found.push(wrong(place(&join(at, name)), "required", format!("`{name}` is missing"), None));
            }
            // One of several forms: the branch that got furthest says best what is wrong.
            ValidationErrorKind::OneOfNotValid { context } | ValidationErrorKind::AnyOf { context } => {
                match furthest(context, at) {
                    Some(branch) => branch.iter().for_each(|inner| self.tell(inner, place, found)),
                    None => found.push(plain(error, place(at))),
                }
            }
            // An object of which one thing is wanted.
            ValidationErrorKind::MinProperties { .. } | ValidationErrorKind::MaxProperties { .. } => {
                let schema_path = error.schema_path().as_str();
                let parent = schema_path.rsplit_once('/').map_or("", |(parent, _)| parent);
                let known = self.properties_beside(parent);
                let message = "the object does not hold one thing to do".to_owned();
                let suggestion = (!known.is_empty()).then(|| format!("send one of {}", listed(&known)));
                found.push(wrong(place(at), "one_thing", message, suggestion));
            }
            ValidationErrorKind::Pattern { pattern } => {
                let mut told = plain(error, place(at));
                if let Some(index) = at.rsplit('/').next().filter(|last| last.parse::<usize>().is_ok()) {
                    let list = at.rsplit('/').nth(1).filter(|name| !name.is_empty()).unwrap_or("list");
                    let value = shown(error.instance());
                    told.message = format!("item {index} of `{list}` is {value}, which has another form");
                }
                told.suggestion = Some(self.right_form(error.schema_path().as_str(), pattern));
                found.push(told);
            }
            _ => found.push(plain(error, place(at))),
        }
    }

    /// What fits a pattern, for people: the schema's example, its description, or else the pattern.
    fn right_form(&self, schema_path: &str, pattern: &str) -> String {
        let parent = schema_path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let schema = self.schema.pointer(parent);
        let text = |name: &str| schema.and_then(|schema| schema.get(name));
        let example = text("examples").and_then(|all| all.get(0)).and_then(Value::as_str);
        if let Some(example) = example {
            return format!("send it as in `{example}`");
        }
        text("description")
            .and_then(Value::as_str)
            .map_or_else(|| format!("send what fits `{pattern}`"), str::to_owned)
    }

    /// The names that stand beside the `additionalProperties` at this place of the schema.
    fn properties_beside(&self, schema_path: &str) -> Vec<String> {
        let parent = schema_path.trim_end_matches("/additionalProperties");
        let names = |value: Option<&Value>| {
            let properties = value.and_then(|value| value.get("properties")).and_then(Value::as_object);
            properties.map(|properties| properties.keys().cloned().collect())
        };
        names(self.schema.pointer(parent)).unwrap_or_default()
    }
}

/// The branch whose errors lie deepest; of several that stop at the value itself, one that does not stop at its type.
fn furthest<'e>(
    branches: &'e [Vec<ValidationError<'static>>],
    at: &str,
) -> Option<&'e [ValidationError<'static>]> {
    let depth = |branch: &[ValidationError<'static>]| {
        let is_other_type = branch.iter().any(|error| {
            error.instance_path().as_str() == at && matches!(error.kind(), ValidationErrorKind::Type { .. })
        });
        let deepest = branch.iter().map(|error| error.instance_path().as_str().len()).max().unwrap_or(0);
        (!is_other_type, deepest)
    };
    let best = branches.iter().map(Vec::as_slice).max_by_key(|branch| depth(branch))?;
    depth(best).0.then_some(best)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a library's list of every keyword: those that our schemas use have words of their own"
)]
fn plain(error: &ValidationError<'_>, place: Place) -> FieldError {
    let name = match &place {
        Place::Pointer(pointer) | Place::Text { pointer, .. } => {
            let last = pointer.rsplit('/').next().filter(|name| !name.is_empty());
            last.map(|name| name.replace("~1", "/").replace("~0", "~"))
        }
        Place::Parameter(name) => Some(name.clone()),
    };
    let name = name.map_or_else(|| "the body".to_owned(), |name| format!("`{name}`"));
    let value = shown(error.instance());
    let (code, message, suggestion) = match error.kind() {
        ValidationErrorKind::Type { kind } => {
            let wanted = match kind {
                TypeKind::Single(kind) => vec![kind.to_string()],
                TypeKind::Multiple(kinds) => kinds.iter().map(|kind| kind.to_string()).collect(),
            };
            // Not quoted: what stands in the wrong place is now and then a password.
            if matches!(place, Place::Parameter(_)) {
                // Every parameter arrives as a text, and one that is left out is not null.
                (
                    "wrong_type",
                    format!("{name} is {}, which is not {}", quoted(error.instance()), one_of(&wanted)),
                    Some(format!("send {}", one_of(&wanted))),
                )
            } else {
                let sort = sort(error.instance());
                ("wrong_type", format!("{name} is {sort}"), Some(format!("send {}", one_of_all(&wanted))))
            }
        }
        ValidationErrorKind::Enum { options } => {
            let words: Vec<String> = options
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|word| word.as_str().map(str::to_owned))
                .collect();
            let given = error.instance().as_str().unwrap_or_default();
            let same = words.iter().map(String::as_str).find(|word| word.eq_ignore_ascii_case(given));
            let meant = same.or_else(|| closest(given, words.iter().map(String::as_str)));
            let suggestion = meant.map_or_else(
                || format!("there are {}", listed(&words)),
                |meant| format!("did you mean `{meant}`?"),
            );
            ("unknown_word", format!("{name} is {value}, which is none of its words"), Some(suggestion))
        }
        ValidationErrorKind::Minimum { limit } | ValidationErrorKind::ExclusiveMinimum { limit } => {
            ("out_of_range", format!("{name} is {value}"), Some(format!("send at least {limit}")))
        }
        ValidationErrorKind::Maximum { limit } | ValidationErrorKind::ExclusiveMaximum { limit } => {
            ("out_of_range", format!("{name} is {value}"), Some(format!("send at most {limit}")))
        }
        ValidationErrorKind::MaxLength { limit } => {
            ("too_long", format!("{name} is too long"), Some(format!("send at most {limit} characters")))
        }
        ValidationErrorKind::MinLength { limit } => {
            ("too_short", format!("{name} is too short"), Some(format!("send at least {limit} characters")))
        }
        ValidationErrorKind::MaxItems { limit } => {
            ("too_many", format!("{name} has too many items"), Some(format!("send at most {limit}")))
        }
        ValidationErrorKind::MinItems { limit } => {
            ("too_few", format!("{name} has too few items"), Some(format!("send at least {limit}")))
        }
        ValidationErrorKind::Format { format } if format == "date-time" => (
            "bad_time",
            format!("{name} is {value}, which is no time"),
            Some("send RFC 3339, such as `2026-05-01T16:15:21Z`".to_owned()),
        ),
        ValidationErrorKind::Pattern { .. } => {
            ("bad_form", format!("{name} is {value}, which has another form"), None)
        }
        ValidationErrorKind::UniqueItems => ("repeated", format!("{name} names something twice"), None),
        _ => ("invalid", format!("{name} is {}, which does not fit", sort(error.instance())), None),
    };
    wrong(place, code, message, suggestion)
}

fn wrong(place: Place, code: &str, message: String, suggestion: Option<String>) -> FieldError {
    FieldError { place, code: code.to_owned(), message, suggestion }
}

/// The kinds that a parameter may be; that it may be left out goes without saying.
fn one_of(kinds: &[String]) -> String {
    let kinds: Vec<String> = kinds.iter().filter(|kind| *kind != "null").cloned().collect();
    one_of_all(&kinds)
}

fn one_of_all(kinds: &[String]) -> String {
    kinds.iter().map(|kind| article(kind)).collect::<Vec<_>>().join(" or ")
}

fn quoted(value: &Value) -> String {
    value.as_str().map_or_else(|| shown(value), quote)
}

fn article(kind: &str) -> String {
    match kind {
        "array" => "a list".to_owned(),
        "object" => "an object".to_owned(),
        "integer" => "a whole number".to_owned(),
        "string" => "a text".to_owned(),
        "boolean" => "true or false".to_owned(),
        "null" => "null".to_owned(),
        other => format!("a {other}"),
    }
}

fn listed(words: &[String]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) | Value::Array(_) => sort(value).to_owned(),
        Value::String(text) => format!("the text {}", quote(text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => quote(&value.to_string()),
    }
}

/// What a value is, without itself.
const fn sort(value: &Value) -> &'static str {
    match value {
        Value::Object(_) => "an object",
        Value::Array(_) => "a list",
        Value::String(_) => "a text",
        Value::Number(_) => "a number",
        Value::Bool(_) => "true or false",
        Value::Null => "null",
    }
}

fn join(at: &str, name: &str) -> String {
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}
