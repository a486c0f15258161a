//! Monitors name their channels. One that names a channel which is not there would tell nobody, and nobody would know: so
//! a channel that is named stays, its new name is carried into the monitors, and no monitor comes back that names one
//! which is gone.

use quaywatch_core::doc::quote;
use quaywatch_core::{AccountId, ChannelId, MonitorSpec};
use quaywatch_store::AccountStore;
use quaywatch_store::records::{ChannelRecord, MonitorRecord, Owner, ResourceChange};

use super::edits::put_over;
use super::reading::ToSpec as _;
use super::{OperationError, Operations};

/// Monitors that are named where a channel is still in use.
const NAMED: usize = 5;

/// Monitors that a new name is carried into at once: as many as one call may change.
const MOST: usize = 1_000;

/// Whether a monitor may mean this channel by a word.
pub(super) fn means(word: &str, channel: &ChannelRecord) -> bool {
    word == channel.name || word == channel.key || word.parse().ok() == Some(channel.id)
}

/// Refuses where monitors name a channel that is to go.
pub(super) async fn expect_unnamed(
    store: &dyn AccountStore,
    channel: &ChannelRecord,
) -> Result<(), OperationError> {
    let words = vec![channel.name.clone(), channel.key.clone(), channel.id.to_string()];
    let users = store.monitors_naming(words, NAMED + 1).await?;
    if users.is_empty() { Ok(()) } else { Err(in_use(channel, &users, "take it out of them first")) }
}

/// What changes in monitors when a channel gets another name.
///
/// # Errors
/// Where owners of documents would have to change theirs, or there are too many.
pub(super) async fn carried(
    store: &dyn AccountStore,
    channel: &ChannelRecord,
    name: &str,
) -> Result<Vec<ResourceChange>, OperationError> {
    let users = store.monitors_naming(vec![channel.name.clone()], MOST + 1).await?;
    let foreign: Vec<MonitorRecord> = users.iter().filter(|one| one.owner != Owner::Api).cloned().collect();
    if !foreign.is_empty() {
        let remedy = format!(
            "they belong to the {}: name the channel by its number there ({}), then give it another name",
            if foreign.iter().all(|one| one.owner == Owner::File) {
                "file"
            } else {
                "documents that brought them"
            },
            channel.id
        );
        return Err(in_use(channel, &foreign, &remedy));
    }
    if users.len() > MOST {
        let remedy = format!("a new name is carried into {MOST} monitors at most");
        return Err(in_use(channel, &users, &remedy));
    }
    let mut changes = Vec::with_capacity(users.len());
    for monitor in &users {
        let mut spec = monitor.to_spec()?;
        let names = std::mem::take(&mut spec.channels);
        for word in names {
            let word = if word == channel.name { name.to_owned() } else { word };
            if !spec.channels.contains(&word) {
                spec.channels.push(word);
            }
        }
        changes.push(put_over(monitor, &spec));
    }
    Ok(changes)
}

fn in_use(channel: &ChannelRecord, users: &[MonitorRecord], remedy: &str) -> OperationError {
    let more = if users.len() > NAMED { " and others" } else { "" };
    let named: Vec<String> = users.iter().take(NAMED).map(|monitor| quote(&monitor.name)).collect();
    let message =
        format!("monitors tell channel {}: {}{more}; {remedy}", quote(&channel.name), named.join(", "));
    OperationError::Conflict { code: "channel_in_use", message }
}

impl Operations {
    /// Refuses to bring back a monitor that names channels which are gone.
    pub(super) async fn expect_channels_there(
        &self,
        account: AccountId,
        spec: &MonitorSpec,
    ) -> Result<(), OperationError> {
        if spec.channels.is_empty() {
            return Ok(());
        }
        let known = self.store.account(account).channels().await?;
        let gone = |word: &&String| !known.iter().any(|channel| means(word, channel));
        let Some(word) = spec.channels.iter().find(gone) else { return Ok(()) };
        let remedy = if word.parse::<ChannelId>().is_ok() {
            "take it out of the bin first"
        } else {
            "take it out of the bin, or make one of that name, first"
        };
        let message = format!(
            "monitor {} tells channel {}, which is not there any more: {remedy}",
            quote(&spec.name),
            quote(word)
        );
        Err(OperationError::Conflict { code: "channel_gone", message })
    }
}
