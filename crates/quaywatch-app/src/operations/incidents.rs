//! Incidents: listed, read with their proof and what happened in order, acknowledged, commented on.

use std::time::Duration;

use quaywatch_core::access::{Level, Policy, Resource};
use quaywatch_core::doc::quote;
use quaywatch_core::judge::{Severity, Status};
use quaywatch_core::spec::Kind;
use quaywatch_core::{ErrorCode, Evidence, IncidentId, MonitorId, Timestamp, reason};
use quaywatch_engine::{ActError, By};
use quaywatch_notify::Notice;
use quaywatch_notify::notice::EvidenceWords;
use quaywatch_store::StoreError;
use quaywatch_store::records::{
    DeliveryRecord, DeliveryState, EventRecord, EvidenceRecord, IncidentFilter, IncidentRecord,
    MonitorRecord, Window,
};

use super::page::{Page, Paging, bad_cursor};
use super::past;
use super::refuse::{invalid, not_found};
use super::{OperationError, Operations};
use crate::caller::{Actor, Caller};

/// Pieces of proof that are shown of one incident: the first ones and the last.
const MOST_PROOFS: usize = 200;
/// Characters of a comment or a note.
const LONGEST_WORDS: usize = 4_000;
const LOOK: Policy = Policy::new(Resource::Incidents, Level::Look);
const RESPOND: Policy = Policy::new(Resource::Incidents, Level::Respond);

/// Which incidents are wanted, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IncidentQuery {
    /// Only of this monitor.
    pub monitor: Option<MonitorId>,
    /// Only open ones (`true`), only ended ones (`false`).
    pub open: Option<bool>,
    /// Only of this severity.
    pub severity: Option<Severity>,
    /// Only those that somebody acknowledged (`true`), or that nobody did (`false`).
    pub acknowledged: Option<bool>,
    /// Only those with one of these causes; empty: all.
    pub codes: Vec<ErrorCode>,
    /// Only those that overlap this.
    pub window: Option<Window>,
    /// Which page.
    pub paging: Paging,
}

/// An incident in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentView {
    /// What is recorded of it.
    pub record: IncidentRecord,
    /// The monitor, by the name and target it has now; it may lie in the bin.
    pub monitor: Subject,
    /// Who acknowledged it, if anybody did.
    pub acknowledged: Option<Acknowledgement>,
    /// How long it lasts, or lasted.
    pub lasted: Duration,
    /// The words for its cause.
    pub explanation: Explanation,
}

/// The monitor that something is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Its number.
    pub id: MonitorId,
    /// Its name.
    pub name: String,
    /// Its host; empty where it is no longer known.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Its group's path.
    pub group: Option<String>,
}

/// Somebody is on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Who: `user:u3`, `token:tok5`, `cli:0`.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// What they said; told with the incident itself, not in lists.
    pub note: Option<String>,
}

/// What an outcome means, for this very target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What happened, in one line.
    pub sentence: String,
    /// Why, most likely.
    pub cause: String,
    /// Where to look first; empty where all is well.
    pub remedy: String,
}

/// An incident with everything that is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct IncidentDetail {
    /// As in the list.
    pub incident: IncidentView,
    /// What proves it, oldest first: the first failure, the last, and each that told something new.
    pub evidence: Vec<ProofView>,
    /// What happened, in order.
    pub timeline: Vec<TimelineEntry>,
}

/// The proof of one failed check.
#[derive(Debug, Clone, PartialEq)]
pub struct ProofView {
    /// From where.
    pub location: String,
    /// The check's slot.
    pub at: Timestamp,
    /// What it saw.
    pub code: ErrorCode,
    /// Every address that was dialled, and what came of it; names, phases, times.
    pub evidence: Evidence,
    /// The same in one line.
    pub detail: String,
}

/// One thing that happened in an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineEntry {
    /// From 0, without gaps.
    pub sequence: u32,
    /// When.
    pub at: Timestamp,
    /// `incident.opened`, `incident.acknowledged`, …
    pub kind: String,
    /// What the monitor was then, where the event says so.
    pub status: Option<Status>,
    /// Why, where the event says so.
    pub code: Option<ErrorCode>,
    /// Who did it, where somebody did.
    pub by: Option<String>,
    /// What they said.
    pub note: Option<String>,
    /// Who was told of it, and what came of that.
    pub notices: Vec<NoticeView>,
}

