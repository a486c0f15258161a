//! Monitors made, changed, copied, put into the bin and taken out of it.
//!
//! Bodies are read by the reader of the file, so that a mistake is told in the same words everywhere. What a change
//! rests on (a free name, room in the plan, the revision that somebody saw) is looked up inside the same turn.

use quaywatch_core::doc::{Node, quote};
use quaywatch_core::{MonitorId, MonitorSpec};
use quaywatch_store::records::{Applied, ChangeSet, MonitorRecord, Owner, ResourceChange};

use super::changes::Turn;
use super::monitors::{EDIT, MonitorView, Written};
use super::reading::{self, ReadSpec, ToSpec as _};
use super::refuse::not_found;
use super::{OperationError, Operations};
use crate::caller::Caller;

impl Operations {
    /// Makes a monitor. What would be several (`hosts`, `ports`, `preset`) goes through [`Operations::bulk_monitors`].
    ///
    /// # Errors
    /// Where the caller may not, the body is wrong, the name is taken, or the plan allows no more.
    pub async fn create_monitor(&self, caller: &Caller, body: &Node<'_>) -> Result<Written, OperationError> {
        caller.require(EDIT)?;
        let read = reading::one(body, &self.known(caller.account).await?)?;
        self.create(caller, read).await
    }

    /// Makes a monitor like another one, with these settings laid over it; its name is `… (copy)` where none is given.
    ///
    /// # Errors
    /// As for [`Operations::create_monitor`].
    pub async fn clone_monitor(
        &self,
        caller: &Caller,
        id: MonitorId,
        over: Option<&Node<'_>>,
    ) -> Result<Written, OperationError> {
        caller.require(EDIT)?;
        let record = self.stored(caller.account, id).await?;
        let read = reading::copied(&record, over, &self.known(caller.account).await?)?;
        self.create(caller, read).await
    }

    async fn create(&self, caller: &Caller, read: ReadSpec) -> Result<Written, OperationError> {
        let ReadSpec { spec, warnings } = read;
        let _alone = self.alone(caller.account).await?;
        let turn = self.changes.turn().await;
        self.room(caller.account).await?.add(&spec)?;
        self.expect_free(caller, &spec).await?;
        let applied = self.write(&turn, caller, vec![put_new(&spec)]).await?;
        drop(turn);
        let id = applied.monitors.first().map(|monitor| monitor.id).ok_or_else(not_written)?;
        Ok(Written { monitor: self.view(caller.account, id).await?, warnings })
    }

    /// Changes a monitor (RFC 7396: `null` takes a setting back to its default, what is not named stays).
    ///
    /// # Errors
    /// Where the caller may not, there is none, a file owns it, it has another revision, or the result would be wrong.
    pub async fn update_monitor(
        &self,
        caller: &Caller,
        id: MonitorId,
        patch: &Node<'_>,
        revision: Option<u32>,
    ) -> Result<Written, OperationError> {
        caller.require(EDIT)?;
        let known = self.known(caller.account).await?;
        let turn = self.changes.turn().await;
        let record = self.stored(caller.account, id).await?;
        self.expect_editable(&record, revision).await?;
        let ReadSpec { spec, warnings } = reading::patched(&record, patch, &known)?;
        self.room(caller.account).await?.change(&spec, &record.to_spec()?)?;
        if is_called_anew(&record, &spec)? {
            self.expect_free(caller, &spec).await?;
        }
        self.write(&turn, caller, vec![put_over(&record, &spec)]).await?;
        drop(turn);
        Ok(Written { monitor: self.view(caller.account, id).await?, warnings })
    }

    /// Puts a monitor into the bin, with its history.
    ///
    /// # Errors
    /// Where the caller may not, there is none, a file owns it, or it has another revision.
    pub async fn delete_monitor(
        &self,
        caller: &Caller,
        id: MonitorId,
        revision: Option<u32>,
    ) -> Result<(), OperationError> {
        caller.require(EDIT)?;
        let turn = self.changes.turn().await;
        let record = self.stored(caller.account, id).await?;
        self.expect_editable(&record, revision).await?;
        self.write(&turn, caller, vec![ResourceChange::BinMonitor { id, revision }]).await?;
        Ok(())
    }

    /// Takes a monitor out of the bin again, with its history. Where another one has its key but is called otherwise by
    /// now, it comes back under another key.
    ///
    /// # Errors
    /// Where the caller may not, there is none in the bin, its name was taken since, or the plan allows no more.
    pub async fn restore_monitor(
        &self,
        caller: &Caller,
        id: MonitorId,
    ) -> Result<MonitorView, OperationError> {
        caller.require(EDIT)?;
        let _alone = self.alone(caller.account).await?;
        let turn = self.changes.turn().await;
        let mut rows = self.account(caller).monitor_rows(vec![id]).await?;
        rows.retain(|row| row.removed_at.is_some());
        let record = rows.pop().ok_or_else(|| not_found("monitor in the bin", id))?.monitor;
        self.expect_editable(&record, None).await?;
        let spec = record.to_spec()?;
        self.room(caller.account).await?.add(&spec)?;
        self.expect_channels_there(caller.account, &spec).await?;
        let key = Some(self.key_to_return(caller, &record, &spec).await?);
        self.write(&turn, caller, vec![ResourceChange::RestoreMonitor { id, key }]).await?;
        drop(turn);
        self.view(caller.account, id).await
    }

