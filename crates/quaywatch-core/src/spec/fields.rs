//! The settings of a monitor as data: what the reader accepts, what it suggests for a word it does not know, and what
//! the reference says. A test holds the table and the reader together.

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its name, the same in the file, in the API and in forms.
    pub name: &'static str,
    /// What kind of value it takes.
    pub kind: &'static str,
    /// What holds when it is not given; `required` where something must be.
    pub default: &'static str,
    /// What is allowed; empty where the kind says it all.
    pub range: &'static str,
    /// What it does.
    pub doc: &'static str,
    /// Other names that are understood.
    pub aliases: &'static [&'static str],
    /// Whether `defaults:` may hold it.
    pub in_defaults: bool,
    /// Whether it is never shown.
    pub secret: bool,
}

const fn field(
    name: &'static str,
    kind: &'static str,
    default: &'static str,
    range: &'static str,
    doc: &'static str,
) -> Field {
    Field { name, kind, default, range, doc, aliases: &[], in_defaults: true, secret: false }
}

const fn own(field: Field) -> Field {
    Field { in_defaults: false, ..field }
}

const fn secret(field: Field) -> Field {
    Field { secret: true, ..own(field) }
}

const fn alias(field: Field, aliases: &'static [&'static str]) -> Field {
    Field { aliases, ..field }
}

/// Every setting of a monitor, in the order of the reference.
pub const FIELDS: &[Field] = &[
    own(field(
        "name",
        "text",
        "required",
        "1 to 200 characters",
        "What people call it. Unless there is an `id`, it is also what the monitor's history hangs on.",
    )),
    own(field(
        "id",
        "text",
        "the name",
        "1 to 200 characters",
        "An identity of its own, so that the name can be changed without losing history.",
    )),
    field("monitor_type", "word", "`tcp`", "`tcp`", "What kind of check it is."),
    own(alias(
        field(
            "host",
            "host",
            "required",
            "a name, an IPv4 or an IPv6 address",
            "What to dial: without scheme, port or path. IPv6 with or without brackets; international names work.",
        ),
        &["url"],
    )),
    own(field(
        "port",
        "number or service",
        "required",
        "1 to 65535",
        "The TCP port, or the name of a service (`postgresql`); `quaywatch ports` lists them.",
    )),
    own(field("hosts", "list of hosts", "none", "", "Instead of `host`: one monitor for each.")),
    own(field(
        "ports",
        "list",
        "none",
        "",
        "Instead of `port`: one monitor for each; numbers, services and ranges such as `8000-8010`.",
    )),
    own(field(
        "preset",
        "word or list",
        "none",
        "a service or one of `common`, `databases`, `mail`, `queues`, `web`",
        "Instead of `port`: the port of a service, or one monitor for each port of a set.",
    )),
    alias(field("check_interval", "duration", "`60s`", "1s to 24h", "From check to check."), &["period"]),
    alias(
        field(
            "timeout",
            "duration",
            "`10s`",
            "100ms to 120s",
            "From the first SYN to the end of the check. It may exceed the interval.",
        ),
        &["custom_timeout"],
    ),
    field(
        "dns_timeout",
        "duration",
        "`5s`",
        "100ms to 60s",
        "For looking the name up; not part of `timeout`.",
    ),
    field(
        "retry_interval",
        "duration",
        "5s, or the interval if that is shorter",
        "100ms to the interval",
        "How soon to look again while a failure (or a recovery) is unconfirmed.",
    ),
    field(
        "consecutive_failures_before_alert",
        "number",
        "`2`",
        "1 to 100",
        "Failed checks in a row before it counts as down; slow ones before it counts as degraded.",
    ),
    field(
        "consecutive_successes_before_recovery",
        "number",
        "`1`",
        "1 to 100",
        "Good checks in a row before it counts as up again.",
    ),
    field(
        "response_time_threshold",
        "duration",
        "none",
        "1ms to 120s",
        "A handshake slower than this is slow; as many in a row as the failure count make the monitor degraded.",
    ),
    field(
        "expectation",
        "word",
        "`open`",
        "`open`, `closed`, `filtered`",
        "What the port should be. `closed`: refused by the host. `filtered`: silent, or refused by a firewall.",
    ),
    field(
        "handshake",
        "word",
        "`half_open`; `full` with `send` or `expect`",
        "`half_open`, `full`",
        "`half_open`: the watched program never notices the check. `full`: the connection is completed, looked at for `settle`, and closed.",
    ),
    field(
        "settle",
        "duration",
        "`50ms` with `handshake: full`",
        "0 to 10s",
        "How long a completed connection is looked at: a proxy with a dead backend resets it in that time. 0 turns the look off. Not with `expect`.",
    ),
    field(
        "send",
        "text with escapes",
        "none",
        "1 to 4096 bytes",
        "Bytes to send once connected: `\\r`, `\\n`, `\\t`, `\\0`, `\\\\`, `\\\"`, `\\xNN`.",
    ),
    secret(field(
        "send_secret",
        "secret text with escapes",
        "none",
        "1 to 4096 bytes",
        "Instead of `send`, where the bytes hold a password: sealed where it is stored, and never shown again.",
    )),
    field("expect", "regular expression", "none", "over at most 4 KiB", "What the first answer must match."),
    field("ip_family", "word", "`any`", "`any`, `ipv4`, `ipv6`", "Which addresses of a name may be dialled."),
    field(
        "addresses",
        "word",
        "`first`",
        "`first`, `all`",
        "`first`: the first address that answers decides. `all`: every address is dialled; a dead one is a finding.",
    ),
    field(
        "locations",
        "list of locations",
        "`[local]`",
        "declared under top-level `locations:`",
        "From where it is checked; `local` is the server itself.",
    ),
    field(
        "locations_down_before_alert",
        "number",
        "a majority",
        "1 to 100",
        "How many locations must see it down. At most as many count as have a fresh verdict.",
    ),
    field(
        "alert_on_failure",
        "true or false",
        "`true`",
        "",
        "`false`: incidents are recorded, nobody is told.",
    ),
    field(
        "alert_before_first_success",
        "true or false",
        "`true`",
        "",
        "`false`: a monitor that has never been up tells nobody.",
    ),
    field(
        "flap_changes",
        "number",
        "`6`",
        "0, or 2 to 8",
        "Confirmed changes within `flap_window` that make it flapping: told once, not each time. 0 turns it off.",
    ),
    field("flap_window", "duration", "20 intervals, at least 5m", "10s to 7d", "See `flap_changes`."),
    field(
        "flap_hold",
        "duration",
        "10 intervals, at least 30s",
        "1s to 7d",
        "How long it must stay in one state to stop flapping.",
    ),
    field("channels", "list of channels", "none", "", "Whom to tell: names of channels."),
    field(
        "group",
        "path",
        "none; the name, where one entry makes several monitors",
        "such as `infra/db`",
        "Where it stands in the tree of groups.",
    ),
    field(
        "tags",
        "mapping or list",
        "none",
        "at most 64",
        "Free labels: `{env: prod}` or `[env:prod, critical]`.",
    ),
    field("enabled", "true or false", "`true`", "", "`false`: not checked."),
    field("description", "text", "none", "at most 4000 characters", "Free text."),
    field(
        "runbook_url",
        "web address",
        "none",
        "http or https",
        "Shown in notices: what to do when it is down.",
    ),
];

