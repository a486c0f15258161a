//! Secret messages of the server's own file: written as references, resolved when they are sent. What they resolve to
//! is looked at while the file is read, so that a variable which is not set is told with its line and not by a check.

use quaywatch_core::Secret;
use quaywatch_core::spec::values::At;
use quaywatch_core::spec::{Hidden, Keeper, Message, Refusal, escape};

use super::secrets::{Sources, is_reference};

/// Keeps references as they are written, and takes nothing else.
pub(crate) struct References<'s>(pub(crate) &'s Sources<'s>);

impl Keeper for References<'_> {
    fn keep(&self, written: &At<'_, '_>) -> Result<Hidden, Refusal> {
        let text = written.expect_text()?;
        if !is_reference(text) {
            let message = format!("`{}` holds the secret itself, and must only say where it is", written.key);
            return Err(Refusal::new("clear_secret", message, form(written.key)));
        }
        // A default would be the secret itself, and so may be anything else that is no name.
        if text.split("${").skip(1).any(|rest| !rest.split('}').next().is_some_and(is_name)) {
            let message =
                format!("`{}`: only the name of a variable may stand in `${{…}}` here", written.key);
            return Err(Refusal::new("clear_secret", message, form(written.key)));
        }
        self.0.message(written.key, text).map(|_| Hidden::Reference(text.into()))
    }

    fn left_out(&self, written: &At<'_, '_>) -> Result<Option<Hidden>, Refusal> {
        let message = format!("`{}` is left out here, as exports leave secrets out", written.key);
        Err(Refusal::new("missing", message, form(written.key)))
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn form(key: &str) -> String {
    format!("write `{key}: 'AUTH ${{NAME}}\\r\\n'` and set NAME in the environment, or `{key}: file:PATH`")
}

impl Sources<'_> {
    /// The message that a text with references stands for. A variable's value is sent as it is; the text around it and
    /// a file's are written with escapes.
    ///
    /// # Errors
    /// What does not resolve, or is no message. Of a secret nothing is in it.
    pub(crate) fn message(&self, name: &str, text: &str) -> Result<Secret<Box<[u8]>>, Refusal> {
        let escaped = |name: &str| (self.env)(name).map(|value| escape::write(value.as_bytes()));
        let resolved = if text.starts_with("file:") {
            self.resolve(text)
        } else {
            Sources { env: &escaped, dir: self.dir.clone() }.resolve(text)
        };
        // Elsewhere a default would help; here it would be the secret.
        let resolved =
            resolved.map_err(|e| Refusal::new("unresolved", format!("`{name}`: {}", e.message), e.remedy))?;
        Message::read_secret(name, &resolved).map(Secret::new)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config;

    fn read(secret: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
        let text =
            format!("monitors:\n  - {{name: cache, host: cache, port: 6379, send_secret: {secret}}}\n");
        let read = config::read(&text, "q.yaml", env);
        read.map(|config| config.monitors[0].spec.to_string()).map_err(|problems| problems.to_string())
    }

    #[test]
    fn a_file_says_where_the_secret_is_and_keeps_only_that() {
        let env = |name: &str| (name == "PW").then(|| "hunter2".to_owned());
        let kept = read(r"'AUTH ${PW}\r\n'", &env).expect("a reference");
        assert!(kept.contains(r#""send_secret":"AUTH ${PW}\\r\\n""#) && !kept.contains("hunter2"), "{kept}");
        for (secret, word) in [
            (r"'AUTH hunter2\r\n'", "holds the secret itself"),
            ("null", "left out"),
            (r"'AUTH ${NOBODY}\r\n'", "`NOBODY` is not set"),
            (r"'AUTH ${PW}\q'", "an escape that is none"),
            (r"'AUTH \${PW}'", "an escape that is none"),
            ("'AUTH ${NOBODY:-hunter2}'", "only the name of a variable"),
            ("'AUTH ${NOBODY:=hunter2}'", "only the name of a variable"),
            ("'AUTH ${hunter2 x}'", "only the name of a variable"),
            ("'AUTH ${hunter2'", "never closed"),
            ("file:/nonexistent/hush", "does not exist"),
            ("[a]", "must be a text"),
        ] {
            let told = read(secret, &env).expect_err(secret);
            assert!(told.contains(word) && !told.contains("hunter2"), "{secret}: {told}");
        }
    }

    #[test]
    fn a_variable_is_sent_as_it_is_and_the_text_around_it_has_escapes() {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("whole"), "AUTH a\\x20b\\r\\n\n").expect("written");
        let env = |name: &str| (name == "PW").then(|| "p\\q \"ж\"\n".to_owned());
        let sources = Sources { env: &env, dir: PathBuf::from(directory.path()) };
        let message = |text: &str| sources.message("send_secret", text).expect("a message");
        assert_eq!(&**message(r"AUTH ${PW}\r\n").reveal(), "AUTH p\\q \"ж\"\n\r\n".as_bytes());
        assert_eq!(&**message("file:whole").reveal(), b"AUTH a b\r\n");
    }
}
