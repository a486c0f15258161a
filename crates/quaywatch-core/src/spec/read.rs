//! What was written for one monitor, or under `defaults:`, setting by setting: each checked on its own. What settings
//! say to each other is checked when own settings and defaults are laid over one another (`finish`).

use std::collections::BTreeMap;
use std::time::Duration;

use super::host::{self, Host};
use super::values::{At, alternatives};
use super::{Addresses, Expectation, Handshake, IpFamily, Pattern, escape, fields};
use crate::doc::{self, Key, Node, Path, Problems, Span, Value, pairs, quote};
use crate::ports;

/// One setting as found.
#[derive(Debug, Clone, Default)]
pub(super) enum Set<T> {
    /// Not written.
    #[default]
    Unset,
    /// Written as null: the built-in default, whatever `defaults:` says.
    Null,
    /// Written, wrong, reported.
    Bad,
    /// Written and right.
    Given(T, Span),
}

impl<T> Set<T> {
    pub(super) const fn given(&self) -> Option<(&T, Span)> {
        match self {
            Self::Given(value, span) => Some((value, *span)),
            Self::Unset | Self::Null | Self::Bad => None,
        }
    }

    pub(super) const fn is_bad(&self) -> bool {
        matches!(self, Self::Bad)
    }

    fn from(value: Option<T>, span: Span) -> Self {
        value.map_or(Self::Bad, |value| Self::Given(value, span))
    }
}

/// Every setting of an entry.
#[derive(Debug, Clone, Default)]
pub(super) struct Written {
    pub(super) name: Set<String>,
    pub(super) id: Set<String>,
    pub(super) monitor_type: Set<()>,
    pub(super) host: Set<Host>,
    pub(super) port: Set<u16>,
    /// The port that came with `url:`.
    pub(super) url_port: Option<u16>,
    pub(super) hosts: Set<Vec<Host>>,
    pub(super) ports: Set<Vec<u16>>,
    pub(super) preset: Set<Vec<u16>>,
    pub(super) check_interval: Set<Duration>,
    pub(super) timeout: Set<Duration>,
    pub(super) dns_timeout: Set<Duration>,
    pub(super) retry_interval: Set<Duration>,
    pub(super) consecutive_failures_before_alert: Set<u16>,
    pub(super) consecutive_successes_before_recovery: Set<u16>,
    pub(super) response_time_threshold: Set<Duration>,
    pub(super) expectation: Set<Expectation>,
    pub(super) handshake: Set<Handshake>,
    pub(super) settle: Set<Duration>,
    pub(super) send: Set<Box<[u8]>>,
    pub(super) expect: Set<Pattern>,
    pub(super) ip_family: Set<IpFamily>,
    pub(super) addresses: Set<Addresses>,
    pub(super) locations: Set<Vec<String>>,
    pub(super) locations_down_before_alert: Set<u16>,
    pub(super) alert_on_failure: Set<bool>,
    pub(super) alert_before_first_success: Set<bool>,
    pub(super) flap_changes: Set<u16>,
    pub(super) flap_window: Set<Duration>,
    pub(super) flap_hold: Set<Duration>,
    pub(super) channels: Set<Vec<String>>,
    pub(super) group: Set<String>,
    pub(super) tags: Set<BTreeMap<String, String>>,
    pub(super) enabled: Set<bool>,
    pub(super) description: Set<String>,
    pub(super) runbook_url: Set<String>,
}

/// What the document around an entry declares.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context<'c> {
    /// Declared locations; `local` is always known.
    pub locations: &'c [String],
    /// Names and ids of known channels.
    pub channels: &'c [String],
}

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_secs(86_400);

/// Settings of other kinds that may come along as null.
const FOREIGN: [&str; 2] = ["http_method", "expected_keyword"];

