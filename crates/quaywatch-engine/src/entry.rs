//! What the engine holds of one monitor: the judge, and the few facts that its notices need. There may be a million, so
//! it is packed: what only a failing monitor has, or few monitors have, is behind a pointer.

use std::collections::BTreeMap;
use std::sync::Arc;

use quaywatch_core::judge::{Judge, Policy, Status};
use quaywatch_core::spec::{Hidden, Host, Kind, Message};
use quaywatch_core::{
    AccountId, ChannelId, CheckResult, Epoch, ErrorCode, Evidence, LocationId, MonitorId, MonitorSpec,
    ShardId, Timestamp,
};
use quaywatch_store::records::{IncidentRecord, MonitorRecord};
use smallvec::SmallVec;

use crate::proof::Proof;
use crate::rng::Fingerprint;
use crate::routes::RouteId;

/// One monitor.
pub(crate) struct Entry {
    pub(crate) judge: Judge,
    pub(crate) policy: Arc<Policy>,
    pub(crate) card: Box<Card>,
    /// What is wrong with it now, if anything.
    pub(crate) case: Option<Box<Case>>,
    pub(crate) recent: Recent,
    pub(crate) last_ok_at: Timestamp,
    pub(crate) last_ok_us: u32,
    /// How long the last check waited for its name, in units of 100 µs: a finer number would cost each monitor 16 bytes.
    pub(crate) dns_100us: u16,
    /// The number of the last incident.
    pub(crate) ordinal: u32,
    /// The slot and place of the last result, to drop one that comes twice.
    pub(crate) last_slot: Timestamp,
    pub(crate) last_location: LocationId,
    /// Since when it has its target: results of before say nothing of it.
    pub(crate) epoch: Epoch,
    /// Its state is to be written some time, without hurry.
    pub(crate) lazy: bool,
    /// The earliest deadline that is entered for it.
    pub(crate) deadline: Timestamp,
}

/// No deadline is entered.
pub(crate) const NEVER: Timestamp = Timestamp(i64::MAX);

impl Entry {
    pub(crate) fn new(judge: Judge, policy: Arc<Policy>, card: Card) -> Self {
        Self {
            judge,
            policy,
            epoch: Epoch::long_before(card.revision),
            card: Box::new(card),
            case: None,
            recent: Recent::default(),
            last_ok_at: Timestamp(0),
            last_ok_us: 0,
            dns_100us: 0,
            ordinal: 0,
            last_slot: Timestamp(i64::MIN),
            last_location: LocationId::LOCAL,
            lazy: false,
            deadline: NEVER,
        }
    }
}

impl Entry {
    /// It has another target from its present revision on.
    pub(crate) const fn begin_epoch(&mut self) {
        self.epoch = Epoch::of(self.card.revision);
    }
}

/// What a monitor is called and how it is told of.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Card {
    pub(crate) id: MonitorId,
    pub(crate) account: AccountId,
    pub(crate) revision: u32,
    pub(crate) port: u16,
    pub(crate) kind: &'static str,
    pub(crate) name: Box<str>,
    pub(crate) host: Host,
    pub(crate) route: RouteId,
    /// Whether incidents are told.
    pub(crate) alerts: bool,
    /// Whether its owner wants it checked.
    pub(crate) paused: bool,
    /// The fingerprint of what is watched and how: another one means that streaks start anew.
    pub(crate) identity: u64,
    pub(crate) extra: Option<Box<Extra>>,
}

/// What few monitors have.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Extra {
    pub(crate) group: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) runbook: Option<String>,
}

impl Card {
    pub(crate) fn of(record: &MonitorRecord, spec: &MonitorSpec, route: RouteId) -> Self {
        let Kind::Tcp(tcp) = &spec.kind;
        let extra =
            Extra { group: spec.group.clone(), tags: spec.tags.clone(), runbook: spec.runbook_url.clone() };
        Self {
            id: record.id,
            account: record.account,
            revision: record.revision,
            port: tcp.port,
            kind: spec.kind.name(),
            name: spec.name.clone().into(),
            host: tcp.host.clone(),
            route,
            alerts: spec.alert_on_failure,
            paused: record.paused || !spec.enabled,
            identity: identity(spec),
            extra: (extra != Extra::default()).then(|| Box::new(extra)),
        }
    }
}

