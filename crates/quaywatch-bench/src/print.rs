//! How figures are printed: rows that can be pasted into `docs/benchmarks.md`.

use std::io::Write as _;

/// A line of text.
pub(crate) fn line(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// The head of a table.
pub(crate) fn table(title: &str) {
    line(&format!("\n### {title}\n\n| figure | measured | target | |\n|---|---|---|---|"));
}

/// A figure with its target: whether it is met is said in a word.
pub(crate) fn row(figure: &str, measured: &str, target: &str, met: Option<bool>) {
    let verdict = match met {
        Some(true) => "met",
        Some(false) => "**missed**",
        None => "",
    };
    line(&format!("| {figure} | {measured} | {target} | {verdict} |"));
}

/// A duration in the unit that reads best.
pub(crate) fn seconds(value: f64) -> String {
    if value.is_infinite() {
        "over 120 s".to_owned()
    } else if value < 0.001 {
        format!("{:.0} µs", value * 1e6)
    } else if value < 1.0 {
        format!("{:.1} ms", value * 1e3)
    } else {
        format!("{value:.2} s")
    }
}
