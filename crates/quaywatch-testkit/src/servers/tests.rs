//! Each server starts, is stopped, starts again at the same place; notices a client that connects and leaves; and does
//! not notice being asked what it counts.

#![expect(clippy::disallowed_methods, reason = "these tests are clients of the servers")]

use std::net::TcpStream;
use std::time::Duration;

use super::*;
use crate::netns::Pair;

fn lives(recipe: &'static Recipe) {
    let mut server = RealServer::start(recipe);
    let address = server.address();
    let (counted, logged) = (server.counters(), server.log());
    assert_eq!((server.counters(), server.log()), (counted.clone(), logged.clone()), "asking moves nothing");
    drop(TcpStream::connect(address).expect("it listens"));
    wait::until(&format!("{} notices a connection", recipe.name), Duration::from_secs(10), || {
        (server.counters(), server.log()) != (counted.clone(), logged.clone())
    });
    server.stop();
    assert!(TcpStream::connect(address).is_err(), "a stopped server refuses");
    server.start_again();
    TcpStream::connect(address).expect("it listens again");
    server.freeze();
    TcpStream::connect(address).expect("the kernel answers for it");
    server.thaw();
    server.kill();
    assert!(TcpStream::connect(address).is_err(), "a killed server refuses");
}

#[test]
fn postgresql_lives() {
    lives(&POSTGRES);
}

#[test]
fn mariadb_lives() {
    lives(&MARIADB);
}

#[test]
fn redis_lives() {
    lives(&REDIS);
}

#[test]
fn openssh_lives() {
    lives(&OPENSSH);
}

#[test]
fn postfix_lives() {
    lives(&POSTFIX);
}

#[test]
fn nginx_lives() {
    lives(&NGINX);
}

#[test]
fn all_live_inside_a_namespace() {
    let network = Pair::new();
    let ip: IpAddr = "192.0.2.2".parse().expect("an address");
    for recipe in ALL {
        let server = RealServer::start_in(recipe, &network.server, ip);
        network.watcher.enter(|| TcpStream::connect(server.address())).expect("reached over the wire");
        assert!(
            TcpStream::connect_timeout(&server.address(), Duration::from_millis(100)).is_err(),
            "and only there"
        );
        let _ = server.counters();
    }
}
