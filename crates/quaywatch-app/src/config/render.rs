//! Problems as people read them: place, sentence, the offending line with a mark under it, and what to write instead.
//!
//! The line is shown with care: control characters cannot reach the terminal, long lines are cut around the mark, and
//! what stands where a secret belongs is starred out, because errors end in logs and tickets.

use std::fmt::Write as _;

use quaywatch_core::doc::{Level, Problem, Problems};

use super::discreet::{Discretion, is_secret};

/// How problems are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Look {
    /// With colours of the terminal.
    pub color: bool,
}

/// Problems beyond these are counted: nobody reads more before repairing the first.
const SHOWN: usize = 100;
/// Characters of a line that are shown.
const WIDTH: usize = 100;

struct Paint {
    error: &'static str,
    warning: &'static str,
    bold: &'static str,
    dim: &'static str,
    off: &'static str,
}

const COLORS: Paint =
    Paint { error: "\x1b[1;31m", warning: "\x1b[1;33m", bold: "\x1b[1m", dim: "\x1b[2m", off: "\x1b[0m" };
const PLAIN: Paint = Paint { error: "", warning: "", bold: "", dim: "", off: "" };

/// All problems of a file in the order of their places, and a closing line with their numbers.
#[must_use]
pub fn render(problems: &Problems, text: &str, file: &str, look: Look) -> String {
    let paint = if look.color { &COLORS } else { &PLAIN };
    let sorted = problems.sorted();
    // Errors are never crowded out by warnings that stand above them.
    let errors = sorted.iter().filter(|p| p.level == Level::Error).count().min(SHOWN);
    let mut room = (errors, SHOWN - errors);
    let lines = Lines::new(text);
    let mut out = String::new();
    for problem in sorted {
        let left = match problem.level {
            Level::Error => &mut room.0,
            Level::Warning => &mut room.1,
        };
        if *left > 0 {
            *left -= 1;
            one(problem, &lines, file, paint, &mut out);
        }
    }
    closing(problems, file, paint, &mut out);
    out
}

fn closing(problems: &Problems, file: &str, paint: &Paint, out: &mut String) {
    let plural = |n: usize, word: &str| match n {
        0 => None,
        1 => Some(format!("1 {word}")),
        n => Some(format!("{n} {word}s")),
    };
    let counts = [plural(problems.errors(), "error"), plural(problems.warnings(), "warning")];
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    if counts.is_empty() {
        return;
    }
    let all = problems.errors() + problems.warnings();
    let more = if all > SHOWN { format!("; the first {SHOWN} are shown") } else { String::new() };
    let Paint { bold, off, .. } = paint;
    let _ = writeln!(out, "{bold}{file}: {}{more}{off}", counts.join(" and "));
}

fn one(problem: &Problem, lines: &Lines<'_>, file: &str, paint: &Paint, out: &mut String) {
    let Paint { bold, dim, off, .. } = paint;
    let (color, word) = match problem.level {
        Level::Error => (paint.error, "error"),
        Level::Warning => (paint.warning, "warning"),
    };
    let place = if problem.span.line > 0 {
        format!("{file}:{}:{}", problem.span.line, problem.span.column)
    } else {
        file.to_owned()
    };
    let (message, remedy) = (lines.told(&problem.message, problem), lines.told(&problem.remedy, problem));
    let _ = writeln!(out, "{bold}{place}:{off} {color}{word}:{off} {bold}{message}{off}");
    match lines.shown(problem) {
        Some(Shown { line, before, marked }) => {
            let number = problem.span.line;
            let _ = writeln!(out, "{dim}{number:>6} |{off} {line}");
            let mark = "^".repeat(marked);
            let space = if remedy.is_empty() { "" } else { " " };
            let _ =
                writeln!(out, "{dim}       |{off} {}{color}{mark}{off}{space}{}", " ".repeat(before), remedy);
        }
        None if remedy.is_empty() => {}
        None => {
            let _ = writeln!(out, "       {dim}={off} {remedy}");
        }
    }
}

struct Shown {
    line: String,
    /// Columns before the mark.
    before: usize,
    /// Columns under which it stands.
    marked: usize,
}

/// The text by lines.
struct Lines<'t> {
    text: &'t str,
    discretion: Discretion,
}

