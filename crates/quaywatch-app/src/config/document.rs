//! A document of an account: monitors and channels in the form of the server's file, brought by a call and not by the
//! server's owner. So it declares nothing of the server's own, and reads neither its environment nor its files.

use quaywatch_core::MonitorSpec;
use quaywatch_core::doc::{Node, Path, Problems, Value, pairs, quote};
use quaywatch_core::spec::values::At;
use quaywatch_core::spec::{Context, Defaults, Keeper};

use super::file::{Named, form, monitors, unknown_section};
use super::server::{self, Server};
use super::{Config, MonitorConfig, yaml};

/// What a document of an account may refer to but does not hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct Around {
    /// Declared locations.
    pub(crate) locations: Vec<String>,
    /// Names, keys and ids of channels.
    pub(crate) channels: Vec<String>,
}

/// A document of an account: monitors and channels, and nothing of the server's own.
pub(crate) struct Document<'t> {
    /// `channels:`, one node each, for whoever knows what is stored of their secrets.
    pub(crate) channels: Vec<Node<'t>>,
    /// `monitors:`, lists and ranges expanded.
    pub(crate) monitors: Vec<MonitorConfig>,
    /// What works but is probably not meant, and what is wrong.
    pub(crate) problems: Problems,
}

/// Reads a document of an account. The same form as the server's file; what belongs to the server alone is refused.
/// Where the text is no document at all, only its problems come back.
pub(crate) fn read_document<'t>(text: &'t str, around: &Around, keeper: &dyn Keeper) -> Document<'t> {
    let mut document = Document { channels: Vec::new(), monitors: Vec::new(), problems: Problems::new() };
    let problems = &mut document.problems;
    let Some(root) = yaml::document(text, "monitors", problems, &mut |_, _, _| {}) else { return document };
    if form(&root, problems).is_none() {
        return document;
    }
    expect_sections(&root, problems);
    let at = |key: &'static str| {
        let node = root.get(key).filter(|node| !node.is_null())?;
        Some(At { node, path: Path::Key(&Path::Root, key), key })
    };
    if let Some(at) = at("locations") {
        undeclared_locations(&at, &around.locations, problems);
    }
    let mut names = around.channels.clone();
    for key in ["name", "id"] {
        names.extend(at("channels").map(|at| server::names_under(at.node, key)).unwrap_or_default());
    }
    let cx = Context { locations: &around.locations, channels: &names, keeper };
    let defaults = match at("defaults").filter(|at| !at.node.is_blank()) {
        Some(at) => Defaults::read(at.node, &at.path, &cx, problems),
        None => Defaults::default(),
    };
    match root.get("channels").map(|node| &node.value) {
        Some(Value::Sequence(items)) => document.channels.clone_from(items),
        Some(Value::Scalar(..) | Value::Mapping(_)) => {
            let _ = at("channels").map(|at| at.items(problems, "[{name: ops, type: log}]").map(drop));
        }
        None => {}
    }
    let mut config = Config {
        path: String::new(),
        hash: String::new(),
        server: Server::default(),
        defaults,
        resolvers: None,
        anchors: Vec::new(),
        locations: around.locations.clone(),
        channels: Vec::new(),
        monitors: Vec::new(),
        warnings: Problems::new(),
    };
    let mut unheard = Problems::new();
    let named = Named { channels: &names, keeper };
    let _ = monitors(text, &mut config, &named, problems, &mut unheard);
    document.monitors = config.monitors;
    document
}

/// A document declares no locations; it may name those that there are.
fn undeclared_locations(at: &At<'_, '_>, known: &[String], problems: &mut Problems) {
    for (name, span) in at.names(problems, "[us-east]", 2_047).unwrap_or_default() {
        if name != MonitorSpec::LOCAL && !known.contains(&name) {
            let message = format!("this server has no location {}", quote(&name));
            let remedy = "declare it under `locations:` in the server's own file";
            problems.error(&at.path, span, "undeclared", message, remedy);
        }
    }
}

/// Only what belongs to an account.
fn expect_sections(root: &Node<'_>, problems: &mut Problems) {
    let top = Path::Root;
    for (key, node) in pairs(root, &top, "", problems).unwrap_or_default() {
        match key.text.as_ref() {
            "server" | "resolvers" | "anchors" => {
                let message = format!("`{}` belongs to the server's own file", key.text);
                problems.error(
                    &top.key(&key.text),
                    key.span,
                    "not_here",
                    message,
                    "take it out of this document",
                );
            }
            "monitors" if !matches!(node.value, Value::Sequence(_)) => {
                let message = format!("`monitors` must be a list, not {}", node.describe());
                let remedy = "begin each monitor with `- name: …`";
                problems.error(&top.key("monitors"), key.span, "wrong_type", message, remedy);
            }
            "monitors" | "channels" | "defaults" | "locations" => {}
            other if other.starts_with("x-") => {}
            other => unknown_section(other, key.span, problems),
        }
    }
}
