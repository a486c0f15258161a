//! Channels: where notices go. Settings are read by the reader of the file; secrets go in, are sealed, and never come
//! out again.

use std::borrow::Cow;
use std::time::Duration;

use quaywatch_core::access::{Level, Policy, Resource};
use quaywatch_core::doc::{Key, Node, Path, Problems, Span, Style, Value as Written, quote};
use quaywatch_core::{AccountId, ChannelId, Timestamp};
use quaywatch_notify::registry::{self, Kind};
use quaywatch_store::records::{ChangeSet, ChannelRecord, Owner, RemovedChannel, ResourceChange};
use quaywatch_store::{AccountStore, StoreError};
use serde_json::{Map, Value};

use super::refuse::{invalid, not_found};
use super::{Allowed, OperationError, Operations, naming, sealed};
use crate::caller::Caller;
use crate::config::{ClearChannel, read_clear};

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

const LOOK: Policy = Policy::new(Resource::Channels, Level::Look);
const CHANGE: Policy = Policy::new(Resource::Channels, Level::Administer);

impl Operations {
    /// Every kind of channel with its settings.
    ///
    /// # Errors
    /// Where the caller may not.
    pub fn list_channel_kinds(&self, caller: &Caller) -> Result<&'static [Kind], OperationError> {
        caller.require(LOOK)?;
        Ok(registry::KINDS)
    }

    /// The channels of the account, by name.
    ///
    /// # Errors
    /// Where the caller may not.
    pub async fn list_channels(&self, caller: &Caller) -> Result<Vec<ChannelView>, OperationError> {
        caller.require(LOOK)?;
        let mut records = self.account(caller).channels().await?;
        records.sort_by(|a, b| a.name.cmp(&b.name));
        records.iter().map(|record| self.channel_view(record)).collect()
    }

    /// The channel of that id (`ch4`) or name.
    ///
    /// # Errors
    /// Where the caller may not, or there is none.
    pub async fn read_channel(&self, caller: &Caller, which: &str) -> Result<ChannelView, OperationError> {
        caller.require(LOOK)?;
        self.channel_view(&channel(&*self.account(caller), which).await?)
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
        caller.require(CHANGE)?;
        let read = read(body)?;
        let _alone = self.alone(caller.account).await?;
        let turn = self.changes.turn().await;
        let known = self.account(caller).channels().await?;
        self.expect_room_for_channel(caller.account, known.len() as u64).await?;
        let key = read.id.clone().unwrap_or_else(|| read.name.clone());
        expect_free(&known, &read.name, None)?;
        if let Some(twin) = known.iter().find(|one| one.owner == Owner::Api && one.key == key) {
            let message =
                format!("the id {} belongs to channel {} ({})", quote(&key), twin.id, quote(&twin.name));
            return Err(OperationError::Conflict { code: "id_taken", message });
        }
        let settings = self.seal_settings(caller.account, read.kind, read.settings.reveal())?;
        let kind = read.kind.name.to_owned();
        let change = ResourceChange::AddChannel { key, name: read.name, kind, settings };
        let applied = turn.apply(caller.account, change_set(caller, change), self.clock.now()).await?;
        self.channel_view(written(&applied.channels)?)
    }

    /// Changes settings (RFC 7396: `null` takes one away, what is not named stays, secrets too). A new name is carried
    /// into the monitors that name it.
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
        caller.require(CHANGE)?;
        let turn = self.changes.turn().await;
        let store = self.account(caller);
        let record = channel(&*store, which).await?;
        self.expect_mine(&record, revision)?;
        let merged = self.merged(&record, body)?;
        let read = read(&merged)?;
        let mut problems = Problems::new();
        let (old, given) = (self.clear_settings(&record)?, (body, &Path::Root));
        sealed::expect_given_again(read.kind, (&old, read.settings.reveal()), given, &mut problems);
        if !problems.is_fine() {
            return Err(OperationError::Invalid(problems));
        }
        let mut monitors = Vec::new();
        if read.name != record.name {
            expect_free(&store.channels().await?, &read.name, Some(record.id))?;
            monitors = naming::carried(&*store, &record, &read.name).await?;
        }
        // An identity that nobody gave is the name.
        let key = if record.key == record.name { read.name.clone() } else { record.key.clone() };
        let change = ResourceChange::EditChannel {
            id: record.id,
            revision,
            key,
            settings: self.resealed(&record, &read)?,
            name: read.name,
            kind: read.kind.name.to_owned(),
        };
        let mut set = change_set(caller, change);
        set.changes.append(&mut monitors);
        let applied = turn.apply(caller.account, set, self.clock.now()).await?;
        // Nothing is written where nothing changes.
        self.channel_view(applied.channels.first().unwrap_or(&record))
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
        caller.require(CHANGE)?;
        let turn = self.changes.turn().await;
        let store = self.account(caller);
        let record = channel(&*store, which).await?;
        self.expect_mine(&record, revision)?;
        naming::expect_unnamed(&*store, &record).await?;
        let change = ResourceChange::BinChannel { id: record.id, revision };
        turn.apply(caller.account, change_set(caller, change), self.clock.now()).await?;
        Ok(())
    }

    /// Channels in the bin.
    ///
    /// # Errors
    /// Where the caller may not.
    pub async fn list_removed_channels(&self, caller: &Caller) -> Result<Vec<ChannelView>, OperationError> {
        caller.require(LOOK)?;
        let removed = self.account(caller).removed_channels().await?;
        let view = |one: &RemovedChannel| {
            let removed_at = Some(one.removed_at);
            Ok(ChannelView { removed_at, ..self.channel_view(&one.channel)? })
        };
        removed.iter().map(view).collect()
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
        caller.require(CHANGE)?;
        let _alone = self.alone(caller.account).await?;
        let turn = self.changes.turn().await;
        let store = self.account(caller);
        let removed = store.removed_channels().await?;
        let found = removed.iter().find(|one| one.channel.id == id);
        let found = &found.ok_or_else(|| not_found("channel", id))?.channel;
        self.expect_mine(found, None)?;
        let known = store.channels().await?;
        if let Some(twin) = in_the_way(&known, found) {
            return Err(twin);
        }
        self.expect_room_for_channel(caller.account, known.len() as u64).await?;
        let set = change_set(caller, ResourceChange::RestoreChannel { id });
        let applied = turn.apply(caller.account, set, self.clock.now()).await?;
        self.channel_view(written(&applied.channels)?)
    }

    /// Sends a test notice: one attempt, now.
    ///
    /// # Errors
    /// Where the caller may not, there is none, or it was tried a moment ago.
    pub async fn test_channel(&self, caller: &Caller, which: &str) -> Result<TestedChannel, OperationError> {
        caller.require(CHANGE)?;
        let record = channel(&*self.account(caller), which).await?;
        let delivery = self.delivery.get().ok_or_else(nothing_delivers)?;
        let accounts = self.store.system().accounts().await?;
        let account = accounts.into_iter().find(|account| account.id == caller.account);
        let account = account.ok_or_else(|| not_found("account", caller.account))?;
        delivery.test(&self.trials, &record, &account, &*self.clock).await
    }

    /// Settings of a channel of an account, ready to be stored: secrets sealed.
    pub(crate) fn seal_settings(
        &self,
        account: AccountId,
        kind: &Kind,
        clear: &Map<String, Value>,
    ) -> Result<String, OperationError> {
        let has_secrets = clear.keys().any(|name| kind.fields.iter().any(|f| f.secret && f.name == name));
        if !has_secrets {
            return Ok(Value::Object(clear.clone()).to_string());
        }
        let vault = self.delivery.get().and_then(|delivery| delivery.vault.as_deref());
        let vault = vault.ok_or_else(nothing_delivers)?;
        Ok(Value::Object(sealed::seal(vault, account, kind, clear)?).to_string())
    }

    /// Settings of a changed channel. What is as it was stays as it is stored, so that a secret that nobody touched is
    /// not told as a change.
    fn resealed(&self, record: &ChannelRecord, read: &ClearChannel) -> Result<String, OperationError> {
        let (old, old_clear) = (stored(record)?, self.clear_settings(record)?);
        let clear = read.settings.reveal();
        let (kept, new): (Map<String, Value>, Map<String, Value>) = clear
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .partition(|(name, value)| old_clear.get(name) == Some(value));
        let sealed = self.seal_settings(record.account, read.kind, &new)?;
        let mut settings: Map<String, Value> =
            serde_json::from_str(&sealed).expect("sealed settings are an object");
        for name in kept.keys() {
            if let Some(value) = old.get(name) {
                settings.insert(name.clone(), value.clone());
            }
        }
        Ok(Value::Object(settings).to_string())
    }

    /// Settings of a channel as they were given, secrets in the clear: for comparing and changing, never for showing.
    pub(crate) fn clear_settings(
        &self,
        record: &ChannelRecord,
    ) -> Result<Map<String, Value>, OperationError> {
        let vault = self.delivery.get().and_then(|delivery| delivery.vault.as_deref());
        sealed::open(vault, record.account, &stored(record)?).map_err(|why| {
            OperationError::Unavailable(format!("channel {} cannot be opened: {why}", quote(&record.name)))
        })
    }

    fn channel_view(&self, record: &ChannelRecord) -> Result<ChannelView, OperationError> {
        let stored = stored(record)?;
        let vault = self.delivery.get().and_then(|delivery| delivery.vault.as_deref());
        let (settings, secrets) = sealed::shown(vault, record.account, registry::kind(&record.kind), &stored);
        Ok(ChannelView {
            id: record.id,
            name: record.name.clone(),
            key: record.key.clone(),
            kind: record.kind.clone(),
            settings,
            secrets,
            owner: record.owner.clone(),
            revision: record.revision,
            removed_at: None,
        })
    }

    async fn expect_room_for_channel(&self, account: AccountId, have: u64) -> Result<(), OperationError> {
        let plan = self.plan_of(account).await?;
        match plan.channels.filter(|most| have >= *most) {
            None => Ok(()),
            Some(most) => Err(OperationError::Limit {
                limit: "channels",
                plan: plan.name.clone(),
                allowed: Allowed::Channels(most),
            }),
        }
    }

    fn expect_mine(&self, record: &ChannelRecord, revision: Option<u32>) -> Result<(), OperationError> {
        match &record.owner {
            Owner::Api => {}
            Owner::File => {
                let path = &self.settings.now().path;
                let message =
                    format!("channel {} belongs to the file {path}: change it there", quote(&record.name));
                return Err(OperationError::Conflict { code: "managed_by_file", message });
            }
            Owner::Apply(name) => {
                let message = format!(
                    "channel {} belongs to `quaywatch apply` under the name {}: change it in that document",
                    quote(&record.name),
                    quote(name)
                );
                return Err(OperationError::Conflict { code: "managed_by_apply", message });
            }
        }
        match revision {
            Some(revision) if revision != record.revision => Err(OperationError::Changed),
            Some(_) | None => Ok(()),
        }
    }

    /// What the channel would be with the change laid over it. Holds its secrets in the clear.
    fn merged<'n>(&self, record: &ChannelRecord, patch: &Node<'n>) -> Result<Node<'n>, OperationError> {
        let Written::Mapping(changes) = &patch.value else { return Ok(patch.clone()) };
        for (word, is) in [("type", &record.kind), ("id", &record.key)] {
            let given = changes.iter().find(|(key, _)| key.text == word).map(|(_, value)| &value.value);
            if given.is_some_and(|given| !matches!(given, Written::Scalar(text, _) if text == is)) {
                let message = format!("`{word}` of a channel stays {}", quote(is));
                return Err(invalid(
                    word,
                    "fixed",
                    message,
                    format!("leave `{word}` out, or make another channel"),
                ));
            }
        }
        let mut clear = self.clear_settings(record)?;
        clear.insert("name".to_owned(), Value::String(record.name.clone()));
        clear.insert("type".to_owned(), Value::String(record.kind.clone()));
        Ok(laid_over(clear.into_iter().map(entry).collect(), changes))
    }
}