impl Written {
    /// Reads a mapping. `None` where it is none.
    pub(super) fn read(
        node: &Node<'_>,
        path: &Path<'_>,
        cx: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let form = "write `- name: …` with `host:` and `port:` below it";
        let mut written = Self::default();
        let mut seen: u64 = 0;
        for (key, value) in pairs(node, path, form, problems)? {
            let Some(index) = fields::FIELDS
                .iter()
                .position(|f| f.name == key.text || f.aliases.contains(&key.text.as_ref()))
            else {
                unknown(key, value, path, problems);
                continue;
            };
            let name = fields::FIELDS[index].name;
            if seen & (1 << index) != 0 {
                twice(key, name, path, problems);
                continue;
            }
            seen |= 1 << index;
            let at = At { node: value, path: path.key(&key.text), key: &key.text };
            if value.is_blank() {
                at.error(
                    problems,
                    "empty",
                    format!("`{}` has no value", key.text),
                    "write a value or remove the line",
                );
            }
            written.set(name, &at, cx, problems);
        }
        Some(written)
    }

    fn set(&mut self, name: &'static str, at: &At<'_, '_>, cx: &Context<'_>, p: &mut Problems) {
        macro_rules! read {
            ($field:ident, $value:expr) => {
                self.$field = if at.node.is_blank() {
                    Set::Bad
                } else if at.node.is_null() {
                    Set::Null
                } else {
                    Set::from($value, at.node.span)
                }
            };
        }
        match name {
            "name" => read!(name, at.line(p, 200)),
            "id" => read!(id, at.line(p, 200)),
            "monitor_type" => read!(monitor_type, at.word(p, &[("tcp", ())])),
            "host" if at.key == "url" => read!(host, self.url(at, p)),
            "host" => read!(host, host(at, p)),
            "port" => read!(port, port(at, p)),
            "hosts" => read!(hosts, hosts(at, p)),
            "ports" => read!(ports, port_list(at, p)),
            "preset" => read!(preset, preset(at, p)),
            "check_interval" => read!(check_interval, at.duration(p, &(SECOND..=DAY))),
            "timeout" => read!(timeout, at.duration(p, &(100 * MS..=120 * SECOND))),
            "dns_timeout" => read!(dns_timeout, at.duration(p, &(100 * MS..=60 * SECOND))),
            "retry_interval" => read!(retry_interval, at.duration(p, &(100 * MS..=DAY))),
            "consecutive_failures_before_alert" => {
                read!(consecutive_failures_before_alert, at.number(p, &(1..=100)));
            }
            "consecutive_successes_before_recovery" => {
                read!(consecutive_successes_before_recovery, at.number(p, &(1..=100)));
            }
            "response_time_threshold" => read!(response_time_threshold, at.duration(p, &(MS..=120 * SECOND))),
            "expectation" => read!(expectation, at.word(p, &EXPECTATIONS)),
            "handshake" => read!(handshake, at.word(p, &HANDSHAKES)),
            "settle" => read!(settle, at.duration(p, &(Duration::ZERO..=10 * SECOND))),
            "send" => read!(send, send(at, p)),
            "expect" => read!(expect, expect(at, p)),
            "ip_family" => read!(ip_family, at.word(p, &FAMILIES)),
            "addresses" => read!(addresses, at.word(p, &ADDRESSES)),
            "locations" => read!(locations, locations(at, cx, p)),
            "locations_down_before_alert" => read!(locations_down_before_alert, at.number(p, &(1..=100))),
            "alert_on_failure" => read!(alert_on_failure, at.boolean(p)),
            "alert_before_first_success" => read!(alert_before_first_success, at.boolean(p)),
            "flap_changes" => read!(flap_changes, flap_changes(at, p)),
            "flap_window" => read!(flap_window, at.duration(p, &(10 * SECOND..=7 * DAY))),
            "flap_hold" => read!(flap_hold, at.duration(p, &(SECOND..=7 * DAY))),
            "channels" => read!(channels, channels(at, cx, p)),
            "group" => read!(group, group(at, p)),
            "tags" => read!(tags, tags(at, p)),
            "enabled" => read!(enabled, at.boolean(p)),
            "description" => read!(description, at.text(p, 4_000)),
            "runbook_url" => read!(runbook_url, web_address(at, p)),
            other => unreachable!("`{other}` is in the table but nobody reads it"),
        }
    }

