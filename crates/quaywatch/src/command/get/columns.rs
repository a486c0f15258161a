//! Answers of the API as tables: which fields are shown of what, and how.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use comfy_table::Cell;
use quaywatch_core::{Clock as _, Timestamp};
use quaywatch_net::SystemClock;
use serde_json::Value;

use crate::arguments::What;
use crate::terminal;

/// A column: its head, and what it shows of an item.
type Column = (&'static str, fn(&Value) -> String);

/// What people want to see of each thing in a list.
const fn columns(what: What) -> &'static [Column] {
    match what {
        What::Monitors => &[
            ("Status", |m| status(m)),
            ("Monitor", |m| text(&m["name"])),
            ("Target", |m| format!("{}:{}", text(&m["host"]), text(&m["port"]))),
            ("For", |m| ago(&m["since"])),
            ("Why", |m| if m["error_status"].is_null() { String::new() } else { text(&m["error_code"]) }),
            ("Latency", |m| latency(&m["last_check"]["latency_us"])),
            ("Group", |m| text(&m["group"])),
            ("Id", |m| text(&m["id"])),
            ("Owner", |m| text(&m["managed_by"])),
            ("Note", note),
        ],
        What::Incidents => &[
            ("Severity", |i| text(&i["severity"])),
            ("Monitor", |i| text(&i["monitor"]["name"])),
            ("Why", |i| text(&i["error_code"])),
            ("Began", |i| text(&i["started_at"])),
            ("Lasted", |i| seconds(&i["duration"])),
            ("State", |i| if i["ended_at"].is_null() { "open".to_owned() } else { text(&i["close_reason"]) }),
            ("Acknowledged by", |i| text(&i["acknowledged"]["by"])),
            ("Id", |i| text(&i["id"])),
        ],
        What::Channels => &[
            ("Channel", |c| text(&c["name"])),
            ("Type", |c| text(&c["type"])),
            ("Secrets", secrets),
            ("Id", |c| text(&c["id"])),
            ("Owner", |c| text(&c["managed_by"])),
        ],
        What::Groups => &[
            ("Status", |g| status(g)),
            ("Group", |g| text(&g["path"])),
            ("Monitors", |g| sum(&g["counts"])),
            ("Down", |g| text(&g["counts"]["down"])),
            ("Degraded", |g| text(&g["counts"]["degraded"])),
            ("Up", |g| text(&g["counts"]["up"])),
        ],
        What::Tags => &[
            ("Tag", |t| text(&t["name"])),
            ("Value", |t| text(&t["value"])),
            ("Monitors", |t| text(&t["monitors"])),
        ],
        What::Locations => &[
            ("Location", |l| text(&l["name"])),
            ("Number", |l| text(&l["id"])),
            ("Blind since", |l| text(&l["blind"]["since"])),
            ("Why", |l| text(&l["blind"]["error_code"])),
        ],
        What::Tokens => &[
            ("Id", |t| text(&t["id"])),
            ("Name", |t| text(&t["name"])),
            ("Begins with", |t| text(&t["prefix"])),
            ("Scopes", |t| list(&t["scopes"])),
            ("Made by", |t| text(&t["created_by"])),
            ("Last used", |t| or(&t["last_used_at"], "never")),
            ("Ends", |t| {
                if t["revoked_at"].is_null() { or(&t["expires_at"], "never") } else { "revoked".to_owned() }
            }),
        ],
        What::Members => &[
            ("Id", |m| text(&m["id"])),
            ("Email", |m| text(&m["email"])),
            ("Name", |m| text(&m["name"])),
            ("Role", |m| text(&m["role"])),
            ("Second factor", |m| if m["second_factor"] == true { "on" } else { "off" }.to_owned()),
            ("Last seen", |m| or(&m["last_seen_at"], "never")),
        ],
        What::Bin => &[
            ("Monitor", |m| text(&m["name"])),
            ("Target", |m| text(&m["target"])),
            ("Removed", |m| text(&m["removed_at"])),
            ("Gone for good", |m| text(&m["gone_at"])),
            ("Id", |m| text(&m["id"])),
            ("Owner", |m| text(&m["managed_by"])),
        ],
        What::Audit => &[
            ("When", |r| text(&r["at"])),
            ("Who", |r| text(&r["actor"])),
            ("What", |r| text(&r["action"])),
            ("Object", |r| text(&r["object"])),
            ("From", |r| text(&r["address"])),
            ("Request", |r| text(&r["request"])),
        ],
        What::Account | What::Config => &[],
    }
}

