//! What a check says once it is connected. A message may hold a password; then a spec never holds the message itself,
//! only how it is kept, so that nothing that stores, compares, shows or logs a spec can give it away. Who reads a spec
//! brings a [`Keeper`], which takes the message in; whoever sends it opens it at that moment.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::escape;
use super::values::At;
use crate::doc::{Node, Problems, Value};

/// What there is to write.
const ESCAPES: &str = "escapes are \\r \\n \\t \\0 \\\\ \\\" and \\xNN; a backslash itself is \\\\";

/// Bytes to send once connected.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Message {
    /// For everybody to see.
    Open(Box<[u8]>),
    /// A secret.
    Hidden(Hidden),
}

impl Message {
    /// At most as many bytes are sent.
    pub const LONGEST: usize = 4_096;

    /// How it is kept, where it is a secret.
    #[must_use]
    pub const fn hidden(&self) -> Option<&Hidden> {
        match self {
            Self::Hidden(hidden) => Some(hidden),
            Self::Open(_) => None,
        }
    }

    /// As [`Message::read`], for a secret: of the text itself nothing is told.
    ///
    /// # Errors
    /// As there.
    pub fn read_secret(name: &str, text: &str) -> Result<Box<[u8]>, Refusal> {
        if let Err(e) = escape::read(text) {
            let message = format!("`{name}` has an escape that is none, at byte {}", e.at + 1);
            return Err(Refusal::new("bad_escape", message, ESCAPES));
        }
        Self::read(name, text)
    }

    /// The message that a text with escapes stands for.
    ///
    /// # Errors
    /// An escape that is none, no bytes at all, or more than [`Message::LONGEST`]. `name` is the setting's.
    pub fn read(name: &str, text: &str) -> Result<Box<[u8]>, Refusal> {
        match escape::read(text) {
            Err(e) => Err(Refusal::new("bad_escape", format!("`{name}`: {}", e.message), ESCAPES)),
            Ok(bytes) if bytes.is_empty() => Err(Refusal::new(
                "empty",
                format!("`{name}` is empty"),
                "write the bytes to send or leave it out",
            )),
            Ok(bytes) if bytes.len() > Self::LONGEST => Err(Refusal::new(
                "too_long",
                format!("`{name}` is {} bytes long", bytes.len()),
                "at most 4096 are sent",
            )),
            Ok(bytes) => Ok(bytes.into_boxed_slice()),
        }
    }
}

/// How a secret is kept. None of the forms holds it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hidden {
    /// Where it lies: a text with `${NAME}`, or `file:PATH`. Only the server's own file may say this, because resolving
    /// it reads the server's environment and files.
    Reference(Box<str>),
    /// Sealed with the server's key, in base64.
    Sealed(Box<str>),
    /// Left out, as exports do: whoever takes the document in says whether it has the secret already.
    LeftOut,
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reference(text) => write!(f, "Reference({text:?})"),
            Self::Sealed(_) => f.write_str("Sealed(…)"),
            Self::LeftOut => f.write_str("LeftOut"),
        }
    }
}

/// Takes secrets in while a spec is read.
pub trait Keeper {
    /// What is kept of a secret that stands here.
    ///
    /// # Errors
    /// Why it is not taken; never with the secret in it.
    fn keep(&self, written: &At<'_, '_>) -> Result<Hidden, Refusal>;

    /// What `null` in the place of a secret means; `None`: there is no secret.
    ///
    /// # Errors
    /// Why it may not stand there.
    fn left_out(&self, written: &At<'_, '_>) -> Result<Option<Hidden>, Refusal> {
        let _ = written;
        Ok(None)
    }
}

/// Looks at the form of a secret and keeps nothing of it: for whoever only wants to know what is wrong with a spec.
#[derive(Debug, Clone, Copy, Default)]
pub struct FormOnly;

impl Keeper for FormOnly {
    fn keep(&self, written: &At<'_, '_>) -> Result<Hidden, Refusal> {
        Message::read_secret(written.key, written.expect_text()?).map(|_| Hidden::LeftOut)
    }
}

/// Why a value is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The problem's code.
    pub code: &'static str,
    /// What is wrong, as a sentence.
    pub message: String,
    /// What to write instead.
    pub remedy: String,
}

impl Refusal {
    /// A refusal in these words.
    pub fn new(code: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { code, message: message.into(), remedy: remedy.into() }
    }
}

impl At<'_, '_> {
    /// The text that must stand here, as it was written: spaces at its ends belong to it.
    ///
    /// # Errors
    /// Something else stands here.
    pub fn expect_text(&self) -> Result<&str, Refusal> {
        self.scalar().map(|(text, _)| text).ok_or_else(|| {
            let message = format!("`{}` must be a text, not {}", self.key, self.node.describe());
            Refusal::new("wrong_type", message, format!("write `{}: 'PING\\r\\n'`", self.key))
        })
    }
}

/// A message that is no secret.
pub(super) fn open(at: &At<'_, '_>, problems: &mut Problems) -> Option<Box<[u8]>> {
    told(at, at.expect_text().and_then(|text| Message::read(at.key, text)), problems)
}

/// A message that is one.
pub(super) fn hidden(at: &At<'_, '_>, keeper: &dyn Keeper, problems: &mut Problems) -> Option<Hidden> {
    told(at, keeper.keep(at), problems)
}

/// What `null` means in its place.
pub(super) fn left_out(
    at: &At<'_, '_>,
    keeper: &dyn Keeper,
    problems: &mut Problems,
) -> Result<Option<Hidden>, ()> {
    told(at, keeper.left_out(at), problems).ok_or(())
}

fn told<T>(at: &At<'_, '_>, read: Result<T, Refusal>, problems: &mut Problems) -> Option<T> {
    read.map_err(|refusal| at.error(problems, refusal.code, refusal.message, refusal.remedy)).ok()
}

/// The form of [`Hidden`] in canonical texts: a reference is a text, what is sealed an object, what was left out null.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Kept<'a> {
    Reference(Cow<'a, str>),
    Sealed {
        #[serde(rename = "$sealed")]
        sealed: Cow<'a, str>,
    },
    LeftOut,
}

impl<'a> Kept<'a> {
    pub(super) fn of(hidden: &'a Hidden) -> Self {
        match hidden {
            Hidden::Reference(text) => Self::Reference(Cow::Borrowed(text)),
            Hidden::Sealed(text) => Self::Sealed { sealed: Cow::Borrowed(text) },
            Hidden::LeftOut => Self::LeftOut,
        }
    }

    /// For serde: null is a value of its own here.
    pub(super) fn there<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Self>, D::Error> {
        Self::deserialize(deserializer).map(Some)
    }
}

impl From<&Kept<'_>> for Hidden {
    fn from(kept: &Kept<'_>) -> Self {
        match kept {
            Kept::Reference(text) => Self::Reference(text.as_ref().into()),
            Kept::Sealed { sealed } => Self::Sealed(sealed.as_ref().into()),
            Kept::LeftOut => Self::LeftOut,
        }
    }
}

/// The form that [`Hidden::Sealed`] has in a canonical text: what a keeper meets again when a change is laid over a
/// stored spec.
#[must_use]
pub fn sealed_text<'n>(node: &'n Node<'_>) -> Option<&'n str> {
    let Value::Mapping(pairs) = &node.value else { return None };
    let [(key, value)] = pairs.as_slice() else { return None };
    match &value.value {
        Value::Scalar(text, _) if key.text == "$sealed" => Some(text),
        Value::Scalar(..) | Value::Mapping(_) | Value::Sequence(_) => None,
    }
}
