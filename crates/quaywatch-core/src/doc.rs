//! A document as written, whatever it was written in: texts, mappings and sequences with their places. YAML and JSON
//! become the same tree, so that one reader with one set of messages serves the file, the API and the forms.
//!
//! Readers put everything that is wrong into [`Problems`] and go on, so that a person sees all of it at once.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, SeqAccess, Visitor};

/// A place in a text. Lines and columns (in characters) count from 1; 0 means that the place is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// First byte.
    pub start: u32,
    /// Byte after the last.
    pub end: u32,
}

impl Span {
    /// Whether there is a text with lines: a file. What a program sends has none, and is told so in other words.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        self.line > 0
    }
}

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node<'a> {
    /// What it is.
    pub value: Value<'a>,
    /// Where it is.
    pub span: Span,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// A text, a number, a boolean or null: as written; which of them it is, its reader decides.
    Scalar(Cow<'a, str>, Style),
    /// Keys and values in order, duplicates included.
    Mapping(Vec<(Key<'a>, Node<'a>)>),
    /// Values in order.
    Sequence(Vec<Node<'a>>),
}

/// How a scalar was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Bare: may be a number, a boolean or null.
    Plain,
    /// In quotes, or as a block of text: always a text.
    Quoted,
}

/// A key with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key<'a> {
    /// As written.
    pub text: Cow<'a, str>,
    /// Where it is.
    pub span: Span,
}

impl<'a> Node<'a> {
    /// Reads JSON. Places are not known; paths are.
    ///
    /// # Errors
    /// The text is not JSON.
    pub fn from_json(text: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// A plain scalar without a place: for values that come from elsewhere than a document.
    #[must_use]
    pub fn plain(text: impl Into<Cow<'a, str>>) -> Self {
        Self { value: Value::Scalar(text.into(), Style::Plain), span: Span::default() }
    }

    /// Whether it is null, written as such (`null`, `~`).
    #[must_use]
    pub fn is_null(&self) -> bool {
        match &self.value {
            Value::Scalar(text, Style::Plain) => matches!(text.as_ref(), "null" | "~" | "Null" | "NULL"),
            Value::Scalar(_, Style::Quoted) | Value::Mapping(_) | Value::Sequence(_) => false,
        }
    }

    /// Whether nothing was written where a value belongs.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        matches!(&self.value, Value::Scalar(text, Style::Plain) if text.is_empty())
    }

    /// The value under a key of a mapping; the first where there are several.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Mapping(pairs) => pairs.iter().find(|(k, _)| k.text == key).map(|(_, v)| v),
            Value::Scalar(..) | Value::Sequence(_) => None,
        }
    }

    /// What it is and what it says, for a sentence: "the text `abc`", "a list", "nothing".
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Scalar(text, Style::Plain) if text.is_empty() => "nothing".to_owned(),
            Value::Scalar(text, Style::Plain) => quote(text),
            Value::Scalar(text, Style::Quoted) => format!("the text {}", quote(text)),
            Value::Mapping(_) => "a mapping".to_owned(),
            Value::Sequence(_) => "a list".to_owned(),
        }
    }
}

/// Foreign text for a sentence: in backquotes, without control characters, not too long.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut shown: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    // escape_debug escapes quotes too, which in backquotes is only noise.
    shown = shown.replace("\\'", "'").replace("\\\"", "\"").replace("\\\\", "\\");
    if text.chars().nth(60).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// The known word that was probably meant by an unknown one.
#[must_use]
pub fn closest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let limit = (word.chars().count() / 3).clamp(1, 4);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