/// What is wrong with the body of a new channel as it stands.
#[must_use]
pub fn problems(body: &Node<'_>) -> Problems {
    let mut problems = Problems::new();
    let _ = read_clear(body, &Path::Root, &mut problems);
    problems
}

/// What one caller changes.
fn change_set(caller: &Caller, change: ResourceChange) -> ChangeSet {
    ChangeSet { owner: Owner::Api, actor: caller.author(), changes: vec![change], accepted: None }
}

fn read(body: &Node<'_>) -> Result<ClearChannel, OperationError> {
    let mut problems = Problems::new();
    match read_clear(body, &Path::Root, &mut problems) {
        Some(read) if problems.is_fine() => Ok(read),
        Some(_) | None => Err(OperationError::Invalid(problems)),
    }
}

fn stored(record: &ChannelRecord) -> Result<Map<String, Value>, StoreError> {
    serde_json::from_str(&record.settings).map_err(|error| StoreError::Damaged {
        table: "channel",
        detail: format!("the settings of {}: {error}", record.id),
    })
}

/// The channel of that id or name.
async fn channel(store: &dyn AccountStore, which: &str) -> Result<ChannelRecord, OperationError> {
    let id = which.parse::<ChannelId>().ok();
    let all = store.channels().await?;
    // A name wins, as it does where monitors name channels.
    let found =
        all.iter().find(|one| one.name == which).or_else(|| all.iter().find(|one| Some(one.id) == id));
    found.cloned().ok_or_else(|| not_found("channel", which))
}

