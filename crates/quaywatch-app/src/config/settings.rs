//! The settings of the file beside monitors and channels, as data: what is read, what is suggested for an unknown
//! word, and what the reference says. And how a section of such settings is read.

use quaywatch_core::doc::{Node, Path, Problems, closest, pairs, quote};
use quaywatch_core::spec::values::At;

/// One setting of a section.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name.
    pub name: &'static str,
    /// What kind of value it takes.
    pub kind: &'static str,
    /// What holds when it is not given.
    pub default: &'static str,
    /// What it does.
    pub doc: &'static str,
}

const fn setting(
    name: &'static str,
    kind: &'static str,
    default: &'static str,
    doc: &'static str,
) -> Setting {
    Setting { name, kind, default, doc }
}

/// The top level.
pub const TOP: &[Setting] = &[
    setting("server", "mapping", "", "The server itself."),
    setting("defaults", "mapping", "", "Settings of every monitor that does not say otherwise."),
    setting(
        "resolvers",
        "list of addresses",
        "the system's",
        "Name servers: `[192.0.2.53, '[2001:db8::53]:53']`.",
    ),
    setting(
        "anchors",
        "list of addresses with ports",
        "none",
        "Addresses that answer whenever this server's own network is well, beside the default gateway and the resolvers: `[192.0.2.1:443]`.",
    ),
    setting(
        "locations",
        "list of names",
        "none",
        "Places other than `local` from which monitors may be checked.",
    ),
    setting("channels", "list", "none", "Where notices go."),
    setting("monitors", "list", "required", "What is watched."),
];

/// `server:`
pub const SERVER: &[Setting] = &[
    setting(
        "listen",
        "address with port",
        "`127.0.0.1:8080`",
        "Where pages, the API, metrics and health are served.",
    ),
    setting(
        "data_dir",
        "path",
        "`./data`",
        "Where everything is kept; relative to the directory in which the server is started.",
    ),
    setting(
        "accounts",
        "word",
        "`single`",
        "`single`: one owner, who may watch private addresses. `multi`: accounts other than the first reach public addresses only.",
    ),
    setting(
        "public_url",
        "web address",
        "none",
        "Where people reach this server: the beginning of every link in a notice.",
    ),
    setting(
        "trusted_proxies",
        "list of networks",
        "none",
        "Whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed: the proxies before this server.",
    ),
    setting(
        "requests_per_second",
        "number",
        "`100`",
        "Requests to API and pages that one caller may make; ten times as many at once.",
    ),
    setting("name", "text", "the machine's name", "What notices call this server."),
    setting("log_format", "word", "`text`", "`text` or `json`."),
    setting("log_level", "word", "`info`", "`error`, `warn`, `info`, `debug` or `trace`."),
    setting("retention", "mapping", "", "How long results are kept."),
    setting(
        "operator_channels",
        "list of channels",
        "every channel",
        "Who is told when the server itself cannot see or cannot tell.",
    ),
    setting("egress", "mapping", "", "Which addresses may be dialled."),
    setting("metrics", "mapping", "", "What `/metrics` shows and to whom."),
    setting("target_budget", "mapping", "", "How often one target may be dialled."),
    setting("sessions", "mapping", "", "How long people stay signed in."),
    setting(
        "oidc",
        "mapping of providers by name",
        "none",
        "Who else may say who somebody is (OpenID Connect).",
    ),
    setting("plans", "mapping of plans by name", "none", "What accounts may have."),
    setting(
        "default_plan",
        "name of a plan",
        "no limits",
        "The plan of accounts that none names: also of the first, on a server with one owner.",
    ),
];

/// One plan under `server.plans:`
pub const PLAN: &[Setting] = &[
    setting("max_urls", "number", "no limit", "Monitors; those of every kind count the same."),
    setting("min_interval", "duration", "no limit", "The shortest `check_interval`."),
    setting("locations", "list of locations", "all", "From where monitors may be checked."),
    setting("channels", "number", "no limit", "Channels."),
    setting("retention", "duration", "the server's", "How far back raw results are shown."),
    setting("status_pages", "number", "no limit", "Status pages."),
    setting("accounts", "list of accounts", "none", "Who has this plan, by name or id (`a7`)."),
];

