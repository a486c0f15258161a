//! Events about the watcher itself: a location that cannot see, a channel that does not deliver. They have no incident
//! of a monitor; their ids follow from what happened, so that a restart in between tells the end under the same id,
//! and never the beginning twice under two.

use quaywatch_core::judge::CloseReason;
use quaywatch_core::spec::Host;
use quaywatch_core::{ChannelId, ErrorCode, IncidentId, LocationId, MonitorId, ShardId, Timestamp};
use quaywatch_notify::notice::{ChannelWords, FaultWords};
use quaywatch_notify::{Class, EventKind, Notice};
use quaywatch_store::records::{EventRecord, OutboxWrite};

use super::{Judging, decide, snapshot};
use crate::rng::Fingerprint;

/// What delivery has to say of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChannelNote {
    pub(crate) channel: ChannelId,
    /// `channel.failing`, `.recovered` or `.disabled`.
    pub(crate) kind: EventKind,
    /// Names the episode; the same for its beginning and its end.
    pub(crate) episode: IncidentId,
    pub(crate) class: Class,
    pub(crate) answer: String,
    pub(crate) waiting: usize,
    pub(crate) since: Timestamp,
}

/// Stands for the store beside the numbers of locations.
const STORAGE: u64 = u64::MAX;
/// Stands for the resolver.
const RESOLVER: u64 = u64::MAX - 1;

/// An id that follows from a moment and a number: the same in every process.
pub(crate) fn derived_id(at: Timestamp, of: u64) -> IncidentId {
    let print = Fingerprint::new().number(at.0 as u64).number(of);
    let mut bytes = [0; 10];
    bytes[..8].copy_from_slice(&print.finish().to_le_bytes());
    bytes[8..].copy_from_slice(&print.number(1).finish().to_le_bytes()[..2]);
    IncidentId::new(u64::try_from(at.millis()).unwrap_or(0), bytes)
}

impl Judging {
    pub(super) fn tell_fault(&mut self, location: LocationId, since: Timestamp, code: ErrorCode) {
        let notice = self.fault(EventKind::ServerFault, location, (since, None), code);
        self.tell_operators(derived_id(since, u64::from(location.0)), ShardId(0), notice, None);
    }

    pub(super) fn tell_recovered(
        &mut self,
        location: LocationId,
        since: Timestamp,
        until: Timestamp,
        code: ErrorCode,
    ) {
        let notice = self.fault(EventKind::ServerRecovered, location, (since, Some(until)), code);
        self.tell_operators(derived_id(since, u64::from(location.0)), ShardId(0), notice, None);
    }

    /// No name server answers (`until`: answered) since then: names that are not known cannot be dialled.
    pub(crate) fn tell_resolver(&mut self, since: Timestamp, until: Option<Timestamp>) {
        let kind = if until.is_some() { EventKind::ServerRecovered } else { EventKind::ServerFault };
        let named = self.entries.iter().filter(|entry| matches!(entry.card.host, Host::Name(_))).count();
        let mut notice = self.fault(kind, LocationId::LOCAL, (since, until), ErrorCode::SelfDns);
        if let Some(fault) = &mut notice.fault {
            fault.monitors = named;
        }
        self.tell_operators(derived_id(since, RESOLVER), ShardId(0), notice, None);
    }

    /// The store takes nothing (`until`: took nothing) since then; told from memory, if need be.
    pub(crate) fn tell_storage(&mut self, since: Timestamp, until: Option<Timestamp>) {
        let kind = if until.is_some() { EventKind::ServerRecovered } else { EventKind::ServerFault };
        let mut notice = self.fault(kind, LocationId::LOCAL, (since, until), ErrorCode::SelfStorage);
        if let Some(fault) = &mut notice.fault {
            // It blinds nobody: checks, decisions and notices go on.
            fault.monitors = 0;
        }
        self.tell_operators(derived_id(since, STORAGE), ShardId(0), notice, None);
    }

    fn fault(
        &self,
        kind: EventKind,
        location: LocationId,
        (since, until): (Timestamp, Option<Timestamp>),
        code: ErrorCode,
    ) -> Notice {
        let sequence = u32::from(until.is_some());
        let mut notice = Notice::new(kind, sequence, self.now, self.words.server.clone());
        snapshot::put_reason(&mut notice, code, "", 0);
        let location_name = self.words.place(location);
        let monitors = self.monitors_at(location).len();
        notice.fault = Some(FaultWords { location: location_name, since, until, monitors });
        notice
    }

    /// Queues an event about a channel, to everybody but that channel.
    pub(crate) fn channel_note(&mut self, note: ChannelNote) {
        let sequence = u32::from(note.kind == EventKind::ChannelRecovered);
        let mut notice = Notice::new(note.kind, sequence, self.now, self.words.server.clone());
        let name =
            self.words.channels.get(&note.channel).cloned().unwrap_or_else(|| note.channel.to_string());
        notice.channel = Some(ChannelWords {
            id: note.channel.to_string(),
            name,
            answer: note.answer,
            class: note.class.as_str().to_owned(),
            waiting: note.waiting,
            since: note.since,
            remedy: remedy(note.class).to_owned(),
        });
        self.tell_operators(note.episode, note.channel.shard(), notice, Some(note.channel));
    }

    fn tell_operators(
        &mut self,
        id: IncidentId,
        shard: ShardId,
        mut notice: Notice,
        except: Option<ChannelId>,
    ) {
        let recipients: Vec<_> =
            self.operators().into_iter().filter(|channel| Some(*channel) != except).collect();
        notice.told.clone_from(&recipients);
        let (sequence, at) = (notice.sequence, self.now);
        let step = self.steps.decide(shard);
        step.events.push(EventRecord {
            incident: id,
            sequence,
            at,
            kind: notice.kind.as_str().to_owned(),
            snapshot: notice.to_snapshot(),
        });
        let rows =
            recipients.into_iter().map(|channel| OutboxWrite { incident: id, sequence, channel, due: at });
        step.outbox.extend(rows);
    }

    /// Ends an incident that no judge will end.
    pub(super) fn close_by_hand(&mut self, id: MonitorId, reason: CloseReason) {
        let Some(mut entry) = self.entries.take(id) else { return };
        self.stats.incidents_open.add(1);
        self.end_incident(&mut entry, (reason, self.now));
        let state = decide::state(&entry);
        self.steps.decide(id.shard()).states.push(state);
        self.cases.put_back_if_empty(&mut entry.case);
        self.entries.put(entry);
    }
}

/// What to do about a channel that answers like this.
const fn remedy(class: Class) -> &'static str {
    match class {
        Class::Credentials => {
            "The receiver does not accept our credentials: renew the secret or token of the channel."
        }
        Class::Config => "The receiver does not know this address: look at the channel's URL and settings.",
        Class::Gone => {
            "The receiver says that this address is gone for good: give the channel a new one, or remove it."
        }
        Class::RefusedByPolicy => {
            "The egress policy forbids this address: allow it in the server's file, or change it."
        }
        Class::Payload => "The receiver rejects the form of our message: look at its answer.",
        Class::Recipient => "The recipient is gone: give the channel another one.",
        Class::Limited => "The receiver limits us: fewer monitors on this channel, or another one.",
        Class::Transient | Class::Unknown | Class::Expired | Class::Sent => {
            "Look whether the receiver is up and reachable from this server."
        }
    }
}
