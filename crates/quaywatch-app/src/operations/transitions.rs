//! The numbered stream of transitions: replayed from the store after a number, then live.
//!
//! New ones are read once for all who follow an account, when the engine says that there are some. A follower is pulled:
//! whoever serves it asks for the next one when the receiver has taken the last. One that does not keep up holds nobody
//! up: it is told where to begin again, and ends.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quaywatch_core::AccountId;
use quaywatch_core::access::{Level, Policy, Resource};
use quaywatch_store::AccountStore;
pub use quaywatch_store::records::TransitionRecord;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;

use super::{OperationError, Operations};
use crate::caller::Caller;

/// Transitions that wait for a follower; one that is further behind ends and begins again by its number.
pub(super) const BEHIND: usize = if cfg!(test) { 16 } else { 1_024 };
/// Transitions that are read at once.
const PIECE: usize = 500;
/// Followers of one account: each is a connection that stays.
const MOST_OF_ACCOUNT: usize = 200;
/// Followers of all accounts.
const MOST: usize = 2_000;
/// When to come back where there are too many.
const COME_BACK: Duration = Duration::from_secs(30);
/// How long to leave a store alone that could not be read.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// What a follower has for its receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Followed {
    /// The next transition.
    Transition(TransitionRecord),
    /// It did not keep up, or the server goes down: it ends here; begin again after this number.
    Ended {
        /// The last number that was given.
        after: u64,
    },
}

/// Follows the transitions of one account.
pub struct Follower {
    store: Arc<dyn AccountStore>,
    /// The last number that was given.
    after: u64,
    /// Up to here the store is read; what comes later comes by itself.
    replay_to: u64,
    replay: VecDeque<TransitionRecord>,
    live: broadcast::Receiver<TransitionRecord>,
    is_over: bool,
    _place: Place,
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").field("after", &self.after).finish_non_exhaustive()
    }
}

impl Follower {
    /// Waits for the next; after [`Followed::Ended`] there is only that. May be dropped while it waits and asked again:
    /// nothing is lost.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn next(&mut self) -> Result<Followed, OperationError> {
        loop {
            if self.is_over {
                return Ok(Followed::Ended { after: self.after });
            }
            if let Some(next) = self.replay.pop_front() {
                return Ok(self.give(next));
            }
            if self.after < self.replay_to {
                self.replay = self.store.transitions(self.after, PIECE).await?.into();
                if self.replay.is_empty() {
                    // The rest of the numbers were others'.
                    self.after = self.replay_to;
                }
                continue;
            }
            match self.live.recv().await {
                Ok(next) if next.id <= self.after => {}
                Ok(next) => return Ok(self.give(next)),
                Err(broadcast::error::RecvError::Lagged(_) | broadcast::error::RecvError::Closed) => {
                    self.is_over = true;
                }
            }
        }
    }

    /// The last number that was given, or was passed over as another account's.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.after
    }

    fn give(&mut self, next: TransitionRecord) -> Followed {
        self.after = next.id;
        Followed::Transition(next)
    }
}

impl Operations {
    /// Transitions after a number (0: from the oldest that is kept), at most `limit`, oldest first.
    ///
    /// # Errors
    /// Where the caller may not.
    pub async fn list_transitions(
        &self,
        caller: &Caller,
        after: u64,
        limit: usize,
    ) -> Result<Vec<TransitionRecord>, OperationError> {
        caller.require(LOOK)?;
        Ok(self.account(caller).transitions(after, limit.clamp(1, super::page::MOST)).await?)
    }