/// The fingerprint of everything that [`MonitorSpec::resets_judge`] looks at. It is stored, so that a change that was
/// made while the server was off is seen too.
pub(crate) fn identity(spec: &MonitorSpec) -> u64 {
    let Kind::Tcp(tcp) = &spec.kind;
    let mut print = Fingerprint::new().bytes(spec.kind.name().as_bytes());
    print = match &tcp.host {
        Host::Name(name) => print.bytes(name.as_bytes()),
        Host::Ip(std::net::IpAddr::V4(ip)) => print.bytes(&ip.octets()),
        Host::Ip(std::net::IpAddr::V6(ip)) => print.bytes(&ip.octets()),
    };
    for number in [
        u64::from(tcp.port),
        tcp.ip_family as u64,
        tcp.addresses as u64,
        tcp.handshake as u64,
        tcp.expectation as u64,
    ] {
        print = print.number(number);
    }
    // Absent and empty are not the same, nor are a message and a secret that is kept under the same letters.
    print = match &tcp.send {
        None => print.number(0),
        Some(Message::Open(bytes)) => print.number(1).bytes(bytes),
        Some(Message::Hidden(Hidden::LeftOut)) => print.number(2),
        Some(Message::Hidden(Hidden::Reference(text))) => print.number(3).bytes(text.as_bytes()),
        Some(Message::Hidden(Hidden::Sealed(text))) => print.number(4).bytes(text.as_bytes()),
    };
    print = match &tcp.expect {
        None => print.number(0),
        Some(pattern) => print.number(1).bytes(pattern.0.as_bytes()),
    };
    print.finish()
}

/// What is wrong with a monitor: an open incident, or a failure that is not confirmed.
#[derive(Debug, Default)]
pub(crate) struct Case {
    pub(crate) open: Option<Open>,
    /// The last failure by location; almost always one.
    pub(crate) failing: SmallVec<[Failing; 1]>,
}

impl Case {
    /// Takes a failure that tells nothing new, and says so; any other stays with the caller. This is the common case
    /// while much is down, so it asks for no memory.
    pub(crate) fn repeats(&mut self, result: &CheckResult, evidence: &mut Option<Box<Evidence>>) -> bool {
        let again = |failing: &&mut Failing| {
            failing.location == result.location
                && failing.code == result.code
                && evidence.as_ref().is_some_and(|evidence| failing.proof.tells_the_same_as(evidence))
        };
        let Some(failing) = self.failing.iter_mut().find(again) else { return false };
        if let Some(evidence) = evidence.take() {
            failing.proof = Proof::pack(evidence);
        }
        failing.slot = result.slot;
        failing.stored = false;
        true
    }
}

/// An open incident.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) record: IncidentRecord,
    /// Who was told, and so will be told of the end.
    pub(crate) told: Vec<ChannelId>,
    /// The monitor's status as it was last told.
    pub(crate) status: Status,
    pub(crate) never_up: bool,
}

/// The last failure at one location.
#[derive(Debug)]
pub(crate) struct Failing {
    pub(crate) location: LocationId,
    pub(crate) slot: Timestamp,
    pub(crate) code: ErrorCode,
    pub(crate) proof: Proof,
    /// Whether this very evidence is stored.
    pub(crate) stored: bool,
}

/// The codes of the last 32 results, newest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Recent {
    codes: [u8; 32],
    /// How many there were; from 32 on, that and the place of the next.
    count: u8,
}

impl Recent {
    pub(crate) fn push(&mut self, code: ErrorCode) {
        self.codes[usize::from(self.count & 31)] = code.number();
        self.count = if self.count == 63 { 32 } else { self.count + 1 };
    }

    /// The newest.
    pub(crate) fn last(&self) -> Option<ErrorCode> {
        let newest = self.count.checked_sub(1)? & 31;
        ErrorCode::from_number(self.codes[usize::from(newest)])
    }

    /// Oldest first.
    pub(crate) fn read(&self) -> Vec<ErrorCode> {
        let (newer, older) = self.codes.split_at(usize::from(self.count & 31));
        let older = if self.count >= 32 { older } else { &[] };
        older.iter().chain(newer).filter_map(|number| ErrorCode::from_number(*number)).collect()
    }
}

/// All monitors, found by arithmetic: shard, then id div 64. Ids are never reused, so a removed one leaves eight bytes.
pub(crate) struct Entries {
    shards: Vec<Vec<Option<Box<Entry>>>>,
    count: usize,
}

impl Default for Entries {
    fn default() -> Self {
        Self { shards: (0..ShardId::COUNT).map(|_| Vec::new()).collect(), count: 0 }
    }
}

impl Entries {
    pub(crate) fn get(&self, id: MonitorId) -> Option<&Entry> {
        self.shards[usize::from(id.shard().0)].get(id.within_shard() as usize)?.as_deref()
    }

    pub(crate) fn get_mut(&mut self, id: MonitorId) -> Option<&mut Entry> {
        self.shards[usize::from(id.shard().0)].get_mut(id.within_shard() as usize)?.as_deref_mut()
    }

