//! References to secrets: `${NAME}`, `${NAME:-default}` and `file:PATH`. They are resolved into memory when the file
//! is read; what is stored, shown and compared keeps the reference.

use std::path::{Path, PathBuf};

/// More than any key, token or address is; a wrong path to a large file is noticed.
const LONGEST: u64 = 64 * 1024;

/// Where references lead.
pub(crate) struct Sources<'s> {
    /// The environment.
    pub(crate) env: &'s dyn Fn(&str) -> Option<String>,
    /// What `file:` with a relative path is relative to: the directory of the configuration.
    pub(crate) dir: PathBuf,
}

/// A reference that leads nowhere. No value appears in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unresolved {
    /// What is wrong, as a sentence.
    pub(crate) message: String,
    /// What to do.
    pub(crate) remedy: String,
    /// The reference with a default, which would resolve; for what may stand in the file.
    with_default: Option<String>,
}

impl Unresolved {
    /// What to do where a default may be written.
    pub(crate) fn advice(self) -> String {
        match self.with_default {
            Some(reference) => format!("{}, or write `{reference}`", self.remedy),
            None => self.remedy,
        }
    }
}

fn unresolved(message: impl Into<String>, remedy: impl Into<String>) -> Unresolved {
    Unresolved { message: message.into(), remedy: remedy.into(), with_default: None }
}

/// Whether the text holds a reference.
#[must_use]
pub(crate) fn is_reference(text: &str) -> bool {
    text.starts_with("file:") || text.replace("$${", "").contains("${")
}

impl Sources<'_> {
    /// The text with its references replaced.
    ///
    /// # Errors
    /// A variable that is not set or empty, a file that cannot be read or is empty, a `${` that does not end.
    pub(crate) fn resolve(&self, text: &str) -> Result<String, Unresolved> {
        match text.strip_prefix("file:") {
            Some(path) => self.file(&self.variables(path.trim())?),
            None => self.variables(text),
        }
    }

    fn variables(&self, text: &str) -> Result<String, Unresolved> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            if rest[..at].ends_with('$') {
                // `$${` stands for `${` itself.
                out.push_str(&rest[..at]);
                out.push('{');
                rest = &rest[at + 2..];
                continue;
            }
            out.push_str(&rest[..at]);
            let (inside, behind) = rest[at + 2..].split_once('}').ok_or_else(|| {
                unresolved("a `${` is never closed", "write `${NAME}`; `$${` stands for `${` itself")
            })?;
            out.push_str(&self.variable(inside)?);
            rest = behind;
        }
        out.push_str(rest);
        Ok(out)
    }

    fn variable(&self, inside: &str) -> Result<String, Unresolved> {
        let (name, default) =
            inside.split_once(":-").map_or((inside, None), |(name, default)| (name, Some(default)));
        let fits = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !fits {
            let name = quaywatch_core::doc::quote(name);
            return Err(unresolved(
                format!("{name} is not the name of a variable"),
                "write `${NAME}` or `${NAME:-default}`",
            ));
        }
        match ((self.env)(name).filter(|value| !value.is_empty()), default) {
            (Some(value), _) => Ok(value),
            (None, Some(default)) => Ok(default.to_owned()),
            (None, None) => {
                let word = if (self.env)(name).is_some() { "empty" } else { "not set" };
                Err(Unresolved {
                    message: format!("the environment variable `{name}` is {word}"),
                    remedy: "set it where the server is started".to_owned(),
                    with_default: Some(format!("${{{name}:-default}}")),
                })
            }
        }
    }

    fn file(&self, path: &str) -> Result<String, Unresolved> {
        let path = self.dir.join(Path::new(path));
        let shown = path.display();
        let size = std::fs::metadata(&path).map(|meta| meta.len());
        if size.as_ref().is_ok_and(|size| *size > LONGEST) {
            return Err(unresolved(
                format!("the file `{shown}` is larger than 64 KiB"),
                "name a file that holds only the secret",
            ));
        }
        match size.and_then(|_| std::fs::read_to_string(&path)) {
            Ok(text) if text.trim().is_empty() => {
                Err(unresolved(format!("the file `{shown}` is empty"), "write the secret into it"))
            }
            Ok(text) => Ok(text.trim_end_matches(['\n', '\r']).to_owned()),
            Err(e) => {
                let kind = e.kind();
                let why = if kind == std::io::ErrorKind::NotFound {
                    "does not exist".to_owned()
                } else if kind == std::io::ErrorKind::PermissionDenied {
                    "may not be read by this user".to_owned()
                } else if kind == std::io::ErrorKind::InvalidData {
                    "is not text".to_owned()
                } else {
                    format!("cannot be read: {e}")
                };
                let remedy = "a relative path begins at the directory of the configuration";
                Err(unresolved(format!("the file `{shown}` {why}"), remedy))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: &str) -> Result<String, String> {
        let env = |name: &str| match name {
            "TOKEN" => Some("t0p".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        Sources { env: &env, dir: PathBuf::from("/nonexistent") }.resolve(text).map_err(|e| e.message)
    }

    #[test]
    fn variables_are_filled_in() {
        assert_eq!(resolve("${TOKEN}").as_deref(), Ok("t0p"));
        assert_eq!(resolve("https://x/${TOKEN}/y?${TOKEN}").as_deref(), Ok("https://x/t0p/y?t0p"));
        assert_eq!(resolve("${NOBODY:-a:-b}").as_deref(), Ok("a:-b"));
        assert_eq!(resolve("${EMPTY:-}").as_deref(), Ok(""));
        assert_eq!(resolve("$${TOKEN} $TOKEN").as_deref(), Ok("${TOKEN} $TOKEN"));
    }

    #[test]
    fn what_leads_nowhere_is_an_error() {
        assert_eq!(resolve("${NOBODY}"), Err("the environment variable `NOBODY` is not set".to_owned()));
        assert_eq!(resolve("${EMPTY}"), Err("the environment variable `EMPTY` is empty".to_owned()));
        assert!(resolve("${TOKEN").is_err() && resolve("${}").is_err() && resolve("${a b}").is_err());
        assert_eq!(resolve("file:key"), Err("the file `/nonexistent/key` does not exist".to_owned()));
    }

    #[test]
    fn files_lose_their_last_line_break() {
        let dir = tempfile::tempdir().expect("a directory for the test");
        std::fs::write(dir.path().join("key"), "s3cret\n").expect("the directory can be written");
        std::fs::write(dir.path().join("none"), "\n").expect("the directory can be written");
        let env = |name: &str| (name == "DIR").then(|| dir.path().display().to_string());
        let sources = Sources { env: &env, dir: dir.path().to_owned() };
        assert_eq!(sources.resolve("file:key").as_deref(), Ok("s3cret"));
        assert_eq!(sources.resolve("file:${DIR}/key").as_deref(), Ok("s3cret"));
        assert!(sources.resolve("file:none").is_err());
    }

    #[test]
    fn references_are_told_from_texts() {
        assert!(is_reference("${A}") && is_reference("Bearer ${A}") && is_reference("file:x"));
        assert!(!is_reference("hunter2") && !is_reference("$${A}") && !is_reference("$A"));
    }
}