/// `server.sessions:`
pub const SESSIONS: &[Setting] = &[
    setting("idle", "duration", "`14 days`", "A session that is not used for this long has ended."),
    setting("absolute", "duration", "`90 days`", "A session ends after this, however much it is used."),
];

/// One provider under `server.oidc:`
pub const OIDC: &[Setting] = &[
    setting("issuer", "web address", "required", "As it stands in the provider's discovery document."),
    setting("client_id", "text", "required", "What the provider calls this server."),
    setting(
        "client_secret",
        "reference to a secret",
        "none",
        "The secret that the provider gave this server.",
    ),
    setting(
        "new_members",
        "word",
        "refused",
        "What people become in the first account who are not known yet: `viewer`, `responder`, `editor` or `admin`.",
    ),
    setting("domains", "list of domains", "all", "Only verified addresses of these: `[example.com]`."),
];

/// `server.retention:`
pub const RETENTION: &[Setting] = &[
    setting("raw", "duration", "`30 days`", "Every single result."),
    setting("hourly", "duration", "`13 months`", "Summaries by the hour."),
    setting("daily", "duration or `forever`", "`forever`", "Summaries by the day."),
    setting(
        "bin",
        "duration",
        "`30 days`",
        "Monitors taken out of the file, with their history; the log of deliveries.",
    ),
];

/// `server.egress:`
pub const EGRESS: &[Setting] = &[
    setting(
        "allow",
        "list of networks",
        "none",
        "Allowed although the default forbids it: `[fe80::/10, 10.0.0.0/8]`.",
    ),
    setting("deny", "list of networks", "none", "Forbidden: `[203.0.113.0/24]`. Wins over `allow`."),
];

/// `server.metrics:`
pub const METRICS: &[Setting] = &[
    setting("monitor_series", "number", "`1000`", "For how many monitors single series are shown."),
    setting(
        "token",
        "reference to a secret",
        "none",
        "Asked for as `Authorization: Bearer …` where `/metrics` is reached other than on loopback.",
    ),
];

/// `server.target_budget:`
pub const TARGET_BUDGET: &[Setting] = &[
    setting("per_port", "number", "`20`", "Connections a second to one address and port."),
    setting("per_address", "number", "`100`", "Connections a second to one address."),
];

/// Every channel has these; the others belong to its type.
pub const CHANNEL: &[Setting] = &[
    setting("name", "text", "required", "What monitors call it."),
    setting("id", "text", "the name", "An identity of its own, so that the name can be changed."),
    setting("type", "word", "required", "What kind of channel it is."),
];

/// Reads a mapping of known settings; `read` gets each with its name.
pub fn section(
    node: &Node<'_>,
    path: &Path<'_>,
    known: &[Setting],
    problems: &mut Problems,
    read: &mut dyn FnMut(&str, &At<'_, '_>, &mut Problems),
) {
    if node.is_blank() || node.is_null() {
        return;
    }
    let form = format!("its settings are {}", words(known));
    let Some(pairs) = pairs(node, path, &form, problems) else { return };
    for (key, value) in pairs {
        let at = At { node: value, path: path.key(&key.text), key: &key.text };
        if !known.iter().any(|setting| setting.name == key.text) {
            let meant = closest(&key.text.replace('-', "_"), known.iter().map(|s| s.name));
            let remedy = meant.map_or_else(|| form.clone(), |meant| format!("did you mean `{meant}`?"));
            problems.error(
                &at.path,
                key.span,
                "unknown_key",
                format!("unknown setting {}", quote(&key.text)),
                remedy,
            );
        } else if !value.is_null() {
            read(&key.text, &at, problems);
        }
    }
}

/// `a`, `b` and `c`
#[must_use]
pub fn words(known: &[Setting]) -> String {
    let words: Vec<String> = known.iter().map(|setting| format!("`{}`", setting.name)).collect();
    quaywatch_core::spec::values::alternatives(&words, "and")
}
