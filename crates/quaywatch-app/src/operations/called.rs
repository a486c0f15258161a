//! How a document calls what is stored, the same for writing one and for reading it back: channels by name, whatever a
//! monitor was told by; and an `id` for what shares its key with a thing of another owner, because owners may use one
//! key and a document may not.

use std::collections::{BTreeMap, BTreeSet};

use quaywatch_core::{ChannelId, MonitorId};
use quaywatch_store::StoreError;
use quaywatch_store::records::{ChannelRecord, MonitorRecord, Owner};
use serde_json::{Map, Value};

use super::OperationError;

/// Identities are no longer than this where they are read.
const LONGEST: usize = 200;

/// How a document of an account calls its things.
#[derive(Debug, Default)]
pub(super) struct Called {
    /// Identities that differ from the key.
    monitors: BTreeMap<MonitorId, String>,
    channels: BTreeMap<ChannelId, String>,
    /// Names of channels, and by what else monitors may name them.
    names: BTreeSet<String>,
    others: BTreeMap<String, String>,
}

impl Called {
    /// Of a document that holds these; `known` are all channels of the account, which monitors may tell.
    pub(super) fn of<'r>(
        monitors: impl Iterator<Item = &'r MonitorRecord>,
        channels: impl Iterator<Item = &'r ChannelRecord>,
        known: &[ChannelRecord],
    ) -> Self {
        let mut others = BTreeMap::new();
        for by in [|one: &ChannelRecord| one.id.to_string(), |one: &ChannelRecord| one.key.clone()] {
            for channel in known {
                others.entry(by(channel)).or_insert_with(|| channel.name.clone());
            }
        }
        Self {
            monitors: told_apart(monitors.map(|one| (&one.owner, one.key.as_str(), one.id))),
            channels: told_apart(channels.map(|one| (&one.owner, one.key.as_str(), one.id))),
            names: known.iter().map(|one| one.name.clone()).collect(),
            others,
        }
    }

    /// The identity of a monitor.
    pub(super) fn monitor<'c>(&'c self, monitor: &'c MonitorRecord) -> &'c str {
        self.monitors.get(&monitor.id).unwrap_or(&monitor.key)
    }

    /// The identity of a channel.
    pub(super) fn channel<'c>(&'c self, channel: &'c ChannelRecord) -> &'c str {
        self.channels.get(&channel.id).unwrap_or(&channel.key)
    }

    /// The settings of a monitor without its identity, its channels by name. Equal for what is the same. A number that
    /// no channel has says nothing, and is left out.
    pub(super) fn settings(&self, spec: &str) -> Result<Map<String, Value>, serde_json::Error> {
        let mut settings: Map<String, Value> = serde_json::from_str(spec)?;
        settings.remove("id");
        if let Some(Value::Array(told)) = settings.get("channels") {
            let mut names: Vec<Value> = Vec::with_capacity(told.len());
            for name in told.iter().filter_map(Value::as_str).filter_map(|word| self.name(word)) {
                if !names.iter().any(|other| other == name) {
                    names.push(name.into());
                }
            }
            if names.is_empty() {
                settings.remove("channels");
            } else {
                settings.insert("channels".to_owned(), Value::Array(names));
            }
        }
        Ok(settings)
    }

    /// Whether two monitors are the same but for their identity.
    pub(super) fn is_same(&self, one: &str, other: &str) -> bool {
        one == other
            || matches!((self.settings(one), self.settings(other)), (Ok(one), Ok(other)) if one == other)
    }

    /// The name of the channel that this word means; the word itself where there is none of that name any more.
    fn name<'c>(&'c self, word: &'c str) -> Option<&'c str> {
        if self.names.contains(word) {
            return Some(word);
        }
        let is_number = word.parse::<ChannelId>().is_ok();
        self.others.get(word).map(String::as_str).or((!is_number).then_some(word))
    }

    /// Whether a monitor may name a channel by this word.
    pub(super) fn is_channel(&self, word: &str) -> bool {
        self.names.contains(word) || self.others.contains_key(word)
    }
}

/// Identities of those whose key another owner has as well. The first keeps it (what belongs to nobody but the account,
/// then the file's, then others by name); those behind it carry their owner's name.
fn told_apart<'t, I: Ord + Copy>(
    things: impl Iterator<Item = (&'t Owner, &'t str, I)>,
) -> BTreeMap<I, String> {
    let mut things: Vec<_> = things.collect();
    things.sort_by_key(|(owner, _, id)| (*owner, *id));
    let keys: BTreeSet<&str> = things.iter().map(|(_, key, _)| *key).collect();
    let (mut kept, mut given, mut found) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
    for (owner, key, id) in things {
        if kept.insert(key) {
            continue;
        }
        let mut number = 1;
        let name = loop {
            let end = if number == 1 {
                format!("@{}", owner.to_text())
            } else {
                format!("@{}@{number}", owner.to_text())
            };
            let room = LONGEST - end.chars().count();
            let name: String = key.chars().take(room).collect::<String>().trim_end().to_owned() + &end;
            if !keys.contains(name.as_str()) && given.insert(name.clone()) {
                break name;
            }
            number += 1;
        };
        found.insert(id, name);
    }
    found
}

/// What is stored of a thing, as its fields.
pub(super) fn damaged(
    table: &'static str,
    id: impl std::fmt::Display,
    error: &serde_json::Error,
) -> OperationError {
    OperationError::Store(StoreError::Damaged { table, detail: format!("what is stored of {id}: {error}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(things: &[(Owner, &str)]) -> Vec<String> {
        let apart = told_apart(things.iter().enumerate().map(|(id, (owner, key))| (owner, *key, id)));
        let name = |(id, (_, key)): (usize, &(Owner, &str))| {
            apart.get(&id).cloned().unwrap_or_else(|| (*key).to_owned())
        };
        things.iter().enumerate().map(name).collect()
    }

    #[test]
    fn things_of_one_key_are_told_apart_by_their_owners() {
        let infra = || Owner::Apply("infra".into());
        let things = [(infra(), "db"), (Owner::File, "db"), (Owner::Api, "db"), (Owner::File, "cache")];
        assert_eq!(names(&things), ["db@apply:infra", "db@file", "db", "cache"]);
        let taken = [(Owner::File, "db"), (Owner::Api, "db"), (Owner::Api, "db@file"), (infra(), "db@file")];
        assert_eq!(names(&taken), ["db@file@2", "db", "db@file", "db@file@apply:infra"]);
        let (long, twin) = ("x".repeat(200), "x".repeat(200));
        let long = names(&[(Owner::Api, &long), (infra(), &twin)]);
        assert_eq!((long[1].len(), long[1].ends_with("x@apply:infra")), (200, true));
    }
}
