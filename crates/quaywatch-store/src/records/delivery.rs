//! Notices: what is queued, how it stands, and what came of each attempt.

use std::time::Duration;

use quaywatch_core::{ChannelId, IncidentId, Timestamp};

use super::EventRecord;

/// A notice to be queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxWrite {
    /// Of which incident.
    pub incident: IncidentId,
    /// Which event.
    pub sequence: u32,
    /// To which channel.
    pub channel: ChannelId,
    /// Not before.
    pub due: Timestamp,
}

/// An undelivered notice with the event that it tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRecord {
    /// The notice.
    pub notice: OutboxWrite,
    /// Attempts so far.
    pub attempts: u32,
    /// When it was queued.
    pub queued_at: Timestamp,
    /// The event.
    pub event: EventRecord,
}

/// How a notice stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DeliveryState {
    /// Waits for its (next) attempt.
    Queued = 0,
    /// The receiver took it.
    Sent = 1,
    /// Given up, with the reason in the last attempt.
    Dead = 2,
}

/// What came of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryUpdate {
    /// Which notice.
    pub notice: OutboxWrite,
    /// How it stands now; `notice.due` is the next attempt's time.
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempts: u32,
    /// When this attempt was made.
    pub at: Timestamp,
    /// The class of the outcome (`sent`, `transient`, …).
    pub class: String,
    /// The service's answer, cut and without secrets.
    pub answer: String,
    /// How long it took.
    pub took: Duration,
    /// What the service calls the message.
    pub remote_id: Option<String>,
}

/// How a notice of an incident stands, with its last attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRecord {
    /// To which channel.
    pub channel: ChannelId,
    /// Of which event.
    pub sequence: u32,
    /// How it stands.
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempts: u32,
    /// When it was queued.
    pub queued_at: Timestamp,
    /// The last attempt, if it is still known.
    pub last: Option<AttemptRecord>,
}

/// What came of one attempt to deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRecord {
    /// When it was made.
    pub at: Timestamp,
    /// The class of the outcome (`sent`, `transient`, …).
    pub class: String,
    /// The service's answer, cut and without secrets.
    pub answer: String,
}
