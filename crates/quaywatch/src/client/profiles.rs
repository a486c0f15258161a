//! Servers that are remembered, with a token for each: a small YAML file of one's own in the configuration directory.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;
use quaywatch_app::config::{self, Look};
use quaywatch_core::Secret;
use quaywatch_core::doc::{self, Node, Path as Way, Problems, Value, quote};
use url::Url;

use super::choose;
use crate::terminal;

/// A remembered server.
#[derive(Debug, Clone)]
pub(crate) struct Profile {
    pub(crate) server: Url,
    pub(crate) token: Secret<String>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Profiles {
    /// Which one is used where nothing is said.
    pub(crate) default: Option<String>,
    pub(crate) list: BTreeMap<String, Profile>,
    /// Where they are kept; none where this user has no home.
    pub(super) path: Option<PathBuf>,
}

impl Profiles {
    /// What is kept in the configuration directory; nothing where there is no file yet.
    ///
    /// # Errors
    /// Where the file cannot be read, with what is wrong in it.
    pub(crate) fn open() -> Result<Self, String> {
        let Ok(strategy) = etcetera::choose_base_strategy() else { return Ok(Self::default()) };
        Self::read(strategy.config_dir().join("quaywatch").join("profiles.yaml"))
    }

    fn read(path: PathBuf) -> Result<Self, String> {
        let unreadable = |error| format!("cannot read {}: {error}", path.display());
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(Self { path: Some(path), ..Self::default() });
            }
            Err(error) => return Err(unreadable(error)),
        };
        let mode = fs::metadata(&path).map_err(unreadable)?.permissions().mode();
        if mode & 0o077 != 0 {
            let path = path.display();
            terminal::warn(&format!(
                "others on this machine may read the tokens in {path}: chmod 600 {path}"
            ));
        }
        let mut problems = Problems::new();
        let read = match config::tree(&text) {
            Ok(node) => read(&node, &mut problems),
            Err(wrong) => {
                problems = wrong;
                Self::default()
            }
        };
        if problems.is_fine() {
            return Ok(Self { path: Some(path), ..read });
        }
        let look = Look { color: terminal::errors_are_coloured() };
        let name = path.display().to_string();
        let shown = config::render(&problems, &starred(&text), &name, look);
        Err(format!("the profiles cannot be read\n{shown}"))
    }

    /// The profile of this name.
    ///
    /// # Errors
    /// A sentence that names those there are.
    pub(crate) fn find(&self, name: &str) -> Result<&Profile, String> {
        self.list.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.list.keys().map(String::as_str).collect();
            let known = if known.is_empty() {
                "none is kept yet: `quaywatch profile add NAME --server URL` keeps one".to_owned()
            } else {
                format!("there are {}", known.join(", "))
            };
            format!("there is no profile {}: {known}", quote(name))
        })
    }

    /// Keeps them, readable for this user alone.
    ///
    /// # Errors
    /// Where that cannot be done.
    pub(crate) fn save(&self) -> Result<PathBuf, String> {
        let Some(path) = &self.path else {
            return Err("there is no place for profiles: set HOME or XDG_CONFIG_HOME".to_owned());
        };
        let directory = path.parent().unwrap_or(Path::new("."));
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(|error| format!("cannot make {}: {error}", directory.display()))?;
        replace(path, &self.text()).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        Ok(path.clone())
    }

    fn text(&self) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let mut out = "# Servers that `quaywatch` talks to, each with a token: keep this file to yourself.\n"
            .to_owned();
        if let Some(default) = &self.default {
            let _ = writeln!(out, "default: {}", quoted(default));
        }
        let _ = writeln!(out, "profiles:{}", if self.list.is_empty() { " {}" } else { "" });
        for (name, profile) in &self.list {
            let (server, token) = (quoted(&choose::address(&profile.server)), quoted(profile.token.reveal()));
            let _ = write!(out, "  {}:\n    server: {server}\n    token: {token}\n", quoted(name));
        }
        out
    }
}

/// Whole or not at all, and never readable for others, not even for a moment.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let new = path.with_extension("yaml.new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}

/// The text without its tokens, whatever key they stand under, every byte else in its place.
fn starred(text: &str) -> String {
    let mut parts = text.split("qw_");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(part.len());
        out.push_str("qw_");
        out.push_str(&"*".repeat(end));
        out.push_str(&part[end..]);
    }
    out
}

