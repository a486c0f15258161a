//! Where a monitor of the file is written.

use quaywatch_core::doc::{Node, Problems, Value};

use super::yaml;

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
}
