//! Writes what came of attempts to the store, in order, in batches, beside everything else. While the store takes
//! nothing, rows wait here; a notice that was sent and not recorded is sent again after a crash, under the same key.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::ShardId;
use quaywatch_store::ShardStore;
use quaywatch_store::records::{DeliveryState, DeliveryUpdate};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// The store's handles, by shard.
pub(crate) type ShardStores = Arc<[Arc<dyn ShardStore>]>;

/// Rows written at once.
const AT_ONCE: usize = 1_000;
/// The most rows that wait for a store that takes nothing; beyond it, rows of attempts that will be repeated are dropped
/// first: they only say what the next one will say again.
const MOST_WAITING: usize = 100_000;
/// How long to leave a store alone that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the end of the server waits for the last rows.
const GRACE: Duration = Duration::from_secs(5);

pub(crate) struct Recorder {
    rows: Option<mpsc::UnboundedSender<Vec<DeliveryUpdate>>>,
    task: JoinHandle<()>,
}

pub(crate) fn start(stores: ShardStores) -> Recorder {
    let (rows, inbox) = mpsc::unbounded_channel();
    Recorder { rows: Some(rows), task: tokio::spawn(run(stores, inbox)) }
}

impl Recorder {
    pub(crate) fn write(&self, rows: Vec<DeliveryUpdate>) {
        if let Some(to) = self.rows.as_ref().filter(|_| !rows.is_empty()) {
            // The task ends only after this sender is dropped.
            let _ = to.send(rows);
        }
    }

    /// Writes what is left.
    pub(crate) async fn finish(mut self) {
        self.rows = None;
        if tokio::time::timeout(GRACE, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

async fn run(stores: ShardStores, mut inbox: mpsc::UnboundedReceiver<Vec<DeliveryUpdate>>) {
    let mut waiting = VecDeque::new();
    while let Some(rows) = inbox.recv().await {
        waiting.extend(rows);
        while !waiting.is_empty() {
            while let Ok(rows) = inbox.try_recv() {
                waiting.extend(rows);
            }
            bound(&mut waiting);
            if !write(&stores, &mut waiting).await {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn bound(waiting: &mut VecDeque<DeliveryUpdate>) {
    if waiting.len() > MOST_WAITING {
        waiting.retain(|row| row.state != DeliveryState::Queued);
    }
}

/// Writes the first rows, by shard; false: the store failed, and what it did not take is back in its place.
async fn write(stores: &ShardStores, waiting: &mut VecDeque<DeliveryUpdate>) -> bool {
    let mut by_shard: BTreeMap<ShardId, Vec<DeliveryUpdate>> = BTreeMap::new();
    for row in waiting.drain(..waiting.len().min(AT_ONCE)) {
        by_shard.entry(row.notice.channel.shard()).or_default().push(row);
    }
    let mut failed = Vec::new();
    for (shard, rows) in by_shard {
        if let Err(error) = stores[usize::from(shard.0)].record_deliveries(rows.clone()).await {
            tracing::warn!(shard = shard.0, %error, rows = rows.len(), "deliveries could not be recorded yet");
            if error.is_transient() {
                failed.extend(rows);
            }
        }
    }
    let all_written = failed.is_empty();
    for row in failed.into_iter().rev() {
        waiting.push_front(row);
    }
    all_written
}
