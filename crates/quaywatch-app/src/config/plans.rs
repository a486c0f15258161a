//! `server.plans:` what accounts may have. Without any, nothing is limited.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::doc::{Node, Path, Problems, Value, closest, pairs, quote};
use quaywatch_core::spec::values::At;
use quaywatch_core::{AccountId, MonitorSpec};

use super::server::count;
use super::settings::{PLAN, section};

/// What an account may have; `None`: as much as it likes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// What people call it.
    pub name: String,
    /// Monitors of every kind; each counts as one.
    pub max_urls: Option<u64>,
    /// The shortest interval.
    pub min_interval: Option<Duration>,
    /// Locations by name.
    pub locations: Option<Vec<String>>,
    /// Channels.
    pub channels: Option<u64>,
    /// How far back raw results are shown.
    pub retention: Option<Duration>,
    /// Status pages.
    pub status_pages: Option<u64>,
}

impl Plan {
    /// The plan that limits nothing.
    #[must_use]
    pub fn unlimited() -> Self {
        Self { name: "unlimited".to_owned(), ..Self::default() }
    }
}

/// All plans of a server, and who has which.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plans {
    known: BTreeMap<String, Arc<Plan>>,
    /// Accounts by id or name, with the name of their plan.
    accounts: BTreeMap<String, String>,
    /// The plan of all others.
    default: Option<String>,
}

impl Plans {
    /// Whether nothing is limited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The plans by name.
    pub fn iter(&self) -> impl Iterator<Item = &Plan> {
        self.known.values().map(Arc::as_ref)
    }

    /// Whether the file gives a plan to the account of this name: whoever may choose a name may not choose this one, or
    /// they would choose their plan.
    #[must_use]
    pub fn names(&self, account: &str) -> bool {
        self.accounts.contains_key(account)
    }

    /// The plan of an account, which was given the plan `given` (empty: none). A plan that is no longer known counts as
    /// none.
    #[must_use]
    pub fn of(&self, account: AccountId, name: &str, given: &str) -> Arc<Plan> {
        // `a7` is account 7, whatever else is called so.
        let by_name = || if name.parse::<AccountId>().is_ok() { None } else { self.accounts.get(name) };
        let named = self.accounts.get(&account.to_string()).or_else(by_name);
        let named = named.and_then(|plan| self.known.get(plan));
        let default = || self.default.as_ref().and_then(|name| self.known.get(name));
        named
            .or_else(|| self.known.get(given))
            .or_else(default)
            .map_or_else(|| Arc::new(Plan::unlimited()), Arc::clone)
    }

    /// Reads `plans:`, one mapping a plan under its name.
    pub(super) fn read(&mut self, at: &At<'_, '_>, problems: &mut Problems) {
        const FORM: &str = "write `plans: {free: {max_urls: 5, min_interval: 5m}}`";
        if at.node.is_blank() {
            return;
        }
        for (key, node) in pairs(at.node, &at.path, FORM, problems).unwrap_or_default() {
            let path = at.path.key(&key.text);
            let plan = self.plan(&key.text, node, &path, problems);
            self.known.insert(plan.name.clone(), Arc::new(plan));
        }
    }

    fn plan(&mut self, name: &str, node: &Node<'_>, path: &Path<'_>, problems: &mut Problems) -> Plan {
        const DAY: Duration = Duration::from_secs(86_400);
        const MOST: u32 = 10_000_000;
        let mut plan = Plan { name: name.to_owned(), ..Plan::default() };
        section(node, path, PLAN, problems, &mut |setting, at, p| match setting {
            "max_urls" => plan.max_urls = count(at, p, 0, MOST).map(u64::from),
            "min_interval" => plan.min_interval = at.duration(p, &(Duration::from_secs(1)..=DAY)),
            "locations" => plan.locations = at.names(p, "[local]", 2_048).map(bare),
            "channels" => plan.channels = count(at, p, 0, MOST).map(u64::from),
            "retention" => plan.retention = at.duration(p, &(DAY..=36_525 * DAY)),
            "status_pages" => plan.status_pages = count(at, p, 0, MOST).map(u64::from),
            "accounts" => {
                for account in at.names(p, "[default]", 10_000).map(bare).unwrap_or_default() {
                    self.give(account, name, at, p);
                }
            }
            other => unreachable!("`{other}` is in the table but nobody reads it"),
        });
        plan
    }

    fn give(&mut self, account: String, plan: &str, at: &At<'_, '_>, problems: &mut Problems) {
        if let Some(other) = self.accounts.get(&account) {
            let message = format!("account {} has the plan {} already", quote(&account), quote(other));
            at.error(problems, "duplicate", message, "name it in one plan");
            return;
        }
        self.accounts.insert(account, plan.to_owned());
    }

