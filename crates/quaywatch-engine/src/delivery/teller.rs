//! Tells the operators of channels that fail and recover, each once. A lane that starts anew finds the same channel
//! failing with the same notice waiting, and names the episode as before; what was told of it is in the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use quaywatch_core::{AccountId, ChannelId, IncidentId};
use quaywatch_notify::EventKind;
use quaywatch_store::Store;
use tokio::sync::mpsc;

use crate::judging::{ChannelNote, derived_id};

/// Hears what is to be told.
pub(super) type Notes = Box<dyn Fn(ChannelNote) + Send>;

/// The most episodes that begin with the same notice waiting; a channel that comes and goes more often is not told of.
const MOST_ALIKE: u64 = 1_000;

/// Starts telling, in order; it ends with the sender.
pub(super) fn start(store: Arc<dyn Store>, notes: Notes) -> mpsc::UnboundedSender<ChannelNote> {
    let (sender, mut inbox) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut teller = Teller { store, episodes: BTreeMap::new() };
        while let Some(note) = inbox.recv().await {
            if let Some(note) = teller.told(note).await {
                notes(note);
            }
        }
    });
    sender
}

struct Teller {
    store: Arc<dyn Store>,
    /// The last episode of each channel in this process, and whether its end was told.
    episodes: BTreeMap<ChannelId, (IncidentId, bool)>,
}

impl Teller {
    /// The note as it is to be told, if it was not told before.
    async fn told(&mut self, note: ChannelNote) -> Option<ChannelNote> {
        if note.kind == EventKind::ChannelRecovered {
            let (episode, over) = self.episodes.get_mut(&note.channel)?;
            let is_new = !std::mem::replace(over, true);
            return is_new.then_some(ChannelNote { episode: *episode, ..note });
        }
        for n in 0..MOST_ALIKE {
            let episode = nth(&note, n);
            let [begun, over] = self.known(note.channel, episode).await;
            if over {
                // It worked in between, and the same notice waits still.
                continue;
            }
            self.episodes.insert(note.channel, (episode, false));
            return (!begun).then_some(ChannelNote { episode, ..note });
        }
        None
    }

    /// Whether the beginning and the end of an episode were told.
    async fn known(&self, channel: ChannelId, episode: IncidentId) -> [bool; 2] {
        let here = self.episodes.get(&channel).filter(|(known, _)| *known == episode);
        // What cannot be read is rather told twice.
        let events = self.store.account(AccountId::DEFAULT).events(episode).await.unwrap_or_default();
        let stored = |sequence| events.iter().any(|event| event.sequence == sequence);
        [stored(0) || here.is_some(), stored(1) || here.is_some_and(|(_, over)| *over)]
    }
}

/// The name of the n-th episode that begins with the same notice waiting.
fn nth(note: &ChannelNote, n: u64) -> IncidentId {
    if n == 0 { note.episode } else { derived_id(note.since, note.episode.0.as_u128() as u64 ^ n) }
}
