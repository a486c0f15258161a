//! Services and their ports.

use quaywatch_app::operations::presets::PresetsView;
use quaywatch_core::ports;
use quaywatch_core::spec::suggest::Suggestion;
use schemars::JsonSchema;
use serde::Serialize;

use super::time::Seconds;

/// What is known of ports.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Presets {
    /// The sixteen that forms offer first, in their order.
    presets: Vec<Preset>,
    /// Ports that are watched together.
    sets: Vec<PresetSet>,
    /// Every known service, by port.
    services: Vec<Service>,
    /// Values of `timeout` that suit kinds of targets.
    timeouts: Vec<Range>,
    /// Values of `check_interval` that suit kinds of targets.
    intervals: Vec<Range>,
}

/// A range that suits a kind of target.
#[derive(Debug, Serialize, JsonSchema)]
struct Range {
    /// A word for it.
    name: String,
    /// What people call it.
    label: String,
    least: Seconds,
    most: Seconds,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Preset {
    port: u16,
    /// What forms call it.
    label: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct PresetSet {
    /// Its word, for `preset`.
    name: String,
    ports: Vec<u16>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Service {
    port: u16,
    /// Its word, for `port` and `preset`.
    name: String,
    /// Other words for it.
    aliases: Vec<String>,
    /// What people call it.
    label: String,
    /// Who sends the first byte: `server`, `client` or `both`.
    first: String,
    /// How TLS comes about, in words.
    tls: String,
    /// What stops when it is down; empty where nothing general can be said.
    impact: String,
}

impl From<PresetsView> for Presets {
    fn from(view: PresetsView) -> Self {
        let preset = |preset: &ports::Preset| Preset { port: preset.port, label: preset.label.to_owned() };
        let set =
            |(name, ports): &(&str, &[u16])| PresetSet { name: (*name).to_owned(), ports: ports.to_vec() };
        Self {
            presets: view.presets.iter().map(preset).collect(),
            sets: view.sets.iter().map(set).collect(),
            services: view.services.iter().map(Service::from).collect(),
            timeouts: view.timeouts.iter().map(Range::from).collect(),
            intervals: view.intervals.iter().map(Range::from).collect(),
        }
    }
}

impl From<&Suggestion> for Range {
    fn from(range: &Suggestion) -> Self {
        Self {
            name: range.name.to_owned(),
            label: range.label.to_owned(),
            least: Seconds(range.least),
            most: Seconds(range.most),
        }
    }
}

impl From<&ports::Service> for Service {
    fn from(service: &ports::Service) -> Self {
        Self {
            port: service.port,
            name: service.name.to_owned(),
            aliases: service.aliases.iter().map(|alias| (*alias).to_owned()).collect(),
            label: service.label.to_owned(),
            first: service.first.as_str().to_owned(),
            tls: service.tls.as_str().to_owned(),
            impact: service.impact.to_owned(),
        }
    }
}
