//! The accounts of a server and their plans, for its own host: whoever may write the data directory decides who has
//! which.

use quaywatch_core::{AccountId, Timestamp};

use super::Identity;
use super::host::require_host;
use crate::caller::Caller;
use crate::operations::OperationError;

/// An account, as the host sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountView {
    /// Its number.
    pub id: AccountId,
    /// What people call it.
    pub name: String,
    /// The name of the plan that it was given; empty: none.
    pub given: String,
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
            let store = self.0.store.account(account.id);
            let (detail, counts) = (store.detail().await?, store.counts().await?);
            accounts.push(AccountView {
                id: detail.id,
                name: detail.name,
                given: detail.plan,
                monitors: counts.monitors,
                members: counts.members,
                created_at: detail.created_at,
            });
        }
        Ok(accounts)
    }

    /// Gives the caller's account a plan by its name; an empty one takes it back. It holds unless the server's file
    /// lists the account under another plan.
    ///
    /// # Errors
    /// [`OperationError::Denied`] to anybody but the host.
    pub async fn give_plan(&self, caller: &Caller, plan: &str) -> Result<(), OperationError> {
        require_host(caller)?;
        Ok(self.account(caller).set_plan(plan.to_owned(), caller.author(), self.now()).await?)
    }
}
