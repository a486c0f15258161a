//! The four figures of uptime over a window, and what lies behind them.

use quaywatch_core::MonitorId;
use quaywatch_core::uptime::Uptime;
use quaywatch_store::records::Window;

use super::refuse::not_built;
use super::{OperationError, Operations};
use crate::caller::Caller;

/// Figures of one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UptimeView {
    /// As asked, cut off at now.
    pub window: Window,
    /// When the monitor was first looked at; before it there is no lifetime. `None`: not yet.
    pub born: Option<quaywatch_core::Timestamp>,
    /// The figures.
    pub uptime: Uptime,
    /// Incidents of severity critical that overlap the window.
    pub outages: u64,
}

impl Operations {
    /// The figures of one monitor, one answer for each window.
    ///
    /// # Errors
    /// Where the caller may not, there is no such monitor, or a window ends before it begins.
    pub async fn read_uptime(
        &self,
        caller: &Caller,
        monitor: MonitorId,
        windows: &[Window],
    ) -> Result<Vec<UptimeView>, OperationError> {
        let _ = (caller, monitor, windows);
        Err(not_built())
    }
}
