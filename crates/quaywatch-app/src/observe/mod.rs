//! What the server says of itself: readings for `/metrics`, and whether it is ready.
//!
//! The parts keep plain atomics (`quaywatch_core::meter`); a [`Source`] turns them into named families when somebody
//! asks. Names that the blackbox exporter has are kept (`probe_success`, `probe_duration_seconds`); everything else
//! has the prefix `quaywatch_`.

mod changes;
mod engine;
mod monitors;
mod net;
mod ready;
mod runner;
mod store;

pub use changes::ChangesSource;
pub use engine::EngineSource;
pub use monitors::Monitors;
pub use net::{BulkSource, ResolverSource};
pub use ready::{ConfigState, Readiness};
pub use runner::RunnerSource;
pub use store::StoreSource;

use std::sync::{Arc, RwLock};

use quaywatch_core::meter::{Gauge, HistogramReading};

/// One number, or one spread of numbers.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    /// Only grows.
    Counter(u64),
    /// Goes up and down.
    Gauge(f64),
    /// A spread of durations.
    Histogram(Box<HistogramReading>),
}

/// One labelled reading of a family.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Label names and values.
    pub labels: Vec<(&'static str, String)>,
    /// The reading.
    pub reading: Reading,
}

/// All readings of one name. Every sample of a family has the same kind of reading.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// The metric's name, without `_total`, `_bucket` and the like.
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// The readings.
    pub samples: Vec<Sample>,
}

impl Family {
    /// A family with one unlabelled reading.
    #[must_use]
    pub fn single(name: &'static str, help: &'static str, reading: Reading) -> Self {
        Self { name, help, samples: vec![Sample { labels: Vec::new(), reading }] }
    }

    /// A family with one label.
    #[must_use]
    pub fn by(
        name: &'static str,
        help: &'static str,
        label: &'static str,
        readings: impl IntoIterator<Item = (String, Reading)>,
    ) -> Self {
        let samples = readings
            .into_iter()
            .map(|(value, reading)| Sample { labels: vec![(label, value)], reading })
            .collect();
        Self { name, help, samples }
    }
}

/// Which monitors' own figures are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Only this monitor (by id or name), whatever the limit.
    pub monitor: Option<String>,
}

/// Something that has readings.
pub trait Source: Send + Sync {
    /// Adds its families.
    fn collect(&self, wanted: &Wanted, families: &mut Vec<Family>);
}

/// All sources of one server, its readiness, and who may read them.
#[derive(Default)]
pub struct Observatory {
    sources: RwLock<Vec<Arc<dyn Source>>>,
    monitors: RwLock<Option<Arc<Monitors>>>,
    /// Whether the server does its work, and with which configuration.
    pub readiness: Readiness,
    /// The token that `/metrics` asks for off loopback.
    pub metrics_token: RwLock<Option<quaywatch_core::Secret<String>>>,
}

impl std::fmt::Debug for Observatory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Observatory").field("readiness", &self.readiness).finish_non_exhaustive()
    }
}

impl Observatory {
    /// Adds a source.
    pub fn add(&self, source: Arc<dyn Source>) {
        self.sources.write().expect("no holder of this lock panics").push(source);
    }

    /// Shows figures of single monitors from now on.
    pub fn show_monitors(&self, monitors: Monitors) {
        *self.monitors.write().expect("no holder of this lock panics") = Some(Arc::new(monitors));
    }

    /// Shows figures of at most so many monitors from now on.
    pub fn limit_monitors(&self, most: usize) {
        if let Some(monitors) = &*self.monitors.read().expect("no holder of this lock panics") {
            monitors.limit(most);
        }
    }

    /// All readings, now.
    pub async fn families(&self, wanted: &Wanted) -> Vec<Family> {
        let mut families = Vec::new();
        let monitors = self.monitors.read().expect("no holder of this lock panics").clone();
        if let Some(monitors) = monitors {
            monitors.collect(wanted, &mut families).await;
        }
        for source in self.sources.read().expect("no holder of this lock panics").iter() {
            source.collect(wanted, &mut families);
        }
        self.readiness.collect(wanted, &mut families);
        families
    }
}

/// A gauge's number as a reading.
#[expect(clippy::cast_precision_loss, reason = "a number for a chart needs no more than 53 bits")]
fn gauge(gauge: &Gauge) -> Reading {
    Reading::Gauge(gauge.read() as f64)
}
