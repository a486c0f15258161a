//! Who has a connection, and who must give theirs up when more come than there are seats. A connection that waits for
//! a request costs its client nothing to make again, so it goes before anybody is turned away: first those that have
//! never asked for anything, then those that have had their answer, then those that do not read it; of each the one
//! that has been so for longest. Only if all are at work is a newcomer turned away, with words.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio_util::sync::CancellationToken;

/// Connections that are being told that there is no seat, at once. Those beyond are just closed.
const TURNED_AWAY: usize = 64;

/// All seats of a listener.
#[derive(Debug)]
pub(crate) struct Seats {
    seats: Mutex<BTreeMap<u64, Arc<Seat>>>,
    /// Numbers moments: an order is all that is needed of time here.
    moments: AtomicU64,
    most: usize,
    most_per_peer: usize,
}

/// One connection's seat.
#[derive(Debug)]
pub(crate) struct Seat {
    id: u64,
    /// An IPv4 address or IPv6 /64.
    network: IpAddr,
    /// There is none for it: it is only told so.
    turned_away: bool,
    /// What the connection is doing, and since which moment: `moment << 2 | doing`.
    doing: AtomicU64,
    /// Tells the connection that it must go.
    pub(crate) leave: CancellationToken,
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Doing {
    /// It has never asked for anything.
    Fresh = 0,
    /// It has had its answer.
    Idle = 1,
    /// It has not read its answer for long.
    Stalled = 2,
    /// It is asking, or being answered.
    Busy = 3,
}

impl Doing {
    const fn of(bits: u64) -> Self {
        match bits & 3 {
            0 => Self::Fresh,
            1 => Self::Idle,
            2 => Self::Stalled,
            _ => Self::Busy,
        }
    }
}

/// A newcomer's seat; given up when dropped.
#[derive(Debug)]
pub(crate) struct Taken {
    seats: Arc<Seats>,
    pub(crate) seat: Arc<Seat>,
}

impl Seats {
    pub(crate) fn new(most: usize, most_per_peer: usize) -> Arc<Self> {
        let (seats, moments) = (Mutex::default(), AtomicU64::new(0));
        Arc::new(Self { seats, moments, most, most_per_peer })
    }

    /// Gives a newcomer a seat, somebody else's if need be.
    pub(crate) fn take(self: &Arc<Self>, peer: IpAddr) -> Taken {
        let network = network_of(peer);
        let mut seats = self.lock();
        let (mut all, mut of_peer, mut turned_away) = (0, 0, 0);
        for seat in seats.values() {
            if seat.turned_away {
                turned_away += 1;
            } else {
                all += 1;
                of_peer += usize::from(seat.network == network);
            }
        }
        let has_seat = if of_peer >= self.most_per_peer {
            evict(&mut seats, |seat| !seat.turned_away && seat.network == network)
        } else {
            all < self.most || evict(&mut seats, |seat| !seat.turned_away)
        };
        if !has_seat && turned_away >= TURNED_AWAY {
            let oldest = seats.values().find(|seat| seat.turned_away).map(|seat| seat.id);
            oldest.and_then(|id| seats.remove(&id)).iter().for_each(|seat| seat.leave.cancel());
        }
        let id = self.moment();
        let seat = Arc::new(Seat {
            id,
            network,
            turned_away: !has_seat,
            doing: AtomicU64::new(id << 2 | Doing::Fresh as u64),
            leave: CancellationToken::new(),
        });
        seats.insert(id, Arc::clone(&seat));
        Taken { seats: Arc::clone(self), seat }
    }

