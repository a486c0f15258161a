//! Whether the server does its work, and with which configuration.

use std::sync::RwLock;

use quaywatch_core::Timestamp;

use super::{Family, Reading, Source, Wanted};

/// Which configuration runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ConfigState {
    /// Nothing was loaded yet.
    #[default]
    Loading,
    /// No file was given: whatever API and pages wrote.
    None,
    /// The file as it stands.
    Fresh {
        /// Since when.
        since: Timestamp,
    },
    /// The file has errors: the last accepted one runs.
    Stale {
        /// Since when.
        since: Timestamp,
        /// How many errors the file has.
        errors: usize,
        /// The first of them, as one line.
        first: String,
    },
}

impl ConfigState {
    /// `loading`, `none`, `fresh` or `stale`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Loading => "loading",
            Self::None => "none",
            Self::Fresh { .. } => "fresh",
            Self::Stale { .. } => "stale",
        }
    }
}

/// Whether the server is ready. It is once its monitors are scheduled; a stale configuration does not unmake it.
#[derive(Debug, Default)]
pub struct Readiness {
    config: RwLock<ConfigState>,
    reloads: quaywatch_core::meter::Counter,
    refused: quaywatch_core::meter::Counter,
}

impl Readiness {
    /// A configuration was accepted (or none was given).
    pub fn accepted(&self, state: ConfigState) {
        self.reloads.inc();
        *self.config.write().expect("no holder of this lock panics") = state;
    }

    /// A configuration was refused.
    pub fn refused(&self, state: ConfigState) {
        self.refused.inc();
        *self.config.write().expect("no holder of this lock panics") = state;
    }

    /// Which configuration runs.
    #[must_use]
    pub fn config(&self) -> ConfigState {
        self.config.read().expect("no holder of this lock panics").clone()
    }

    /// Whether checks run.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.config() != ConfigState::Loading
    }
}

impl Source for Readiness {
    fn collect(&self, _: &Wanted, families: &mut Vec<Family>) {
        let config = self.config();
        let stale = f64::from(u8::from(matches!(config, ConfigState::Stale { .. })));
        families.push(Family::single(
            "quaywatch_config_stale",
            "1 while the file has errors and the last accepted configuration runs.",
            Reading::Gauge(stale),
        ));
        families.push(Family::single(
            "quaywatch_config_reloads",
            "Configurations accepted.",
            Reading::Counter(self.reloads.read()),
        ));
        families.push(Family::single(
            "quaywatch_config_refused",
            "Configurations refused for their errors.",
            Reading::Counter(self.refused.read()),
        ));
    }
}
