//! What is dialled: hosts and ports as people write them, one or many.

use super::host::{self, Host};
use super::values::{At, alternatives};
use crate::doc::{self, Problems, Value, quote};
use crate::ports;

pub(super) fn host(at: &At<'_, '_>, problems: &mut Problems) -> Option<Host> {
    if matches!(at.node.value, Value::Sequence(_)) {
        at.wrong_type(problems, "one host", "several go under `hosts:`: one monitor is made for each");
        return None;
    }
    let text = at.line(problems, 2_000)?;
    Host::parse(&text).map_err(|e| not_a_host(at, &text, &e, problems)).ok()
}

pub(super) fn hosts(at: &At<'_, '_>, problems: &mut Problems) -> Option<Vec<Host>> {
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

pub(super) fn not_a_host(at: &At<'_, '_>, text: &str, e: &host::HostError, problems: &mut Problems) {
    // What stands before an `@` is often a password, and messages end in logs.
    let shown = text.rsplit_once('@').map_or_else(|| text.to_owned(), |(_, behind)| format!("…@{behind}"));
    let message = format!("`{}` is {}, which {}", at.key, quote(&shown), e.message);
    at.error(problems, "bad_host", message, e.remedy.clone());
}

const PORT_FORMS: &str =
    "write a number from 1 to 65535, or a service such as `postgresql` (`quaywatch ports` lists them)";

pub(super) fn port(at: &At<'_, '_>, problems: &mut Problems) -> Option<u16> {
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

pub(super) fn port_list(at: &At<'_, '_>, problems: &mut Problems) -> Option<Vec<u16>> {
    let mut ports = Vec::new();
    for item in one_or_more(at, "[22, 80, 8000-8010]", problems)? {
        ports.extend(range(&item, problems).into_iter().flatten());
    }
    let mut seen = std::collections::BTreeSet::new();
    ports.retain(|port| seen.insert(*port));
    Some(ports)
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

pub(super) fn preset(at: &At<'_, '_>, problems: &mut Problems) -> Option<Vec<u16>> {
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
