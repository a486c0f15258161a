//! Where a text has what is spoken of: the line of a monitor, and the places of values that a server elsewhere found
//! wrong and can only name by JSON pointers.

use std::collections::BTreeMap;

use quaywatch_core::doc::{Node, Problems, Span, Value};

use super::yaml;

/// A value of a document, as somebody names it who has not its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pointed<'p> {
    /// A JSON pointer (RFC 6901): `/monitors/3/port`; empty for the document.
    pub pointer: &'p str,
    /// Whether its key is meant and not what stands under it.
    pub is_key: bool,
}

/// Where values stand, each at its index; what is not in the text has the place of the nearest thing around it, and the
/// document itself has none. And everything that is wrong with the text as YAML.
#[must_use]
pub fn spans_of(text: &str, pointed: &[Pointed<'_>]) -> (Vec<Span>, Problems) {
    let (mut spans, mut problems) = (vec![Span::default(); pointed.len()], Problems::new());
    let ways: Vec<Vec<String>> = pointed.iter().map(|one| way(one.pointer)).collect();
    // By the monitor that they lead into: monitors are handed over one by one.
    let mut into: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (which, way) in ways.iter().enumerate() {
        if let [MONITORS, index, ..] = *way.iter().map(String::as_str).collect::<Vec<_>>()
            && let Ok(index) = index.parse()
        {
            into.entry(index).or_default().push(which);
        }
    }
    let root = yaml::document(text, MONITORS, &mut problems, &mut |index, node, _| {
        for which in into.get(&index).into_iter().flatten() {
            spans[*which] = place(node, &ways[*which][2..], pointed[*which].is_key, node.span);
        }
    });
    if let Some(root) = root {
        for (which, way) in ways.iter().enumerate().filter(|(_, way)| !way.is_empty()) {
            if spans[which] == Span::default() {
                spans[which] = place(&root, way, pointed[which].is_key, Span::default());
            }
        }
    }
    (spans, problems)
}

const MONITORS: &str = "monitors";

/// A pointer's steps.
fn way(pointer: &str) -> Vec<String> {
    pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect()
}

/// The place at the end of a way, or of the last thing on it that there is.
fn place(node: &Node<'_>, way: &[String], is_key: bool, so_far: Span) -> Span {
    let Some((step, rest)) = way.split_first() else { return so_far };
    match &node.value {
        Value::Mapping(pairs) => match pairs.iter().rev().find(|(key, _)| key.text == *step) {
            Some((key, value)) => {
                // Where nothing is written, the key is all that can be shown.
                let own = if (is_key && rest.is_empty()) || value.is_blank() { key.span } else { value.span };
                place(value, rest, is_key, own)
            }
            None => so_far,
        },
        Value::Sequence(items) => match step.parse::<usize>().ok().and_then(|index| items.get(index)) {
            Some(item) => place(item, rest, is_key, item.span),
            None => so_far,
        },
        Value::Scalar(..) => so_far,
    }
}

/// A small document as a tree, for files of other kinds than the server's.
///
/// # Errors
/// Everything that is wrong with it as YAML.
pub fn tree(text: &str) -> Result<Node<'_>, Problems> {
    let mut problems = Problems::new();
    match yaml::document(text, "", &mut problems, &mut |_, _, _| {}) {
        Some(node) if problems.is_fine() => Ok(node),
        Some(_) | None => Err(problems),
    }
}

/// The line of the monitor with this key (`id:`, or the name). One that came from a list (`hosts`, `ports`, `preset`)
/// has the line of its entry.
#[must_use]
pub fn line_of(text: &str, key: &str) -> Option<u32> {
    let mut exact = None;
    // The longest beginning of the key that an entry with a list has for a name.
    let mut from_list: Option<(usize, u32)> = None;
    let mut unheard = Problems::new();
    yaml::document(text, "monitors", &mut unheard, &mut |_, node, _| {
        let Some(name) = word(node, "id").or_else(|| word(node, "name")) else { return };
        if name == key {
            exact.get_or_insert(node.span.line);
            return;
        }
        let is_list = ["hosts", "ports", "preset"].iter().any(|list| node.get(list).is_some());
        let begins = name.split("{host}").next().unwrap_or(name).split("{port}").next().unwrap_or(name);
        if is_list && key.starts_with(begins) && from_list.is_none_or(|(longest, _)| begins.len() > longest) {
            from_list = Some((begins.len(), node.span.line));
        }
    });
    exact.or(from_list.map(|(_, line)| line)).filter(|line| *line > 0)
}

fn word<'n>(node: &'n Node<'_>, key: &str) -> Option<&'n str> {
    match &node.get(key)?.value {
        Value::Scalar(text, _) => Some(text.trim()),
        Value::Mapping(_) | Value::Sequence(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "channels: [{name: ops, type: log}]\nmonitors:\n  - name: ssh\n    host: a\n    port: 22\n  - \
                        {name: db, id: primary, host: b, port: 5432}\n  - name: web {host}\n    hosts: [c, d]\n    \
                        port: 443\n";

    #[test]
    fn a_monitor_is_found_by_its_key_or_by_the_entry_it_came_from() {
        assert_eq!(line_of(FILE, "ssh"), Some(3));
        assert_eq!(line_of(FILE, "primary"), Some(6));
        assert_eq!(line_of(FILE, "db"), None, "its key is the id");
        assert_eq!(line_of(FILE, "web c"), Some(7));
        assert_eq!(line_of(FILE, "nowhere"), None);
    }

    #[test]
    fn what_a_pointer_names_is_found_in_the_text_or_the_nearest_thing_around_it() {
        let at = |pointer, is_key| {
            let (spans, problems) = spans_of(FILE, &[Pointed { pointer, is_key }]);
            assert!(problems.is_fine());
            (spans[0].line, FILE.get(spans[0].start as usize..spans[0].end as usize).unwrap_or_default())
        };
        assert_eq!(at("/monitors/0/port", false), (5, "22"));
        assert_eq!(at("/monitors/1/port", true), (6, "port"));
        assert_eq!(at("/monitors/2/hosts/1", false), (8, "d"));
        assert_eq!(at("/channels/0/type", false), (1, "log"));
        assert_eq!(at("/monitors/0/timeout", false).0, 3, "it is not there: its monitor is");
        assert_eq!(at("/monitors/9/port", false).0, 2, "nor that monitor: the list is");
        assert_eq!(at("", false), (0, ""));
    }

    #[test]
    fn a_text_that_is_no_yaml_is_told_as_such() {
        let (_, problems) = spans_of("monitors: [", &[Pointed { pointer: "", is_key: false }]);
        assert_eq!(problems.errors(), 1);
        assert!(tree("a: [").is_err());
        assert!(tree("a: {b: 1}").is_ok_and(|node| node.get("a").is_some()));
    }
}
