//! What a drill found out, in lines with figures.

use std::any::Any;
use std::fmt;
use std::time::Duration;

/// The figures of a drill that held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report(Vec<(&'static str, String)>);

impl Report {
    /// Adds a figure.
    pub(crate) fn add(&mut self, what: &'static str, figure: impl fmt::Display) {
        self.0.push((what, figure.to_string()));
    }

    /// Adds a distribution of times.
    pub(crate) fn times(&mut self, what: &'static str, times: &[Duration]) {
        let mut sorted = times.to_vec();
        sorted.sort_unstable();
        let Some(last) = sorted.last() else { return self.add(what, "none") };
        let at = |percent: usize| sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1].as_millis();
        self.add(what, format!("p50 {} ms, p95 {} ms, most {} ms", at(50), at(95), last.as_millis()));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widest = self.0.iter().map(|(what, _)| what.len()).max().unwrap_or(0);
        self.0.iter().try_for_each(|(what, figure)| writeln!(f, "  {what:<widest$}  {figure}"))
    }
}

/// What a panic said.
pub(crate) fn words_of(panic: &(dyn Any + Send)) -> String {
    let said = panic.downcast_ref::<String>().map(String::as_str);
    said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked without a word").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stand_in_lines_and_times_by_rank() {
        let mut report = Report::default();
        report.add("kills", 20);
        report.times("ready after", &[3, 1, 2].map(Duration::from_millis));
        report.times("nothing", &[]);
        let shown = "  kills        20\n  ready after  p50 2 ms, p95 3 ms, most 3 ms\n  nothing      none\n";
        assert_eq!(report.to_string(), shown);
    }
}
