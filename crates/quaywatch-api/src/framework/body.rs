//! What is sent: JSON of a type, checked by the document's own schema; settings that the core's reader reads; or text.

use std::sync::{Arc, OnceLock};

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use quaywatch_core::doc::{Node, Problems, Value as DocValue};
use quaywatch_web::problem::{FieldError, Place, Problem, field_errors};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::describe::{Describe, whole};
use super::validate::Checker;

/// The largest body, where a route does not say otherwise.
pub const USUAL_LIMIT: usize = 1 << 20;

/// A body that can be read and described.
pub trait Body: Sized + Send + 'static {
    /// Whether there is one at all.
    const EXISTS: bool = true;

    /// As the document has it (`requestBody`); `None` where there is none.
    fn describe(describe: &mut Describe) -> Option<Value>;

    /// Reads it.
    ///
    /// # Errors
    /// [`Refused`].
    fn read(bytes: &Bytes, headers: &HeaderMap, checks: &Checks) -> Result<Self, Refused>;
}

/// Why a body cannot be used.
#[derive(Debug)]
pub enum Refused {
    /// It cannot be read at all.
    Unreadable(Problem),
    /// It can, and these fields are wrong.
    Wrong(Vec<FieldError>),
}

/// The checker of one route's body, made when the first body arrives.
#[derive(Debug, Clone, Default)]
pub struct Checks(Arc<OnceLock<Checker>>);

/// No body. One that comes along anyway is passed over.
impl Body for () {
    const EXISTS: bool = false;

    fn describe(_: &mut Describe) -> Option<Value> {
        None
    }

    fn read(_: &Bytes, _: &HeaderMap, _: &Checks) -> Result<Self, Refused> {
        Ok(())
    }
}

/// JSON of a type.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: JsonSchema + DeserializeOwned + Send + 'static> Body for Json<T> {
    fn describe(describe: &mut Describe) -> Option<Value> {
        Some(json_body(&describe.read::<T>(), true))
    }

    fn read(bytes: &Bytes, headers: &HeaderMap, checks: &Checks) -> Result<Self, Refused> {
        is_json(headers)?;
        let value: Value = serde_json::from_slice(bytes).map_err(|e| not_json(&e))?;
        let checker = checks.0.get_or_init(|| Checker::new(whole::<T>()));
        let errors = checker.check(&value, |pointer| Place::Pointer(pointer.to_owned()));
        if !errors.is_empty() {
            return Err(Refused::Wrong(errors));
        }
        // The schema lets more pass than some types take (a text that is no duration): serde's message then.
        T::deserialize(value).map(Self).map_err(|error| {
            Refused::Wrong(vec![FieldError {
                place: Place::Pointer(String::new()),
                code: "invalid".to_owned(),
                message: error.to_string(),
                suggestion: None,
            }])
        })
    }
}

/// A body that may be left out.
#[derive(Debug)]
pub struct Optional<T>(pub T);

impl<T: JsonSchema + DeserializeOwned + Default + Send + 'static> Body for Optional<T> {
    fn describe(describe: &mut Describe) -> Option<Value> {
        Some(json_body(&describe.read::<T>(), false))
    }

    fn read(bytes: &Bytes, headers: &HeaderMap, checks: &Checks) -> Result<Self, Refused> {
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        Json::<T>::read(bytes, headers, checks).map(|Json(value)| Self(value))
    }
}

/// A schema of settings that one of the core's readers reads.
pub trait Reads: JsonSchema + Send + Sync + 'static {
    /// What the reader says of it as it stands. Asked only where the schema found something wrong, so that all of it is
    /// told at once: else the operation's own reading tells.
    fn problems(node: &Node<'_>) -> Problems {
        let _ = node;
        Problems::new()
    }

    /// What to write for a setting of this name, or which one was meant.
    fn suggest(name: &str) -> Option<String> {
        let _ = name;
        None
    }
}

/// JSON that one of the core's readers reads, with its places and words; `T` is the schema that the document shows.
#[derive(Debug)]
pub struct Settings<T> {
    text: String,
    schema: std::marker::PhantomData<fn() -> T>,
}

impl<T> Settings<T> {
    /// What was sent, as a document.
    ///
    /// # Panics
    /// Never: it was read once already.
    #[must_use]
    pub fn node(&self) -> Node<'_> {
        Node::from_json(&self.text).expect("it was read when it arrived")
    }
}

impl<T: Reads> Body for Settings<T> {
    fn describe(describe: &mut Describe) -> Option<Value> {
        Some(json_body(&describe.read::<T>(), true))
    }

