//! How soon a stopped target is told: from closing the port to the webhook's arrival, at random phases of the interval.

use std::io;
use std::path::Path;
use std::time::Duration;

use quaywatch_core::{Clock as _, Timestamp};
use quaywatch_net::SystemClock;
use quaywatch_testkit::port::Toggle;
use quaywatch_testkit::random::Random;
use quaywatch_testkit::sink::Sink;

use crate::server::Server;
use crate::{Scratch, pass, print};

const TRIALS: usize = 50;
const INTERVAL: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_secs(5);

/// Fifty targets, each stopped at a moment of its own.
///
/// # Errors
/// Where the server does not run, or a webhook does not come.
pub(crate) fn run(binary: &Path) -> io::Result<()> {
    let sink = Sink::start();
    let mut targets: Vec<Toggle> = (0..TRIALS).map(|_| Toggle::new()).collect();
    targets.iter_mut().for_each(Toggle::open);
    let scratch = Scratch::new("detection")?;
    std::fs::write(scratch.0.join("quaywatch.yaml"), yaml(&targets, &sink))?;
    let server = Server::resume(binary, &scratch.0, Duration::from_secs(30))?;
    pass(INTERVAL + Duration::from_secs(2));

    let mut random = Random::new(20_260_501);
    let mut stopped = vec![Timestamp(0); TRIALS];
    let mut order: Vec<(u64, usize)> = (0..TRIALS).map(|i| (random.below(10_000), i)).collect();
    order.sort_unstable();
    let began = SystemClock.boot();
    for (at, i) in order {
        pass(Duration::from_millis(at).saturating_sub(SystemClock.boot().since(began)));
        targets[i].close();
        stopped[i] = SystemClock.now();
    }
    pass(INTERVAL + RETRY + Duration::from_secs(5));
    let mut from_stop = Vec::new();
    let mut from_slot = Vec::new();
    for opened in sink.taken("incident.opened") {
        let body = opened.json();
        let name = body["monitor"]["name"].as_str().unwrap_or_default().to_owned();
        let Some(i) = name.strip_prefix('t').and_then(|n| n.parse::<usize>().ok()) else { continue };
        from_stop.push(opened.at.since(stopped[i]).as_secs_f64());
        let slot = body["incident"]["started_at"].as_str().and_then(read_time).unwrap_or(opened.at);
        from_slot.push(opened.at.since(slot).as_secs_f64());
    }
    server.stop()?;
    if from_stop.len() != TRIALS {
        return Err(io::Error::other(format!("{} of {TRIALS} were told", from_stop.len())));
    }
    print::table("Detection, 50 trials at random phase, interval 10 s, retry 5 s, two failures");
    let limit = (INTERVAL + RETRY).as_secs_f64() + 1.0;
    let (p50, p95) = (quantile(&mut from_stop, 0.5), quantile(&mut from_stop, 0.95));
    print::row("from the stop to the webhook, p50", &print::seconds(p50), "", None);
    print::row("from the stop to the webhook, p95", &print::seconds(p95), "≤ 16 s", Some(p95 <= limit));
    let p95 = quantile(&mut from_slot, 0.95);
    print::row("from the first failing slot, p95", &print::seconds(p95), "≤ 5.6 s", Some(p95 <= 5.6));
    Ok(())
}

fn yaml(targets: &[Toggle], sink: &Sink) -> String {
    let mut text = format!(
        "defaults: {{check_interval: 10s, retry_interval: 5s, channels: [sink]}}\n\
         channels:\n  - {{name: sink, type: webhook, url: \"{}\"}}\nmonitors:\n",
        sink.url()
    );
    for (i, target) in targets.iter().enumerate() {
        text.push_str(&format!("  - {{name: t{i}, host: 127.0.0.1, port: {}}}\n", target.address().port()));
    }
    text
}

/// RFC 3339 in UTC with milliseconds, as the webhook writes it.
fn read_time(text: &str) -> Option<Timestamp> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut day = date.split('-').map(|n| n.parse::<i64>().ok());
    let (y, m, d) = (day.next()??, day.next()??, day.next()??);
    let mut clock = time.split([':', '.']).map(|n| n.parse::<i64>().ok());
    let (h, min, s, ms) = (clock.next()??, clock.next()??, clock.next()??, clock.next()??);
    // Days from civil (Howard Hinnant's algorithm): months counted from March.
    let (y, m) = if m <= 2 { (y - 1, m + 9) } else { (y, m - 3) };
    let days = 365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + (153 * m + 2) / 5 + d
        - 1
        - 719_468;
    Some(Timestamp::from_millis((((days * 24 + h) * 60 + min) * 60 + s) * 1_000 + ms))
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation,
    reason = "an index"
)]
fn quantile(values: &mut [f64], q: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() as f64 * q).ceil() as usize;
    values.get(rank.max(1) - 1).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_webhooks_are_read() {
        assert_eq!(read_time("2026-05-01T16:15:21.204Z"), Some(Timestamp::from_millis(1_777_652_121_204)));
        assert_eq!(read_time("2026-01-01T00:00:00.000Z"), Some(Timestamp::from_millis(1_767_225_600_000)));
    }

    #[test]
    fn a_quantile_is_one_of_the_values() {
        assert!((quantile(&mut [3.0, 1.0, 2.0], 0.5) - 2.0).abs() < 1e-9);
        assert!((quantile(&mut [3.0, 1.0, 2.0], 0.95) - 3.0).abs() < 1e-9);
    }
}
