//! How often somebody may try to sign in: by address (IPv6 by /64, which is one customer), by account from that
//! address, and, far more generously, by account from everywhere, so that many addresses together cannot guess and one
//! stranger does not lock a person out: from where somebody is signed in, only their own attempts from there count; and
//! a session that is asked for the password again has a count of its own.
//!
//! Every attempt counts, the right ones too: a limit that only the wrong ones fill tells an attacker which were which.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use quaywatch_core::Clock;
use quaywatch_store::records::SecretHash;

use super::sign_in::Place;
use crate::operations::OperationError;

/// From one address: a whole office behind it signs in at nine o'clock.
const PER_ADDRESS: (u32, Duration) = (30, Duration::from_secs(5));
/// One account from one address: nobody mistypes ten times in a row and then knows it.
const PER_PAIR: (u32, Duration) = (10, Duration::from_secs(30));
/// One account from everywhere: 300 guesses an hour find nothing that may be chosen.
const PER_ACCOUNT: (u32, Duration) = (100, Duration::from_secs(12));
/// Looks at the tables are counted up to this, then those at rest are forgotten.
const SWEEP_EVERY: usize = 1_000;

/// Counts attempts.
#[derive(Debug)]
pub(super) struct Throttle {
    addresses: Limiter<IpAddr>,
    pairs: Limiter<([u8; 32], IpAddr)>,
    accounts: Limiter<[u8; 32]>,
    sessions: Limiter<[u8; 32]>,
    clock: Boot,
    attempts: std::sync::atomic::AtomicUsize,
}

type Limiter<K> = RateLimiter<K, DefaultKeyedStateStore<K>, Boot, NoOpMiddleware<Nanos>>;

impl Throttle {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let clock = Boot(clock);
        Self {
            addresses: RateLimiter::new(quota(PER_ADDRESS), DefaultKeyedStateStore::default(), clock.clone()),
            pairs: RateLimiter::new(quota(PER_PAIR), DefaultKeyedStateStore::default(), clock.clone()),
            accounts: RateLimiter::new(quota(PER_ACCOUNT), DefaultKeyedStateStore::default(), clock.clone()),
            sessions: RateLimiter::new(quota(PER_PAIR), DefaultKeyedStateStore::default(), clock.clone()),
            clock,
            attempts: std::sync::atomic::AtomicUsize::new(0),
        }
    }

    /// Counts an attempt from an address that names no account.
    pub(super) fn address(&self, address: IpAddr) -> Result<(), OperationError> {
        self.sweep();
        self.ask(&self.addresses, &network(address))
    }

    /// Counts an attempt to sign in as `email`, after [`Throttle::address`].
    pub(super) fn person(&self, email: &str, address: IpAddr, place: Place) -> Result<(), OperationError> {
        // A hash: keys of one size, whatever is sent as an address of mail.
        let account = super::bearer::hash(&email.to_lowercase());
        self.ask(&self.pairs, &(account, network(address)))?;
        match place {
            Place::Known => Ok(()),
            Place::Strange => self.ask(&self.accounts, &account),
        }
    }

    /// Counts an attempt of somebody who is signed in to prove it again.
    pub(super) fn session(&self, hash: SecretHash) -> Result<(), OperationError> {
        self.sweep();
        self.ask(&self.sessions, &hash.0)
    }

    fn ask<K: std::hash::Hash + Eq + Clone>(
        &self,
        limiter: &Limiter<K>,
        key: &K,
    ) -> Result<(), OperationError> {
        limiter
            .check_key(key)
            .map_err(|not_until| OperationError::Throttled(not_until.wait_time_from(self.clock.now())))
    }

    /// Forgets who has not tried for long, so that a table holds only those who did just now.
    fn sweep(&self) {
        use std::sync::atomic::Ordering;
        if self.attempts.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            self.addresses.retain_recent();
            self.pairs.retain_recent();
            self.accounts.retain_recent();
            self.sessions.retain_recent();
        }
    }
}

/// What counts as one place: an IPv4 address, or the /64 of an IPv6 one.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

fn quota((burst, each): (u32, Duration)) -> Quota {
    Quota::with_period(each)
        .expect("the period is not zero")
        .allow_burst(NonZeroU32::new(burst).expect("the burst is not zero"))
}

