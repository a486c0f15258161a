//! Configured things changed while running: monitors are added, revised, paused and removed without the others noticing,
//! and without losing a streak.

use quaywatch_core::judge::{Input, Judge, Status};
use quaywatch_core::{AccountId, Job, LocationId, MonitorId};
use quaywatch_store::records::{
    AccountRecord, Applied, ChannelRecord, InputRecord, LocationRecord, MonitorRecord,
};

use super::{Judging, decide};
use crate::entry::Entry;
use crate::envelope;

/// What changed; what is left of it, once a part was followed.
pub(crate) struct Reload {
    /// The last ones first, so that parts can be taken off the end.
    applied: Applied,
    names: Option<Directory>,
}

impl Reload {
    /// A change, with the names as they are after it.
    pub(crate) fn new(mut applied: Applied, names: Directory) -> Self {
        applied.removed_monitors.reverse();
        applied.monitors.reverse();
        Self { applied, names: Some(names) }
    }
}

/// The names that notices and routes need.
pub(crate) struct Directory {
    pub(crate) accounts: Vec<AccountRecord>,
    pub(crate) locations: Vec<LocationRecord>,
    /// Of all accounts.
    pub(crate) channels: Vec<ChannelRecord>,
}

/// What came of a part of a change.
#[derive(Default)]
pub(crate) struct Followed {
    /// What the local runner is to check from now on.
    pub(crate) jobs: Vec<Job>,
    /// And what no more.
    pub(crate) gone: Vec<MonitorId>,
    /// Nothing is left of it.
    pub(crate) done: bool,
}

impl Judging {
    /// Takes names as they are now.
    pub(crate) fn set_names(
        &mut self,
        accounts: &[AccountRecord],
        locations: &[LocationRecord],
        channels: &[ChannelRecord],
    ) {
        self.words.accounts = accounts.iter().map(|account| (account.id, account.name.clone())).collect();
        self.words.locations =
            locations.iter().map(|location| (location.id, location.name.clone())).collect();
        self.words.locations.entry(LocationId::LOCAL).or_insert_with(|| "local".to_owned());
        self.words.channels = channels.iter().map(|channel| (channel.id, channel.name.clone())).collect();
        self.routes.set_channels(channels);
    }

    /// Follows a part of a change, at most `most` monitors of it, so that a hundred thousand of one account keep
    /// nobody else's results waiting. What is left of it stays in `reload`.
    pub(crate) fn reload(&mut self, reload: &mut Reload, most: usize) -> Followed {
        let mut followed = Followed::default();
        let seq = reload.applied.seq;
        let mut left = most;
        // Removed ones first, while their channels can still be told.
        let removed = &mut reload.applied.removed_monitors;
        while left > 0 {
            let Some(id) = removed.pop() else { break };
            left -= 1;
            if self.order.is_news(id, seq, self.now) && self.discard(id) {
                followed.gone.push(id);
            }
        }
        if left == 0 {
            return followed;
        }
        if let Some(names) = reload.names.take() {
            self.set_names(&names.accounts, &names.locations, &names.channels);
        }
        while left > 0 {
            let Some(record) = reload.applied.monitors.pop() else { break };
            left -= 1;
            if !self.is_news(&record, seq) {
                continue;
            }
            match self.put(&record) {
                Some(job) => followed.jobs.push(job),
                None => followed.gone.push(record.id),
            }
        }
        followed.done = left > 0;
        if followed.done {
            self.plans.sweep();
            self.policies.retain(|policy| std::sync::Arc::strong_count(policy) > 1);
        }
        self.stats.monitors.set(self.entries.len() as i64);
        followed
    }

    /// Whether a record is not older than what is known. Changes may arrive out of order, and the first ones after a
    /// start were perhaps read with their shard already.
    fn is_news(&mut self, record: &MonitorRecord, seq: i64) -> bool {
        let known = self.entries.get(record.id).map(|entry| entry.card.revision);
        known.is_none_or(|known| record.revision >= known) && self.order.is_news(record.id, seq, self.now)
    }

    /// Adds or revises a monitor; its job, if the local runner has to do with it.
    fn put(&mut self, record: &MonitorRecord) -> Option<Job> {
        let spec = self.read_spec(record)?;
        let (policy, card) = (self.policy(&spec), self.card(record, &spec));
        let id = record.id;
        if let Some(mut entry) = self.entries.take(id) {
            let reset = entry.card.identity != card.identity;
            entry.policy = policy;
            if reset {
                // What ends with the old target is told in its words.
                entry.card.revision = card.revision;
                self.entries.put(entry);
                self.act(id, Input::Revised { reset });
                if let Some(entry) = self.entries.get_mut(id) {
                    *entry.card = card;
                    entry.begin_epoch();
                }
            } else {
                *entry.card = card;
                self.entries.put(entry);
                self.act(id, Input::Revised { reset });
            }
        } else {
            self.bring(id, policy, card);
        }
        self.follow_pause(id);
        self.job(record, &spec)
    }

