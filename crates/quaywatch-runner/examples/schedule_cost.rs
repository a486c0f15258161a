//! Prints what a check costs in the runner alone, and what a monitor weighs:
//! `cargo run --release -p quaywatch-runner --features bench --example schedule_cost -- 1000000 60`.

use std::io::Write;
use std::time::Duration;

fn main() -> std::io::Result<()> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse().unwrap_or(0));
    let monitors = numbers.next().filter(|n| *n > 0).unwrap_or(1_000_000);
    let interval = Duration::from_secs(u64::from(numbers.next().filter(|n| *n > 0).unwrap_or(60)));
    let cost = quaywatch_runner::bench::schedule_cost(monitors, interval);
    writeln!(
        std::io::stdout(),
        "{monitors} monitors at {interval:?}: {:.0} ns a check, {:.0} bytes a monitor, loaded in {:?}, {} checks",
        cost.ns_a_check,
        cost.bytes_a_monitor,
        cost.load,
        cost.checks
    )
}
