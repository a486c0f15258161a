//! All processes of a server. A process group is not enough: PostgreSQL's and OpenSSH's children make groups of their
//! own, and one that is stopped at that moment would hear of nothing any more.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A process and its descendants, as they are now.
pub(super) fn of(eldest: Pid) -> Vec<Pid> {
    let parents: Vec<(Pid, Pid)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((Pid::from_raw(pid), parent(pid)?)))
        .collect();
    let mut family = vec![eldest];
    let mut next = 0;
    while let Some(&member) = family.get(next) {
        family.extend(parents.iter().filter(|(_, parent)| *parent == member).map(|(child, _)| *child));
        next += 1;
    }
    family
}

/// Sends a signal to all of them; to those who are gone in the meantime, nothing.
pub(super) fn signal(family: &[Pid], signal: Signal) {
    for member in family {
        let _ = kill(*member, signal);
    }
}

fn parent(pid: i32) -> Option<Pid> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything; after it come state and parent.
    let after_name = stat.rsplit_once(')')?.1;
    after_name.split_whitespace().nth(1)?.parse().ok().map(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;
    use std::time::Duration;

    use super::*;
    use crate::wait;

    #[test]
    fn a_child_in_a_session_of_its_own_is_family() {
        let mut shell = Command::new("sh")
            .args(["-c", "setsid sleep 60 & wait"])
            .process_group(0)
            .spawn()
            .expect("a shell starts");
        let eldest = Pid::from_raw(i32::try_from(shell.id()).expect("a pid fits"));
        let is_sleep = |pid: &Pid| {
            fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "sleep")
        };
        let sleep = wait::poll(Duration::from_secs(10), || of(eldest).into_iter().find(is_sleep));
        let sleep = sleep.expect("its child is found");
        signal(&of(eldest), Signal::SIGKILL);
        shell.wait().expect("it ended");
        wait::until("the child is gone", Duration::from_secs(10), || {
            fs::read_to_string(format!("/proc/{sleep}/stat")).map_or(true, |stat| stat.contains(") Z "))
        });
    }
}
