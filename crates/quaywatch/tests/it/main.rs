//! The real program as a process: its main job, its command line, its file, and what it survives.

mod cli;
mod described;
mod drills;
mod identity;
mod kill;
mod reload;
mod remote;
mod seams;
mod secrets;
mod seen;
mod services;

/// The program under test.
const BINARY: &str = env!("CARGO_BIN_EXE_quaywatch");
