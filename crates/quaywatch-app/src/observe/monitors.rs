//! Figures of single monitors, under the names that the blackbox exporter has for them. For at most so many monitors:
//! a million series would serve nobody.

use std::sync::atomic::{AtomicUsize, Ordering};

use quaywatch_core::judge::Status;
use quaywatch_core::{ErrorCode, Verdict};
use quaywatch_engine::{Select, Survey, Surveyed, Surveyor};

use super::{Family, Reading, Sample, Wanted};

/// Asks the engine for monitors' figures.
pub struct Monitors {
    surveyor: Surveyor,
    most: AtomicUsize,
}

impl Monitors {
    /// Figures of at most `most` monitors.
    #[must_use]
    pub const fn new(surveyor: Surveyor, most: usize) -> Self {
        Self { surveyor, most: AtomicUsize::new(most) }
    }

    /// Another limit from now on.
    pub fn limit(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    pub(super) async fn collect(&self, wanted: &Wanted, families: &mut Vec<Family>) {
        let select = match &wanted.monitor {
            Some(name) => Select::Named(name.clone()),
            None => Select::First(self.most.load(Ordering::Relaxed)),
        };
        if let Some(survey) = self.surveyor.survey(select).await {
            describe(&survey, wanted, families);
        }
    }
}

fn describe(survey: &Survey, wanted: &Wanted, families: &mut Vec<Family>) {
    if wanted.monitor.is_none() {
        let omitted = survey.total.saturating_sub(survey.monitors.len());
        #[expect(clippy::cast_precision_loss, reason = "a count of monitors is far below 2^53")]
        families.push(Family::single(
            "quaywatch_monitor_series_omitted",
            "Monitors without series of their own here; `?monitor=` shows one.",
            Reading::Gauge(omitted as f64),
        ));
    }
    let family = |name, help, of: fn(&Surveyed) -> Option<f64>| Family {
        name,
        help,
        samples: survey
            .monitors
            .iter()
            .filter_map(|monitor| {
                Some(Sample { labels: labels(monitor), reading: Reading::Gauge(of(monitor)?) })
            })
            .collect(),
    };
    families
        .push(family("probe_success", "1 if the last check found the target up.", |m| m.last.map(success)));
    families.push(family("probe_duration_seconds", "Handshake time of the last good check.", |m| {
        m.last_ok_us.map(|us| f64::from(us) / 1e6)
    }));
    families.push(family(
        "probe_dns_lookup_time_seconds",
        "Time that the last check waited for its target's name; 0 where an answer of before was still valid.",
        |m| m.dns_us.map(|us| f64::from(us) / 1e6),
    ));
    families.push(family(
        "quaywatch_monitor_status",
        "0 pending, 1 up, 2 degraded, 3 down, 4 unknown, 5 blocked, 6 maintenance, 7 paused.",
        |m| Some(number(m.status)),
    ));
}

fn labels(monitor: &Surveyed) -> Vec<(&'static str, String)> {
    vec![("monitor", monitor.name.clone()), ("target", monitor.target.clone())]
}

fn success(code: ErrorCode) -> f64 {
    match code.verdict() {
        Verdict::Up | Verdict::Degraded => 1.0,
        Verdict::Down | Verdict::Unknown | Verdict::Blocked => 0.0,
    }
}

fn number(status: Status) -> f64 {
    f64::from(status as u8)
}

#[cfg(test)]
mod tests {
    use quaywatch_core::{MonitorId, Timestamp};

    use super::*;

    #[test]
    fn names_have_a_lookup_time_and_addresses_have_none() {
        let of = |n: i64, target: &str, dns_us| Surveyed {
            id: MonitorId(n),
            name: format!("m{n}"),
            target: target.into(),
            status: Status::Up,
            last: Some(ErrorCode::Ok),
            last_at: Some(Timestamp(1)),
            dns_us,
            last_ok_us: Some(700),
            last_ok_at: Some(Timestamp(1)),
        };
        let monitors = vec![of(1, "192.0.2.1:25", None), of(2, "mx.example.com:25", Some(1_300))];
        let (survey, mut families) = (Survey { monitors, total: 5 }, Vec::new());
        describe(&survey, &Wanted::default(), &mut families);
        let samples = |name: &str| {
            let family = families.iter().find(|family| family.name == name).expect("it is shown");
            let shown = family.samples.iter().map(|sample| (sample.labels[0].1.as_str(), &sample.reading));
            shown.collect::<Vec<_>>()
        };
        assert_eq!(samples("probe_dns_lookup_time_seconds"), [("m2", &Reading::Gauge(0.0013))]);
        assert_eq!(samples("probe_duration_seconds").len(), 2);
        let omitted = families.iter().find(|family| family.name == "quaywatch_monitor_series_omitted");
        assert_eq!(omitted.map(|family| family.samples[0].reading.clone()), Some(Reading::Gauge(3.0)));
    }
}
