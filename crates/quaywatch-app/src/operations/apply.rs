//! A document of monitors and channels made true: planned (what would be added, changed, removed), then applied.
//!
//! `apply` owns what it brings under a name (`apply:<name>`) and removes what is no longer in its document. `import`
//! adds and changes things that anybody may edit afterwards, and removes nothing.
//!
//! Applied in pieces, channels first: a document that is cut short by the end of the server is made true by applying it
//! again.

use std::collections::{BTreeMap, BTreeSet};

use quaywatch_core::access::{Level, Policy, Resource};
use quaywatch_core::doc::{Path, Problem, Problems, quote};
use quaywatch_core::{AccountId, spec};
use quaywatch_store::records::{ChannelRecord, MonitorRecord, Owner, ResourceChange};
use serde_json::{Map, Value};

use super::reading::ToSpec as _;
use super::refuse::invalid;
use super::wanted::{Stored, Wanted, WantedChannel};
use super::{Allowed, OperationError, Operations, naming};
use crate::caller::Caller;
use crate::config::MonitorConfig;

/// Whose document it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// It owns what it brings, under this name (letters, digits, `-`, `_`, `.`; at most 64).
    Apply(String),
    /// What it brings belongs to nobody but the account.
    Import,
}

/// What a document would change, or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplyPlan {
    /// Who owns the things.
    pub owner: Owner,
    /// What is not there yet.
    pub added: Vec<PlannedThing>,
    /// What is there in another form.
    pub changed: Vec<PlannedChange>,
    /// What is no longer in the document.
    pub removed: Vec<PlannedThing>,
    /// How many things stay as they are.
    pub unchanged: usize,
    /// What works but is probably not meant.
    pub warnings: Vec<Problem>,
    /// Whether it was done, and not only planned.
    pub applied: bool,
}

/// A monitor or a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedThing {
    /// `monitor` or `channel`.
    pub kind: &'static str,
    /// `m42`, `ch4`; `None` before it is there.
    pub id: Option<String>,
    /// Its name.
    pub name: String,
    /// What it watches (`db.example.com:5432`), or the kind of channel.
    pub about: String,
}

/// A thing that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedChange {
    /// Which.
    pub thing: PlannedThing,
    /// In what; without secrets.
    pub fields: Vec<FieldChange>,
}

/// One setting that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChange {
    /// Its name.
    pub field: String,
    /// As JSON text; `None`: it had its default.
    pub before: Option<String>,
    /// As JSON text; `None`: it gets its default. A secret is `"…"`.
    pub after: Option<String>,
}

/// Monitors that are written at once.
const PIECE: usize = 250;

impl Document {
    fn owner(&self) -> Result<Owner, OperationError> {
        let Self::Apply(name) = self else { return Ok(Owner::Api) };
        let fits = !name.is_empty()
            && name.len() <= 64
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if fits {
            return Ok(Owner::Apply(name.clone()));
        }
        let message = format!("{} cannot be the name under which a document is applied", quote(name));
        Err(invalid("name", "bad_name", message, "use up to 64 letters, digits, `-`, `_` and `.`"))
    }
}

impl Operations {
    /// Makes a document true; with `dry_run` only says what that would change.
    ///
    /// # Errors
    /// Where the caller may not, the document is wrong (with lines and columns), a name is taken by another owner, or
    /// the plan allows no more.
    pub async fn apply_document(
        &self,
        caller: &Caller,
        document: &Document,
        text: &str,
        dry_run: bool,
    ) -> Result<ApplyPlan, OperationError> {
        caller.require(Policy::new(Resource::Config, Level::Administer))?;
        let owner = document.owner()?;
        let _alone = self.changes.document(caller.account).await;
        let stored = self.stored_for(caller.account, &owner).await?;
        let wanted = self.read_wanted(caller.account, text, &stored).await?;
        let difference = Difference::new(&stored, &wanted, *document == Document::Import);
        difference.expect_allowed(caller)?;
        let mut plan = difference.plan()?;
        difference.expect_channels_unused()?;
        self.expect_room(caller.account, &difference).await?;
        if !dry_run {
            self.make_true(caller, &difference, &mut plan).await?;
        }
        Ok(plan)
    }