    /// `url:` as the first product has it: a host, perhaps pasted with its port.
    fn url(&mut self, at: &At<'_, '_>, problems: &mut Problems) -> Option<Host> {
        let text = at.line(problems, 2_000)?;
        let bare = text.strip_prefix("tcp://").unwrap_or(&text);
        match Host::parse(bare) {
            Ok(host) => Some(host),
            Err(e) => {
                if let (Some((host, Some(port))), false) = (&e.split, bare.contains(['/', '@'])) {
                    self.url_port = Some(*port);
                    return Some(host.clone());
                }
                not_a_host(at, &text, &e, problems);
                None
            }
        }
    }
}

const EXPECTATIONS: [(&str, Expectation); 3] =
    [("open", Expectation::Open), ("closed", Expectation::Closed), ("filtered", Expectation::Filtered)];
const HANDSHAKES: [(&str, Handshake); 2] = [("half_open", Handshake::HalfOpen), ("full", Handshake::Full)];
const FAMILIES: [(&str, IpFamily); 3] =
    [("any", IpFamily::Any), ("ipv4", IpFamily::Ipv4), ("ipv6", IpFamily::Ipv6)];
const ADDRESSES: [(&str, Addresses); 2] = [("first", Addresses::First), ("all", Addresses::All)];

fn unknown(key: &Key<'_>, value: &Node<'_>, path: &Path<'_>, problems: &mut Problems) {
    let word = key.text.as_ref();
    if word == "protocol"
        && matches!(&value.value, Value::Scalar(text, _) if text == "tcp" || value.is_null())
    {
        return;
    }
    if FOREIGN.contains(&word) {
        if !value.is_null() {
            let message = format!("`{word}` means nothing for `monitor_type: tcp` and is passed over");
            problems.warning(&path.key(word), key.span, "ignored", message, "remove the line");
        }
        return;
    }
    let remedy = fields::similar(word).map_or_else(
        || "the settings of a monitor are listed in docs/configuration.md".to_owned(),
        |meant| format!("did you mean `{meant}`?"),
    );
    problems.error(
        &path.key(word),
        key.span,
        "unknown_key",
        format!("unknown setting {}", quote(word)),
        remedy,
    );
}

fn twice(key: &Key<'_>, name: &str, path: &Path<'_>, problems: &mut Problems) {
    let words = fields::by_name(name).map_or(&[][..], |f| f.aliases).join("` and `");
    problems.error(
        &path.key(&key.text),
        key.span,
        "duplicate_key",
        format!("`{name}` and `{words}` are two names of one setting, and both stand here"),
        format!("keep `{name}`"),
    );
}

fn not_a_host(at: &At<'_, '_>, text: &str, e: &host::HostError, problems: &mut Problems) {
    // What stands before an `@` is often a password, and messages end in logs.
    let shown = text.rsplit_once('@').map_or_else(|| text.to_owned(), |(_, behind)| format!("…@{behind}"));
    let message = format!("`{}` is {}, which {}", at.key, quote(&shown), e.message);
    at.error(problems, "bad_host", message, e.remedy.clone());
}

fn host(at: &At<'_, '_>, problems: &mut Problems) -> Option<Host> {
    if matches!(at.node.value, Value::Sequence(_)) {
        at.wrong_type(problems, "one host", "several go under `hosts:`: one monitor is made for each");
        return None;
    }
    let text = at.line(problems, 2_000)?;
    Host::parse(&text).map_err(|e| not_a_host(at, &text, &e, problems)).ok()
}

