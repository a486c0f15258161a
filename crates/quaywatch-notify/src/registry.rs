//! Which kinds of channel there are: one line a kind. A kind brings its name, its fields and how it is built.

use std::borrow::Cow;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, LazyLock};

use quaywatch_core::Clock;
use serde_json::{Map, Value};

use crate::wire::Wire;
use crate::{Attempt, BoxFuture, Channel, Notice, Outcome, Rendered, log, webhook};

/// Every kind of channel.
pub const KINDS: &[Kind] = &[webhook::KIND, log::KIND];

/// A kind of channel.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// The word of `type:`.
    pub name: &'static str,
    /// What it is, in a few words.
    pub summary: &'static str,
    /// What can be set.
    pub fields: &'static [Field],
    /// Settings that decide where it sends: of a URL what counts is its origin. What is secret was given for that place.
    pub destination: &'static [&'static str],
    /// Makes a channel of settings whose names, forms and required fields have been checked.
    pub build: Build,
}

/// Makes a channel.
pub type Build = fn(&Settings, &Site) -> Result<Arc<dyn Channel>, Problems>;

/// One setting of a kind.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name in the file.
    pub name: &'static str,
    /// Text, or a map of text to text.
    pub form: Form,
    /// Whether it must be there.
    pub required: bool,
    /// Whether it must never be shown.
    pub secret: bool,
    /// What it means, in a few words.
    pub meaning: &'static str,
}

/// The form of a setting's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Text; numbers and truth values are taken as they are written.
    Text,
    /// A map of text to text.
    Map,
}

impl Field {
    /// An optional text.
    #[must_use]
    pub const fn text(name: &'static str, meaning: &'static str) -> Self {
        Self { name, form: Form::Text, required: false, secret: false, meaning }
    }

    /// An optional map of text to text.
    #[must_use]
    pub const fn map(name: &'static str, meaning: &'static str) -> Self {
        Self { name, form: Form::Map, required: false, secret: false, meaning }
    }

    /// The same field, but it must be there.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The same field, but it must never be shown.
    #[must_use]
    pub const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }
}

/// What channels need of the server.
#[derive(Clone)]
pub struct Site {
    /// The way out.
    pub wire: Arc<dyn Wire>,
    /// For dates in answers.
    pub clock: Arc<dyn Clock>,
    /// `Quaywatch/<version>`.
    pub user_agent: String,
}

/// The kind of that name.
#[must_use]
pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// Makes a channel of its kind and settings, in which references to secrets have been resolved.
pub fn build(
    kind_name: &str,
    settings: &Map<String, Value>,
    site: &Site,
) -> Result<Arc<dyn Channel>, Problems> {
    let Some(kind) = kind(kind_name) else {
        let known: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
        return Err(Problems::one("type", format!("must be one of {}", known.join(", "))));
    };
    let settings = Settings::read(kind, settings)?;
    let channel = (kind.build)(&settings, site)?;
    Ok(Arc::new(Printed { channel, print: print(kind, &settings) }))
}

/// Keyed by a secret of this process: nothing can be learnt from it about what was printed.
fn print(kind: &Kind, settings: &Settings) -> u64 {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    KEY.hash_one((kind.name, Value::Object(settings.0.clone()).to_string()))
}

/// A channel that knows whether another one is made of the same settings.
struct Printed {
    channel: Arc<dyn Channel>,
    print: u64,
}

impl Channel for Printed {
    fn kind(&self) -> &'static str {
        self.channel.kind()
    }

    fn render(&self, notice: &Notice, attempt: &Attempt) -> Rendered {
        self.channel.render(notice, attempt)
    }

    fn deliver<'a>(&'a self, rendered: Rendered) -> BoxFuture<'a, Outcome> {
        self.channel.deliver(rendered)
    }

    fn print(&self) -> Option<u64> {
        Some(self.print)
    }
}

/// Settings whose names, forms and required fields are right.
#[derive(Debug)]
pub struct Settings(Map<String, Value>);

impl Settings {
    fn read(kind: &Kind, given: &Map<String, Value>) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let mut known = Map::new();
        for (name, value) in given {
            match kind.fields.iter().find(|field| field.name == name) {
                None => problems.add(name.clone(), format!("is not a setting of `{}`", kind.name)),
                Some(field) => match shaped(field.form, value) {
                    Some(Value::Null) => {}
                    Some(value) => drop(known.insert(name.clone(), value)),
                    None => problems.add(
                        name.clone(),
                        match field.form {
                            Form::Text => "must be text",
                            Form::Map => "must be a map of names to text",
                        },
                    ),
                },
            }
        }
        for field in kind.fields.iter().filter(|field| field.required && !known.contains_key(field.name)) {
            problems.add(field.name, format!("is missing: {}", field.meaning));
        }
        problems.finish().map(|()| Self(known))
    }

    /// The text of a field, if it is set.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// The pairs of a map, in order.
    pub fn map(&self, name: &str) -> impl Iterator<Item = (&str, &str)> {
        let map = self.0.get(name).and_then(Value::as_object);
        map.into_iter().flatten().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
    }
}

/// The value in the form that is wanted; `None` if it has another one.
fn shaped(form: Form, value: &Value) -> Option<Value> {
    match (form, value) {
        (_, Value::Null) => Some(Value::Null),
        (Form::Text, Value::String(_)) => Some(value.clone()),
        (Form::Text, Value::Number(number)) => Some(Value::String(number.to_string())),
        (Form::Text, Value::Bool(truth)) => Some(Value::String(truth.to_string())),
        (Form::Text, Value::Array(_) | Value::Object(_)) => None,
        (Form::Map, Value::Object(map)) => {
            let pairs = map.iter().map(|(name, value)| Some((name.clone(), shaped(Form::Text, value)?)));
            pairs.collect::<Option<Map<_, _>>>().map(Value::Object)
        }
        (Form::Map, Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Array(_)) => None,
    }
}

/// Everything that is wrong with a channel's settings. No value appears in it: any could be a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which setting.
    pub field: String,
    /// What is wrong with it, to be read after its name.
    pub message: Cow<'static, str>,
}

impl Problems {
    /// One problem.
    #[must_use]
    pub fn one(field: impl Into<String>, message: impl Into<Cow<'static, str>>) -> Self {
        let mut problems = Self::default();
        problems.add(field, message);
        problems
    }

    /// Adds a problem.
    pub fn add(&mut self, field: impl Into<String>, message: impl Into<Cow<'static, str>>) {
        self.0.push(Problem { field: field.into(), message: message.into() });
    }

    /// The value, or none and a problem.
    pub fn keep<T>(&mut self, field: &str, result: Result<T, &'static str>) -> Option<T> {
        result.map_err(|message| self.add(field, message)).ok()
    }

    /// An error if there is any problem.
    pub fn finish(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            write!(f, "{}`{}` {}", if i == 0 { "" } else { "; " }, problem.field, problem.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    /// A channel without a page, or a setting that its page does not mention, is not finished.
    #[test]
    fn every_kind_and_every_setting_is_documented() {
        for kind in KINDS {
            let path = format!("{}/../../docs/channels/{}.md", env!("CARGO_MANIFEST_DIR"), kind.name);
            let page = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
            for field in kind.fields {
                assert!(
                    page.contains(&format!("`{}`", field.name)),
                    "{path} does not mention `{}`",
                    field.name
                );
            }
        }
    }
}
