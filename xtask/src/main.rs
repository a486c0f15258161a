//! Chores of the workspace, run as `cargo xtask NAME`. It builds in seconds, because `./test` runs it before anything
//! that takes minutes: what is heavy (drills, benchmarks) is a program of its own that this one builds and starts.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for a terminal")]

mod cargo;
mod pictures;
mod tidy;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tools at the versions that the project is checked with.
const TOOLS: [(&str, &str); 2] = [("cargo-nextest", "0.9.143"), ("cargo-deny", "0.20.2")];

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Chores of the workspace")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Checks what no compiler checks: layers, files, manifests, banned crates, migrations, documents
    Tidy,
    /// Pins migrations that are not pinned yet: from then on tidy refuses any change to them
    Pin,
    /// Builds the server in release mode and runs a drill against it; without a name, lists them
    Drill {
        /// Which one
        name: Option<String>,
        /// How often; each drill has its own default
        #[arg(long)]
        runs: Option<u32>,
    },
    /// Builds the server in release mode and measures it beside bare loops
    Bench {
        /// Scenarios and options of the benchmark program; none for all
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Writes the generated parts of the documents again
    Docs {
        /// Only says whether they are up to date
        #[arg(long)]
        check: bool,
    },
    /// Takes the README's pictures again; needs redis-server, nginx and sshd
    Pictures,
    /// Installs the tools that are nice to have, at pinned versions
    Tools,
}

fn main() -> ExitCode {
    match run(Arguments::parse().chore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> Result<(), String> {
    match chore {
        Chore::Tidy => tidy::check(&cargo::root()),
        Chore::Pin => tidy::pin(&cargo::root()),
        Chore::Drill { name, runs } => {
            let mut arguments: Vec<OsString> = name.into_iter().map(OsString::from).collect();
            if let Some(runs) = runs {
                arguments.extend(["--runs".into(), runs.to_string().into()]);
            }
            against_release("quaywatch-drills", arguments)
        }
        Chore::Bench { arguments } => against_release("quaywatch-bench", arguments),
        Chore::Docs { check } => docs(check),
        Chore::Pictures => pictures::take(&cargo::root()),
        Chore::Tools => TOOLS.iter().try_for_each(|(name, version)| {
            cargo::run(&["install", "--locked", &format!("{name}@{version}")], &[])
        }),
    }
}

/// Builds the server and a program in release mode, and runs the program with the server's path.
fn against_release(package: &str, arguments: Vec<OsString>) -> Result<(), String> {
    cargo::run(&["build", "--release", "--package", "quaywatch", "--package", package], &[])?;
    let programs = cargo::target_directory()?.join("release");
    let mut words = vec!["--binary".into(), programs.join("quaywatch").into_os_string()];
    words.extend(arguments);
    cargo::start(programs.join(package), &words, &[])
}

/// The references are written by the test that compares them, so that the two cannot differ.
fn docs(check: bool) -> Result<(), String> {
    let update: &[_] = if check { &[] } else { &[("UPDATE_DOCS", "1")] };
    cargo::run(&["test", "--quiet", "--package", "quaywatch-app", "reference"], update)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_make_sense() {
        Arguments::command().debug_assert();
    }
}
