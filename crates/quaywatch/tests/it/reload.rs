//! The file while the server runs: taken whole or not at all, without re-phasing what did not change.

use std::time::Duration;

use nix::sys::signal::Signal;
use quaywatch_testkit::port::{ClosedPort, Manner, Port};
use quaywatch_testkit::process::Server;
use quaywatch_testkit::sink::Sink;
use quaywatch_testkit::wait;

use crate::BINARY;

const PATIENCE: Duration = Duration::from_secs(15);

fn config_is(server: &Server<'_>, word: &str) -> bool {
    server
        .get("/readyz")
        .is_ok_and(|(status, body)| status == 200 && body.contains(&format!("\"config\":\"{word}\"")))
}

#[test]
fn a_file_with_errors_changes_nothing_and_is_told() {
    let port = Port::open(Manner::Close);
    let good = format!(
        "monitors: [{{name: a, host: 127.0.0.1, port: {}, check_interval: 1s}}]\n",
        port.address.port()
    );
    let mut server = Server::new(BINARY, &good);
    server.start();
    wait::until("a is up", PATIENCE, || server.status_of("a").0 == "up");

    server.configure("monitors: [{name: a, host: 'http://x', port: 70000, chek: 1}]\n");
    wait::until("the change is noticed without a signal", PATIENCE, || config_is(&server, "stale"));
    assert!(server.metric("quaywatch_config_stale") > 0.0);
    assert!(server.log().contains("ports are from 1 to 65535"), "{}", server.log());
    let before = server.metric("quaywatch_judged_total");
    wait::until("the old configuration goes on", PATIENCE, || {
        server.metric("quaywatch_judged_total") > before
    });

    // A start with the same file: the last accepted configuration runs.
    server.kill();
    server.start();
    assert!(config_is(&server, "stale"));
    wait::until("a is checked", PATIENCE, || server.metric("quaywatch_judged_total") > 0.0);

    server.configure(&good);
    server.signal(Signal::SIGHUP);
    wait::until("the file is taken again", PATIENCE, || config_is(&server, "fresh"));
    assert!(server.metric("quaywatch_config_stale") < 1.0);
}

#[test]
fn a_wrong_file_at_the_very_first_start_refuses_with_everything_that_is_wrong() {
    let mut server = Server::new(BINARY, "monitors: [{name: a, host: x y, port: 0}]\n");
    server.spawn();
    let ended = wait::poll(PATIENCE, || server.has_ended()).expect("it does not start");
    assert_eq!(ended.code(), Some(1));
    assert!(server.log().contains("2 errors"), "{}", server.log());
}

#[test]
fn monitors_are_added_changed_and_removed_while_others_keep_their_streaks_and_incidents() {
    let sink = Sink::start();
    let (open, closed) = (Port::open(Manner::Close), ClosedPort::new());
    let file = |rest: &str| {
        format!(
            "channels: [{{name: ops, type: webhook, url: \"{}\"}}]\n\
             defaults: {{check_interval: 1s, retry_interval: 200ms, channels: [ops]}}\n\
             monitors:\n  - {{name: dead, host: 127.0.0.1, port: {}}}\n{rest}",
            sink.url(),
            closed.address.port()
        )
    };
    let mut server = Server::new(BINARY, &file(""));
    server.start();
    let opened = sink.wait("dead is down", PATIENCE, |r| r.json()["type"] == "incident.opened").json();
    assert_eq!(opened["monitor"]["name"], "dead");

    server.configure(&file(&format!("  - {{name: new, host: 127.0.0.1, port: {}}}\n", open.address.port())));
    wait::until("the new one is watched", PATIENCE, || server.status_of("new").0 == "up");
    assert_eq!(server.status_of("dead").0, "down");

    // Another target under the same name is another thing: the incident is closed as superseded.
    let moved = file("").replace(&closed.address.port().to_string(), &open.address.port().to_string());
    server.configure(&moved);
    let closed_event =
        sink.wait("dead is superseded", PATIENCE, |r| r.json()["type"] == "incident.closed").json();
    assert_eq!(closed_event["incident"]["id"], opened["incident"]["id"]);
    wait::until("the new target is up", PATIENCE, || server.status_of("dead").0 == "up");
    wait::until("what is gone is gone", PATIENCE, || server.status_of("new").0.is_empty());
    server.stop();
    assert_eq!(sink.taken("incident.opened").len(), 1, "nothing was told twice");
}

#[test]
fn told_to_stop_while_it_reads_its_file_again_it_ends_cleanly_and_soon() {
    let many = |from: u32| {
        let monitor = |n: u32| {
            let [_, a, b, c] = (from + n).to_be_bytes();
            format!("- {{name: m{n}, host: 127.{a}.{b}.{c}, port: 9, check_interval: 60s}}\n")
        };
        (0..20_000).map(monitor).fold("monitors:\n".to_owned(), |text, line| text + &line)
    };
    let mut server = Server::new(BINARY, &many(0));
    server.start();
    // Every monitor changes, and the reload is met at other points each time.
    for (round, pause_ms) in [0, 20, 100, 300, 700].into_iter().enumerate() {
        server.configure(&many(100_000 * (1 + round as u32)));
        server.signal(Signal::SIGHUP);
        wait::poll(Duration::from_millis(pause_ms), || None::<()>);
        let status = server.stop();
        assert!(status.success(), "after {pause_ms} ms: {status}\n{}", server.log());
        server.start();
    }
}
