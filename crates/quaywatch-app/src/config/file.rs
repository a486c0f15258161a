//! The file as a whole. The text is gone through twice: first everything but the monitors, then the monitors one by
//! one, so that sections may stand in any order and a million monitors never stand in memory as a tree.

use std::path::PathBuf;

use quaywatch_core::MonitorSpec;
use quaywatch_core::doc::{Node, Path, Problems, Value, closest, pairs, quote};
use quaywatch_core::spec::values::At;
use quaywatch_core::spec::{Context, Defaults, fields};
use sha2::{Digest, Sha256};

use super::budget::Load;
use super::secrets::Sources;
use super::server::{self, Server};
use super::settings::{TOP, words};
use super::{Config, MonitorConfig, channels, yaml};

/// What the file may refer to but does not hold.
pub struct Outside<'o> {
    /// The environment, for `${NAME}`.
    pub env: &'o dyn Fn(&str) -> Option<String>,
    /// Names and ids of channels that others (API, `apply`) made.
    pub channels: &'o [String],
}

/// Reads a file's text. `path` is for messages, and `file:` references with relative paths begin in its directory.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(text: &str, path: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, Problems> {
    read_with(text, path, &Outside { env, channels: &[] })
}

/// Reads a file's text that may also refer to things which are not in it.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read_with(text: &str, path: &str, outside: &Outside<'_>) -> Result<Config, Problems> {
    let mut problems = Problems::new();
    // The second pass sees the same text, so what aliases and tags did wrong is told by the first alone.
    let Some(root) = yaml::document(text, "monitors", &mut problems, &mut |_, _, _| {}) else {
        return Err(problems);
    };
    let dir = std::path::Path::new(path).parent().map_or_else(PathBuf::new, PathBuf::from);
    let sources = Sources { env: outside.env, dir };
    let Some((mut config, channels)) = sections(&root, path, &sources, outside, &mut problems) else {
        return Err(problems);
    };
    monitors(text, &mut config, &channels, &mut problems);
    twins(&config.monitors, &mut problems);
    if !problems.is_fine() {
        return Err(problems);
    }
    config.hash = hash(text);
    config.warnings = problems;
    Ok(config)
}

