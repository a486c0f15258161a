//! What may be shown of a document that holds secrets where something is wrong with it. A broken document does not say
//! where its secrets begin and end: so of such a document only lines are shown that begin with a setting which is known
//! and have no unknown ones in them, and messages repeat only words that are known.

use quaywatch_core::doc::closest;
use quaywatch_core::spec::fields;
use quaywatch_notify::registry;

use super::settings;

/// Parts of keys whose values are secrets.
pub(super) const SECRET_KEYS: [&str; 8] =
    ["secret", "token", "password", "authorization", "cookie", "api-key", "api_key", "apikey"];

/// Problems whose messages repeat what was written.
const ECHOES: [&str; 4] = ["unknown_key", "wrong_type", "bad_key", "not_here"];

/// Whether a key's value is one.
pub(super) fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET_KEYS.iter().any(|word| key.contains(word))
}

/// How a document is spoken of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Discretion {
    /// There are secrets in it.
    is_careful: bool,
}

impl Discretion {
    pub(super) fn of(text: &str) -> Self {
        let is_meant_for_one = |key: &str| !is_known(key) && closest(key, names()).is_some_and(is_secret);
        let speaks_of_one = |line: &str| is_secret(line) || keys(line).any(|(_, key)| is_meant_for_one(key));
        Self { is_careful: text.lines().any(speaks_of_one) }
    }

    /// From which byte on nothing of a line is shown; `None`: it may be, but for what is secret in it.
    pub(super) fn hides_from(self, line: &str) -> Option<usize> {
        if !self.is_careful {
            return None;
        }
        let begin = line.len() - line.trim_start_matches([' ', '-', '{', '"', '\'', '\t']).len();
        let first = keys(line).next().filter(|(at, _)| *at == begin);
        match first {
            Some(_) if keys(line).all(|(_, key)| is_known(key) || is_secret(key) || is_meant(key)) => None,
            Some((at, key)) if is_known(key) => Some(at + key.len() + 1),
            Some(_) | None => Some(line.len() - line.trim_start_matches([' ', '-', '\t']).len()),
        }
    }

    /// A message of this code about this line. What it repeats of the line may be a part of a secret.
    pub(super) fn message(self, message: &str, code: &str, line: &str) -> String {
        let repeats = ECHOES.contains(&code);
        let has_secret = || keys(line).any(|(_, key)| is_secret(key));
        if !self.is_careful || !repeats || self.hides_from(line).is_none() && !has_secret() {
            return message.to_owned();
        }
        let quotes = message.split('`').enumerate();
        let told = quotes.map(|(i, part)| if i % 2 == 0 || is_harmless(part) { part } else { "…" });
        told.collect::<Vec<_>>().join("`")
    }
}

/// The words of a line that stand before a colon, each with its place.
fn keys(line: &str) -> impl Iterator<Item = (usize, &str)> {
    line.match_indices(':').filter_map(|(colon, _)| {
        let before = line[..colon].trim_end_matches(['"', '\'', ' ']);
        let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        let begin = before.rfind(|c: char| !is_part(c));
        let begin = begin.map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
        // Of an address with colons, a time or a web address, what stands there is no key.
        let is_key = before.len() > begin && !line[colon + 1..].starts_with("//");
        is_key.then(|| (begin, &before[begin..]))
    })
}

/// A setting, wherever it belongs.
fn is_known(word: &str) -> bool {
    // `file:` begins a reference.
    word == "file" || names().any(|name| name == word) || fields::by_name(word).is_some()
}

/// Every setting.
fn names() -> impl Iterator<Item = &'static str> {
    const TABLES: [&[settings::Setting]; 10] = [
        settings::TOP,
        settings::SERVER,
        settings::PLAN,
        settings::SESSIONS,
        settings::OIDC,
        settings::RETENTION,
        settings::EGRESS,
        settings::METRICS,
        settings::TARGET_BUDGET,
        settings::CHANNEL,
    ];
    let settings = TABLES.iter().flat_map(|table| table.iter()).map(|setting| setting.name);
    let of_channels = registry::KINDS.iter().flat_map(|kind| kind.fields).map(|field| field.name);
    let of_monitors = fields::FIELDS.iter().map(|field| field.name);
    settings.chain(of_channels).chain(of_monitors)
}

/// A setting that is written wrong, and is none of a secret.
fn is_meant(word: &str) -> bool {
    !is_secret(word) && closest(word, names()).is_some_and(|name| !is_secret(name))
}

/// What a message may repeat: settings, also those that are written wrong, what it proposes itself, and numbers.
fn is_harmless(quoted: &str) -> bool {
    let word = quoted.split([':', ' ', '=']).next().unwrap_or_default();
    is_known(word)
        || is_known(quoted)
        || closest(quoted, names()).is_some()
        || quoted.parse::<f64>().is_ok()
        || quoted.contains("NAME")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_to_be_harmless_is_hidden_in_a_document_with_secrets() {
        let careful = Discretion::of("send_secret: x\n");
        for line in [
            "  port: 99999",
            "- name: a",
            "  - {name: a, host: b, port: 0}",
            "    timeout: 5 parsecs",
            "  chek_interval: 5s",
        ] {
            assert_eq!(careful.hides_from(line), None, "{line}");
            assert_eq!(Discretion::of("port: 1\n").hides_from(line), None);
        }
        for (line, from) in [
            ("      \"AUTH hunter2\", port: 99999}", 6),
            ("hunter2: y", 0),
            ("      pw hunter2: y", 6),
            ("  send-secert: hunter2", 2),
            ("  send_secret: x, qqq: hunter2", 14),
            ("- hunter2", 2),
            ("%hunter2", 0),
        ] {
            assert_eq!(careful.hides_from(line), Some(from), "{line}");
            assert_eq!(Discretion::of("port: 1\n").hides_from(line), None, "{line}");
        }
        let told =
            careful.message("unknown setting `hunter2`; did you mean `port`?", "unknown_key", "hunter2: y");
        assert_eq!(told, "unknown setting `…`; did you mean `port`?");
        let told = careful.message("`port` is 99999", "wrong_type", "  port: 99999");
        assert_eq!(told, "`port` is 99999");
    }
}