    /// Nobody else has the identity.
    async fn expect_free(&self, caller: &Caller, spec: &MonitorSpec) -> Result<(), OperationError> {
        let key = vec![spec.identity().to_owned()];
        match self.stored_by_keys(caller.account, key).await?.pop_first() {
            None => Ok(()),
            Some((_, twin)) => Err(taken(&twin)),
        }
    }

    /// The key under which a monitor comes out of the bin: its own; where the monitor that took that one is called
    /// otherwise by now, one that nobody has. An id that somebody gave is never exchanged.
    async fn key_to_return(
        &self,
        caller: &Caller,
        record: &MonitorRecord,
        spec: &MonitorSpec,
    ) -> Result<String, OperationError> {
        let keys = [record.key.clone(), spec.identity().to_owned(), record.id.to_string()];
        let held = self.stored_by_keys(caller.account, keys.to_vec()).await?;
        let same = |twin: &&MonitorRecord| spec.key.is_some() || twin.name == record.name;
        if let Some(twin) = keys[..2].iter().filter_map(|key| held.get(key)).find(same) {
            return Err(in_the_way(record, twin));
        }
        let free = keys.into_iter().find(|key| !held.contains_key(key));
        free.ok_or_else(|| held.values().next().map_or_else(not_written, |twin| in_the_way(record, twin)))
    }

    /// Writes what a caller changes of what belongs to nobody but the account.
    pub(super) async fn write(
        &self,
        turn: &Turn<'_>,
        caller: &Caller,
        changes: Vec<ResourceChange>,
    ) -> Result<Applied, OperationError> {
        self.write_for(turn, caller, Owner::Api, changes).await
    }

    /// Writes what a caller changes of what belongs to `owner`.
    pub(super) async fn write_for(
        &self,
        turn: &Turn<'_>,
        caller: &Caller,
        owner: Owner,
        changes: Vec<ResourceChange>,
    ) -> Result<Applied, OperationError> {
        let set = ChangeSet { owner, actor: caller.author(), changes, accepted: None };
        Ok(turn.apply(caller.account, set, self.clock.now()).await?)
    }
}

/// A monitor that is not there yet. One of that name in the bin is another one, and stays there.
pub(super) fn put_new(spec: &MonitorSpec) -> ResourceChange {
    ResourceChange::AddMonitor {
        key: spec.identity().to_owned(),
        name: spec.name.clone(),
        spec: spec.to_canonical(),
    }
}

/// A monitor that changes. Its identity stays, whatever it is called now.
pub(super) fn put_over(record: &MonitorRecord, spec: &MonitorSpec) -> ResourceChange {
    ResourceChange::PutMonitor { key: record.key.clone(), name: spec.name.clone(), spec: spec.to_canonical() }
}

/// Whether a monitor gets an identity that it does not have already.
pub(super) fn is_called_anew(record: &MonitorRecord, spec: &MonitorSpec) -> Result<bool, OperationError> {
    Ok(spec.identity() != record.key && spec.identity() != record.to_spec()?.identity())
}

/// The name (or the `id`) belongs to another monitor.
pub(super) fn taken(twin: &MonitorRecord) -> OperationError {
    let what = if twin.key == twin.name { "name" } else { "id" };
    let message = format!(
        "the {what} {} belongs to monitor {}: choose another, or change that one",
        quote(&twin.key),
        twin.id
    );
    let code = if what == "name" { "name_taken" } else { "id_taken" };
    OperationError::Conflict { code, message }
}

/// What lies in the bin cannot come back beside this one.
fn in_the_way(record: &MonitorRecord, twin: &MonitorRecord) -> OperationError {
    let (id, other) = (record.id, twin.id);
    if twin.name == record.name {
        let name = quote(&record.name);
        let message = format!(
            "monitor {other} is called {name} by now: rename that one or put it into the bin, then restore {id}"
        );
        return OperationError::Conflict { code: "name_taken", message };
    }
    let (key, name) = (quote(&twin.key), quote(&twin.name));
    let message = format!(
        "the id {key} belongs to monitor {other} ({name}): put that one into the bin, then restore {id}"
    );
    OperationError::Conflict { code: "id_taken", message }
}

fn not_written() -> OperationError {
    OperationError::Unavailable("the monitor was not written".to_owned())
}
