//! What was written for one monitor, or under `defaults:`, setting by setting: each checked on its own. What settings
//! say to each other is checked when own settings and defaults are laid over one another (`finish`).

use std::collections::BTreeMap;
use std::time::Duration;

use super::belong::{channels, group, locations, tags, web_address};
use super::host::Host;
use super::message::{self, FormOnly, Hidden, Keeper};
use super::target::{host, hosts, not_a_host, port, port_list, preset};
use super::values::At;
use super::{Addresses, Expectation, Handshake, IpFamily, Pattern, fields};
use crate::doc::{Key, Node, Path, Problems, Span, Value, pairs, quote};

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
    pub(super) send_secret: Set<Hidden>,
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
#[derive(Clone, Copy)]
pub struct Context<'c> {
    /// Declared locations; `local` is always known.
    pub locations: &'c [String],
    /// Names and ids of known channels.
    pub channels: &'c [String],
    /// Takes in what is secret.
    pub keeper: &'c dyn Keeper,
}

impl Default for Context<'_> {
    /// Declares nothing, and looks at secrets by their form alone.
    fn default() -> Self {
        Self { locations: &[], channels: &[], keeper: &FormOnly }
    }
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
        let form = if node.span.is_known() {
            "write `- name: …` with `host:` and `port:` below it"
        } else {
            "send an object with `name`, `host` and `port`"
        };
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
                    "write a value or leave it out",
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
            "send" => read!(send, message::open(at, p)),
            "send_secret" => self.send_secret(at, cx.keeper, p),
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

    /// Null is for the keeper to say: a call takes the secret away with it, an export leaves the secret out.
    fn send_secret(&mut self, at: &At<'_, '_>, keeper: &dyn Keeper, problems: &mut Problems) {
        self.send_secret = if at.node.is_blank() {
            Set::Bad
        } else if at.node.is_null() {
            match message::left_out(at, keeper, problems) {
                Ok(Some(hidden)) => Set::Given(hidden, at.node.span),
                Ok(None) => Set::Null,
                Err(()) => Set::Bad,
            }
        } else {
            Set::from(message::hidden(at, keeper, problems), at.node.span)
        };
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
            problems.warning(&path.key(word), key.span, "ignored", message, "leave it out");
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

fn expect(at: &At<'_, '_>, problems: &mut Problems) -> Option<Pattern> {
    let Value::Scalar(text, _) = &at.node.value else {
        at.wrong_type(problems, "a regular expression", "write `expect: '^\\+PONG'`");
        return None;
    };
    if text.is_empty() {
        at.error(problems, "empty", "`expect` is empty", "write a regular expression or leave it out");
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