/// What an item is known by.
const NAMES: [&str; 4] = ["id", "name", "path", "email"];

/// Whether a person who says this means that item.
pub(super) fn is_called(item: &Value, name: &str) -> bool {
    NAMES.iter().any(|field| terminal::value(&item[*field]) == name)
}

/// A table with a line for each item.
pub(crate) fn table(what: What, items: &[Value]) -> String {
    if items.is_empty() {
        return "There is nothing of that kind.\n".to_owned();
    }
    let columns = columns(what);
    let heads: Vec<&str> = columns.iter().map(|(head, _)| *head).collect();
    let mut table = terminal::table(&heads);
    for item in items {
        table.add_row(columns.iter().map(|(_, show)| Cell::new(show(item))));
    }
    let plain = terminal::lines(&table);
    let (header, body) = plain.split_once('\n').unwrap_or((plain.as_str(), ""));
    let head = Style::new().bold();
    let mut out = format!("{head}{header}{head:#}\n");
    for (line, item) in body.lines().zip(items) {
        // The first word is coloured when the columns stand: a table would count the colour as letters.
        let (word, style) = (columns[0].1(item), colour(what, item));
        match line.strip_prefix(word.as_str()).filter(|_| !word.is_empty()) {
            Some(rest) => {
                let _ = writeln!(out, "{style}{word}{style:#}{rest}");
            }
            None => {
                let _ = writeln!(out, "{line}");
            }
        }
    }
    out
}

/// One item, a line for each field that says something: what it is called and how it is first.
pub(super) fn fields(item: &Value) -> String {
    const FIRST: [&str; 6] = ["name", "id", "status", "since", "error_code", "message"];
    let Value::Object(map) = item else { return format!("{item}\n") };
    let rest = map.keys().map(String::as_str).filter(|name| !FIRST.contains(name));
    let mut shown: Vec<(String, String)> = Vec::new();
    for name in FIRST.into_iter().chain(rest) {
        if let Some(value) = map.get(name) {
            spread(name, value, &mut shown);
        }
    }
    let width = shown.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let bold = Style::new().bold();
    shown.iter().fold(String::new(), |mut out, (name, value)| {
        let _ = writeln!(out, "{bold}{name:width$}{bold:#}  {value}");
        out
    })
}

/// What holds several things is a line for each: `limits.channels`.
fn spread(name: &str, value: &Value, shown: &mut Vec<(String, String)>) {
    if let Value::Object(map) = value {
        for (key, value) in map {
            spread(&format!("{name}.{}", terminal::clean(key)), value, shown);
        }
        return;
    }
    let value = line(value);
    if !value.is_empty() {
        shown.push((name.to_owned(), value));
    }
}

/// A value in one line; what is empty is nothing.
fn line(value: &Value) -> String {
    match value {
        Value::Array(items) if items.iter().all(|item| !item.is_object() && !item.is_array()) => list(value),
        other @ (Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_)) => text(other),
    }
}

fn text(value: &Value) -> String {
    terminal::clean(&terminal::value(value))
}

fn or(value: &Value, otherwise: &str) -> String {
    if value.is_null() { otherwise.to_owned() } else { text(value) }
}

fn list(value: &Value) -> String {
    let items: Vec<String> = value.as_array().into_iter().flatten().map(text).collect();
    items.join(" ")
}

/// What is down is shouted, as `quaywatch status` does it.
fn status(item: &Value) -> String {
    let word = text(&item["status"]);
    if word == "down" { "DOWN".to_owned() } else { word }
}