    /// Reads `default_plan:`, once the plans are known.
    pub(super) fn read_default(&mut self, at: &At<'_, '_>, problems: &mut Problems) {
        let Some(name) = at.line(problems, 200) else { return };
        if !self.known.contains_key(&name) {
            let known: Vec<&str> = self.known.keys().map(String::as_str).collect();
            let remedy = match closest(&name, known.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None if known.is_empty() => "write it under `server.plans:`".to_owned(),
                None => format!("the plans are {}", known.join(", ")),
            };
            at.error(problems, "undeclared", format!("there is no plan {}", quote(&name)), remedy);
            return;
        }
        self.default = Some(name);
    }
}

/// Plans name places that there are; a word that is none would shut their accounts out of everything.
pub(super) fn expect_declared(plans: &Node<'_>, locations: &[String], problems: &mut Problems) {
    let Value::Mapping(pairs) = &plans.value else { return };
    for (plan, node) in pairs {
        let Some(list) = node.get("locations") else { continue };
        let server = Path::Root.key("server");
        let every = server.key("plans");
        let path = every.key(&plan.text);
        let at = At { node: list, path: path.key("locations"), key: "locations" };
        // What is no list of names has been told by whoever read the plan.
        for (name, span) in at.names(&mut Problems::new(), "[local]", 2_048).unwrap_or_default() {
            if name != MonitorSpec::LOCAL && !locations.contains(&name) {
                let message = format!("location {} does not exist", quote(&name));
                let remedy = match closest(&name, locations.iter().map(String::as_str)) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => "declare it under top-level `locations:`".to_owned(),
                };
                problems.error(&at.path, span, "undeclared", message, remedy);
            }
        }
    }
}

fn bare(names: Vec<(String, quaywatch_core::doc::Span)>) -> Vec<String> {
    names.into_iter().map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Config};

    fn read(server: &str) -> Result<Config, String> {
        let text = format!("server:\n  {server}\nmonitors: []\n");
        config::read(&text, "q.yaml", &|_| None).map_err(|problems| problems.to_string())
    }

    #[test]
    fn p22_z22_the_sample_of_plans_in_the_docs_can_be_read() {
        let guide = include_str!("../../../../docs/plans.md");
        let sample =
            guide.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a sample");
        let config =
            config::read(sample, "q.yaml", &|_| None).unwrap_or_else(|problems| panic!("{problems}"));
        let of = |id, name, given| config.server.plans.of(AccountId(id), name, given);
        let free = of(7, "somebody", "");
        assert_eq!((free.name.as_str(), free.max_urls), ("free", Some(5)));
        assert_eq!(free.min_interval, Some(Duration::from_secs(300)));
        let house = of(1, "default", "free");
        assert_eq!((house.name.as_str(), house.max_urls), ("house", None));
        assert_eq!(of(7, "somebody", "business").name, "business");
        assert_eq!(of(7, "somebody", "no longer known").name, "free");
    }

    #[test]
    fn plans_list_accounts_by_id_too_and_no_name_passes_for_an_id() {
        let config = read("plans: {vip: {accounts: [a7, globex]}}").expect("a good file");
        let of = |id, name| config.server.plans.of(AccountId(id), name, "").name.clone();
        assert_eq!([of(7, "acme"), of(8, "globex")], ["vip", "vip"]);
        assert_eq!([of(8, "a7"), of(8, "acme")], ["unlimited", "unlimited"]);
        assert!(config.server.plans.names("globex") && !config.server.plans.names("acme"));
    }

    #[test]
    fn without_plans_nothing_is_limited() {
        let config = read("name: x").expect("a good file");
        assert!(config.server.plans.is_empty());
        assert_eq!(*config.server.plans.of(AccountId::DEFAULT, "default", ""), Plan::unlimited());
    }

    #[test]
    fn mistakes_in_plans_are_told() {
        let wrong = read("plans: {free: {max_url: 5}}").expect_err("a typo");
        assert!(wrong.contains("did you mean `max_urls`?"), "{wrong}");
        let wrong = read("plans: {free: {max_urls: many}}").expect_err("no number");
        assert!(wrong.contains("a whole number"), "{wrong}");
        let wrong = read("{plans: {free: {}}, default_plan: fre}").expect_err("no such plan");
        assert!(wrong.contains("did you mean `free`?"), "{wrong}");
        let wrong = read("plans: {a: {accounts: [x]}, b: {accounts: [x]}}").expect_err("two plans");
        assert!(wrong.contains("has the plan `a` already"), "{wrong}");
        assert!(read("plans: [free]").is_err());
        let wrong = read("plans: {free: {locations: [local, mars]}}").expect_err("nowhere");
        assert!(wrong.contains("location `mars` does not exist"), "{wrong}");
        let text = "server: {plans: {free: {locations: [mars]}}}\nmonitors: []\nlocations: [mars]\n";
        assert!(config::read(text, "q.yaml", &|_| None).is_ok(), "declared below");
    }
}
