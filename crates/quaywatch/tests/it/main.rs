//! The real program as a process: its main job, its command line, its file, and what it survives.

mod cli;
mod described;
mod drills;
mod egress;
mod identity;
mod kill;
mod parrot;
mod program;
mod reload;
mod remote;
mod sealed;
mod seams;
mod secrets;
mod seen;
mod services;
mod talk;

/// The program under test.
const BINARY: &str = env!("CARGO_BIN_EXE_quaywatch");
