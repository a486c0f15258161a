//! Who may change a monitor: what belongs to a file is changed in that file, and whoever tries it elsewhere is told
//! where it stands.

use quaywatch_core::doc::quote;
use quaywatch_store::records::{MonitorRecord, Owner};

use super::monitors::Source;
use super::{OperationError, Operations};
use crate::config;

impl Operations {
    /// Goes on only where calls may change the monitor.
    pub(super) async fn expect_editable(
        &self,
        record: &MonitorRecord,
        revision: Option<u32>,
    ) -> Result<(), OperationError> {
        match &record.owner {
            Owner::Api => {}
            Owner::File => return Err(self.of_file(record).await),
            Owner::Apply(name) => return Err(of_apply(record, name)),
        }
        match revision {
            Some(revision) if revision != record.revision => Err(OperationError::Changed),
            Some(_) | None => Ok(()),
        }
    }

    async fn of_file(&self, record: &MonitorRecord) -> OperationError {
        let source = match self.source(&record.owner, &record.key).await {
            Ok(source) => source,
            Err(error) => return error,
        };
        let place = match source {
            Some(Source { file, line: Some(line) }) => format!("{file}, line {line}"),
            Some(Source { file, line: None }) => file,
            None => "the server's file".to_owned(),
        };
        let message = format!("monitor {} belongs to {place}: change it there", quote(&record.name));
        OperationError::Conflict { code: "managed_by_file", message }
    }

    /// Where the file's owner wrote a monitor of the file.
    pub(super) async fn source(&self, owner: &Owner, key: &str) -> Result<Option<Source>, OperationError> {
        if *owner != Owner::File {
            return Ok(None);
        }
        let Some(accepted) = self.store.system().accepted_config().await? else { return Ok(None) };
        let path = self.settings.now().path.clone();
        let file = if path.is_empty() { "the server's file".to_owned() } else { path };
        let key = key.to_owned();
        // A file may have a hundred thousand monitors: reading it is no work for a thread that serves others.
        let line = tokio::task::spawn_blocking(move || config::line_of(&accepted.text, &key));
        Ok(Some(Source { file, line: line.await.ok().flatten() }))
    }
}

fn of_apply(record: &MonitorRecord, name: &str) -> OperationError {
    let message = format!(
        "monitor {} belongs to `quaywatch apply` under the name {}: change it in that document",
        quote(&record.name),
        quote(name)
    );
    OperationError::Conflict { code: "managed_by_apply", message }
}
