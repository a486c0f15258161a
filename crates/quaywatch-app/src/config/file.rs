//! The file as a whole. Sections may stand in any order, and monitors need all others; yet a million monitors must
//! never stand in memory as a tree. So sections are read first and monitors then, one by one.

use std::borrow::Cow;
use std::net::IpAddr;
use std::path::PathBuf;

use quaywatch_core::MonitorSpec;
use quaywatch_core::doc::{Node, Path, Problems, Span, Value, closest, pairs, quote};
use quaywatch_core::egress::{Egress, EgressPolicy};
use quaywatch_core::spec::values::At;
use quaywatch_core::spec::{Context, Defaults, Host, Keeper, fields};
use sha2::{Digest, Sha256};

use super::budget::Load;
use super::secrets::Sources;
use super::server::{self, Server};
use super::settings::{TOP, words};
use super::{Config, MonitorConfig, References, channels, plans, yaml};

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
    let dir = std::path::Path::new(path).parent().map_or_else(PathBuf::new, PathBuf::from);
    let reader = Reader { text, path, outside, sources: Sources { env: outside.env, dir } };
    let (config, problems) = reader.in_one_pass().unwrap_or_else(|| reader.in_two_passes());
    match config {
        Some(mut config) if problems.is_fine() => {
            config.hash = hash(text);
            config.warnings = problems;
            Ok(config)
        }
        Some(_) | None => Err(problems),
    }
}

/// Reading one text.
struct Reader<'r> {
    text: &'r str,
    path: &'r str,
    outside: &'r Outside<'r>,
    sources: Sources<'r>,
}

impl Reader<'_> {
    /// Sections first, wherever they stand, then monitors.
    fn in_two_passes(&self) -> (Option<Config>, Problems) {
        let mut problems = Problems::new();
        let root = yaml::document(self.text, "monitors", &mut problems, &mut |_, _, _| {});
        let Some((mut config, channels)) =
            root.and_then(|root| sections(&root, self.path, &self.sources, self.outside, &mut problems))
        else {
            return (None, problems);
        };
        // The second pass sees the same text, so what aliases and tags did wrong is told by the first alone.
        let mut unheard = Problems::new();
        let named = Named { channels: &channels, keeper: &References(&self.sources) };
        let _ = monitors(self.text, &mut config, &named, &mut problems, &mut unheard);
        (Some(config), problems)
    }

    /// Most files end with their monitors: then the sections can be read from what stands before them, and the whole
    /// is gone through once. `None` where that was a wrong guess.
    fn in_one_pass(&self) -> Option<(Option<Config>, Problems)> {
        let head = yaml::before_last(self.text, "monitors")?;
        let mut problems = Problems::new();
        let (mut config, channels) = sections(&head, self.path, &self.sources, self.outside, &mut problems)?;
        let mut of_yaml = Problems::new();
        let named = Named { channels: &channels, keeper: &References(&self.sources) };
        let root = monitors(self.text, &mut config, &named, &mut problems, &mut of_yaml)?;
        (root == head && of_yaml.is_fine()).then_some((Some(config), problems))
    }
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
    let read = yaml::before_last(text, "monitors")
        .or_else(|| yaml::document(text, "monitors", &mut problems, &mut |_, _, _| {}))
        .and_then(|root| sections(&root, path, &sources, &outside, &mut problems));
    match read {
        Some((mut config, _)) if problems.is_fine() => {
            config.hash = hash(text);
            Ok(config)
        }
        Some(_) | None => Err(problems),
    }
}

