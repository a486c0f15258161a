//! `quaywatch status`: a table of monitors, the worst first.

use std::fmt::Write as _;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use comfy_table::Cell;
use quaywatch_app::status::{self, StatusFilter, StatusRow};
use quaywatch_core::AccountId;
use quaywatch_core::judge::Status as Word;

use crate::arguments::{Status, TableOutput};
use crate::command::data::{self, Opened};
use crate::terminal;

pub(crate) fn run(arguments: &Status) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return terminal::fail(&format!("cannot start: {error}")),
    };
    match data::open(&arguments.data)
        .and_then(|opened| Ok((runtime.block_on(show(arguments, &opened))?, opened.is_served)))
    {
        Ok((text, is_served)) => {
            terminal::print(&text);
            if !is_served {
                terminal::say("No server is running on this data: it is as the last one left it.\n");
            }
            ExitCode::SUCCESS
        }
        Err(error) => terminal::fail(&error),
    }
}

async fn show(arguments: &Status, opened: &Opened) -> Result<String, String> {
    let filter = StatusFilter { search: arguments.search.clone(), failing: arguments.failing };
    let account = opened.store.account(AccountId::DEFAULT);
    let rows =
        status::rows(&*account, &filter, opened.clock.now()).await.map_err(|error| error.to_string())?;
    Ok(match arguments.output {
        TableOutput::Json => lines(&rows),
        TableOutput::Table if rows.is_empty() => none(&filter),
        TableOutput::Table => table(&rows),
    })
}

fn lines(rows: &[StatusRow]) -> String {
    rows.iter().fold(String::new(), |mut text, row| {
        let line = serde_json::to_string(row).expect("a row of texts and numbers is always JSON");
        let _ = writeln!(text, "{line}");
        text
    })
}

fn table(rows: &[StatusRow]) -> String {
    let mut table = terminal::table(&["Status", "Monitor", "Target", "For", "Why", "Latency", "Note"]);
    for row in rows {
        table.add_row([
            Cell::new(word(row.status)),
            Cell::new(&row.name),
            Cell::new(&row.target),
            Cell::new(terminal::short(row.for_seconds)),
            Cell::new(if row.error_status.is_some() { row.error_code } else { "" }),
            Cell::new(row.latency_us.map(terminal::latency).unwrap_or_default()),
            Cell::new(row.note.as_deref().unwrap_or_default()),
        ]);
    }
    let plain = terminal::lines(&table);
    let (header, body) = plain.split_once('\n').unwrap_or((plain.as_str(), ""));
    let head = Style::new().bold();
    let mut text = format!("{head}{header}{head:#}\n");
    for (line, row) in body.lines().zip(rows) {
        // The word is coloured when the columns stand: a table would count the colour as letters.
        let (word, style) = (word(row.status), colour(row.status));
        let _ = writeln!(text, "{style}{word}{style:#}{}", line.strip_prefix(word).unwrap_or(line));
    }
    let _ = writeln!(text, "\n{}", summary(rows));
    text
}

/// `4 monitors: 1 down, 3 up`: what there is of each, the worst first as in the table.
fn summary(rows: &[StatusRow]) -> String {
    let parts = rows.chunk_by(|a, b| a.status == b.status).filter_map(|alike| {
        let status = alike.first()?.status;
        let style = colour(status);
        Some(format!("{style}{} {}{style:#}", alike.len(), word(status).to_lowercase()))
    });
    format!("{}: {}", terminal::count(rows.len(), "monitor"), parts.collect::<Vec<_>>().join(", "))
}

fn none(filter: &StatusFilter) -> String {
    match (&filter.search, filter.failing) {
        (Some(search), false) => format!("No monitor's name contains `{search}`.\n"),
        (Some(search), true) => format!("No monitor whose name contains `{search}` is anything but up.\n"),
        (None, true) => "No monitor is failing.\n".to_owned(),
        (None, false) => {
            "There are no monitors yet: `quaywatch serve --config FILE` takes them from a file.\n".to_owned()
        }
    }
}

const fn colour(status: Word) -> Style {
    let colour = match status {
        Word::Up => AnsiColor::Green,
        Word::Degraded => AnsiColor::Yellow,
        Word::Down => return terminal::colour(AnsiColor::Red).bold(),
        Word::Unknown | Word::Blocked => AnsiColor::Magenta,
        Word::Pending | Word::Maintenance | Word::Paused => AnsiColor::Cyan,
    };
    terminal::colour(colour)
}

const fn word(status: Word) -> &'static str {
    match status {
        Word::Pending => "pending",
        Word::Up => "up",
        Word::Degraded => "degraded",
        Word::Down => "DOWN",
        Word::Unknown => "unknown",
        Word::Blocked => "blocked",
        Word::Maintenance => "maintenance",
        Word::Paused => "paused",
    }
}
