//! Values of settings: each function reads one kind of value and says what is wrong with it, what was written, and
//! what to write instead. Monitors, channels and the server's own settings are all read with these, so that the same
//! mistake gets the same sentence everywhere.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::duration::{self, Human};
use crate::doc::{self, Node, Path, Problems, Style, Value};

/// Where a value stands and where to complain.
#[derive(Debug, Clone, Copy)]
pub struct At<'v, 'a> {
    /// The value.
    pub node: &'v Node<'a>,
    /// Its path.
    pub path: Path<'v>,
    /// The word that it stands under, as written.
    pub key: &'v str,
}

impl At<'_, '_> {
    /// Reports an error at this value.
    pub fn error(
        &self,
        problems: &mut Problems,
        code: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        problems.error(&self.path, self.node.span, code, message, remedy);
    }

    /// Reports that the value is of another kind: "`enabled` must be …, not …".
    pub fn wrong_type(&self, problems: &mut Problems, wanted: impl Display, remedy: impl Into<String>) {
        let message = format!("`{}` must be {wanted}, not {}", self.key, self.node.describe());
        self.error(problems, "wrong_type", message, remedy);
    }

    /// What to write where one text is wanted.
    #[must_use]
    pub fn one_text(&self) -> String {
        if self.node.span.is_known() {
            format!("write `{}: …` in one line", self.key)
        } else {
            "send it as one text".to_owned()
        }
    }

    /// The text of a scalar and how it was written.
    #[must_use]
    pub fn scalar(&self) -> Option<(&str, Style)> {
        match &self.node.value {
            Value::Scalar(text, style) => Some((text.as_ref(), *style)),
            Value::Mapping(_) | Value::Sequence(_) => None,
        }
    }

    /// A line of text, trimmed, within a length.
    pub fn line(&self, problems: &mut Problems, longest: usize) -> Option<String> {
        let text = self.text(problems, longest)?;
        if let Some(bad) = text.chars().find(|c| c.is_control()) {
            let message = format!("`{}` has a control character in it ({})", self.key, bad.escape_unicode());
            self.error(problems, "control_character", message, "write it in one line of plain text");
            return None;
        }
        if let Some(unseen) = text.chars().find(|c| is_unseen(*c)) {
            let message = format!(
                "`{}` has {} in it, a character that cannot be seen and makes one name look like another",
                self.key,
                code_point(unseen)
            );
            self.error(problems, "unseen_character", message, "write it without that character");
            return None;
        }
        Some(text)
    }

    /// Text, trimmed, within a length.
    pub fn text(&self, problems: &mut Problems, longest: usize) -> Option<String> {
        let Some((text, _)) = self.scalar() else {
            self.wrong_type(problems, "a text", self.one_text());
            return None;
        };
        let text = text.trim();
        if text.is_empty() {
            self.error(
                problems,
                "empty",
                format!("`{}` is empty", self.key),
                "write a value or leave it out",
            );
            return None;
        }
        let length = text.chars().count();
        if length > longest {
            let message =
                format!("`{}` is {length} characters long; at most {longest} are allowed", self.key);
            self.error(problems, "too_long", message, "shorten it");
            return None;
        }
        Some(text.to_owned())
    }

    /// `true` or `false`.
    pub fn boolean(&self, problems: &mut Problems) -> Option<bool> {
        let remedy = match self.scalar() {
            Some(("true", Style::Plain)) => return Some(true),
            Some(("false", Style::Plain)) => return Some(false),
            Some((text, _)) => match text.to_ascii_lowercase().as_str() {
                "yes" | "on" | "y" | "1" | "true" => format!("write `{}: true`", self.key),
                "no" | "off" | "n" | "0" | "false" => format!("write `{}: false`", self.key),
                _ => format!("write `{0}: true` or `{0}: false`", self.key),
            },
            None => format!("write `{0}: true` or `{0}: false`", self.key),
        };
        self.wrong_type(problems, "`true` or `false`", remedy);
        None
    }

    /// A whole number within a range.
    pub fn number(&self, problems: &mut Problems, range: &RangeInclusive<u16>) -> Option<u16> {
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        let remedy =
            format!("write a number such as `{}: {}`", self.key, (*range.start()).max(2).min(*range.end()));
        let Some((text, _)) = self.scalar() else {
            self.wrong_type(problems, wanted, remedy);
            return None;
        };
        match text.parse::<i128>() {
            Ok(number) => match u16::try_from(number).ok().filter(|n| range.contains(n)) {
                Some(number) => Some(number),
                None => {
                    let message = format!(
                        "`{}` is {number}; it must be from {} to {}",
                        self.key,
                        range.start(),
                        range.end()
                    );
                    self.error(problems, "out_of_range", message, remedy);
                    None
                }
            },
            Err(_) => {
                self.wrong_type(problems, wanted, remedy);
                None
            }
        }
    }

