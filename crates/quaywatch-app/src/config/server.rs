//! The settings of the server itself, and of its surroundings: resolvers, anchors, locations.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use quaywatch_core::Secret;
use quaywatch_core::doc::{Node, Path, Problems, Style, Value, quote};
use quaywatch_core::egress::{Accounts, EgressPolicy, Network};
use quaywatch_core::spec::MonitorSpec;
use quaywatch_core::spec::values::At;
use quaywatch_store::records::Retention;

use super::plans::Plans;
use super::secrets::{Sources, is_reference};
use super::settings::{EGRESS, METRICS, RETENTION, SERVER, TARGET_BUDGET, section};
use super::sign_in::SignIn;

/// `server:`, defaults filled in where the file alone decides; what flags and environment may override stays open.
#[derive(Debug, Clone)]
pub struct Server {
    /// Where to listen.
    pub listen: Option<SocketAddr>,
    /// Where to keep everything.
    pub data_dir: Option<PathBuf>,
    /// One owner or many.
    pub accounts: Accounts,
    /// The beginning of every link, without a slash at the end.
    pub public_url: Option<String>,
    /// Whose word about the client's address is believed.
    pub trusted_proxies: Vec<Network>,
    /// Requests that one caller may make.
    pub requests_per_second: u32,
    /// What notices call this server.
    pub name: Option<String>,
    /// How to log.
    pub log_format: Option<LogFormat>,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub log_level: Option<&'static str>,
    /// How long to keep what.
    pub retention: Retention,
    /// Who hears of the server's own trouble; empty: every channel.
    pub operator_channels: Vec<String>,
    /// What may be dialled.
    pub egress: EgressPolicy,
    /// For how many monitors `/metrics` shows series.
    pub monitor_series: usize,
    /// What `/metrics` asks for off loopback.
    pub metrics_token: Option<Secret<String>>,
    /// How people sign in.
    pub sign_in: SignIn,
    /// Connections a second to one address and port.
    pub target_per_port: u32,
    /// Connections a second to one address.
    pub target_per_address: u32,
    /// What accounts may have.
    pub plans: Plans,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines.
    Json,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: None,
            data_dir: None,
            accounts: Accounts::Single,
            public_url: None,
            trusted_proxies: Vec::new(),
            requests_per_second: 100,
            name: None,
            log_format: None,
            log_level: None,
            retention: Retention::default(),
            operator_channels: Vec::new(),
            egress: EgressPolicy::default(),
            monitor_series: 1_000,
            metrics_token: None,
            sign_in: SignIn::default(),
            target_per_port: 20,
            target_per_address: 100,
            plans: Plans::default(),
        }
    }
}

impl Server {
    pub(super) fn read(
        node: &Node<'_>,
        path: &Path<'_>,
        channels: &[String],
        sources: &Sources<'_>,
        problems: &mut Problems,
    ) -> Self {
        let mut server = Self::default();
        let (mut allow, mut deny) = (Vec::new(), Vec::new());
        section(node, path, SERVER, problems, &mut |name, at, p| match name {
            "listen" => server.listen = listen(at, p),
            "data_dir" => server.data_dir = at.line(p, 4_000).map(PathBuf::from),
            "accounts" => {
                let words = [("single", Accounts::Single), ("multi", Accounts::Multi)];
                server.accounts = at.word(p, &words).unwrap_or_default();
            }
            "public_url" => server.public_url = public_url(at, p),
            "trusted_proxies" => server.trusted_proxies = networks(at, p),
            "requests_per_second" => {
                if let Some(number) = count(at, p, 1, 1_000_000) {
                    server.requests_per_second = number;
                }
            }
            "name" => server.name = at.line(p, 100),
            "log_format" => {
                server.log_format = at.word(p, &[("text", LogFormat::Text), ("json", LogFormat::Json)]);
            }
            "log_level" => server.log_level = at.word(p, &LEVELS),
            "retention" => server.retention = retention(at, p),
            "operator_channels" => server.operator_channels = operators(at, channels, p),
            "egress" => section(at.node, &at.path, EGRESS, p, &mut |name, at, p| match name {
                "allow" => allow = networks(at, p),
                "deny" => deny = networks(at, p),
                other => unreachable!("`{other}` is in the table but nobody reads it"),
            }),
            "metrics" => server.metrics(at, sources, p),
            "target_budget" => server.target_budget(at, p),
            "sessions" => server.sign_in.sessions(at, p),
            "oidc" => server.sign_in.oidc(at, sources, p),
            "plans" => server.plans.read(at, p),
            "default_plan" => {}
            other => unreachable!("`{other}` is in the table but nobody reads it"),
        });
        server.egress = EgressPolicy::new(server.accounts, allow, deny);
        if let Some(named) = node.get("default_plan").filter(|node| !node.is_null()) {
            let at = At { node: named, path: path.key("default_plan"), key: "default_plan" };
            server.plans.read_default(&at, problems);
        }
        server
    }

