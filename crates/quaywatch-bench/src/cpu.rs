//! CPU time a check: the whole server (schedule, probe, judge, commit) over a bare connect–close loop.
//!
//! User and system time of the server process alone, over 30 s after 10 s of warming up, 20,000 monitors at 4 s,
//! metrics scraped each 5 s, divided by results committed; the bare loops, 64 in flight, before and after.

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::acceptor::Acceptor;
use crate::bare::{self, BareRun, Handshake};
use crate::server::{Load, Server};
use crate::{Scratch, pass, print};

const MONITORS: u32 = 20_000;
const INTERVAL: Duration = Duration::from_secs(4);
const WARM: Duration = Duration::from_secs(10);
const SCRAPES: u32 = 6;
const SCRAPE_EVERY: Duration = Duration::from_secs(5);
const BARE: Duration = Duration::from_secs(4);

/// The yardstick at one moment.
#[derive(Debug, Clone, Copy)]
struct Yardstick {
    full: f64,
    half_open: f64,
}

/// Both bare loops, printed.
///
/// # Errors
/// Where sockets cannot be had.
pub(crate) fn bare_loops() -> io::Result<()> {
    let acceptor = Acceptor::start()?;
    let yardstick = measure_bare(acceptor.port)?;
    print::line(&format!(
        "bare loop, CPU a check: full {:.2} µs, half-open {:.2} µs",
        yardstick.full, yardstick.half_open
    ));
    Ok(())
}

fn measure_bare(port: u16) -> io::Result<Yardstick> {
    let full = sound(bare::run(Handshake::Full, port, MONITORS, BARE)?)?;
    let half_open = sound(bare::run(Handshake::HalfOpen, port, MONITORS, BARE)?)?;
    Ok(Yardstick { full: full.cpu_us(), half_open: half_open.cpu_us() })
}

/// A run in which more than one in a thousand failed measures failures.
fn sound(run: BareRun) -> io::Result<BareRun> {
    if run.failures * 1_000 > run.connects {
        return Err(io::Error::other(format!("{} of {} bare connects failed", run.failures, run.connects)));
    }
    Ok(run)
}

/// Both handshakes of the server, with the loops before and after each.
///
/// # Errors
/// Where the server does not run.
pub(crate) fn run(binary: &Path) -> io::Result<()> {
    let mut acceptor = Acceptor::start()?;
    print::table("CPU time a check, whole server over bare connect–close loop (full handshake)");
    for (handshake, aim) in [("half_open", 0.8), ("full", 1.5)] {
        let before = measure_bare(acceptor.port)?;
        let noticed = acceptor.accepted()?;
        let server = one(binary, &acceptor, handshake)?;
        let noticed = acceptor.accepted()? - noticed;
        let after = measure_bare(acceptor.port)?;
        let full = (before.full + after.full) / 2.0;
        let half_open = (before.half_open + after.half_open) / 2.0;
        print::row(
            &format!("{handshake}: {server:.2} µs; bare full {full:.2} µs, bare half-open {half_open:.2} µs"),
            &format!("{:.2} × bare full ({:.2} × bare half-open)", server / full, server / half_open),
            &format!("≤ {aim}"),
            Some(server / full <= aim),
        );
        if handshake == "half_open" {
            let figure = "connections that the half-open checks' target was given";
            print::row(figure, &noticed.to_string(), "0", Some(noticed == 0));
        }
    }
    Ok(())
}

const OK: &str = "quaywatch_results_total{error_code=\"ok\"}";

/// CPU time a committed result, in microseconds.
fn one(binary: &Path, acceptor: &Acceptor, handshake: &'static str) -> io::Result<f64> {
    let scratch = Scratch::new("cpu")?;
    let load = Load {
        monitors: MONITORS,
        interval: INTERVAL,
        handshake,
        settle: Duration::from_millis(50),
        port: acceptor.port,
    };
    let server = Server::start(binary, &scratch.0, &load, Duration::from_secs(60))?;
    pass(WARM);
    let (cpu, first) = (server.cpu()?, server.scrape()?);
    for _ in 0..SCRAPES {
        pass(SCRAPE_EVERY);
        server.scrape()?;
    }
    let (cpu, last) = (server.cpu()? - cpu, server.scrape()?);
    let results =
        last.value("quaywatch_recorded_results_total") - first.value("quaywatch_recorded_results_total");
    let ok = last.value(OK) - first.value(OK);
    let share = ok / (last.sum("quaywatch_results_total") - first.sum("quaywatch_results_total"));
    if share < 0.999 {
        return Err(io::Error::other(format!("only {:.2} % of {results} results were ok", share * 100.0)));
    }
    server.stop()?;
    Ok(cpu.as_secs_f64() * 1e6 / results)
}
