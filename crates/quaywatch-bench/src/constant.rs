//! Constant work: what a minute costs in which everything is down, against one in which everything is up.
//!
//! Three stretches of one run of one server: all up; the change, until every incident is open; and all down, from a
//! minute after that. The change is work of its own and shown apart.

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::acceptor::Acceptor;
use crate::server::{Load, Server};
use crate::{Scratch, pass, print};

const MONITORS: u32 = 100_000;
const INTERVAL: Duration = Duration::from_secs(10);
/// A whole minute, so that each stretch holds one sorting of the log, and its checkpoints.
const MEASURED: Duration = Duration::from_secs(60);
/// How long after the last incident was opened everything must have come to rest.
const SETTLED: Duration = Duration::from_secs(60);
/// The change is looked at so often.
const LOOK: Duration = Duration::from_secs(1);
/// Opening every incident takes no longer than this, or the run is over.
const PATIENCE: u32 = 180;

#[derive(Debug, Clone, Copy)]
struct Cost {
    cpu_us: f64,
    resident_mib: f64,
    bytes: f64,
}

/// A point of the run from which costs are counted.
#[derive(Debug, Clone, Copy)]
struct Mark {
    cpu: Duration,
    results: f64,
    written: u64,
}

/// All up, then the change, then all refusing.
///
/// # Errors
/// Where the server does not run.
pub(crate) fn run(binary: &Path) -> io::Result<()> {
    let scratch = Scratch::new("constant")?;
    let acceptor = Acceptor::start()?;
    let load = Load {
        monitors: MONITORS,
        interval: INTERVAL,
        handshake: "half_open",
        settle: Duration::ZERO,
        port: acceptor.port,
    };
    let server = Server::start(binary, &scratch.0, &load, Duration::from_secs(60))?;
    pass(SETTLED);
    let up = minute(&server)?;
    // The kernel refuses for an acceptor that is gone.
    drop(acceptor);
    let began = Mark::of(&server)?;
    let seconds = wait_for_incidents(&server)?;
    let change = began.cost_until_now(&server)?;
    let rest = Mark::of(&server)?;
    pass(SETTLED);
    let rest = rest.cost_until_now(&server)?;
    let down = minute(&server)?;
    let open = incidents(&server)?;
    server.stop()?;

    print::table("Constant work: 100,000 monitors at 10 s, all refusing against all up");
    print::row("incidents open", &format!("{open:.0}"), "100000", Some(open >= f64::from(MONITORS)));
    ratio("CPU a check", down.cpu_us, up.cpu_us, "µs");
    ratio("resident memory", down.resident_mib, up.resident_mib, "MiB");
    ratio("bytes written to disk a check", down.bytes, up.bytes, "B");
    let shown = |what: &str, cost: &Cost| {
        let measured = format!("{:.1} µs, {:.0} B, {:.0} MiB", cost.cpu_us, cost.bytes, cost.resident_mib);
        print::row(&format!("{what}: CPU and bytes a check, memory"), &measured, "shown", None);
    };
    shown(&format!("the change, {seconds} s until every incident was open"), &change);
    shown("the minute after it", &rest);
    Ok(())
}

fn ratio(figure: &str, down: f64, up: f64, unit: &str) {
    let ratio = down / up;
    print::row(figure, &format!("{down:.2} / {up:.2} {unit} = {ratio:.2}"), "≤ 1.5", Some(ratio <= 1.5));
}

fn minute(server: &Server) -> io::Result<Cost> {
    let began = Mark::of(server)?;
    pass(MEASURED);
    began.cost_until_now(server)
}

impl Mark {
    fn of(server: &Server) -> io::Result<Self> {
        let results = server.scrape()?.sum("quaywatch_results_total");
        Ok(Self { cpu: server.cpu()?, results, written: written(server.pid())? })
    }

    #[expect(clippy::cast_precision_loss, reason = "ratios for people")]
    fn cost_until_now(self, server: &Server) -> io::Result<Cost> {
        let now = Self::of(server)?;
        let results = now.results - self.results;
        Ok(Cost {
            cpu_us: (now.cpu - self.cpu).as_secs_f64() * 1e6 / results,
            resident_mib: server.resident()? as f64 / 1_048_576.0,
            bytes: (now.written - self.written) as f64 / results,
        })
    }
}

fn incidents(server: &Server) -> io::Result<f64> {
    Ok(server.scrape()?.value("quaywatch_incidents_open"))
}

/// Returns how many seconds it took until all were open.
fn wait_for_incidents(server: &Server) -> io::Result<u32> {
    for second in 1..=PATIENCE {
        pass(LOOK);
        if incidents(server)? >= f64::from(MONITORS) {
            return Ok(second);
        }
    }
    Err(io::Error::other(format!("not every incident was opened within {PATIENCE} s")))
}

/// Bytes that the process handed to the disk so far (proc_pid_io(5), write_bytes).
fn written(pid: u32) -> io::Result<u64> {
    let io = std::fs::read_to_string(format!("/proc/{pid}/io"))?;
    Ok(io
        .lines()
        .find_map(|l| l.strip_prefix("write_bytes: "))
        .and_then(|n| n.trim().parse().ok())
        .unwrap_or(0))
}