    fn metrics(&mut self, at: &At<'_, '_>, sources: &Sources<'_>, problems: &mut Problems) {
        section(at.node, &at.path, METRICS, problems, &mut |name, at, p| match name {
            "monitor_series" => {
                if let Some(number) = count(at, p, 0, 1_000_000) {
                    self.monitor_series = number as usize;
                }
            }
            "token" => self.metrics_token = secret(at, sources, p).map(Secret::new),
            other => unreachable!("`{other}` is in the table but nobody reads it"),
        });
    }

    fn target_budget(&mut self, at: &At<'_, '_>, problems: &mut Problems) {
        section(at.node, &at.path, TARGET_BUDGET, problems, &mut |name, at, p| {
            let Some(number) = count(at, p, 1, 1_000_000) else { return };
            match name {
                "per_port" => self.target_per_port = number,
                "per_address" => self.target_per_address = number,
                other => unreachable!("`{other}` is in the table but nobody reads it"),
            }
        });
    }
}

const LEVELS: [(&str, &str); 5] =
    [("error", "error"), ("warn", "warn"), ("info", "info"), ("debug", "debug"), ("trace", "trace")];

/// A whole number that may be larger than a port.
pub(super) fn count(at: &At<'_, '_>, problems: &mut Problems, least: u32, most: u32) -> Option<u32> {
    let number =
        at.scalar().and_then(|(text, _)| text.parse::<u32>().ok()).filter(|n| (least..=most).contains(n));
    if number.is_none() {
        at.wrong_type(
            problems,
            format!("a whole number from {least} to {most}"),
            format!("write a number such as `{}: 100`", at.key),
        );
    }
    number
}

/// A secret that must be written as a reference: what the server reads is kept in its store.
pub(super) fn secret(at: &At<'_, '_>, sources: &Sources<'_>, problems: &mut Problems) -> Option<String> {
    let scheme =
        at.scalar().and_then(|(text, _)| ["Bearer ", "Basic "].into_iter().find(|s| text.starts_with(s)));
    let form = match scheme {
        Some(scheme) => format!("write `{}: {scheme}${{NAME}}` and set NAME in the environment", at.key),
        None => {
            format!("write `{0}: ${{NAME}}` and set NAME in the environment, or `{0}: file:PATH`", at.key)
        }
    };
    let Some((text, _)) = at.scalar().filter(|(text, _)| !text.trim().is_empty()) else {
        let message = format!("`{}` must be a reference to a secret", at.key);
        at.error(problems, "clear_secret", message, form);
        return None;
    };
    if !is_reference(text) {
        let message = format!("`{}` holds the secret itself; the file must only say where it is", at.key);
        at.error(problems, "clear_secret", message, form);
        return None;
    }
    match sources.resolve(text) {
        Ok(value) => Some(value),
        Err(e) => {
            at.error(problems, "unresolved", format!("`{}`: {}", at.key, e.message), e.advice());
            None
        }
    }
}

fn listen(at: &At<'_, '_>, problems: &mut Problems) -> Option<SocketAddr> {
    let text = at.line(problems, 100)?;
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let port = text.rsplit(':').next().and_then(|p| p.parse::<u16>().ok());
    let remedy = match (text.as_str(), port) {
        (t, Some(port)) if t.starts_with("localhost:") => format!("write `listen: 127.0.0.1:{port}`"),
        (t, Some(port)) if t == format!(":{port}") || t == format!("*:{port}") || t == port.to_string() => {
            format!("write `listen: 127.0.0.1:{port}`, or `listen: '[::]:{port}'` for every address")
        }
        _ => "write an address and a port, such as `127.0.0.1:8080` or `'[::1]:8080'`".to_owned(),
    };
    let message = format!("`{}` is {}, which is no address with a port", at.key, quote(&text));
    at.error(problems, "bad_address", message, remedy);
    None
}

fn public_url(at: &At<'_, '_>, problems: &mut Problems) -> Option<String> {
    let text = at.line(problems, 1_000)?;
    let fits =
        |url: &url::Url| matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none();
    if url::Url::parse(&text).as_ref().is_ok_and(fits) {
        return Some(text.trim_end_matches('/').to_owned());
    }
    let message = format!("`{}` is {}, which is no web address", at.key, quote(&text));
    at.error(problems, "bad_url", message, "write it whole, such as `https://watch.example.com`");
    None
}

fn retention(at: &At<'_, '_>, problems: &mut Problems) -> Retention {
    const DAY: Duration = Duration::from_secs(86_400);
    let mut kept = Retention::default();
    // A month is no whole number of days: what is asked for is kept, not a day less.
    let days = |at: &At<'_, '_>, p: &mut Problems| {
        let asked = at.duration(p, &(DAY..=36_525 * DAY))?;
        Some(DAY * u32::try_from(asked.as_secs().div_ceil(DAY.as_secs())).unwrap_or(u32::MAX))
    };
    section(at.node, &at.path, RETENTION, problems, &mut |name, at, p| match name {
        "raw" => kept.raw = days(at, p).unwrap_or(kept.raw),
        "hourly" => kept.hourly = days(at, p).unwrap_or(kept.hourly),
        "daily" if at.scalar().is_some_and(|(text, _)| matches!(text, "forever" | "for ever")) => {
            kept.daily = None;
        }
        "daily" => kept.daily = days(at, p),
        "bin" => kept.bin = days(at, p).unwrap_or(kept.bin),
        other => unreachable!("`{other}` is in the table but nobody reads it"),
    });
    kept
}

