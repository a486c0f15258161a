//! Durations as people write them: `60` (seconds), `500ms`, `1m`, `5 minutes`, `1h30m`.

use std::fmt;
use std::time::Duration;

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DurationError {
    /// What is wrong, as the end of a sentence that begins with the text.
    pub message: String,
    /// What to write instead.
    pub remedy: String,
}

const FORMS: &str = "write a duration such as `60` (seconds), `500ms`, `1m`, `5 minutes` or `1h30m`";

/// Unit words and what they are worth in milliseconds. Months are a twelfth of 365.25 days.
const UNITS: &[(&str, u64)] = &[
    ("ms", 1),
    ("msec", 1),
    ("msecs", 1),
    ("millisecond", 1),
    ("milliseconds", 1),
    ("s", SECOND),
    ("sec", SECOND),
    ("secs", SECOND),
    ("second", SECOND),
    ("seconds", SECOND),
    ("m", MINUTE),
    ("min", MINUTE),
    ("mins", MINUTE),
    ("minute", MINUTE),
    ("minutes", MINUTE),
    ("h", HOUR),
    ("hr", HOUR),
    ("hrs", HOUR),
    ("hour", HOUR),
    ("hours", HOUR),
    ("d", DAY),
    ("day", DAY),
    ("days", DAY),
    ("w", 7 * DAY),
    ("week", 7 * DAY),
    ("weeks", 7 * DAY),
    ("month", 2_629_800_000),
    ("months", 2_629_800_000),
    ("y", 31_557_600_000),
    ("year", 31_557_600_000),
    ("years", 31_557_600_000),
];

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Reads a duration, to the millisecond.
///
/// # Errors
/// It is none, with what to write instead.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(error("is empty", FORMS));
    }
    if text.starts_with('-') {
        return Err(error("is negative", FORMS));
    }
    if let Some(iso) = text.strip_prefix('P').filter(|t| t.contains(|c: char| c.is_ascii_digit())) {
        let simple = iso.replace('T', "").to_ascii_lowercase();
        let remedy = parse(&simple).map_or_else(|_| FORMS.to_owned(), |d| format!("write `{}`", Human(d)));
        return Err(error("is in the ISO 8601 form", remedy));
    }
    sum_of_parts(text)
}

fn sum_of_parts(text: &str) -> Result<Duration, DurationError> {
    let mut rest = text;
    let mut total_ms = 0.0_f64;
    let mut last_unit = f64::INFINITY;
    let mut parts = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().map_err(|_| error("is not a duration", FORMS))?;
        rest = rest[digits..].trim_start();
        let letters = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(letters);
        let unit = unit_in_ms(word, parts == 0 && behind.is_empty(), number)?;
        if unit >= last_unit {
            return Err(error("does not go from large to small units", FORMS));
        }
        total_ms += number * unit;
        last_unit = unit;
        parts += 1;
        rest = behind.trim_start_matches([' ', ',']);
    }
    if total_ms > 1e15 {
        return Err(error("is far too long", FORMS));
    }
    let rounded = total_ms.round();
    if (rounded - total_ms).abs() > 1e-6 * total_ms.max(1.0) {
        return Err(error("is finer than a millisecond", "write whole milliseconds, such as `1ms`"));
    }
    Ok(Duration::from_millis(rounded as u64))
}

fn unit_in_ms(word: &str, alone: bool, number: f64) -> Result<f64, DurationError> {
    if word.is_empty() {
        return if alone { Ok(SECOND as f64) } else { Err(error("has a number without a unit", FORMS)) };
    }
    if word == "M" {
        return Err(error("has the unit `M`", format!("write `{number}m` for minutes or `{number} months`")));
    }
    let lower = word.to_lowercase();
    if let Some((_, ms)) = UNITS.iter().find(|(name, _)| *name == lower) {
        return Ok(*ms as f64);
    }
    if matches!(lower.as_str(), "us" | "µs" | "μs" | "ns") {
        return Err(error("is finer than a millisecond", "write whole milliseconds, such as `1ms`"));
    }
    let meant = UNITS
        .iter()
        .filter(|(name, _)| name.len() > 2 && lower.len() > 2)
        .map(|(name, _)| (strsim::damerau_levenshtein(&lower, name), std::cmp::Reverse(name.len()), *name))
        .filter(|(distance, ..)| *distance <= 2)
        .min();
    let remedy =
        meant.map_or_else(|| FORMS.to_owned(), |(.., name)| format!("did you mean `{number} {name}`?"));
    Err(error(format!("has an unknown unit `{word}`"), remedy))
}

fn error(message: impl Into<String>, remedy: impl Into<String>) -> DurationError {
    DurationError { message: message.into(), remedy: remedy.into() }
}

/// Shows a duration in the shortest form that [`parse`] reads back: `500ms`, `1m`, `1h30m`, `24h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Human(pub Duration);

impl fmt::Display for Human {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ms = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if ms == 0 {
            return f.write_str("0s");
        }
        let days = ms / DAY;
        if days >= 2 {
            write!(f, "{days}d")?;
            ms -= days * DAY;
        }
        for (unit, name) in [(HOUR, "h"), (MINUTE, "m"), (SECOND, "s"), (1, "ms")] {
            let count = ms / unit;
            ms %= unit;
            if count > 0 {
                write!(f, "{count}{name}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn z08_durations_are_read_as_people_write_them() {
        for (text, ms) in [
            ("60", 60_000),
            ("0.5", 500),
            ("500ms", 500),
            ("500 ms", 500),
            ("1m", 60_000),
            ("5 minutes", 300_000),
            ("5 Minutes", 300_000),
            ("1 minute", 60_000),
            ("10 seconds", 10_000),
            ("10s", 10_000),
            ("1.5s", 1_500),
            ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000),
            ("1 hour, 30 minutes", 5_400_000),
            ("24h", 86_400_000),
            ("1d", 86_400_000),
            ("30 days", 2_592_000_000),
            ("13 months", 34_187_400_000),
            ("0", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_the_right_form() {
        let bad = [
            "",
            "abc",
            "-5s",
            "5 minuts",
            "5 parsecs",
            "5M",
            "1m 30",
            "30s1m",
            "1m1m",
            "1..5s",
            "10us",
            "0.0001s",
            "PT5M",
            "P1DT2H",
            "1e9",
            "99999999999 years",
            "5 м",
            "60seconds!",
            "s",
        ];
        let told: Vec<String> = bad
            .iter()
            .map(|text| match parse(text) {
                Ok(d) => format!("{text} → accepted as {}", Human(d)),
                Err(e) => format!("{text} → {} → {}", e.message, e.remedy),
            })
            .collect();
        insta::assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn shown_durations_are_read_back() {
        for ms in [0, 1, 999, 1_000, 1_500, 60_000, 61_001, 5_400_000, 86_400_000, 172_800_000, 2_592_000_001]
        {
            let duration = Duration::from_millis(ms);
            assert_eq!(parse(&Human(duration).to_string()), Ok(duration), "{}", Human(duration));
        }
        assert_eq!(Human(Duration::from_millis(5_400_000)).to_string(), "1h30m");
        assert_eq!(Human(Duration::from_secs(86_400)).to_string(), "24h");
    }
}