fn read(node: &Node<'_>, problems: &mut Problems) -> Profiles {
    let mut profiles = Profiles::default();
    let top = Way::Root;
    for (key, value) in doc::pairs(node, &top, "", problems).unwrap_or_default() {
        let way = top.key(&key.text);
        match key.text.as_ref() {
            "default" => profiles.default = text(value, &way, problems).filter(|text| !text.is_empty()),
            "profiles" => {
                for (name, value) in doc::pairs(value, &way, "", problems).unwrap_or_default() {
                    if let Some(profile) = profile(value, &way.key(&name.text), problems) {
                        profiles.list.insert(name.text.to_string(), profile);
                    }
                }
            }
            other => unknown(other, key.span, &way, "`default` or `profiles`", problems),
        }
    }
    profiles
}

fn profile(node: &Node<'_>, way: &Way<'_>, problems: &mut Problems) -> Option<Profile> {
    let (mut server, mut token) = (None, None);
    for (key, value) in doc::pairs(node, way, "{server: https://…, token: qw_…}", problems)? {
        let way = way.key(&key.text);
        match key.text.as_ref() {
            "server" => {
                let text = text(value, &way, problems)?;
                match choose::parse(&text) {
                    Ok(url) => server = Some(url),
                    Err(error) => problems.error(&way, value.span, "bad_url", error, ""),
                }
            }
            "token" => token = text(value, &way, problems),
            other => unknown(other, key.span, &way, "`server` or `token`", problems),
        }
    }
    if let (Some(server), Some(token)) = (&server, &token) {
        return Some(Profile { server: server.clone(), token: Secret::new(token.clone()) });
    }
    if problems.is_fine() {
        let message = format!("`{way}` needs `server` and `token`");
        problems.error(way, node.span, "missing", message, "`quaywatch profile add` writes both");
    }
    None
}

fn text(node: &Node<'_>, way: &Way<'_>, problems: &mut Problems) -> Option<String> {
    match &node.value {
        Value::Scalar(text, _) => Some(text.trim().to_owned()),
        Value::Mapping(_) | Value::Sequence(_) => {
            let message = format!("`{way}` must be a text, not {}", node.describe());
            problems.error(way, node.span, "wrong_type", message, "");
            None
        }
    }
}

fn unknown(key: &str, span: doc::Span, way: &Way<'_>, known: &str, problems: &mut Problems) {
    problems.error(
        way,
        span,
        "unknown_key",
        format!("unknown setting {}", quote(key)),
        format!("write {known}"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_reads_back_and_only_its_owner_may_read_it() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("quaywatch/profiles.yaml");
        let mut profiles = Profiles::read(path.clone()).expect("none yet");
        assert!(profiles.list.is_empty());
        let profile = Profile {
            server: choose::parse("https://watch.example.com").expect("an address"),
            token: Secret::new("qw_\"odd: # one".to_owned()),
        };
        profiles.list.insert("the: harbour".to_owned(), profile);
        profiles.default = Some("the: harbour".to_owned());
        for _ in 0..2 {
            profiles.save().expect("kept");
            let mode = fs::metadata(&path).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let read = Profiles::read(path).expect("it is well formed");
        assert_eq!(read.default.as_deref(), Some("the: harbour"));
        let kept = read.find("the: harbour").expect("kept");
        assert_eq!(kept.token.reveal(), "qw_\"odd: # one");
        assert_eq!(choose::address(&kept.server), "https://watch.example.com");
        assert!(read.find("harbour").is_err_and(|error| error.contains("there are the: harbour")));
    }

    #[test]
    fn what_is_wrong_in_the_file_is_told_without_its_tokens() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("profiles.yaml");
        for (text, told) in [
            ("profiles:\n  a: {server: watch, token: qw_secret}\n", "begin it with https://"),
            ("profiles:\n  a: {server: 'http://x', tokn: qw_secret}\n", "unknown setting `tokn`"),
            ("profiles:\n  a: {server: 'http://x'}\n", "needs `server` and `token`"),
            ("profiles: [\n", "not YAML"),
        ] {
            fs::write(&path, text).expect("written");
            let error = Profiles::read(path.clone()).expect_err("it is wrong");
            assert!(error.contains(told) && !error.contains("qw_secret"), "{error}");
        }
    }
}
