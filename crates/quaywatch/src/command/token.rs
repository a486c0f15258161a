//! `quaywatch token`: API tokens, on the server's own host with the server running or not, or over its API.

use std::process::ExitCode;

use comfy_table::Cell;
use quaywatch_app::identity::tokens::{NewToken, TokenView};
use quaywatch_core::Clock as _;
use quaywatch_core::access::Scope;
use quaywatch_net::SystemClock;
use serde_json::{Value, json};

use crate::arguments::{
    Inside, Place, Remote, Token, TokenCommand, TokenCreate, TokenList, TokenRevoke, What,
};
use crate::client::{self, Call, Client};
use crate::command::get;
use crate::command::host::{self, Host};
use crate::terminal;

pub(crate) fn run(arguments: &Token) -> ExitCode {
    let Place { inside: Inside { account, data }, remote } = arguments.command.place();
    let is_said = remote.server.is_some() || remote.profile.is_some();
    let is_local = !is_said && (data.data_dir.is_some() || data.config.is_some());
    match if is_local { Ok(false) } else { client::is_asked_for(remote) } {
        Err(error) => return terminal::fail(&error),
        Ok(true) if account.is_some() => {
            return terminal::fail(
                "--account is for the server's own host: a token that talks to a server belongs to one account",
            );
        }
        Ok(true) => return client::run(async || over_api(&arguments.command, remote).await),
        // Nothing names a server: the data in the usual place it is.
        Ok(false) => {}
    }
    match &arguments.command {
        TokenCommand::Create(given) => host::run(data, async |host| create(&host, given).await),
        TokenCommand::List(given) => host::run(data, async |host| list(&host, given).await),
        TokenCommand::Revoke(given) => host::run(data, async |host| revoke(&host, given).await),
    }
}

/// The same over a server's API.
async fn over_api(command: &TokenCommand, remote: &Remote) -> Result<ExitCode, String> {
    let client = Client::new(remote)?;
    let told = |error: client::Failure| error.to_string();
    match command {
        TokenCommand::Create(create) => {
            let mut body = json!({ "name": create.name, "scopes": scopes(&create.scope) });
            if let Some(expires) = create.expires {
                body["expires_at"] = json!((SystemClock.now() + expires).to_string());
            }
            let created = client.json(Call::post(&["tokens"], &body)).await.map_err(told)?;
            let Some(token) = created["token"].as_str() else {
                return Err(format!("{} answers without a token", client.server()));
            };
            terminal::print(&format!("{token}\n"));
        }
        TokenCommand::List(_) => {
            let tokens = client.json(Call::get(&["tokens"])).await.map_err(told)?;
            let items = tokens["items"].as_array().map_or(&[][..], Vec::as_slice);
            terminal::print(&get::table(What::Tokens, items));
        }
        TokenCommand::Revoke(revoke) => {
            let tokens = client.json(Call::get(&["tokens"])).await.map_err(told)?;
            let (id, name) = meant(&tokens["items"], &revoke.which)?;
            client.json(Call::delete(&["tokens", &id])).await.map_err(told)?;
            terminal::say(&format!("{} ({id}) is worth nothing now.\n", terminal::clean(&name)));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Id and name of the token that is meant.
fn meant(tokens: &Value, which: &str) -> Result<(String, String), String> {
    let word = |token: &Value, field: &str| terminal::value(&token[field]);
    let is_meant = |token: &&Value| {
        word(token, "id") == which
            || (token["revoked_at"].is_null()
                && (word(token, "name") == which || which.starts_with(&word(token, "prefix"))))
    };
    match tokens.as_array().into_iter().flatten().find(is_meant) {
        Some(token) => Ok((word(token, "id"), word(token, "name"))),
        None => {
            let shown = if which.starts_with("qw_") { "that" } else { which };
            Err(format!("there is no token `{shown}`: `quaywatch token list` shows what there is"))
        }
    }
}

fn scopes(scopes: &[Scope]) -> Vec<String> {
    scopes.iter().map(Scope::to_string).collect()
}

/// The token alone goes to standard output, so that `TOKEN=$(quaywatch token create …)` is all a script needs.
async fn create(host: &Host, arguments: &TokenCreate) -> Result<(), String> {
    let caller = host.in_account(arguments.place.inside.account.as_deref()).await?;
    let expires_at = arguments.expires.map(|expires| host.clock.now() + expires);
    let new = NewToken { name: arguments.name.clone(), scopes: arguments.scope.clone(), expires_at };
    let created = host.identity.create_token(&caller, new).await.map_err(host::told)?;
    terminal::print(&format!("{}\n", created.secret.reveal()));
    Ok(())
}

async fn list(host: &Host, arguments: &TokenList) -> Result<(), String> {
    let caller = host.in_account(arguments.place.inside.account.as_deref()).await?;
    let tokens = host.identity.list_tokens(&caller).await.map_err(host::told)?;
    if tokens.is_empty() {
        terminal::say("There are no tokens: `quaywatch token create --name NAME --scope SCOPE` makes one.\n");
        return Ok(());
    }
    let mut table = terminal::table(&["Id", "Name", "Begins with", "Scopes", "Made by", "Last used", "Ends"]);
    for token in &tokens {
        let scopes = scopes(&token.scopes);
        table.add_row([
            Cell::new(token.id),
            Cell::new(&token.name),
            Cell::new(&token.prefix),
            Cell::new(scopes.join(" ")),
            Cell::new(&token.created_by),
            Cell::new(token.last_used_at.map_or_else(|| "never".to_owned(), |at| at.to_string())),
            Cell::new(end(token)),
        ]);
    }
    terminal::print(&terminal::lines(&table));
    Ok(())
}

fn end(token: &TokenView) -> String {
    match (token.revoked_at, token.expires_at) {
        (Some(_), _) => "revoked".to_owned(),
        (None, Some(end)) => end.to_string(),
        (None, None) => "never".to_owned(),
    }
}

async fn revoke(host: &Host, arguments: &TokenRevoke) -> Result<(), String> {
    let caller = host.in_account(arguments.place.inside.account.as_deref()).await?;
    let tokens = host.identity.list_tokens(&caller).await.map_err(host::told)?;
    let meant = |token: &&TokenView| {
        token.id.to_string() == arguments.which
            || (token.revoked_at.is_none()
                && (token.name == arguments.which || arguments.which.starts_with(&token.prefix)))
    };
    let Some(token) = tokens.iter().find(meant) else {
        return Err(format!(
            "there is no token `{}`: `quaywatch token list` shows what there is",
            arguments.which
        ));
    };
    host.identity.revoke_token(&caller, token.id).await.map_err(host::told)?;
    terminal::say(&format!("{} ({}) is worth nothing now.\n", token.name, token.id));
    Ok(())
}
