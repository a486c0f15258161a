//! The program run once, as somebody at a terminal or in a script runs it: with what is said to it, and nothing else.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::BINARY;

/// What the surroundings of a test might say to it.
const VARIABLES: [&str; 6] = [
    "QUAYWATCH_CONFIG",
    "QUAYWATCH_DATA_DIR",
    "QUAYWATCH_LISTEN",
    "QUAYWATCH_PROFILE",
    "QUAYWATCH_SERVER",
    "QUAYWATCH_TOKEN",
];

/// A run that has not begun: more can be said to it.
pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    for name in VARIABLES {
        command.env_remove(name);
    }
    command.args(arguments).env("NO_COLOR", "1");
    command
}

/// Runs it to its end, with this on its standard input.
pub(crate) fn run(command: &mut Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    // It may end without reading.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    child.wait_with_output().expect("it ends")
}

/// Runs it on the data of a server, which may be running.
pub(crate) fn beside(data: &Path, arguments: &[&str], input: &str) -> Output {
    run(program(arguments).arg("--data-dir").arg(data), input)
}

/// A token that the command line made.
pub(crate) fn token(data: &Path, name: &str, scope: &str) -> String {
    let made = beside(data, &["token", "create", "--name", name, "--scope", scope], "");
    assert!(made.status.success(), "{}", err(&made));
    let text = out(&made);
    let token = text.strip_suffix('\n').expect("a line").to_owned();
    assert!(token.starts_with("qw_t") && token.len() == 53, "the token alone: {text:?}");
    token
}

/// What it printed.
pub(crate) fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What it said of what it did.
pub(crate) fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
