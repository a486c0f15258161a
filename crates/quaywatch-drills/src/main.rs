//! `quaywatch-drills --binary FILE [NAME|all] [--runs N] [--seed N] [--short]`: one drill or all of them on a terminal;
//! without a name, the list. `cargo xtask drill` builds the program in release mode and starts this.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for a terminal")]

use std::path::PathBuf;
use std::process::ExitCode;

use quaywatch_drills::{Options, names, run};

const USAGE: &str = "usage: quaywatch-drills [--binary FILE] [NAME|all] [--runs N] [--seed N] [--short]";

struct Arguments {
    binary: PathBuf,
    names: Vec<String>,
    options: Options,
}

fn main() -> ExitCode {
    let arguments = match read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("error: {error}\n{USAGE}");
            return ExitCode::from(64);
        }
    };
    if arguments.names.is_empty() {
        list();
    }
    let mut ended = ExitCode::SUCCESS;
    for name in &arguments.names {
        println!("{name}, seed {}", arguments.options.seed);
        match run(name, &arguments.binary, arguments.options) {
            Ok(report) => print!("{report}"),
            Err(error) => {
                eprintln!("FAILED: {error}");
                ended = ExitCode::FAILURE;
            }
        }
    }
    ended
}

fn list() {
    println!("{USAGE}\n");
    let widest = names().iter().map(|drill| drill.name.len()).max().unwrap_or(0);
    for drill in names() {
        println!("  {:<widest$}  {} (runs {})", drill.name, drill.about, drill.runs);
    }
}

fn read(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    // The release build beside this one.
    let beside = std::env::current_exe().map_err(|e| e.to_string())?.with_file_name("quaywatch");
    let options = Options { runs: None, seed: 20_260_501, short: false };
    let mut read = Arguments { binary: beside, names: Vec::new(), options };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        let number =
            |text: String| text.parse::<u64>().map_err(|_| format!("{word} takes a number, not `{text}`"));
        match word.as_str() {
            "--binary" => read.binary = value()?.into(),
            "--runs" => {
                read.options.runs = Some(u32::try_from(number(value()?)?).map_err(|e| e.to_string())?);
            }
            "--seed" => read.options.seed = number(value()?)?,
            "--short" => read.options.short = true,
            "all" => read.names.extend(names().iter().map(|drill| drill.name.to_owned())),
            other if other.starts_with('-') => return Err(format!("there is no option {other}")),
            name => read.names.push(name.to_owned()),
        }
    }
    Ok(read)
}
