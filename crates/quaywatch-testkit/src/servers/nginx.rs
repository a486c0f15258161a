//! nginx: counts what it accepts.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;

use nix::sys::signal::Signal;

use super::{Counters, Recipe, Site};

/// nginx with one page.
pub static NGINX: Recipe = Recipe {
    name: "nginx",
    port: 80,
    user: Some("www-data"),
    prepare,
    command,
    ready: "start worker process ",
    stop: Signal::SIGQUIT,
    log: "nginx.log",
    noise: &["[notice]", " unix:"],
    counters,
};

fn prepare(site: &Site<'_>) {
    let directory = site.directory.path().display().to_string();
    let at = |name: &str| format!("{directory}/{name}");
    site.make("tmp");
    let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("{kind}_temp_path {};\n", at("tmp")))
        .collect();
    site.write(
        "nginx.conf",
        &format!(
            "daemon off;\nworker_processes 1;\npid {pid};\nerror_log {log} info;\n\
             events {{ worker_connections 256; }}\n\
             http {{\naccess_log {log};\n{paths}\
             server {{ listen {address}; location / {{ return 200 \"quay\\n\"; }} }}\n\
             server {{ listen unix:{socket}; access_log off; location / {{ stub_status; }} }}\n}}\n",
            pid = at("pid"),
            log = at("nginx.log"),
            address = site.address,
            socket = at("socket"),
        ),
    );
}

fn command(site: &Site<'_>) -> Vec<String> {
    // The first log is the built-in one until the file has been read.
    let words = [
        "nginx",
        "-p",
        &site.directory.path().display().to_string(),
        "-c",
        &site.text("nginx.conf"),
        "-e",
        "stderr",
    ];
    words.iter().map(ToString::to_string).collect()
}

fn counters(site: &Site<'_>) -> Counters {
    let own = site.own.fetch_add(1, Ordering::Relaxed) + 1;
    let mut stream = UnixStream::connect(site.path("socket")).expect("nginx listens on its socket");
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("nginx reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("nginx answers");
    // "server accepts handled requests\n 1 1 1"
    let line =
        text.lines().skip_while(|line| !line.starts_with("server accepts")).nth(1).expect("the numbers");
    let mut numbers = line.split_whitespace().map(|number| number.parse::<u64>().expect("a number") - own);
    let mut next = || numbers.next().expect("three numbers");
    Counters::from([("accepts", next()), ("handled", next()), ("requests", next())])
}