impl<'t> Lines<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, discretion: Discretion::of(text) }
    }

    /// A message about a problem, as far as it may be shown.
    fn told(&self, message: &str, problem: &Problem) -> String {
        let line = self.around(problem.span.start as usize).map_or("", |(_, line)| line);
        if problem.span.line == 0 {
            message.to_owned()
        } else {
            self.discretion.message(message, problem.code, line)
        }
    }

    /// The line around a byte.
    fn around(&self, at: usize) -> Option<(usize, &'t str)> {
        let before = self.text.get(..at)?;
        let begin = before.rfind('\n').map_or(0, |i| i + 1);
        let rest = &self.text[begin..];
        Some((begin, rest.split(['\n', '\r']).next().unwrap_or_default()))
    }

    /// Whether a line belongs to the value of a secret's key, which stands in a line above it.
    fn continues_a_secret(&self, begin: usize, line: &str) -> bool {
        let indent = |line: &str| line.len() - line.trim_start().len();
        let own = indent(line);
        let above = self.text[..begin].lines().rev().filter(|line| !line.trim().is_empty());
        let Some(key) = above.take(LINES_ABOVE).find(|line| indent(line) < own) else {
            return false;
        };
        let Some((key, value)) = key.split_once(':') else { return false };
        let is_open =
            value.trim_start().is_empty() || value.trim_start().starts_with(['|', '>', '"', '\'', '&', '!']);
        is_open && is_secret(key)
    }

    fn shown(&self, problem: &Problem) -> Option<Shown> {
        if problem.span.line == 0 {
            return None;
        }
        let (begin, line) = self.around(problem.span.start as usize)?;
        let start = (problem.span.start as usize - begin).min(line.len());
        let end = (problem.span.end as usize).saturating_sub(begin).clamp(start, line.len());
        // A value of several lines is marked to the end of its first.
        let end = if end == start && problem.span.end > problem.span.start { line.len() } else { end };
        let hidden = if self.continues_a_secret(begin, line) {
            0
        } else if let Some(from) = self.discretion.hides_from(line) {
            from
        } else if problem.code == "clear_secret" {
            start
        } else {
            line.len()
        };
        let (head, tail) = (line.get(..start)?, line.get(start..end)?);
        let masked = mask(line, hidden);
        let before = head.chars().count();
        let marked = tail.trim_end().chars().count().max(1);
        Some(cut(&masked, before, marked))
    }
}

/// The part of a line around the mark, in characters that take one column each.
fn cut(line: &str, before: usize, marked: usize) -> Shown {
    let all: Vec<char> =
        line.chars().map(|c| if c.is_control() || is_invisible(c) { '·' } else { c }).collect();
    if all.len() <= WIDTH {
        return Shown {
            line: all.into_iter().collect::<String>().trim_end().to_owned(),
            before,
            marked: marked.min(WIDTH),
        };
    }
    let from = before.saturating_sub(WIDTH / 3);
    let to = (from + WIDTH).min(all.len());
    let lead = if from > 0 { "… " } else { "" };
    let trail = if to < all.len() { " …" } else { "" };
    let part: String = all[from.min(to)..to].iter().collect();
    Shown {
        line: format!("{lead}{part}{trail}"),
        before: before - from + lead.chars().count(),
        marked: marked.min(to.saturating_sub(before)).max(1),
    }
}

/// Characters that turn text around or take no room: they would make the line read as something else.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A value that goes on for longer than this is none of ours.
const LINES_ABOVE: usize = 200;

/// Stars in place of what may be a secret: values of the keys above unless they are references, what stands behind
/// the host in a web address, and everything from the byte `hidden` on.
fn mask(line: &str, hidden: usize) -> String {
    let ranges = secret_ranges(line);
    let secret = |i: usize| i >= hidden || ranges.iter().any(|range| range.contains(&i));
    line.char_indices().map(|(i, c)| if secret(i) && !c.is_whitespace() { '*' } else { c }).collect()
}

/// Whether nothing but a reference stands there: what is written beside one may be the secret.
fn is_whole_reference(text: &str) -> bool {
    if text.starts_with("file:") {
        return true;
    }
    let Some((name, rest)) = text.strip_prefix("${").and_then(|text| text.split_once('}')) else {
        return false;
    };
    let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    is_name
        && rest.trim_start_matches(['"', '\'']).trim_start().chars().next().is_none_or(|c| ",}]#".contains(c))
}

fn secret_ranges(line: &str) -> Vec<std::ops::Range<usize>> {
    let mut ranges = Vec::new();
    for (scheme, _) in line.match_indices("://") {
        let rest = &line[scheme + 3..];
        let authority = &rest[..rest.find(['/', ' ', '"', '\'']).unwrap_or(rest.len())];
        if let Some(at) = authority.rfind('@') {
            ranges.push(scheme + 3..scheme + 3 + at);
        }
    }
    for (colon, _) in line.match_indices(':') {
        let key = line[..colon].trim_end_matches(['"', '\'', ' ']);
        let begin = key.rfind(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'));
        let key = key[begin.map_or(0, |i| i + key[i..].chars().next().map_or(1, char::len_utf8))..]
            .to_ascii_lowercase();
        let value = colon + 1 + line[colon + 1..].len()
            - line[colon + 1..].trim_start_matches([' ', '\t', '"', '\'']).len();
        let text = &line[value..];
        if is_secret(&key) && !is_whole_reference(text) {
            ranges.push(value..line.len());
        } else if key == "url"
            && let Some((path, _)) = text.match_indices('/').nth(2)
            && !text[path + 1..].starts_with("${")
        {
            ranges.push(value + path + 1..line.len());
        }
    }
    ranges
}
