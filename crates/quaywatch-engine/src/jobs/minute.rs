//! Every minute, five seconds after its end: the finished minutes of the log become chunks, sorted by shard.

use std::time::Duration;

use super::{Job, Site, Turn, Work, after, breathe};

pub(super) const JOB: Job = Job {
    name: "minute",
    next: |now| after(now, Duration::from_secs(60), Duration::from_secs(5)),
    run: |site, turn| run(site, turn),
};

fn run(site: &Site, turn: Turn) -> Work<'_> {
    Box::pin(async move {
        while site.system.sort_minutes(turn.now).await?.is_some() {
            breathe().await;
        }
        Ok(())
    })
}
