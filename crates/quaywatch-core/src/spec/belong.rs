//! Where a monitor belongs and who hears of it: locations, channels, group, tags.

use std::collections::BTreeMap;

use super::read::Context;
use super::values::{At, alternatives, code_point, is_unseen};
use crate::doc::{self, Path, Problems, Span, Value, pairs, quote};

pub(super) fn locations(at: &At<'_, '_>, cx: &Context<'_>, problems: &mut Problems) -> Option<Vec<String>> {
    let names = at.names(problems, "[local]", 100)?;
    if names.is_empty() {
        at.error(
            problems,
            "empty",
            "`locations` is empty",
            "name at least one, or leave it out for `[local]`",
        );
        return None;
    }
    let known: Vec<&str> =
        std::iter::once(super::MonitorSpec::LOCAL).chain(cx.locations.iter().map(String::as_str)).collect();
    let mut fine = true;
    for (name, span) in &names {
        if !known.contains(&name.as_str()) {
            let message = if span.is_known() {
                format!("location {} is not declared", quote(name))
            } else {
                format!("there is no location {}", quote(name))
            };
            let remedy =
                if span.is_known() { "declare it under top-level `locations:`" } else { "name another" };
            undeclared(&at.path, *span, message, (name, &known), remedy, problems);
            fine = false;
        }
    }
    fine.then(|| names.into_iter().map(|(name, _)| name).collect())
}

pub(super) fn channels(at: &At<'_, '_>, cx: &Context<'_>, problems: &mut Problems) -> Option<Vec<String>> {
    let names = at.names(problems, "[ops]", 50)?;
    let mut fine = true;
    for (name, span) in &names {
        if !cx.channels.contains(name) {
            let known: Vec<&str> = cx.channels.iter().map(String::as_str).collect();
            let message = format!("channel {} does not exist", quote(name));
            let remedy =
                if span.is_known() { "declare it under top-level `channels:`" } else { "make it first" };
            undeclared(&at.path, *span, message, (name, &known), remedy, problems);
            fine = false;
        }
    }
    fine.then(|| names.into_iter().map(|(name, _)| name).collect())
}

/// A name that nothing has: lists those that exist.
fn undeclared(
    path: &Path<'_>,
    span: Span,
    message: String,
    (name, known): (&str, &[&str]),
    remedy: &str,
    problems: &mut Problems,
) {
    const SHOWN: usize = 12;
    // What is known under several words (a name, an id) may stand there several times.
    let mut seen = std::collections::HashSet::new();
    let known: Vec<&str> = known.iter().copied().filter(|word| seen.insert(*word)).collect();
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
        || format!("{remedy} ({existing})"),
        |meant| format!("did you mean `{meant}`? ({existing})"),
    );
    problems.error(path, span, "undeclared", message, remedy);
}

pub(super) fn group(at: &At<'_, '_>, problems: &mut Problems) -> Option<String> {
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

pub(super) fn tags(at: &At<'_, '_>, problems: &mut Problems) -> Option<BTreeMap<String, String>> {
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
    } else if let Some(unseen) = name.chars().chain(value.chars()).find(|c| is_unseen(*c)) {
        Some(format!("the tag {} has {} in it, which cannot be seen", quote(name), code_point(unseen)))
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

pub(super) fn web_address(at: &At<'_, '_>, problems: &mut Problems) -> Option<String> {
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