    /// What the plan allows, once everything is as the document says.
    async fn expect_room(
        &self,
        account: AccountId,
        difference: &Difference<'_>,
    ) -> Result<(), OperationError> {
        let mut room = self.room(account).await?;
        for _ in difference.gone_monitors() {
            room.remove();
        }
        for (wanted, old) in &difference.monitors {
            match old {
                None => room.add(&wanted.spec())?,
                Some(old) => room.change(&wanted.spec(), &old.to_spec()?)?,
            }
        }
        let new = difference.channels.iter().filter(|(_, old)| old.is_none()).count();
        let have = difference.stored.channels.len();
        let then = have + new - difference.gone_channels().count();
        let plan = self.plan_of(account).await?;
        match plan.channels.filter(|most| new > 0 && then as u64 > *most) {
            None => Ok(()),
            Some(most) => Err(OperationError::Limit {
                limit: "channels",
                plan: plan.name.clone(),
                allowed: Allowed::Channels(most),
            }),
        }
    }

    /// Channels before the monitors that name them, and gone only after those.
    async fn make_true(
        &self,
        caller: &Caller,
        difference: &Difference<'_>,
        plan: &mut ApplyPlan,
    ) -> Result<(), OperationError> {
        let mut changes = Vec::new();
        for (channel, old) in &difference.channels {
            let settings = self.seal_settings(caller.account, channel.kind, channel.settings.reveal())?;
            let (key, name) = (channel.key.clone(), channel.name.clone());
            let kind = channel.kind.name.to_owned();
            changes.push(if difference.is_new(*old) {
                ResourceChange::AddChannel { key, name, kind, settings }
            } else {
                ResourceChange::PutChannel { key, name, kind, settings }
            });
        }
        let mut ids = self.write_piece(caller, difference, changes).await?;
        let gone =
            difference.gone_monitors().map(|one| ResourceChange::RemoveMonitor { key: one.key.clone() });
        let mut changes: Vec<ResourceChange> = gone.collect();
        for (wanted, old) in &difference.monitors {
            let spec = wanted.spec();
            changes.push(if difference.is_new(*old) {
                super::edits::put_new(&spec)
            } else {
                let (key, name) = (spec.identity().to_owned(), spec.name.clone());
                ResourceChange::PutMonitor { key, name, spec: spec.to_canonical() }
            });
        }
        let mut changes = changes.into_iter().peekable();
        while changes.peek().is_some() {
            let piece = changes.by_ref().take(PIECE).collect();
            ids.append(&mut self.write_piece(caller, difference, piece).await?);
        }
        let gone =
            difference.gone_channels().map(|one| ResourceChange::RemoveChannel { key: one.key.clone() });
        self.write_piece(caller, difference, gone.collect()).await?;
        for thing in &mut plan.added {
            thing.id = ids.get(&(thing.kind, thing.name.clone())).cloned();
        }
        plan.applied = true;
        Ok(())
    }

    /// The numbers of what was written, by kind and name.
    async fn write_piece(
        &self,
        caller: &Caller,
        difference: &Difference<'_>,
        changes: Vec<ResourceChange>,
    ) -> Result<BTreeMap<(&'static str, String), String>, OperationError> {
        if changes.is_empty() {
            return Ok(BTreeMap::new());
        }
        let turn = self.changes.turn().await;
        let applied = self.write_for(&turn, caller, difference.stored.owner.clone(), changes).await?;
        let monitors = applied.monitors.into_iter().map(|one| ((MONITOR, one.name), one.id.to_string()));
        let channels = applied.channels.into_iter().map(|one| ((CHANNEL, one.name), one.id.to_string()));
        Ok(monitors.chain(channels).collect())
    }
}

const MONITOR: &str = "monitor";
const CHANNEL: &str = "channel";

/// What is stored beside what is wanted.
struct Difference<'d> {
    stored: &'d Stored,
    wanted: &'d Wanted,
    /// What is not in the document stays.
    keeps: bool,
    /// Channels that are new or differ, each with what is stored.
    channels: Vec<(&'d WantedChannel, Option<&'d ChannelRecord>)>,
    /// Monitors that are new or differ, each with what is stored.
    monitors: Vec<(&'d MonitorConfig, Option<&'d MonitorRecord>)>,
    /// New monitors whose identity a monitor of another owner has, each with that one.
    twins: Vec<(&'d MonitorConfig, &'d MonitorRecord)>,
}

impl<'d> Difference<'d> {
    fn new(stored: &'d Stored, wanted: &'d Wanted, keeps: bool) -> Self {
        let mut difference =
            Self { stored, wanted, keeps, channels: Vec::new(), monitors: Vec::new(), twins: Vec::new() };
        for channel in &wanted.channels {
            let old = stored.own_channels().find(|old| old.key == channel.key);
            let is_same = old.is_some_and(|old| {
                old.name == channel.name
                    && old.kind == channel.kind.name
                    && stored.clear.get(&old.id) == Some(channel.settings.reveal())
            });
            if !is_same {
                difference.channels.push((channel, old));
            }
        }
        difference.compare_monitors();
        difference
    }

