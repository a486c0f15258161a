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
        let object = query.object.as_deref().map(thing).transpose()?;
        let (kinds, object) = object.unzip();
        let filter = AuditFilter {
            kind: query.kind.clone(),
            kinds: kinds.unwrap_or_default(),
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

/// The kinds and the number that `m42`, `ch4` or `tok5` means; `42` alone is that number of any kind.
fn thing(text: &str) -> Result<(Vec<String>, i64), OperationError> {
    let digits = text.trim_start_matches(|c: char| c.is_ascii_lowercase());
    let letters = &text[..text.len() - digits.len()];
    let kinds = LETTERS.iter().filter(|(_, known)| *known == letters).map(|(kind, _)| (*kind).to_owned());
    let kinds: Vec<String> = kinds.collect();
    let is_known = letters.is_empty() || !kinds.is_empty();
    let number = digits.parse().ok().filter(|number: &i64| is_known && *number >= 0);
    number.map(|number| (kinds, number)).ok_or_else(|| {
        let message = format!("{} is the id of nothing", quote(text));
        invalid("object", "bad_id", message, "write it as in `m42`, `ch4`, `tok5`, `u3` or `a1`")
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

/// The letters before the numbers of each kind.
const LETTERS: [(&str, &str); 6] =
    [("monitor", "m"), ("channel", "ch"), ("user", "u"), ("member", "u"), ("token", "tok"), ("account", "a")];

fn prefix(kind: &str) -> &'static str {
    LETTERS.iter().find(|(known, _)| *known == kind).map_or("", |(_, letters)| letters)
}
