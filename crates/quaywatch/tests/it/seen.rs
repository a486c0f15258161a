//! What others see of a running server: health, readiness, metrics, and a clean end.

use std::time::Duration;

use quaywatch_testkit::port::{Manner, Port};
use quaywatch_testkit::process::{Server, http_get};
use quaywatch_testkit::wait;

use crate::BINARY;

const PATIENCE: Duration = Duration::from_secs(15);

#[test]
fn a_server_without_monitors_is_alive_ready_and_measured() {
    let mut server = Server::new(BINARY, "monitors: []\n");
    server.start();
    assert_eq!(server.get("/healthz").expect("it answers"), (200, "{\"status\":\"ok\"}\n".to_owned()));
    assert_eq!(server.get("/nosuch").expect("it answers").0, 404);
    let (status, text) = server.get("/metrics").expect("it answers");
    assert_eq!(status, 200);
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        assert!(value.parse::<f64>().is_ok(), "{line}");
        assert!(name.starts_with("quaywatch_") || name.starts_with("probe_"), "{line}");
    }
    assert!(server.stop().success());
}

#[test]
fn figures_of_a_monitor_have_the_names_of_the_blackbox_exporter() {
    let port = Port::open(Manner::Close);
    let file = format!(
        "monitors: [{{name: a, host: 127.0.0.1, port: {}, check_interval: 1s}}]\n",
        port.address.port()
    );
    let mut server = Server::new(BINARY, &file);
    server.start();
    let labels = format!("{{monitor=\"a\",target=\"127.0.0.1:{}\"}}", port.address.port());
    wait::until("a is up", PATIENCE, || server.metric(&format!("probe_success{labels}")) > 0.0);
    let (_, text) = server.get("/metrics?monitor=a").expect("it answers");
    assert!(text.contains(&format!("probe_duration_seconds{labels} ")), "{text}");
    assert_eq!(port.accepted(), 0, "the target never noticed");
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let mut first = Server::new(BINARY, "monitors: []\n");
    first.start();
    let second = std::process::Command::new(BINARY)
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(first.data())
        .output()
        .expect("it runs");
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains(&first.pid().to_string()), "it names who holds it: {said}");
    assert_eq!(http_get(first.listen, "/healthz").expect("the first goes on").0, 200);
}
