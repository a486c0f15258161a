//! Timeouts and intervals that suit a kind of target: what forms offer beside the defaults, by name.

use std::time::Duration;

/// A range that suits a kind of target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suggestion {
    /// A word for it.
    pub name: &'static str,
    /// What people call it.
    pub label: &'static str,
    /// From.
    pub least: Duration,
    /// To.
    pub most: Duration,
}

const fn suggestion(name: &'static str, label: &'static str, least: u64, most: u64) -> Suggestion {
    Suggestion { name, label, least: Duration::from_secs(least), most: Duration::from_secs(most) }
}

/// Values of `timeout`.
pub const TIMEOUTS: [Suggestion; 3] = [
    suggestion("database", "Databases", 5, 10),
    suggestion("remote", "Remote services", 10, 15),
    suggestion("unreliable", "Unreliable networks", 20, 30),
];

/// Values of `check_interval`.
pub const INTERVALS: [Suggestion; 3] = [
    suggestion("critical", "Critical databases", 60, 300),
    suggestion("production", "Production services", 300, 900),
    suggestion("non_critical", "Everything else", 900, 3_600),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MonitorSpec;

    #[test]
    fn s08_timeouts_have_names_and_the_default_is_among_them() {
        let ranges: Vec<(u64, u64)> =
            TIMEOUTS.iter().map(|t| (t.least.as_secs(), t.most.as_secs())).collect();
        assert_eq!(ranges, [(5, 10), (10, 15), (20, 30)]);
        assert_eq!(MonitorSpec::TIMEOUT, Duration::from_secs(10));
    }

    #[test]
    fn s19_intervals_have_names_in_minutes() {
        let ranges: Vec<(u64, u64)> =
            INTERVALS.iter().map(|i| (i.least.as_secs() / 60, i.most.as_secs() / 60)).collect();
        assert_eq!(ranges, [(1, 5), (5, 15), (15, 60)]);
    }
}
