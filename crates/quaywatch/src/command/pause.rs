//! `quaywatch pause MONITOR` and `quaywatch resume MONITOR`, over a server's API.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::arguments::{Named, Pause, Resume};
use crate::client::{self, Call, Client};
use crate::command::get;
use crate::terminal;

pub(crate) fn pause(arguments: &Pause) -> ExitCode {
    let mut body = json!({});
    if arguments.length.is_some_and(|length| length.is_zero()) {
        return terminal::fail(
            "--for is 0, which is no time at all: say how long (`2h`), or leave --for out until somebody resumes it",
        );
    }
    if let Some(length) = arguments.length {
        body["for"] = json!(length.as_secs_f64());
    }
    if let Some(reason) = &arguments.reason {
        body["reason"] = json!(reason);
    }
    each(&arguments.named, "pause", &body, |monitor| match monitor["paused"]["until"].as_str() {
        Some(until) => format!("is paused until {until}"),
        None => "is paused until somebody resumes it".to_owned(),
    })
}

pub(crate) fn resume(arguments: &Resume) -> ExitCode {
    each(&arguments.named, "resume", &json!({}), |_| "is checked again".to_owned())
}

/// Does it to each that is named. All are looked up first: a name that is mistyped stops none half way.
fn each(named: &Named, act: &str, body: &Value, told: impl Fn(&Value) -> String) -> ExitCode {
    client::run(async || {
        let client = Client::new(&named.remote)?;
        let mut ids = Vec::with_capacity(named.monitors.len());
        for name in &named.monitors {
            ids.push(terminal::value(&get::find_monitor(&client, name).await?["id"]));
        }
        for id in &ids {
            let path = ["monitors", id, act];
            let monitor = client.json(Call::post(&path, body)).await.map_err(|error| error.to_string())?;
            let name = terminal::clean(&terminal::value(&monitor["name"]));
            terminal::say(&format!("{name} ({id}) {}.\n", told(&monitor)));
        }
        Ok(ExitCode::SUCCESS)
    })
}
