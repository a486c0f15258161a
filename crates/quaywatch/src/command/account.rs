//! `quaywatch account`: accounts and their plans, on the server's own host, with the server running or not.

use std::process::ExitCode;

use comfy_table::Cell;
use quaywatch_core::Timestamp;

use crate::arguments::{Account, AccountCommand, AccountPlan};
use crate::command::host::{self, Host};
use crate::terminal;

pub(crate) fn run(arguments: &Account) -> ExitCode {
    match &arguments.command {
        AccountCommand::List(given) => host::run(&given.data, async |host| list(&host).await),
        AccountCommand::Plan(given) => host::run(&given.data, async |host| plan(&host, given).await),
    }
}

async fn list(host: &Host) -> Result<(), String> {
    let caller = host.in_account(None).await?;
    let accounts = host.identity.list_accounts(&caller).await.map_err(host::told)?;
    let knows_plans = accounts.iter().any(|account| account.plan.is_some());
    let mut header = vec!["Id", "Name", "Given plan", "Monitors", "People", "Made"];
    if knows_plans {
        header.insert(3, "Plan that holds");
    }
    let mut table = terminal::table(&header);
    for account in &accounts {
        let given = if account.given.is_empty() { "none" } else { &account.given };
        let mut row = vec![
            Cell::new(account.id),
            Cell::new(terminal::clean(&account.name)),
            Cell::new(terminal::clean(given)),
            Cell::new(account.monitors),
            Cell::new(account.members),
            Cell::new(made(account.created_at)),
        ];
        if let Some(plan) = &account.plan {
            row.insert(3, Cell::new(plan));
        }
        table.add_row(row);
    }
    terminal::print(&terminal::lines(&table));
    Ok(())
}

/// The first account is older than any clock: the schema itself brings it.
fn made(at: Timestamp) -> String {
    if at == Timestamp::default() { "with the server".to_owned() } else { at.to_string() }
}

async fn plan(host: &Host, arguments: &AccountPlan) -> Result<(), String> {
    let caller = host.in_account(Some(&arguments.account)).await?;
    let given = arguments.plan.as_deref().unwrap_or_default();
    let account = host.identity.give_plan(&caller, given).await.map_err(host::told)?;
    let (name, id) = (terminal::clean(&account.name), account.id);
    let told = match (&account.plan, given) {
        (Some(plan), "") => format!("{name} ({id}) was given no plan any more: `{plan}` holds."),
        (None, "") => format!("{name} ({id}) was given no plan any more."),
        (Some(plan), given) if plan != given => {
            format!(
                "{name} ({id}) was given the plan `{given}`, but the server's file lists it under `{plan}`."
            )
        }
        (Some(_), given) => format!("{name} ({id}) has the plan `{given}` now."),
        (None, given) => format!(
            "{name} ({id}) was given the plan `{given}`. It holds if the server's file has a plan of this name: with \
             --config FILE it is looked up."
        ),
    };
    terminal::say(&format!("{told}\n"));
    Ok(())
}
