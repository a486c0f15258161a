//! The same act on up to a thousand monitors, with an answer for each; all or nothing where that is asked for.
//!
//! Written in pieces, so that the store's writer serves others in between: only what must be whole is one piece.

use std::collections::{BTreeMap, BTreeSet};

use quaywatch_core::doc::{Node, Problem, quote};
use quaywatch_core::{MonitorId, MonitorSpec};
use quaywatch_store::records::{Applied, MonitorRecord, Owner, ResourceChange};

use super::edits::{is_called_anew, put_new, put_over, taken};
use super::monitors::{EDIT, PauseFor};
use super::plans::Room;
use super::reading::{self, Known, ToSpec as _};
use super::refuse::{invalid, not_found};
use super::{OperationError, Operations};
use crate::caller::Caller;

/// The most monitors in one call.
pub const MOST: usize = 1_000;

/// Monitors that are written at once where not all or nothing is asked for: a few milliseconds of the store's writer.
const PIECE: usize = 250;

/// What to do.
#[derive(Debug, Clone)]
pub enum BulkAct<'a> {
    /// Makes monitors; an entry with `hosts`, `ports` or `preset` makes several.
    Create(&'a [Node<'a>]),
    /// Changes monitors.
    Update(Vec<BulkUpdate<'a>>),
    /// Stops looking.
    Pause(&'a [MonitorId], PauseFor),
    /// Looks again.
    Resume(&'a [MonitorId]),
    /// Puts monitors into the bin.
    Delete(&'a [MonitorId]),
}

/// A change of one monitor among many.
#[derive(Debug, Clone, Copy)]
pub struct BulkUpdate<'a> {
    /// Which.
    pub id: MonitorId,
    /// What is laid over it.
    pub patch: &'a Node<'a>,
    /// The revision that it must have.
    pub revision: Option<u32>,
}

/// What came of a call.
#[derive(Debug)]
pub struct BulkReport {
    /// One for each thing that was asked for, in that order.
    pub items: Vec<BulkItem>,
    /// False where all or nothing was asked for and something was wrong: nothing was changed.
    pub done: bool,
}

/// What came of one of them.
#[derive(Debug)]
pub struct BulkItem {
    /// The monitors that were written; of one that was not, why not. Where all or nothing was asked for, what is not
    /// wrong itself, but was not done because of others, has an empty list.
    pub outcome: Result<Vec<BulkDone>, OperationError>,
    /// What works but is probably not meant.
    pub warnings: Vec<Problem>,
}

impl BulkItem {
    /// The server could not go on.
    fn not_reached(error: &OperationError) -> Self {
        Self { outcome: Err(OperationError::Unavailable(error.to_string())), warnings: Vec::new() }
    }
}

/// One monitor that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkDone {
    /// Its number.
    pub id: MonitorId,
    /// Its name.
    pub name: String,
    /// Its revision now.
    pub revision: u32,
}

impl Operations {
    /// Does one thing to many monitors. `atomic`: all or nothing.
    ///
    /// # Errors
    /// Where the caller may not, or there are too many; what is wrong with single ones stands in the report.
    pub async fn bulk_monitors(
        &self,
        caller: &Caller,
        act: BulkAct<'_>,
        atomic: bool,
    ) -> Result<BulkReport, OperationError> {
        caller.require(EDIT)?;
        let known = self.known(caller.account).await?;
        let wishes = act.wishes(&known)?;
        let work = Bulk { operations: self, caller, known: &known, act: &act, atomic };
        let _alone = match act {
            BulkAct::Create(_) => self.alone(caller.account).await?,
            BulkAct::Update(_) | BulkAct::Pause(..) | BulkAct::Resume(_) | BulkAct::Delete(_) => None,
        };
        let mut items = Vec::with_capacity(wishes.len());
        let mut wishes = wishes.into_iter().peekable();
        while wishes.peek().is_some() {
            let mut piece = Vec::new();
            let mut monitors = 0;
            while let Some(wish) =
                wishes.next_if(|wish| atomic || piece.is_empty() || monitors + wish.monitors() <= PIECE)
            {
                monitors += wish.monitors();
                piece.push(wish);
            }
            let count = piece.len();
            match work.piece(piece).await {
                Ok(done) => items.extend(done),
                Err(error) if items.is_empty() => return Err(error),
                // What was written before is written, and must be told.
                Err(error) => {
                    let left = count + wishes.by_ref().count();
                    items.extend((0..left).map(|_| BulkItem::not_reached(&error)));
                }
            }
        }
        let done = !atomic || items.iter().all(|item: &BulkItem| item.outcome.is_ok());
        Ok(BulkReport { items, done })
    }
}

/// One thing that was asked for, as far as it can be understood without the store.
struct Wish<'a> {
    what: Result<What<'a>, OperationError>,
    warnings: Vec<Problem>,
}

