//! Looking once at what is not saved yet: what the monitor would see, address by address, and what its owner should
//! know before it is saved.

use std::time::Duration;

use quaywatch_core::Attempt;
use quaywatch_core::doc::{Node, Problem};

use super::refuse::not_built;
use super::{OperationError, Operations};
use crate::caller::Caller;
use crate::check::CheckReport;

/// Tests that run, bounded by account.
#[derive(Debug, Default)]
pub(crate) struct Tests;

/// What a test came to.
#[derive(Debug, Clone, PartialEq)]
pub struct TestedSpec {
    /// What the check saw: outcome, words, phases, proof.
    pub report: CheckReport,
    /// Every address of the host, and what came of it.
    pub addresses: Vec<Attempt>,
    /// What its owner should know: of the spec, and of what was seen. Codes: `private_address`, `loopback`, `udp`,
    /// `http_beside`, `harmful`, `hangs_up`, `slow`, …
    pub warnings: Vec<Problem>,
    /// A timeout that fits what was seen; `None` where nothing answered.
    pub suggested_timeout: Option<Duration>,
}

impl Operations {
    /// Runs a spec once, without saving it. A name is not needed.
    ///
    /// # Errors
    /// Where the caller may not, the spec is wrong, or too many tests of the account run already.
    pub async fn test_monitor(&self, caller: &Caller, body: &Node<'_>) -> Result<TestedSpec, OperationError> {
        let _ = (caller, body);
        Err(not_built())
    }
}