    fn read(bytes: &Bytes, headers: &HeaderMap, checks: &Checks) -> Result<Self, Refused> {
        is_json(headers)?;
        let text = std::str::from_utf8(bytes).map_err(|_| not_text())?.to_owned();
        let value: Value = serde_json::from_str(&text).map_err(|e| not_json(&e))?;
        let checker = checks.0.get_or_init(|| Checker::new(whole::<T>()));
        let wrong = checker.check(&value, |pointer| Place::Pointer(pointer.to_owned()));
        let node = Node::from_json(&text).map_err(|e| not_json(&e))?;
        if !wrong.is_empty() {
            return Err(Refused::Wrong(merged::<T>(&node, wrong)));
        }
        drop(node);
        Ok(Self { text, schema: std::marker::PhantomData })
    }
}

/// Settings that may be left out altogether: then nothing is laid over anything.
#[derive(Debug)]
pub struct OptionalSettings<T>(pub Settings<T>);

impl<T: Reads> Body for OptionalSettings<T> {
    fn describe(describe: &mut Describe) -> Option<Value> {
        Some(json_body(&describe.read::<T>(), false))
    }

    fn read(bytes: &Bytes, headers: &HeaderMap, checks: &Checks) -> Result<Self, Refused> {
        if bytes.is_empty() {
            return Ok(Self(Settings { text: "{}".to_owned(), schema: std::marker::PhantomData }));
        }
        Settings::read(bytes, headers, checks).map(Self)
    }
}

/// What the reader says, which knows more, and what the schema says of places that the reader lets pass.
fn merged<T: Reads>(node: &Node<'_>, wrong: Vec<FieldError>) -> Vec<FieldError> {
    let mut errors = match node.value {
        DocValue::Mapping(_) => field_errors(&T::problems(node), ""),
        DocValue::Scalar(..) | DocValue::Sequence(_) => Vec::new(),
    };
    for mut error in wrong {
        if errors.iter().any(|known| known.place == error.place) {
            continue;
        }
        if let Place::Pointer(pointer) = &error.place
            && let Some(better) = pointer.strip_prefix('/').and_then(T::suggest)
        {
            error.suggestion = Some(better);
        }
        errors.push(error);
    }
    errors
}

/// Text: a configuration as YAML.
#[derive(Debug)]
pub struct Raw(pub String);

impl Body for Raw {
    fn describe(_: &mut Describe) -> Option<Value> {
        let text = json!({ "schema": { "type": "string" } });
        Some(json!({ "required": true, "content": { "application/yaml": text } }))
    }

    fn read(bytes: &Bytes, headers: &HeaderMap, _: &Checks) -> Result<Self, Refused> {
        is_plain(headers)?;
        let kind = media_type(headers);
        let fits = ["application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml", "text/plain"];
        if !fits.contains(&kind.as_str()) {
            return Err(other_type(&kind, "application/yaml"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| not_text())?;
        Ok(Self(text.to_owned()))
    }
}

/// Reads a JSON document against the schema of `T` alone: for parts of larger bodies.
#[must_use]
pub fn json_body(schema: &Value, required: bool) -> Value {
    json!({ "required": required, "content": { "application/json": { "schema": schema } } })
}

fn media_type(headers: &HeaderMap) -> String {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// A body is read as it arrives.
fn is_plain(headers: &HeaderMap) -> Result<(), Refused> {
    let coding = headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes).unwrap_or_default();
    if coding.is_empty() || coding.eq_ignore_ascii_case(b"identity") {
        return Ok(());
    }
    let coding = quaywatch_core::doc::quote(&String::from_utf8_lossy(coding));
    let detail = format!("the body is encoded ({coding}): send it as it is, without `Content-Encoding`");
    Err(Refused::Unreadable(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)))
}

fn is_json(headers: &HeaderMap) -> Result<(), Refused> {
    is_plain(headers)?;
    let kind = media_type(headers);
    if kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json")) {
        return Ok(());
    }
    Err(other_type(&kind, "application/json"))
}

fn other_type(kind: &str, wanted: &str) -> Refused {
    let is = if kind.is_empty() { "not said".to_owned() } else { quaywatch_core::doc::quote(kind) };
    let detail = format!("the body's type is {is}: send `Content-Type: {wanted}`");
    Refused::Unreadable(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail))
}

fn not_json(error: &serde_json::Error) -> Refused {
    Refused::Unreadable(Problem::new(StatusCode::BAD_REQUEST, format!("the body is no JSON: {error}")))
}

fn not_text() -> Refused {
    Refused::Unreadable(Problem::new(StatusCode::BAD_REQUEST, "the body is not UTF-8"))
}