/// The injected clock, as governor reads it.
#[derive(Clone)]
struct Boot(Arc<dyn Clock>);

impl std::fmt::Debug for Boot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Boot")
    }
}

impl GovernorClock for Boot {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.0.boot().0.saturating_mul(NANOS_PER_TICK))
    }
}

/// [`quaywatch_core::BootTime`] counts microseconds.
const NANOS_PER_TICK: u64 = 1_000;

#[cfg(test)]
mod tests {
    use quaywatch_testkit::clock::ManualClock;

    use super::*;

    fn throttle() -> (Arc<ManualClock>, Throttle) {
        let clock = Arc::new(ManualClock::new());
        let throttle = Throttle::new(Arc::<ManualClock>::clone(&clock));
        (clock, throttle)
    }

    impl Throttle {
        fn sign_in(&self, email: &str, address: IpAddr) -> Result<(), OperationError> {
            self.address(address)?;
            self.person(email, address, Place::Strange)
        }
    }

    fn from(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn wait(result: Result<(), OperationError>) -> Duration {
        match result {
            Err(OperationError::Throttled(wait)) => wait,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn guessing_one_account_is_slow_and_does_not_lock_its_owner_out() {
        let (clock, throttle) = throttle();
        let (attacker, owner) = (from("192.0.2.1"), from("198.51.100.7"));
        for _ in 0..10 {
            throttle.sign_in("kim@example.com", attacker).expect("within the burst");
        }
        let wait = wait(throttle.sign_in("KIM@example.com", attacker));
        assert!(wait > Duration::from_secs(25) && wait <= Duration::from_secs(30), "{wait:?}");
        throttle.sign_in("kim@example.com", owner).expect("the owner comes from elsewhere");
        clock.advance(wait);
        throttle.sign_in("kim@example.com", attacker).expect("one more after the wait");
    }

    #[test]
    fn many_addresses_together_cannot_guess_either() {
        let (_, throttle) = throttle();
        let allowed = (0..1_000_u32)
            .filter(|n| {
                let address = IpAddr::V4(std::net::Ipv4Addr::from(0xc633_6400 + n));
                throttle.sign_in("kim@example.com", address).is_ok()
            })
            .count();
        assert_eq!(allowed, 100);
        let home = from("192.0.2.7");
        let tried =
            (0..20).filter(|_| throttle.person("kim@example.com", home, Place::Known).is_ok()).count();
        assert_eq!(tried, 10, "from where they are signed in the crowd counts for nothing");
    }

    #[test]
    fn a_session_is_asked_again_so_often_and_no_stranger_counts() {
        let (clock, throttle) = throttle();
        let asked = |n: u8| (0..20).filter(|_| throttle.session(SecretHash([n; 32])).is_ok()).count();
        assert_eq!((asked(1), asked(2)), (10, 10));
        clock.advance(Duration::from_secs(30));
        assert_eq!(asked(1), 1);
    }

    #[test]
    fn one_place_cannot_try_many_accounts_whichever_of_its_addresses_it_uses() {
        let (_, throttle) = throttle();
        let allowed = (0..200_u16)
            .filter(|n| {
                let address = from(&format!("2001:db8:1:2:{n:x}::1"));
                throttle.sign_in(&format!("somebody{n}@example.com"), address).is_ok()
            })
            .count();
        assert_eq!(allowed, 30);
        throttle.sign_in("kim@example.com", from("2001:db8:1:3::1")).expect("the neighbour's /64");
        let mapped = (0..40).filter(|_| throttle.address(from("::ffff:192.0.2.9")).is_ok()).count();
        assert_eq!(mapped, 30);
        wait(throttle.address(from("192.0.2.9")));
    }

    #[test]
    fn who_has_not_tried_for_long_is_forgotten() {
        let (clock, throttle) = throttle();
        for n in 0..SWEEP_EVERY as u32 - 1 {
            throttle.address(IpAddr::V4(std::net::Ipv4Addr::from(n))).expect("each for the first time");
        }
        clock.advance(Duration::from_secs(3_600));
        throttle.address(from("192.0.2.1")).expect("allowed");
        assert!(throttle.addresses.len() <= 1, "{}", throttle.addresses.len());
    }
}
