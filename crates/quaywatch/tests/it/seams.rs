//! What happens between the parts while the file changes: names are exchanged, channels go while they are being told
//! something, and a file changes before anybody looks at it.

use std::time::Duration;

use nix::sys::signal::Signal;
use quaywatch_app::observe::ConfigState;
use quaywatch_app::server::{self, Options};
use quaywatch_testkit::port::{ClosedPort, Manner, Port};
use quaywatch_testkit::process::Server;
use quaywatch_testkit::sink::{Answer, Sink};
use quaywatch_testkit::wait;
use tokio_util::sync::CancellationToken;

use crate::BINARY;

const PATIENCE: Duration = Duration::from_secs(15);

fn reload(server: &Server<'_>, file: &str) {
    let before = server.metric("quaywatch_config_reloads_total");
    server.configure(file);
    server.signal(Signal::SIGHUP);
    wait::until("the file is taken", PATIENCE, || {
        server.metric("quaywatch_config_reloads_total") > before
            && server.metric("quaywatch_config_stale") < 1.0
    });
}

#[test]
fn a_change_during_the_start_is_not_missed() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("q.yaml");
    std::fs::write(&file, "monitors: []\n").expect("written");
    let options = Options {
        config: Some(file.clone()),
        data_dir: Some(directory.path().join("data")),
        ..Options::default()
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let (server, ()) = server::Server::start(options, async |_| Ok(())).await.expect("it starts");
        // It has read its file; nobody watches it yet.
        std::fs::write(&file, "monitors: nothing of the kind\n").expect("written");
        let stop = CancellationToken::new();
        let noticed = async {
            while !matches!(server.observatory().readiness.config(), ConfigState::Stale { .. }) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            () = server.watch_file(stop.clone()) => {}
            noticed = tokio::time::timeout(PATIENCE, noticed) => noticed.expect("the change is noticed"),
        }
        server.shutdown().await;
    });
}

#[test]
fn monitors_and_channels_with_ids_exchange_names_and_nothing_else_happens() {
    let (first, second) = (Sink::start(), Sink::start());
    let (open, closed) = (Port::open(Manner::Close), ClosedPort::new());
    let file = |channels: [&str; 2], monitors: [&str; 2]| {
        format!(
            "channels:\n\
             - {{id: x, name: {}, type: webhook, url: \"{}\"}}\n\
             - {{id: y, name: {}, type: webhook, url: \"{}\"}}\n\
             defaults: {{check_interval: 1s, retry_interval: 200ms, channels: [one]}}\n\
             monitors:\n\
             - {{id: p, name: {}, host: 127.0.0.1, port: {}}}\n\
             - {{id: q, name: {}, host: 127.0.0.1, port: {}}}\n",
            channels[0],
            first.url(),
            channels[1],
            second.url(),
            monitors[0],
            open.address.port(),
            monitors[1],
            closed.address.port()
        )
    };
    let mut server = Server::new(BINARY, &file(["one", "two"], ["good", "bad"]));
    server.start();
    let opened = first.wait("bad is down", PATIENCE, |r| r.json()["type"] == "incident.opened").json();
    assert_eq!(opened["monitor"]["name"], "bad");
    wait::until("good is up", PATIENCE, || server.status_of("good").0 == "up");

    reload(&server, &file(["one", "two"], ["bad", "good"]));
    assert_eq!((server.status_of("bad").0, server.status_of("good").0), ("up".into(), "down".into()));
    reload(&server, &file(["two", "one"], ["bad", "good"]));
    let judged = server.metric("quaywatch_judged_total");
    wait::until("both were checked again", PATIENCE, || {
        server.metric("quaywatch_judged_total") > judged + 4.0
    });
    assert_eq!((first.received().len(), second.received().len()), (1, 0), "names are all that changed");
    server.stop();
}

#[test]
fn a_channel_that_goes_while_it_is_being_told_leaves_nothing_behind() {
    let (slow, other) = (Sink::start(), Sink::start());
    slow.always(Answer::Hang(Duration::from_secs(60)));
    let closed = ClosedPort::new();
    let file = |channel: &str, name: &str| {
        format!(
            "channels:\n{channel}- {{name: other, type: webhook, url: \"{}\"}}\n\
             defaults: {{check_interval: 1s, retry_interval: 200ms}}\n\
             monitors: [{{name: a, host: 127.0.0.1, port: {}, channels: [{name}other]}}]\n",
            other.url(),
            closed.address.port()
        )
    };
    let channel = format!("- {{name: slow, type: webhook, url: \"{}\"}}\n", slow.url());
    let mut server = Server::new(BINARY, &file(&channel, "slow, "));
    server.start();
    wait::until("both are being told", PATIENCE, || {
        slow.received().len() == 1 && other.taken("incident.opened").len() == 1
    });
    reload(&server, &file("", ""));
    server.kill();
    server.start();
    wait::until("nothing is left to deliver", PATIENCE, || {
        server.metric("quaywatch_judged_total") > 1.0 && server.metric("quaywatch_outbox") < 1.0
    });
    server.stop();
    let told: Vec<_> = other.received().iter().map(|r| r.json()["type"].clone()).collect();
    assert_eq!(told, ["incident.opened"], "nobody has to hear of a channel that its owner removed");
}