fn expect_free(known: &[ChannelRecord], name: &str, own: Option<ChannelId>) -> Result<(), OperationError> {
    match known.iter().find(|one| one.name == name && Some(one.id) != own) {
        None => Ok(()),
        Some(twin) => {
            let message = format!("the name {} belongs to channel {} already", quote(name), twin.id);
            Err(OperationError::Conflict { code: "name_taken", message })
        }
    }
}

/// Why a channel cannot come back from the bin.
fn in_the_way(known: &[ChannelRecord], found: &ChannelRecord) -> Option<OperationError> {
    let has_key = |one: &&ChannelRecord| one.owner == found.owner && one.key == found.key;
    let twin = known.iter().find(|one| one.name == found.name).or_else(|| known.iter().find(has_key))?;
    let (id, other) = (found.id, twin.id);
    let (code, message) = if twin.name == found.name {
        let name = quote(&found.name);
        let remedy = format!("rename that one or put it into the bin, then restore {id}");
        ("name_taken", format!("channel {other} is called {name} by now: {remedy}"))
    } else {
        let (key, name) = (quote(&twin.key), quote(&twin.name));
        let remedy = format!("put that one into the bin, then restore {id}");
        ("id_taken", format!("the id {key} belongs to channel {other} ({name}): {remedy}"))
    };
    Some(OperationError::Conflict { code, message })
}