/// One notice of an event to one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeView {
    /// The channel's id.
    pub channel: quaywatch_core::ChannelId,
    /// `queued`, `sent` or `dead`.
    pub state: &'static str,
    /// Attempts so far.
    pub attempts: u32,
    /// The last attempt.
    pub at: Option<Timestamp>,
    /// What came of it: `sent`, `transient`, …
    pub class: Option<String>,
    /// What the receiver said, without secrets.
    pub answer: Option<String>,
}

impl Operations {
    /// Incidents of the account, newest first.
    ///
    /// # Errors
    /// Where the caller may not, or a cursor is none.
    pub async fn list_incidents(
        &self,
        caller: &Caller,
        query: &IncidentQuery,
    ) -> Result<Page<IncidentView>, OperationError> {
        caller.require(LOOK)?;
        let records = self.incident_page(caller, query).await?;
        let next = records.next;
        Ok(Page { items: self.incident_views(caller, records.items).await?, next })
    }

    /// One incident, with proof and timeline.
    ///
    /// # Errors
    /// Where the caller may not, or there is none.
    pub async fn read_incident(
        &self,
        caller: &Caller,
        id: IncidentId,
    ) -> Result<IncidentDetail, OperationError> {
        caller.require(LOOK)?;
        let record = self.incident(caller, id).await?;
        let evidence = self.proofs(caller, &record).await?;
        let events = self.account(caller).events(id).await?;
        let mut timeline: Vec<TimelineEntry> = events.iter().map(TimelineEntry::of).collect();
        for notice in self.account(caller).deliveries(id).await? {
            if let Some(entry) = timeline.iter_mut().find(|entry| entry.sequence == notice.sequence) {
                entry.notices.push(NoticeView::of(notice));
            }
        }
        let mut incident = self.incident_view(caller, record).await?;
        if let Some(acknowledged) = &mut incident.acknowledged {
            let event = timeline.iter().rfind(|entry| entry.kind == "incident.acknowledged");
            acknowledged.note = event.and_then(|event| event.note.clone());
        }
        Ok(IncidentDetail { incident, evidence, timeline })
    }

    /// Says that somebody is on it: reminders end, the recovery is still told. Whoever comes second is told who was
    /// first.
    ///
    /// # Errors
    /// Where the caller may not, there is none, it is over, or somebody was first.
    pub async fn acknowledge_incident(
        &self,
        caller: &Caller,
        id: IncidentId,
        note: Option<&str>,
    ) -> Result<IncidentView, OperationError> {
        caller.require(RESPOND)?;
        let note = note.map(|note| words("note", note)).transpose()?;
        let record = self.incident(caller, id).await?;
        let engine = self.engine().ok_or_else(nobody_judges)?;
        let by = self.by(caller).await?;
        let event =
            engine.acknowledge(&record, &by, note.as_deref()).await.map_err(|error| act(error, id))?;
        let mut view = self.incident_view(caller, record).await?;
        view.acknowledged = Some(Acknowledgement { by: by.name, at: event.at, note });
        Ok(view)
    }

    /// Adds words to an incident, also to one that is over.
    ///
    /// # Errors
    /// Where the caller may not, there is none, or the text is empty or longer than 4,000 characters.
    pub async fn comment_incident(
        &self,
        caller: &Caller,
        id: IncidentId,
        text: &str,
    ) -> Result<TimelineEntry, OperationError> {
        caller.require(RESPOND)?;
        let text = words("text", text)?;
        let record = self.incident(caller, id).await?;
        let engine = self.engine().ok_or_else(nobody_judges)?;
        let by = self.by(caller).await?;
        let event = engine.comment(&record, &by, &text).await.map_err(|error| act(error, id))?;
        Ok(TimelineEntry::of(&event))
    }

    /// Who acts, as people are told and as the audit log has them.
    async fn by(&self, caller: &Caller) -> Result<By, OperationError> {
        let name = match caller.actor {
            Actor::User(id) => self.store.people().user(id).await?.map(|user| user.name),
            Actor::Token(id) => {
                let tokens = self.account(caller).tokens().await?;
                tokens.into_iter().find(|token| token.id == id).map(|token| token.name)
            }
            Actor::Host(_) => Some("the server's command line".to_owned()),
        };
        let name = name.filter(|name| !name.is_empty()).unwrap_or_else(|| caller.actor.to_string());
        Ok(By { name, author: caller.author() })
    }

