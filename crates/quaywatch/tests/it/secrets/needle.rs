//! Looking for secrets in bytes: as they are, as JSON writes them, in base64, in hex, and percent-encoded.

use std::collections::HashMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// By so many first bytes a form is found; nothing shorter is a secret.
const HEAD: usize = 8;

/// Everything that must not be found.
#[derive(Debug, Default)]
pub(super) struct Needles {
    /// What it is, and a form of it, by the first bytes of that form.
    forms: HashMap<[u8; HEAD], Vec<(String, Vec<u8>)>>,
    names: Vec<String>,
}

impl Needles {
    /// One more secret.
    pub(super) fn add(&mut self, what: &str, secret: &[u8]) {
        assert!(secret.len() >= HEAD, "{what} is too short to be looked for");
        self.names.push(what.to_owned());
        for form in forms(secret) {
            let head: [u8; HEAD] = form[..HEAD].try_into().expect("so many bytes");
            self.forms.entry(head).or_default().push((what.to_owned(), form));
        }
    }

    /// How many secrets there are.
    pub(super) const fn count(&self) -> usize {
        self.names.len()
    }

    /// Those that stand in `hay`, with what stands around each.
    pub(super) fn found_in(&self, hay: &[u8]) -> Vec<String> {
        // Two bytes tell most places apart from all needles, without a hash.
        let mut starts = vec![false; 1 << 16];
        for head in self.forms.keys() {
            starts[usize::from(head[0]) << 8 | usize::from(head[1])] = true;
        }
        let mut found = Vec::new();
        for (i, window) in hay.windows(HEAD).enumerate() {
            if !starts[usize::from(window[0]) << 8 | usize::from(window[1])] {
                continue;
            }
            let head: [u8; HEAD] = window.try_into().expect("so many bytes");
            for (what, form) in self.forms.get(&head).into_iter().flatten() {
                if hay[i..].starts_with(form) {
                    let around = &hay[i.saturating_sub(120)..hay.len().min(i + form.len() + 40)];
                    found.push(format!("{what}: …{}…", String::from_utf8_lossy(around)));
                }
            }
        }
        found
    }
}

/// The forms in which a secret may stand somewhere.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![secret.to_vec()];
    if let Ok(text) = std::str::from_utf8(secret) {
        let json = serde_json::to_string(text).expect("a text");
        forms.push(json.trim_matches('"').as_bytes().to_vec());
    }
    // Inside something longer base64 begins at one of three places; the characters at its edges depend on neighbours.
    for shift in 0..3 {
        let shifted = [&b"xx"[..shift], secret].concat();
        let whole = shifted.len() / 3 * 4;
        let first = if shift == 0 { 0 } else { 4 };
        for engine in [&STANDARD, &URL_SAFE] {
            forms.push(engine.encode(&shifted).as_bytes()[first..whole].to_vec());
        }
    }
    let hex = |digits: fn(u8) -> String, sign: &str| {
        secret.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{sign}{}", digits(*byte));
            text
        })
    };
    for digits in [(|b| format!("{b:02x}")) as fn(u8) -> String, |b| format!("{b:02X}")] {
        forms.push(hex(digits, "").into_bytes());
        forms.push(hex(digits, "%").into_bytes());
        forms.push(percent(secret, digits).into_bytes());
    }
    forms.retain(|form| form.len() >= HEAD);
    forms.sort();
    forms.dedup();
    forms
}

/// As in addresses: what need not be written otherwise stays.
fn percent(secret: &[u8], digits: fn(u8) -> String) -> String {
    secret.iter().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            let _ = write!(text, "%{}", digits(*byte));
        }
        text
    })
}

#[test]
fn a_secret_is_found_in_each_of_its_forms() {
    let secret = "gräün/hawser+\"4711\"";
    let mut needles = Needles::default();
    needles.add("it", secret.as_bytes());
    let of = |text: String| !needles.found_in(text.as_bytes()).is_empty();
    assert!(of(format!("a {secret} b")));
    assert!(of(serde_json::json!({ "x": ["ä", secret] }).to_string()));
    for before in ["", "a", "ab", "abc", "user:", "kim@x:"] {
        assert!(of(STANDARD.encode(format!("{before}{secret}"))), "behind {before}");
        assert!(of(URL_SAFE.encode(format!("{before}{secret} and more"))), "behind {before}");
    }
    assert!(of(secret.bytes().map(|b| format!("{b:02x}")).collect()));
    assert!(of(secret.bytes().map(|b| format!("%{b:02X}")).collect()));
    assert!(of("?q=gr%C3%A4%C3%BCn%2Fhawser%2B%224711%22".to_owned()));
    assert!(!of("gräün/hawser+4711".to_owned()));
}
