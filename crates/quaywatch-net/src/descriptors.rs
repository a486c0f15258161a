//! How many sockets the server may hold. Running out of descriptors must never look like a target's fault, so the
//! limit is raised at start and everything that dials in numbers asks here first; a reserve is left for the store,
//! the listener and whatever libraries open.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// The process's limit on open descriptors (RLIMIT_NOFILE).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// What the kernel enforces now.
    pub soft: u64,
    /// How far an unprivileged process may raise it.
    pub hard: u64,
}

/// Raises the soft limit to the hard one and says what holds now. Service managers keep the soft one at 1,024 for the
/// sake of programs that use select(2); this one does not.
///
/// # Errors
/// If the kernel refuses; the limit is then as it was.
pub fn raise_limit() -> io::Result<Limit> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(Limit { soft, hard })
}

/// A budget of descriptors, shared by all who dial. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Descriptors(Arc<Budget>);

#[derive(Debug)]
struct Budget {
    limit: usize,
    in_use: AtomicUsize,
}

impl Descriptors {
    /// A budget of `total` less `reserve`, at least one.
    #[must_use]
    pub fn new(total: u64, reserve: u64) -> Self {
        let limit = usize::try_from(total.saturating_sub(reserve)).unwrap_or(usize::MAX).max(1);
        Self(Arc::new(Budget { limit, in_use: AtomicUsize::new(0) }))
    }

    /// Takes `n` descriptors, all or none. They come back when the permit is dropped.
    #[must_use]
    pub fn try_take(&self, n: usize) -> Option<Permit> {
        let take = |in_use: usize| in_use.checked_add(n).filter(|sum| *sum <= self.0.limit);
        self.0.in_use.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok()?;
        Some(Permit { budget: Arc::clone(&self.0), n })
    }

    /// How many are taken.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.0.in_use.load(Ordering::Relaxed)
    }

    /// How many there are.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.0.limit
    }
}

/// Descriptors taken from the budget.
#[derive(Debug)]
pub struct Permit {
    budget: Arc<Budget>,
    n: usize,
}

impl Permit {
    /// Gives back `n` of the descriptors, at most all.
    pub fn release(&mut self, n: usize) {
        let n = n.min(self.n);
        self.n -= n;
        self.budget.in_use.fetch_sub(n, Ordering::Relaxed);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.release(self.n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_raised_to_the_hard_one() {
        let limit = raise_limit().unwrap();
        assert_eq!(limit.soft, limit.hard);
    }

    #[test]
    fn permits_are_all_or_none_and_come_back() {
        let budget = Descriptors::new(100, 90);
        let mut seven = budget.try_take(7).unwrap();
        assert!(budget.try_take(4).is_none());
        let three = budget.try_take(3).unwrap();
        assert_eq!((budget.in_use(), budget.limit()), (10, 10));
        seven.release(2);
        assert_eq!(budget.in_use(), 8);
        drop((seven, three));
        assert_eq!(budget.in_use(), 0);
        assert!(budget.try_take(usize::MAX).is_none());
    }
}
