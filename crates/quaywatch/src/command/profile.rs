//! `quaywatch profile`: servers that are remembered.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use comfy_table::Cell;
use quaywatch_core::Secret;

use crate::arguments::{Profile, ProfileAdd, ProfileCommand};
use crate::client::{self, Call, Chosen, Client, Profiles};
use crate::terminal;

pub(crate) fn run(arguments: &Profile) -> ExitCode {
    client::run(async || {
        match &arguments.command {
            ProfileCommand::Add(add) => self::add(add).await?,
            ProfileCommand::List => list()?,
            ProfileCommand::Use { name } => {
                let mut profiles = Profiles::open()?;
                profiles.find(name)?;
                profiles.default = Some(name.clone());
                profiles.save()?;
            }
            ProfileCommand::Remove { name } => {
                let mut profiles = Profiles::open()?;
                profiles.find(name)?;
                profiles.list.remove(name);
                profiles.default = profiles.default.filter(|default| default != name);
                profiles.save()?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

async fn add(arguments: &ProfileAdd) -> Result<(), String> {
    let mut profiles = Profiles::open()?;
    let server = client::parse(&arguments.server)?;
    if client::is_clear_and_far(&server) {
        terminal::warn(&format!("tokens go to {server} unencrypted"));
    }
    let token = token()?;
    if !arguments.unchecked {
        let chosen = Chosen { server: server.clone(), token: token.clone(), profile: None };
        let profile = Client::to(chosen).json(Call::get(&["account"])).await.map_err(|error| {
            format!("{error}\n  nothing was kept; --unchecked keeps it without asking the server")
        })?;
        terminal::say(&format!("The account is {}.\n", terminal::clean(&terminal::value(&profile["name"]))));
    }
    let before = profiles.list.insert(arguments.name.clone(), client::Profile { server, token });
    profiles.default.get_or_insert_with(|| arguments.name.clone());
    let path = profiles.save()?;
    let instead = before.map_or_else(String::new, |before| {
        format!(", in place of the one for {}", client::address(&before.server))
    });
    terminal::say(&format!("{} is kept in {}{instead}.\n", arguments.name, path.display()));
    Ok(())
}

/// Asked for on a terminal, without showing it; else the first line of standard input.
fn token() -> Result<Secret<String>, String> {
    let unreadable = |error: std::io::Error| format!("cannot read the token: {error}");
    let line = if std::io::stdin().is_terminal() {
        rpassword::prompt_password("Token: ").map_err(unreadable)?
    } else {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map_err(unreadable)?;
        line
    };
    match line.trim() {
        "" => Err("the token is read from standard input, and there is none: pipe it in".to_owned()),
        token => Ok(Secret::new(token.to_owned())),
    }
}

fn list() -> Result<(), String> {
    let profiles = Profiles::open()?;
    if profiles.list.is_empty() {
        terminal::say("No server is remembered yet: `quaywatch profile add NAME --server URL` does it.\n");
        return Ok(());
    }
    let mut table = terminal::table(&["Name", "Server", "Note"]);
    for (name, profile) in &profiles.list {
        let note = if profiles.default.as_ref() == Some(name) { "used where nothing is said" } else { "" };
        table.add_row([Cell::new(name), Cell::new(client::address(&profile.server)), Cell::new(note)]);
    }
    terminal::print(&terminal::lines(&table));
    Ok(())
}
