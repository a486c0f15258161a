//! Errors that several operations share, so that the same mistake reads the same everywhere.

use quaywatch_core::doc::{Path, Problems, Span};

use super::OperationError;

/// One field is wrong.
pub(crate) fn invalid(
    field: &str,
    code: &'static str,
    message: impl Into<String>,
    remedy: impl Into<String>,
) -> OperationError {
    let mut problems = Problems::new();
    problems.error(&Path::Root.key(field), Span::default(), code, message, remedy);
    OperationError::Invalid(problems)
}

/// There is no such thing in the caller's account.
#[expect(clippy::needless_pass_by_value, reason = "ids are small, and read better without a borrow")]
pub(crate) fn not_found(kind: &'static str, id: impl ToString) -> OperationError {
    OperationError::NotFound { kind, id: id.to_string() }
}
