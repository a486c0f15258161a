//! Changes of configured things that are being followed: one after another, in parts, between the results of everybody
//! else. One account may bring a hundred thousand monitors at once; the results of another are judged, and its
//! decisions written, as if nothing happened.

use std::collections::VecDeque;

use tokio::sync::oneshot;

use crate::config::Checks;
use crate::judging::{Judging, Reload};

/// Monitors followed in one turn: some two milliseconds of work.
const PART: usize = 256;
/// A group that holds so many acts gets no more of them: the store's writer has others to serve.
const MOST_ACTS: usize = 1_024;

/// Changes that came and are not followed to their end.
#[derive(Default)]
pub(crate) struct Changes(VecDeque<(Box<Reload>, oneshot::Sender<()>)>);

impl Changes {
    pub(crate) fn push(&mut self, reload: Box<Reload>, done: oneshot::Sender<()>) {
        self.0.push_back((reload, done));
    }

    /// Whether [`Changes::follow`] would do something now, rather than after the next commit.
    pub(crate) fn can_go_on(&self, judging: &mut Judging) -> bool {
        !self.0.is_empty() && judging.steps().inputs() < MOST_ACTS
    }

    /// Follows a part; gives who waited for the end of a change, if that is reached.
    pub(crate) fn follow(
        &mut self,
        judging: &mut Judging,
        checks: &dyn Checks,
    ) -> Option<oneshot::Sender<()>> {
        if !self.can_go_on(judging) {
            return None;
        }
        let (reload, _) = self.0.front_mut()?;
        let followed = judging.reload(reload, PART);
        if !followed.gone.is_empty() {
            checks.remove(followed.gone);
        }
        if !followed.jobs.is_empty() {
            checks.upsert(followed.jobs);
        }
        if !followed.done {
            return None;
        }
        self.0.pop_front().map(|(_, done)| done)
    }
}
