//! The API at 100,000 monitors that are being checked: the first page of the list, and making 10,000 monitors more; and
//! in a run of its own, 5,000 slow clients at the door.

mod slow;

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::time::Duration;

use quaywatch_core::Clock as _;
use quaywatch_net::SystemClock;

use crate::acceptor::Acceptor;
use crate::client::Client;
use crate::measure::Scrape;
use crate::server::{Load, Server};
use crate::{Scratch, pass, print};

const MONITORS: u32 = 100_000;
const INTERVAL: Duration = Duration::from_secs(10);
/// One in so many has a target that refuses.
const REFUSING: u32 = 100;
/// Teams share the monitors evenly; a harbour is one of a thousand.
const TEAMS: u32 = 20;
const HARBOURS: u32 = 1_000;
const PATIENCE: Duration = Duration::from_secs(180);

/// Every list is asked for so often, one request after another, below the limit of 100 a second for one caller.
const ASKED: usize = 500;
const PACE: Duration = Duration::from_millis(12);
const PAGE: Duration = Duration::from_millis(50);

/// Monitors made in so many calls of a thousand each.
const CALLS: u32 = 10;
const A_CALL: u32 = 1_000;
const MADE: Duration = Duration::from_secs(5);

/// How long lateness is measured with and without slow clients.
const STRETCH: Duration = Duration::from_secs(40);

/// Lists and bulk, over one run of one server.
///
/// # Errors
/// Where the server does not run, or answers otherwise than it should.
pub(crate) fn run(binary: &Path) -> io::Result<()> {
    let scratch = Scratch::new("api")?;
    let acceptor = Acceptor::start()?;
    std::fs::write(scratch.0.join("quaywatch.yaml"), yaml(acceptor.port))?;
    let server = Server::resume(binary, &scratch.0, PATIENCE)?;
    let token = server.token(binary, None)?;
    // All looked at, and a second failure of those that refuse.
    pass(INTERVAL * 4);
    let mut client = Client::connect(server.listen, &token)?;

    print::table("The API at 100,000 monitors at 10 s: first pages of a hundred, 500 requests each");
    lists(&mut client)?;
    print::table("Making 10,000 monitors in ten calls of 1,000");
    let mut client = Client::connect(server.listen, &token)?;
    make(&mut client, "each", "/api/v1/monitors/bulk", acceptor.port, 0)?;
    // What was made is being taken over by the checks.
    pass(Duration::from_secs(5));
    make(&mut client, "all or nothing", "/api/v1/monitors/bulk?atomic=true", acceptor.port, CALLS)?;
    server.stop()
}

/// Slow clients, over one run of one server.
///
/// # Errors
/// Where the server does not run, or this process may not have so many connections.
pub(crate) fn run_slow(binary: &Path) -> io::Result<()> {
    let scratch = Scratch::new("slow")?;
    let acceptor = Acceptor::start()?;
    std::fs::write(scratch.0.join("quaywatch.yaml"), yaml(acceptor.port))?;
    let server = Server::resume(binary, &scratch.0, PATIENCE)?;
    pass(INTERVAL * 4);
    slow_clients(&server)?;
    server.stop()
}

fn yaml(port: u16) -> String {
    let mut text = format!("defaults:\n  check_interval: {}s\nmonitors:\n", INTERVAL.as_secs());
    for n in 0..MONITORS {
        // Nobody listens at port 9 of these addresses.
        let port = if n % REFUSING == 0 { 9 } else { port };
        let (team, harbour) = (n % TEAMS, n % HARBOURS);
        let _ = writeln!(
            text,
            "  - {{name: berth-{n}, host: {}, port: {port}, tags: {{team: t{team}, harbour: h{harbour}}}}}",
            Load::address(n)
        );
    }
    text
}

