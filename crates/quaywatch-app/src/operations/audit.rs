//! Who changed what, when, and from where. Secrets never get into it, so none has to be kept out here.

use std::net::IpAddr;

use quaywatch_core::Timestamp;
use quaywatch_core::access::{Level, Policy, Resource};
use quaywatch_core::doc::quote;
use quaywatch_store::records::{AuditFilter, AuditRecord, Window};

use super::page::{Page, Paging};
use super::refuse::invalid;
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
    /// What else there is to say.
    pub detail: String,
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
        caller.require(Policy::new(Resource::Audit, Level::Administer))?;
        let after = query.paging.numbers::<1>()?.map(|[after]| after);
        let limit = query.paging.size();
        let object = query.object.as_deref().map(number).transpose()?;
        let filter = AuditFilter {
            kind: query.kind.clone(),
            object,
            actor: query.actor.clone(),
            window: query.window,
            after,
            limit: limit + 1,
        };
        let rows = self.account(caller).audit(filter).await?;
        Ok(Page::cut(rows, limit, |last| last.id.to_string()).map(AuditView::from))
    }
}

/// The number in `m42`, `ch4`, `tok5` or `42`; the kind is asked for apart.
fn number(text: &str) -> Result<i64, OperationError> {
    let digits = text.trim_start_matches(|c: char| c.is_ascii_lowercase());
    digits.parse().map_err(|_| {
        let message = format!("{} is no number of anything", quote(text));
        invalid("object", "bad_id", message, "write it as in `m42` or `ch4`")
    })
}

impl From<AuditRecord> for AuditView {
    fn from(row: AuditRecord) -> Self {
        let object = row.object.as_ref();
        Self {
            id: row.id,
            at: row.at,
            actor: row.author.actor,
            action: row.action,
            object: object.map(|(kind, id)| format!("{}{id}", prefix(kind))),
            kind: row.object.map(|(kind, _)| kind),
            before: row.before,
            after: row.after,
            detail: row.detail,
            address: row.author.address,
            request: row.author.request.map(String::from),
        }
    }
}

/// The letters before the numbers of a kind.
fn prefix(kind: &str) -> &'static str {
    match kind {
        "monitor" => "m",
        "channel" => "ch",
        "user" | "member" => "u",
        "token" => "tok",
        "account" => "a",
        _ => "",
    }
}
