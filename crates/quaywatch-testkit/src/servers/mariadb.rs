//! MariaDB: counts handshakes that were not finished, and blocks a host that makes too many of them.

use std::sync::atomic::Ordering;

use nix::sys::signal::Signal;

use super::{Counters, Recipe, Site};

/// MariaDB, resolving who connects and counting per host, as it comes.
pub static MARIADB: Recipe = Recipe {
    name: "mariadb",
    port: 3306,
    user: Some("mysql"),
    prepare,
    command,
    ready: "ready for connections.",
    stop: Signal::SIGTERM,
    log: "mariadb.log",
    noise: &[],
    counters,
};

/// What `SHOW GLOBAL STATUS` says of connections.
const STATUS: [&str; 9] = [
    "Aborted_clients",
    "Aborted_connects",
    "Aborted_connects_preauth",
    "Connection_errors_accept",
    "Connection_errors_internal",
    "Connection_errors_max_connections",
    "Connection_errors_peer_address",
    "Connection_errors_select",
    "Connections",
];

const HOST_CACHE: &str = "SELECT 'host_cache_hosts', COUNT(*) FROM performance_schema.host_cache UNION ALL \
     SELECT 'host_cache_connect_errors', COALESCE(SUM(SUM_CONNECT_ERRORS), 0) FROM performance_schema.host_cache \
     UNION ALL SELECT 'host_cache_blocked', COALESCE(SUM(COUNT_HOST_BLOCKED_ERRORS), 0) \
     FROM performance_schema.host_cache";

fn prepare(site: &Site<'_>) {
    let (data, temporary) = (format!("--datadir={}", site.text("data")), site.make("tmp"));
    site.run(&[
        "mariadb-install-db",
        "--no-defaults",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        &data,
        &format!("--tmpdir={}", temporary.display()),
    ]);
    // Without a user from elsewhere it turns every host away at once, and never counts its errors.
    site.write("init.sql", "CREATE USER IF NOT EXISTS watched@'%' IDENTIFIED BY 'watched';\n");
}

fn command(site: &Site<'_>) -> Vec<String> {
    let mut words = vec!["mariadbd".to_owned(), "--no-defaults".to_owned()];
    let settings = [
        ("datadir", site.text("data")),
        ("tmpdir", site.text("tmp")),
        ("socket", site.text("socket")),
        ("pid-file", site.text("pid")),
        ("bind-address", site.address.ip().to_string()),
        ("port", site.address.port().to_string()),
        ("init-file", site.text("init.sql")),
        ("performance-schema", "ON".to_owned()),
        // Says of each connection that did not end in order.
        ("log-warnings", "4".to_owned()),
        ("innodb-buffer-pool-size", "16M".to_owned()),
        ("innodb-log-file-size", "8M".to_owned()),
        ("innodb-flush-log-at-trx-commit", "0".to_owned()),
        ("innodb-fast-shutdown", "2".to_owned()),
    ];
    words.extend(settings.iter().map(|(name, value)| format!("--{name}={value}")));
    words
}

fn counters(site: &Site<'_>) -> Counters {
    let own = site.own.fetch_add(1, Ordering::Relaxed) + 1;
    let names: Vec<String> = STATUS.iter().map(|name| format!("'{name}'")).collect();
    let query = format!("SHOW GLOBAL STATUS WHERE Variable_name IN ({}); {HOST_CACHE};", names.join(","));
    let socket = format!("--socket={}", site.text("socket"));
    let text = site.run(&[
        "mariadb",
        "--no-defaults",
        "--batch",
        "--skip-column-names",
        "--user=root",
        &socket,
        "-e",
        &query,
    ]);
    let mut counters = Counters::new();
    for line in text.lines() {
        let (name, value) = line.split_once('\t').expect("name and value");
        let value: u64 = value.trim().parse().expect("a number");
        let known = STATUS.iter().copied().chain([
            "host_cache_hosts",
            "host_cache_connect_errors",
            "host_cache_blocked",
        ]);
        if let Some(name) = known.into_iter().find(|known| *known == name) {
            counters.insert(name, if name == "Connections" { value - own } else { value });
        }
    }
    counters
}