fn hosts(at: &At<'_, '_>, problems: &mut Problems) -> Option<Vec<Host>> {
    let items = at.items(problems, "[db-1.example.com, db-2.example.com]")?;
    if items.is_empty() {
        at.error(problems, "empty", format!("`{}` is empty", at.key), "name at least one host");
        return None;
    }
    let mut hosts: Vec<Host> = Vec::with_capacity(items.len());
    let mut seen = std::collections::BTreeSet::new();
    let mut fine = true;
    for (i, node) in items.iter().enumerate() {
        let item = At { node, path: at.path.index(i), key: at.key };
        match host(&item, problems) {
            Some(host) if seen.insert(host.clone()) => hosts.push(host),
            Some(host) => {
                let message = format!("`{}` names `{host}` twice", at.key);
                item.error(problems, "duplicate", message, "remove one of the two");
                fine = false;
            }
            None => fine = false,
        }
    }
    fine.then_some(hosts)
}

const PORT_FORMS: &str =
    "write a number from 1 to 65535, or a service such as `postgresql` (`quaywatch ports` lists them)";

fn port(at: &At<'_, '_>, problems: &mut Problems) -> Option<u16> {
    let Value::Scalar(text, _) = &at.node.value else {
        let remedy = match at.node.value {
            Value::Sequence(_) => "several go under `ports:`: one monitor is made for each",
            Value::Scalar(..) | Value::Mapping(_) => PORT_FORMS,
        };
        at.wrong_type(problems, "a port", remedy);
        return None;
    };
    port_from(at, text.trim(), problems)
}

fn port_from(at: &At<'_, '_>, text: &str, problems: &mut Problems) -> Option<u16> {
    if let Ok(number) = text.parse::<i128>() {
        let port = u16::try_from(number).ok().filter(|port| *port != 0);
        if port.is_none() {
            let message = format!("`{}` is {number}; ports are from 1 to 65535", at.key);
            at.error(problems, "out_of_range", message, PORT_FORMS);
        }
        return port;
    }
    if let Some(service) = ports::by_name(text) {
        return Some(service.port);
    }
    let message = format!("`{}` is {}, which is neither a number nor a known service", at.key, quote(text));
    let range = text
        .split_once('-')
        .filter(|(a, b)| a.trim().parse::<u16>().is_ok() && b.trim().parse::<u16>().is_ok());
    let remedy = if range.is_some() || text.contains(',') {
        format!("several go under `ports:`: `ports: [{text}]`")
    } else if let Some(service) = ports::similar(text) {
        let meant = ports::similar_name(text).unwrap_or(service.name);
        format!("did you mean `{meant}` ({})?", service.port)
    } else {
        PORT_FORMS.to_owned()
    };
    at.error(problems, "bad_port", message, remedy);
    None
}

fn port_list(at: &At<'_, '_>, problems: &mut Problems) -> Option<Vec<u16>> {
    let mut ports = Vec::new();
    for item in one_or_more(at, "[22, 80, 8000-8010]", problems)? {
        ports.extend(range(&item, problems).into_iter().flatten());
    }
    let mut seen = std::collections::BTreeSet::new();
    ports.retain(|port| seen.insert(*port));
    Some(ports)
}

/// The items of a list, or the one value that stands for a list of one; each with its own path.
fn one_or_more<'v, 'a>(at: &'v At<'v, 'a>, form: &str, problems: &mut Problems) -> Option<Vec<At<'v, 'a>>> {
    match &at.node.value {
        Value::Sequence(items) if items.is_empty() => {
            at.error(
                problems,
                "empty",
                format!("`{}` is empty", at.key),
                format!("write `{}: {form}`", at.key),
            );
            None
        }
        Value::Sequence(items) => {
            let item = |(i, node)| At { node, path: at.path.index(i), key: at.key };
            Some(items.iter().enumerate().map(item).collect())
        }
        Value::Scalar(..) => Some(vec![At { node: at.node, path: at.path, key: at.key }]),
        Value::Mapping(_) => at.items(problems, form).map(|_| Vec::new()),
    }
}