/// The data directory that a text names, also where other parts of it are wrong, or where it is YAML only up to some
/// line: a server must find what it knows in order to go on with it.
#[must_use]
pub fn data_dir(text: &str) -> Option<PathBuf> {
    let root = yaml::beginning(text);
    match &root.get("server")?.get("data_dir")?.value {
        Value::Scalar(path, _) if !path.trim().is_empty() => Some(PathBuf::from(path.trim())),
        Value::Scalar(..) | Value::Mapping(_) | Value::Sequence(_) => None,
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
        let under = at("channels").map(|at| server::names_under(at.node, key)).unwrap_or_default();
        names.extend(under.into_iter().filter(|name| !names.contains(name)).collect::<Vec<_>>());
    }
    let locations = at("locations").map(|at| server::locations(&at, problems)).unwrap_or_default();
    let cx = Context { locations: &locations, channels: &names, keeper: &References(sources) };
    let defaults = match at("defaults").filter(|at| !at.node.is_blank()) {
        Some(at) => Defaults::read(at.node, &at.path, &cx, problems),
        None => Defaults::default(),
    };
    let server = at("server").map(|at| Server::read(at.node, &at.path, &names, sources, problems));
    if let Some(plans) = at("server").and_then(|at| at.node.get("plans")) {
        plans::expect_declared(plans, &locations, problems);
    }
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
pub(super) fn form(root: &Node<'_>, problems: &mut Problems) -> Option<()> {
    const EXAMPLE: &str = "the least is `monitors: [{name: ssh, host: 127.0.0.1, port: 22}]`";
    let lonely = ["host", "monitor_type", "port"].iter().any(|key| root.get(key).is_some());
    let (code, message, remedy) = match &root.value {
        Value::Mapping(_) if root.get("monitors").is_some() => return Some(()),
        Value::Mapping(_) if lonely => (
            "missing",
            "a monitor stands at the top level".to_owned(),
            "write `monitors:` in a line above it, and begin it with `- ` under that",
        ),
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
    let span = Span { line: root.span.line.max(1), column: root.span.column.max(1), ..root.span };
    problems.error(&Path::Root, span, code, message, remedy);
    // Without monitors the other sections can still be read, and their mistakes be told.
    (matches!(root.value, Value::Mapping(_)) && !lonely).then_some(())
}

pub(super) fn unknown_section(word: &str, span: Span, problems: &mut Problems) {
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

/// What monitors of a document may name, and how their secrets are taken in.
pub(super) struct Named<'n> {
    /// Names and ids.
    pub(super) channels: &'n [String],
    pub(super) keeper: &'n dyn Keeper,
}

/// The monitors, into `config`. The tree of the rest comes back.
pub(super) fn monitors<'t>(
    text: &'t str,
    config: &mut Config,
    named: &Named<'_>,
    problems: &mut Problems,
    of_yaml: &mut Problems,
) -> Option<Node<'t>> {
    let (mut found, mut load) = (Vec::new(), Load::new(&config.server));
    let mut barred = Vec::new();
    let cx = Context { locations: &config.locations, channels: named.channels, keeper: named.keeper };
    let path = Path::Root.key("monitors");
    let root = yaml::document(text, "monitors", of_yaml, &mut |index, node, _| {
        let item = path.index(index);
        MonitorSpec::read_all(node, &item, &config.defaults, &cx, problems, &mut |spec| {
            load.add(&spec, found.len());
            if let Host::Ip(ip) = spec.host_and_port().0
                && let Egress::Denied { rule } = config.server.egress.judge(*ip)
            {
                barred.push((node.get("host").map_or(node.span, |host| host.span), *ip, rule));
            }
            found.push(MonitorConfig {
                id: spec.key.as_deref().map(Into::into),
                name: spec.name.as_str().into(),
                spec: spec.to_canonical().into_boxed_str(),
                span: node.span,
            });
        });
    });
    load.warn(&found, problems);
    warn_of_barred(&barred, problems);
    twins(&found, problems);
    config.monitors = found;
    root
}

/// Addresses that the egress policy will not let anybody dial.
fn warn_of_barred(barred: &[(Span, IpAddr, Cow<'static, str>)], problems: &mut Problems) {
    for (span, ip, rule) in barred {
        let message = format!("`{ip}` may not be dialled: {rule}");
        let remedy = if rule.starts_with("deny ") {
            "watch another address, or take this one out of `server.egress.deny`"
        } else if EgressPolicy::lenient().judge(*ip).is_allowed() {
            "allow it under `server.egress.allow`"
        } else {
            "watch another address; no setting allows this one"
        };
        problems.warning(&Path::Root.key("monitors"), *span, "never_dialled", message, remedy);
    }
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
