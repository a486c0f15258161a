//! Whether somebody who was let in would be let in still: for connections that stay open after that, and before what
//! would outlive a session that somebody else got hold of.

use std::time::Duration;

use quaywatch_store::StoreError;

use super::{Identity, No, not_recognised, refused};
use crate::caller::{Actor, Caller, LiveSession};
use crate::operations::OperationError;

/// By what somebody was recognised.
#[derive(Debug, Clone, Copy)]
pub enum Shown<'s> {
    /// The text of a token.
    Token(&'s str),
    /// The secret of a session.
    Session(&'s str),
}

impl Identity {
    /// The caller as they are now: a token may have been revoked, a session ended, a role changed. Being asked is no
    /// use: a page that was left open keeps no session alive.
    ///
    /// # Errors
    /// [`OperationError::NotRecognised`] where they would not be let in any more, or into another account.
    pub async fn recognise_again(&self, before: &Caller, by: Shown<'_>) -> Result<Caller, OperationError> {
        let now = match by {
            Shown::Token(text) => self.in_force(text).await?.1,
            Shown::Session(secret) => self.alive(secret).await?.1,
        };
        if (now.account, now.actor) == (before.account, before.actor) {
            return Ok(now);
        }
        Err(not_recognised("account_left", "the session went on in another account"))
    }

    /// Goes on only where a person has proved just now who they are: what they ask for opens a door for good. Programs
    /// and the host prove it each time.
    pub(super) fn require_recent(&self, caller: &Caller) -> Result<(), OperationError> {
        match caller.actor {
            Actor::Token(_) | Actor::Host(_) => Ok(()),
            Actor::User(_) => {
                let recent = |session: LiveSession| self.now().since(session.began_at) < RECENT;
                if caller.session.is_some_and(recent) {
                    return Ok(());
                }
                let message = "you signed in more than ten minutes ago, and this opens a door for good: sign in \
                               again, and ask again";
                Err(OperationError::Conflict { code: "sign_in_again", message: message.to_owned() })
            }
        }
    }

    /// Counts an attempt of somebody who is signed in to prove who they are.
    pub(super) fn count_again(&self, caller: &Caller) -> Result<(), OperationError> {
        caller.session.map_or(Ok(()), |session| self.0.throttle.session(session.hash))
    }
}

/// Signing in counts this long as having proved who one is just now.
const RECENT: Duration = Duration::from_secs(600);

/// What the session that asked is told when it has ended meanwhile.
pub(super) fn unasked(error: StoreError) -> OperationError {
    refused(error, |no| match no {
        No::Missing => Some(not_recognised("session_ended", "the session has ended: sign in again")),
        No::Taken | No::Conflict => None,
    })
}
