//! Throw-away servers on addresses of loopback, and their end.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A program that ends with its owner.
pub(super) struct Running(Child);

impl Running {
    pub(super) fn start(mut command: Command, name: &str) -> Result<Self, String> {
        command.spawn().map(Self).map_err(|e| format!("{name} cannot be started: {e}"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the pictures show.
pub(super) struct Servers {
    queue: Option<Running>,
    _others: [Running; 3],
}

impl Servers {
    pub(super) fn start(place: &Path) -> Result<Self, String> {
        Ok(Self {
            queue: Some(redis("127.0.0.13")?),
            _others: [redis("127.0.0.12")?, nginx("127.0.0.11:8080", place)?, sshd("127.0.0.14", place)?],
        })
    }

    /// Stops the one that is to be down.
    pub(super) fn stop_queue(&mut self) {
        self.queue = None;
    }
}

fn redis(address: &str) -> Result<Running, String> {
    start("redis-server", &["--bind", address, "--port", "6379", "--save", "", "--dir", "/tmp"])
}

/// In one process, so that nothing is left when it is killed.
fn nginx(address: &str, place: &Path) -> Result<Running, String> {
    let file = place.join("nginx.conf");
    let text = format!(
        "daemon off; master_process off; pid {0}/nginx.pid; error_log {0}/nginx.log; events {{}}\n\
         http {{ access_log off; server {{ listen {address}; }} }}\n",
        place.display()
    );
    fs::write(&file, text).map_err(|e| format!("cannot write {}: {e}", file.display()))?;
    start("nginx", &["-c", &file.display().to_string()])
}

fn sshd(address: &str, place: &Path) -> Result<Running, String> {
    let key = place.join("host_key").display().to_string();
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &key]).status();
    if !made.map_err(|e| format!("ssh-keygen cannot be started: {e}"))?.success() {
        return Err("ssh-keygen makes no key".to_owned());
    }
    let listen = format!("ListenAddress={address}:2222");
    // It wants to be called by its whole path.
    start("/usr/sbin/sshd", &["-D", "-f", "/dev/null", "-h", &key, "-o", &listen, "-o", "PidFile=none"])
}

fn start(program: &str, arguments: &[&str]) -> Result<Running, String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Running::start(command, program)
}
