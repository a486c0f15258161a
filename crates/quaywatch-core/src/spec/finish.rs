//! Own settings laid over defaults, checked against each other, and made into monitors.
//!
//! A contradiction is an error where its owner wrote both sides. A default that cannot apply to a monitor (a `settle`
//! for one that uses `expect`) is passed over: it was written for the others.

use std::time::Duration;

use super::host::Host;
use super::read::{Context, Set, Written};
use super::{Kind, MonitorSpec, fields};
use crate::doc::{Node, Path, Problems, Span, quote};

/// The settings under `defaults:`, for every monitor of a document.
#[derive(Debug, Clone, Default)]
pub struct Defaults {
    written: Written,
    /// In the place of the built-in interval.
    interval: Option<Duration>,
}

impl Defaults {
    /// Nothing written; monitors that name no interval have this one.
    #[must_use]
    pub fn of_interval(interval: Duration) -> Self {
        Self { interval: Some(interval), ..Self::default() }
    }

    /// Reads the mapping under `defaults:`.
    #[must_use]
    pub fn read(node: &Node<'_>, path: &Path<'_>, context: &Context<'_>, problems: &mut Problems) -> Self {
        if let crate::doc::Value::Mapping(pairs) = &node.value {
            for (key, _) in pairs {
                if fields::by_name(&key.text).is_some_and(|field| !field.in_defaults) {
                    let message =
                        format!("{} cannot be a default: it belongs to one monitor", quote(&key.text));
                    problems.error(
                        &path.key(&key.text),
                        key.span,
                        "not_a_default",
                        message,
                        "write it at each monitor",
                    );
                }
            }
        }
        let written = Written::read(node, path, context, problems).unwrap_or_default();
        Self { written, interval: None }
    }
}

/// How many monitors one entry may become: all ports of a host, or a rack of hosts.
const MOST_FROM_ONE: usize = 65_535;

impl MonitorSpec {
    /// Reads one monitor and reports everything that is wrong with it. `None` where anything is.
    #[must_use]
    pub fn read(
        node: &Node<'_>,
        path: &Path<'_>,
        defaults: &Defaults,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let mut found = Vec::new();
        Self::read_all(node, path, defaults, context, problems, &mut |spec| found.push(spec));
        if found.len() > 1 {
            let message = format!("this makes {} monitors where one is wanted", found.len());
            problems.error(path, node.span, "too_many", message, "name one `host` and one `port`");
            return None;
        }
        found.pop()
    }

    /// Reads an entry that may stand for several monitors (`hosts`, `ports`, `preset`), and gives each to `sink`;
    /// none where anything is wrong.
    pub fn read_all(
        node: &Node<'_>,
        path: &Path<'_>,
        defaults: &Defaults,
        context: &Context<'_>,
        problems: &mut Problems,
        sink: &mut dyn FnMut(Self),
    ) {
        let before = problems.errors();
        let Some(own) = Written::read(node, path, context, problems) else { return };
        let mut laid =
            Laid { own: &own, below: &defaults.written, interval: defaults.interval, node, path, problems };
        let targets = laid.targets();
        let template = laid.template();
        laid.mysql_blocks_its_guests(&template, targets.as_ref());
        if problems.errors() > before {
            return;
        }
        if let Some(targets) = targets {
            targets.give(&template, sink);
        }
    }
}

/// Own settings over defaults.
pub(super) struct Laid<'l, 'a> {
    pub(super) own: &'l Written,
    pub(super) below: &'l Written,
    /// Where nothing says one.
    interval: Option<Duration>,
    pub(super) node: &'l Node<'a>,
    pub(super) path: &'l Path<'l>,
    pub(super) problems: &'l mut Problems,
}

/// A setting that holds, with its place where the monitor itself gave it.
pub(super) struct Holds<T> {
    pub(super) value: T,
    pub(super) own: Option<Span>,
}

pub(super) fn over<T: Clone>(own: &Set<T>, below: &Set<T>) -> Option<Holds<T>> {
    match (own, below) {
        (Set::Given(value, span), _) => Some(Holds { value: value.clone(), own: Some(*span) }),
        (Set::Unset, Set::Given(value, _)) => Some(Holds { value: value.clone(), own: None }),
        (Set::Null | Set::Bad, _) | (Set::Unset, Set::Unset | Set::Null | Set::Bad) => None,
    }
}

macro_rules! lay {
    ($self:ident . $field:ident) => {
        over(&$self.own.$field, &$self.below.$field).map(|holds| holds.value)
    };
}
pub(super) use lay;

/// The hosts and ports of an entry.
pub(super) struct Targets {
    hosts: Vec<Host>,
    pub(super) ports: Vec<u16>,
    /// Whether `hosts` / `ports` were lists, so that names must differ.
    many_hosts: bool,
    many_ports: bool,
}