enum What<'a> {
    Make(Vec<MonitorSpec>),
    Change(BulkUpdate<'a>),
    To(MonitorId),
}

impl Wish<'_> {
    const fn monitors(&self) -> usize {
        match &self.what {
            Ok(What::Make(specs)) => specs.len(),
            Ok(What::Change(_) | What::To(_)) => 1,
            Err(_) => 0,
        }
    }
}

impl<'a> BulkAct<'a> {
    fn wishes(&self, known: &Known) -> Result<Vec<Wish<'a>>, OperationError> {
        let to = |ids: &[MonitorId]| {
            let wish = |id: &MonitorId| Wish { what: Ok(What::To(*id)), warnings: Vec::new() };
            ids.iter().map(wish).collect::<Vec<_>>()
        };
        let wishes = match self {
            Self::Create(entries) => {
                expect_few(entries.len())?;
                entries.iter().map(|entry| make(entry, known)).collect()
            }
            Self::Update(updates) => {
                let wish =
                    |update: &BulkUpdate<'a>| Wish { what: Ok(What::Change(*update)), warnings: Vec::new() };
                updates.iter().map(wish).collect()
            }
            Self::Pause(ids, _) | Self::Resume(ids) | Self::Delete(ids) => to(ids),
        };
        expect_few(wishes.len().max(wishes.iter().map(Wish::monitors).sum()))?;
        Ok(wishes)
    }
}

fn make<'a>(entry: &Node<'a>, known: &Known) -> Wish<'a> {
    match reading::several(entry, known) {
        Ok((specs, warnings)) => Wish { what: Ok(What::Make(specs)), warnings },
        Err(error) => Wish { what: Err(error), warnings: Vec::new() },
    }
}

fn expect_few(count: usize) -> Result<(), OperationError> {
    if count <= MOST {
        return Ok(());
    }
    let message = format!("these are {count} monitors; one call takes at most {MOST}");
    Err(invalid("monitors", "too_many", message, "cut it into several calls"))
}

/// One call at work.
struct Bulk<'b> {
    operations: &'b Operations,
    caller: &'b Caller,
    known: &'b Known,
    act: &'b BulkAct<'b>,
    atomic: bool,
}

/// What the store held when a piece began.
struct Found {
    by_id: BTreeMap<MonitorId, MonitorRecord>,
    by_key: BTreeMap<String, MonitorRecord>,
    room: Room,
    /// Keys and numbers that this piece has dealt with.
    keys: BTreeSet<String>,
    ids: BTreeSet<MonitorId>,
}

/// What is to be written for one wish.
#[derive(Default)]
struct Writes {
    changes: Vec<ResourceChange>,
    /// Monitors that exist already, as they are.
    known: Vec<MonitorRecord>,
    /// Keys of monitors that are new.
    new: Vec<String>,
    warnings: Vec<Problem>,
}