impl<'de: 'a, 'a> Deserialize<'de> for Node<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Tree<'a>(std::marker::PhantomData<&'a ()>);

        impl<'de: 'a, 'a> Visitor<'de> for Tree<'a> {
            type Value = Node<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Node<'a>, E> {
                Ok(Node::plain(if value { "true" } else { "false" }))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Node<'a>, E> {
                Ok(Node::plain(value.to_string()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Node<'a>, E> {
                Ok(Node::plain(value.to_string()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Node<'a>, E> {
                Ok(Node::plain(value.to_string()))
            }

            fn visit_unit<E>(self) -> Result<Node<'a>, E> {
                Ok(Node::plain("null"))
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Node<'a>, E> {
                Ok(Node { value: Value::Scalar(Cow::Borrowed(text), Style::Quoted), span: Span::default() })
            }

            fn visit_str<E>(self, text: &str) -> Result<Node<'a>, E> {
                Ok(Node {
                    value: Value::Scalar(Cow::Owned(text.to_owned()), Style::Quoted),
                    span: Span::default(),
                })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node<'a>, A::Error> {
                let mut nodes = Vec::new();
                while let Some(node) = items.next_element()? {
                    nodes.push(node);
                }
                Ok(Node { value: Value::Sequence(nodes), span: Span::default() })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node<'a>, A::Error> {
                let mut pairs = Vec::new();
                while let Some((key, node)) = entries.next_entry::<Cow<'de, str>, Node<'a>>()? {
                    pairs.push((Key { text: key, span: Span::default() }, node));
                }
                Ok(Node { value: Value::Mapping(pairs), span: Span::default() })
            }
        }

        deserializer.deserialize_any(Tree(std::marker::PhantomData))
    }
}

/// The way from the root of a document to a node, kept on the stack while reading and written out only for a problem.
#[derive(Debug, Clone, Copy)]
pub enum Path<'p> {
    /// The document itself.
    Root,
    /// A value under a key.
    Key(&'p Self, &'p str),
    /// An item of a sequence, from 0.
    Index(&'p Self, usize),
}

impl<'p> Path<'p> {
    /// The path of a value under `key`.
    #[must_use]
    pub const fn key(&'p self, key: &'p str) -> Self {
        Self::Key(self, key)
    }

    /// The path of an item.
    #[must_use]
    pub const fn index(&'p self, index: usize) -> Self {
        Self::Index(self, index)
    }

    /// As a JSON pointer (RFC 6901): `/monitors/3/port`. Unlike the path that people read it names one place, whatever
    /// stands in its keys.
    #[must_use]
    pub fn pointer(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Key(parent, key) => parent.pointer() + "/" + &key.replace('~', "~0").replace('/', "~1"),
            Self::Index(parent, index) => format!("{}/{index}", parent.pointer()),
        }
    }
}

/// `monitors[3].port`
impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(Self::Root, key) => f.write_str(key),
            Self::Key(parent, key) => write!(f, "{parent}.{key}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Works, but probably not as meant.
    Warning,
    /// The document is refused.
    Error,
}

/// One thing that is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Whether the document is refused for it.
    pub level: Level,
    /// Which value, for people: `monitors[3].port`.
    pub path: String,
    /// Which value, for programs: `/monitors/3/port` (RFC 6901).
    pub pointer: String,
    /// Where it is written; all zero where that is not known.
    pub span: Span,
    /// A stable word for the kind of problem: `unknown_key`, `out_of_range`, …
    pub code: &'static str,
    /// What is wrong, naming the field.
    pub message: String,
    /// What to write instead; may be empty.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.span.is_known() {
            write!(f, "{}:{}: ", self.span.line, self.span.column)?;
        }
        // A message names its field; the path adds something only where it says which of several.
        if self.path.contains(['.', '[']) {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if !self.remedy.is_empty() {
            write!(f, "; {}", self.remedy)?;
        }
        Ok(())
    }
}

/// Everything that is wrong with a document. Nothing stops at the first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Problems {
    list: Vec<Problem>,
    errors: usize,
    warnings: usize,
}

impl Problems {
    /// How many of each level are kept in full: more than anybody reads, little enough for a file with a million
    /// mistakes. All are counted.
    const KEPT: usize = 1_000;

    /// Nothing wrong so far.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an error.
    pub fn error(
        &mut self,
        path: &Path<'_>,
        span: Span,
        code: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.errors += 1;
        if self.errors <= Self::KEPT {
            self.push(Level::Error, path, span, code, message.into(), remedy.into());
        }
    }

    /// Adds a warning.
    pub fn warning(
        &mut self,
        path: &Path<'_>,
        span: Span,
        code: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.warnings += 1;
        if self.warnings <= Self::KEPT {
            self.push(Level::Warning, path, span, code, message.into(), remedy.into());
        }
    }

