//! The real program as a process: started, stopped, killed, frozen.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::netns::NetNs;
use crate::wait;

/// How long a server may take to say that it is ready, on a machine that also builds.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// A directory with a configuration and data, and the program that runs on them. Killed when dropped.
#[derive(Debug)]
pub struct Server<'n> {
    binary: PathBuf,
    directory: tempfile::TempDir,
    namespace: Option<&'n NetNs>,
    environment: Vec<(String, String)>,
    wrapper: Vec<String>,
    /// Where it listens.
    pub listen: SocketAddr,
    child: Option<Child>,
}

impl<'n> Server<'n> {
    /// A directory with this configuration; nothing runs yet.
    ///
    /// # Panics
    /// Where there is no room for temporary files.
    #[must_use]
    pub fn new(binary: impl Into<PathBuf>, configuration: &str) -> Self {
        let directory = tempfile::Builder::new().prefix("quaywatch-test-").tempdir().expect("a directory");
        let server = Self {
            binary: binary.into(),
            directory,
            namespace: None,
            environment: Vec::new(),
            wrapper: Vec::new(),
            listen: free_address(),
            child: None,
        };
        server.configure(configuration);
        server
    }

    /// The same, inside a namespace.
    #[must_use]
    pub fn within(mut self, namespace: &'n NetNs) -> Self {
        self.namespace = Some(namespace);
        self
    }

    /// With a variable of the environment.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Started by another program: `["prlimit", "--nofile=64"]`.
    #[must_use]
    pub fn under(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(ToString::to_string).collect();
        self
    }

    /// Writes another configuration; a running server takes it within a few seconds, or at SIGHUP.
    ///
    /// # Panics
    /// Where it cannot be written.
    pub fn configure(&self, configuration: &str) {
        // Replaced whole, as editors do.
        let new = self.directory.path().join("new.yaml");
        std::fs::write(&new, configuration).expect("written");
        std::fs::rename(new, self.file()).expect("renamed");
    }

    /// The configuration file.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.directory.path().join("quaywatch.yaml")
    }

    /// The data directory.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Everything that was logged so far, over all starts.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// Starts it and does not wait.
    ///
    /// # Panics
    /// Where it runs already, or cannot be started.
    pub fn spawn(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let log = File::options().create(true).append(true).open(self.log_file()).expect("a log");
        let mut words: Vec<String> = self.wrapper.clone();
        words.push(self.binary.display().to_string());
        let mut command = match self.namespace {
            // `ip netns exec` becomes the program, so signals reach it.
            Some(namespace) => namespace.command(&words[0]),
            None => Command::new(&words[0]),
        };
        command
            .args(&words[1..])
            .args(["serve", "--listen", &self.listen.to_string()])
            .arg("--config")
            .arg(self.file())
            .arg("--data-dir")
            .arg(self.data())
            .envs(self.environment.iter().cloned())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log);
        self.child = Some(command.spawn().unwrap_or_else(|e| panic!("{}: {e}", self.binary.display())));
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    /// Where it does not become ready, with its log.
    pub fn start(&mut self) {
        self.spawn();
        let ready = wait::poll(READY_WITHIN, || match self.has_ended() {
            Some(status) => Some(Err(status)),
            None => self.get("/readyz").is_ok_and(|(status, _)| status == 200).then_some(Ok(())),
        });
        match ready {
            Some(Ok(())) => {}
            Some(Err(status)) => panic!("the server ended with {status}:\n{}", self.log()),
            None => panic!("the server is not ready after {READY_WITHIN:?}:\n{}", self.log()),
        }
    }

    /// Its end, where it has ended.
    ///
    /// # Panics
    /// Where it was not started.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().expect("it was started").try_wait().expect("a child can be asked")
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("it runs");
    }

    /// Its process.
    ///
    /// # Panics
    /// Where it was not started.
    #[must_use]
    pub fn pid(&self) -> Pid {
        let child = self.child.as_ref().expect("it was started");
        Pid::from_raw(i32::try_from(child.id()).expect("a pid fits"))
    }

    /// Kills it as nothing else does (SIGKILL) and waits for its end.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks it to end and waits.
    ///
    /// # Panics
    /// Where it does not end within 20 s.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        let ended = wait::poll(Duration::from_secs(20), || self.has_ended());
        self.child = None;
        ended.unwrap_or_else(|| panic!("it does not end:\n{}", self.log()))
    }

    /// GETs a path of its listener: status and body.
    ///
    /// # Errors
    /// Where it does not answer.
    pub fn get(&self, path: &str) -> io::Result<(u16, String)> {
        match self.namespace {
            Some(namespace) => namespace.enter(|| http_get(self.listen, path)),
            None => http_get(self.listen, path),
        }
    }

    /// GETs a path of its listener with one more header (`authorization: Bearer …`): status and body.
    ///
    /// # Errors
    /// Where it does not answer.
    pub fn get_with(&self, path: &str, header: &str) -> io::Result<(u16, String)> {
        match self.namespace {
            Some(namespace) => namespace.enter(|| ask(self.listen, path, &format!("{header}\r\n"))),
            None => ask(self.listen, path, &format!("{header}\r\n")),
        }
    }

    /// A sample of its metrics; 0 where it has none of this name.
    #[must_use]
    pub fn metric(&self, sample: &str) -> f64 {
        let Ok((_, text)) = self.get("/metrics") else { return 0.0 };
        text.lines()
            .find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '))
            .and_then(|value| value.trim().parse().ok())
            .unwrap_or(0.0)
    }

    /// What `quaywatch status --output json` says of each monitor, by name.
    #[must_use]
    pub fn statuses(&self) -> Vec<serde_json::Value> {
        let output = Command::new(&self.binary)
            .args(["status", "--output", "json", "--data-dir"])
            .arg(self.data())
            .output()
            .expect("it can be run");
        String::from_utf8_lossy(&output.stdout).lines().filter_map(|l| serde_json::from_str(l).ok()).collect()
    }

    /// What is said of one monitor now: (status, error_code).
    #[must_use]
    pub fn status_of(&self, name: &str) -> (String, String) {
        let word = |v: &serde_json::Value| v.as_str().unwrap_or_default().to_owned();
        self.statuses()
            .iter()
            .find(|row| row["name"] == name)
            .map(|row| (word(&row["status"]), word(&row["error_code"])))
            .unwrap_or_default()
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An address of 127.0.0.1 whose port was free a moment ago.
///
/// # Panics
/// Where no port is free.
#[must_use]
pub fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|l| l.local_addr()).expect("a free port")
}

/// GETs a path: status and body.
///
/// # Errors
/// Where nobody answers within five seconds.
pub fn http_get(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    ask(address, path, "")
}

fn ask(address: SocketAddr, path: &str, headers: &str) -> io::Result<(u16, String)> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET {path} HTTP/1.0\r\nhost: {address}\r\n{headers}\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| io::Error::other("no answer"))?;
    let status = head.split_whitespace().nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    Ok((status, body.to_owned()))
}
