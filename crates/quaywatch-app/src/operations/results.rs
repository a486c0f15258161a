//! Raw results of one monitor: what each check saw, with the proof where there is one.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use quaywatch_core::access::{Level, Policy, Resource};
use quaywatch_core::spec::Host;
use quaywatch_core::{
    Attempt, ErrorCode, ErrorStatus, Evidence, LocationId, MonitorId, MonitorSpec, ResultFlags, Timestamp,
    Verdict,
};
use quaywatch_notify::notice::EvidenceWords;
use quaywatch_store::StoreError;
use quaywatch_store::records::{CheckRow, RevisionRecord, Window};

use super::page::{Page, Paging, bad_cursor, cursor};
use super::past::{self, Places, Watched};
use super::{OperationError, Operations};
use crate::caller::Caller;

/// Results that one call looks through at most: a page may then be short and still have a next one.
const MOST_SEEN: usize = 50_000;
/// The longest piece of time that is read at once.
const LONGEST_PIECE: Duration = Duration::from_secs(31 * 86_400);
const SHORTEST_PIECE: Duration = Duration::from_secs(3_600);
/// Edits of a monitor that are looked through for the one that changed its target.
const MOST_REVISIONS: usize = 200;
/// A check that was under way while the target changed may still have dialled the old one.
const UNDER_WAY: Duration = Duration::from_secs(60);

/// Which results are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultQuery {
    /// Of which time.
    pub window: Window,
    /// Only from this location.
    pub location: Option<String>,
    /// Only those that were not `ok`.
    pub failures: bool,
    /// The newest first, as people read a log; else the oldest.
    pub newest_first: bool,
    /// Which page.
    pub paging: Paging,
}

/// One check.
#[derive(Debug, Clone, PartialEq)]
pub struct ResultView {
    /// Its slot.
    pub at: Timestamp,
    /// From where.
    pub location: String,
    /// What it means.
    pub verdict: Verdict,
    /// The public word; `None` when ok.
    pub error_status: Option<ErrorStatus>,
    /// The fine word.
    pub error_code: ErrorCode,
    /// From SYN to SYN-ACK; `None` for a failure.
    pub latency_us: Option<u32>,
    /// Time to resolve the name; 0 for literal and cached addresses.
    pub dns_us: u32,
    /// From the beginning to the verdict, where proof is kept.
    pub elapsed_us: Option<u32>,
    /// SYNs sent again.
    pub syn_retransmits: u8,
    /// The handshake was completed.
    pub full: bool,
    /// The observation was made for another, identical check.
    pub shared: bool,
    /// Our resolver was down; the last good addresses were dialled.
    pub stale_dns: bool,
    /// A recheck or check-now.
    pub recheck: bool,
    /// It reached the judge late.
    pub late: bool,
    /// The address that decided, with its port: by the proof where there is one; else that of a monitor whose host is an
    /// address, where it looked at that one already. Nothing more is kept of a good check.
    pub address: Option<SocketAddr>,
    /// Each address that was dialled, the deciding one first, where proof is kept.
    pub attempts: Vec<Attempt>,
    /// What else the proof says, in one line.
    pub detail: Option<String>,
}

impl Operations {
    /// Results of one monitor in a window, as far back as the account's plan shows them. A page may be shorter than asked for and still have a next one, where few of
    /// many results are wanted.
    ///
    /// # Errors
    /// Where the caller may not, there is no such monitor, or the window or cursor is none.
    pub async fn list_results(
        &self,
        caller: &Caller,
        monitor: MonitorId,
        query: &ResultQuery,
    ) -> Result<Page<ResultView>, OperationError> {
        caller.require(Policy::new(Resource::Results, Level::Look))?;
        let watched = self.watched(caller, monitor).await?;
        let mut window = past::window(query.window, watched.now)?;
        if let Some(shown) = self.plan_of(caller.account).await?.retention {
            window.from = window.from.max(watched.now - shown);
        }
        let location = query.location.as_deref().map(|name| watched.places.named(name)).transpose()?;
        let mut search = Search::new(query, window, location)?;
        let (rows, next) = search.run(&watched).await?;
        let proofs = proofs(&watched, &rows).await?;
        let target = Target::of(&watched).await?;
        let items = rows.iter().map(|row| view(row, &watched.places, &proofs, target.as_ref())).collect();
        Ok(Page { items, next })
    }
}

/// Going through a window piece by piece, in one direction.
struct Search<'q> {
    query: &'q ResultQuery,
    location: Option<LocationId>,
    /// What is left to look through.
    left: Window,
    /// The last row that was given or passed over.
    after: Option<(i64, u16)>,
}

impl<'q> Search<'q> {
    fn new(
        query: &'q ResultQuery,
        window: Window,
        location: Option<LocationId>,
    ) -> Result<Self, OperationError> {
        let mut left = window;
        let after = match query.paging.numbers::<2>()? {
            None => None,
            Some([slot, location]) => {
                let location = u16::try_from(location).map_err(|_| bad_cursor())?;
                let slot_at = Timestamp::from_millis(slot.clamp(0, i64::MAX / 1_000));
                // Rows of the cursor's own moment are looked at again, and those before it passed over.
                if query.newest_first {
                    left.to = left.to.min(slot_at + Duration::from_millis(1));
                } else {
                    left.from = left.from.max(slot_at);
                }
                Some((slot, location))
            }
        };
        Ok(Self { query, location, left, after })
    }

