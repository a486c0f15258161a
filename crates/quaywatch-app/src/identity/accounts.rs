//! The accounts of a server and their plans, for its own host: whoever may write the data directory decides who has
//! which.

use quaywatch_core::doc::{closest, quote};
use quaywatch_core::{AccountId, Timestamp};

use super::Identity;
use super::host::require_host;
use crate::caller::Caller;
use crate::operations::OperationError;
use crate::operations::refuse::invalid;

/// An account, as the host sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountView {
    /// Its number.
    pub id: AccountId,
    /// What people call it.
    pub name: String,
    /// The name of the plan that it was given; empty: none.
    pub given: String,
    /// The name of the plan that holds; `None` where no plans are known.
    pub plan: Option<String>,
    /// How many monitors it has, those in the bin left out.
    pub monitors: u64,
    /// How many people belong to it.
    pub members: u64,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Identity {
    /// All accounts of this server.
    ///
    /// # Errors
    /// [`OperationError::Denied`] to anybody but the host.
    pub async fn list_accounts(&self, caller: &Caller) -> Result<Vec<AccountView>, OperationError> {
        require_host(caller)?;
        let mut accounts = Vec::new();
        for account in self.0.store.system().accounts().await? {
            accounts.push(self.seen_account(account.id).await?);
        }
        Ok(accounts)
    }

    /// Gives the caller's account a plan by its name; an empty one takes it back. It holds unless the server's file
    /// lists the account under another plan.
    ///
    /// # Errors
    /// [`OperationError::Denied`] to anybody but the host; [`OperationError::Invalid`] where plans are known, and this is
    /// none of them.
    pub async fn give_plan(&self, caller: &Caller, plan: &str) -> Result<AccountView, OperationError> {
        require_host(caller)?;
        let settings = self.settings();
        let known: Vec<&str> = settings.plans.iter().map(|plan| plan.name.as_str()).collect();
        if !plan.is_empty() && !known.is_empty() && !known.contains(&plan) {
            let remedy = match closest(plan, known.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("the plans are {}", known.join(", ")),
            };
            let message = format!("there is no plan {} in the server's file", quote(plan));
            return Err(invalid("plan", "undeclared", message, remedy));
        }
        self.account(caller).set_plan(plan.to_owned(), caller.author(), self.now()).await?;
        self.seen_account(caller.account).await
    }

    async fn seen_account(&self, id: AccountId) -> Result<AccountView, OperationError> {
        let store = self.0.store.account(id);
        let (detail, counts) = (store.detail().await?, store.counts().await?);
        let plans = &self.settings().plans;
        let holds = (!plans.is_empty()).then(|| plans.of(id, &detail.name, &detail.plan).name.clone());
        Ok(AccountView {
            id,
            name: detail.name,
            given: detail.plan,
            plan: holds,
            monitors: counts.monitors,
            members: counts.members,
            created_at: detail.created_at,
        })
    }
}
