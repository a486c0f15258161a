//! Every source file opens by saying what it decides; and files that have grown past one thing are named.

/// Above this many lines without tests, a file probably holds two things.
const LONG: usize = 700;

/// A file that does not say what it is.
pub(super) fn check(place: &str, text: &str) -> Option<String> {
    (!text.starts_with("//! "))
        .then(|| format!("{place}:1: open with `//!`: what it decides, and why this way"))
}

/// A file that is long.
pub(super) fn long(place: &str, text: &str) -> Option<String> {
    let lines = product_lines(place, text);
    (lines > LONG).then(|| format!("{place} has {lines} lines without its tests; does it hold two things?"))
}

/// Lines before the tests at the end; none in files of tests.
fn product_lines(place: &str, text: &str) -> usize {
    let is_test =
        place.ends_with("tests.rs") || place.split('/').any(|part| part == "tests" || part == "conformance");
    if is_test {
        return 0;
    }
    let tests = text.find("\n#[cfg(test)]\nmod ").or_else(|| text.find("\n#[cfg(test)]\n#[expect("));
    text[..tests.unwrap_or(text.len())].lines().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_what_it_is() {
        assert!(check("a.rs", "//! Decides.\n").is_none());
        assert!(check("a.rs", "use std::fmt;\n//! Decides.\n").is_some());
        assert!(check("a.rs", "").is_some());
    }

    #[test]
    fn tests_do_not_make_a_file_long() {
        let long_body = "//! x\n".repeat(LONG + 1);
        assert!(long("a.rs", &long_body).is_some());
        assert!(long("a/tests.rs", &long_body).is_none());
        assert!(long("crates/a/tests/it/b.rs", &long_body).is_none());
        assert!(long("a.rs", &format!("//! x\n\n#[cfg(test)]\nmod tests {{\n{long_body}}}\n")).is_none());
    }
}
