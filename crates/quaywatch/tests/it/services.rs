//! The product's main job, whole: real servers watched from a file, stopped and started again, and a webhook that
//! hears of each change exactly once.

use std::collections::BTreeMap;
use std::time::Duration;

use quaywatch_testkit::process::Server;
use quaywatch_testkit::servers::{self, RealServer, Recipe};
use quaywatch_testkit::sink::{Received, Sink};
use quaywatch_testkit::wait;

use crate::BINARY;

const WATCHED: [&Recipe; 5] =
    [&servers::POSTGRES, &servers::REDIS, &servers::OPENSSH, &servers::POSTFIX, &servers::NGINX];

/// Interval 1 s, retry 300 ms, two failures: told within two seconds; a machine that also builds gets more.
const PATIENCE: Duration = Duration::from_secs(20);

fn yaml(servers: &[RealServer<'_>], sink: &Sink) -> String {
    let mut text = format!(
        "channels: [{{name: ops, type: webhook, url: \"{}\"}}]\n\
         defaults: {{check_interval: 1s, retry_interval: 300ms, timeout: 2s, channels: [ops]}}\n\
         monitors:\n",
        sink.url()
    );
    for server in servers {
        let address = server.address();
        text.push_str(&format!(
            "  - {{name: {}, monitor_type: tcp, host: {}, port: {}}}\n",
            server.name(),
            address.ip(),
            address.port()
        ));
    }
    text
}

fn is(kind: &'static str, name: &str) -> impl Fn(&Received) -> bool {
    move |received| received.json()["type"] == kind && received.json()["monitor"]["name"] == name
}

#[test]
fn t02_t19_t20_real_services_are_watched_and_each_change_is_told_exactly_once() {
    let sink = Sink::start();
    let mut services: Vec<RealServer<'_>> = WATCHED.iter().map(|recipe| RealServer::start(recipe)).collect();
    let mut quaywatch = Server::new(BINARY, &yaml(&services, &sink));
    quaywatch.start();
    for service in &services {
        let up = || quaywatch.status_of(service.name()).0 == "up";
        wait::until(&format!("{} is up", service.name()), PATIENCE, up);
    }

    for service in &mut services {
        let name = service.name();
        service.stop();
        let opened = sink.wait(&format!("{name} down"), PATIENCE, is("incident.opened", name)).json();
        assert_eq!(opened["error_status"], "tcp_refused", "{name}: {opened}");
        assert_eq!(opened["status"], "down");
        assert_eq!(opened["previous_status"], "up");
        assert_eq!(quaywatch.status_of(name).1, "tcp_refused");
        service.start_again();
        let closed = sink.wait(&format!("{name} up"), PATIENCE, is("incident.closed", name)).json();
        assert_eq!(closed["incident"]["id"], opened["incident"]["id"]);
        assert_eq!(closed["error_status"], "tcp_refused", "a route on the error also matches the recovery");
    }

    assert!(quaywatch.stop().success());
    let mut told = BTreeMap::new();
    for received in sink.received() {
        let body = received.json();
        let what = (body["monitor"]["name"].to_string(), body["type"].to_string());
        *told.entry(what).or_insert(0) += 1;
    }
    assert_eq!(told.len(), 2 * WATCHED.len(), "one opening and one closing each: {told:?}");
    assert!(told.values().all(|count| *count == 1), "{told:?}");
}