    /// A monitor that is new, or back from the bin.
    fn bring(
        &mut self,
        id: MonitorId,
        policy: std::sync::Arc<quaywatch_core::judge::Policy>,
        card: crate::entry::Card,
    ) {
        let stored = self.bin.remove(&id);
        let known = stored.is_some();
        let extras = stored.as_deref().map(envelope::open);
        let (judge, extras) = match extras {
            Some((Ok(judge), extras)) => (judge, extras.unwrap_or_default()),
            Some((Err(_), Some(extras))) => (Judge::with_ordinal(self.now, extras.ordinal), extras),
            Some((Err(_), None)) | None => (Judge::new(self.now), envelope::Extras::default()),
        };
        let reset = extras.identity != card.identity;
        let mut entry = Entry::new(judge, policy, card);
        entry.ordinal = extras.ordinal;
        if known && reset {
            entry.begin_epoch();
        }
        super::schedule(&mut entry, &mut self.deadlines);
        self.entries.put(Box::new(entry));
        if known {
            self.act(id, Input::Revised { reset });
            self.act(id, Input::Resumed);
        }
    }

    /// Stops judging a monitor: its open incident ends, its state goes into the bin with it.
    fn discard(&mut self, id: MonitorId) -> bool {
        self.act(id, Input::Removed);
        let Some(mut entry) = self.entries.take(id) else { return false };
        entry.lazy = false;
        let state = decide::state(&entry);
        self.bin.extend(state.state.clone().map(|bytes| (id, bytes)));
        self.steps.decide(id.shard()).states.push(state);
        true
    }

    /// Pauses or resumes the judge where the card says so and the judge does not.
    pub(super) fn follow_pause(&mut self, id: MonitorId) {
        let Some(entry) = self.entries.get(id) else { return };
        match (entry.card.paused, entry.judge.status() == Status::Paused) {
            (true, false) => self.act(id, Input::Paused),
            (false, true) => self.act(id, Input::Resumed),
            (true, true) | (false, false) => {}
        }
    }

    /// An act: an input that somebody caused, recorded with what it says, so that a replay can repeat it.
    pub(super) fn act(&mut self, id: MonitorId, input: Input) {
        let Some(entry) = self.entries.get(id) else { return };
        let (kind, detail) = match input {
            Input::Paused => ("paused", "{}".to_owned()),
            Input::Resumed => ("resumed", "{}".to_owned()),
            Input::Removed => ("removed", "{}".to_owned()),
            Input::Revised { reset } => {
                ("revised", format!(r#"{{"revision":{},"reset":{reset}}}"#, entry.card.revision))
            }
            Input::MaintenanceStarted => ("maintenance_started", "{}".to_owned()),
            Input::MaintenanceEnded => ("maintenance_ended", "{}".to_owned()),
            Input::Observed { .. }
            | Input::Restarted { .. }
            | Input::LocationLost { .. }
            | Input::LocationBack { .. }
            | Input::ClockStepped => return self.input(id, input),
        };
        let at = self.now;
        let record = InputRecord { monitor: id, at, kind: kind.to_owned(), detail };
        self.steps.decide(id.shard()).inputs.push(record);
        self.input(id, input);
        // The state names the revision it was judged by, so it is written even if the judge itself did not change.
        if let Some(entry) = self.entries.get_mut(id).filter(|entry| !entry.lazy) {
            entry.lazy = true;
            self.lazy.push(id);
        }
    }

    /// Who hears of the server's own faults from now on.
    pub(crate) fn set_operators(&mut self, channels: Vec<quaywatch_core::ChannelId>) {
        self.words.operators = channels;
    }

    /// With what links begin from now on.
    pub(crate) fn set_public_url(&mut self, url: Option<&str>) {
        self.words.set_public_url(url);
    }

    /// Those whom the configuration names, else every channel of the account that runs the server.
    pub(super) fn operators(&self) -> Vec<quaywatch_core::ChannelId> {
        if self.words.operators.is_empty() {
            self.routes.all_of(AccountId::DEFAULT)
        } else {
            self.words.operators.clone()
        }
    }
}