impl Bulk<'_> {
    /// Writes one piece in one turn.
    async fn piece(&self, wishes: Vec<Wish<'_>>) -> Result<Vec<BulkItem>, OperationError> {
        let turn = self.operations.changes.turn().await;
        let mut found = self.find(&wishes).await?;
        let mut decided: Vec<(Result<Writes, OperationError>, Vec<Problem>)> =
            Vec::with_capacity(wishes.len());
        for Wish { what, warnings } in wishes {
            let writes = match what {
                Ok(what) => self.decide(what, &mut found).await,
                Err(error) => Err(error),
            };
            decided.push((writes, warnings));
        }
        let stopped = self.atomic && decided.iter().any(|(writes, _)| writes.is_err());
        let mut changes = Vec::new();
        if !stopped {
            for (writes, _) in &mut decided {
                if let Ok(writes) = writes {
                    changes.append(&mut writes.changes);
                }
            }
        }
        let written = self.write(&turn, changes, &decided, stopped).await?;
        drop(turn);
        Ok(decided.into_iter().map(|(writes, warnings)| item(writes, warnings, &written, stopped)).collect())
    }

    async fn find(&self, wishes: &[Wish<'_>]) -> Result<Found, OperationError> {
        let (mut ids, mut keys) = (Vec::new(), Vec::new());
        for wish in wishes {
            match &wish.what {
                Ok(What::Make(specs)) => keys.extend(specs.iter().map(|spec| spec.identity().to_owned())),
                Ok(What::Change(update)) => ids.push(update.id),
                Ok(What::To(id)) => ids.push(*id),
                Err(_) => {}
            }
        }
        let (operations, account) = (self.operations, self.caller.account);
        Ok(Found {
            by_id: if ids.is_empty() {
                BTreeMap::new()
            } else {
                operations.stored_all(account, &ids).await?
            },
            by_key: if keys.is_empty() {
                BTreeMap::new()
            } else {
                operations.stored_by_keys(account, keys).await?
            },
            room: operations.room(account).await?,
            keys: BTreeSet::new(),
            ids: BTreeSet::new(),
        })
    }

    async fn decide(&self, what: What<'_>, found: &mut Found) -> Result<Writes, OperationError> {
        match what {
            What::Make(specs) => self.decide_new(&specs, found),
            What::Change(update) => self.decide_change(update, found).await,
            What::To(id) => {
                let record = found.one(id)?;
                match self.act {
                    BulkAct::Delete(_) => {
                        self.operations.expect_editable(&record, None).await?;
                        let change = ResourceChange::BinMonitor { id, revision: None };
                        Ok(Writes { changes: vec![change], known: vec![record], ..Writes::default() })
                    }
                    BulkAct::Pause(..) | BulkAct::Resume(_) => {
                        if matches!(self.act, BulkAct::Resume(_)) {
                            super::acts::expect_enabled(&record)?;
                        }
                        Ok(Writes { known: vec![record], ..Writes::default() })
                    }
                    BulkAct::Create(_) | BulkAct::Update(_) => unreachable!("these are other wishes"),
                }
            }
        }
    }

    /// An entry is made whole or not at all.
    fn decide_new(&self, specs: &[MonitorSpec], found: &mut Found) -> Result<Writes, OperationError> {
        let mut room = found.room.clone();
        let mut writes = Writes::default();
        for spec in specs {
            let key = spec.identity();
            if let Some(twin) = found.by_key.get(key) {
                return Err(taken(twin));
            }
            if found.keys.contains(key) || writes.new.iter().any(|new| new == key) {
                return Err(twice_named(key));
            }
            room.add(spec)?;
            writes.changes.push(put_new(spec));
            writes.new.push(key.to_owned());
        }
        found.room = room;
        found.keys.extend(writes.new.iter().cloned());
        Ok(writes)
    }

    async fn decide_change(
        &self,
        update: BulkUpdate<'_>,
        found: &mut Found,
    ) -> Result<Writes, OperationError> {
        let record = found.one(update.id)?;
        self.operations.expect_editable(&record, update.revision).await?;
        let read = reading::patched(&record, update.patch, self.known)?;
        found.room.change(&read.spec, &record.to_spec()?)?;
        if is_called_anew(&record, &read.spec)? {
            self.expect_free(read.spec.identity(), found).await?;
        }
        let change = put_over(&record, &read.spec);
        Ok(Writes {
            changes: vec![change],
            known: vec![record],
            warnings: read.warnings,
            ..Writes::default()
        })
    }

    /// A monitor gets another identity, which neither another has nor this piece has given away.
    async fn expect_free(&self, key: &str, found: &mut Found) -> Result<(), OperationError> {
        let twins = self.operations.stored_by_keys(self.caller.account, vec![key.to_owned()]).await?;
        match twins.into_values().next() {
            Some(twin) => Err(taken(&twin)),
            None if found.keys.insert(key.to_owned()) => Ok(()),
            None => Err(twice_named(key)),
        }
    }

    /// Writes all of it at once.
    async fn write(
        &self,
        turn: &super::changes::Turn<'_>,
        changes: Vec<ResourceChange>,
        decided: &[(Result<Writes, OperationError>, Vec<Problem>)],
        stopped: bool,
    ) -> Result<Done, OperationError> {
        if stopped {
            return Ok(Done::default());
        }
        let operations = self.operations;
        let applied = match self.act {
            BulkAct::Create(_) | BulkAct::Update(_) | BulkAct::Delete(_) if changes.is_empty() => {
                return Ok(Done::default());
            }
            BulkAct::Create(_) | BulkAct::Update(_) | BulkAct::Delete(_) => {
                operations.write(turn, self.caller, changes).await?
            }
            BulkAct::Pause(..) | BulkAct::Resume(_) => {
                let known = decided.iter().filter_map(|(writes, _)| writes.as_ref().ok());
                let ids: Vec<MonitorId> = known.flat_map(|writes| &writes.known).map(|one| one.id).collect();
                let pause = match self.act {
                    BulkAct::Pause(_, pause) => Some(pause),
                    BulkAct::Create(_) | BulkAct::Update(_) | BulkAct::Resume(_) | BulkAct::Delete(_) => None,
                };
                operations.set_paused(turn, self.caller, ids, pause).await?
            }
        };
        Ok(Done::of(&applied))
    }
}

