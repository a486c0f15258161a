//! Ends a server when the tests themselves are killed: Drop does not run then, and a database that nobody stops would
//! run for ever.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::unistd::Pid;

/// A shell that waits for the end of its input, which comes when we are gone, and then kills the process group and
/// removes the directory.
#[derive(Debug)]
pub(super) struct Guardian(Child);

impl Guardian {
    pub(super) fn of(group: Pid, directory: &Path) -> Self {
        let child = Command::new("sh")
            .args(["-c", "read -r _; kill -KILL -- \"-$0\" 2>/dev/null; rm -rf -- \"$1\""])
            .arg(group.to_string())
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Its own group, so that Ctrl-C reaches us and not it.
            .process_group(0)
            .spawn()
            .expect("a shell can be started");
        Self(child)
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        // Nothing left to guard.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
