//! What most drills begin and end with: a file with targets and one webhook, waiting until something is said, and the
//! proof that the server does its work again.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use quaywatch_core::Clock as _;
use quaywatch_testkit::process::Server;
use quaywatch_testkit::sink::{Received, Sink};
use quaywatch_testkit::wait::{self, RealClock};

use crate::door::Door;

/// For what a server with a second's interval does in two or three: a machine that also builds takes its time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A second's interval, a retry after 300 ms, two failures; a monitor that cannot be looked at is unknown after three
/// seconds; and what a drill does to one target again and again is no flapping.
const DEFAULTS: &str = "defaults: {check_interval: 1s, retry_interval: 300ms, timeout: 1s, dns_timeout: 500ms, flap_changes: 0, channels: [ops]}\n";

/// The text of a file with one webhook, `ops`, and these monitors; `top` is added as it stands.
pub(crate) fn file(top: &str, sink: &Sink, monitors: &[String]) -> String {
    let mut text =
        format!("{top}{DEFAULTS}channels: [{{name: ops, type: webhook, url: \"{}\"}}]\n", sink.url());
    text.push_str("monitors:\n");
    for monitor in monitors {
        let _ = writeln!(text, "  - {{{monitor}}}");
    }
    text
}

/// The fields of one monitor; `more` is added to them.
pub(crate) fn monitor(name: &str, address: SocketAddr, more: &str) -> String {
    named(name, &address.ip().to_string(), address.port(), more)
}

/// The fields of one monitor whose host is a name.
pub(crate) fn named(name: &str, host: &str, port: u16, more: &str) -> String {
    let comma = if more.is_empty() { "" } else { ", " };
    format!("name: {name}, host: \"{host}\", port: {port}{comma}{more}")
}

/// Waits until `is` is true; how long it took.
pub(crate) fn until(what: &str, mut is: impl FnMut() -> bool) -> Result<Duration, String> {
    let began = RealClock.boot();
    let found = wait::poll(PATIENCE, || {
        let is = is();
        if !is {
            std::thread::sleep(Duration::from_millis(20));
        }
        is.then_some(())
    });
    found.map(|()| RealClock.boot().since(began)).ok_or_else(|| format!("not within {PATIENCE:?}: {what}"))
}

/// Waits until the server says `status` of each of these monitors.
pub(crate) fn until_all(server: &Server<'_>, names: &[String], status: &str) -> Result<Duration, String> {
    let mut others = String::new();
    let took = until("", || {
        let rows = server.statuses();
        others.clear();
        for name in names {
            let row = rows.iter().find(|row| row["name"] == name.as_str());
            let said = row.map_or("nothing", |row| row["status"].as_str().unwrap_or_default());
            if said != status {
                let code = row.map_or("", |row| row["error_code"].as_str().unwrap_or_default());
                let _ = write!(others, " {name} is {said} ({code})");
            }
        }
        others.is_empty()
    });
    took.map_err(|_| format!("not all are {status} within {PATIENCE:?}:{others}\n{}", tail(&server.log())))
}

/// Closes a target and opens it again; both must be told. How long the opening took.
pub(crate) fn outage(
    server: &Server<'_>,
    sink: &Sink,
    name: &str,
    door: &mut Door,
) -> Result<Duration, String> {
    let before = sink.received().len();
    let began = RealClock.boot();
    door.set(false);
    told(server, sink, before, "incident.opened", name)?;
    let took = RealClock.boot().since(began);
    door.set(true);
    told(server, sink, before, "incident.closed", name)?;
    Ok(took)
}

/// Waits for a notice of this type about this monitor among those after the first `before`.
pub(crate) fn told(
    server: &Server<'_>,
    sink: &Sink,
    before: usize,
    kind: &str,
    name: &str,
) -> Result<Received, String> {
    let fits = |r: &Received| r.taken && r.json()["type"] == kind && r.json()["monitor"]["name"] == name;
    wait::poll(PATIENCE, || {
        std::thread::sleep(Duration::from_millis(5));
        sink.received().into_iter().skip(before).find(&fits)
    })
    .ok_or_else(|| {
        let came: Vec<_> = sink.received().iter().skip(before).map(|r| r.json()["title"].clone()).collect();
        format!("no {kind} of {name} within {PATIENCE:?}; came: {came:?}\n{}", tail(&server.log()))
    })
}

/// No event of an incident may have come under two keys.
pub(crate) fn expect_one_key_each(received: &[Received]) -> Result<(), String> {
    let mut keys = std::collections::BTreeMap::new();
    for request in received {
        let body = request.json();
        if body["incident"].is_null() {
            continue;
        }
        let event = format!("{} {} {}", body["incident"]["id"], body["type"], body["sequence"]);
        let key = keys.entry(event.clone()).or_insert_with(|| request.id().to_owned());
        if key != request.id() {
            return Err(format!("{event} came as {key} and as {}", request.id()));
        }
    }
    Ok(())
}

/// The last lines of a log.
pub(crate) fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

/// A time in seconds, for a report.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
