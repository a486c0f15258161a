//! What is written and not yet watched so. The engine reads names of the store to follow a change, and that can fail;
//! then it is noted here which things were changed. To make it good they are read again as they are by then, and not as
//! they were: what was changed once more meanwhile is not undone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use quaywatch_core::{AccountId, ChannelId, MonitorId};
use quaywatch_store::records::Applied;
use quaywatch_store::{AccountStore, StoreError};
use tokio::sync::watch;

/// Monitors made good in one turn: others wait for theirs.
const PIECE: usize = 1_000;

/// Everything that is owed to the engine.
#[derive(Debug, Default)]
pub(super) struct Arrears {
    accounts: Mutex<BTreeMap<AccountId, Owed>>,
    /// Accounts with arrears.
    count: watch::Sender<usize>,
}

/// Which things of one account. With none, there are still names to be read.
#[derive(Debug, Clone, Default)]
pub(super) struct Owed {
    monitors: BTreeSet<MonitorId>,
    channels: BTreeSet<ChannelId>,
}

/// As much as is made good at once.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) account: AccountId,
    owed: Owed,
}

impl Arrears {
    /// What would be owed if this were not followed.
    pub(super) fn of(applied: &Applied) -> Owed {
        let (monitors, channels) = (&applied.monitors, &applied.channels);
        let monitors = monitors.iter().map(|one| one.id).chain(applied.removed_monitors.iter().copied());
        let channels = channels.iter().map(|one| one.id).chain(applied.removed_channels.iter().copied());
        Owed { monitors: monitors.collect(), channels: channels.collect() }
    }

    pub(super) fn owe(&self, account: AccountId, mut owed: Owed) {
        let mut accounts = self.lock();
        let known = accounts.entry(account).or_default();
        known.monitors.append(&mut owed.monitors);
        known.channels.append(&mut owed.channels);
        self.count.send_replace(accounts.len());
    }

    /// How many things.
    pub(super) fn owed(&self) -> usize {
        self.lock().values().map(|owed| owed.monitors.len() + owed.channels.len()).sum()
    }

    /// Waits until something is owed.
    pub(super) async fn wait(&self) {
        // The sender lives as long as this.
        let _ = self.count.subscribe().wait_for(|count| *count > 0).await;
    }

    /// What to make good next.
    pub(super) fn piece(&self) -> Option<Piece> {
        let accounts = self.lock();
        let (account, owed) = accounts.first_key_value()?;
        let monitors = owed.monitors.iter().copied().take(PIECE).collect();
        Some(Piece { account: *account, owed: Owed { monitors, channels: owed.channels.clone() } })
    }

    /// It is made good.
    pub(super) fn settle(&self, piece: &Piece) {
        let mut accounts = self.lock();
        if let Some(owed) = accounts.get_mut(&piece.account) {
            owed.monitors.retain(|id| !piece.owed.monitors.contains(id));
            owed.channels.retain(|id| !piece.owed.channels.contains(id));
            if owed.monitors.is_empty() && owed.channels.is_empty() {
                accounts.remove(&piece.account);
            }
        }
        self.count.send_replace(accounts.len());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<AccountId, Owed>> {
        // Nothing under this lock can leave it half done.
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Piece {
    /// The things as the store has them now, when its change feed stands at `newest`.
    pub(super) async fn read(&self, store: &dyn AccountStore, newest: i64) -> Result<Applied, StoreError> {
        let Owed { monitors, channels } = &self.owed;
        let mut applied = Applied { seq: newest, ..Applied::default() };
        if !monitors.is_empty() {
            applied.monitors = store.monitors_by_ids(monitors.iter().copied().collect()).await?;
            let there: BTreeSet<MonitorId> = applied.monitors.iter().map(|one| one.id).collect();
            applied.removed_monitors = monitors.difference(&there).copied().collect();
        }
        if !channels.is_empty() {
            applied.channels = store.channels().await?;
            applied.channels.retain(|one| channels.contains(&one.id));
            let there: BTreeSet<ChannelId> = applied.channels.iter().map(|one| one.id).collect();
            applied.removed_channels = channels.difference(&there).copied().collect();
        }
        Ok(applied)
    }
}
