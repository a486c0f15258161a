//! What the server's file says, as far as operations need it: swapped whole when the file is read again.

use std::sync::{Arc, PoisonError, RwLock};

use quaywatch_core::egress::{Accounts, EgressPolicy};

use crate::config::Config;
use crate::config::plans::Plans;

/// One reading of the file.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    /// The file's name, for people whose change it refuses; empty without one.
    pub(crate) path: String,
    pub(crate) accounts: Accounts,
    pub(crate) egress: EgressPolicy,
    pub(crate) plans: Plans,
}

impl Reading {
    fn of(config: &Config) -> Self {
        let server = &config.server;
        Self {
            path: config.path.clone(),
            accounts: server.accounts,
            egress: server.egress.clone(),
            plans: server.plans.clone(),
        }
    }
}

/// The settings that are in force.
#[derive(Debug)]
pub struct Settings(RwLock<Arc<Reading>>);

impl Settings {
    /// Those of a configuration.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self(RwLock::new(Arc::new(Reading::of(config))))
    }

    /// Those of another one, from now on.
    pub fn replace(&self, config: &Config) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Reading::of(config));
    }

    pub(crate) fn now(&self) -> Arc<Reading> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}
