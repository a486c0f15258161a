//! Every hour, at half past: what is older than its retention is deleted, piece by piece.

use std::time::Duration;

use super::{Job, Site, Turn, Work, after, breathe};

pub(super) const JOB: Job = Job {
    name: "retain",
    next: |now| after(now, Duration::from_secs(3_600), Duration::from_secs(1_800)),
    run: |site, turn| run(site, turn),
};

fn run(site: &Site, turn: Turn) -> Work<'_> {
    Box::pin(async move {
        while site.system.retain(site.retention, turn.now).await?.more {
            breathe().await;
        }
        Ok(())
    })
}
