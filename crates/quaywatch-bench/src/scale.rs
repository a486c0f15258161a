//! Many monitors: how late checks are, what memory and CPU they take, and how soon after a start the first one runs.

use std::io;
use std::path::Path;
use std::time::Duration;

use quaywatch_core::Clock as _;
use quaywatch_net::SystemClock;

use crate::acceptor::Acceptor;
use crate::server::{Load, Server};
use crate::{Scratch, pass, print};

/// One size of installation.
#[derive(Debug)]
pub(crate) struct Size {
    title: &'static str,
    monitors: u32,
    interval: Duration,
    /// For how long figures are taken, after as long again of warming up is over.
    measured: Duration,
    /// Whether the server is also stopped and started again.
    restart: bool,
}

/// 10,000 checks a second.
pub(crate) const HUNDRED_THOUSAND: Size = Size {
    title: "100,000 monitors at 10 s",
    monitors: 100_000,
    interval: Duration::from_secs(10),
    measured: Duration::from_secs(30),
    restart: false,
};

/// 16,667 checks a second.
pub(crate) const MILLION: Size = Size {
    title: "1,000,000 monitors at 60 s",
    monitors: 1_000_000,
    interval: Duration::from_secs(60),
    measured: Duration::from_secs(120),
    restart: true,
};

/// How long a start with a new file may take: every monitor is read, checked and written.
const PATIENCE: Duration = Duration::from_secs(180);

/// Runs one size and prints its figures.
///
/// # Errors
/// Where the server does not run.
pub(crate) fn run(binary: &Path, size: &Size) -> io::Result<()> {
    let acceptor = Acceptor::start()?;
    let empty = resident_empty(binary)?;
    let scratch = Scratch::new("scale")?;
    let load = Load {
        monitors: size.monitors,
        interval: size.interval,
        handshake: "half_open",
        settle: Duration::ZERO,
        port: acceptor.port,
    };
    print::table(size.title);
    let began = SystemClock.boot();
    let mut server = Server::start(binary, &scratch.0, &load, PATIENCE)?;
    let first = wait_for_first_check(&server)?;
    print::row("start with a new file to first check", &since(began, first), "", None);
    if size.restart {
        pass(Duration::from_secs(5));
        server.stop()?;
        let began = SystemClock.boot();
        server = Server::resume(binary, &scratch.0, PATIENCE)?;
        let first = wait_for_first_check(&server)?;
        let took = first.since(began).as_secs_f64();
        print::row("restart to first check", &print::seconds(took), "≤ 5 s", Some(took <= 5.0));
    }
    // The whole interval once, so that every monitor has been looked at, and half as long again.
    pass(size.interval + size.interval / 2);
    figures(&server, size, empty)?;
    server.stop()
}

fn since(began: quaywatch_core::BootTime, first: quaywatch_core::BootTime) -> String {
    print::seconds(first.since(began).as_secs_f64())
}

fn figures(server: &Server, size: &Size, empty: u64) -> io::Result<()> {
    let (cpu, before, began) = (server.cpu()?, server.scrape()?, SystemClock.boot());
    pass(size.measured);
    let (cpu, after, wall) = (server.cpu()? - cpu, server.scrape()?, SystemClock.boot().since(began));
    let resident = server.resident()?;
    let grown = |name: &str| after.value(name) - before.value(name);
    let late = |q| after.quantile("quaywatch_lateness_seconds", q, &before);
    let results = grown("quaywatch_recorded_results_total");
    let wanted = f64::from(size.monitors) * wall.as_secs_f64() / size.interval.as_secs_f64();
    print::row(
        "results recorded, of those wanted",
        &format!("{results:.0} of {wanted:.0}"),
        "all",
        Some(results > 0.99 * wanted),
    );
    print::row("lateness p50", &format!("≤ {}", print::seconds(late(0.5))), "", None);
    print::row(
        "lateness p99",
        &format!("≤ {}", print::seconds(late(0.99))),
        "< 250 ms",
        Some(late(0.99) <= 0.25),
    );
    print::row("lateness max", &format!("≤ {}", print::seconds(late(1.0))), "", None);
    let missed = grown("quaywatch_missed_total");
    print::row("slots missed", &format!("{missed:.0}"), "0", Some(missed == 0.0));
    let late_closes = grown("quaywatch_late_close_total");
    print::row("closes that came late", &format!("{late_closes:.0}"), "", None);
    let a_monitor = resident.saturating_sub(empty) / u64::from(size.monitors);
    print::row("resident memory a monitor", &format!("{a_monitor} B"), "< 1,024 B", Some(a_monitor < 1_024));
    print::row("resident memory", &format!("{} MiB", resident >> 20), "", None);
    let share = cpu.as_secs_f64() / wall.as_secs_f64();
    print::row("CPU, of one core", &format!("{:.0} %", share * 100.0), "", None);
    print::row("CPU a check", &format!("{:.2} µs", cpu.as_secs_f64() * 1e6 / results), "", None);
    Ok(())
}

fn wait_for_first_check(server: &Server) -> io::Result<quaywatch_core::BootTime> {
    for _ in 0..6_000 {
        if server.scrape()?.sum("quaywatch_results_total") > 0.0 {
            return Ok(SystemClock.boot());
        }
        pass(Duration::from_millis(10));
    }
    Err(io::Error::other("no check within a minute"))
}

/// Memory of a server that watches next to nothing.
fn resident_empty(binary: &Path) -> io::Result<u64> {
    let scratch = Scratch::new("empty")?;
    let load = Load {
        monitors: 1,
        interval: Duration::from_secs(1),
        handshake: "half_open",
        settle: Duration::ZERO,
        port: 9,
    };
    let server = Server::start(binary, &scratch.0, &load, Duration::from_secs(30))?;
    pass(Duration::from_secs(3));
    let resident = server.resident()?;
    server.stop()?;
    Ok(resident)
}