/// Words of other products and of habit, and what they are called here.
pub(super) const HINTS: &[(&str, &str)] = &[
    ("address", "host"),
    ("hostname", "host"),
    ("ip", "host"),
    ("target", "host"),
    ("server", "host"),
    ("type", "monitor_type"),
    ("kind", "monitor_type"),
    ("interval", "check_interval"),
    ("frequency", "check_interval"),
    ("every", "check_interval"),
    ("retry", "retry_interval"),
    ("retries", "consecutive_failures_before_alert"),
    ("failures", "consecutive_failures_before_alert"),
    ("failure_threshold", "consecutive_failures_before_alert"),
    ("success_threshold", "consecutive_successes_before_recovery"),
    ("threshold", "response_time_threshold"),
    ("mode", "handshake"),
    ("region", "locations"),
    ("regions", "locations"),
    ("location", "locations"),
    ("channel", "channels"),
    ("notify", "channels"),
    ("alerts", "channels"),
    ("contacts", "channels"),
    ("notifications", "channels"),
    ("folder", "group"),
    ("label", "tags"),
    ("labels", "tags"),
    ("tag", "tags"),
    ("paused", "enabled"),
    ("active", "enabled"),
    ("disabled", "enabled"),
    ("runbook", "runbook_url"),
    ("title", "name"),
    ("service", "preset"),
    ("presets", "preset"),
    ("ipv6", "ip_family"),
    ("ipv4", "ip_family"),
];

/// The field of that name or alias.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.name == name || field.aliases.contains(&name))
}

/// Whether a setting is never shown.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    by_name(name).is_some_and(|field| field.secret)
}

/// The field that was probably meant by an unknown word.
#[must_use]
pub fn similar(word: &str) -> Option<&'static str> {
    let lower = word.to_ascii_lowercase().replace('-', "_");
    if let Some(field) = by_name(&lower) {
        return Some(field.name);
    }
    if let Some((_, ours)) = HINTS.iter().find(|(theirs, _)| *theirs == lower) {
        return Some(ours);
    }
    let ours = FIELDS.iter().flat_map(|f| std::iter::once(f.name).chain(f.aliases.iter().copied()));
    crate::doc::closest(&lower, ours).or_else(|| {
        let theirs = crate::doc::closest(&lower, HINTS.iter().map(|(theirs, _)| *theirs))?;
        HINTS.iter().find(|(word, _)| *word == theirs).map(|(_, ours)| *ours)
    })
}
