//! Sets of milliseconds as sorted spans that neither touch nor overlap.

use super::Span;
use crate::time::Timestamp;

/// A set of milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Spans(Vec<(i64, i64)>);

impl Spans {
    /// Any spans, in any order; those that overlap are merged, those that are empty or reversed left out.
    pub(super) fn of(spans: impl IntoIterator<Item = Span>) -> Self {
        let all = spans
            .into_iter()
            .map(|span| (span.from.millis(), span.to.millis()))
            .filter(|(from, to)| from < to)
            .collect();
        Self(merged(all))
    }

    pub(super) fn and(&self, other: &Self) -> Self {
        let (mut a, mut b) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut both = Vec::new();
        while let (Some(left), Some(right)) = (a.peek(), b.peek()) {
            let (from, to) = (left.0.max(right.0), left.1.min(right.1));
            if from < to {
                both.push((from, to));
            }
            if left.1 < right.1 {
                a.next()
            } else {
                b.next()
            };
        }
        Self(both)
    }

    pub(super) fn without(&self, other: &Self) -> Self {
        let mut left = Vec::new();
        let mut holes = other.0.iter().peekable();
        for (mut from, to) in self.0.iter().copied() {
            while let Some((hole_from, hole_to)) = holes.peek().filter(|hole| hole.0 < to) {
                if from < *hole_from {
                    left.push((from, *hole_from));
                }
                from = from.max(*hole_to);
                if *hole_to > to {
                    break;
                }
                holes.next();
            }
            if from < to {
                left.push((from, to));
            }
        }
        Self(left)
    }

    pub(super) fn or(&self, other: &Self) -> Self {
        Self(merged(self.0.iter().chain(&other.0).copied().collect()))
    }

    pub(super) fn into_spans(self) -> Vec<Span> {
        let time = |ms: i64| Timestamp(ms.saturating_mul(1_000));
        self.0.into_iter().map(|(from, to)| Span { from: time(from), to: time(to) }).collect()
    }

    pub(super) fn total_ms(&self) -> u64 {
        self.0.iter().map(|(from, to)| to.abs_diff(*from)).sum()
    }
}

fn merged(mut all: Vec<(i64, i64)>) -> Vec<(i64, i64)> {
    all.sort_unstable();
    let mut merged: Vec<(i64, i64)> = Vec::with_capacity(all.len());
    for (from, to) in all {
        match merged.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            Some(_) | None => merged.push((from, to)),
        }
    }
    merged
}
