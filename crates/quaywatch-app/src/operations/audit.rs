//! Who changed what, when, and from where. Secrets never get into it, so none has to be kept out here.

use std::net::IpAddr;

use quaywatch_core::Timestamp;
use quaywatch_store::records::Window;

use super::page::{Page, Paging};
use super::refuse::not_built;
use super::{OperationError, Operations};
use crate::caller::Caller;

/// Which rows are wanted, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Only of this kind of thing: `monitor`, `channel`, `token`, …
    pub kind: Option<String>,
    /// Only of the thing with this number (`m42`, `ch4`).
    pub object: Option<String>,
    /// Only by this actor: `user:u3`, `token:tok5`, `file`, `cli:0`.
    pub actor: Option<String>,
    /// Only of this time.
    pub window: Option<Window>,
    /// Which page.
    pub paging: Paging,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditView {
    /// Its number.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What: `monitor.created`, `token.revoked`, …
    pub action: String,
    /// The kind of thing that changed.
    pub kind: Option<String>,
    /// Its number, with the letters of its kind.
    pub object: Option<String>,
    /// As it was, as JSON text.
    pub before: Option<String>,
    /// As it is since, as JSON text.
    pub after: Option<String>,
    /// From where.
    pub address: Option<IpAddr>,
    /// In which request.
    pub request: Option<String>,
}

impl Operations {
    /// The account's audit log, newest first.
    ///
    /// # Errors
    /// Where the caller may not, or a cursor is none.
    pub async fn list_audit(
        &self,
        caller: &Caller,
        query: &AuditQuery,
    ) -> Result<Page<AuditView>, OperationError> {
        let _ = (caller, query);
        Err(not_built())
    }
}
