//! Where log lines go: standard error, as text for people or JSON for machines. Colour only on a terminal, and never
//! where `NO_COLOR` is set.

use tracing_subscriber::EnvFilter;

use crate::arguments::LogFormat;
use crate::terminal;

/// Begins logging. Directives that cannot be read are an error of usage.
pub(crate) fn start(filter: &str, format: LogFormat) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter).map_err(|e| {
        format!("--log {filter}: {e}; write a level such as `info` or `quaywatch_engine=debug`")
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Json => builder.json().flatten_event(true).init(),
        LogFormat::Text => {
            builder.with_ansi(terminal::errors_are_coloured()).init();
        }
    }
    Ok(())
}