    async fn run(&mut self, watched: &Watched) -> Result<(Vec<CheckRow>, Option<String>), StoreError> {
        let limit = self.query.paging.size();
        // Nothing was recorded before the monitor was there, but for a clock that was set back.
        self.left.from = self.left.from.max(watched.record.created_at - SHORTEST_PIECE);
        let wanted = u32::try_from(limit).expect("a page is small");
        let mut piece = (watched.spec.check_interval * wanted).clamp(SHORTEST_PIECE, LONGEST_PIECE);
        let (mut found, mut seen) = (Vec::with_capacity(limit), 0);
        while self.left.from < self.left.to {
            let part = self.take(piece);
            let mut rows = watched.store.results(watched.record.id, part).await?;
            if self.query.newest_first {
                rows.reverse();
            }
            if rows.is_empty() {
                piece = (piece * 2).min(LONGEST_PIECE);
            }
            for row in rows {
                if !self.is_new(&row) {
                    continue;
                }
                if found.len() == limit || seen == MOST_SEEN {
                    let (slot, location) = self.after.expect("rows have been passed");
                    return Ok((found, Some(cursor(format!("{slot}.{location}")))));
                }
                seen += 1;
                self.after = Some((row.slot.millis(), row.location.0));
                if self.is_wanted(&row) {
                    found.push(row);
                }
            }
        }
        Ok((found, None))
    }

    /// The next piece; what is left is shorter by it.
    fn take(&mut self, piece: Duration) -> Window {
        if self.query.newest_first {
            let from = (self.left.to - piece).max(self.left.from);
            let part = Window { from, to: self.left.to };
            self.left.to = from;
            part
        } else {
            let to = (self.left.from + piece).min(self.left.to);
            let part = Window { from: self.left.from, to };
            self.left.from = to;
            part
        }
    }

    /// Whether it lies behind the cursor.
    fn is_new(&self, row: &CheckRow) -> bool {
        let here = (row.slot.millis(), row.location.0);
        self.after.is_none_or(|after| if self.query.newest_first { here < after } else { here > after })
    }

    fn is_wanted(&self, row: &CheckRow) -> bool {
        self.location.is_none_or(|location| row.location == location)
            && !(self.query.failures && row.code == ErrorCode::Ok)
    }
}

type Proofs = BTreeMap<(i64, LocationId), Evidence>;

/// The proof of those of these rows that have one.
async fn proofs(watched: &Watched, rows: &[CheckRow]) -> Result<Proofs, StoreError> {
    let failed = || rows.iter().filter(|row| row.code != ErrorCode::Ok).map(|row| row.slot);
    let (Some(first), Some(last)) = (failed().min(), failed().max()) else { return Ok(Proofs::new()) };
    let window = Window { from: first, to: last + Duration::from_millis(1) };
    let found = watched.store.evidence(watched.record.id, window).await?;
    Ok(found.into_iter().map(|proof| ((proof.slot.millis(), proof.location), proof.evidence)).collect())
}

/// Of a monitor whose host is an address: that address, and since when it is the one that is looked at.
struct Target {
    address: SocketAddr,
    since: Timestamp,
}

impl Target {
    async fn of(watched: &Watched) -> Result<Option<Self>, StoreError> {
        let Some(address) = literal(&watched.spec) else { return Ok(None) };
        let mut target = Self { address, since: Timestamp(i64::MIN) };
        let mut began: Option<RevisionRecord> = None;
        for revision in watched.store.revisions(watched.record.id, MOST_REVISIONS).await? {
            let spec = MonitorSpec::from_canonical(&revision.spec).ok();
            if spec.as_ref().and_then(literal) != Some(address) {
                break;
            }
            began = Some(revision);
        }
        // The first revision looked at nothing else before it, whatever the clock said then.
        if began.as_ref().is_none_or(|began| began.revision > 1) {
            target.since = began.map_or(watched.now, |began| began.at) + UNDER_WAY;
        }
        Ok(Some(target))
    }

    /// What a check dialled.
    fn at(&self, row: &CheckRow) -> Option<SocketAddr> {
        let dialled = match row.code.verdict() {
            Verdict::Up | Verdict::Degraded | Verdict::Down => true,
            Verdict::Unknown | Verdict::Blocked => false,
        };
        (dialled && row.slot >= self.since).then_some(self.address)
    }
}

fn literal(spec: &MonitorSpec) -> Option<SocketAddr> {
    match spec.host_and_port() {
        (Host::Ip(address), port) => Some(SocketAddr::new(*address, port)),
        (Host::Name(_), _) => None,
    }
}

fn view(row: &CheckRow, places: &Places, proofs: &Proofs, target: Option<&Target>) -> ResultView {
    let location = places.name(row.location);
    let proof = proofs.get(&(row.slot.millis(), row.location));
    let marked = |flag| row.flags.has(flag);
    ResultView {
        at: row.slot,
        verdict: row.code.verdict(),
        error_status: row.code.status(),
        error_code: row.code,
        latency_us: row.latency_us,
        dns_us: row.dns_us,
        elapsed_us: proof.map(|proof| proof.deciding().map_or(proof.elapsed_us, |tried| tried.elapsed_us)),
        syn_retransmits: row.syn_retransmits,
        full: marked(ResultFlags::FULL),
        shared: marked(ResultFlags::SHARED),
        stale_dns: marked(ResultFlags::STALE_DNS),
        recheck: marked(ResultFlags::RECHECK),
        late: marked(ResultFlags::LATE),
        address: match proof.and_then(Evidence::deciding) {
            Some(tried) => Some(tried.address),
            None => target.and_then(|target| target.at(row)),
        },
        attempts: proof.map(|proof| proof.attempts.clone()).unwrap_or_default(),
        detail: proof.map(|proof| EvidenceWords::of(&location, row.slot, row.code, proof).detail),
        location,
    }
}
