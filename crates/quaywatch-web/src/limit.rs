//! How often somebody may ask: a bucket for each caller, and one for each address that nobody is recognised from. Full
//! buckets allow a burst, as a page or a script makes it, and refill evenly.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter, clock};
use quaywatch_app::caller::{Actor, Caller};
use quaywatch_core::{AccountId, Clock};

use crate::listener::network_of;

/// How often callers and strangers may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Requests a second of one caller.
    pub caller_per_second: NonZeroU32,
    /// Requests of one caller at once.
    pub caller_burst: NonZeroU32,
    /// Requests a second from one address where nobody is recognised.
    pub stranger_per_second: NonZeroU32,
    /// Such requests at once.
    pub stranger_burst: NonZeroU32,
}

impl Rates {
    /// So many a second for a caller, ten times as many at once; strangers as by default.
    #[must_use]
    pub fn of_callers(per_second: u32) -> Self {
        let least = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        Self {
            caller_per_second: least(per_second),
            caller_burst: least(per_second.saturating_mul(10)),
            ..Self::default()
        }
    }
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            caller_per_second: const { NonZeroU32::new(100).expect("not zero") },
            caller_burst: const { NonZeroU32::new(1_000).expect("not zero") },
            stranger_per_second: const { NonZeroU32::new(10).expect("not zero") },
            stranger_burst: const { NonZeroU32::new(200).expect("not zero") },
        }
    }
}

/// Whose bucket: what a token does, its owner's session does not pay for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Caller(AccountId, u8, i64),
    Address(IpAddr),
}

impl Key {
    fn of(caller: Option<&Caller>, address: IpAddr) -> Self {
        match caller.map(|caller| (caller.account, caller.actor)) {
            Some((account, Actor::User(id))) => Self::Caller(account, 0, id.0),
            Some((account, Actor::Token(id))) => Self::Caller(account, 1, id.0),
            Some((account, Actor::Host(uid))) => Self::Caller(account, 2, i64::from(uid)),
            // Whoever has one IPv6 address has its whole /64.
            None => Self::Address(network_of(address)),
        }
    }
}

/// Keys that are remembered at most before those with full buckets are forgotten.
const SWEEP_EVERY: u32 = 4_096;

type Buckets = RateLimiter<Key, HashMapStateStore<Key>, BootClock, StateInformationMiddleware>;

/// All buckets.
pub(crate) struct Limiter {
    rates: Rates,
    callers: Buckets,
    strangers: Buckets,
    asked: AtomicU32,
}

/// What a bucket says about one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    limit: u32,
    remaining: u32,
    /// Until the bucket is full, or, where it is empty, until it gives one again.
    reset: Duration,
    /// Whether this request may go on.
    pub(crate) is_allowed: bool,
}

impl Limiter {
    pub(crate) fn new(rates: Rates, clock: &Arc<dyn Clock>) -> Self {
        let buckets = |per_second: NonZeroU32, burst: NonZeroU32| {
            let quota = Quota::per_second(per_second).allow_burst(burst);
            Buckets::new(quota, HashMapStateStore::default(), BootClock(Arc::clone(clock)))
        };
        Self {
            callers: buckets(rates.caller_per_second, rates.caller_burst),
            strangers: buckets(rates.stranger_per_second, rates.stranger_burst),
            rates,
            asked: AtomicU32::new(0),
        }
    }

    /// Takes one from the bucket of whoever asks.
    pub(crate) fn take(&self, caller: Option<&Caller>, address: IpAddr) -> Standing {
        if self.asked.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            self.callers.retain_recent();
            self.strangers.retain_recent();
        }
        let key = Key::of(caller, address);
        let (buckets, limit, per_second) = match key {
            Key::Caller(..) => (&self.callers, self.rates.caller_burst, self.rates.caller_per_second),
            Key::Address(_) => (&self.strangers, self.rates.stranger_burst, self.rates.stranger_per_second),
        };
        match buckets.check_key(&key) {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                let missing = limit.get().saturating_sub(remaining);
                let reset = Duration::from_secs(u64::from(missing.div_ceil(per_second.get())));
                Standing { limit: limit.get(), remaining, reset, is_allowed: true }
            }
            Err(not_until) => {
                let now = clock::Clock::now(buckets.clock());
                let reset = not_until.wait_time_from(now);
                Standing { limit: limit.get(), remaining: 0, reset, is_allowed: false }
            }
        }
    }
}

impl Standing {
    /// Says it in an answer's head.
    pub(crate) fn tell(self, headers: &mut HeaderMap) {
        headers.insert("ratelimit-limit", HeaderValue::from(self.limit));
        headers.insert("ratelimit-remaining", HeaderValue::from(self.remaining));
        headers.insert("ratelimit-reset", HeaderValue::from(seconds(self.reset)));
    }

    /// How long to wait.
    pub(crate) const fn wait(self) -> Duration {
        self.reset
    }
}

fn seconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX)
}

/// The injected clock, as the library wants it.
#[derive(Clone)]
struct BootClock(Arc<dyn Clock>);

impl clock::Clock for BootClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_micros(self.0.boot().0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use quaywatch_core::{BootTime, Timestamp};

    use super::*;

    #[derive(Default)]
    struct Hand(AtomicU64);

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp(self.boot().0 as i64)
        }

        fn boot(&self) -> BootTime {
            BootTime(self.0.load(Ordering::Relaxed))
        }
    }

    #[test]
    fn a_bucket_empties_refills_and_belongs_to_one() {
        let hand = Arc::new(Hand::default());
        hand.0.store(1_000_000_000, Ordering::Relaxed);
        let clock: Arc<dyn Clock> = hand.clone();
        let three = NonZeroU32::new(3).expect("not zero");
        let rates = Rates { stranger_per_second: three, stranger_burst: three, ..Rates::default() };
        let limiter = Limiter::new(rates, &clock);
        let (one, other): (IpAddr, IpAddr) =
            ("192.0.2.1".parse().expect("literal"), "192.0.2.2".parse().expect("literal"));
        let left: Vec<u32> = (0..3).map(|_| limiter.take(None, one).remaining).collect();
        assert_eq!(left, [2, 1, 0]);
        let refused = limiter.take(None, one);
        assert!(!refused.is_allowed && refused.wait() <= Duration::from_millis(334), "{refused:?}");
        assert!(limiter.take(None, other).is_allowed);
        hand.0.fetch_add(334_000, Ordering::Relaxed);
        assert!(limiter.take(None, one).is_allowed);
        assert!(!limiter.take(None, one).is_allowed);
    }
}