    async fn incident(&self, caller: &Caller, id: IncidentId) -> Result<IncidentRecord, OperationError> {
        self.account(caller).incident(id).await?.ok_or_else(|| not_found("incident", id))
    }

    async fn incident_page(
        &self,
        caller: &Caller,
        query: &IncidentQuery,
    ) -> Result<Page<IncidentRecord>, OperationError> {
        let limit = query.paging.size();
        let filter = IncidentFilter {
            monitor: query.monitor,
            open: query.open == Some(true),
            closed: query.open == Some(false),
            acknowledged: query.acknowledged,
            severity: query.severity,
            codes: query.codes.clone(),
            after: query.paging.place()?.as_deref().map(place).transpose()?,
            window: query.window,
            limit: limit + 1,
        };
        let found = self.account(caller).incidents(filter).await?;
        Ok(Page::cut(found, limit, |last| format!("{}.{}", last.started_at.0, last.id)))
    }

    async fn incident_view(
        &self,
        caller: &Caller,
        record: IncidentRecord,
    ) -> Result<IncidentView, OperationError> {
        let id = record.id;
        let mut views = self.incident_views(caller, vec![record]).await?;
        views.pop().ok_or_else(|| not_found("incident", id))
    }

    async fn incident_views(
        &self,
        caller: &Caller,
        records: Vec<IncidentRecord>,
    ) -> Result<Vec<IncidentView>, OperationError> {
        let now = self.clock.now();
        let mut ids: Vec<MonitorId> = records.iter().map(|record| record.monitor).collect();
        ids.sort_unstable();
        ids.dedup();
        let monitors = self.stored_all(caller.account, &ids).await?;
        let mut views = Vec::with_capacity(records.len());
        for record in records {
            let monitor = match monitors.get(&record.monitor) {
                Some(monitor) => Subject::of(monitor)?,
                None => self.remembered(caller, &record).await?,
            };
            views.push(IncidentView::new(record, monitor, now));
        }
        Ok(views)
    }

    /// A monitor that is gone, as the incident's first event calls it.
    async fn remembered(&self, caller: &Caller, record: &IncidentRecord) -> Result<Subject, OperationError> {
        let events = self.account(caller).events(record.id).await?;
        let notice = events.first().and_then(|event| Notice::from_snapshot(&event.snapshot).ok());
        let (monitor, target) = notice.map_or((None, None), |notice| (notice.monitor, notice.target));
        Ok(Subject {
            id: record.monitor,
            name: monitor.as_ref().map_or_else(|| record.monitor.to_string(), |words| words.name.clone()),
            host: target.as_ref().map(|target| target.host.clone()).unwrap_or_default(),
            port: target.map_or(0, |target| target.port),
            group: monitor.and_then(|words| words.group),
        })
    }

    /// What proves an incident, oldest first.
    async fn proofs(
        &self,
        caller: &Caller,
        record: &IncidentRecord,
    ) -> Result<Vec<ProofView>, OperationError> {
        let end = record.ended_at.unwrap_or_else(|| self.clock.now());
        let window = Window { from: record.started_at, to: end + Duration::from_millis(1) };
        let mut found = self.account(caller).evidence(record.monitor, window).await?;
        found.retain(|proof| proof.incident.is_none_or(|incident| incident == record.id));
        if found.len() > MOST_PROOFS {
            // The last says how it stands; what is between says less and less.
            let last = found.split_off(found.len() - 1);
            found.truncate(MOST_PROOFS - 1);
            found.extend(last);
        }
        let places = self.places().await?;
        let view = |proof: EvidenceRecord| {
            let location = places.name(proof.location);
            let detail = EvidenceWords::of(&location, proof.slot, proof.code, &proof.evidence).detail;
            ProofView { location, at: proof.slot, code: proof.code, evidence: proof.evidence, detail }
        };
        Ok(found.into_iter().map(view).collect())
    }
}

