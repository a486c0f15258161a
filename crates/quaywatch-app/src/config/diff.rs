//! What must change in the store so that it holds what the file says. Equal texts change nothing: neither a phase nor
//! a streak.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use quaywatch_store::records::{ChangeSet, ChannelRecord, MonitorRecord, Owner, ResourceChange};

use super::Config;

/// Compares the file with the records; only those that the file owns are looked at.
#[must_use]
pub fn diff(config: &Config, monitors: &[MonitorRecord], channels: &[ChannelRecord]) -> ChangeSet {
    let mut changes = Vec::new();
    let gone_channels = channel_changes(config, channels, &mut changes);
    monitor_changes(config, monitors, &mut changes);
    // Monitors stop naming a channel before it goes.
    changes.extend(gone_channels);
    ChangeSet { owner: Owner::File, actor: "file".into(), changes, accepted: None }
}

fn channel_changes(
    config: &Config,
    records: &[ChannelRecord],
    changes: &mut Vec<ResourceChange>,
) -> Vec<ResourceChange> {
    let mut stored: HashMap<&str, &ChannelRecord, FixedState> =
        records.iter().filter(|r| r.owner == Owner::File).map(|r| (r.key.as_str(), r)).collect();
    for channel in &config.channels {
        let same = |record: &&ChannelRecord| {
            record.name == channel.name && record.kind == channel.kind && record.settings == channel.settings
        };
        if stored.remove(channel.key.as_str()).as_ref().is_some_and(same) {
            continue;
        }
        changes.push(ResourceChange::PutChannel {
            key: channel.key.clone(),
            name: channel.name.clone(),
            kind: channel.kind.clone(),
            settings: channel.settings.clone(),
        });
    }
    // In the records' order: a map's order is nobody's.
    records
        .iter()
        .filter(|r| r.owner == Owner::File && stored.contains_key(r.key.as_str()))
        .map(|r| ResourceChange::RemoveChannel { key: r.key.clone() })
        .collect()
}

fn monitor_changes(config: &Config, records: &[MonitorRecord], changes: &mut Vec<ResourceChange>) {
    let mut stored: HashMap<&str, &MonitorRecord, FixedState> =
        HashMap::with_capacity_and_hasher(records.len(), FixedState::default());
    stored.extend(records.iter().filter(|r| r.owner == Owner::File).map(|r| (r.key.as_str(), r)));
    for monitor in &config.monitors {
        let same = |record: &&MonitorRecord| record.spec == *monitor.spec && record.name == *monitor.name;
        if stored.remove(monitor.key()).as_ref().is_some_and(same) {
            continue;
        }
        changes.push(ResourceChange::PutMonitor {
            key: monitor.key().to_owned(),
            name: monitor.name.clone().into_string(),
            spec: monitor.spec.clone().into_string(),
        });
    }
    let gone = records.iter().filter(|r| r.owner == Owner::File && stored.contains_key(r.key.as_str()));
    changes.extend(gone.map(|r| ResourceChange::RemoveMonitor { key: r.key.clone() }));
}
