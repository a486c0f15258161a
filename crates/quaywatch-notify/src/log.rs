//! `type: log`: the default text into the server's own log. Needs no network, so it is also the channel of last
//! resort on a machine that has just lost its way out.

use std::sync::Arc;

use crate::registry::{Field, Kind, Problems, Settings};
use crate::{Attempt, BoxFuture, Channel, Class, Notice, Outcome, Rendered, text};

/// The registry's entry.
pub const KIND: Kind = Kind {
    name: "log",
    summary: "the default text into the server's own log",
    fields: &[Field::text("level", "warn (default), info or error")],
    destination: &[],
    build: |settings, _site| Log::read(settings).map(|log| Arc::new(log) as Arc<dyn Channel>),
};

struct Log {
    level: tracing::Level,
}

impl Channel for Log {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn render(&self, notice: &Notice, attempt: &Attempt) -> Rendered {
        // The key goes along, so that a line that was written twice can be told from two events.
        let text = format!("{}\n{}", attempt.key, text::text(notice, attempt));
        Rendered { body: text.into(), ..Rendered::default() }
    }

    fn deliver<'a>(&'a self, rendered: Rendered) -> BoxFuture<'a, Outcome> {
        let text = String::from_utf8_lossy(&rendered.body);
        let (key, text) = text.split_once('\n').unwrap_or(("", &text));
        let text = text.replace('\n', " | ");
        match self.level {
            tracing::Level::ERROR => tracing::error!(target: "quaywatch::notice", key, "{text}"),
            tracing::Level::WARN => tracing::warn!(target: "quaywatch::notice", key, "{text}"),
            _ => tracing::info!(target: "quaywatch::notice", key, "{text}"),
        }
        Box::pin(std::future::ready(Outcome::new(Class::Sent, "")))
    }
}

impl Log {
    fn read(settings: &Settings) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let level = match settings.text("level") {
            None | Some("warn") => tracing::Level::WARN,
            Some("info") => tracing::Level::INFO,
            Some("error") => tracing::Level::ERROR,
            Some(_) => {
                problems.add("level", "must be warn, info or error");
                tracing::Level::WARN
            }
        };
        problems.finish().map(|()| Self { level })
    }
}
