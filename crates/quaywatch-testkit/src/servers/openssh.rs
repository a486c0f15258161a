//! OpenSSH: a process forked for each connection, and lines in the log for those that say nothing.

use nix::sys::signal::Signal;

use super::{Counters, Recipe, Site};

/// OpenSSH with a host key of its own, logging every connection.
pub static OPENSSH: Recipe = Recipe {
    name: "openssh",
    port: 22,
    user: None,
    prepare,
    command,
    ready: "Server listening on",
    stop: Signal::SIGTERM,
    log: "sshd.log",
    noise: &[],
    counters,
};

fn prepare(site: &Site<'_>) {
    // Run by root it wants this directory, and has no option for it.
    if nix::unistd::geteuid().is_root() {
        std::fs::create_dir_all("/run/sshd").expect("root may make it");
    }
    let key = site.text("host_key");
    site.run(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", &key]);
    site.write(
        "sshd_config",
        &format!(
            "Port {port}\nListenAddress {ip}\nHostKey {key}\nPidFile none\nLogLevel VERBOSE\nUsePAM no\n\
             AuthorizedKeysFile none\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n",
            port = site.address.port(),
            ip = site.address.ip(),
        ),
    );
}

fn command(site: &Site<'_>) -> Vec<String> {
    // By its whole path: it starts itself again for each connection.
    ["/usr/sbin/sshd", "-D", "-e", "-f", &site.text("sshd_config")].iter().map(ToString::to_string).collect()
}

fn counters(site: &Site<'_>) -> Counters {
    Counters::from([("connections", site.lines_with("Connection from"))])
}
