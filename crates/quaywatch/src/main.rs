//! The binary: arguments, wiring, subcommands, shutdown. It holds no logic: what a command does is a function of
//! `quaywatch-app`.

mod arguments;
mod client;
mod command;
mod front;
mod logging;
mod memory;
mod panics;
mod terminal;

use std::process::ExitCode;

use clap::Parser as _;

use crate::arguments::{Arguments, Command};

fn main() -> ExitCode {
    memory::keep_little();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return terminal::usage(&error),
    };
    match arguments.command {
        Command::Serve(serve) => command::serve::run(serve),
        Command::Check(check) => command::check::run(&check),
        Command::Validate(validate) => command::validate::run(&validate),
        Command::Ports(ports) => command::ports::run(&ports),
        Command::Export(export) => command::export::run(&export),
        Command::Status(status) => command::status::run(&status),
        Command::User(user) => command::user::run(&user),
        Command::Account(account) => command::account::run(&account),
        Command::Token(token) => command::token::run(&token),
        Command::Apply(apply) => command::apply::run(&apply),
        Command::Get(get) => command::get::run(&get),
        Command::Pause(pause) => command::pause::pause(&pause),
        Command::Resume(resume) => command::pause::resume(&resume),
        Command::Profile(profile) => command::profile::run(&profile),
        Command::Completions { shell } => command::completions::run(shell),
        Command::Man { directory } => command::man::run(directory.as_deref()),
    }
}
