//! Whether somebody who was let in would be let in still: for connections that stay open after that.

use super::{Identity, not_recognised};
use crate::caller::Caller;
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
}
