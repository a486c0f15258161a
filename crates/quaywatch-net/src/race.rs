//! A handful of futures beside each other in one task: upstreams, addresses, anchors. No spawning, no queue.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

type Runner<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Runs its futures; whichever is ready comes first. Dropping it drops those that still run.
pub(crate) struct Race<'a, T> {
    runners: Vec<(usize, Runner<'a, T>)>,
}

impl<T> Default for Race<'_, T> {
    fn default() -> Self {
        Self { runners: Vec::new() }
    }
}

impl<'a, T> Race<'a, T> {
    /// Adds a runner under a number of the caller's.
    pub(crate) fn join(&mut self, index: usize, runner: impl Future<Output = T> + Send + 'a) {
        self.runners.push((index, Box::pin(runner)));
    }

    /// Whether nobody runs.
    pub(crate) fn is_empty(&self) -> bool {
        self.runners.is_empty()
    }

    /// The next one that is ready. Waits for ever when nobody runs. May be dropped and called again.
    pub(crate) async fn next(&mut self) -> (usize, T) {
        poll_fn(|context| {
            for at in 0..self.runners.len() {
                if let Poll::Ready(value) = self.runners[at].1.as_mut().poll(context) {
                    let (index, _) = self.runners.swap_remove(at);
                    return Poll::Ready((index, value));
                }
            }
            Poll::Pending
        })
        .await
    }
}
