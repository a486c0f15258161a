//! `quaywatch man [DIR]`: manual pages made from the same arguments that the program parses.

use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::arguments::Arguments;
use crate::terminal;

pub(crate) fn run(directory: Option<&Path>) -> ExitCode {
    // Without a page for `help`, and for `help` of each command.
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    let written = match directory {
        None => {
            let mut page = Vec::new();
            let rendered = clap_mangen::Man::new(command).render(&mut page);
            terminal::print(&String::from_utf8_lossy(&page));
            rendered
        }
        Some(directory) => {
            std::fs::create_dir_all(directory).and_then(|()| clap_mangen::generate_to(command, directory))
        }
    };
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let place = directory.unwrap_or(Path::new("standard output"));
            terminal::complain(&format!("cannot write manual pages to {}: {error}", place.display()));
            ExitCode::FAILURE
        }
    }
}