fn written(channels: &[ChannelRecord]) -> Result<&ChannelRecord, OperationError> {
    channels.first().ok_or_else(|| OperationError::Unavailable("the channel was not written".to_owned()))
}

fn nothing_delivers() -> OperationError {
    OperationError::Unavailable(
        "channels need the running server: its network and the key of its secrets".to_owned(),
    )
}

type Entry<'n> = (Key<'n>, Node<'n>);

fn entry<'n>((name, value): (String, Value)) -> Entry<'n> {
    let value = match value {
        Value::Object(map) => Written::Mapping(map.into_iter().map(entry).collect()),
        Value::String(text) => Written::Scalar(Cow::Owned(text), Style::Quoted),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_)) => {
            Written::Scalar(Cow::Owned(other.to_string()), Style::Plain)
        }
    };
    (Key { text: Cow::Owned(name), span: Span::default() }, Node { value, span: Span::default() })
}

/// A merge patch (RFC 7396) laid over a mapping; a key that stands twice in the patch stays twice, so that its reader
/// refuses it.
fn laid_over<'n>(base: Vec<Entry<'n>>, changes: &[Entry<'n>]) -> Node<'n> {
    let mut kept: Vec<Entry<'n>> = Vec::with_capacity(base.len() + changes.len());
    let mut under = base;
    for (key, change) in changes {
        let place = under.iter().position(|(known, _)| known.text == key.text);
        let old = place.map(|place| under.swap_remove(place).1);
        if change.is_null() {
            continue;
        }
        let value = match (&change.value, old.map(|old| old.value)) {
            (Written::Mapping(inner), Some(Written::Mapping(old))) => laid_over(old, inner),
            (Written::Mapping(inner), _) => laid_over(Vec::new(), inner),
            (Written::Scalar(..) | Written::Sequence(_), _) => change.clone(),
        };
        kept.push((key.clone(), value));
    }
    kept.append(&mut under);
    Node { value: Written::Mapping(kept), span: Span::default() }
}
