//! `quaywatch ports [SEARCH]`: the sixteen presets, or the whole table.

use std::process::ExitCode;

use comfy_table::Table;
use quaywatch_core::ports::{self, PRESETS, SERVICES, Service};
use serde_json::json;

use crate::arguments::{Ports, TableOutput};
use crate::terminal;

pub(crate) fn run(arguments: &Ports) -> ExitCode {
    let search = arguments.search.as_deref().map(str::to_lowercase);
    let found: Vec<&Service> = if arguments.all || search.is_some() {
        SERVICES.iter().filter(|service| search.as_deref().is_none_or(|s| matches(service, s))).collect()
    } else {
        PRESETS.iter().filter_map(|preset| ports::by_port(preset.port)).collect()
    };
    if found.is_empty() {
        let search = arguments.search.as_deref().unwrap_or_default();
        terminal::complain(&format!(
            "no known service matches `{search}`; any port from 1 to 65535 can be written as a number"
        ));
        return ExitCode::FAILURE;
    }
    match arguments.output {
        TableOutput::Table => terminal::print(&table(&found)),
        TableOutput::Json => {
            terminal::print(&found.iter().map(|service| json_line(service)).collect::<String>());
        }
    }
    ExitCode::SUCCESS
}

fn matches(service: &Service, search: &str) -> bool {
    service.port.to_string() == search
        || service.label.to_lowercase().contains(search)
        || service.names().any(|name| name.contains(search))
}

fn table(services: &[&Service]) -> String {
    let mut table = terminal::table(&["Port", "Service", "Name in `port:`", "Speaks first", "TLS"]);
    for service in services {
        add(&mut table, service);
    }
    terminal::lines(&table)
}

fn add(table: &mut Table, service: &Service) {
    table.add_row([
        service.port.to_string(),
        service.label.to_owned(),
        service.names().collect::<Vec<_>>().join(", "),
        service.first.as_str().to_owned(),
        service.tls.as_str().to_owned(),
    ]);
}

fn json_line(service: &Service) -> String {
    let line = json!({
        "port": service.port,
        "label": service.label,
        "name": service.name,
        "aliases": service.aliases,
        "speaks_first": service.first.as_str(),
        "tls": service.tls.as_str(),
        "impact": service.impact,
        "preset": PRESETS.iter().any(|preset| preset.port == service.port),
    });
    format!("{line}\n")
}
