//! Upkeep in pieces: what moves rows from one table to the next hands them to the writer a little at a time, so that
//! a step never waits long behind it. Rows are put before their sources are deleted; what is read in between, or
//! moved again after a crash, is recognised as the same check by its slot.

use std::collections::VecDeque;

use rusqlite::{Transaction, params};

use super::Inner;
use super::error::engine;
use crate::Result;

/// About 5 ms of writing.
const PIECE_BYTES: usize = 512 << 10;
/// What a row costs beside its bytes.
const ROW_COST: usize = 128;

/// Rows on their way from one table to another.
#[derive(Debug, Default)]
pub(super) struct Move {
    /// (id, data) to be written.
    pub puts: VecDeque<(i64, Vec<u8>)>,
    /// (id, bytes) to be deleted.
    pub deletes: VecDeque<(i64, usize)>,
    /// The time of the last commit among what is deleted from the log.
    pub last_commit: Option<i64>,
}

/// Between which tables.
#[derive(Debug, Clone, Copy)]
pub(super) struct Route {
    pub put: &'static str,
    pub delete: &'static str,
}

/// From the log to chunks.
pub(super) const SORT: Route = Route {
    put: "INSERT OR REPLACE INTO chunk (id, data) VALUES (?1, ?2)",
    delete: "DELETE FROM log WHERE id = ?1",
};
/// From chunks to blocks.
pub(super) const BLOCKS: Route = Route {
    put: "INSERT OR REPLACE INTO block (id, data) VALUES (?1, ?2)",
    delete: "DELETE FROM chunk WHERE id = ?1",
};

impl Move {
    /// The bytes that will be written.
    pub(super) fn bytes(&self) -> u64 {
        self.puts.iter().map(|(_, data)| data.len() as u64).sum()
    }

    /// Takes what fits into one transaction.
    fn next_piece(&mut self) -> Option<Self> {
        if self.puts.is_empty() && self.deletes.is_empty() {
            return None;
        }
        let mut piece = Self { last_commit: self.last_commit, ..Self::default() };
        let mut room = PIECE_BYTES;
        while room > 0
            && let Some(put) = self.puts.pop_front()
        {
            room = room.saturating_sub(put.1.len() + ROW_COST);
            piece.puts.push_back(put);
        }
        while room > 0
            && let Some(delete) = self.deletes.pop_front()
        {
            room = room.saturating_sub(delete.1 + ROW_COST);
            piece.deletes.push_back(delete);
        }
        Some(piece)
    }

    /// Lets the writer do all of it, piece by piece.
    pub(super) async fn run(mut self, inner: &Inner, route: Route) -> Result<()> {
        while let Some(piece) = self.next_piece() {
            inner.writer.upkeep(move |tx| piece.write(tx, route)).await?;
        }
        Ok(())
    }

    fn write(self, tx: &Transaction<'_>, route: Route) -> Result<()> {
        let mut put = tx.prepare_cached(route.put).map_err(engine)?;
        for (id, data) in &self.puts {
            put.execute(params![id, data]).map_err(engine)?;
        }
        let mut delete = tx.prepare_cached(route.delete).map_err(engine)?;
        for (id, _) in &self.deletes {
            delete.execute([id]).map_err(engine)?;
        }
        if let Some(at) = self.last_commit
            && !self.deletes.is_empty()
        {
            tx.prepare_cached(
                "INSERT INTO meta (key, value) VALUES ('last_commit', ?1)
                 ON CONFLICT (key) DO UPDATE SET value = max(value, excluded.value)",
            )
            .and_then(|mut s| s.execute([at]))
            .map_err(engine)?;
        }
        Ok(())
    }
}