/// One port, or a range `8000-8010`.
fn range(at: &At<'_, '_>, problems: &mut Problems) -> Option<std::ops::RangeInclusive<u16>> {
    let Value::Scalar(text, _) = &at.node.value else {
        at.wrong_type(problems, "a list of ports", "write `ports: [22, 80, 8000-8010]`");
        return None;
    };
    let bounds =
        text.split_once(['-', '–']).map(|(from, to)| (from.trim(), to.trim())).filter(|(from, to)| {
            [from, to].iter().all(|t| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit()))
        });
    let Some((from, to)) = bounds else {
        return port_from(at, text.trim(), problems).map(|port| port..=port);
    };
    let (from, to) = (port_from(at, from, problems)?, port_from(at, to, problems)?);
    if from > to {
        let message = format!("`{}` has the range {}, which ends before it begins", at.key, quote(text));
        at.error(problems, "bad_port", message, format!("write `{to}-{from}`"));
        return None;
    }
    Some(from..=to)
}

fn preset(at: &At<'_, '_>, problems: &mut Problems) -> Option<Vec<u16>> {
    let mut found = Vec::new();
    for item in one_or_more(at, "[ssh, postgresql]", problems)? {
        let Some(word) = item.line(problems, 100) else { continue };
        match (ports::set(&word), ports::by_name(&word)) {
            (Some(set), _) => found.extend_from_slice(set),
            (None, Some(service)) => found.push(service.port),
            (None, None) => not_a_preset(&item, &word, problems),
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|port| seen.insert(*port));
    Some(found)
}

fn not_a_preset(at: &At<'_, '_>, word: &str, problems: &mut Problems) {
    let sets = || ports::SETS.iter().map(|(name, _)| *name);
    let meant = doc::closest(&word.to_ascii_lowercase(), sets()).or_else(|| ports::similar_name(word));
    let words: Vec<String> = sets().map(|name| format!("`{name}`")).collect();
    let remedy = meant.map_or_else(
        || format!("write the name of a service (`quaywatch ports`), or {}", alternatives(&words, "or")),
        |meant| format!("did you mean `{meant}`?"),
    );
    at.error(
        problems,
        "bad_preset",
        format!("`{}` is {}, which is no known preset", at.key, quote(word)),
        remedy,
    );
}

fn send(at: &At<'_, '_>, problems: &mut Problems) -> Option<Box<[u8]>> {
    let Value::Scalar(text, _) = &at.node.value else {
        at.wrong_type(problems, "a text", "write `send: 'PING\\r\\n'`");
        return None;
    };
    match escape::read(text) {
        Err(e) => {
            let remedy = "escapes are \\r \\n \\t \\0 \\\\ \\\" and \\xNN; a backslash itself is \\\\";
            at.error(problems, "bad_escape", format!("`send`: {}", e.message), remedy);
            None
        }
        Ok(bytes) if bytes.is_empty() => {
            at.error(problems, "empty", "`send` is empty", "write the bytes to send or remove the line");
            None
        }
        Ok(bytes) if bytes.len() > 4_096 => {
            at.error(
                problems,
                "too_long",
                format!("`send` is {} bytes long", bytes.len()),
                "at most 4096 are sent",
            );
            None
        }
        Ok(bytes) => Some(bytes.into_boxed_slice()),
    }
}

fn expect(at: &At<'_, '_>, problems: &mut Problems) -> Option<Pattern> {
    let Value::Scalar(text, _) = &at.node.value else {
        at.wrong_type(problems, "a regular expression", "write `expect: '^\\+PONG'`");
        return None;
    };
    if text.is_empty() {
        at.error(problems, "empty", "`expect` is empty", "write a regular expression or remove the line");
        return None;
    }
    let pattern = Pattern(text.as_ref().into());
    match pattern.compile() {
        Ok(_) => Some(pattern),
        Err(regex::Error::CompiledTooBig(_)) => {
            at.error(
                problems,
                "bad_pattern",
                "`expect` is too large once compiled",
                "use fewer or smaller repetitions",
            );
            None
        }
        Err(e) => {
            let text = e.to_string();
            // The engine draws several lines; the last says what is wrong.
            let last = text.lines().last().unwrap_or_default().trim().trim_start_matches("error: ");
            let message = format!("`expect` is no regular expression: {last}");
            at.error(
                problems,
                "bad_pattern",
                message,
                "quote special characters with a backslash, and the whole in single quotes",
            );
            None
        }
    }
}

fn flap_changes(at: &At<'_, '_>, problems: &mut Problems) -> Option<u16> {
    let changes = at.number(problems, &(0..=8))?;
    if changes == 1 {
        at.error(
            problems,
            "out_of_range",
            "`flap_changes` is 1, which would call every change flapping",
            "write 0 (off) or 2 to 8",
        );
        return None;
    }
    Some(changes)
}

fn locations(at: &At<'_, '_>, cx: &Context<'_>, problems: &mut Problems) -> Option<Vec<String>> {
    let names = at.names(problems, "[local]", 100)?;
    if names.is_empty() {
        at.error(
            problems,
            "empty",
            "`locations` is empty",
            "name at least one, or remove the line for `[local]`",
        );
        return None;
    }
    let known: Vec<&str> =
        std::iter::once(super::MonitorSpec::LOCAL).chain(cx.locations.iter().map(String::as_str)).collect();
    let mut fine = true;
    for (name, span) in &names {
        if !known.contains(&name.as_str()) {
            let message = format!("location {} is not declared", quote(name));
            undeclared(&at.path, *span, message, name, &known, "top-level `locations:`", problems);
            fine = false;
        }
    }
    fine.then(|| names.into_iter().map(|(name, _)| name).collect())
}

fn channels(at: &At<'_, '_>, cx: &Context<'_>, problems: &mut Problems) -> Option<Vec<String>> {
    let names = at.names(problems, "[ops]", 50)?;
    let mut fine = true;
    for (name, span) in &names {
        if !cx.channels.contains(name) {
            let known: Vec<&str> = cx.channels.iter().map(String::as_str).collect();
            let message = format!("channel {} does not exist", quote(name));
            undeclared(&at.path, *span, message, name, &known, "top-level `channels:`", problems);
            fine = false;
        }
    }
    fine.then(|| names.into_iter().map(|(name, _)| name).collect())
}

/// A name that nothing was declared under: lists those that exist.
fn undeclared(
    path: &Path<'_>,
    span: Span,
    message: String,
    name: &str,
    known: &[&str],
    place: &str,
    problems: &mut Problems,
) {
    const SHOWN: usize = 12;
    let mut words: Vec<String> = known.iter().take(SHOWN).map(|k| format!("`{k}`")).collect();
    if known.len() > SHOWN {
        words.push(format!("{} more", known.len() - SHOWN));
    }
    let existing = if words.is_empty() {
        "there is none".to_owned()
    } else {
        format!("known: {}", alternatives(&words, "and"))
    };
    let remedy = doc::closest(name, known.iter().copied()).map_or_else(
        || format!("declare it under {place} ({existing})"),
        |meant| format!("did you mean `{meant}`? ({existing})"),
    );
    problems.error(path, span, "undeclared", message, remedy);
}

fn group(at: &At<'_, '_>, problems: &mut Problems) -> Option<String> {
    let text = at.line(problems, 200)?;
    let parts: Vec<&str> = text.split('/').map(str::trim).collect();
    let joined = parts.iter().filter(|p| !p.is_empty()).copied().collect::<Vec<_>>().join("/");
    if parts.iter().any(|p| p.is_empty()) {
        let remedy = if joined.is_empty() {
            "write a path such as `infra/db`".to_owned()
        } else {
            format!("write `group: {joined}`")
        };
        at.error(
            problems,
            "bad_group",
            format!("`group` is {}, which has an empty part", quote(&text)),
            remedy,
        );
        return None;
    }
    if parts.len() > 8 {
        at.error(
            problems,
            "bad_group",
            format!("`group` is {} levels deep", parts.len()),
            "at most 8 are allowed",
        );
        return None;
    }
    Some(joined)
}

fn tags(at: &At<'_, '_>, problems: &mut Problems) -> Option<BTreeMap<String, String>> {
    const FORM: &str = "write `tags: {env: prod}` or `tags: [env:prod, critical]`";
    let mut tags = BTreeMap::new();
    let mut fine = true;
    match &at.node.value {
        Value::Mapping(_) => fine = tag_pairs(at, &mut tags, problems),
        Value::Sequence(items) => {
            for (i, node) in items.iter().enumerate() {
                let item = At { node, path: at.path.index(i), key: at.key };
                fine &= match &node.value {
                    // `[env: prod]`, with a space, is a list of mappings in YAML; what is meant is plain.
                    Value::Mapping(_) => tag_pairs(&item, &mut tags, problems),
                    Value::Scalar(text, _) => {
                        let (name, value) = text.split_once(':').unwrap_or((text, ""));
                        tag(&item, name.trim(), value.trim(), &mut tags, problems)
                    }
                    Value::Sequence(_) => {
                        item.wrong_type(problems, "a mapping or a list of texts", FORM);
                        false
                    }
                };
            }
        }
        Value::Scalar(..) => {
            at.wrong_type(problems, "a mapping or a list", FORM);
            fine = false;
        }
    }
    if tags.len() > 64 {
        at.error(problems, "too_many", format!("{} tags", tags.len()), "at most 64 are allowed");
        return None;
    }
    fine.then_some(tags)
}

fn tag_pairs(at: &At<'_, '_>, tags: &mut BTreeMap<String, String>, problems: &mut Problems) -> bool {
    let Some(pairs) = pairs(at.node, &at.path, "", problems) else { return false };
    let mut fine = true;
    for (key, node) in pairs {
        let item = At { node, path: at.path.key(&key.text), key: at.key };
        let value = match &node.value {
            Value::Scalar(text, _) if !node.is_null() => text.trim(),
            Value::Scalar(..) => "",
            Value::Mapping(_) | Value::Sequence(_) => {
                item.wrong_type(problems, "a mapping of texts", "write `tags: {env: prod}`");
                fine = false;
                continue;
            }
        };
        fine &= tag(&item, key.text.trim(), value, tags, problems);
    }
    fine
}

fn tag(
    at: &At<'_, '_>,
    name: &str,
    value: &str,
    tags: &mut BTreeMap<String, String>,
    problems: &mut Problems,
) -> bool {
    let wrong = if name.is_empty() {
        Some("a tag without a name".to_owned())
    } else if name.chars().count() > 64 || value.chars().count() > 256 {
        Some(format!("the tag {} is too long (64 characters, its value 256)", quote(name)))
    } else if name.chars().chain(value.chars()).any(char::is_control) {
        Some(format!("the tag {} has a control character in it", quote(name)))
    } else if tags.contains_key(name) {
        Some(format!("the tag {} stands here twice", quote(name)))
    } else {
        None
    };
    if let Some(message) = wrong {
        at.error(problems, "bad_tag", message, "write `tags: {env: prod}` or `tags: [env:prod, critical]`");
        return false;
    }
    tags.insert(name.to_owned(), value.to_owned());
    true
}

fn web_address(at: &At<'_, '_>, problems: &mut Problems) -> Option<String> {
    let text = at.line(problems, 2_000)?;
    match url::Url::parse(&text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Some(text),
        Ok(_) | Err(_) => {
            let message = format!("`{}` is {}, which is no web address", at.key, quote(&text));
            at.error(problems, "bad_url", message, "write it whole, such as `https://wiki.example.com/db`");
            None
        }
    }
}
