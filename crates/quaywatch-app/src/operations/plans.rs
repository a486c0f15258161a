//! What the account's plan allows, asked before anything is added.

#[cfg(test)]
mod room_tests;

use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::{AccountId, MonitorSpec};
use tokio::sync::OwnedMutexGuard;

use super::{Allowed, OperationError, Operations, bin};
use crate::config::plans::Plan;

impl Operations {
    /// The plan of an account: the one whose `accounts` names it, else the one that the account was given, else the
    /// server's `default_plan`, else one without limits.
    pub(crate) async fn plan_of(&self, account: AccountId) -> Result<Arc<Plan>, OperationError> {
        let settings = self.settings.now();
        if settings.plans.is_empty() {
            return Ok(Arc::new(Plan::unlimited()));
        }
        let detail = self.store.account(account).detail().await?;
        Ok(settings.plans.of(account, &detail.name, &detail.plan))
    }

    /// What may still be added. Asked for inside a turn, so that nobody else adds meanwhile.
    pub(super) async fn room(&self, account: AccountId) -> Result<Room, OperationError> {
        let plan = self.plan_of(account).await?;
        // Without a limit nobody counts.
        let used = if plan.max_urls.is_some() { self.count_stored(account).await? } else { 0 };
        let bin_full = match bin::most_to_add(&plan) {
            // Whether there are more is all that matters.
            Some(most) if self.store.account(account).in_bin(most.saturating_add(1)).await? > most => {
                Some(most)
            }
            Some(_) | None => None,
        };
        Ok(Room { plan, used, bin_full })
    }

    /// To be held by whoever adds, around its turns. A document is measured as a whole and written in pieces: where the
    /// plan has limits, nobody adds to the account meanwhile, so that what was found to fit does.
    pub(super) async fn alone(
        &self,
        account: AccountId,
    ) -> Result<Option<OwnedMutexGuard<()>>, OperationError> {
        let plan = self.plan_of(account).await?;
        if plan.max_urls.is_none() && plan.channels.is_none() {
            return Ok(None);
        }
        Ok(Some(self.changes.document(account).await))
    }
}

/// The default of `retry_interval`, and so what nobody's plan forbids.
const SOONEST_RETRY: Duration = Duration::from_secs(5);
/// Failures in a row before an alert, with a look after each.
const MOST_FAILURES: u16 = 10;

/// What a plan still has room for.
#[derive(Debug, Clone)]
pub(super) struct Room {
    plan: Arc<Plan>,
    used: u64,
    /// More monitors than this lie in the bin: too many for others to be added.
    bin_full: Option<u64>,
}

impl Room {
    /// One more monitor.
    pub(super) fn add(&mut self, spec: &MonitorSpec) -> Result<(), OperationError> {
        self.allows(spec, None)?;
        if let Some(most) = self.plan.max_urls.filter(|most| self.used >= *most) {
            return Err(self.limit("max_urls", Allowed::Monitors(most)));
        }
        if let Some(most) = self.bin_full {
            return Err(bin::full(most));
        }
        self.used += 1;
        Ok(())
    }

    /// A monitor becomes another. What it was allowed before stays allowed: a plan that shrinks keeps nobody from
    /// mending a name.
    pub(super) fn change(&self, new: &MonitorSpec, old: &MonitorSpec) -> Result<(), OperationError> {
        self.allows(new, Some(old))
    }

    /// One less.
    pub(super) const fn remove(&mut self) {
        self.used = self.used.saturating_sub(1);
    }

    fn allows(&self, new: &MonitorSpec, old: Option<&MonitorSpec>) -> Result<(), OperationError> {
        if let Some(least) = self.plan.min_interval.filter(|least| new.check_interval < *least)
            && old.is_none_or(|old| new.check_interval < old.check_interval)
        {
            return Err(self.limit("min_interval", Allowed::Interval(least)));
        }
        if self
            .plan
            .min_interval
            .is_some_and(|least| hammers(new, least) && !old.is_some_and(|old| hammers(old, least)))
        {
            let allowed = Allowed::Retries { least: SOONEST_RETRY, in_a_row: MOST_FAILURES };
            return Err(self.limit("min_interval", allowed));
        }
        if let Some(allowed) = &self.plan.locations {
            let is_new = |name: &&String| old.is_none_or(|old| !old.locations.contains(name));
            let beyond = new.locations.iter().filter(is_new).find(|name| !allowed.contains(name));
            if beyond.is_some() {
                return Err(self.limit("locations", Allowed::Locations(allowed.clone())));
            }
        }
        Ok(())
    }

    fn limit(&self, limit: &'static str, allowed: Allowed) -> OperationError {
        OperationError::Limit { limit, plan: self.plan.name.clone(), allowed }
    }
}

/// Whether retries would come in the place of checks that the plan does not allow: a failure is looked at again soon,
/// because that is how an outage is told from a hiccup, but not at any rate and not for ever.
fn hammers(spec: &MonitorSpec, least: Duration) -> bool {
    spec.retry_interval < SOONEST_RETRY.min(least) || spec.consecutive_failures_before_alert > MOST_FAILURES
}

#[cfg(test)]
mod tests {
    use quaywatch_core::spec::Host;

    use super::*;

    fn spec(seconds: u64) -> MonitorSpec {
        let mut spec = MonitorSpec::tcp("x", Host::Name("a".into()), 1);
        spec.check_interval = Duration::from_secs(seconds);
        spec
    }

    fn room(plan: Plan, used: u64) -> Room {
        Room { plan: Arc::new(Plan { name: "free".into(), ..plan }), used, bin_full: None }
    }

    #[test]
    fn t18_p22_z22_a_plan_counts_monitors_and_says_its_limit() {
        let mut room = room(Plan { max_urls: Some(5), ..Plan::default() }, 4);
        room.add(&spec(60)).expect("the fifth");
        let error = room.add(&spec(60)).expect_err("the sixth").to_string();
        assert_eq!(error, "the plan `free` allows 5 monitors of every kind (`max_urls`)");
        room.remove();
        assert!(room.add(&spec(60)).is_ok());
    }

    #[test]
    fn t18_a_plan_has_a_shortest_interval() {
        let room = room(Plan { min_interval: Some(Duration::from_secs(300)), ..Plan::default() }, 0);
        let error = room.clone().add(&spec(60)).expect_err("too often").to_string();
        assert!(error.contains("a check every 5m at most"), "{error}");
        assert!(room.change(&spec(60), &spec(60)).is_ok(), "it was allowed once");
        assert!(room.change(&spec(30), &spec(60)).is_err());
        assert!(room.change(&spec(120), &spec(60)).is_ok(), "better than before");
    }

    #[test]
    fn t18_retries_are_no_way_round_the_shortest_interval() {
        let room = room(Plan { min_interval: Some(Duration::from_secs(300)), ..Plan::default() }, 0);
        let mut often = spec(300);
        often.retry_interval = Duration::from_millis(100);
        assert!(room.clone().add(&often).is_err());
        assert!(room.change(&often, &often).is_ok(), "it was allowed once");
        let mut long = spec(300);
        long.consecutive_failures_before_alert = 100;
        assert!(room.clone().add(&long).is_err());
        long.consecutive_failures_before_alert = 10;
        assert!(room.clone().add(&long).is_ok());
    }

    #[test]
    fn a_plan_names_its_locations() {
        let mut here = spec(60);
        let locations = Some(vec!["local".to_owned()]);
        let mut room = room(Plan { locations, ..Plan::default() }, 0);
        assert!(room.add(&here).is_ok());
        here.locations.push("eu-west".to_owned());
        assert!(room.add(&here).is_err());
    }
}
