//! Which channels a monitor's events go to. Monitors name channels; names become ids here, once for all monitors that
//! name the same, and again when channels change. They may name them by everything that their readers let pass: the
//! name, the number, the `id:`.

use std::collections::BTreeMap;
use std::sync::Arc;

use quaywatch_core::{AccountId, ChannelId};
use quaywatch_store::records::ChannelRecord;

/// The number of a list of names in [`Routes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RouteId(u32);

#[derive(Debug, Default)]
pub(crate) struct Routes {
    known: BTreeMap<AccountId, Vec<Known>>,
    routes: Vec<Route>,
    by_names: BTreeMap<(AccountId, Vec<String>), RouteId>,
}

#[derive(Debug)]
struct Known {
    id: ChannelId,
    name: String,
    key: String,
}

#[derive(Debug)]
struct Route {
    account: AccountId,
    names: Vec<String>,
    channels: Arc<[ChannelId]>,
}

impl Routes {
    /// Takes the channels as they are now.
    pub(crate) fn set_channels(&mut self, channels: &[ChannelRecord]) {
        self.known.clear();
        for channel in channels {
            let (name, key) = (channel.name.clone(), channel.key.clone());
            self.known.entry(channel.account).or_default().push(Known { id: channel.id, name, key });
        }
        for route in &mut self.routes {
            route.channels = resolve(&self.known, route.account, &route.names);
        }
    }

    /// The route for a monitor that names these channels.
    pub(crate) fn of(&mut self, account: AccountId, names: &[String]) -> RouteId {
        let key = (account, names.to_vec());
        if let Some(id) = self.by_names.get(&key) {
            return *id;
        }
        let id = RouteId(u32::try_from(self.routes.len()).expect("fewer lists of channels than monitors"));
        let channels = resolve(&self.known, account, names);
        self.routes.push(Route { account, names: key.1.clone(), channels });
        self.by_names.insert(key, id);
        id
    }

    /// The channels of a route as they are now.
    pub(crate) fn channels(&self, route: RouteId) -> &Arc<[ChannelId]> {
        &self.routes[route.0 as usize].channels
    }

    /// Every channel of an account.
    pub(crate) fn all_of(&self, account: AccountId) -> Vec<ChannelId> {
        self.known.get(&account).into_iter().flatten().map(|known| known.id).collect()
    }

    pub(crate) fn exists(&self, channel: ChannelId) -> bool {
        self.known.values().flatten().any(|known| known.id == channel)
    }
}

/// Ids for names; a name may also be an id in text, or a key. What does not exist is left out: the configuration refuses
/// it, and a channel that was removed cannot be told anything.
fn resolve(
    known: &BTreeMap<AccountId, Vec<Known>>,
    account: AccountId,
    names: &[String],
) -> Arc<[ChannelId]> {
    let mine = known.get(&account).map_or(&[][..], Vec::as_slice);
    let mut ids = Vec::new();
    for name in names {
        let id = name.parse().ok();
        let found = mine
            .iter()
            .find(|known| known.name == *name)
            .or_else(|| mine.iter().find(|known| Some(known.id) == id))
            .or_else(|| mine.iter().find(|known| known.key == *name));
        if let Some(Known { id, .. }) = found
            && !ids.contains(id)
        {
            ids.push(*id);
        }
    }
    ids.into()
}

#[cfg(test)]
mod tests {
    use quaywatch_store::records::Owner;

    use super::*;

    fn channel(id: i64, account: i64, name: &str) -> ChannelRecord {
        ChannelRecord {
            id: ChannelId(id),
            account: AccountId(account),
            owner: Owner::File,
            key: name.into(),
            name: name.into(),
            kind: "log".into(),
            settings: "{}".into(),
            revision: 1,
        }
    }

    #[test]
    fn names_and_ids_become_channels_of_the_same_account_only() {
        let mut routes = Routes::default();
        routes.set_channels(&[channel(1, 1, "ops"), channel(2, 1, "dev"), channel(3, 2, "ops")]);
        let names = ["dev", "ch1", "ops", "gone", "ch3"].map(str::to_owned);
        let route = routes.of(AccountId(1), &names);
        assert_eq!(**routes.channels(route), [ChannelId(2), ChannelId(1)]);
        assert_eq!(routes.of(AccountId(1), &names), route, "shared");
        let renamed = ChannelRecord { key: "dev".into(), ..channel(2, 1, "night") };
        routes.set_channels(&[channel(1, 1, "ops"), renamed]);
        assert_eq!(**routes.channels(route), [ChannelId(2), ChannelId(1)], "by its key");
        routes.set_channels(&[channel(1, 1, "ops"), channel(4, 1, "gone")]);
        assert_eq!(**routes.channels(route), [ChannelId(1), ChannelId(4)]);
        assert_eq!(routes.all_of(AccountId(2)), []);
    }
}
