//! The server's file: read, checked whole, compared with what is stored.
//!
//! [`read()`] gives a [`Config`] or everything that is wrong with the text; [`render()`] shows that to people with file,
//! line, column and the offending text; [`diff()`] says what must change in the store. Nothing here keeps a clear
//! secret where it could be written down.

mod budget;
mod channels;
mod diff;
mod discreet;
mod document;
mod file;
mod locate;
mod messages;
pub mod plans;
pub mod reference;
mod render;
mod secrets;
mod server;
pub mod settings;
pub mod sign_in;
mod write;
mod yaml;

use std::net::SocketAddr;

use quaywatch_core::MonitorSpec;
use quaywatch_core::doc::{Problems, Span};
use quaywatch_core::spec::Defaults;
use quaywatch_store::records::AcceptedConfig;

pub use channels::ChannelConfig;
pub(crate) use channels::{ClearChannel, read_clear, read_lacking};
pub use diff::diff;
pub(crate) use document::{Around, read_document};
pub use file::{Outside, data_dir, hash, read, read_known, read_with};
pub use locate::{Pointed, line_of, spans_of, tree};
pub(crate) use messages::References;
pub use render::{Look, render};
pub(crate) use secrets::{Sources, is_reference};
pub use server::{LogFormat, Server};
pub(crate) use write::Writer;

/// A file that was accepted.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file's name as given.
    pub path: String,
    /// SHA-256 of its text, in hex.
    pub hash: String,
    /// `server:`
    pub server: Server,
    /// `defaults:`, already laid under every monitor.
    pub defaults: Defaults,
    /// `resolvers:`; `None`: the system's.
    pub resolvers: Option<Vec<SocketAddr>>,
    /// `anchors:`, beside the gateway and the resolvers.
    pub anchors: Vec<SocketAddr>,
    /// `locations:`, without `local`.
    pub locations: Vec<String>,
    /// `channels:`
    pub channels: Vec<ChannelConfig>,
    /// `monitors:`, lists and ranges expanded, in the order of the file.
    pub monitors: Vec<MonitorConfig>,
    /// What works but is probably not meant; no errors.
    pub warnings: Problems,
}

/// One monitor of the file. There may be a million, so it is kept as its canonical text and not as a spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonitorConfig {
    /// `id:`, where it is given.
    pub id: Option<Box<str>>,
    /// Its name.
    pub name: Box<str>,
    /// The canonical text of its spec.
    pub spec: Box<str>,
    /// Where its entry begins.
    pub span: Span,
}

impl MonitorConfig {
    /// What identifies it within the file: `id:` if given, else its name.
    #[must_use]
    pub fn key(&self) -> &str {
        self.id.as_deref().unwrap_or(&self.name)
    }

    /// Its spec.
    #[must_use]
    pub fn spec(&self) -> MonitorSpec {
        MonitorSpec::from_canonical(&self.spec).expect("the text was made from a spec")
    }
}

impl Config {
    /// What the store remembers of this file.
    #[must_use]
    pub fn accepted(&self, text: &str, at: quaywatch_core::Timestamp) -> AcceptedConfig {
        AcceptedConfig { text: text.to_owned(), hash: self.hash.clone(), accepted_at: at }
    }
}

/// Whether anything that is wrong is a security setting: then even an older accepted file must not be used in its
/// place, because the owner has just tried to change who may do what.
#[must_use]
pub fn security(problems: &Problems) -> bool {
    const SETTINGS: [&str; 3] = ["server.accounts", "server.egress", "server.metrics.token"];
    problems.iter().any(|problem| {
        problem.level == quaywatch_core::doc::Level::Error
            && SETTINGS.iter().any(|s| problem.path.starts_with(s))
    })
}

#[cfg(test)]
mod tests;
