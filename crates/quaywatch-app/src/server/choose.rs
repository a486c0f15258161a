//! Which configuration runs: the file as it stands, or the last one that was accepted.
//!
//! A file with errors is refused whole. At a start the last accepted text takes its place, except where the error is in
//! a security setting: its owner has just tried to change who may do what, and the old answer must not stand in.

use std::path::{Path, PathBuf};

use quaywatch_core::Timestamp;
use quaywatch_core::doc::{Level, Problem, Problems, Span};
use quaywatch_store::StoreError;
use quaywatch_store::records::AcceptedConfig;

use crate::config::{self, Config, Look};
use crate::observe::ConfigState;

/// A file as it was found.
pub(super) struct File {
    path: PathBuf,
    text: Result<String, String>,
}

impl File {
    /// Reads it; that it cannot be read is a finding like any other.
    pub(super) fn read(path: &Path) -> Self {
        Self { path: path.to_owned(), text: std::fs::read_to_string(path).map_err(|error| error.to_string()) }
    }

    pub(super) fn text(&self) -> Option<&str> {
        self.text.as_deref().ok()
    }

    /// Why it cannot be read; empty where it can.
    pub(super) fn unreadable(&self) -> &str {
        self.text.as_ref().err().map_or("", String::as_str)
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// The configuration that it holds.
    pub(super) fn config(&self) -> Result<Config, Refused> {
        match &self.text {
            Ok(text) => config::read(text, &self.name(), &environment)
                .map_err(|problems| Refused::of(&problems, text, &self.name())),
            Err(error) => Err(Refused::unreadable(&self.name(), error)),
        }
    }

    /// The data directory that it names, also where other parts of it are wrong. Relative to the working directory,
    /// like everything on the command line.
    pub(super) fn data_dir(&self) -> Option<PathBuf> {
        config::data_dir(self.text()?)
    }

    /// Everything but its monitors, whatever its secrets may be.
    pub(super) fn known(&self) -> Option<Config> {
        let anything = |_: &str| Some("unread".to_owned());
        config::read_known(self.text()?, &self.name(), &anything).ok()
    }
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A configuration that was refused, in words.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    /// Everything, for people.
    shown: String,
    errors: usize,
    /// The first, in one line.
    first: String,
    /// Whether a security setting is wrong.
    security: bool,
}

impl Refused {
    fn of(problems: &Problems, text: &str, name: &str) -> Self {
        let first = problems.sorted().into_iter().find(|problem| problem.level == Level::Error);
        Self {
            shown: config::render(problems, text, name, Look::default()),
            errors: problems.errors(),
            first: first.map(|problem| in_short(name, problem)).unwrap_or_default(),
            security: config::security(problems),
        }
    }

    fn unreadable(name: &str, error: &str) -> Self {
        let first = format!("cannot read {name}: {error}");
        Self { shown: first.clone(), errors: 1, first, security: false }
    }

    /// A good one that the store did not take.
    pub(super) fn unwritable(error: &StoreError) -> Self {
        let first = format!("it could not be written: {error}");
        Self { shown: first.clone(), errors: 1, first, security: false }
    }

    pub(super) fn log(&self) {
        tracing::error!("the configuration is refused, the last accepted one runs:\n{}", self.shown);
    }

