//! Room for what failing monitors need, taken many at a time so that it lies side by side. When everything goes down
//! at once, each case would otherwise be put among the events and snapshots of its moment; these are freed when they
//! are written, and the one case left on each page would keep the page in memory for as long as the outage lasts.

use crate::entry::Case;

/// 50 KB at a time.
const BATCH: usize = 256;

/// Empty cases in stock.
#[derive(Default)]
#[expect(clippy::vec_box, reason = "they move to monitors one by one, as boxes")]
pub(super) struct Pool(Vec<Box<Case>>);

impl Pool {
    pub(super) fn take(&mut self) -> Box<Case> {
        self.0.pop().unwrap_or_else(|| {
            self.0.extend(std::iter::repeat_with(Box::default).take(BATCH));
            // The next ones then come in the order of their addresses.
            self.0.reverse();
            Box::default()
        })
    }

    /// Whether a monitor has no case now: an empty one goes back into stock.
    pub(super) fn put_back_if_empty(&mut self, case: &mut Option<Box<Case>>) {
        if case.as_ref().is_some_and(|case| case.open.is_none() && case.failing.is_empty())
            && let Some(case) = case.take()
            && self.0.len() < BATCH
        {
            self.0.push(case);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_lie_side_by_side_and_the_stock_stays_small() {
        let mut pool = Pool::default();
        let cases: Vec<_> = (0..BATCH).map(|_| pool.take()).collect();
        assert!(cases.iter().all(|case| case.open.is_none() && case.failing.is_empty()));
        for case in cases {
            pool.put_back_if_empty(&mut Some(case));
        }
        assert!(pool.0.len() <= BATCH);
    }
}
