//! What may be done to a monitor at run time, whoever owns it: pause, resume, look now.

use std::time::Duration;

use quaywatch_core::access::{Level, Policy, Resource};
use quaywatch_core::doc::quote;
use quaywatch_core::{AccountId, MonitorId, Timestamp};
use quaywatch_engine::NotNow;
use quaywatch_store::records::{Applied, MonitorRecord, Owner, Pause};

use super::changes::Turn;
use super::monitors::{EDIT, MonitorView, PauseFor};
use super::reading::ToSpec as _;
use super::refuse::invalid;
use super::{OperationError, Operations};
use crate::caller::Caller;

/// Asking for a look. It changes nothing that is watched, and whoever responds to an incident wants to know whether it
/// is over.
const RESPOND: Policy = Policy::new(Resource::Monitors, Level::Respond);
/// Where a plan has a shortest interval, nobody goes round it by asking: a look that was asked for comes so much of that
/// interval after the last look, and never later than [`LONGEST_WAIT`].
const SHARE_OF_INTERVAL: u32 = 10;
const LONGEST_WAIT: Duration = Duration::from_secs(30);
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
    /// Where the caller may not, there is none, or it is switched off: then nobody would look all the same.
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
        let record = self.stored(caller.account, id).await?;
        if pause.is_none() {
            expect_enabled(&record)?;
        }
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
    /// moment ago or the plan asks for more patience.
    pub async fn check_now(&self, caller: &Caller, id: MonitorId) -> Result<Timestamp, OperationError> {
        caller.require(RESPOND)?;
        let record = self.stored(caller.account, id).await?;
        expect_enabled(&record)?;
        let Some(engine) = self.engine() else { return Err(nothing_checks()) };
        self.await_turn(caller.account, id).await?;
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

    /// Refuses where the last look was a moment ago, in the measure of the account's plan.
    async fn await_turn(&self, account: AccountId, id: MonitorId) -> Result<(), OperationError> {
        let Some(least) = self.plan_of(account).await?.min_interval else { return Ok(()) };
        let Some(last) = self.last_checks(vec![id]).await.remove(&id) else { return Ok(()) };
        let wait =
            (least / SHARE_OF_INTERVAL).min(LONGEST_WAIT).saturating_sub(self.clock.now().since(last.at));
        if wait.is_zero() { Ok(()) } else { Err(OperationError::Throttled(wait)) }
    }
}

/// A monitor that is switched off is not looked at, whoever resumes it.
pub(super) fn expect_enabled(record: &MonitorRecord) -> Result<(), OperationError> {
    if record.to_spec()?.enabled {
        return Ok(());
    }
    let remedy = match &record.owner {
        Owner::Api => format!("set it with `PATCH /api/v1/monitors/{} {{\"enabled\": true}}`", record.id),
        Owner::File => "set `enabled: true` in the server's file, which owns it".to_owned(),
        Owner::Apply(name) => {
            format!("set `enabled: true` in the document of `quaywatch apply` that owns it ({})", quote(name))
        }
    };
    let message = format!("monitor {} is switched off (`enabled: false`): {remedy}", quote(&record.name));
    Err(OperationError::Conflict { code: "switched_off", message })
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
