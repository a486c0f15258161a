//! Blocks that are older than 48 hours become day rows; each shard looks once an hour, between two turns of the hour's
//! job.

use std::time::Duration;

use super::{Job, Site, Turn, Work, breathe, hour};

const OFFSET: Duration = Duration::from_secs(28);

pub(super) const JOB: Job =
    Job { name: "day", next: |now| hour::next_shard(now, OFFSET), run: |site, turn| run(site, turn) };

fn run(site: &Site, turn: Turn) -> Work<'_> {
    Box::pin(async move {
        for shard in hour::due(turn, OFFSET) {
            let store = &site.shards[usize::from(shard.0)];
            while store.write_days(turn.now).await?.is_some() {
                breathe().await;
            }
        }
        Ok(())
    })
}
