//! Benchmarks of the whole server beside bare loops, in one run on one machine, as ratios.
//!
//! `cargo xtask bench` builds everything in release mode and runs this; `docs/benchmarks.md` says what each figure
//! means and keeps the last results. Traffic goes to 127.0.0.0/8 only, and every loop is bounded in time.

mod acceptor;
mod api;
mod bare;
mod client;
mod constant;
mod cpu;
mod detection;
mod fairness;
mod measure;
mod print;
mod scale;
mod server;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "\
usage: quaywatch-bench [--binary FILE] [--many N] [SCENARIO...]

scenarios (all but `acceptor` and `bare` without any):
  cpu         CPU time a check, against the bare loops: half-open and full
  hundred     100,000 monitors at 10 s: lateness, memory, CPU
  million     1,000,000 monitors at 60 s: the same, time to the first check, and a restart
  detection   from stopping the target to the webhook, 50 trials
  api         100,000 monitors: first pages of the list, 10,000 made
  slow        5,000 slow clients at the door while 100,000 monitors are checked
  fairness    lateness of one account's 1,000 monitors at 1 s while another adds 100,000 (or N)
  constant    everything down against everything up, 100,000 monitors at 10 s
  bare        the bare loops alone
  acceptor    (used by the others) the other side, as a process of its own
";

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let (binary, many) = match take_binary(&mut words).and_then(|binary| Ok((binary, take_many(&mut words)?)))
    {
        Ok(options) => options,
        Err(error) => return fail(&error),
    };
    if words.iter().any(|word| word.starts_with('-')) {
        return fail(USAGE);
    }
    if words.is_empty() {
        words = ["cpu", "hundred", "detection", "constant", "api", "slow", "fairness", "million"]
            .map(str::to_owned)
            .to_vec();
    }
    for word in &words {
        if let Err(error) = run(word, &binary, many) {
            return fail(&format!("{word}: {error}"));
        }
    }
    ExitCode::SUCCESS
}

fn run(scenario: &str, binary: &std::path::Path, many: u32) -> io::Result<()> {
    match scenario {
        "acceptor" => acceptor::run(),
        "api" => api::run(binary),
        "slow" => api::run_slow(binary),
        "bare" => cpu::bare_loops(),
        "cpu" => cpu::run(binary),
        "hundred" => scale::run(binary, &scale::HUNDRED_THOUSAND),
        "million" => scale::run(binary, &scale::MILLION),
        "detection" => detection::run(binary),
        "constant" => constant::run(binary),
        "fairness" => fairness::run(binary, many),
        other => Err(io::Error::other(format!("no such scenario `{other}`\n{USAGE}"))),
    }
}

/// The server's program: given, or the release build beside this one.
fn take_binary(words: &mut Vec<String>) -> Result<PathBuf, String> {
    let beside = std::env::current_exe().map_err(|e| e.to_string())?.with_file_name("quaywatch");
    Ok(take(words, "--binary")?.map_or(beside, PathBuf::from))
}

/// How many monitors one account adds at once: fewer are for looking whether it works.
fn take_many(words: &mut Vec<String>) -> Result<u32, String> {
    take(words, "--many")?.map_or(Ok(fairness::MANY), |number| number.parse().map_err(|_| USAGE.to_owned()))
}

/// The value of an option, where it is given.
fn take(words: &mut Vec<String>, option: &str) -> Result<Option<String>, String> {
    let Some(at) = words.iter().position(|word| word == option) else { return Ok(None) };
    if at + 1 >= words.len() {
        return Err(USAGE.to_owned());
    }
    let value = words.remove(at + 1);
    words.remove(at);
    Ok(Some(value))
}

fn fail(error: &str) -> ExitCode {
    print::line(error);
    ExitCode::FAILURE
}

/// Waits, bounded: a benchmark takes the time that it takes.
fn pass(time: Duration) {
    std::thread::sleep(time);
}

/// A directory for the files of one run, removed when dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("quaywatch-bench-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
