//! Words on a terminal: where they go, how they look, and with which status the program ends.
//!
//! `anstream` removes colour where the stream is no terminal or `NO_COLOR` is set.

use std::io::Write as _;
use std::process::ExitCode;

use anstyle::{AnsiColor, Color, Style};

/// Wrong usage anywhere but in `check` (EX_USAGE of sysexits(3)).
pub(crate) const USAGE: u8 = 64;

/// Unknown, blocked, or wrong usage, for `check` (monitoring-plugins convention).
pub(crate) const CHECK_UNKNOWN: u8 = 3;

/// Prints what clap says and gives the status that fits: help and version are no error.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let is_check = std::env::args_os().nth(1).is_some_and(|word| word == "check");
    // A closed pipe is no reason to fail differently.
    let _ = error.print();
    if error.exit_code() == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(if is_check { CHECK_UNKNOWN } else { USAGE })
    }
}

/// A table with a header line and no frame: it reads well and can be cut by columns.
pub(crate) fn table(header: &[&str]) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(comfy_table::ContentArrangement::Disabled);
    table.set_header(header.iter().copied());
    table
}

/// A table as text: no blanks at either end of a line.
pub(crate) fn lines(table: &comfy_table::Table) -> String {
    table.lines().fold(String::new(), |mut text, line| {
        text.push_str(line.strip_prefix(' ').unwrap_or(&line).trim_end());
        text.push('\n');
        text
    })
}

/// A duration in its two largest units: `3d 4h`, `12m 5s`, `8s`.
pub(crate) fn short(seconds: u64) -> String {
    let (d, h, m, s) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    match (d, h, m) {
        (0, 0, 0) => format!("{s}s"),
        (0, 0, _) => format!("{m}m {s}s"),
        (0, _, _) => format!("{h}h {m}m"),
        _ => format!("{d}d {h}h"),
    }
}

/// Microseconds as milliseconds where that reads better.
pub(crate) fn latency(us: u32) -> String {
    if us < 1_000 { format!("{us} µs") } else { format!("{}.{} ms", us / 1_000, us % 1_000 / 100) }
}

/// A style in one colour.
pub(crate) const fn colour(colour: AnsiColor) -> Style {
    Style::new().fg_color(Some(Color::Ansi(colour)))
}

/// Prints text to standard output. A reader that went away (`| head`) ends the program quietly.
pub(crate) fn print(text: &str) {
    let mut out = anstream::stdout().lock();
    if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Prints text to standard error.
pub(crate) fn say(text: &str) {
    let _ = anstream::stderr().lock().write_all(text.as_bytes());
}

/// Whether colour belongs into what is said on standard error: decided as for everything else that is printed.
pub(crate) fn errors_are_coloured() -> bool {
    anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never
}

/// Whether somebody sits there who can be asked.
pub(crate) fn is_attended() -> bool {
    use std::io::IsTerminal as _;
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// A value of an answer in one line: texts as they are, the rest as JSON, nothing for null.
pub(crate) fn value(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text.clone(),
        other @ (serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::Array(_)
        | serde_json::Value::Object(_)) => other.to_string(),
    }
}

/// `1 monitor`, `2 monitors`.
pub(crate) fn count(n: usize, word: &str) -> String {
    format!("{n} {word}{}", if n == 1 { "" } else { "s" })
}

/// Prints an error to standard error.
pub(crate) fn complain(text: &str) {
    let style = colour(AnsiColor::Red).bold();
    let _ = writeln!(anstream::stderr(), "{style}error:{style:#} {}", text.trim_end());
}

/// Prints a warning to standard error.
pub(crate) fn warn(text: &str) {
    let style = colour(AnsiColor::Yellow).bold();
    let _ = writeln!(anstream::stderr(), "{style}warning:{style:#} {}", text.trim_end());
}

/// Text from elsewhere, for a terminal: without what would steer it.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || is_invisible(c) { '·' } else { c }).collect()
}

/// Characters that turn text around or take no room: they would make a line read as something else.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Prints an error; the status of a command that failed.
pub(crate) fn fail(text: &str) -> ExitCode {
    complain(text);
    ExitCode::FAILURE
}