impl Laid<'_, '_> {
    pub(super) fn error(&mut self, key: &str, span: Span, code: &'static str, message: &str, remedy: &str) {
        self.problems.error(&self.path.key(key), span, code, message, remedy);
    }

    /// A required setting that is not there: its path is its own, its line that of the entry's name or beginning.
    fn missing(&mut self, key: &str, remedy: &str) {
        let span = self.own.name.given().map_or(self.node.span, |(_, span)| span);
        let message = match self.own.name.given() {
            Some((name, _)) => format!("monitor {} has no `{key}`", quote(name)),
            None => format!("this monitor has no `{key}`"),
        };
        self.problems.error(&self.path.key(key), span, "missing", message, remedy);
    }

    fn targets(&mut self) -> Option<Targets> {
        let hosts = self.hosts();
        let ports = self.ports();
        let (hosts, many_hosts) = hosts?;
        let (ports, many_ports) = ports?;
        let count = hosts.len() * ports.len();
        if count > MOST_FROM_ONE {
            let message = format!("this entry makes {count} monitors; at most {MOST_FROM_ONE} are allowed");
            self.problems.error(
                self.path,
                self.node.span,
                "too_many",
                message,
                "cut it into several entries",
            );
            return None;
        }
        Some(Targets { hosts, ports, many_hosts, many_ports })
    }

    fn hosts(&mut self) -> Option<(Vec<Host>, bool)> {
        if self.own.host.is_bad() || self.own.hosts.is_bad() {
            return None;
        }
        match (self.own.host.given(), self.own.hosts.given()) {
            (Some((host, _)), None) => Some((vec![host.clone()], false)),
            (None, Some((hosts, _))) => Some((hosts.clone(), true)),
            (Some(_), Some((_, span))) => {
                self.error(
                    "hosts",
                    span,
                    "contradiction",
                    "`host` and `hosts` are both given",
                    "keep one of the two",
                );
                None
            }
            (None, None) => {
                self.missing("host", "write `host: db.example.com`, or an address");
                None
            }
        }
    }

    fn ports(&mut self) -> Option<(Vec<u16>, bool)> {
        let own = self.own;
        if own.port.is_bad() || own.ports.is_bad() || own.preset.is_bad() {
            return None;
        }
        let mut given: Vec<(&str, Vec<u16>, bool, Span)> = Vec::new();
        if let Some((port, span)) = own.port.given() {
            given.push(("port", vec![*port], false, span));
        }
        if let Some((ports, span)) = own.ports.given() {
            given.push(("ports", ports.clone(), true, span));
        }
        if let Some((ports, span)) = own.preset.given() {
            given.push(("preset", ports.clone(), ports.len() > 1, span));
        }
        match (given.as_slice(), own.url_port) {
            ([], Some(port)) => Some((vec![port], false)),
            ([], None) => {
                self.missing("port", "write `port: 5432`, or a service such as `port: postgresql`");
                None
            }
            ([(_, ports, _, span)], Some(port)) if ports.as_slice() != [port] => {
                let message = format!("`url` says port {port}, and another is given here");
                self.error("port", *span, "contradiction", &message, "keep one of the two");
                None
            }
            ([_], _) => given.pop().map(|(_, ports, many, _)| (ports, many)),
            ([(first, ..), (second, _, _, span), ..], _) => {
                let message = format!("`{first}` and `{second}` are both given");
                self.error(second, *span, "contradiction", &message, "keep one of the two");
                None
            }
        }
    }

    /// Everything but the target; its host and port stand for all targets.
    fn template(&mut self) -> MonitorSpec {
        let own = self.own;
        if own.name.given().is_none() && !own.name.is_bad() {
            self.missing(
                "name",
                "write `name: orders database`: it is also what the monitor's history hangs on",
            );
        }
        // What is missing here was reported; the other checks go on with something in its place.
        let name = own.name.given().map_or("", |(name, _)| name);
        let mut spec = MonitorSpec::tcp(name, Host::Name("host".into()), 1);
        spec.key = own.id.given().map(|(id, _)| id.clone());
        self.times(&mut spec);
        spec.kind = Kind::Tcp(self.tcp(&spec));
        self.judging(&mut spec);
        self.belonging(&mut spec);
        spec
    }