fn operators(at: &At<'_, '_>, channels: &[String], problems: &mut Problems) -> Vec<String> {
    let names = at.names(problems, "[ops]", 50).unwrap_or_default();
    for (name, span) in &names {
        if !channels.contains(name) {
            let meant = quaywatch_core::doc::closest(name, channels.iter().map(String::as_str));
            let remedy = meant.map_or_else(
                || "declare it under top-level `channels:`".to_owned(),
                |meant| format!("did you mean `{meant}`?"),
            );
            problems.error(
                &at.path,
                *span,
                "undeclared",
                format!("channel {} does not exist", quote(name)),
                remedy,
            );
        }
    }
    names.into_iter().map(|(name, _)| name).collect()
}

fn networks(at: &At<'_, '_>, problems: &mut Problems) -> Vec<Network> {
    let names = at.names(problems, "[10.0.0.0/8]", 10_000).unwrap_or_default();
    let mut networks = Vec::with_capacity(names.len());
    for (name, span) in names {
        match name.parse() {
            Ok(network) => networks.push(network),
            Err(_) => problems.error(
                &at.path,
                span,
                "bad_network",
                format!("{} is no network", quote(&name)),
                "write an address and how many of its bits count, such as `10.0.0.0/8` or `fe80::/10`",
            ),
        }
    }
    networks
}

/// `resolvers:` addresses of name servers, port 53 where none is given.
pub(super) fn resolvers(at: &At<'_, '_>, problems: &mut Problems) -> Vec<SocketAddr> {
    addresses(at, problems, Some(53), "[192.0.2.53, 198.51.100.53]")
}

/// `anchors:` addresses with ports.
pub(super) fn anchors(at: &At<'_, '_>, problems: &mut Problems) -> Vec<SocketAddr> {
    addresses(at, problems, None, "[192.0.2.1:443]")
}

fn addresses(at: &At<'_, '_>, problems: &mut Problems, port: Option<u16>, form: &str) -> Vec<SocketAddr> {
    let names = at.names(problems, form, 64).unwrap_or_default();
    let mut found = Vec::with_capacity(names.len());
    for (name, span) in names {
        let bare =
            name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).unwrap_or(&name).parse::<IpAddr>();
        match (name.parse(), bare, port) {
            (Ok(address), ..) => found.push(address),
            (Err(_), Ok(ip), Some(port)) => found.push(SocketAddr::new(ip, port)),
            (Err(_), Ok(ip), None) => {
                let remedy =
                    format!("write a port that answers there, such as `{}`", SocketAddr::new(ip, 443));
                problems.error(
                    &at.path,
                    span,
                    "bad_address",
                    format!("{} has no port", quote(&name)),
                    remedy,
                );
            }
            (Err(_), Err(_), _) => {
                let message = format!("{} is no address", quote(&name));
                let remedy = format!(
                    "names cannot stand here, they would need what is being set up: write `{}: {form}`",
                    at.key
                );
                problems.error(&at.path, span, "bad_address", message, remedy);
            }
        }
    }
    found
}

/// `locations:` names of places, without `local`, which is always there.
pub(super) fn locations(at: &At<'_, '_>, problems: &mut Problems) -> Vec<String> {
    let names = at.names(problems, "[us-east, eu-west]", 2_047).unwrap_or_default();
    let mut found = Vec::with_capacity(names.len());
    for (name, span) in names {
        let fits = name.len() <= 64 && name.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c));
        if !fits {
            let remedy = "use up to 64 letters, digits, `-`, `_` and `.`, such as `us-east`";
            problems.error(
                &at.path,
                span,
                "bad_name",
                format!("{} cannot be the name of a location", quote(&name)),
                remedy,
            );
        }
        if name != MonitorSpec::LOCAL {
            found.push(name);
        }
    }
    found
}

/// Names under a list's key, right or wrong: so that one mistake in a channel does not make every monitor that names
/// it look wrong.
pub(super) fn names_under(node: &Node<'_>, key: &str) -> Vec<String> {
    let Value::Sequence(items) = &node.value else { return Vec::new() };
    let name = |item: &Node<'_>| match item.get(key).map(|node| &node.value) {
        Some(Value::Scalar(text, Style::Plain | Style::Quoted)) => Some(text.trim().to_owned()),
        Some(Value::Mapping(_) | Value::Sequence(_)) | None => None,
    };
    items.iter().filter_map(name).collect()
}