impl Subject {
    fn of(record: &MonitorRecord) -> Result<Self, StoreError> {
        let spec = past::spec(record)?;
        let Kind::Tcp(tcp) = &spec.kind;
        Ok(Self {
            id: record.id,
            name: record.name.clone(),
            host: tcp.host.to_string(),
            port: tcp.port,
            group: spec.group,
        })
    }
}

impl Explanation {
    /// The words for an outcome of this target.
    #[must_use]
    pub fn of(code: ErrorCode, host: &str, port: u16) -> Self {
        let words = reason::of(code);
        Self {
            sentence: words.sentence.to_owned(),
            cause: words.cause.to_owned(),
            remedy: reason::remedy(code, host, port),
        }
    }
}

impl IncidentView {
    fn new(record: IncidentRecord, monitor: Subject, now: Timestamp) -> Self {
        // As in notices: what is over is told by what it began with.
        let code = if record.ended_at.is_some() { record.opening_code } else { record.code };
        Self {
            explanation: Explanation::of(code, &monitor.host, monitor.port),
            lasted: record.ended_at.unwrap_or(now).since(record.started_at),
            acknowledged: record.acknowledged.as_ref().map(|acknowledged| Acknowledgement {
                by: acknowledged.by.clone(),
                at: acknowledged.at,
                note: None,
            }),
            record,
            monitor,
        }
    }
}

impl NoticeView {
    fn of(record: DeliveryRecord) -> Self {
        let state = match record.state {
            DeliveryState::Queued => "queued",
            DeliveryState::Sent => "sent",
            DeliveryState::Dead => "dead",
        };
        let (at, class, answer) = match record.last {
            Some(last) => (Some(last.at), Some(last.class), Some(last.answer)),
            None => (None, None, None),
        };
        Self { channel: record.channel, state, attempts: record.attempts, at, class, answer }
    }
}

impl TimelineEntry {
    fn of(event: &EventRecord) -> Self {
        let notice = Notice::from_snapshot(&event.snapshot).ok();
        Self {
            sequence: event.sequence,
            at: event.at,
            kind: event.kind.clone(),
            status: notice.as_ref().and_then(|notice| notice.status),
            code: notice.as_ref().and_then(|notice| notice.error_code),
            by: notice.as_ref().and_then(|notice| notice.said.as_ref()).map(|said| said.by.clone()),
            note: notice.and_then(|notice| notice.said).and_then(|said| said.text),
            notices: Vec::new(),
        }
    }
}

/// The place behind an incident, as a cursor names it.
fn place(text: &str) -> Result<(Timestamp, IncidentId), OperationError> {
    let (at, id) = text.split_once('.').ok_or_else(bad_cursor)?;
    let at = at.parse().map_err(|_| bad_cursor())?;
    Ok((Timestamp(at), id.parse().map_err(|_| bad_cursor())?))
}

fn act(error: ActError, id: IncidentId) -> OperationError {
    match error {
        ActError::NotFound => not_found("incident", id),
        ActError::Closed => OperationError::Conflict {
            code: "incident_over",
            message:
                "the incident is over: there is nothing left to look after; a comment can still be added"
                    .to_owned(),
        },
        ActError::AlreadyAcknowledged { by, at } => OperationError::Conflict {
            code: "already_acknowledged",
            message: format!("{} looks after it since {at}", quote(&by)),
        },
        ActError::Store(error) => OperationError::Store(error),
        ActError::Stopped => OperationError::Unavailable("the server is shutting down".to_owned()),
    }
}

fn nobody_judges() -> OperationError {
    OperationError::Unavailable("this needs the running server".to_owned())
}

/// What somebody wrote: not nothing, not a book, and without control characters that would move a cursor.
fn words(field: &str, text: &str) -> Result<String, OperationError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(invalid(field, "empty", format!("`{field}` is empty"), "write what there is to say"));
    }
    let length = text.chars().count();
    if length > LONGEST_WORDS {
        let message = format!("`{field}` is {length} characters long; at most {LONGEST_WORDS} are allowed");
        return Err(invalid(field, "too_long", message, "shorten it"));
    }
    let bad = text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t'));
    match bad {
        None => Ok(text.to_owned()),
        Some(bad) => {
            let shown = quote(&bad.to_string());
            let message = format!("`{field}` has a control character in it ({shown})");
            Err(invalid(field, "control_character", message, "write plain text"))
        }
    }
}
