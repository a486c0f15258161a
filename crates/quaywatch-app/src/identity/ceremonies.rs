//! Ceremonies that take two requests: enrolling a second factor, registering or using a passkey, signing in at a
//! provider. What was begun is kept in memory, for minutes, in a bounded number, and is taken once. A restart loses
//! them: people begin again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use foldhash::fast::RandomState;
use quaywatch_core::BootTime;

/// How long somebody may take.
pub(super) const LIFETIME: Duration = Duration::from_secs(600);
/// Begun at once: each takes a few hundred bytes, and whoever floods the server with beginnings pushes out the oldest,
/// which are those of people who went away.
const MOST: usize = 10_000;

/// What was begun, by a key that nobody guesses.
#[derive(Debug)]
pub(super) struct Ceremonies<T>(Mutex<HashMap<String, (BootTime, T), RandomState>>);

impl<T> Default for Ceremonies<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Ceremonies<T> {
    /// Keeps what was begun under `key`, in place of what was there.
    pub(super) fn begin(&self, key: String, now: BootTime, what: T) {
        let mut begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if begun.len() >= MOST {
            begun.retain(|_, (at, _)| now.since(*at) < LIFETIME);
        }
        if begun.len() >= MOST {
            let oldest = begun.iter().min_by_key(|(_, (at, _))| *at).map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                begun.remove(&oldest);
            }
        }
        begun.insert(key, (now, what));
    }

    /// Takes what was begun, once, if it is not too old.
    pub(super) fn take(&self, key: &str, now: BootTime) -> Option<T> {
        let mut begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, what) = begun.remove(key)?;
        (now.since(at) < LIFETIME).then_some(what)
    }
}

impl<T: Clone> Ceremonies<T> {
    /// What was begun, which stays begun: for what may be tried again, such as a code that was mistyped.
    pub(super) fn look(&self, key: &str, now: BootTime) -> Option<T> {
        let begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        begun.get(key).filter(|(at, _)| now.since(*at) < LIFETIME).map(|(_, what)| what.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_begun_is_taken_once_and_in_time() {
        let ceremonies = Ceremonies::default();
        let start = BootTime(0);
        ceremonies.begin("a".to_owned(), start, 1);
        ceremonies.begin("b".to_owned(), start, 2);
        assert_eq!(ceremonies.take("a", start), Some(1));
        assert_eq!(ceremonies.take("a", start), None);
        assert_eq!(ceremonies.look("b", start + LIFETIME), None);
        assert_eq!(ceremonies.take("b", start + LIFETIME), None);
    }

    #[test]
    fn a_flood_pushes_out_the_oldest_only() {
        let ceremonies = Ceremonies::default();
        let second = Duration::from_secs(1);
        ceremonies.begin("oldest".to_owned(), BootTime(0), 0);
        for n in 0..MOST {
            ceremonies.begin(n.to_string(), BootTime(0) + second, n);
        }
        assert_eq!(ceremonies.take("oldest", BootTime(0) + second), None);
        assert_eq!(ceremonies.take("0", BootTime(0) + second), Some(0));
        assert_eq!(ceremonies.0.lock().expect("no panic").len(), MOST - 1);
    }
}
