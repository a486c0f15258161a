//! Real servers to be watched, stopped and started again: throw-away instances of Debian's packages, with data of
//! their own in a temporary directory, on loopback or inside a namespace.
//!
//! What an instance logs and counts can be read without moving either, so that a test can say that looking left no
//! trace: readiness is read from `/proc` and the log, never by connecting, and what the reading itself costs (a
//! connection on a Unix socket) is taken off again.

mod family;
mod guardian;
mod mariadb;
mod nginx;
mod openssh;
mod postfix;
mod postgres;
mod proc_net;
mod redis;

use std::collections::BTreeMap;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, User};

use crate::netns::NetNs;
use crate::wait;
use guardian::Guardian;

pub use mariadb::MARIADB;
pub use nginx::NGINX;
pub use openssh::OPENSSH;
pub use postfix::POSTFIX;
pub use postgres::POSTGRES;
pub use redis::REDIS;

/// Every kind of server there is.
pub const ALL: &[&Recipe] = &[&POSTGRES, &MARIADB, &REDIS, &OPENSSH, &POSTFIX, &NGINX];

/// MariaDB needs some seconds on a machine that also builds.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// After this an ending server is killed.
const ENDS_WITHIN: Duration = Duration::from_secs(20);
/// Below the ports that the kernel gives to clients, so that nobody's connection takes the port of a stopped server.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

/// Numbers by name, each of something that a connection might move.
pub type Counters = BTreeMap<&'static str, u64>;

/// How a kind of server is made, told apart from others only by these values.
#[derive(Debug)]
pub struct Recipe {
    /// `postgresql`, `redis` …; also the start of the directory's name.
    pub name: &'static str,
    /// Its usual port, for those who start it inside a namespace.
    pub port: u16,
    /// Who it runs as when the tests run as root; `None`: as root.
    user: Option<&'static str>,
    /// Makes data and configuration.
    prepare: fn(&Site<'_>),
    /// The command line that stays in the foreground.
    command: fn(&Site<'_>) -> Vec<String>,
    /// What stands in the log since the start once it is ready, beside its port being open; empty: the port alone.
    ready: &'static str,
    /// The signal that ends it in order.
    stop: Signal,
    /// The log file below the directory; what the server prints goes there too.
    log: &'static str,
    /// Lines of the log with one of these are not about connections from outside.
    noise: &'static [&'static str],
    /// What it counts.
    counters: fn(&Site<'_>) -> Counters,
}

/// Where an instance lives: what recipes work with.
#[derive(Debug)]
struct Site<'n> {
    directory: tempfile::TempDir,
    address: SocketAddr,
    namespace: Option<&'n NetNs>,
    user: Option<User>,
    log: &'static str,
    /// Connections that reading counters has made since the start.
    own: AtomicU64,
}

impl Site<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Writes a file that belongs to the server's user.
    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a temporary file can be written");
        self.own(&self.path(name));
    }

    /// Makes a directory that belongs to the server's user.
    fn make(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir(&path).expect("a temporary directory can be made");
        self.own(&path);
        path
    }

    fn own(&self, path: &Path) {
        if let Some(user) = &self.user {
            std::os::unix::fs::chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
                .expect("root may give files away");
        }
    }

    /// Runs a program as the server's user that must succeed; its output.
    fn run(&self, words: &[&str]) -> String {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        let output = self.as_user(words).output().expect("it can be started");
        assert!(
            output.status.success(),
            "cannot prepare a server: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A command in the namespace, as the server's user. Both wrappers become the program, so its pid is its own.
    fn as_user(&self, words: Vec<String>) -> Command {
        let mut all = Vec::new();
        if let Some(user) = &self.user {
            let ids = [format!("--reuid={}", user.uid), format!("--regid={}", user.gid)];
            all.push("setpriv".to_owned());
            all.extend(ids);
            all.extend(["--clear-groups".to_owned(), "--".to_owned()]);
        } else if is_only_user() {
            all.extend(["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"].map(str::to_owned));
        }
        all.extend(words);
        let mut command = match self.namespace {
            Some(namespace) => namespace.command(&all[0]),
            None => Command::new(&all[0]),
        };
        command.args(&all[1..]).current_dir(self.directory.path()).stdin(Stdio::null());
        command
    }

    /// Whether its port is open, asked of the kernel.
    fn is_open(&self) -> bool {
        match self.namespace {
            Some(namespace) => namespace.enter(|| proc_net::listens(self.address)),
            None => proc_net::listens(self.address),
        }
    }

    fn read_log(&self) -> String {
        std::fs::read(self.path(self.log))
            .map(|b| String::from_utf8_lossy(&b).into_owned())
            .unwrap_or_default()
    }

    /// How many lines of the log have this.
    fn lines_with(&self, what: &str) -> u64 {
        self.read_log().lines().filter(|line| line.contains(what)).count() as u64
    }
}

/// A running (or stopped) instance of a real server; killed and removed when dropped.
#[derive(Debug)]
pub struct RealServer<'n> {
    recipe: &'static Recipe,
    site: Site<'n>,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    pid: Pid,
    _guardian: Guardian,
}

impl RealServer<'static> {
    /// Starts one on a port of 127.0.0.1 that is free and stays its own, and waits until it is ready.
    #[must_use]
    pub fn start(recipe: &'static Recipe) -> Self {
        Self::at(recipe, SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), free_port()), None)
    }
}

