//! What may be done to a monitor at run time, whoever owns it: pause, resume, look now.

use quaywatch_core::access::{Level, Policy, Resource};
use quaywatch_core::doc::quote;
use quaywatch_core::{MonitorId, Timestamp};
use quaywatch_engine::NotNow;
use quaywatch_store::records::{Applied, Pause};

use super::changes::Turn;
use super::monitors::{EDIT, MonitorView, PauseFor};
use super::refuse::invalid;
use super::{OperationError, Operations};
use crate::caller::Caller;

/// Asking for a look. It changes nothing that is watched, and whoever responds to an incident wants to know whether it
/// is over.
const RESPOND: Policy = Policy::new(Resource::Monitors, Level::Respond);
/// A reason is a sentence.
const LONGEST_REASON: usize = 500;

impl Operations {
    /// Stops looking, until then or until somebody resumes it; whoever owns the monitor. Kept over reloads.
    ///
    /// # Errors
    /// Where the caller may not, there is none, or the end lies in the past.
    pub async fn pause_monitor(
        &self,
        caller: &Caller,
        id: MonitorId,
        pause: &PauseFor,
    ) -> Result<MonitorView, OperationError> {
        self.pause_or_resume(caller, id, Some(pause)).await
    }

    /// Looks again. Resuming what is not paused changes nothing.
    ///
    /// # Errors
    /// Where the caller may not, or there is none.
    pub async fn resume_monitor(
        &self,
        caller: &Caller,
        id: MonitorId,
    ) -> Result<MonitorView, OperationError> {
        self.pause_or_resume(caller, id, None).await
    }

    async fn pause_or_resume(
        &self,
        caller: &Caller,
        id: MonitorId,
        pause: Option<&PauseFor>,
    ) -> Result<MonitorView, OperationError> {
        caller.require(EDIT)?;
        let turn = self.changes.turn().await;
        self.stored(caller.account, id).await?;
        self.set_paused(&turn, caller, vec![id], pause).await?;
        drop(turn);
        self.view(caller.account, id).await
    }

    /// Writes that these monitors are paused, or no longer, and returns when the engine follows.
    pub(super) async fn set_paused(
        &self,
        turn: &Turn<'_>,
        caller: &Caller,
        ids: Vec<MonitorId>,
        pause: Option<&PauseFor>,
    ) -> Result<Applied, OperationError> {
        let now = self.clock.now();
        let pause = pause.map(|pause| asked(pause, now)).transpose()?;
        Ok(turn.set_paused(caller.account, ids, pause, (caller.author(), now)).await?)
    }

    /// Looks now. The moment that comes back is when that was asked: the first result at or after it is the answer.
    ///
    /// # Errors
    /// Where the caller may not, there is none, it is paused, it is checked from elsewhere only, or somebody did so a
    /// moment ago.
    pub async fn check_now(&self, caller: &Caller, id: MonitorId) -> Result<Timestamp, OperationError> {
        caller.require(RESPOND)?;
        let record = self.stored(caller.account, id).await?;
        let Some(engine) = self.engine() else { return Err(nothing_checks()) };
        let conflict = |code, what: &str, remedy: &str| OperationError::Conflict {
            code,
            message: format!("monitor {} {what}: {remedy}", quote(&record.name)),
        };
        engine.check_now(id).await.map_err(|why| match why {
            NotNow::Unknown => OperationError::Unavailable(
                "the monitor is still being loaded: try again in a moment".to_owned(),
            ),
            NotNow::Paused => conflict("paused", "is paused", "resume it first"),
            NotNow::Elsewhere => {
                conflict("elsewhere", "is checked from other places", "its agents look by themselves")
            }
            NotNow::TooSoon(wait) => OperationError::Throttled(wait),
            NotNow::Stopped => nothing_checks(),
        })
    }
}

/// A pause that can be.
fn asked(pause: &PauseFor, now: Timestamp) -> Result<Pause, OperationError> {
    if pause.until.is_some_and(|until| until <= now) {
        let message = "`until` lies in the past";
        return Err(invalid("until", "past", message, "name a moment to come, or leave it out"));
    }
    let reason = pause.reason.as_deref().unwrap_or_default().trim();
    if reason.chars().count() > LONGEST_REASON {
        let message = format!("`reason` is longer than {LONGEST_REASON} characters");
        return Err(invalid("reason", "too_long", message, "shorten it"));
    }
    Ok(Pause { until: pause.until, reason: reason.to_owned() })
}

fn nothing_checks() -> OperationError {
    OperationError::Unavailable("nothing is checked here now: the server starts or stops".to_owned())
}
