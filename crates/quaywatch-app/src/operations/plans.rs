//! What the account's plan allows, asked before anything is added.

use std::sync::Arc;

use quaywatch_core::AccountId;

use super::{OperationError, Operations};
use crate::config::plans::Plan;

impl Operations {
    /// The plan of an account: the one whose `accounts` names it, else the server's `default_plan`, else one without
    /// limits.
    pub(crate) async fn plan_of(&self, account: AccountId) -> Result<Arc<Plan>, OperationError> {
        let settings = self.settings.now();
        if settings.plans.is_empty() {
            return Ok(Arc::new(Plan::unlimited()));
        }
        let accounts = self.store.system().accounts().await?;
        let name = accounts.into_iter().find(|known| known.id == account).map(|known| known.name);
        Ok(settings.plans.of(name.as_deref().unwrap_or_default()))
    }
}
