//! Constant work: what a minute costs in which everything is down, against one in which everything is up.

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::acceptor::Acceptor;
use crate::server::{Load, Server};
use crate::{Scratch, pass, print};

const MONITORS: u32 = 100_000;
const INTERVAL: Duration = Duration::from_secs(10);
const MEASURED: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy)]
struct Cost {
    cpu_us: f64,
    resident: u64,
    bytes: f64,
}

/// All up, then all refusing, then once more all up's figures as a ratio.
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
    pass(INTERVAL * 2);
    let up = cost(&server)?;
    // The kernel refuses for an acceptor that is gone.
    drop(acceptor);
    let change = cost_over(&server, INTERVAL * 2)?;
    pass(INTERVAL);
    let open = server.scrape()?.value("quaywatch_incidents_open");
    let down = cost(&server)?;
    server.stop()?;
    print::table("Constant work: 100,000 monitors at 10 s, all refusing against all up");
    print::row("incidents open", &format!("{open:.0}"), "100000", Some(open >= f64::from(MONITORS)));
    ratio("CPU a check", down.cpu_us, up.cpu_us, "µs");
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
    ratio("resident memory", down.resident as f64 / 1_048_576.0, up.resident as f64 / 1_048_576.0, "MiB");
    ratio("bytes written to disk a check", down.bytes, up.bytes, "B");
    print::row(
        "CPU a check while everything goes down (20 s)",
        &format!("{:.2} µs", change.cpu_us),
        "shown",
        None,
    );
    print::row("bytes a check in these 20 s", &format!("{:.1} B", change.bytes), "shown", None);
    Ok(())
}

fn ratio(figure: &str, down: f64, up: f64, unit: &str) {
    let ratio = down / up;
    print::row(figure, &format!("{down:.2} / {up:.2} {unit} = {ratio:.2}"), "≤ 1.5", Some(ratio <= 1.5));
}

fn cost(server: &Server) -> io::Result<Cost> {
    cost_over(server, MEASURED)
}

fn cost_over(server: &Server, length: Duration) -> io::Result<Cost> {
    let (cpu, before, written) = (server.cpu()?, server.scrape()?, written(server.pid())?);
    pass(length);
    let (cpu, after) = (server.cpu()? - cpu, server.scrape()?);
    let results = after.sum("quaywatch_results_total") - before.sum("quaywatch_results_total");
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
    let bytes = (self::written(server.pid())? - written) as f64;
    Ok(Cost {
        cpu_us: cpu.as_secs_f64() * 1e6 / results,
        resident: server.resident()?,
        bytes: bytes / results,
    })
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
