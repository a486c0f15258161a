//! Postfix: logs who connects and who leaves without a word.

use nix::sys::signal::Signal;

use super::{Counters, Recipe, Site};

/// Postfix that takes mail on one port and delivers none.
pub static POSTFIX: Recipe = Recipe {
    name: "postfix",
    port: 25,
    // It needs root, and leaves it by itself for each of its programs.
    user: None,
    prepare,
    command,
    ready: "daemon started",
    stop: Signal::SIGTERM,
    log: "mail.log",
    noise: &[],
    counters,
};

fn prepare(site: &Site<'_>) {
    let may = nix::unistd::geteuid().is_root() && !super::is_only_user();
    assert!(may, "Postfix runs only as root, beside other users: run the tests as root");
    let (queue, data, conf) = (site.make("queue"), site.make("data"), site.make("conf"));
    let postfix = nix::unistd::User::from_name("postfix").expect("users can be looked up");
    let postfix = postfix.expect("there is a user postfix: ./test installs it");
    std::os::unix::fs::chown(&data, Some(postfix.uid.as_raw()), None).expect("root may give files away");
    let listen = match site.address {
        std::net::SocketAddr::V4(v4) => v4.to_string(),
        std::net::SocketAddr::V6(v6) => format!("[{}]:{}", v6.ip(), v6.port()),
    };
    site.write(
        "conf/main.cf",
        &format!(
            "compatibility_level = 3.6\nqueue_directory = {queue}\ndata_directory = {data}\n\
             maillog_file = {log}\nmaillog_file_prefixes = {directory}\n\
             myhostname = mail.example.com\nmydestination =\ninet_interfaces = all\ninet_protocols = all\n\
             alias_maps =\nalias_database =\nmynetworks = 127.0.0.0/8\nbiff = no\nsmtpd_tls_security_level = none\n",
            queue = queue.display(),
            data = data.display(),
            log = site.text("mail.log"),
            directory = site.directory.path().display(),
        ),
    );
    site.write(
        "conf/master.cf",
        &format!(
            "{listen} inet n - n - - smtpd\n\
             cleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\nrewrite unix - - n - - trivial-rewrite\n\
             bounce unix - - n - 0 bounce\ndefer unix - - n - 0 bounce\ntrace unix - - n - 0 bounce\n\
             error unix - - n - - error\nretry unix - - n - - error\nanvil unix - - n - 1 anvil\n\
             proxymap unix - - n - - proxymap\npostlog unix-dgram n - n - 1 postlogd\n"
        ),
    );
    // Makes the directories of the queue, with the owners that Postfix insists on.
    site.run(&["postfix", "-c", &conf.display().to_string(), "check"]);
}

fn command(site: &Site<'_>) -> Vec<String> {
    // `-d`: it keeps the process group that it is given, so that all of it can be ended.
    ["/usr/lib/postfix/sbin/master", "-c", &site.text("conf"), "-d"].iter().map(ToString::to_string).collect()
}

fn counters(site: &Site<'_>) -> Counters {
    Counters::from([("connects", site.lines_with(": connect from"))])
}
