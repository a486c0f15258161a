//! Redis: counts connections, and at its wordy level logs each.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::{Counters, Recipe, Site};

/// Redis, logging every connection.
pub static REDIS: Recipe = Recipe {
    name: "redis",
    port: 6379,
    user: Some("redis"),
    prepare: |_| {},
    command,
    ready: "Ready to accept connections",
    stop: Signal::SIGTERM,
    log: "redis.log",
    // What it says every five seconds, and our own way in.
    noise: &["clients connected", "/socket", "DB 0:"],
    counters,
};

/// What `INFO` says of connections.
const INFO: [&str; 3] = ["total_connections_received", "rejected_connections", "total_commands_processed"];

fn command(site: &Site<'_>) -> Vec<String> {
    let words = [
        "redis-server",
        "--bind",
        &site.address.ip().to_string(),
        "--port",
        &site.address.port().to_string(),
        "--dir",
        &site.directory.path().display().to_string(),
        "--unixsocket",
        &site.text("socket"),
        "--unixsocketperm",
        "777",
        "--save",
        "",
        "--protected-mode",
        "no",
        "--loglevel",
        "verbose",
    ];
    words.iter().map(ToString::to_string).collect()
}

fn counters(site: &Site<'_>) -> Counters {
    // The connection is counted when it is accepted, the command after its answer is made.
    let connections = site.own.fetch_add(1, Ordering::Relaxed) + 1;
    let commands = connections - 1;
    let text = info(site).expect("Redis answers on its socket");
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|value| value.trim().parse::<u64>().ok()).expect("INFO has it")
    };
    INFO.into_iter()
        .map(|name| {
            let own = match name {
                "total_connections_received" => connections,
                "total_commands_processed" => commands,
                _ => 0,
            };
            (name, value(name) - own)
        })
        .collect()
}

fn info(site: &Site<'_>) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(site.path("socket"))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(b"INFO stats\r\n")?;
    // `$LENGTH`, then as many bytes and an end of line.
    let mut answer = Vec::new();
    let mut piece = [0; 4_096];
    loop {
        let text = String::from_utf8_lossy(&answer).into_owned();
        if let Some((length, body)) = text.split_once("\r\n") {
            let length: usize = length.trim_start_matches('$').parse().map_err(std::io::Error::other)?;
            if body.len() >= length + 2 {
                return Ok(body.to_owned());
            }
        }
        match stream.read(&mut piece)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            n => answer.extend_from_slice(&piece[..n]),
        }
    }
}