    fn moment(&self) -> u64 {
        self.moments.fetch_add(1, Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Seat>>> {
        // Nothing under this lock can leave it half done.
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the seat of whoever is the least loss, if there is one.
fn evict(seats: &mut BTreeMap<u64, Arc<Seat>>, may_go: impl Fn(&Seat) -> bool) -> bool {
    let loss = |seat: &Seat| {
        let doing = seat.doing.load(Ordering::Relaxed);
        (Doing::of(doing), doing)
    };
    let candidates = seats.values().filter(|seat| may_go(seat)).map(|seat| (loss(seat), seat.id));
    let Some((_, id)) = candidates.filter(|((doing, _), _)| *doing != Doing::Busy).min() else {
        return false;
    };
    seats.remove(&id).iter().for_each(|seat| seat.leave.cancel());
    true
}

impl Seat {
    /// Whether there is none for it.
    pub(crate) const fn is_turned_away(&self) -> bool {
        self.turned_away
    }
}

impl Taken {
    fn begin(&self, doing: Doing) {
        self.seat.doing.store(self.seats.moment() << 2 | doing as u64, Ordering::Relaxed);
    }

    /// A request has come.
    pub(crate) fn asks(self: &Arc<Self>) -> Asking {
        self.begin(Doing::Busy);
        Asking(Arc::clone(self))
    }

    /// When it last did something; two readings that are equal and busy mean that it did nothing in between.
    pub(crate) fn busy_since(&self) -> Option<u64> {
        let doing = self.seat.doing.load(Ordering::Relaxed);
        (Doing::of(doing) == Doing::Busy).then_some(doing)
    }

    /// Nothing has moved since a reading.
    pub(crate) fn stalls(&self, since: u64) {
        let stalled = self.seats.moment() << 2 | Doing::Stalled as u64;
        // If it moves at this very moment, it does not stall.
        let _ = self.seat.doing.compare_exchange(since, stalled, Ordering::Relaxed, Ordering::Relaxed);
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.seats.lock().remove(&self.seat.id);
    }
}

/// A request that has not had all of its answer; the connection is idle again when this is dropped.
#[derive(Debug)]
pub(crate) struct Asking(Arc<Taken>);

impl Asking {
    /// The answer's body, watched.
    pub(crate) const fn answer(self, body: Body) -> Answer {
        Answer { body, asking: self }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.begin(Doing::Idle);
    }
}

/// The body of an answer on its way.
#[derive(Debug)]
pub(crate) struct Answer {
    body: Body,
    asking: Asking,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if frame.is_ready() {
            self.asking.0.begin(Doing::Busy);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Whoever has one IPv6 address has its whole /64.
pub(crate) fn network_of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(n: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, n])
    }

    fn gone(taken: &Arc<Taken>) -> bool {
        taken.seat.leave.is_cancelled()
    }

    fn take(seats: &Arc<Seats>, peer: IpAddr) -> Arc<Taken> {
        Arc::new(seats.take(peer))
    }

    #[test]
    fn who_never_asked_goes_first_then_who_was_answered_and_who_is_at_work_stays() {
        let seats = Seats::new(4, 4);
        let taken: Vec<_> = (1..=4).map(|n| take(&seats, ip(n))).collect();
        let at_work = taken[0].asks();
        drop(taken[1].asks());
        let order: Vec<_> = (0..4)
            .map(|_| {
                let newcomer = take(&seats, ip(9));
                std::mem::forget(newcomer.asks());
                let left = taken.iter().filter(|taken| gone(taken)).count();
                (left, newcomer.seat.is_turned_away())
            })
            .collect();
        assert_eq!(order, [(1, false), (2, false), (3, false), (3, true)]);
        assert!(gone(&taken[2]) && gone(&taken[3]) && gone(&taken[1]) && !gone(&taken[0]));
        drop(at_work);
        assert!(!take(&seats, ip(9)).seat.is_turned_away(), "its seat can be had now");
        assert!(gone(&taken[0]));
    }

    #[test]
    fn a_peer_with_all_its_seats_takes_only_its_own() {
        let seats = Seats::new(100, 2);
        let other = take(&seats, ip(1));
        let neighbours = ["2001:db8::1", "2001:db8::ffff", "2001:db8::2"];
        let taken: Vec<_> = neighbours.iter().map(|ip| take(&seats, ip.parse().expect("literal"))).collect();
        assert_eq!(taken.iter().map(gone).collect::<Vec<_>>(), [true, false, false]);
        assert!(!gone(&other));
        let (_one, _two) = (taken[1].asks(), taken[2].asks());
        assert!(take(&seats, "2001:db8::3".parse().expect("literal")).seat.is_turned_away());
        assert!(!take(&seats, ip(1)).seat.is_turned_away());
    }

    #[test]
    fn who_does_not_read_its_answer_gives_way_and_the_turned_away_are_few() {
        let seats = Seats::new(1, 1);
        let slow = take(&seats, ip(1));
        let _asking = slow.asks();
        let since = slow.busy_since().expect("busy");
        let crowd: Vec<_> = (0..TURNED_AWAY + 5).map(|_| take(&seats, ip(2))).collect();
        assert!(crowd.iter().all(|taken| taken.seat.is_turned_away()));
        assert_eq!(crowd.iter().filter(|taken| gone(taken)).count(), 5);
        slow.stalls(since);
        assert_eq!(slow.busy_since(), None);
        assert!(!take(&seats, ip(3)).seat.is_turned_away());
        assert!(gone(&slow));
    }
}
