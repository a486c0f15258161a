//! What the engine says, in the store's own words.

use rusqlite::ErrorCode as Code;

use crate::StoreError;
use crate::blocks::Corrupt;

/// Translates an engine's error.
#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
pub(super) fn engine(error: rusqlite::Error) -> StoreError {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(Code::DiskFull) => StoreError::Full(text),
        Some(Code::DatabaseBusy | Code::DatabaseLocked) => StoreError::Busy(text),
        Some(Code::OperationInterrupted) => StoreError::Busy("a query was stopped after 5 s".to_owned()),
        Some(Code::ConstraintViolation) => StoreError::Conflict(text),
        Some(_) | None => StoreError::Engine(text),
    }
}

/// Says which row could not be read.
pub(super) fn damaged(table: &'static str, key: i64) -> impl Fn(Corrupt) -> StoreError {
    move |corrupt| StoreError::Damaged { table, detail: format!("row {key}: {}", corrupt.0) }
}

/// The store was closed, or its thread is gone.
pub(super) fn closed() -> StoreError {
    StoreError::Engine("the store is closed".to_owned())
}
