//! Telling that no name server answers: once, to the operators, for all monitors whose names cannot be looked up.

use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::{Clock, Timestamp};
use quaywatch_engine::Engine;
use quaywatch_net::Resolver;

/// How often to look.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A shorter fault blinds nobody for long, and is not told.
const TOLD_AFTER: Duration = Duration::from_secs(120);

/// Looks until it is aborted.
pub(super) async fn watch(resolver: Resolver, engine: Arc<Engine>, clock: Arc<dyn Clock>) {
    let mut fault = Fault::default();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if let Some((since, until)) = fault.look(resolver.stats().down.read() > 0, clock.now()) {
            engine.tell_resolver(since, until);
        }
    }
}

/// A fault that may be going on.
#[derive(Debug, Default)]
struct Fault {
    since: Option<Timestamp>,
    is_told: bool,
}

impl Fault {
    /// What is to be told: since when, and until when where it is over.
    fn look(&mut self, is_down: bool, now: Timestamp) -> Option<(Timestamp, Option<Timestamp>)> {
        match (self.since, is_down) {
            (None, false) => None,
            (None, true) => {
                self.since = Some(now);
                None
            }
            (Some(since), true) if !self.is_told && now.since(since) > TOLD_AFTER => {
                self.is_told = true;
                Some((since, None))
            }
            (Some(_), true) => None,
            (Some(since), false) => {
                let was_told = std::mem::take(self).is_told;
                was_told.then_some((since, Some(now)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_two_minutes_is_told_once_and_its_end_too() {
        let at = Timestamp::from_secs;
        let mut fault = Fault::default();
        assert_eq!(fault.look(true, at(0)), None);
        assert_eq!(fault.look(false, at(60)), None, "too short to be told");
        assert_eq!(fault.look(true, at(100)), None);
        assert_eq!(fault.look(true, at(220)), None);
        assert_eq!(fault.look(true, at(221)), Some((at(100), None)));
        assert_eq!(fault.look(true, at(500)), None, "once");
        assert_eq!(fault.look(false, at(501)), Some((at(100), Some(at(501)))));
        assert_eq!(fault.look(false, at(502)), None);
    }
}
