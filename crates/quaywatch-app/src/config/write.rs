//! Monitors and channels as YAML that reads back equal: written plainly, one setting a line, by the names of the file.
//!
//! What is stored of a monitor is JSON under those names, and JSON is YAML: so values are written as JSON, except for
//! words that need no quotes.

use std::fmt::Write as _;

use quaywatch_core::spec::fields;
use quaywatch_notify::registry::{Field, Form, Kind};
use serde_json::{Map, Value};

use super::secrets::is_reference;

/// What stands beside a secret that is not written.
const LEFT_OUT: &str = "a secret: exports leave it out";

/// A document in the making.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    text: String,
}

impl Writer {
    /// A section, and whether it has nothing in it.
    pub(crate) fn section(&mut self, name: &str, is_empty: bool) {
        let _ = writeln!(self.text, "{name}:{}", if is_empty { " []" } else { "" });
    }

    /// A monitor, its settings in the order of the reference; secrets as those of channels.
    pub(crate) fn monitor(&mut self, settings: &Map<String, Value>) {
        let place = |name: &str| fields::FIELDS.iter().position(|field| field.name == name);
        let mut pairs: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value)).collect();
        pairs.sort_by_key(|(name, _)| place(name).unwrap_or(usize::MAX));
        let is_hidden = |(name, value): &(&str, &Value)| {
            fields::is_secret(name) && !value.as_str().is_some_and(is_reference)
        };
        let (hidden, shown): (Vec<_>, Vec<_>) = pairs.into_iter().partition(is_hidden);
        self.pairs(shown.into_iter());
        self.left_out(hidden.into_iter().map(|(name, _)| name));
    }

    /// A channel: secrets that are references as such, others left empty with a word that says so. Empty and not left
    /// out, so that whoever reads it back where there is no such channel can say what it lacks.
    pub(crate) fn channel(
        &mut self,
        head: &Map<String, Value>,
        kind: Option<&Kind>,
        settings: &Map<String, Value>,
    ) {
        let (mut shown, mut empty, mut unsaid) = (Vec::new(), Vec::new(), Vec::new());
        for (name, value) in settings {
            let field = kind.and_then(|kind| kind.fields.iter().find(|field| field.name == name));
            match open_part(field, name, value) {
                (None, _) if field.is_some() => empty.push(name.as_str()),
                (open, mut hidden) => {
                    shown.extend(open.map(|open| (name.as_str(), open)));
                    unsaid.append(&mut hidden);
                }
            }
        }
        let head = head.iter().map(|(name, value)| (name.as_str(), value));
        self.pairs(head.chain(shown.iter().map(|(name, value)| (*name, value))));
        self.left_out(empty.into_iter());
        if !unsaid.is_empty() {
            let _ = writeln!(self.text, "    # left out: {}", unsaid.join(", "));
        }
    }

    fn left_out<'n>(&mut self, names: impl Iterator<Item = &'n str>) {
        for name in names {
            let _ = writeln!(self.text, "    {name}: null  # {LEFT_OUT}");
        }
    }

    fn pairs<'v>(&mut self, pairs: impl Iterator<Item = (&'v str, &'v Value)>) {
        let mut lead = "  - ";
        for (name, value) in pairs {
            let _ = writeln!(self.text, "{lead}{name}: {}", scalar(value));
            lead = "    ";
        }
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }
}

/// What may be shown of a setting, and the names of what may not.
fn open_part(field: Option<&Field>, name: &str, value: &Value) -> (Option<Value>, Vec<String>) {
    // What a kind of another version calls this is not known: better left out.
    let Some(field) = field else { return (None, vec![name.to_owned()]) };
    if !field.secret || value.as_str().is_some_and(is_reference) {
        return (Some(value.clone()), Vec::new());
    }
    let Some(map) = value.as_object().filter(|_| field.form == Form::Map) else {
        return (None, vec![name.to_owned()]);
    };
    let is_open = |one: &Value| one.as_str().is_some_and(is_reference);
    let (open, hidden): (Map<_, _>, Map<_, _>) = map.clone().into_iter().partition(|(_, one)| is_open(one));
    let hidden = hidden.keys().map(|key| format!("{name}.{key}")).collect();
    ((!open.is_empty()).then_some(Value::Object(open)), hidden)
}

/// A value in one line.
fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        // Quoted JSON is quoted YAML, but for characters that YAML wants escaped.
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(scalar).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(map) => {
            let pairs: Vec<String> =
                map.iter().map(|(name, value)| format!("{}: {}", quoted(name), scalar(value))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => other.to_string(),
    }
}

fn quoted(text: &str) -> String {
    let json = Value::String(text.to_owned()).to_string();
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                let _ = write!(escaped, "\\u{:04x}", u32::from(c));
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// Whether a text means itself without quotes: a word that is no number, truth value or null in any version of YAML.
fn is_plain(text: &str) -> bool {
    const OTHERS: [&str; 14] = [
        "true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf", "infinity", "file", "none",
    ];
    let mut chars = text.chars();
    chars.next().is_some_and(|first| first.is_ascii_alphabetic())
        && chars.all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
        && !OTHERS.contains(&text.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use quaywatch_core::MonitorSpec;

    use super::*;
    use crate::config;

    /// What a document of this one monitor reads back as.
    fn read_back(spec: &str) -> String {
        let mut writer = Writer::default();
        writer.section("monitors", false);
        writer.monitor(&serde_json::from_str(spec).expect("a canonical text"));
        let text = writer.finish();
        let config =
            config::read(&text, "q.yaml", &|_| None).unwrap_or_else(|error| panic!("{error}\n{text}"));
        config.monitors[0].spec.to_string()
    }

    #[test]
    fn a_monitor_with_everything_reads_back_equal() {
        let spec = r#"{"id":"x 1","name":"db: \"primary\" # 1","monitor_type":"tcp","host":"2001:db8::1","port":5432,"check_interval":0.5,"response_time_threshold":0.25,"addresses":"all","handshake":"full","settle":0.1,"group":"infra/db","tags":{"env":"prod","no":"","yes: no":"[1]"},"enabled":false,"description":"two\nlines","runbook_url":"https://wiki.example.com/db"}"#;
        let spec = spec.replace("0.5,\"resp", "1.5,\"resp");
        assert_eq!(read_back(&spec), spec);
    }

    proptest! {
        #[test]
        fn any_name_reads_back_equal(name in "[^\\p{Cc}\\u{200B}-\\u{200F}\\u{202A}-\\u{202E}\\u{2066}-\\u{2069}\\u{FEFF}]{1,60}") {
            prop_assume!(!name.trim().is_empty() && name.trim() == name);
            let host = quaywatch_core::spec::Host::parse("db.example.com").expect("a name");
            let spec = MonitorSpec::tcp(name, host, 22).to_canonical();
            prop_assert_eq!(read_back(&spec), spec);
        }

        #[test]
        fn any_description_reads_back_equal(text in "\\PC{1,20}[\\n\\t ]?\\PC{1,20}") {
            prop_assume!(text.trim() == text);
            let host = quaywatch_core::spec::Host::parse("db.example.com").expect("a name");
            let mut spec = MonitorSpec::tcp("db", host, 22);
            spec.description = Some(text);
            let spec = spec.to_canonical();
            prop_assert_eq!(read_back(&spec), spec);
        }
    }
}
