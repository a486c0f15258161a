//! `quaywatch export --monitor NAME --since 7d`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use quaywatch_app::history::{self, ExportFormat};
use quaywatch_core::{AccountId, Timestamp};
use quaywatch_store::records::Window;

use crate::arguments::{Export, ExportOutput};
use crate::command::data::{self, Opened};
use crate::terminal;

/// How much of the past is read and printed at once, so that memory does not grow with the window.
const PIECE: std::time::Duration = std::time::Duration::from_secs(6 * 3_600);

pub(crate) fn run(arguments: &Export) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return terminal::fail(&format!("cannot start: {error}")),
    };
    let done = data::open(&arguments.data)
        .and_then(|opened| runtime.block_on(export(arguments, &opened)).map_err(|error| error.to_string()));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => terminal::fail(&error),
    }
}

async fn export(arguments: &Export, opened: &Opened) -> Result<(), history::HistoryError> {
    let account = opened.store.account(AccountId::DEFAULT);
    let monitor = history::find_monitor(&*account, &arguments.monitor).await?;
    let window = history::window(&arguments.since, arguments.until.as_deref(), opened.clock.now())?;
    let locations: BTreeMap<_, _> =
        opened.store.system().locations().await?.into_iter().map(|l| (l.id, l.name)).collect();
    let format = match arguments.output {
        ExportOutput::Csv => ExportFormat::Csv,
        ExportOutput::Json => ExportFormat::JsonLines,
    };
    if format == ExportFormat::Csv {
        terminal::print(history::CSV_HEADER);
    }
    for piece in pieces(window) {
        let mut text = String::new();
        for row in account.results(monitor.id, piece).await? {
            let location = locations.get(&row.location).map_or("?", String::as_str);
            history::write_row(&mut text, format, &monitor, location, &row);
        }
        terminal::print(&text);
    }
    Ok(())
}

fn pieces(window: Window) -> impl Iterator<Item = Window> {
    let mut from: Timestamp = window.from;
    std::iter::from_fn(move || {
        (from < window.to).then(|| {
            let piece = Window { from, to: (from + PIECE).min(window.to) };
            from = piece.to;
            piece
        })
    })
}
