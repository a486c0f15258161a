//! Raw results of one monitor: what each check saw, with the proof where there is one.

use quaywatch_core::{Attempt, ErrorCode, ErrorStatus, MonitorId, Timestamp, Verdict};
use quaywatch_store::records::Window;

use super::page::{Page, Paging};
use super::refuse::not_built;
use super::{OperationError, Operations};
use crate::caller::Caller;

/// Which results are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultQuery {
    /// Of which time.
    pub window: Window,
    /// Only from this location.
    pub location: Option<String>,
    /// Only those that were not `ok`.
    pub failures: bool,
    /// The newest first, as people read a log; else the oldest.
    pub newest_first: bool,
    /// Which page.
    pub paging: Paging,
}

/// One check.
#[derive(Debug, Clone, PartialEq)]
pub struct ResultView {
    /// Its slot.
    pub at: Timestamp,
    /// From where.
    pub location: String,
    /// What it means.
    pub verdict: Verdict,
    /// The public word; `None` when ok.
    pub error_status: Option<ErrorStatus>,
    /// The fine word.
    pub error_code: ErrorCode,
    /// From SYN to SYN-ACK; `None` for a failure.
    pub latency_us: Option<u32>,
    /// Time to resolve the name; 0 for literal and cached addresses.
    pub dns_us: u32,
    /// From the beginning to the verdict, where proof is kept.
    pub elapsed_us: Option<u32>,
    /// SYNs sent again.
    pub syn_retransmits: u8,
    /// The handshake was completed.
    pub full: bool,
    /// The observation was made for another, identical check.
    pub shared: bool,
    /// Our resolver was down; the last good addresses were dialled.
    pub stale_dns: bool,
    /// A recheck or check-now.
    pub recheck: bool,
    /// It reached the judge late.
    pub late: bool,
    /// Each address that was dialled, the deciding one first, where proof is kept.
    pub attempts: Vec<Attempt>,
    /// What else the proof says, in one line.
    pub detail: Option<String>,
}

impl Operations {
    /// Results of one monitor in a window.
    ///
    /// # Errors
    /// Where the caller may not, there is no such monitor, or the window or cursor is none.
    pub async fn list_results(
        &self,
        caller: &Caller,
        monitor: MonitorId,
        query: &ResultQuery,
    ) -> Result<Page<ResultView>, OperationError> {
        let _ = (caller, monitor, query);
        Err(not_built())
    }
}