impl<'n> RealServer<'n> {
    /// Starts one inside a namespace, listening at an address that the namespace has.
    #[must_use]
    pub fn start_in(recipe: &'static Recipe, namespace: &'n NetNs, ip: IpAddr) -> Self {
        Self::at(recipe, SocketAddr::new(ip, recipe.port), Some(namespace))
    }

    fn at(recipe: &'static Recipe, address: SocketAddr, namespace: Option<&'n NetNs>) -> Self {
        let prefix = format!("quaywatch-{}-", recipe.name);
        let directory = tempfile::Builder::new().prefix(&prefix).tempdir().expect("a temporary directory");
        // The server's own user must get through.
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755))
            .expect("it is ours");
        let user = recipe.user.filter(|_| nix::unistd::geteuid().is_root() && !is_only_user()).map(|name| {
            User::from_name(name)
                .expect("users can be looked up")
                .unwrap_or_else(|| panic!("there is no user {name}: ./test installs {}", recipe.name))
        });
        let site = Site { directory, address, namespace, user, log: recipe.log, own: AtomicU64::new(0) };
        site.own(site.directory.path());
        if let Some(namespace) = namespace {
            // Usual ports, without root.
            namespace.sysctl("net.ipv4.ip_unprivileged_port_start", "0");
        }
        (recipe.prepare)(&site);
        let mut server = Self { recipe, site, running: None };
        server.start_again();
        server
    }

    /// Starts it again where it was, with its data.
    ///
    /// # Panics
    /// Where it runs already or does not become ready, with its log.
    pub fn start_again(&mut self) {
        assert!(self.running.is_none(), "{} runs already", self.recipe.name);
        self.site.own.store(0, Ordering::Relaxed);
        let path = self.site.path(self.site.log);
        let log = File::options().create(true).append(true).open(&path).expect("a log");
        self.site.own(&path);
        let before = self.site.read_log().len();
        let mut child = self
            .site
            .as_user((self.recipe.command)(&self.site))
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|e| panic!("{} cannot be started ({e}): ./test installs it", self.recipe.name));
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid fits"));
        let guardian = Guardian::of(pid, self.site.directory.path());
        let ready = wait::poll(READY_WITHIN, || {
            if let Some(status) = child.try_wait().expect("a child can be asked") {
                return Some(Err(status));
            }
            let said = self.site.read_log().get(before..).is_some_and(|new| new.contains(self.recipe.ready));
            (said && self.site.is_open()).then_some(Ok(()))
        });
        self.running = Some(Running { child, pid, _guardian: guardian });
        match ready {
            Some(Ok(())) => {}
            Some(Err(status)) => {
                panic!("{} ended with {status}:\n{}", self.recipe.name, self.site.read_log())
            }
            None => panic!("{} is not ready:\n{}", self.recipe.name, self.site.read_log()),
        }
    }

    /// Stops it in order: its port is closed afterwards. Does nothing where it is stopped.
    ///
    /// # Panics
    /// Where it does not end.
    pub fn stop(&mut self) {
        let Some(mut running) = self.running.take() else { return };
        let _ = kill(running.pid, self.recipe.stop);
        let ended = wait::poll(ENDS_WITHIN, || running.child.try_wait().expect("a child can be asked"));
        self.end(running);
        assert!(ended.is_some(), "{} does not end:\n{}", self.recipe.name, self.site.read_log());
    }

    /// Kills it and its children (SIGKILL).
    pub fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            self.end(running);
        }
    }

    /// Leaves nothing of it: children that outlive their parent hold ports, and a killed one for a moment still.
    fn end(&self, mut running: Running) {
        family::signal(&family::of(running.pid), Signal::SIGKILL);
        // Those whose parents were gone already.
        let _ = killpg(running.pid, Signal::SIGKILL);
        let _ = running.child.wait();
        let closed = wait::poll(ENDS_WITHIN, || (!self.site.is_open()).then_some(()));
        assert!(closed.is_some() || std::thread::panicking(), "{} still listens", self.recipe.name);
    }

    /// Stops all its processes where they are: the kernel goes on answering SYNs for them.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets them go on.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let running = self.running.as_ref().expect("it runs");
        family::signal(&family::of(running.pid), signal);
    }

    /// What it is.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.recipe.name
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.site.address
    }

    /// What it has logged about connections from outside, over all starts.
    #[must_use]
    pub fn log(&self) -> String {
        let text = self.site.read_log();
        let mut kept: Vec<&str> = text.lines().collect();
        kept.retain(|line| !self.recipe.noise.iter().any(|noise| line.contains(noise)));
        kept.join("\n")
    }

    /// What it counts, without what the counting itself has moved. It must run.
    #[must_use]
    pub fn counters(&self) -> Counters {
        (self.recipe.counters)(&self.site)
    }
}

impl Drop for RealServer<'_> {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether this is a user namespace in which root is all there is. Some servers refuse to run as root, so there they
/// run as somebody else in one more.
fn is_only_user() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    nix::unistd::geteuid().is_root() && map.split_whitespace().nth(2) == Some("1")
}

/// A port of loopback that was free a moment ago and that the kernel gives to nobody.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let count = PORTS.end - PORTS.start;
    // Processes that test at the same time begin far apart.
    let begin = u16::try_from(std::process::id().wrapping_mul(613) % u32::from(count)).expect("below count");
    (0..count)
        .map(|_| PORTS.start + (begin + NEXT.fetch_add(1, Ordering::Relaxed) % count) % count)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("one of many ports is free")
}

#[cfg(test)]
mod tests;
