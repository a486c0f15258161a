//! Networks of a test's own: namespaces joined by veth pairs, with real addresses of the documentation ranges inside
//! and nftables for faults that only a kernel can make.
//!
//! Needs root, or a user namespace around the tests (`scripts/without-root`): without either a test fails with the
//! remedy and never skips, since a skipped test proves nothing.

use std::io::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sched::{CloneFlags, setns};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A network namespace, removed when dropped.
#[derive(Debug)]
pub struct NetNs {
    name: String,
}

impl NetNs {
    /// A new one, with loopback up.
    ///
    /// # Panics
    /// Where namespaces cannot be made, with the remedy.
    #[must_use]
    pub fn new(label: &str) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("qw{}-{number}-{label}", std::process::id());
        let made = ip(&["netns", "add", &name]);
        assert!(
            made.status.success(),
            "cannot make a network namespace: {}\nrun the tests as root, or by `scripts/without-root`",
            String::from_utf8_lossy(&made.stderr)
        );
        let namespace = Self { name };
        namespace.ok("ip", &["link", "set", "lo", "up"]);
        namespace
    }

    /// Its name, as `ip netns` knows it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs a program inside.
    ///
    /// # Panics
    /// Where it cannot be started.
    #[must_use]
    pub fn run(&self, program: &str, arguments: &[&str]) -> Output {
        self.command(program).args(arguments).output().unwrap_or_else(|e| panic!("{program}: {e}"))
    }

    /// A command that will run inside.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]).stdin(Stdio::null());
        command
    }

    /// Runs a program inside that must succeed; its output.
    ///
    /// # Panics
    /// Where it fails, with what it said.
    pub fn ok(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.run(program, arguments);
        assert!(
            output.status.success(),
            "{program} {} in {}: {}",
            arguments.join(" "),
            self.name,
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs `work` on a thread of its own inside this namespace: sockets that it opens belong here.
    ///
    /// # Panics
    /// Where the thread cannot enter, or `work` panics.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let handle = self.handle();
        std::thread::scope(|scope| {
            scope
                .spawn(move || {
                    handle.join_thread();
                    work()
                })
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// What a thread needs to move in by itself.
    ///
    /// # Panics
    /// Where the namespace is gone.
    #[must_use]
    pub fn handle(&self) -> NetNsHandle {
        let path = format!("/run/netns/{}", self.name);
        NetNsHandle(std::fs::File::open(&path).unwrap_or_else(|e| panic!("{path}: {e}")))
    }

    /// Adds an address to a device: `("eth0", "192.0.2.1/24")`.
    pub fn address(&self, device: &str, address: &str) {
        // No duplicate address detection: an IPv6 address is to be usable at once.
        let nodad: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
        let mut arguments = vec!["address", "add", address, "dev", device];
        arguments.extend_from_slice(nodad);
        self.ok("ip", &arguments);
    }

    /// Adds a route: `("default", "192.0.2.1")`.
    pub fn route(&self, to: &str, via: &str) {
        let family = if via.contains(':') { "-6" } else { "-4" };
        self.ok("ip", &[family, "route", "add", to, "via", via]);
    }

    /// Sets a kernel setting of this namespace: `("net.ipv4.ip_forward", "1")`.
    pub fn sysctl(&self, name: &str, value: &str) {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        self.ok("sh", &["-c", &format!("echo {value} > {path}")]);
    }

    /// Loads nftables rules, as `nft -f` reads them.
    ///
    /// # Panics
    /// Where nft refuses them, with its words.
    pub fn nft(&self, rules: &str) {
        let mut child = self
            .command("nft")
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nft starts");
        child.stdin.take().expect("piped").write_all(rules.as_bytes()).expect("nft reads");
        let output = child.wait_with_output().expect("nft ends");
        assert!(output.status.success(), "nft: {}\n{rules}", String::from_utf8_lossy(&output.stderr));
    }

    /// Replaces all rules by one chain `table inet test { chain test { type filter hook HOOK priority 0; RULES } }`.
    pub fn filter(&self, hook: &str, rules: &str) {
        self.nft(&format!(
            "table inet test {{}}\ndelete table inet test\n\
             table inet test {{ chain test {{ type filter hook {hook} priority 0; policy accept;\n{rules}\n}}\n}}\n"
        ));
    }

    /// Removes the rules of [`NetNs::filter`].
    pub fn unfilter(&self) {
        self.nft("table inet test {}\ndelete table inet test");
    }

    /// The packets that the first rule with `counter` has counted.
    #[must_use]
    pub fn counted(&self) -> u64 {
        let listed = self.ok("nft", &["list", "table", "inet", "test"]);
        listed
            .split("counter packets ")
            .nth(1)
            .and_then(|rest| rest.split_whitespace().next())
            .and_then(|number| number.parse().ok())
            .unwrap_or(0)
    }

    /// Gives this namespace a resolver of its own, for programs that `ip netns exec` starts.
    ///
    /// # Panics
    /// Where /etc/netns cannot be written.
    pub fn resolver(&self, server: IpAddr) {
        let directory = self.etc();
        std::fs::create_dir_all(&directory).expect("/etc/netns can be written");
        std::fs::write(directory.join("resolv.conf"), format!("nameserver {server}\n")).expect("written");
    }

    /// Gives this namespace a hosts file of its own, for programs that `ip netns exec` starts.
    ///
    /// # Panics
    /// Where /etc/netns cannot be written.
    pub fn hosts(&self, lines: &str) {
        let directory = self.etc();
        std::fs::create_dir_all(&directory).expect("/etc/netns can be written");
        std::fs::write(directory.join("hosts"), lines).expect("written");
    }

    fn etc(&self) -> PathBuf {
        PathBuf::from("/etc/netns").join(&self.name)
    }
}

impl Drop for NetNs {
    fn drop(&mut self) {
        let _ = ip(&["netns", "delete", &self.name]);
        let _ = std::fs::remove_dir_all(self.etc());
    }
}

/// A way into a namespace that can be sent to a thread.
#[derive(Debug)]
pub struct NetNsHandle(std::fs::File);

impl NetNsHandle {
    /// Moves the calling thread in, for good: use it on threads made for it.
    ///
    /// # Panics
    /// Where the kernel refuses.
    pub fn join_thread(&self) {
        setns(&self.0, CloneFlags::CLONE_NEWNET).expect("a thread may enter its own process's namespaces");
    }
}

/// Joins two namespaces by a veth pair; the ends get the given names.
///
/// # Panics
/// Where the kernel refuses.
pub fn join(a: &NetNs, device_a: &str, b: &NetNs, device_b: &str) {
    let made = ip(&[
        "link",
        "add",
        device_a,
        "netns",
        a.name(),
        "type",
        "veth",
        "peer",
        "name",
        device_b,
        "netns",
        b.name(),
    ]);
    assert!(made.status.success(), "veth: {}", String::from_utf8_lossy(&made.stderr));
    a.ok("ip", &["link", "set", device_a, "up"]);
    b.ok("ip", &["link", "set", device_b, "up"]);
}

/// A watcher and a server, directly joined: 192.0.2.1 and 192.0.2.2, 2001:db8::1 and 2001:db8::2.
#[derive(Debug)]
pub struct Pair {
    /// Has 192.0.2.1 and 2001:db8::1 on `eth0`.
    pub watcher: NetNs,
    /// Has 192.0.2.2 and 2001:db8::2 on `eth0`.
    pub server: NetNs,
}

impl Pair {
    /// A new pair.
    #[must_use]
    pub fn new() -> Self {
        let (watcher, server) = (NetNs::new("w"), NetNs::new("s"));
        join(&watcher, "eth0", &server, "eth0");
        for (namespace, n) in [(&watcher, 1), (&server, 2)] {
            namespace.address("eth0", &format!("192.0.2.{n}/24"));
            namespace.address("eth0", &format!("2001:db8::{n}/64"));
        }
        Self { watcher, server }
    }
}

impl Default for Pair {
    fn default() -> Self {
        Self::new()
    }
}

/// A watcher behind a router that can refuse, drop and reject: watcher 192.0.2.1, router 192.0.2.254 and
/// 198.51.100.254, server 198.51.100.2; and 2001:db8:1::1, ::fe, 2001:db8:2::fe, 2001:db8:2::2.
#[derive(Debug)]
pub struct Routed {
    /// Has a default route through the router.
    pub watcher: NetNs,
    /// Forwards; its rules make the faults.
    pub router: NetNs,
    /// Has a default route through the router.
    pub server: NetNs,
}

impl Routed {
    /// A new network of three.
    #[must_use]
    pub fn new() -> Self {
        let (watcher, router, server) = (NetNs::new("w"), NetNs::new("r"), NetNs::new("s"));
        join(&watcher, "eth0", &router, "eth0");
        join(&server, "eth0", &router, "eth1");
        watcher.address("eth0", "192.0.2.1/24");
        watcher.address("eth0", "2001:db8:1::1/64");
        router.address("eth0", "192.0.2.254/24");
        router.address("eth0", "2001:db8:1::fe/64");
        router.address("eth1", "198.51.100.254/24");
        router.address("eth1", "2001:db8:2::fe/64");
        server.address("eth0", "198.51.100.2/24");
        server.address("eth0", "2001:db8:2::2/64");
        watcher.route("default", "192.0.2.254");
        watcher.route("default", "2001:db8:1::fe");
        server.route("default", "198.51.100.254");
        server.route("default", "2001:db8:2::fe");
        router.sysctl("net.ipv4.ip_forward", "1");
        router.sysctl("net.ipv6.conf.all.forwarding", "1");
        // A router limits the ICMP messages that it sends; a test wants each.
        router.sysctl("net.ipv4.icmp_ratelimit", "0");
        router.sysctl("net.ipv6.icmp.ratelimit", "0");
        Self { watcher, router, server }
    }
}

impl Default for Routed {
    fn default() -> Self {
        Self::new()
    }
}

fn ip(arguments: &[&str]) -> Output {
    Command::new("ip")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the tool `ip` is there: ./test installs iproute2")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn two_hosts_reach_each_other_through_a_router_that_can_refuse() {
        let network = Routed::new();
        let listener = network.server.enter(|| TcpListener::bind("198.51.100.2:7000").expect("bound"));
        let reach = || network.watcher.run("timeout", &["2", "bash", "-c", ": </dev/tcp/198.51.100.2/7000"]);
        assert!(reach().status.success());
        network.router.filter("forward", "tcp dport 7000 counter reject with icmp type admin-prohibited");
        assert!(!reach().status.success());
        assert!(network.router.counted() > 0);
        network.router.unfilter();
        assert!(reach().status.success());
        drop(listener);
    }
}
