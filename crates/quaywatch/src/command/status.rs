//! `quaywatch status`: a table of monitors, the worst first.

use std::fmt::Write as _;
use std::process::ExitCode;

use anstyle::AnsiColor;
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
    match data::open(&arguments.data).and_then(|opened| runtime.block_on(show(arguments, &opened))) {
        Ok(text) => {
            terminal::print(&text);
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
    let down = rows.iter().filter(|row| row.status == Word::Down).count();
    let up = rows.iter().filter(|row| row.status == Word::Up).count();
    let style = terminal::colour(if down > 0 { AnsiColor::Red } else { AnsiColor::Green });
    let other = rows.len() - down - up;
    let all = rows.len();
    format!("{}\n{style}{all} monitors: {down} down, {other} other, {up} up{style:#}\n", terminal::lines(&table))
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