    pub(super) fn state(&self, since: Timestamp) -> ConfigState {
        ConfigState::Stale { since, errors: self.errors, first: self.first.clone() }
    }
}

/// A problem for whoever may be a stranger: its place and its kind, and nothing that the file says. The log has the words.
fn in_short(name: &str, problem: &Problem) -> String {
    let Span { line, column, .. } = problem.span;
    if line > 0 {
        format!("{name}:{line}:{column}: {}", problem.code)
    } else {
        format!("{name}: {}", problem.code)
    }
}

/// What runs, and why.
pub(super) struct Choice {
    /// What runs. Without monitors where `is_stored`.
    pub(super) config: Config,
    /// The file that it is from, where it is to be remembered.
    pub(super) file: Option<File>,
    /// Its monitors and channels are in the store already.
    pub(super) is_stored: bool,
    /// For `/readyz`.
    pub(super) state: ConfigState,
    /// Why the file was refused.
    pub(super) told: Option<Refused>,
}

/// Chooses. The error is what is wrong, for people, where nothing can run.
pub(super) fn choose(
    file: Option<File>,
    accepted: Option<AcceptedConfig>,
    now: Timestamp,
) -> Result<Choice, String> {
    let Some(file) = file else {
        // What an earlier file brought stays: a server that is started without one is not told to forget.
        let config = config::read_known("monitors: []\n", "", &environment)
            .map_err(|problems| config::render(&problems, "", "", Look::default()))?;
        return Ok(Choice { config, file: None, is_stored: true, state: ConfigState::None, told: None });
    };
    let known =
        accepted.as_ref().filter(|old| file.text().is_some_and(|text| config::hash(text) == old.hash));
    if let Some(config) = known.and_then(|old| config::read_known(&old.text, &file.name(), &environment).ok())
    {
        let state = ConfigState::Fresh { since: now };
        return Ok(Choice { config, file: Some(file), is_stored: true, state, told: None });
    }
    match file.config() {
        Ok(config) => {
            let state = ConfigState::Fresh { since: now };
            Ok(Choice { config, file: Some(file), is_stored: false, state, told: None })
        }
        Err(refused) if refused.security || accepted.is_none() => Err(refused.shown),
        Err(refused) => {
            let old = accepted.expect("checked by the arm above");
            let config = config::read_known(&old.text, &file.name(), &environment).map_err(|problems| {
                let then =
                    config::render(&problems, &old.text, "the last accepted configuration", Look::default());
                format!("{}\nnor can the last accepted configuration run:\n{then}", refused.shown)
            })?;
            let state = refused.state(now);
            Ok(Choice { config, file: None, is_stored: true, state, told: Some(refused) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "monitors: [{name: ssh, host: 127.0.0.1, port: 22}]\n";

    fn file(text: &str) -> File {
        File { path: PathBuf::from("q.yaml"), text: Ok(text.to_owned()) }
    }

    /// The choice, where there is one; it has no `Debug`, since it holds secrets.
    fn is_one(choice: Result<Choice, String>) -> Option<Choice> {
        choice.ok()
    }

    fn accepted(text: &str) -> AcceptedConfig {
        AcceptedConfig { text: text.to_owned(), hash: config::hash(text), accepted_at: Timestamp(0) }
    }

    #[test]
    fn a_good_file_runs_and_a_known_one_is_not_read_twice() {
        let new = is_one(choose(Some(file(GOOD)), None, Timestamp(0))).expect("it is good");
        assert!(!new.is_stored && new.config.monitors.len() == 1);
        let known = is_one(choose(Some(file(GOOD)), Some(accepted(GOOD)), Timestamp(0))).expect("it is good");
        assert!(known.is_stored && known.config.monitors.is_empty());
    }

    #[test]
    fn a_bad_file_is_replaced_by_the_last_accepted_one() {
        let bad = "monitors: [{name: ssh, host: 127.0.0.1, port: 220000}]\n";
        let chosen =
            is_one(choose(Some(file(bad)), Some(accepted(GOOD)), Timestamp(0))).expect("the old one runs");
        assert!(chosen.is_stored && matches!(chosen.state, ConfigState::Stale { errors: 1, .. }));
        assert!(choose(Some(file(bad)), None, Timestamp(0)).is_err(), "there is none");
    }

    #[test]
    fn a_wrong_security_setting_refuses_to_start() {
        let bad = format!("server: {{accounts: several}}\n{GOOD}");
        assert!(choose(Some(file(&bad)), Some(accepted(GOOD)), Timestamp(0)).is_err());
    }

    #[test]
    fn a_missing_file_is_like_a_bad_one() {
        let missing = || File { path: PathBuf::from("q.yaml"), text: Err("No such file".to_owned()) };
        assert!(choose(Some(missing()), Some(accepted(GOOD)), Timestamp(0)).is_ok());
        let error = choose(Some(missing()), None, Timestamp(0)).err().expect("nothing can run");
        assert!(error.contains("cannot read q.yaml: No such file"));
    }

    #[test]
    fn without_a_file_it_starts_empty() {
        let chosen = is_one(choose(None, None, Timestamp(0))).expect("no file is no error");
        assert!(chosen.state == ConfigState::None && chosen.config.monitors.is_empty());
    }
}
