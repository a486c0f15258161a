//! What the server's file says, as far as operations need it: swapped whole when the file is read again.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use quaywatch_core::egress::{EgressPolicy, Network};

use crate::config::Config;
use crate::config::plans::Plans;

/// One reading of the file.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    /// The file's name, for people whose change it refuses; empty without one.
    pub(crate) path: String,
    pub(crate) egress: EgressPolicy,
    pub(crate) plans: Plans,
    /// How long things stay in the bin.
    pub(crate) bin: Duration,
    pub(crate) front: Arc<Front>,
}

/// What whoever listens for people and programs needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Front {
    /// Whose word about the client's address is believed.
    pub trusted_proxies: Arc<[Network]>,
    /// The beginning of every link.
    pub public_url: Option<String>,
    /// Requests that one caller may make.
    pub requests_per_second: u32,
}

impl Reading {
    fn of(config: &Config) -> Self {
        let server = &config.server;
        Self {
            path: config.path.clone(),
            egress: server.egress.clone(),
            plans: server.plans.clone(),
            front: Arc::new(Front {
                trusted_proxies: server.trusted_proxies.as_slice().into(),
                public_url: server.public_url.clone(),
                requests_per_second: server.requests_per_second,
            }),
            bin: server.retention.bin,
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

    /// What whoever listens needs to know, as it is now.
    #[must_use]
    pub fn front(&self) -> Arc<Front> {
        Arc::clone(&self.now().front)
    }

    pub(crate) fn now(&self) -> Arc<Reading> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl super::Operations {
    /// What whoever listens for people and programs needs to know, as it is now.
    #[must_use]
    pub fn front(&self) -> Arc<Front> {
        self.settings.front()
    }
}