    fn times(&mut self, spec: &mut MonitorSpec) {
        let interval = self.interval.unwrap_or(MonitorSpec::CHECK_INTERVAL);
        spec.check_interval = lay!(self.check_interval).unwrap_or(interval);
        spec.timeout = lay!(self.timeout).unwrap_or(MonitorSpec::TIMEOUT);
        spec.dns_timeout = lay!(self.dns_timeout).unwrap_or(MonitorSpec::DNS_TIMEOUT);
        spec.retry_interval = MonitorSpec::default_retry_interval(spec.check_interval);
        if let Some(retry) = over(&self.own.retry_interval, &self.below.retry_interval) {
            spec.retry_interval = retry.value.min(spec.check_interval);
            if let Some(span) = retry.own.filter(|_| retry.value > spec.check_interval) {
                let interval = super::duration::Human(spec.check_interval);
                let message = format!(
                    "`retry_interval` is {}, longer than the `check_interval` of {interval}",
                    super::duration::Human(retry.value)
                );
                let remedy = format!("write at most {interval}, or leave it out");
                self.error("retry_interval", span, "contradiction", &message, &remedy);
            }
        }
        spec.response_time_threshold = lay!(self.response_time_threshold);
        if let (Some(threshold), Some((_, span))) =
            (spec.response_time_threshold, self.own.response_time_threshold.given())
            && threshold >= spec.timeout
        {
            self.problems.warning(
                &self.path.key("response_time_threshold"),
                span,
                "no_effect",
                "`response_time_threshold` is not below `timeout`, so it is never crossed",
                "lower it, or raise `timeout`",
            );
        }
    }

    fn judging(&mut self, spec: &mut MonitorSpec) {
        spec.consecutive_failures_before_alert =
            lay!(self.consecutive_failures_before_alert).unwrap_or(MonitorSpec::FAILURES);
        spec.consecutive_successes_before_recovery =
            lay!(self.consecutive_successes_before_recovery).unwrap_or(MonitorSpec::SUCCESSES);
        if let Some(locations) = lay!(self.locations) {
            spec.locations = locations;
        }
        spec.locations_down_before_alert = lay!(self.locations_down_before_alert);
        if let Some((quorum, span)) = self.own.locations_down_before_alert.given()
            && usize::from(*quorum) > spec.locations.len()
        {
            let message = format!(
                "`locations_down_before_alert` is {quorum}, but the monitor has {} location{}; all of them will do",
                spec.locations.len(),
                if spec.locations.len() == 1 { "" } else { "s" }
            );
            let path = self.path.key("locations_down_before_alert");
            self.problems.warning(&path, span, "no_effect", message, "lower it, or add locations");
        }
        spec.flap_changes = lay!(self.flap_changes).unwrap_or(MonitorSpec::FLAP_CHANGES);
        spec.flap_window = lay!(self.flap_window);
        spec.flap_hold = lay!(self.flap_hold);
        spec.alert_on_failure = lay!(self.alert_on_failure).unwrap_or(true);
        spec.alert_before_first_success = lay!(self.alert_before_first_success).unwrap_or(true);
    }

    fn belonging(&mut self, spec: &mut MonitorSpec) {
        spec.channels = lay!(self.channels).unwrap_or_default();
        spec.group = lay!(self.group);
        spec.tags = lay!(self.tags).unwrap_or_default();
        spec.enabled = lay!(self.enabled).unwrap_or(true);
        spec.description = lay!(self.description);
        spec.runbook_url = lay!(self.runbook_url);
    }
}

impl Targets {
    /// One spec for each host and port.
    fn give(&self, template: &MonitorSpec, sink: &mut dyn FnMut(MonitorSpec)) {
        for host in &self.hosts {
            for &port in &self.ports {
                let mut spec = template.clone();
                let Kind::Tcp(tcp) = &mut spec.kind;
                tcp.host = host.clone();
                tcp.port = port;
                if self.many_hosts || self.many_ports {
                    spec.name = self.name(&template.name, host, port);
                    spec.key = template.key.as_deref().map(|key| self.name(key, host, port));
                    spec.group.get_or_insert_with(|| group_from(&template.name));
                }
                sink(spec);
            }
        }
    }

    /// The entry's name with what tells this one from the others: where it says `{host}` or `{port}`, else at the end.
    fn name(&self, name: &str, host: &Host, port: u16) -> String {
        let filled = name.replace("{host}", &host.to_text()).replace("{port}", &port.to_string());
        let add_host = self.many_hosts && !name.contains("{host}");
        let add_port = self.many_ports && !name.contains("{port}");
        match (add_host, add_port) {
            (true, true) => format!("{filled} {}", host.with_port(port)),
            (true, false) => format!("{filled} {host}"),
            (false, true) => format!("{filled} {port}"),
            (false, false) => filled,
        }
    }
}

/// The common group of monitors that come from one entry: its name, without the places for host and port.
fn group_from(name: &str) -> String {
    let plain = name.replace("{host}", "").replace("{port}", "");
    let parts: Vec<&str> = plain.split('/').map(str::trim).filter(|part| !part.is_empty()).collect();
    let joined = parts.join("/");
    let trimmed = joined.trim_matches([' ', ':', '-', '_']);
    if trimmed.is_empty() { "several".to_owned() } else { trimmed.to_owned() }
}
