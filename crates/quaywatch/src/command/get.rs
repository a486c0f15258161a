//! `quaywatch get`: what there is on a server, as a table for people or as the API has it for programs.

mod columns;

pub(crate) use columns::table;

use std::fmt::Write as _;
use std::process::ExitCode;

use quaywatch_core::doc::quote;
use serde_json::Value;

use crate::arguments::{Get, GetOutput, What};
use crate::client::{self, Call, Client};
use crate::terminal;

/// The most that a page has.
const PAGE: usize = 1_000;

pub(crate) fn run(arguments: &Get) -> ExitCode {
    client::run(async || {
        fitting(arguments)?;
        let client = Client::new(&arguments.remote)?;
        Getting { arguments, client }.run().await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// A filter that means nothing for what is asked would be passed over in silence: better said.
fn fitting(arguments: &Get) -> Result<(), String> {
    let for_monitors = [
        (arguments.query.is_some(), "--query"),
        (!arguments.status.is_empty(), "--status"),
        (arguments.group.is_some(), "--group"),
        (!arguments.tag.is_empty(), "--tag"),
        (arguments.sort.is_some(), "--sort"),
    ];
    if arguments.what != What::Monitors
        && let Some((_, flag)) = for_monitors.iter().find(|(is_set, _)| *is_set)
    {
        return Err(format!("{flag} is for monitors: `quaywatch get monitors {flag} …`"));
    }
    if arguments.open && arguments.what != What::Incidents {
        return Err("--open is for incidents: `quaywatch get incidents --open`".to_owned());
    }
    if arguments.managed_by.is_some() && !matches!(arguments.what, What::Monitors | What::Config) {
        return Err("--managed-by is for monitors and config".to_owned());
    }
    Ok(())
}

struct Getting<'a> {
    arguments: &'a Get,
    client: Client,
}

impl Getting<'_> {
    async fn run(&self) -> Result<(), String> {
        match (self.arguments.what, self.arguments.which.as_deref()) {
            (What::Config, _) => self.config().await,
            (What::Account, _) => {
                let account = self.ask(Call::get(&["account"])).await?;
                self.show_one(&account)
            }
            (What::Monitors, Some(name)) => self.show_one(&find_monitor(&self.client, name).await?),
            (What::Channels, Some(name)) => {
                let channel = self.ask(Call::get(&["channels", name])).await?;
                self.show_one(&channel)
            }
            (What::Incidents, Some(id)) if id.starts_with("inc_") => {
                let incident = self.ask(Call::get(&["incidents", id])).await?;
                self.show_one(&incident)
            }
            (
                What::Monitors
                | What::Incidents
                | What::Channels
                | What::Groups
                | What::Tags
                | What::Locations
                | What::Tokens
                | What::Members
                | What::Bin
                | What::Audit,
                which,
            ) => self.list(which).await,
        }
    }

    async fn ask(&self, call: Call<'_>) -> Result<Value, String> {
        self.client.json(call).await.map_err(|error| error.to_string())
    }

    async fn config(&self) -> Result<(), String> {
        let mut call = Call::get(&["export"]).long();
        if let Some(owner) = &self.arguments.managed_by {
            call = call.with("managed_by", owner);
        }
        terminal::print(&self.client.yaml(call).await.map_err(|error| error.to_string())?);
        Ok(())
    }

    async fn list(&self, which: Option<&str>) -> Result<(), String> {
        let mut filters = self.filters();
        // Incidents of a monitor are asked for; of the short lists the one that is meant is picked out here.
        let mut picked = which;
        if let (What::Incidents, Some(name)) = (self.arguments.what, which) {
            let monitor = find_monitor(&self.client, name).await?;
            filters.push(("monitor", terminal::value(&monitor["id"])));
            picked = None;
        }
        let (mut items, more) = self.items(&filters).await?;
        if let Some(name) = picked {
            items.retain(|item| columns::is_called(item, name));
            if items.is_empty() {
                let what = format!("{:?}", self.arguments.what).to_lowercase();
                return Err(format!("{} is none of the {what} of {}", quote(name), self.client.server()));
            }
        }
        self.show(&items);
        if let Some(more) = more {
            terminal::say(&format!("{more}: --limit says how many are shown, 0 is all.\n"));
        }
        Ok(())
    }

    fn filters(&self) -> Vec<(&'static str, String)> {
        let arguments = self.arguments;
        let mut filters: Vec<(&'static str, String)> = Vec::new();
        filters.extend(arguments.query.clone().map(|text| ("q", text)));
        filters.extend(arguments.status.iter().map(|status| ("status", status.to_lowercase())));
        filters.extend(arguments.group.clone().map(|group| ("group", group)));
        filters.extend(arguments.tag.iter().map(|tag| ("tag", tag.clone())));
        filters.extend(arguments.managed_by.clone().map(|owner| ("managed_by", owner)));
        if arguments.what == What::Monitors {
            filters.push(("sort", arguments.sort.clone().unwrap_or_else(|| "status".to_owned())));
        }
        if arguments.open {
            filters.push(("open", "true".to_owned()));
        }
        filters
    }

    /// Page after page, as far as the limit goes; and what to say where there is more.
    async fn items(
        &self,
        filters: &[(&'static str, String)],
    ) -> Result<(Vec<Value>, Option<String>), String> {
        let limit = if self.arguments.limit == 0 { usize::MAX } else { self.arguments.limit };
        let mut items: Vec<Value> = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let mut call = Call::get(path(self.arguments.what));
            for (name, value) in filters {
                call = call.with(name, value);
            }
            if is_paged(self.arguments.what) {
                call = call.with("limit", (limit - items.len()).min(PAGE).to_string());
            }
            if let Some(after) = &after {
                call = call.with("after", after);
            }
            let mut page = self.ask(call).await?;
            let Value::Array(new) = page["items"].take() else {
                return Err(format!("{} answers with no list", self.client.server()));
            };
            items.extend(new);
            after = page["next"].as_str().map(str::to_owned);
            if after.is_none() || items.len() >= limit {
                let cut = items.len() > limit || after.is_some();
                items.truncate(limit);
                let of =
                    page["total"].as_u64().map_or_else(|| "there are more".to_owned(), |n| format!("of {n}"));
                let more = cut.then(|| format!("the first {}, {of}", items.len()));
                return Ok((items, more));
            }
        }
    }

    fn show(&self, items: &[Value]) {
        match self.arguments.output {
            GetOutput::Table => terminal::print(&table(self.arguments.what, items)),
            GetOutput::Json => terminal::print(&items.iter().fold(String::new(), |mut text, item| {
                let _ = writeln!(text, "{item}");
                text
            })),
            GetOutput::Yaml => terminal::print(&yaml(&items)),
        }
    }

    fn show_one(&self, item: &Value) -> Result<(), String> {
        match self.arguments.output {
            GetOutput::Table => terminal::print(&columns::fields(item)),
            GetOutput::Json => terminal::print(&format!("{item}\n")),
            GetOutput::Yaml => terminal::print(&yaml(item)),
        }
        Ok(())
    }
}

/// The monitor of this name, key or id: which one that is, the server says.
///
/// # Errors
/// What the server says where there is none; and where several are called so.
pub(crate) async fn find_monitor(client: &Client, name: &str) -> Result<Value, String> {
    let told = |error: client::Failure| error.to_string();
    let found = client.json(Call::get(&["monitors", "find"]).with("name", name)).await.map_err(told)?;
    if found["id"] != name {
        expect_one(name, &client.json(Call::get(&["monitors"]).with("q", name)).await.map_err(told)?)?;
    }
    Ok(found)
}

/// Owners may call different monitors the same: none of them is taken for another.
fn expect_one(name: &str, page: &Value) -> Result<(), String> {
    let so_called: Vec<String> = page["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|monitor| monitor["name"] == name)
        .map(|monitor| {
            let word = |field: &str| terminal::clean(&terminal::value(&monitor[field]));
            format!("{} ({}:{}, of {})", word("id"), word("host"), word("port"), word("managed_by"))
        })
        .collect();
    if so_called.len() < 2 {
        return Ok(());
    }
    Err(format!(
        "several monitors are called {}: name the one that is meant by its id: {}",
        quote(name),
        so_called.join(", ")
    ))
}

const fn path(what: What) -> &'static [&'static str] {
    match what {
        What::Monitors => &["monitors"],
        What::Incidents => &["incidents"],
        What::Channels => &["channels"],
        What::Groups => &["groups"],
        What::Tags => &["tags"],
        What::Locations => &["locations"],
        What::Tokens => &["tokens"],
        What::Members => &["members"],
        What::Bin => &["bin", "monitors"],
        What::Audit => &["audit"],
        What::Account => &["account"],
        What::Config => &["export"],
    }
}

/// Whether the list comes in pages; others come whole.
const fn is_paged(what: What) -> bool {
    matches!(what, What::Monitors | What::Incidents | What::Bin | What::Audit)
}

fn yaml(value: &impl serde::Serialize) -> String {
    serde_saphyr::to_string(value).expect("what was JSON becomes YAML")
}
