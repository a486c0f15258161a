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

/// What is wrong with several fields: all of it is told, not the first.
#[derive(Debug, Default)]
pub(crate) struct Wrong(Problems);

impl Wrong {
    /// What was read, or nothing where it is wrong.
    ///
    /// # Errors
    /// Those that are no fault of a field.
    pub(crate) fn take<T>(&mut self, read: Result<T, OperationError>) -> Result<Option<T>, OperationError> {
        match read {
            Err(OperationError::Invalid(problems)) => {
                for problem in problems.iter() {
                    let path = Path::Root.key(&problem.path);
                    self.0.error(&path, problem.span, problem.code, &*problem.message, &*problem.remedy);
                }
                Ok(None)
            }
            read => read.map(Some),
        }
    }

    /// Everything that is wrong, where anything is.
    ///
    /// # Errors
    /// [`OperationError::Invalid`].
    pub(crate) fn told(self) -> Result<(), OperationError> {
        if self.0.is_fine() { Ok(()) } else { Err(OperationError::Invalid(self.0)) }
    }
}

/// There is no such thing in the caller's account.
#[expect(clippy::needless_pass_by_value, reason = "ids are small, and read better without a borrow")]
pub(crate) fn not_found(kind: &'static str, id: impl ToString) -> OperationError {
    OperationError::NotFound { kind, id: id.to_string() }
}
