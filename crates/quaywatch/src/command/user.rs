//! `quaywatch user`: people, on the server's own host, with the server running or not.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use comfy_table::Cell;
use quaywatch_app::identity::host::{AddedUser, UserView, Whom};
use quaywatch_app::identity::invitations::{self, Into, NewInvitation};
use quaywatch_core::Secret;

use crate::arguments::{User, UserAdd, UserCommand, UserResetPassword};
use crate::command::host::{self, Host};
use crate::terminal;

pub(crate) fn run(arguments: &User) -> ExitCode {
    match &arguments.command {
        UserCommand::Add(given) => host::run(&given.inside.data, async |host| add(&host, given).await),
        UserCommand::List(given) => host::run(&given.data, async |host| list(&host).await),
        UserCommand::ResetPassword(given) => {
            host::run(&given.data, async |host| reset_password(&host, given).await)
        }
    }
}

async fn add(host: &Host, arguments: &UserAdd) -> Result<(), String> {
    let caller = host.in_account(arguments.inside.account.as_deref()).await?;
    if arguments.invite {
        let new = NewInvitation { email: arguments.email.clone(), into: Into::Account(arguments.role) };
        let created = host.identity.invite(&caller, new).await.map_err(host::told)?;
        let link =
            created.link.map_or_else(|| invitations::path_of(&created.secret), |link| link.reveal().clone());
        terminal::print(&format!("{link}\n"));
        if link.starts_with('/') {
            let hint = "The link begins with the address of the server: --config FILE finds it in `server.public_url`.\n";
            terminal::say(hint);
        }
        return Ok(());
    }
    let known = host.identity.find_user(&caller, &arguments.email).await.map_err(host::told)?;
    let whom = match (known, arguments.existing) {
        (_, true) => Whom::Existing,
        // It is refused, and nobody shall type a password for that.
        (Some(_), false) => Whom::New(None),
        (None, false) => Whom::New(Some(new_password()?)),
    };
    let added = AddedUser {
        email: arguments.email.clone(),
        name: arguments.name.clone(),
        role: arguments.role,
        whom,
    };
    let member = host.identity.add_user(&caller, added).await.map_err(host::told)?;
    terminal::say(&format!("{} ({}) is {} now.\n", member.email, member.id, member.role));
    Ok(())
}

async fn list(host: &Host) -> Result<(), String> {
    let caller = host.in_account(None).await?;
    let users = host.identity.list_users(&caller).await.map_err(host::told)?;
    if users.is_empty() {
        terminal::say("Nobody is here yet: `quaywatch user add EMAIL` adds the first.\n");
        return Ok(());
    }
    let mut table = terminal::table(&["Id", "Email", "Name", "Accounts", "Second factor", "Note"]);
    for user in &users {
        let factor = if user.second_factor { "on" } else { "off" };
        let note = if user.disabled_at.is_some() { "may not sign in" } else { "" };
        table.add_row([
            Cell::new(user.id),
            Cell::new(&user.email),
            Cell::new(&user.name),
            Cell::new(accounts(user)),
            Cell::new(factor),
            Cell::new(note),
        ]);
    }
    terminal::print(&terminal::lines(&table));
    Ok(())
}

/// `default (owner), harbour (viewer)`.
fn accounts(user: &UserView) -> String {
    user.accounts.iter().enumerate().fold(String::new(), |mut text, (n, each)| {
        let comma = if n == 0 { "" } else { ", " };
        let _ = write!(text, "{comma}{} ({})", each.name, each.role);
        text
    })
}

async fn reset_password(host: &Host, arguments: &UserResetPassword) -> Result<(), String> {
    let caller = host.in_account(None).await?;
    if host.identity.find_user(&caller, &arguments.email).await.map_err(host::told)?.is_none() {
        return Err(format!(
            "there is no user {}: `quaywatch user list` shows who there is",
            arguments.email
        ));
    }
    let password = new_password()?;
    let (factor, only) = (arguments.second_factor, arguments.only_password);
    let done = host.identity.reset_password(&caller, &arguments.email, &password, factor, only).await;
    let ended = done.map_err(host::told)?;
    terminal::say("The password is set, and all sessions have ended.\n");
    let gone: Vec<String> = [
        ("passkeys", ended.passkeys),
        ("links to providers", ended.identities),
        ("tokens", ended.tokens),
        ("invitations by them", ended.invitations),
    ]
    .into_iter()
    .filter(|(_, count)| *count > 0)
    .map(|(what, count)| format!("{what}: {count}"))
    .collect();
    if !gone.is_empty() {
        terminal::say(&format!("Ended too: {}.\n", gone.join(", ")));
    }
    Ok(())
}

/// Asked for twice on a terminal, without showing it; else the first line of standard input.
fn new_password() -> Result<Secret<String>, String> {
    let unreadable = |error: std::io::Error| format!("cannot read the password: {error}");
    if std::io::stdin().is_terminal() {
        let password = rpassword::prompt_password("Password: ").map_err(unreadable)?;
        let again = rpassword::prompt_password("Again: ").map_err(unreadable)?;
        if password != again {
            return Err("the two are not the same: nothing was changed".to_owned());
        }
        return Ok(Secret::new(password));
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(unreadable)?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(
            "the password is read from standard input, and there is none: pipe it in, or use --invite"
                .to_owned(),
        );
    }
    Ok(Secret::new(password.to_owned()))
}