    fn compare_monitors(&mut self) {
        let stored = self.stored;
        let own: BTreeMap<&str, &MonitorRecord> =
            stored.own_monitors().map(|one| (one.key.as_str(), one)).collect();
        let others = stored.others_by_identity();
        let is_same = |wanted: &MonitorConfig, old: &MonitorRecord| {
            *old.name == *wanted.name && stored.called.is_same(&old.spec, &wanted.spec)
        };
        for wanted in &self.wanted.monitors {
            let old = own.get(wanted.key()).copied();
            let others = others.get(wanted.key()).map_or(&[][..], Vec::as_slice);
            // What an import brings belongs to nobody but the account: what somebody has already need not come twice.
            let is_there = old.is_some_and(|old| is_same(wanted, old))
                || self.keeps && others.iter().any(|other| is_same(wanted, other));
            if is_there {
                continue;
            }
            if let (None, Some(other)) = (old, others.first()) {
                self.twins.push((wanted, other));
            }
            self.monitors.push((wanted, old));
        }
    }

    /// Whether something gets a number of its own, though a thing of that key may lie in the bin. Of the document of an
    /// owner a key that is there again means what it meant before.
    fn is_new<T>(&self, old: Option<&T>) -> bool {
        old.is_none() && self.stored.owner == Owner::Api
    }

    fn plan(&self) -> Result<ApplyPlan, OperationError> {
        let all = self.wanted.channels.len() + self.wanted.others + self.wanted.monitors.len();
        let mut plan = ApplyPlan {
            owner: self.stored.owner.clone(),
            added: Vec::new(),
            changed: Vec::new(),
            removed: self.removed()?,
            unchanged: all - self.channels.len() - self.monitors.len(),
            warnings: self.wanted.warnings.clone(),
            applied: false,
        };
        plan.warnings.extend(self.warn_of_twins());
        for (channel, old) in &self.channels {
            let thing = PlannedThing {
                kind: CHANNEL,
                id: old.map(|old| old.id.to_string()),
                name: channel.name.clone(),
                about: channel.kind.name.to_owned(),
            };
            match old {
                None => plan.added.push(thing),
                Some(old) => {
                    let fields = channel_fields(channel, old, &self.stored.clear[&old.id]);
                    plan.changed.push(PlannedChange { thing, fields });
                }
            }
        }
        let settings = |spec: &str| self.stored.called.settings(spec).unwrap_or_default();
        for (wanted, old) in &self.monitors {
            let (id, about) = (old.map(|old| old.id.to_string()), wanted.spec().target());
            let thing = PlannedThing { kind: MONITOR, id, name: wanted.name.to_string(), about };
            match old {
                None => plan.added.push(thing),
                Some(old) => plan.changed.push(PlannedChange {
                    thing,
                    fields: fields(&settings(&old.spec), &settings(&wanted.spec), spec::fields::is_secret),
                }),
            }
        }
        Ok(plan)
    }

    /// One word for all of them: a document of another owner brings them by the thousand.
    fn warn_of_twins(&self) -> Option<Problem> {
        let (first, other) = self.twins.first()?;
        let owner = other.owner.to_text();
        let message = match self.twins.len() {
            1 => format!(
                "monitor {} is there already, of owner `{owner}`: there will be two",
                quote(first.key())
            ),
            many => format!(
                "{many} monitors are there already, of other owners, and will be there twice; the first is {}, of owner \
                 `{owner}`",
                quote(first.key())
            ),
        };
        let mut problems = Problems::new();
        let remedy = "give them another `id` or `name` if you want both, or take them out here or there";
        problems.warning(&Path::Root.key("monitors"), first.span, "twin", message, remedy);
        problems.iter().next().cloned()
    }

