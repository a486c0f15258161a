//! `quaywatch validate FILE`: everything that is wrong with a file, or what it would watch.

use std::process::ExitCode;

use quaywatch_app::config::{self, Config, Look};

use crate::arguments::Validate;
use crate::terminal;

pub(crate) fn run(arguments: &Validate) -> ExitCode {
    let (name, text) = if arguments.file.as_os_str() == "-" {
        ("standard input".to_owned(), std::io::read_to_string(std::io::stdin()))
    } else {
        (arguments.file.display().to_string(), std::fs::read_to_string(&arguments.file))
    };
    let text = match text {
        Ok(text) => text,
        Err(error) => return terminal::fail(&format!("cannot read {name}: {error}")),
    };
    let color = terminal::errors_are_coloured();
    match config::read(&text, &name, &|variable| std::env::var(variable).ok()) {
        Err(problems) => {
            terminal::say(&config::render(&problems, &text, &name, Look { color }));
            ExitCode::FAILURE
        }
        Ok(config) => {
            if config.warnings.warnings() > 0 {
                terminal::say(&config::render(&config.warnings, &text, &name, Look { color }));
            }
            if !arguments.quiet {
                terminal::print(&summary(&name, &config));
            }
            ExitCode::SUCCESS
        }
    }
}

fn summary(name: &str, config: &Config) -> String {
    format!(
        "{name} is valid: {}, {}, {}\n",
        terminal::count(config.monitors.len(), "monitor"),
        terminal::count(config.channels.len(), "channel"),
        terminal::count(config.locations.len() + 1, "location"),
    )
}