fn note(monitor: &Value) -> String {
    let pause = &monitor["paused"];
    let until = match (pause.is_null(), pause["until"].as_str()) {
        (true, _) if monitor["enabled"] == false => "switched off".to_owned(),
        (true, _) => return String::new(),
        (false, Some(until)) => format!("paused until {until}"),
        (false, None) => "paused".to_owned(),
    };
    match pause["reason"].as_str() {
        Some(reason) => terminal::clean(&format!("{until}: {reason}")),
        None => until,
    }
}

/// `url (hooks.example.com), headers`
fn secrets(channel: &Value) -> String {
    let one = |secret: &Value| match secret["hint"].as_str() {
        Some(hint) => terminal::clean(&format!("{} ({hint})", terminal::value(&secret["name"]))),
        None => text(&secret["name"]),
    };
    let all: Vec<String> = channel["secrets"].as_array().into_iter().flatten().map(one).collect();
    all.join(", ")
}

fn sum(counts: &Value) -> String {
    counts.as_object().into_iter().flatten().filter_map(|(_, n)| n.as_u64()).sum::<u64>().to_string()
}

fn latency(us: &Value) -> String {
    us.as_u64().and_then(|us| u32::try_from(us).ok()).map(terminal::latency).unwrap_or_default()
}

fn seconds(value: &Value) -> String {
    value.as_f64().map(|seconds| terminal::short(seconds as u64)).unwrap_or_default()
}

/// How long ago a moment is, by this machine's clock.
fn ago(moment: &Value) -> String {
    let at = moment.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let Some(at) = at else { return text(moment) };
    let at = Timestamp::from_millis(at.as_millisecond());
    terminal::short(SystemClock.now().since(at).as_secs())
}

fn colour(what: What, item: &Value) -> Style {
    let word = match what {
        What::Monitors | What::Groups => item["status"].as_str(),
        What::Incidents => item["severity"].as_str().filter(|_| item["ended_at"].is_null()),
        What::Channels
        | What::Tags
        | What::Locations
        | What::Tokens
        | What::Members
        | What::Bin
        | What::Audit
        | What::Account
        | What::Config => None,
    };
    let colour = match word {
        Some("up") => AnsiColor::Green,
        Some("degraded" | "warning") => AnsiColor::Yellow,
        Some("down" | "critical") => return terminal::colour(AnsiColor::Red).bold(),
        Some("unknown" | "blocked") => AnsiColor::Magenta,
        Some("pending" | "maintenance" | "paused") => AnsiColor::Cyan,
        Some(_) | None => return Style::new(),
    };
    terminal::colour(colour)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_is_a_table_and_nothing_in_it_steers_the_terminal() {
        let items = [
            json!({
                "id": "m1", "name": "orders\u{1b}[2J", "host": "db", "port": 5432, "status": "down",
                "error_code": "tcp_refused", "error_status": "tcp_refused", "managed_by": "api", "since": "2026-05-01T16:15:21.204Z",
                "last_check": { "latency_us": null }, "paused": null, "enabled": true,
            }),
            json!({
                "id": "m2", "name": "cache", "host": "c", "port": 6379, "status": "paused", "managed_by": "apply:infra",
                "since": "never mind", "last_check": null, "enabled": true,
                "paused": { "until": "2026-05-02T00:00:00Z", "reason": "moving racks" },
            }),
        ];
        let shown = anstream::adapter::strip_str(&table(What::Monitors, &items)).to_string();
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[1].starts_with("DOWN") && lines[1].contains("orders·[2J"), "{shown}");
        assert!(lines[1].contains("db:5432") && lines[1].contains("tcp_refused"), "{shown}");
        assert!(lines[2].ends_with("paused until 2026-05-02T00:00:00Z: moving racks"), "{shown}");
    }

    #[test]
    fn one_thing_is_shown_by_its_fields_without_those_that_say_nothing() {
        let item = json!({ "tags": {}, "id": "m1", "group": null, "name": "db", "channels": ["a", "b"], "port": 22 });
        let shown = anstream::adapter::strip_str(&fields(&item)).to_string();
        assert_eq!(shown, "name      db\nid        m1\nchannels  a b\nport      22\n");
    }
}