    fn gone_monitors(&self) -> impl Iterator<Item = &'d MonitorRecord> {
        let wanted: BTreeSet<&str> = self.wanted.monitors.iter().map(MonitorConfig::key).collect();
        let keeps = self.keeps;
        self.stored.own_monitors().filter(move |one| !keeps && !wanted.contains(one.key.as_str()))
    }

    fn gone_channels(&self) -> impl Iterator<Item = &'d ChannelRecord> {
        let (wanted, keeps) = (&self.wanted.channels, self.keeps);
        self.stored.own_channels().filter(move |one| !keeps && !wanted.iter().any(|w| w.key == one.key))
    }

    fn removed(&self) -> Result<Vec<PlannedThing>, OperationError> {
        let mut removed = Vec::new();
        for one in self.gone_monitors() {
            let (id, about) = (Some(one.id.to_string()), one.to_spec()?.target());
            removed.push(PlannedThing { kind: MONITOR, id, name: one.name.clone(), about });
        }
        let channels = self.gone_channels().map(|one| PlannedThing {
            kind: CHANNEL,
            id: Some(one.id.to_string()),
            name: one.name.clone(),
            about: one.kind.clone(),
        });
        removed.extend(channels);
        Ok(removed)
    }

    /// A monitor that names a channel which goes, or gets another name here, would tell nobody.
    fn expect_channels_unused(&self) -> Result<(), OperationError> {
        let gone = self.gone_channels().map(|one| (one, None));
        let renamed = self.channels.iter().filter_map(|(wanted, old)| {
            let old = old.filter(|old| old.name != wanted.name)?;
            Some((old, Some(&*wanted.name)))
        });
        let lost: Vec<(&ChannelRecord, Option<&str>)> = gone.chain(renamed).collect();
        if lost.is_empty() {
            return Ok(());
        }
        let is_lost = |word: &str| {
            lost.iter().find(|(channel, name)| match name {
                None => naming::means(word, channel),
                Some(_) => word == channel.name && word != channel.key,
            })
        };
        let wanted: BTreeSet<&str> = self.wanted.monitors.iter().map(MonitorConfig::key).collect();
        let stays = |one: &&MonitorRecord| {
            one.owner != self.stored.owner || self.keeps && !wanted.contains(one.key.as_str())
        };
        for monitor in self.stored.monitors.iter().filter(stays) {
            let spec = monitor.to_spec()?;
            if let Some((channel, name)) = spec.channels.iter().find_map(|word| is_lost(word)) {
                return Err(would_be_silent(&monitor.name, &monitor.owner, channel, *name));
            }
        }
        // What an import brings may name what is there by the name that it has now.
        let names: BTreeSet<&str> = self.wanted.channels.iter().map(|one| one.name.as_str()).collect();
        for monitor in &self.wanted.monitors {
            let spec = monitor.spec();
            let told = spec.channels.iter().filter(|word| !names.contains(word.as_str()));
            if let Some((channel, name)) = told.filter_map(|word| is_lost(word)).next() {
                return Err(would_be_silent(&monitor.name, &self.stored.owner, channel, *name));
            }
        }
        Ok(())
    }

    /// What a document touches needs the right to change it: a token for documents alone changes nothing.
    fn expect_allowed(&self, caller: &Caller) -> Result<(), OperationError> {
        if !self.channels.is_empty() || self.gone_channels().next().is_some() {
            caller.require(Policy::new(Resource::Channels, Level::Administer))?;
        }
        if !self.monitors.is_empty() || self.gone_monitors().next().is_some() {
            caller.require(Policy::new(Resource::Monitors, Level::Edit))?;
        }
        Ok(())
    }
}

/// A monitor that would name a channel which is not there.
fn would_be_silent(
    monitor: &str,
    owner: &Owner,
    channel: &ChannelRecord,
    renamed: Option<&str>,
) -> OperationError {
    let (monitor, owner, old) = (quote(monitor), owner.to_text(), quote(&channel.name));
    let message = match renamed {
        None => format!("monitor {monitor} of owner {owner} tells channel {old}: take it out there first"),
        Some(name) => format!(
            "monitor {monitor} of owner {owner} tells channel {old}, which would be called {}: name it by its number \
             ({}) there first",
            quote(name),
            channel.id
        ),
    };
    OperationError::Conflict { code: "channel_in_use", message }
}

fn channel_fields(new: &WantedChannel, old: &ChannelRecord, clear: &Map<String, Value>) -> Vec<FieldChange> {
    let with = |name: &str, kind: &str, settings: &Map<String, Value>| {
        let mut all = settings.clone();
        all.insert("name".to_owned(), name.into());
        all.insert("type".to_owned(), kind.into());
        all
    };
    let is_secret = |name: &str| {
        new.kind.fields.iter().find(|field| field.name == name).is_some_and(|field| field.secret)
    };
    fields(
        &with(&old.name, &old.kind, clear),
        &with(&new.name, new.kind.name, new.settings.reveal()),
        is_secret,
    )
}

/// Settings that differ, by name.
fn fields(
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    is_secret: impl Fn(&str) -> bool,
) -> Vec<FieldChange> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let differ = names.into_iter().filter(|name| old.get(*name) != new.get(*name));
    let shown = |name: &str, value: &Value| {
        if is_secret(name) { "\"…\"".to_owned() } else { value.to_string() }
    };
    differ
        .map(|name| FieldChange {
            field: name.clone(),
            before: old.get(name).map(|value| shown(name, value)),
            after: new.get(name).map(|value| shown(name, value)),
        })
        .collect()
}
