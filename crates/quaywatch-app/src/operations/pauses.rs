//! Pauses that end by themselves.

use std::time::Duration;

use quaywatch_core::Timestamp;
use quaywatch_store::StoreError;

use super::Operations;

/// How often to look for pauses that have ended: the next one may have been asked for just now.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Monitors that go on at once: a few milliseconds of the store's writer.
const PIECE: usize = 250;

impl Operations {
    /// Lets monitors go on when their pauses end, until it is aborted.
    pub async fn end_pauses(&self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if let Err(error) = self.end_due_pauses(self.clock.now()).await {
                tracing::warn!(%error, "pauses that have ended could not be ended yet");
            }
        }
    }

    async fn end_due_pauses(&self, now: Timestamp) -> Result<(), StoreError> {
        while self.store.system().next_pause_end().await?.is_some_and(|end| end <= now) {
            if self.changes.turn().await.end_pauses(now, PIECE).await? == 0 {
                return Ok(());
            }
        }
        Ok(())
    }
}
