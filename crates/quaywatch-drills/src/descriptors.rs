//! Descriptors run out. First all at once, under the running server (its limit is set below what it uses): checks
//! cannot be made, and that is the watcher's own fault. Then from the start, where more checks want to be under way
//! than the limit allows: they queue.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use nix::unistd::Pid;
use quaywatch_core::{ErrorCode, Verdict};
use quaywatch_testkit::port::FullPort;
use quaywatch_testkit::process::Server;
use quaywatch_testkit::sink::Sink;

use crate::door::Door;
use crate::records::Records;
use crate::{Report, Setting, scene};

const TARGETS: usize = 10;
/// Checks of a second each, at an interval of two: half of them want to be under way at any time.
const CROWD: usize = 300;
const CROWD_LIMIT: &str = "--nofile=128";

pub(super) fn run(setting: &Setting) -> Result<Report, String> {
    let mut report = Report::default();
    none_left(setting, &mut report)?;
    too_few(setting, &mut report)?;
    Ok(report)
}

fn none_left(setting: &Setting, report: &mut Report) -> Result<(), String> {
    let sink = Sink::start();
    let mut victim = Door::open();
    let shut: Vec<Door> = (0..TARGETS).map(|_| Door::shut()).collect();
    // A refused socket cannot be used again: each of these needs a new descriptor for every check.
    let names: Vec<String> = (0..TARGETS).map(|n| format!("shut{n}")).collect();
    let of_shut = names.iter().zip(&shut);
    let mut monitors: Vec<String> =
        of_shut.map(|(name, door)| scene::monitor(name, door.address(), "expectation: closed")).collect();
    monitors.push(scene::monitor("victim", victim.address(), ""));
    let mut server = Server::new(&setting.binary, &scene::file("", &sink, &monitors));
    server.start();
    scene::until_all(&server, &names, "up")?;

    let (mut unknown_after, mut healed_after, mut told_after) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..setting.runs {
        // Zero, one and two are always open, so no number below the limit is free.
        limit(server.pid(), "3:")?;
        unknown_after.push(scene::until_all(&server, &names, "unknown")?);
        limit(server.pid(), "4096:")?;
        healed_after.push(scene::until_all(&server, &names, "up")?);
        scene::until("the listener answers again", || server.get("/readyz").is_ok())?;
        told_after.push(scene::outage(&server, &sink, "victim", &mut victim)?);
        scene::until_all(&server, &names, "up")?;
    }
    server.stop();
    let records = Records::read(&server.data())?;
    records.expect_never_down(|name| name != "victim")?;
    expect_own_fault(&records)?;
    scene::expect_one_key_each(&sink.received())?;
    report.times("none left: unknown after", &unknown_after);
    report.times("none left: up again after", &healed_after);
    report.times("none left: next outage told after", &told_after);
    Ok(())
}

/// What could not be checked was said to be for want of resources, and nothing else.
pub(crate) fn expect_own_fault(records: &Records) -> Result<(), String> {
    let mut found = 0;
    for watched in &records.monitors {
        for row in watched.results.iter().filter(|row| row.code.verdict() == Verdict::Unknown) {
            if row.code != ErrorCode::SelfResource {
                return Err(format!("a check of {} at {} says {}", watched.monitor.name, row.slot, row.code));
            }
            found += 1;
        }
    }
    if found > 0 { Ok(()) } else { Err("no check was recorded as self_resource".to_owned()) }
}

fn limit(pid: Pid, nofile: &str) -> Result<(), String> {
    let arguments = ["--pid".to_owned(), pid.to_string(), format!("--nofile={nofile}")];
    let output = Command::new("prlimit").args(arguments).output().map_err(|e| format!("prlimit: {e}"))?;
    let said = || format!("prlimit: {}", String::from_utf8_lossy(&output.stderr));
    output.status.success().then_some(()).ok_or_else(said)
}

fn too_few(setting: &Setting, report: &mut Report) -> Result<(), String> {
    let sink = Sink::start();
    // One listener for all of 127.0.0.0/8, whose queue is full: whoever connects hears nothing until the timeout.
    let silent = FullPort::at(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
    let names: Vec<String> = (0..CROWD).map(|n| format!("silent{n}")).collect();
    let monitors: Vec<String> = (0_u8..)
        .flat_map(|high| (1..=250).map(move |low| Ipv4Addr::new(127, 77, high, low)))
        .zip(&names)
        .map(|(ip, name)| {
            let more = "check_interval: 2s, expectation: filtered";
            scene::monitor(name, SocketAddr::from((ip, silent.address.port())), more)
        })
        .collect();
    let mut server =
        Server::new(&setting.binary, &scene::file("", &sink, &monitors)).under(&["prlimit", CROWD_LIMIT]);
    server.start();
    #[expect(clippy::cast_precision_loss, reason = "some hundreds of monitors")]
    let rounds = (CROWD * 3) as f64;
    let mut most = 0.0_f64;
    let took = scene::until("three rounds of checks", || {
        most = most.max(server.metric("quaywatch_dials_in_flight"));
        server.metric("quaywatch_judged_total") >= rounds
    })?;
    let delayed = server.metric("quaywatch_missed_total");
    server.stop();
    let records = Records::read(&server.data())?;
    records.expect_never_down(|_| true)?;
    let (mut good, mut unknown) = (0, 0);
    for row in records.monitors.iter().flat_map(|watched| &watched.results) {
        match row.code.verdict() {
            Verdict::Up => good += 1,
            Verdict::Unknown => unknown += 1,
            Verdict::Degraded | Verdict::Down | Verdict::Blocked => {
                return Err(format!("a check says {}", row.code));
            }
        }
    }
    if good == 0 {
        return Err(format!("of {} checks none succeeded", good + unknown));
    }
    report.add("too few: three rounds of 300 checks took", scene::seconds(took));
    report.add("too few: at most in flight", most);
    report.add("too few: checks that succeeded, unknown, missed", format!("{good}, {unknown}, {delayed}"));
    Ok(())
}