    /// Follows transitions after a number (`Last-Event-ID`); without one, from now on.
    ///
    /// # Errors
    /// Where the caller may not, or too many follow already.
    pub async fn follow_transitions(
        &self,
        caller: &Caller,
        after: Option<u64>,
    ) -> Result<Follower, OperationError> {
        caller.require(LOOK)?;
        let store = self.account(caller);
        // Before the place is taken: whatever comes in between is read again from the store.
        let newest = store.newest_transition().await?;
        let wake = self.engine().map(|engine| engine.transitions());
        let (live, place) = self.followers.join(caller.account, newest, &store, wake)?;
        let replay_to = place.from;
        // A number from the future is none of ours: whoever brings it begins now.
        let after = after.unwrap_or(newest).min(replay_to.max(newest));
        Ok(Follower { store, after, replay_to, replay: VecDeque::new(), live, is_over: false, _place: place })
    }
}

const LOOK: Policy = Policy::new(Resource::Incidents, Level::Look);

/// Who follows what.
#[derive(Debug, Default)]
pub(crate) struct Followers(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    feeds: BTreeMap<AccountId, Feed>,
    followers: usize,
    is_closed: bool,
}

/// The new transitions of one account, while somebody follows.
#[derive(Debug)]
struct Feed {
    sender: broadcast::Sender<TransitionRecord>,
    /// The last number that was sent.
    last: watch::Receiver<u64>,
    followers: usize,
    task: JoinHandle<()>,
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A follower's place; given back when it is dropped.
struct Place {
    followers: Arc<Followers>,
    account: AccountId,
    /// What is sent to it is later than this.
    from: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.followers.lock();
        state.followers -= 1;
        if let Some(feed) = state.feeds.get_mut(&self.account) {
            feed.followers -= 1;
            if feed.followers == 0 {
                state.feeds.remove(&self.account);
            }
        }
    }
}

impl Followers {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everybody is told where to begin again, and nobody may join: the server goes down.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        // The places of those who still hold one find no feed, and need none.
        state.feeds.clear();
    }

    fn join(
        self: &Arc<Self>,
        account: AccountId,
        newest: u64,
        store: &Arc<dyn AccountStore>,
        wake: Option<watch::Receiver<u64>>,
    ) -> Result<(broadcast::Receiver<TransitionRecord>, Place), OperationError> {
        let mut state = self.lock();
        if state.is_closed {
            return Err(OperationError::Unavailable("the server is shutting down".to_owned()));
        }
        let of_account = state.feeds.get(&account).map_or(0, |feed| feed.followers);
        if state.followers >= MOST || of_account >= MOST_OF_ACCOUNT {
            return Err(OperationError::Throttled(COME_BACK));
        }
        state.followers += 1;
        let feed = state.feeds.entry(account).or_insert_with(|| Feed::start(Arc::clone(store), newest, wake));
        feed.followers += 1;
        // In this order: what is sent in between is both received and read, and given once.
        let live = feed.sender.subscribe();
        let from = *feed.last.borrow();
        let place = Place { followers: Arc::clone(self), account, from };
        Ok((live, place))
    }
}

impl Feed {
    fn start(store: Arc<dyn AccountStore>, newest: u64, wake: Option<watch::Receiver<u64>>) -> Self {
        let (sender, _) = broadcast::channel(BEHIND);
        let (position, last) = watch::channel(newest);
        let task = tokio::spawn(feed(store, sender.clone(), position, wake));
        Self { sender, last, followers: 0, task }
    }
}

/// Reads what is new whenever the engine says that something is, until it is aborted.
async fn feed(
    store: Arc<dyn AccountStore>,
    sender: broadcast::Sender<TransitionRecord>,
    position: watch::Sender<u64>,
    mut wake: Option<watch::Receiver<u64>>,
) {
    loop {
        let last = *position.borrow();
        match store.transitions(last, PIECE).await {
            Ok(new) if new.is_empty() => match &mut wake {
                Some(wake) => {
                    if wake.changed().await.is_err() {
                        return;
                    }
                }
                None => return std::future::pending().await,
            },
            Ok(new) => {
                for transition in new {
                    // In this order: a follower that joins in between then reads it, or receives it, or both.
                    position.send_replace(transition.id);
                    // Nobody may be there to hear it.
                    let _ = sender.send(transition);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "new transitions could not be read yet");
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    }
}
