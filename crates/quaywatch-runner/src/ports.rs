//! What the machine needs of the world, as narrow as it is used: somebody who dials, somebody who resolves, somebody
//! who looks at the anchors. Questions go out at once; answers are fetched by the loop, which never waits for one.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::health::{Family, Look};
use quaywatch_core::spec::IpFamily;
use quaywatch_core::{BootTime, Plan};
use quaywatch_net::Answer;
pub(crate) use quaywatch_probe::{Dial, Report};

/// Dials, in bulk and as dialogues.
pub(crate) trait Prober: Send {
    /// Begins plain checks. Every dial ends in one report, unless all are cancelled before.
    fn submit(&mut self, dials: Vec<Dial>);
    /// Begins a check that talks as `plan` says.
    fn talk(&mut self, dial: Dial, plan: &Arc<Plan>);
    /// Fetches what has ended, in any order.
    fn drain(&mut self, into: &mut Vec<Report>);
    /// Drops plain dials by their tokens: another address has decided. Those that were on their way are still reported.
    fn cancel(&mut self, tokens: &[u64]);
    /// Drops everything in flight; nothing more needs to be reported of it.
    fn cancel_all(&mut self);
}

/// Names a question to [`Names`], so that its answer is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Question {
    /// Which name.
    pub(crate) name: u32,
    /// Which time it was asked for.
    pub(crate) round: u32,
}

/// Resolves.
pub(crate) trait Names: Send {
    /// Asks; the answer comes within `limit`.
    fn ask(&mut self, question: Question, name: &Arc<str>, family: IpFamily, limit: Duration);
    /// Fetches answers.
    fn drain(&mut self, into: &mut Vec<(Question, Answer)>);
}

/// Looks at the anchors.
pub(crate) trait Anchors: Send {
    /// Looks at the anchors of a family.
    fn look(&mut self, family: Family);
    /// Fetches what was seen.
    fn drain(&mut self, into: &mut Vec<(Family, Look)>);
    /// Whether `ip` is this machine or on one of its links.
    fn is_near(&mut self, ip: IpAddr, now: BootTime) -> bool;
    /// What the anchors are, for evidence.
    fn describe(&self, family: Family) -> String;
}

/// All three.
pub(crate) struct Ports {
    /// Dials.
    pub(crate) prober: Box<dyn Prober>,
    /// Resolves.
    pub(crate) names: Box<dyn Names>,
    /// Looks at the anchors.
    pub(crate) anchors: Box<dyn Anchors>,
}