/// Reads a text that was accepted before: everything but the monitors, which are in the store already. A million of
/// them take seconds to read, and a restart should not wait for what it knows.
///
/// # Errors
/// What is wrong with the rest now: a secret that is gone from the environment.
pub fn read_known(text: &str, path: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, Problems> {
    let mut problems = Problems::new();
    let outside = Outside { env, channels: &[] };
    let dir = std::path::Path::new(path).parent().map_or_else(PathBuf::new, PathBuf::from);
    let sources = Sources { env, dir };
    let read = yaml::document(text, "monitors", &mut problems, &mut |_, _, _| {})
        .and_then(|root| sections(&root, path, &sources, &outside, &mut problems));
    match read {
        Some((mut config, _)) if problems.is_fine() => {
            config.hash = hash(text);
            Ok(config)
        }
        Some(_) | None => Err(problems),
    }
}

/// SHA-256 in hex: tells whether a file is the one that was accepted.
#[must_use]
pub fn hash(text: &str) -> String {
    use std::fmt::Write as _;
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Everything but the monitors, and the names of all channels, those with mistakes included. `None` where the document
/// has not even the form of one.
fn sections(
    root: &Node<'_>,
    path: &str,
    sources: &Sources<'_>,
    outside: &Outside<'_>,
    problems: &mut Problems,
) -> Option<(Config, Vec<String>)> {
    form(root, problems)?;
    let top = Path::Root;
    for (key, node) in pairs(root, &top, "", problems)? {
        let known = TOP.iter().any(|setting| setting.name == key.text);
        // `x-…` holds what is only there to be referred to by aliases.
        if !known && !key.text.starts_with("x-") {
            unknown_section(&key.text, key.span, problems);
        }
        if key.text == "monitors" && !matches!(node.value, Value::Sequence(_)) {
            let message = format!("`monitors` must be a list, not {}", node.describe());
            problems.error(
                &top.key("monitors"),
                key.span,
                "wrong_type",
                message,
                "begin each monitor with `- name: …`",
            );
        }
    }
    let at = |key: &'static str| {
        let node = root.get(key).filter(|node| !node.is_null())?;
        Some(At { node, path: Path::Key(&Path::Root, key), key })
    };
    let mut names = outside.channels.to_vec();
    for key in ["name", "id"] {
        names.extend(at("channels").map(|at| server::names_under(at.node, key)).unwrap_or_default());
    }
    let locations = at("locations").map(|at| server::locations(&at, problems)).unwrap_or_default();
    let cx = Context { locations: &locations, channels: &names };
    let defaults = match at("defaults").filter(|at| !at.node.is_blank()) {
        Some(at) => Defaults::read(at.node, &at.path, &cx, problems),
        None => Defaults::default(),
    };
    let server = at("server").map(|at| Server::read(at.node, &at.path, &names, sources, problems));
    let channels = at("channels").map(|at| channels::read(at.node, &at.path, sources, problems));
    let config = Config {
        path: path.to_owned(),
        hash: String::new(),
        server: server.unwrap_or_default(),
        defaults,
        resolvers: at("resolvers").map(|at| server::resolvers(&at, problems)).filter(|list| !list.is_empty()),
        anchors: at("anchors").map(|at| server::anchors(&at, problems)).unwrap_or_default(),
        channels: channels.unwrap_or_default(),
        locations,
        monitors: Vec::new(),
        warnings: Problems::new(),
    };
    Some((config, names))
}

/// Whether the document looks like one of ours at all; if not, the likely mistake is named alone.
fn form(root: &Node<'_>, problems: &mut Problems) -> Option<()> {
    const EXAMPLE: &str = "the least is `monitors: [{name: ssh, host: 127.0.0.1, port: 22}]`";
    let (code, message, remedy) = match &root.value {
        Value::Mapping(_) if root.get("monitors").is_some() => return Some(()),
        Value::Mapping(all)
            if all.iter().any(|(key, _)| matches!(key.text.as_ref(), "host" | "monitor_type" | "port")) =>
        {
            (
                "missing",
                "a monitor stands at the top level".to_owned(),
                "write `monitors:` in a line above it, and begin it with `- ` under that",
            )
        }
        Value::Mapping(_) => ("missing", "there is no `monitors:`".to_owned(), EXAMPLE),
        Value::Sequence(_) => (
            "wrong_type",
            "a list stands at the top level".to_owned(),
            "write `monitors:` in a line above it",
        ),
        Value::Scalar(..) if root.is_blank() || root.is_null() => {
            ("missing", "the file is empty".to_owned(), EXAMPLE)
        }
        Value::Scalar(..) => ("wrong_type", format!("the file holds only {}", root.describe()), EXAMPLE),
    };
    let span = quaywatch_core::doc::Span {
        line: root.span.line.max(1),
        column: root.span.column.max(1),
        ..root.span
    };
    problems.error(&Path::Root, span, code, message, remedy);
    // Without monitors the other sections can still be read, and their mistakes be told.
    matches!(root.value, Value::Mapping(_)).then_some(())
}

fn unknown_section(word: &str, span: quaywatch_core::doc::Span, problems: &mut Problems) {
    let synonyms = [
        ("hosts", "monitors"),
        ("checks", "monitors"),
        ("targets", "monitors"),
        ("dns", "resolvers"),
        ("alerts", "channels"),
        ("notifications", "channels"),
        ("global", "defaults"),
        ("regions", "locations"),
    ];
    let meant = closest(word, TOP.iter().map(|setting| setting.name))
        .or_else(|| synonyms.iter().find(|(theirs, _)| *theirs == word).map(|(_, ours)| *ours));
    let remedy = if let Some(meant) = meant {
        format!("did you mean `{meant}`?")
    } else if super::settings::SERVER.iter().any(|setting| setting.name == word) {
        "it belongs under `server:`".to_owned()
    } else if fields::by_name(word).is_some_and(|field| field.in_defaults) {
        "it belongs to a monitor, or under `defaults:`".to_owned()
    } else {
        format!("the sections are {}", words(TOP))
    };
    problems.error(
        &Path::Root.key(word),
        span,
        "unknown_key",
        format!("unknown section {}", quote(word)),
        remedy,
    );
}

/// The monitors, into `config`. `channels` are the names that they may use.
fn monitors(text: &str, config: &mut Config, channels: &[String], problems: &mut Problems) {
    let (mut found, mut load) = (Vec::new(), Load::new(&config.server));
    let cx = Context { locations: &config.locations, channels };
    let path = Path::Root.key("monitors");
    let mut unheard = Problems::new();
    yaml::document(text, "monitors", &mut unheard, &mut |index, node, _| {
        let item = path.index(index);
        MonitorSpec::read_all(node, &item, &config.defaults, &cx, problems, &mut |spec| {
            load.add(&spec, found.len());
            found.push(MonitorConfig {
                id: spec.key.as_deref().map(Into::into),
                name: spec.name.as_str().into(),
                spec: spec.to_canonical().into_boxed_str(),
                span: node.span,
            });
        });
    });
    load.warn(&found, problems);
    config.monitors = found;
}

/// Monitors that would share one history.
fn twins(monitors: &[MonitorConfig], problems: &mut Problems) {
    let mut order: Vec<usize> = (0..monitors.len()).collect();
    order.sort_unstable_by(|a, b| monitors[*a].key().cmp(monitors[*b].key()).then(a.cmp(b)));
    for same in order.chunk_by(|a, b| monitors[*a].key() == monitors[*b].key()) {
        for twin in &same[1..] {
            let (first, twin) = (&monitors[same[0]], &monitors[*twin]);
            let key = quote(twin.key());
            let message = if first.span == twin.span {
                format!("this entry makes two monitors called {key}")
            } else {
                format!("two monitors are called {key} (the first in line {})", first.span.line)
            };
            let remedy = "give one another `name`, or an `id` of its own";
            problems.error(&Path::Root.key("monitors"), twin.span, "duplicate_name", message, remedy);
        }
    }
}