impl Found {
    /// A monitor that is there, and that this call has not dealt with.
    fn one(&mut self, id: MonitorId) -> Result<MonitorRecord, OperationError> {
        let record = self.by_id.get(&id).cloned().ok_or_else(|| not_found("monitor", id))?;
        if !self.ids.insert(id) {
            let message = format!("monitor {id} stands twice in this call");
            return Err(OperationError::Conflict { code: "twice", message });
        }
        Ok(record)
    }
}

fn twice_named(key: &str) -> OperationError {
    let message = format!("another monitor of this call is called {} too", quote(key));
    OperationError::Conflict { code: "name_taken", message }
}

/// What was written.
#[derive(Default)]
struct Done {
    by_id: BTreeMap<MonitorId, BulkDone>,
    /// Those that belong to nobody but the account: only such are made here.
    by_key: BTreeMap<String, MonitorId>,
}

impl Done {
    fn of(applied: &Applied) -> Self {
        let own = applied.monitors.iter().filter(|one| one.owner == Owner::Api);
        Self {
            by_key: own.map(|one| (one.key.clone(), one.id)).collect(),
            by_id: applied.monitors.iter().map(|one| (one.id, done(one))).collect(),
        }
    }
}

fn done(record: &MonitorRecord) -> BulkDone {
    BulkDone { id: record.id, name: record.name.clone(), revision: record.revision }
}

fn item(
    writes: Result<Writes, OperationError>,
    mut warnings: Vec<Problem>,
    written: &Done,
    stopped: bool,
) -> BulkItem {
    let outcome = writes.map(|writes| {
        warnings.extend(writes.warnings);
        if stopped {
            return Vec::new();
        }
        // What was the same already was not written again.
        let old =
            writes.known.iter().map(|one| written.by_id.get(&one.id).cloned().unwrap_or_else(|| done(one)));
        let new = writes.new.iter().filter_map(|key| written.by_id.get(written.by_key.get(key)?).cloned());
        old.chain(new).collect()
    });
    BulkItem { outcome, warnings }
}
