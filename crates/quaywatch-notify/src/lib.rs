//! Channels: how an event is told to the outside. One file a channel; `render` is pure, `deliver` is one thin attempt.
//!
//! A channel knows nothing of when to alert, of retries, or of other channels: the engine decides when an attempt is
//! made and what follows from its [`Outcome`]. What a notice says is fixed when its event is written ([`Notice`] is
//! the event's snapshot), so that every attempt of a notice says the same.

pub mod body;
pub mod class;
pub mod clean;
pub mod log;
pub mod notice;
pub mod registry;
#[cfg(test)]
mod samples;
pub mod sign;
pub mod text;
pub mod webhook;
pub mod wire;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use quaywatch_core::Timestamp;

pub use class::Class;
pub use notice::{EventKind, Notice};

/// A boxed future, so that the trait can stand behind `dyn`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A place that notices go to.
pub trait Channel: Send + Sync {
    /// The word of `type:` in the configuration.
    fn kind(&self) -> &'static str;

    /// What goes over the wire: a function of its arguments and the channel's settings, and of nothing else.
    fn render(&self, notice: &Notice, attempt: &Attempt) -> Rendered;

    /// Makes one attempt. Never retries, never panics, ends within its own time limit.
    fn deliver<'a>(&'a self, rendered: Rendered) -> BoxFuture<'a, Outcome>;

    /// A number that is another one where settings or secrets are, for as long as the process lives; `None`: it cannot
    /// be told whether anything has changed.
    fn print(&self) -> Option<u64> {
        None
    }
}

/// What one attempt to deliver adds to the notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// `{incident}-{sequence}-{channel}`, the same on every attempt.
    pub key: String,
    /// When this attempt is made.
    pub at: Timestamp,
    /// How late the notice is, where that is worth a word.
    pub late: Option<Duration>,
    /// Opening and end in one message, because both were late (channels that people read).
    pub combined: bool,
    /// The receiver refused the form of the last attempt: say it as shortly and plainly as possible.
    pub reduced: bool,
}

/// A rendered notice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rendered {
    /// Headers, where the channel speaks HTTP.
    pub headers: HeaderMap,
    /// The body: JSON, or plain text.
    pub body: Bytes,
}

/// What came of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What follows from it.
    pub class: Class,
    /// The receiver's answer, at most 4 kB, without secrets: for the delivery log.
    pub answer: String,
    /// How long the receiver wants to be left alone.
    pub retry_after: Option<Duration>,
    /// What the receiver calls the message.
    pub remote_id: Option<String>,
}

impl Outcome {
    /// An outcome with a class and an answer only.
    #[must_use]
    pub fn new(class: Class, answer: impl Into<String>) -> Self {
        Self { class, answer: answer.into(), retry_after: None, remote_id: None }
    }
}