fn lists(client: &mut Client) -> io::Result<()> {
    for (what, query, items) in [
        ("no filter", "", 100),
        ("status: down, 1,000 fit", "?status=down", 100),
        ("status: up, nearly all fit", "?status=up", 100),
        ("text: 111 fit", "?q=berth-777", 100),
        ("text: nothing fits", "?q=lighthouse", 0),
        ("tag: 5,000 fit", "?tag=team%3Dt7", 100),
        ("tag: 100 fit", "?tag=harbour%3Dh777", 100),
        ("tag, status and text together", "?tag=team&status=up&q=Berth-9", 100),
        ("trouble first", "?sort=status", 100),
        ("by name", "?sort=name", 100),
    ] {
        let path = format!("/api/v1/monitors{query}");
        let mut took = Vec::with_capacity(ASKED);
        for _ in 0..ASKED {
            let (elapsed, body) = client.timed("GET", &path, "")?;
            let shown = body.matches("{\"id\":\"m").count();
            if shown != items {
                return Err(io::Error::other(format!("{path}: {shown} monitors in place of {items}")));
            }
            took.push(elapsed);
            pass(PACE.saturating_sub(elapsed));
        }
        took.sort();
        let (p50, p99, max) = (took[ASKED / 2], took[ASKED * 99 / 100], took[ASKED - 1]);
        let words = [p50, p99, max].map(|d| print::seconds(d.as_secs_f64())).join(" / ");
        print::row(&format!("{what}: p50 / p99 / max"), &words, "p99 < 50 ms", Some(p99 < PAGE));
    }
    Ok(())
}

fn make(client: &mut Client, how: &str, path: &str, port: u16, first_call: u32) -> io::Result<()> {
    let bodies: Vec<String> = (first_call..first_call + CALLS).map(|call| body(call, port)).collect();
    let mut slowest = Duration::ZERO;
    let began = SystemClock.boot();
    for body in &bodies {
        slowest = slowest.max(client.timed("POST", path, body)?.0);
    }
    let whole = SystemClock.boot().since(began);
    let measured = print::seconds(whole.as_secs_f64());
    print::row(&format!("10,000 made, {how}"), &measured, "< 5 s", Some(whole < MADE));
    print::row("the slowest call of them", &print::seconds(slowest.as_secs_f64()), "", None);
    // All are there: what was answered was done.
    let (_, last) =
        client.timed("GET", &format!("/api/v1/monitors?q=made-{}x", first_call + CALLS - 1), "")?;
    if last.matches("{\"id\":\"m").count() == 0 {
        return Err(io::Error::other("what was made is not in the list"));
    }
    Ok(())
}

fn body(call: u32, port: u16) -> String {
    let mut text = "{\"create\":[".to_owned();
    for n in 0..A_CALL {
        let comma = if n == 0 { "" } else { "," };
        let host = Load::address(MONITORS + call * A_CALL + n);
        let _ = write!(
            text,
            "{comma}{{\"name\":\"made-{call}x{n}\",\"host\":\"{host}\",\"port\":{port},\"tags\":{{\"team\":\"t1\"}}}}"
        );
    }
    text.push_str("]}");
    text
}

/// Without, with, and without again: what other programs do to the machine shows in the difference of the first and last.
fn slow_clients(server: &Server) -> io::Result<()> {
    let before = stretch(server)?;
    let crowd = slow::Crowd::start(server.listen)?;
    pass(Duration::from_secs(10));
    let during = stretch(server)?;
    let seen = crowd.stop();
    let after = stretch(server)?;
    print::table("5,000 slow clients at the door: checks of 100,000 monitors at 10 s");
    let words = |q| {
        [&before, &during, &after].map(|(a, b)| format!("≤ {}", print::seconds(late(a, b, q)))).join(" / ")
    };
    let p99 = |of: &(Scrape, Scrape)| late(&of.0, &of.1, 0.99);
    let no_worse = p99(&during) <= p99(&before).max(p99(&after));
    print::row("lateness p50: without / with / without", &words(0.5), "", None);
    print::row("lateness p99: without / with / without", &words(0.99), "no worse", Some(no_worse));
    print::row("lateness max: without / with / without", &words(1.0), "", None);
    let missed: f64 = during.1.value("quaywatch_missed_total") - during.0.value("quaywatch_missed_total");
    print::row("slots missed with them", &format!("{missed:.0}"), "0", Some(missed == 0.0));
    print::row("bytes dripped, connections made anew", &format!("{}, {}", seen.bytes, seen.anew), "", None);
    Ok(())
}

fn stretch(server: &Server) -> io::Result<(Scrape, Scrape)> {
    let before = scrape(server)?;
    pass(STRETCH);
    Ok((before, scrape(server)?))
}

/// Among slow clients a connection may have to give way before it has asked.
fn scrape(server: &Server) -> io::Result<Scrape> {
    let mut last = server.scrape();
    for _ in 0..20 {
        if last.is_ok() {
            break;
        }
        pass(Duration::from_millis(50));
        last = server.scrape();
    }
    last
}

fn late(before: &Scrape, after: &Scrape, quantile: f64) -> f64 {
    after.quantile("quaywatch_lateness_seconds", quantile, before)
}
