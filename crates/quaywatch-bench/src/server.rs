//! The server under measurement: the real binary, a file of many monitors, and a data directory of its own.

use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::measure::{self, Scrape};

/// What the monitors of a run look like.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    /// How many.
    pub(crate) monitors: u32,
    /// From slot to slot.
    pub(crate) interval: Duration,
    /// `half_open` or `full`.
    pub(crate) handshake: &'static str,
    /// For the full handshake.
    pub(crate) settle: Duration,
    /// The port that every address is dialled at.
    pub(crate) port: u16,
}

impl Load {
    /// The address of the `n`th monitor: spread over 127.0.0.0/8, so that neither ports nor budgets of one address
    /// limit the run. The first 127.0.x.x are left to the rest of the machine.
    #[must_use]
    pub(crate) fn address(n: u32) -> Ipv4Addr {
        let host = n % 250 + 1;
        let rest = n / 250;
        Ipv4Addr::new(127, (1 + rest / 250 % 250) as u8, (rest % 250) as u8, host as u8)
    }

    fn yaml(&self, channel: Option<SocketAddr>) -> String {
        let mut text = String::with_capacity(self.monitors as usize * 48 + 512);
        let _ = writeln!(text, "defaults:\n  check_interval: {}ms", self.interval.as_millis());
        if self.handshake == "full" {
            let _ = writeln!(text, "  handshake: full\n  settle: {}ms", self.settle.as_millis());
        }
        if let Some(sink) = channel {
            let _ = writeln!(text, "channels:\n  - {{name: sink, type: webhook, url: \"http://{sink}/\"}}");
        }
        text.push_str("monitors:\n");
        for n in 0..self.monitors {
            let _ = writeln!(text, "  - {{name: b{n}, host: {}, port: {}}}", Self::address(n), self.port);
        }
        text
    }
}

/// A running server and where it keeps its data; stopped and removed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    /// Its files.
    pub(crate) directory: PathBuf,
}

impl Server {
    /// Writes the load's file into `directory` and starts `binary` with it; returns when it says it is ready.
    ///
    /// # Errors
    /// Where it does not become ready within `patience`; its log is `directory/log`.
    pub(crate) fn start(
        binary: &Path,
        directory: &Path,
        load: &Load,
        patience: Duration,
    ) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        std::fs::write(directory.join("quaywatch.yaml"), load.yaml(None))?;
        Self::resume(binary, directory, patience)
    }

    /// Starts `binary` on what is in `directory`.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub(crate) fn resume(binary: &Path, directory: &Path, patience: Duration) -> io::Result<Self> {
        let listen = free_port()?;
        let log = std::fs::File::create(directory.join("log"))?;
        let child = Command::new(binary)
            .arg("serve")
            .args(["--listen", &listen.to_string(), "--log", "warn"])
            .arg("--config")
            .arg(directory.join("quaywatch.yaml"))
            .arg("--data-dir")
            .arg(directory.join("data"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut server = Self { child, listen, directory: directory.to_owned() };
        server.wait_ready(patience)?;
        Ok(server)
    }

    fn wait_ready(&mut self, patience: Duration) -> io::Result<()> {
        const STEP: Duration = Duration::from_millis(20);
        for _ in 0..=patience.as_millis() / STEP.as_millis() {
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("the server ended with {status}: {}", self.log())));
            }
            if measure::http_get(self.listen, "/readyz").is_ok() {
                return Ok(());
            }
            std::thread::sleep(STEP);
        }
        Err(io::Error::other(format!("the server is not ready after {patience:?}: {}", self.log())))
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// A token that may do everything in an account, by the command line on the same host.
    ///
    /// # Errors
    /// Where none is made.
    pub(crate) fn token(&self, binary: &Path, account: Option<&str>) -> io::Result<String> {
        let mut command = Command::new(binary);
        command.args(["token", "create", "--name", "bench", "--scope", "admin"]);
        command.args(account.into_iter().flat_map(|name| ["--account", name]));
        let made = command.arg("--data-dir").arg(self.data()).output()?;
        if !made.status.success() {
            let why = String::from_utf8_lossy(&made.stderr).into_owned();
            return Err(io::Error::other(format!("no token was made: {why}")));
        }
        Ok(String::from_utf8_lossy(&made.stdout).trim().to_owned())
    }

    /// Where it keeps what it knows.
    #[must_use]
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Its process.
    #[must_use]
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it says of itself now.
    ///
    /// # Errors
    /// Where it does not answer.
    pub(crate) fn scrape(&self) -> io::Result<Scrape> {
        Scrape::read(self.listen)
    }

    /// CPU time so far.
    ///
    /// # Errors
    /// Where it is gone.
    pub(crate) fn cpu(&self) -> io::Result<Duration> {
        measure::cpu_time(self.pid())
    }

    /// Resident memory in bytes.
    ///
    /// # Errors
    /// Where it is gone.
    pub(crate) fn resident(&self) -> io::Result<u64> {
        measure::resident(self.pid())
    }

    /// Asks it to end and waits until it has.
    ///
    /// # Errors
    /// Where it cannot be signalled.
    pub(crate) fn stop(mut self) -> io::Result<()> {
        self.terminate();
        self.child.wait().map(|_| ())
    }

    fn terminate(&mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).expect("a pid fits"));
        // An error means that it has ended already.
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> io::Result<SocketAddr> {
    std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
