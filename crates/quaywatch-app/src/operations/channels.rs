//! Channels: where notices go. Settings are read by the reader of the file; secrets go in, are sealed, and never come
//! out again.

use std::time::Duration;

use quaywatch_core::doc::Node;
use quaywatch_core::{ChannelId, Timestamp};
use quaywatch_notify::registry::Kind;
use quaywatch_store::records::Owner;
use serde_json::{Map, Value};

use super::refuse::not_built;
use super::{OperationError, Operations};
use crate::caller::Caller;

/// A channel as it may be shown.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelView {
    /// Its number.
    pub id: ChannelId,
    /// Its name, unique in the account.
    pub name: String,
    /// `id:` if it was given, else the name at creation.
    pub key: String,
    /// `webhook`, `log`, …
    pub kind: String,
    /// Settings that are no secrets.
    pub settings: Map<String, Value>,
    /// Secrets that are set: shown by name only.
    pub secrets: Vec<SecretView>,
    /// Who may change it.
    pub owner: Owner,
    /// Counts edits: the entity tag.
    pub revision: u32,
    /// When it was put into the bin, if it lies there.
    pub removed_at: Option<Timestamp>,
}

/// A secret that is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretView {
    /// The setting's name.
    pub name: String,
    /// What may be said of it: the host of a URL, the names of headers.
    pub hint: Option<String>,
}

/// What came of a test notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestedChannel {
    /// Whether the receiver has it.
    pub sent: bool,
    /// The class of the outcome: `sent`, `credentials`, …
    pub class: &'static str,
    /// What the receiver said, at most 4 kB, without secrets.
    pub answer: String,
    /// How long it took.
    pub took: Duration,
    /// Names and values of the headers that were sent; secret ones without their value.
    pub headers: Vec<(String, String)>,
    /// The body that was sent.
    pub body: String,
    /// What to do, where it was not sent.
    pub remedy: Option<&'static str>,
}

impl Operations {
    /// Every kind of channel with its settings.
    ///
    /// # Errors
    /// Where the caller may not.
    pub fn list_channel_kinds(&self, caller: &Caller) -> Result<&'static [Kind], OperationError> {
        let _ = caller;
        Err(not_built())
    }

    /// The channels of the account, by name.
    ///
    /// # Errors
    /// Where the caller may not.
    pub async fn list_channels(&self, caller: &Caller) -> Result<Vec<ChannelView>, OperationError> {
        let _ = caller;
        Err(not_built())
    }

    /// The channel of that id (`ch4`) or name.
    ///
    /// # Errors
    /// Where the caller may not, or there is none.
    pub async fn read_channel(&self, caller: &Caller, which: &str) -> Result<ChannelView, OperationError> {
        let _ = (caller, which);
        Err(not_built())
    }

    /// Makes a channel of `{name, type, id?, …settings}`.
    ///
    /// # Errors
    /// Where the caller may not, the settings are wrong, the name is taken, or the plan allows no more.
    pub async fn create_channel(
        &self,
        caller: &Caller,
        body: &Node<'_>,
    ) -> Result<ChannelView, OperationError> {
        let _ = (caller, body);
        Err(not_built())
    }

    /// Changes settings (RFC 7396: `null` takes one away, what is not named stays, secrets too).
    ///
    /// # Errors
    /// Where the caller may not, there is none, a file owns it, it has another revision, or the settings are wrong.
    pub async fn patch_channel(
        &self,
        caller: &Caller,
        which: &str,
        body: &Node<'_>,
        revision: Option<u32>,
    ) -> Result<ChannelView, OperationError> {
        let _ = (caller, which, body, revision);
        Err(not_built())
    }

    /// Puts a channel into the bin.
    ///
    /// # Errors
    /// Where the caller may not, there is none, a file owns it, it has another revision, or monitors name it.
    pub async fn delete_channel(
        &self,
        caller: &Caller,
        which: &str,
        revision: Option<u32>,
    ) -> Result<(), OperationError> {
        let _ = (caller, which, revision);
        Err(not_built())
    }

    /// Channels in the bin.
    ///
    /// # Errors
    /// Where the caller may not.
    pub async fn list_removed_channels(&self, caller: &Caller) -> Result<Vec<ChannelView>, OperationError> {
        let _ = caller;
        Err(not_built())
    }

    /// Takes a channel out of the bin again.
    ///
    /// # Errors
    /// Where the caller may not, there is none in the bin, or its name was taken since.
    pub async fn restore_channel(
        &self,
        caller: &Caller,
        id: ChannelId,
    ) -> Result<ChannelView, OperationError> {
        let _ = (caller, id);
        Err(not_built())
    }

    /// Sends a test notice: one attempt, now.
    ///
    /// # Errors
    /// Where the caller may not, there is none, or it was tried a moment ago.
    pub async fn test_channel(&self, caller: &Caller, which: &str) -> Result<TestedChannel, OperationError> {
        let _ = (caller, which);
        Err(not_built())
    }
}
