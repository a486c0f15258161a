//! The process is stopped (SIGSTOP) while checks are under way, and goes on much later (SIGCONT). What was under way
//! says nothing; the gap is written down as the watcher's own; nobody is called down for it.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use nix::sys::signal::Signal;
use quaywatch_core::{Clock as _, ErrorCode, Timestamp};
use quaywatch_testkit::process::Server;
use quaywatch_testkit::sink::Sink;
use quaywatch_testkit::wait::RealClock;

use crate::door::Door;
use crate::records::Records;
use crate::{Report, Setting, scene};

const STEADY: usize = 6;
/// These answer late, so that some check is always under way; frozen, each of them would run into its timeout.
const SLOW: usize = 6;
const SAYS_AFTER: Duration = Duration::from_millis(700);

/// From the signal to stop until the signal to go on.
struct Freeze {
    from: Timestamp,
    to: Timestamp,
}

pub(super) fn run(setting: &Setting) -> Result<Report, String> {
    let length = if setting.short { Duration::from_secs(4) } else { Duration::from_secs(30) };
    let sink = Sink::start();
    let mut victim = Door::open();
    let steady: Vec<Door> = (0..STEADY).map(|_| Door::open()).collect();
    let slow: Vec<SocketAddr> = (0..SLOW).map(|_| late_speaker()).collect();
    let mut monitors = vec![scene::monitor("victim", victim.address(), "")];
    monitors.extend(
        steady.iter().enumerate().map(|(n, d)| scene::monitor(&format!("steady{n}"), d.address(), "")),
    );
    let says = "timeout: 2s, expect: hello";
    monitors.extend(slow.iter().enumerate().map(|(n, at)| scene::monitor(&format!("slow{n}"), *at, says)));
    let mut server = Server::new(&setting.binary, &scene::file("", &sink, &monitors));
    server.start();
    let names: Vec<String> = names();
    scene::until_all(&server, &names, "up")?;

    let (mut freezes, mut back_after) = (Vec::new(), Vec::new());
    for _ in 0..setting.runs {
        scene::until("some checks are under way", || server.metric("quaywatch_checks_in_flight") >= 2.0)?;
        let before = sink.received().len();
        let from = RealClock.now();
        server.signal(Signal::SIGSTOP);
        victim.set(false);
        std::thread::sleep(length);
        server.signal(Signal::SIGCONT);
        let to = RealClock.now();
        freezes.push(Freeze { from, to });
        let judged = server.metric("quaywatch_judged_total");
        back_after.push(scene::until("checks go on", || server.metric("quaywatch_judged_total") > judged)?);
        scene::told(&server, &sink, before, "incident.opened", "victim")?;
        victim.set(true);
        scene::told(&server, &sink, before, "incident.closed", "victim")?;
        scene::until_all(&server, &names, "up")?;
    }
    let counted = |name: &str| server.metric(name);
    let (stalls, void) = (counted("quaywatch_stalls_total"), counted("quaywatch_void_total"));
    let (missed, doubled) = (counted("quaywatch_missed_total"), counted("quaywatch_duplicate_results_total"));
    server.stop();

    let records = Records::read(&server.data())?;
    records.expect_always_up(|name| name != "victim")?;
    records.expect_single_slots()?;
    scene::expect_one_key_each(&sink.received())?;
    if stalls < f64::from(setting.runs) || void < 1.0 {
        return Err(format!("{} freezes, {stalls} stalls noticed, {void} checks thrown away", setting.runs));
    }
    for freeze in &freezes {
        written_down(freeze, &records)?;
    }
    let mut report = Report::default();
    report.add("freezes", format!("{} of {}", setting.runs, scene::seconds(length)));
    report.times("first result after going on", &back_after);
    report.add("checks thrown away", void);
    report.add("slots missed", missed);
    report.add("results with a slot that was taken", doubled);
    Ok(report)
}

fn names() -> Vec<String> {
    let steady = (0..STEADY).map(|n| format!("steady{n}"));
    std::iter::once("victim".to_owned()).chain(steady).chain((0..SLOW).map(|n| format!("slow{n}"))).collect()
}

/// The gap stands in the store as blind time of the watcher.
fn written_down(freeze: &Freeze, records: &Records) -> Result<(), String> {
    // The last turn before the freeze may lie a moment before it, the first one after it a moment after.
    let moment = Duration::from_secs(1);
    let covers = |from: Timestamp, to: Timestamp| from <= freeze.from + moment && to + moment >= freeze.to;
    let found = records
        .blind
        .iter()
        .any(|blind| blind.code == ErrorCode::SelfStall && blind.to.is_some_and(|to| covers(blind.from, to)));
    let (from, to) = (freeze.from, freeze.to);
    found.then_some(()).ok_or_else(|| {
        format!("the freeze from {from} to {to} is not written down as blind time: {:?}", records.blind)
    })
}

/// Says hello to everybody, after a while.
fn late_speaker() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("bound");
    // It ends with the process that drills.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                std::thread::sleep(SAYS_AFTER);
                // Whoever asked may be gone.
                let _ = stream.write_all(b"hello\r\n");
            });
        }
    });
    address
}
