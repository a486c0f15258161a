//! What people do to what is watched while it runs: look now, say that they look after an incident, write about it.
//!
//! Each act goes through the engine's thread, which owns what it is about, and is durable when the call returns, as is its
//! row in the audit log.

use std::time::Duration;

use quaywatch_core::{MonitorId, Timestamp};
use quaywatch_notify::Notice;
use quaywatch_store::StoreError;
use quaywatch_store::records::{Author, EventRecord, IncidentRecord};
use tokio::sync::{oneshot, watch};

use crate::engine::Engine;
use crate::inbox::Message;
use crate::judging::{Afterword, Refused, Saying, Words};

/// Who says something about an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// As notices show them.
    pub name: String,
    /// As the audit log has them.
    pub author: Author,
}

/// Why a monitor is not checked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotNow {
    /// There is no such monitor.
    #[error("there is no such monitor")]
    Unknown,
    /// Its owner wants it left alone.
    #[error("the monitor is paused")]
    Paused,
    /// It is checked from other places only.
    #[error("the monitor is not checked from here")]
    Elsewhere,
    /// It was asked for a moment ago; again after this time.
    #[error("it was checked out of turn a moment ago")]
    TooSoon(Duration),
    /// The engine has stopped.
    #[error("the server is stopping")]
    Stopped,
}

/// Why an act on an incident was not done.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// There is no such incident.
    #[error("there is no such incident")]
    NotFound,
    /// It is over: there is nothing to look after.
    #[error("the incident is over")]
    Closed,
    /// Somebody does already.
    #[error("the incident is acknowledged already, by {by}")]
    AlreadyAcknowledged {
        /// Who.
        by: String,
        /// Since when.
        at: Timestamp,
    },
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The engine has stopped.
    #[error("the server is stopping")]
    Stopped,
}

impl Engine {
    /// Has a monitor checked out of turn, at most once a second. Gives the moment of asking: the first result whose
    /// slot is not before it was seen because of it.
    ///
    /// # Errors
    /// [`NotNow`].
    pub async fn check_now(&self, monitor: MonitorId) -> Result<Timestamp, NotNow> {
        let (answer, wait) = oneshot::channel();
        self.inbox.send(Message::CheckNow(monitor, answer));
        wait.await.unwrap_or(Err(NotNow::Stopped))
    }

    /// Says that `by` looks after an open incident. Whoever was told of it is told that.
    ///
    /// # Errors
    /// [`ActError::Closed`], [`ActError::AlreadyAcknowledged`], [`ActError::Stopped`].
    pub async fn acknowledge(
        &self,
        incident: &IncidentRecord,
        by: &By,
        note: Option<&str>,
    ) -> Result<EventRecord, ActError> {
        let words = Words::Acknowledges(note.map(str::to_owned));
        self.say(incident, by, words).await?.map_err(|refused| match refused {
            Refused::NotOpen => ActError::Closed,
            Refused::AlreadyAcknowledged(before) => {
                ActError::AlreadyAcknowledged { by: before.by, at: before.at }
            }
        })
    }

    /// Adds what `by` writes about an incident, open or over. Whoever was told of it is told that.
    ///
    /// # Errors
    /// [`ActError::NotFound`], [`ActError::Store`], [`ActError::Stopped`].
    pub async fn comment(
        &self,
        incident: &IncidentRecord,
        by: &By,
        text: &str,
    ) -> Result<EventRecord, ActError> {
        let open = self.say(incident, by, Words::Comments(text.to_owned())).await?;
        match open {
            Ok(event) => Ok(event),
            Err(Refused::NotOpen | Refused::AlreadyAcknowledged(_)) => {
                self.comment_after(incident, by, text).await
            }
        }
    }

    /// Changes whenever intervals have opened or closed and that is durable: the transitions in the store have grown.
    #[must_use]
    pub fn transitions(&self) -> watch::Receiver<u64> {
        self.transitions.subscribe()
    }

    /// Says something about an incident that the engine holds, if it does.
    async fn say(
        &self,
        incident: &IncidentRecord,
        by: &By,
        words: Words,
    ) -> Result<Result<EventRecord, Refused>, ActError> {
        let saying = Saying { monitor: incident.monitor, incident: incident.id, by: by.clone(), words };
        let (answer, wait) = oneshot::channel();
        let (done, durable) = oneshot::channel();
        self.inbox.send(Message::Say(Box::new(saying), answer, done));
        let answer = wait.await.map_err(|_| ActError::Stopped)?;
        if answer.is_ok() {
            durable.await.map_err(|_| ActError::Stopped)?;
        }
        Ok(answer)
    }

    /// Adds to an incident that is over. The engine holds it no more, so the store says how it ended; nobody else
    /// writes to it, so one after another is enough for the numbers of events to have no gap.
    async fn comment_after(
        &self,
        incident: &IncidentRecord,
        by: &By,
        text: &str,
    ) -> Result<EventRecord, ActError> {
        let _turn = self.afterwords.lock().await;
        let afterword = self.afterword(incident, by, text).await?;
        self.say_after(afterword).await
    }

    /// What is said of an incident, with how that ended.
    pub(crate) async fn afterword(
        &self,
        incident: &IncidentRecord,
        by: &By,
        text: &str,
    ) -> Result<Afterword, ActError> {
        // Its end may be decided and not yet written.
        self.flush().await;
        let account = self.store.account(incident.account);
        let record = account.incident(incident.id).await?.ok_or(ActError::NotFound)?;
        let events = account.events(incident.id).await?;
        let last = events.last().and_then(|event| Notice::from_snapshot(&event.snapshot).ok());
        let last = last.ok_or(ActError::NotFound)?;
        Ok(Afterword { record, last, by: by.clone(), text: text.to_owned() })
    }

    pub(crate) async fn say_after(&self, afterword: Afterword) -> Result<EventRecord, ActError> {
        let (incident, account) = (afterword.record.id, self.store.account(afterword.record.account));
        let (answer, wait) = oneshot::channel();
        let (done, durable) = oneshot::channel();
        self.inbox.send(Message::SayAfter(Box::new(afterword), answer, done));
        let event = wait.await.map_err(|_| ActError::Stopped)?;
        durable.await.map_err(|_| ActError::Stopped)?;
        // Of a monitor that was purged since the incident was read, the store has written nothing.
        account.incident(incident).await?.map(|_| event).ok_or(ActError::NotFound)
    }
}
