//! PostgreSQL: a process forked for each connection, and a line in the log for each where it is asked for.

use std::path::PathBuf;

use nix::sys::signal::Signal;

use super::{Counters, Recipe, Site};

/// PostgreSQL, logging every connection.
pub static POSTGRES: Recipe = Recipe {
    name: "postgresql",
    port: 5432,
    user: Some("postgres"),
    prepare,
    command,
    ready: "database system is ready to accept connections",
    // Fast: rolls back and disconnects. SIGTERM would wait for clients.
    stop: Signal::SIGINT,
    log: "postgresql.log",
    noise: &["checkpoint"],
    counters,
};

fn prepare(site: &Site<'_>) {
    let (initdb, data) = (program("initdb"), site.text("data"));
    site.run(&[
        &initdb,
        "--no-sync",
        "--no-instructions",
        "--auth=trust",
        "--username=postgres",
        "-D",
        &data,
    ]);
}

fn command(site: &Site<'_>) -> Vec<String> {
    let mut words = vec![program("postgres"), "-D".to_owned(), site.text("data")];
    let settings = [
        ("listen_addresses", site.address.ip().to_string()),
        ("port", site.address.port().to_string()),
        ("unix_socket_directories", site.directory.path().display().to_string()),
        ("log_connections", "on".to_owned()),
        ("log_disconnections", "on".to_owned()),
        ("log_checkpoints", "off".to_owned()),
        ("autovacuum", "off".to_owned()),
        ("fsync", "off".to_owned()),
        ("shared_buffers", "16MB".to_owned()),
        ("max_connections", "40".to_owned()),
    ];
    words.extend(settings.iter().flat_map(|(name, value)| ["-c".to_owned(), format!("{name}={value}")]));
    words
}

fn counters(site: &Site<'_>) -> Counters {
    // Its statistics count sessions, which begin after log-in; the log has what comes before.
    Counters::from([("connections_received", site.lines_with("connection received"))])
}

/// A program of the newest version that is installed.
fn program(name: &str) -> String {
    let version = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u32>().ok()).unwrap_or(0)
    };
    std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .max_by_key(version)
        .map(|path| path.join("bin").join(name).display().to_string())
        .expect("PostgreSQL is installed: ./test installs it")
}