    /// Room for the monitors of one shard up to this id, so that loading a million moves nothing.
    pub(crate) fn reserve(&mut self, id: MonitorId) {
        let shard = &mut self.shards[usize::from(id.shard().0)];
        let wanted = id.within_shard() as usize + 1;
        shard.reserve_exact(wanted.saturating_sub(shard.len()));
    }

    /// Puts an entry in its place.
    pub(crate) fn put(&mut self, entry: Box<Entry>) {
        let id = entry.card.id;
        let shard = &mut self.shards[usize::from(id.shard().0)];
        let at = id.within_shard() as usize;
        if shard.len() <= at {
            shard.resize_with(at + 1, || None);
        }
        self.count += usize::from(shard[at].is_none());
        shard[at] = Some(entry);
    }

    /// Takes an entry out: for good, or while a decision about it is carried out.
    pub(crate) fn take(&mut self, id: MonitorId) -> Option<Box<Entry>> {
        let slot = self.shards[usize::from(id.shard().0)].get_mut(id.within_shard() as usize)?;
        let entry = slot.take();
        self.count -= usize::from(entry.is_some());
        entry
    }

    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    /// In order of shard and id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.shards.iter().flatten().filter_map(|entry| entry.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use quaywatch_core::spec::{Addresses, Expectation, Handshake, IpFamily, Pattern, TcpSpec};

    use super::*;

    #[test]
    fn an_entry_stays_small() {
        assert!(size_of::<Entry>() <= 248, "{}", size_of::<Entry>());
        assert!(size_of::<Card>() <= 104, "{}", size_of::<Card>());
        assert!(size_of::<Case>() <= 216, "{}", size_of::<Case>());
    }

    #[test]
    fn the_last_32_outcomes_are_kept_in_order() {
        let mut recent = Recent::default();
        assert_eq!(recent.read(), []);
        recent.push(ErrorCode::Ok);
        recent.push(ErrorCode::TcpRefused);
        assert_eq!(recent.read(), [ErrorCode::Ok, ErrorCode::TcpRefused]);
        for _ in 0..31 {
            recent.push(ErrorCode::TcpTimeout);
        }
        assert_eq!(recent.read()[0], ErrorCode::TcpRefused);
        assert_eq!(recent.read().len(), 32);
        for n in 0..100_u8 {
            let code = if n.is_multiple_of(3) { ErrorCode::TcpRefused } else { ErrorCode::Ok };
            recent.push(code);
            assert_eq!((recent.last(), recent.read().last().copied()), (Some(code), Some(code)), "{n}");
            assert_eq!(recent.read().len(), 32);
        }
        assert_eq!(recent.read()[..2], [ErrorCode::Ok, ErrorCode::TcpRefused], "the 68th and 69th");
    }

    #[test]
    fn the_fingerprint_changes_exactly_where_streaks_start_anew() {
        let host = || Host::Name("db.example.com".into());
        let base = MonitorSpec::tcp("db", host(), 5432);
        let edit = |f: &dyn Fn(&mut MonitorSpec)| {
            let mut spec = base.clone();
            f(&mut spec);
            spec
        };
        let tcp = |f: fn(&mut TcpSpec)| {
            edit(&move |spec| {
                let Kind::Tcp(tcp) = &mut spec.kind;
                f(tcp);
            })
        };
        let edits = [
            edit(&|_| ()),
            edit(&|spec| spec.name = "other".into()),
            edit(&|spec| spec.check_interval *= 2),
            edit(&|spec| spec.alert_on_failure = false),
            tcp(|tcp| tcp.host = Host::Name("db2.example.com".into())),
            tcp(|tcp| tcp.host = Host::Ip([192, 0, 2, 1].into())),
            tcp(|tcp| tcp.port = 5433),
            tcp(|tcp| tcp.ip_family = IpFamily::Ipv4),
            tcp(|tcp| tcp.addresses = Addresses::All),
            tcp(|tcp| tcp.handshake = Handshake::Full),
            tcp(|tcp| tcp.settle = std::time::Duration::from_secs(1)),
            tcp(|tcp| tcp.expectation = Expectation::Closed),
            tcp(|tcp| tcp.send = Some(Message::Open(Box::from(&b""[..])))),
            tcp(|tcp| tcp.send = Some(Message::Hidden(Hidden::LeftOut))),
            tcp(|tcp| tcp.send = Some(Message::Hidden(Hidden::Reference("${A}".into())))),
            tcp(|tcp| tcp.send = Some(Message::Hidden(Hidden::Sealed("${A}".into())))),
            tcp(|tcp| tcp.expect = Some(Pattern("x".into()))),
        ];
        for spec in &edits {
            assert_eq!(identity(&base) != identity(spec), base.resets_judge(spec), "{spec:?}");
            for other in &edits {
                assert_eq!(identity(other) != identity(spec), other.resets_judge(spec), "{other:?} {spec:?}");
            }
        }
    }
}
