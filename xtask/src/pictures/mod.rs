//! The pictures of the README: what the real program prints about real servers of this machine, as SVG. Nothing is
//! written by hand, so that a picture cannot show what the program does not say.
//!
//! The servers (Redis, nginx, OpenSSH) are throw-away ones on addresses of loopback; one of them is stopped.

mod screen;
mod servers;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::cargo;
use servers::{Running, Servers};

/// How long anything may take to become as it should be, in looks of 250 ms.
const LOOKS: usize = 120;

/// How long the servers are watched before the picture is taken: nothing looks as if it had begun this second.
const WATCHED: Duration = Duration::from_secs(20);

/// What is watched for the table; every second, so that the picture need not be waited for.
const MONITORS: &str = "\
server: {listen: '127.0.0.9:18080', data_dir: ./data}
defaults: {check_interval: 1s, retry_interval: 1s}
monitors:
  - {name: shop, host: 127.0.0.11, port: 8080}
  - {name: session cache, host: 127.0.0.12, port: redis}
  - {name: job queue, host: 127.0.0.13, port: redis}
  - {name: bastion, host: 127.0.0.14, port: 2222, expect: '^SSH-2.0-'}
  - {name: database is not exposed, host: 127.0.0.11, port: mysql, expectation: closed}
  - {name: branch office, host: 127.0.0.14, port: 2222, locations: [eu-west]}
locations: [eu-west]
";

/// A file with the mistakes that people make.
const MISTAKES: &str = "\
monitors:
  - name: orders database
    host: https://db.example.com/
    port: postgress
    check_intervall: 30s
  - name: session cache
    host: cache.example.com
    port: redis
    timeout: 10 secs
    channels: [ops]
";

/// Takes all pictures again.
pub(crate) fn take(root: &Path) -> Result<(), String> {
    cargo::run(&["build", "--package", "quaywatch"], &[])?;
    let target = cargo::target_directory()?;
    let place = target.join("pictures");
    // What an earlier run left behind would be part of the picture.
    let _ = fs::remove_dir_all(&place);
    let studio = Studio { program: target.join("debug/quaywatch"), album: root.join("docs/pictures"), place };
    for directory in [&studio.place, &studio.album] {
        fs::create_dir_all(directory).map_err(|e| format!("cannot make {}: {e}", directory.display()))?;
    }
    studio.write("watch.yaml", MONITORS)?;
    studio.write("quaywatch.yaml", MISTAKES)?;

    let mut servers = Servers::start(&studio.place)?;
    let served = studio.serve()?;
    studio.wait_until("every server is up", |status| status.matches("\"up\"").count() == 5)?;
    std::thread::sleep(WATCHED);
    servers.stop_queue();
    studio.wait_until("the stopped server is down", |status| status.contains("\"status\":\"down\""))?;
    studio.picture("status", &["status"])?;
    studio.picture("check", &["check", "127.0.0.14:2222", "127.0.0.13:redis", "169.254.169.254:80"])?;
    studio.picture("validate", &["validate", "quaywatch.yaml"])?;
    drop(served);
    Ok(())
}

/// Where the program runs, and where its pictures go.
struct Studio {
    program: PathBuf,
    place: PathBuf,
    album: PathBuf,
}

impl Studio {
    fn write(&self, name: &str, text: &str) -> Result<(), String> {
        fs::write(self.place.join(name), text).map_err(|e| format!("cannot write {name}: {e}"))
    }

    fn command<S: AsRef<OsStr>>(&self, words: &[S]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words).current_dir(&self.place).stdin(Stdio::null()).env_remove("NO_COLOR");
        for variable in ["QUAYWATCH_CONFIG", "QUAYWATCH_DATA_DIR", "QUAYWATCH_LISTEN"] {
            command.env_remove(variable);
        }
        command
    }

    fn serve(&self) -> Result<Running, String> {
        let mut command = self.command(&["serve", "--config", "watch.yaml"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Running::start(command, "quaywatch")
    }

    /// Looks at the table, as a program does, until it is as it should be.
    fn wait_until(&self, what: &str, is_so: impl Fn(&str) -> bool) -> Result<(), String> {
        for _ in 0..LOOKS {
            let output = self.command(&["status", "--output", "json"]).output();
            let output = output.map_err(|e| format!("quaywatch cannot be started: {e}"))?;
            if is_so(&String::from_utf8_lossy(&output.stdout)) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(250));
        }
        Err(format!("waited too long until {what}: see {}", self.place.display()))
    }

    /// A command and what it prints, as one screen.
    fn picture(&self, name: &str, words: &[&str]) -> Result<(), String> {
        let output = self.command(words).env("CLICOLOR_FORCE", "1").output();
        let output = output.map_err(|e| format!("quaywatch cannot be started: {e}"))?;
        let command = format!("quaywatch {}", words.join(" "));
        let printed = [output.stdout, output.stderr].concat();
        let svg = screen::svg(&command, &String::from_utf8_lossy(&printed));
        let path = self.album.join(format!("{name}.svg"));
        fs::write(&path, svg).map_err(|e| format!("cannot write {}: {e}", path.display()))
    }
}
