//! Words for people, for every outcome: what happened, why most likely, and what to do. One table for pages, notices,
//! documents and the command line.
//!
//! Remedies hold `{host}` and `{port}`, so that a command can be copied as it stands; [`remedy`] fills them in. The
//! match is exhaustive: a new code does not compile until somebody has found words for it.

mod table;

use std::fmt::Write as _;

use crate::code::{ErrorCode, ErrorStatus, Verdict};

pub use table::of;

/// The words for one outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason {
    /// What happened, as a headline without a full stop: "TCP connection refused".
    pub sentence: &'static str,
    /// Why, most likely; one or two sentences.
    pub cause: &'static str,
    /// What to look at or do; may hold `{host}` and `{port}`.
    pub remedy: &'static str,
}

const fn reason(sentence: &'static str, cause: &'static str, remedy: &'static str) -> Reason {
    Reason { sentence, cause, remedy }
}

/// The remedy with this target filled in.
#[must_use]
pub fn remedy(code: ErrorCode, host: &str, port: u16) -> String {
    of(code).remedy.replace("{host}", host).replace("{port}", &port.to_string())
}

/// The reference of outcomes, in Markdown, as it stands in the documentation.
#[must_use]
pub fn reference() -> String {
    let mut out = String::from(REFERENCE_HEAD);
    for status in std::iter::once(None).chain(ErrorStatus::ALL.iter().copied().map(Some)) {
        match status {
            None => out.push_str("\n## `ok`\n\nVerdict: up. `error_status` is null.\n"),
            Some(status) => {
                let verdict = verdict_in_words(status.verdict());
                let _ = write!(out, "\n## `{status}`\n\nVerdict: {verdict}.\n");
            }
        }
        for code in ErrorCode::ALL.iter().filter(|code| code.status() == status) {
            let words = of(*code);
            let _ = write!(out, "\n### `{code}`\n\n**{}.** {}\n", words.sentence, words.cause);
            if !words.remedy.is_empty() {
                let remedy = words.remedy.replace("{host}", "HOST").replace("{port}", "PORT");
                let _ = write!(out, "\n{remedy}\n");
            }
        }
    }
    out
}

const REFERENCE_HEAD: &str = "# Outcomes\n\n\
<!-- Written from the reason table in quaywatch-core; do not edit. -->\n\n\
What a check can see. `error_status` (the headings) is the word that people, routes and other systems match on;\n\
`error_code` (below each) is the fine one. Codes are added, never renamed.\n\n\
Only *down* counts as downtime. What is the watcher's own fault is *unknown*, never *down*.\n";

const fn verdict_in_words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Up => "up",
        Verdict::Degraded => "degraded, never down alone",
        Verdict::Down => "down",
        Verdict::Unknown => "unknown, never down",
        Verdict::Blocked => "blocked: not downtime, shown as what it is",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t30_every_code_has_words_of_its_own() {
        let mut sentences = std::collections::BTreeMap::new();
        for code in ErrorCode::ALL {
            let words = of(*code);
            assert!(!words.sentence.is_empty() && !words.cause.is_empty(), "{code} has no words");
            assert!(words.remedy.is_empty() == (*code == ErrorCode::Ok), "{code} has no remedy");
            assert!(!words.sentence.ends_with('.') && words.cause.ends_with('.'), "{code}");
            assert!(words.remedy.is_empty() || words.remedy.ends_with(['.', '?']), "{code}");
            if let Some(other) = sentences.insert(words.sentence, *code) {
                panic!("{code} and {other} share a sentence");
            }
        }
        assert_eq!(of(ErrorCode::TcpRefused).sentence, "TCP connection refused");
    }

    #[test]
    fn s22_the_remedy_is_a_command_for_this_very_target() {
        let remedy = remedy(ErrorCode::TcpRefused, "db.example.com", 3306);
        assert!(remedy.contains("ss -ltn 'sport = :3306'") && remedy.contains("db.example.com"), "{remedy}");
        for code in ErrorCode::ALL {
            let text = super::remedy(*code, "h", 1);
            assert!(!text.contains("{host}") && !text.contains("{port}"), "{text}");
        }
    }
}
