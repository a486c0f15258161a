//! The account itself: its name, its plan, what the plan allows and how much of it is used.

use std::time::Duration;

use quaywatch_core::AccountId;
use quaywatch_core::access::{Level, Policy, Resource};

use super::{OperationError, Operations};
use crate::caller::Caller;

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountView {
    /// Its number.
    pub id: AccountId,
    /// Its name.
    pub name: String,
    /// The plan's name.
    pub plan: String,
    /// What the plan allows.
    pub limits: LimitsView,
    /// How much there is.
    pub used: UseView,
}

/// What a plan allows; `None`: no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LimitsView {
    /// Monitors of every kind.
    pub max_urls: Option<u64>,
    /// The shortest interval.
    pub min_interval: Option<Duration>,
    /// Channels.
    pub channels: Option<u64>,
    /// Locations by name; `None`: all.
    pub locations: Option<Vec<String>>,
    /// How long raw results are kept.
    pub retention: Option<Duration>,
    /// Status pages.
    pub status_pages: Option<u64>,
}

/// How much there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UseView {
    /// Monitors, those in the bin left out.
    pub monitors: u64,
    /// Channels, those in the bin left out.
    pub channels: u64,
    /// People.
    pub members: u64,
    /// API tokens that are valid.
    pub tokens: u64,
}

impl Operations {
    /// The caller's account.
    ///
    /// # Errors
    /// Where the caller may not.
    pub async fn read_account(&self, caller: &Caller) -> Result<AccountView, OperationError> {
        caller.require(Policy::new(Resource::Account, Level::Look))?;
        let store = self.account(caller);
        let (detail, counts) = (store.detail().await?, store.counts().await?);
        let plan = self.plan_of(caller.account).await?;
        Ok(AccountView {
            id: detail.id,
            name: detail.name,
            plan: plan.name.clone(),
            limits: LimitsView {
                max_urls: plan.max_urls,
                min_interval: plan.min_interval,
                channels: plan.channels,
                locations: plan.locations.clone(),
                retention: plan.retention,
                status_pages: plan.status_pages,
            },
            used: UseView {
                monitors: counts.monitors,
                channels: counts.channels,
                members: counts.members,
                tokens: counts.tokens,
            },
        })
    }
}