    /// A duration within a range.
    pub fn duration(&self, problems: &mut Problems, range: &RangeInclusive<Duration>) -> Option<Duration> {
        let Some((text, _)) = self.scalar() else {
            self.wrong_type(problems, "a duration", "write `60` (seconds), `500ms`, `1m` or `5 minutes`");
            return None;
        };
        match duration::parse(text) {
            Err(e) => {
                let message = format!("`{}` is {}, which {}", self.key, doc::quote(text), e.message);
                self.error(problems, "bad_duration", message, e.remedy);
                None
            }
            Ok(duration) if range.contains(&duration) => Some(duration),
            Ok(duration) => {
                let (least, most) = (Human(*range.start()), Human(*range.end()));
                let message = if duration < *range.start() {
                    format!("`{}` is {}, less than {least}", self.key, doc::quote(text))
                } else {
                    format!("`{}` is {}, more than {most}", self.key, doc::quote(text))
                };
                self.error(
                    problems,
                    "out_of_range",
                    message,
                    format!("write a duration from {least} to {most}"),
                );
                None
            }
        }
    }

    /// One of a few words.
    pub fn word<T: Copy>(&self, problems: &mut Problems, choices: &[(&'static str, T)]) -> Option<T> {
        let written = self.scalar().map(|(text, _)| text.trim().to_ascii_lowercase().replace('-', "_"));
        if let Some((_, value)) = choices.iter().find(|(word, _)| Some(*word) == written.as_deref()) {
            return Some(*value);
        }
        let words: Vec<String> = choices.iter().map(|(word, _)| format!("`{word}`")).collect();
        let meant = written.as_deref().and_then(|text| {
            let exact = choices.iter().map(|(word, _)| *word).find(|w| !text.is_empty() && w.contains(text));
            exact.or_else(|| doc::closest(text, choices.iter().map(|(word, _)| *word)))
        });
        let remedy = match meant {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!("write {}", alternatives(&words, "or")),
        };
        self.wrong_type(problems, alternatives(&words, "or"), remedy);
        None
    }

    /// The items of a list; `form` shows a right one.
    pub fn items(&self, problems: &mut Problems, form: &str) -> Option<&[Node<'_>]> {
        match &self.node.value {
            Value::Sequence(items) => Some(items),
            Value::Scalar(text, _) if !text.is_empty() => {
                let remedy = if text.contains([',', '[']) {
                    format!("write `{}: {form}`", self.key)
                } else {
                    format!("write `{}: [{text}]`", self.key)
                };
                self.wrong_type(problems, "a list", remedy);
                None
            }
            Value::Scalar(..) | Value::Mapping(_) => {
                self.wrong_type(problems, "a list", format!("write `{}: {form}`", self.key));
                None
            }
        }
    }

    /// A list of different names. Those that are wrong are reported and left out.
    pub fn names(
        &self,
        problems: &mut Problems,
        form: &str,
        most: usize,
    ) -> Option<Vec<(String, doc::Span)>> {
        let items = self.items(problems, form)?;
        if items.len() > most {
            let message = format!("`{}` has {} items; at most {most} are allowed", self.key, items.len());
            self.error(problems, "too_many", message, "shorten the list");
            return None;
        }
        let mut names: Vec<(String, doc::Span)> = Vec::with_capacity(items.len());
        for (i, node) in items.iter().enumerate() {
            let item = At { node, path: self.path.index(i), key: self.key };
            let Some(name) = item.line(problems, 200) else { continue };
            if names.iter().any(|(known, _)| *known == name) {
                item.error(
                    problems,
                    "duplicate",
                    format!("`{}` names {} twice", self.key, doc::quote(&name)),
                    "remove one of the two",
                );
                continue;
            }
            names.push((name, node.span));
        }
        Some(names)
    }
}

/// Characters of no width, and those that turn the direction of what follows: with them one name looks like another, or a
/// line of a log like something else.
pub(super) const fn is_unseen(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

/// As Unicode's tables name it.
pub(super) fn code_point(c: char) -> String {
    format!("U+{:04X}", u32::from(c))
}

/// `a`, `b` or `c`
#[must_use]
pub fn alternatives(words: &[String], last: &str) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., end] => format!("{} {last} {end}", most.join(", ")),
    }
}
