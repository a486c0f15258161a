//! The same act on up to a thousand monitors, with an answer for each; all or nothing where that is asked for.
//!
//! Written in pieces, so that the store's writer serves others in between: only what must be whole is one piece.

use quaywatch_core::MonitorId;
use quaywatch_core::doc::{Node, Problem};

use super::monitors::PauseFor;
use super::refuse::not_built;
use super::{OperationError, Operations};
use crate::caller::Caller;

/// The most monitors in one call.
pub const MOST: usize = 1_000;

/// What to do.
#[derive(Debug, Clone)]
pub enum BulkAct<'a> {
    /// Makes monitors; an entry with `hosts`, `ports` or `preset` makes several.
    Create(&'a [Node<'a>]),
    /// Changes monitors.
    Update(Vec<BulkUpdate<'a>>),
    /// Stops looking.
    Pause(&'a [MonitorId], PauseFor),
    /// Looks again.
    Resume(&'a [MonitorId]),
    /// Puts monitors into the bin.
    Delete(&'a [MonitorId]),
}

/// A change of one monitor among many.
#[derive(Debug, Clone, Copy)]
pub struct BulkUpdate<'a> {
    /// Which.
    pub id: MonitorId,
    /// What is laid over it.
    pub patch: &'a Node<'a>,
    /// The revision that it must have.
    pub revision: Option<u32>,
}

/// What came of a call.
#[derive(Debug)]
pub struct BulkReport {
    /// One for each thing that was asked for, in that order.
    pub items: Vec<BulkItem>,
    /// False where all or nothing was asked for and something was wrong: nothing was changed.
    pub done: bool,
}

/// What came of one of them.
#[derive(Debug)]
pub struct BulkItem {
    /// The monitors that were written; of one that was not, why not. Where all or nothing was asked for, what is not
    /// wrong itself, but was not done because of others, has an empty list.
    pub outcome: Result<Vec<BulkDone>, OperationError>,
    /// What works but is probably not meant.
    pub warnings: Vec<Problem>,
}

/// One monitor that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkDone {
    /// Its number.
    pub id: MonitorId,
    /// Its name.
    pub name: String,
    /// Its revision now.
    pub revision: u32,
}

impl Operations {
    /// Does one thing to many monitors. `atomic`: all or nothing.
    ///
    /// # Errors
    /// Where the caller may not, or there are too many; what is wrong with single ones stands in the report.
    pub async fn bulk_monitors(
        &self,
        caller: &Caller,
        act: BulkAct<'_>,
        atomic: bool,
    ) -> Result<BulkReport, OperationError> {
        let _ = (caller, act, atomic);
        Err(not_built())
    }
}
