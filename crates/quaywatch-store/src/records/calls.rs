//! Calls that may come a second time, and what was answered the first time.

/// A call that may come a second time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotentCall {
    /// What the caller calls it.
    pub key: String,
    /// Method and path.
    pub route: String,
    /// Of the body.
    pub request_hash: [u8; 32],
}

/// What is known of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Idempotency {
    /// It never came: it is remembered now, and its answer is to be written.
    New,
    /// It came and is still being answered.
    UnderWay,
    /// It came with another body.
    OtherRequest,
    /// It came, and this was answered.
    Answered(StoredAnswer),
}

/// An answer that is given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    /// The status.
    pub status: u16,
    /// The headers worth repeating, in a text of the caller's own.
    pub headers: String,
    /// The body.
    pub body: Vec<u8>,
}
