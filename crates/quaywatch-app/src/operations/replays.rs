//! Requests that may come a second time under one key, and are done once.

use quaywatch_store::records::{Idempotency, IdempotentCall, StoredAnswer};

use super::{OperationError, Operations};
use crate::caller::Caller;

/// Stands in the place of the headers of an answer of which nothing was kept.
const NOT_KEPT: &str = "null";

/// An answer that was given under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// Its status.
    pub status: u16,
    /// What of its head is worth keeping.
    pub headers: Vec<(String, String)>,
    /// Its body; `None`: it was too large to be kept, and only that it was given is known.
    pub body: Option<Vec<u8>>,
}

/// A request under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyedRequest {
    /// The key.
    pub key: String,
    /// Method and target.
    pub route: String,
    /// The hash of its body.
    pub hash: [u8; 32],
}

/// What is known of a request under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// It never came within the last day: its answer is to be given with [`Operations::end_keyed`].
    New,
    /// It came, and nobody said how it ended.
    Open,
    /// Another request came under this key.
    Other,
    /// It came, and this was answered.
    Answered(KeptAnswer),
}

impl Operations {
    /// Whether the caller's account sent this within the last day; if not, it is remembered from now on.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn begin_keyed(&self, caller: &Caller, request: KeyedRequest) -> Result<Known, OperationError> {
        Ok(match self.account(caller).begin_call(self.call(caller, request), self.clock.now()).await? {
            Idempotency::New => Known::New,
            Idempotency::UnderWay => Known::Open,
            Idempotency::OtherRequest => Known::Other,
            Idempotency::Answered(answer) => Known::Answered(KeptAnswer {
                status: answer.status,
                body: (answer.headers != NOT_KEPT).then_some(answer.body),
                headers: serde_json::from_str(&answer.headers).unwrap_or_default(),
            }),
        })
    }

    /// How it ended; `None`: nothing came of it, and it may be sent again.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn end_keyed(
        &self,
        caller: &Caller,
        request: KeyedRequest,
        answer: Option<KeptAnswer>,
    ) -> Result<(), OperationError> {
        let store = self.account(caller);
        let Some(answer) = answer else { return Ok(store.forget_call(self.call(caller, request)).await?) };
        let status = answer.status;
        let answer = match answer.body {
            Some(body) => {
                let headers = serde_json::to_string(&answer.headers).expect("texts always become JSON");
                StoredAnswer { status, headers, body }
            }
            None => StoredAnswer { status, headers: NOT_KEPT.to_owned(), body: Vec::new() },
        };
        Ok(store.answer_call(self.call(caller, request), answer).await?)
    }

    /// As the store knows it. A body may hold a password that can be guessed: so its hash is kept under the server's key,
    /// and belongs to who sent it, or whoever else knows the `Idempotency-Key` could try out guesses.
    fn call(&self, caller: &Caller, request: KeyedRequest) -> IdempotentCall {
        let KeyedRequest { key, route, hash } = request;
        let place = format!("call/{}/{}", caller.account, caller.author().actor);
        let vault = self.delivery.get().and_then(|delivery| delivery.vault.as_deref());
        let request_hash = vault.map_or(hash, |vault| vault.fingerprint(&place, &hash));
        IdempotentCall { key, route, request_hash }
    }
}