    fn push(
        &mut self,
        level: Level,
        path: &Path<'_>,
        span: Span,
        code: &'static str,
        message: String,
        remedy: String,
    ) {
        let (path, pointer) = (path.to_string(), path.pointer());
        self.list.push(Problem { level, path, pointer, span, code, message, remedy });
    }

    /// How many errors there are, also those beyond what is kept.
    #[must_use]
    pub const fn errors(&self) -> usize {
        self.errors
    }

    /// How many warnings there are, also those beyond what is kept.
    #[must_use]
    pub const fn warnings(&self) -> usize {
        self.warnings
    }

    /// Whether the document can be used.
    #[must_use]
    pub const fn is_fine(&self) -> bool {
        self.errors == 0
    }

    /// The problems that are kept, in the order of their places.
    #[must_use]
    pub fn sorted(&self) -> Vec<&Problem> {
        let mut list: Vec<&Problem> = self.list.iter().collect();
        list.sort_by_key(|p| (p.span.line, p.span.column));
        list
    }

    /// The problems that are kept, in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }
}

/// One problem a line.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.sorted().into_iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// The pairs of a mapping, with duplicate keys reported and left out. `None` where the node is no mapping; that is
/// reported too, with `form` as the right one.
pub fn pairs<'n, 'a>(
    node: &'n Node<'a>,
    path: &Path<'_>,
    form: &str,
    problems: &mut Problems,
) -> Option<Vec<&'n (Key<'a>, Node<'a>)>> {
    let Value::Mapping(all) = &node.value else {
        let name = path.to_string();
        let name = if name.is_empty() { "the document".to_owned() } else { format!("`{name}`") };
        problems.error(
            path,
            node.span,
            "wrong_type",
            format!("{name} must be a mapping, not {}", node.describe()),
            form,
        );
        return None;
    };
    let mut unique: Vec<&(Key<'a>, Node<'a>)> = Vec::with_capacity(all.len());
    // Searching a short list beats hashing; a mapping of thousands (hand-made, or an attack) must not be quadratic.
    let mut seen: HashSet<&str> = HashSet::new();
    for pair in all {
        let key = pair.0.text.as_ref();
        let first = if all.len() <= 32 {
            unique.iter().find(|(k, _)| k.text == key).map(|(k, _)| k.span)
        } else if seen.insert(key) {
            None
        } else {
            unique.iter().find(|(k, _)| k.text == key).map(|(k, _)| k.span)
        };
        match first {
            None => unique.push(pair),
            Some(span) => {
                let place =
                    if span.is_known() { format!(" (first in line {})", span.line) } else { String::new() };
                problems.error(
                    &path.key(key),
                    pair.0.span,
                    "duplicate_key",
                    format!("{} stands here twice{place}", quote(key)),
                    "keep one of the two",
                );
            }
        }
    }
    Some(unique)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_becomes_the_same_tree() {
        let node = Node::from_json(r#"{"name":"a\nb","port":5432,"on":true,"x":null,"l":[0.5,-1]}"#)
            .expect("the text is JSON");
        assert_eq!(node.get("port").map(Node::describe).as_deref(), Some("`5432`"));
        assert_eq!(node.get("name").map(Node::describe).as_deref(), Some("the text `a\\nb`"));
        assert!(node.get("x").is_some_and(Node::is_null));
        assert_eq!(
            node.get("l").map(|l| l.value.clone()),
            Some(Value::Sequence(vec![Node::plain("0.5"), Node::plain("-1")]))
        );
    }

    #[test]
    fn paths_read_as_people_write_them() {
        let monitors = Path::Root.key("monitors");
        let third = monitors.index(3);
        assert_eq!(third.key("port").to_string(), "monitors[3].port");
    }

    #[test]
    fn a_word_far_from_all_has_no_closest() {
        assert_eq!(closest("check_intervall", ["timeout", "check_interval"]), Some("check_interval"));
        assert_eq!(closest("zzz", ["timeout", "check_interval"]), None);
    }

    #[test]
    fn a_million_mistakes_are_counted_not_kept() {
        let mut problems = Problems::new();
        for _ in 0..5_000 {
            problems.error(&Path::Root, Span::default(), "x", "m", "");
        }
        assert_eq!((problems.errors(), problems.iter().count()), (5_000, 1_000));
        assert!(!problems.is_fine());
    }
}
