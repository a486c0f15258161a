//! Every hour, shard by shard, 56 s apart: finished hours become blocks. Spread over the hour, so that it costs the same
//! at every moment of it.

use std::time::Duration;

use quaywatch_core::{ShardId, Timestamp};

use super::{Job, Site, Turn, Work, after, breathe};

const HOUR: Duration = Duration::from_secs(3_600);
/// From shard to shard.
pub(super) const APART: Duration = Duration::from_secs(56);

pub(super) const JOB: Job =
    Job { name: "hour", next: |now| next_shard(now, Duration::ZERO), run: |site, turn| run(site, turn) };

fn run(site: &Site, turn: Turn) -> Work<'_> {
    Box::pin(async move {
        for shard in due(turn, Duration::ZERO) {
            let store = &site.shards[usize::from(shard.0)];
            while store.write_blocks(turn.now).await?.is_some() {
                breathe().await;
            }
        }
        Ok(())
    })
}

/// When the next shard's turn comes: shard `n` is due 56 s × `n` after the hour (and `offset`).
pub(super) fn next_shard(now: Timestamp, offset: Duration) -> Timestamp {
    let turns = ShardId::all().map(|shard| after(now, HOUR, offset + APART * u32::from(shard.0)));
    turns.min().unwrap_or(now + HOUR)
}

/// The shards whose turn it is: the one whose moment has just come; all of them at the first run.
pub(super) fn due(turn: Turn, offset: Duration) -> Vec<ShardId> {
    if turn.first {
        return ShardId::all().collect();
    }
    let since = |shard: &ShardId| {
        let next = after(turn.now, HOUR, offset + APART * u32::from(shard.0));
        turn.now.since(next - HOUR)
    };
    // A turn that was slept through comes with the next one.
    ShardId::all().filter(|shard| since(shard) < APART).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shard_has_its_turn_once_an_hour() {
        let mut now = Timestamp::from_secs(1_777_651_200);
        let mut turns = Vec::new();
        for _ in 0..64 {
            now = next_shard(now, Duration::ZERO);
            turns.extend(due(Turn { now, first: false }, Duration::ZERO).iter().map(|shard| shard.0));
        }
        turns.sort_unstable();
        assert_eq!(turns, (0..64).collect::<Vec<_>>());
        assert_eq!(due(Turn { now, first: true }, Duration::ZERO).len(), 64);
    }
}
