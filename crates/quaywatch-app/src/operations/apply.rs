//! A document of monitors and channels made true: planned (what would be added, changed, removed), then applied.
//!
//! `apply` owns what it brings under a name (`apply:<name>`) and removes what is no longer in its document. `import`
//! adds and changes things that anybody may edit afterwards, and removes nothing.

use quaywatch_core::doc::Problem;
use quaywatch_store::records::Owner;

use super::refuse::not_built;
use super::{OperationError, Operations};
use crate::caller::Caller;

/// Whose document it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// It owns what it brings, under this name (letters, digits, `-`, `_`, `.`; at most 64).
    Apply(String),
    /// What it brings belongs to nobody but the account.
    Import,
}

/// What a document would change, or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplyPlan {
    /// Who owns the things.
    pub owner: Owner,
    /// What is not there yet.
    pub added: Vec<PlannedThing>,
    /// What is there in another form.
    pub changed: Vec<PlannedChange>,
    /// What is no longer in the document.
    pub removed: Vec<PlannedThing>,
    /// How many things stay as they are.
    pub unchanged: usize,
    /// What works but is probably not meant.
    pub warnings: Vec<Problem>,
    /// Whether it was done, and not only planned.
    pub applied: bool,
}

/// A monitor or a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedThing {
    /// `monitor` or `channel`.
    pub kind: &'static str,
    /// `m42`, `ch4`; `None` before it is there.
    pub id: Option<String>,
    /// Its name.
    pub name: String,
    /// What it watches (`db.example.com:5432`), or the kind of channel.
    pub about: String,
}

/// A thing that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedChange {
    /// Which.
    pub thing: PlannedThing,
    /// In what; without secrets.
    pub fields: Vec<FieldChange>,
}

/// One setting that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChange {
    /// Its name.
    pub field: String,
    /// As JSON text; `None`: it had its default.
    pub before: Option<String>,
    /// As JSON text; `None`: it gets its default. A secret is `"…"`.
    pub after: Option<String>,
}

impl Operations {
    /// Makes a document true; with `dry_run` only says what that would change.
    ///
    /// # Errors
    /// Where the caller may not, the document is wrong (with lines and columns), a name is taken by another owner, or
    /// the plan allows no more.
    pub async fn apply_document(
        &self,
        caller: &Caller,
        document: &Document,
        text: &str,
        dry_run: bool,
    ) -> Result<ApplyPlan, OperationError> {
        let _ = (caller, document, text, dry_run);
        Err(not_built())
    }
}
