//! How a step becomes rows. Every statement leaves things as they are when it is run a second time with the same
//! values, so a step whose fate is not known is simply written again.

use quaywatch_core::{AccountId, IncidentId, MonitorId, Timestamp};
use rusqlite::{OptionalExtension, Transaction, named_params, params};

use super::audit::{self, Entry};
use super::convert::{self, incident_blob};
use super::error::engine;
use super::query::exists;
use super::transitions;
use crate::blocks::key;
use crate::records::{
    ActWrite, DeliveryUpdate, EventRecord, EvidenceRecord, Fence, IncidentRecord, InputRecord, IntervalWrite,
    OutboxWrite, ShardStep, StateWrite,
};
use crate::{Result, StoreError};

/// Refuses a writer whose fence is not the one in force.
pub(super) fn expect_fence(tx: &Transaction<'_>, shard: u8, fence: Fence) -> Result<()> {
    let seen = tx
        .prepare_cached("SELECT fence FROM fence WHERE shard = ?1")
        .and_then(|mut s| s.query_row([shard], |row| row.get::<_, i64>(0)).optional())
        .map_err(engine)?
        .unwrap_or(0) as u64;
    // Zero is nobody's: a shard must be claimed before anything is written to it.
    if seen == fence.0 && seen != 0 { Ok(()) } else { Err(StoreError::Fenced { shard, seen, ours: fence.0 }) }
}

/// Refuses results that belong to another shard: they would be filed under a wrong monitor.
pub(super) fn expect_own(step: &ShardStep) -> Result<()> {
    if step.results.iter().all(|result| result.monitor.shard().0 == step.shard) {
        Ok(())
    } else {
        Err(StoreError::Conflict(format!("a result of another shard in a step of shard {}", step.shard)))
    }
}

/// Appends a commit's results; also an empty one, as it says when the server was last alive.
pub(super) fn append_log(tx: &Transaction<'_>, at: Timestamp, data: &[u8]) -> Result<()> {
    tx.prepare_cached("INSERT INTO log (at, data) VALUES (?1, ?2)")
        .and_then(|mut s| s.execute(params![at.0, data]))
        .map_err(engine)?;
    Ok(())
}

/// Writes everything of a step but its results.
pub(super) fn write_decisions(tx: &Transaction<'_>, step: &ShardStep) -> Result<()> {
    if !step.inbox_acks.is_empty() {
        acknowledge(tx, step)?;
    }
    if !step.has_decisions() {
        return Ok(());
    }
    write_inputs(tx, &step.inputs)?;
    write_states(tx, &step.states)?;
    let orphans = write_incidents(tx, &step.incidents)?;
    write_intervals(tx, &step.intervals)?;
    transitions::append(tx, step)?;
    write_events(tx, &step.events, &step.acts, &orphans)?;
    write_evidence(tx, &step.evidence)?;
    write_outbox(tx, &step.outbox, (step.at, &orphans))
}

fn acknowledge(tx: &Transaction<'_>, step: &ShardStep) -> Result<()> {
    let mut delete = tx.prepare_cached("DELETE FROM inbox WHERE id = ?1 AND shard = ?2").map_err(engine)?;
    for id in &step.inbox_acks {
        delete.execute(params![id, step.shard]).map_err(engine)?;
    }
    Ok(())
}

fn write_inputs(tx: &Transaction<'_>, inputs: &[InputRecord]) -> Result<()> {
    if inputs.is_empty() {
        return Ok(());
    }
    let mut insert = tx
        .prepare_cached(
            "INSERT OR IGNORE INTO input (account_id, monitor_id, at, kind, detail)
             SELECT account_id, ?2, ?3, ?4, ?5 FROM monitor WHERE key = ?1",
        )
        .map_err(engine)?;
    for input in inputs {
        insert
            .execute(params![
                key::monitor(input.monitor),
                input.monitor.0,
                input.at.0,
                input.kind,
                input.detail
            ])
            .map_err(engine)?;
    }
    Ok(())
}

fn write_states(tx: &Transaction<'_>, states: &[StateWrite]) -> Result<()> {
    if states.is_empty() {
        return Ok(());
    }
    let mut upsert = tx
        .prepare_cached(
            "INSERT INTO judge_state (key, status, since, code, state) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (key) DO UPDATE SET
             status = excluded.status, since = excluded.since, code = excluded.code, state = excluded.state",
        )
        .map_err(engine)?;
    let mut delete = tx.prepare_cached("DELETE FROM judge_state WHERE key = ?1").map_err(engine)?;
    for write in states {
        let key = key::monitor(write.monitor);
        match &write.state {
            Some(state) => {
                upsert.execute(params![key, write.status as u8, write.since.0, write.code.number(), state])
            }
            None => delete.execute([key]),
        }
        .map_err(engine)?;
    }
    Ok(())
}

/// Writes incidents of monitors that are there, in the bin or not; gives those of monitors that were purged. Nothing would
/// ever delete what is written of these. Their events come in the same step, and must not be taken for the server's own.
fn write_incidents(tx: &Transaction<'_>, incidents: &[IncidentRecord]) -> Result<Vec<IncidentId>> {
    let mut orphans = Vec::new();
    if incidents.is_empty() {
        return Ok(orphans);
    }
    let mut upsert = tx
        .prepare_cached(
            "INSERT INTO incident (account_id, id, monitor_id, ordinal, severity, opening_code, code, started_at,
             confirmed_at, ended_at, close_reason, failed_checks, next_sequence, judge_version,
             acknowledged_at, acknowledged_by)
             SELECT :account, :id, :monitor, :ordinal, :severity, :opening_code, :code, :started_at,
             :confirmed_at, :ended_at, :close_reason, :failed_checks, :next_sequence, :judge_version,
             :acknowledged_at, :acknowledged_by FROM monitor WHERE key = :key
             ON CONFLICT (account_id, id) DO UPDATE SET severity = excluded.severity, code = excluded.code,
             ended_at = excluded.ended_at, close_reason = excluded.close_reason,
             failed_checks = excluded.failed_checks, next_sequence = excluded.next_sequence,
             judge_version = excluded.judge_version, acknowledged_at = excluded.acknowledged_at,
             acknowledged_by = excluded.acknowledged_by",
        )
        .map_err(engine)?;
    for incident in incidents {
        let written = upsert
            .execute(named_params! {
                ":key": key::monitor(incident.monitor),
                ":account": incident.account.0,
                ":id": incident_blob(incident.id),
                ":monitor": incident.monitor.0,
                ":ordinal": incident.ordinal,
                ":severity": convert::severity_number(incident.severity),
                ":opening_code": incident.opening_code.number(),
                ":code": incident.code.number(),
                ":started_at": incident.started_at.0,
                ":confirmed_at": incident.confirmed_at.0,
                ":ended_at": incident.ended_at.map(|at| at.0),
                ":close_reason": incident.close_reason.map(convert::close_reason_number),
                ":failed_checks": incident.failed_checks,
                ":next_sequence": incident.next_sequence,
                ":judge_version": incident.judge_version,
                ":acknowledged_at": incident.acknowledged.as_ref().map(|said| said.at.0),
                ":acknowledged_by": incident.acknowledged.as_ref().map(|said| &said.by),
            })
            .map_err(engine)?;
        if written == 0 {
            orphans.push(incident.id);
        }
    }
    Ok(orphans)
}

fn write_intervals(tx: &Transaction<'_>, intervals: &[IntervalWrite]) -> Result<()> {
    for (i, write) in intervals.iter().enumerate() {
        match write {
            IntervalWrite::Open { monitor, from, .. } => {
                close_interval(tx, *monitor, *from, Beginning::Before)?;
                open_interval(tx, write)?;
            }
            IntervalWrite::Close { monitor, to } => {
                // Where the same step opens the next interval and that one is there already, the step was written
                // before (or replaces an interval in place): what is open now is not what this closes.
                let next = intervals[i + 1..].iter().find_map(|later| match later {
                    IntervalWrite::Open { monitor: whose, from, .. } if whose == monitor => Some(*from),
                    IntervalWrite::Open { .. } | IntervalWrite::Close { .. } => None,
                });
                if !next.map_or(Ok(false), |from| interval_exists(tx, *monitor, from))? {
                    close_interval(tx, *monitor, *to, Beginning::UpTo)?;
                }
            }
        }
    }
    Ok(())
}

/// Which open interval is meant, by its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beginning {
    Before,
    UpTo,
}

fn close_interval(
    tx: &Transaction<'_>,
    monitor: MonitorId,
    to: Timestamp,
    beginning: Beginning,
) -> Result<()> {
    tx.prepare_cached(
        "UPDATE interval SET to_at = ?2 WHERE monitor_id = ?1 AND to_at IS NULL AND from_at < ?2 + ?3",
    )
    .and_then(|mut s| s.execute(params![monitor.0, to.0, i64::from(beginning == Beginning::UpTo)]))
    .map_err(engine)?;
    Ok(())
}

fn interval_exists(tx: &Transaction<'_>, monitor: MonitorId, from: Timestamp) -> Result<bool> {
    tx.prepare_cached(
        "SELECT 1 FROM interval WHERE account_id = (SELECT account_id FROM monitor WHERE key = ?1)
         AND monitor_id = ?2 AND from_at = ?3",
    )
    .and_then(|mut s| s.exists(params![key::monitor(monitor), monitor.0, from.0]))
    .map_err(engine)
}

fn open_interval(tx: &Transaction<'_>, write: &IntervalWrite) -> Result<()> {
    let IntervalWrite::Open { monitor, from, status, code, incident } = write else { return Ok(()) };
    // An interval with an end and a length was written by an earlier run of this step; one without length is
    // replaced.
    tx.prepare_cached(
        "INSERT INTO interval (account_id, monitor_id, from_at, status, code, incident_id)
         SELECT account_id, ?2, ?3, ?4, ?5, ?6 FROM monitor WHERE key = ?1
         ON CONFLICT (account_id, monitor_id, from_at) DO UPDATE SET
         status = excluded.status, code = excluded.code, incident_id = excluded.incident_id, to_at = NULL
         WHERE interval.to_at IS NULL OR interval.to_at <= interval.from_at",
    )
    .and_then(|mut s| {
        s.execute(params![
            key::monitor(*monitor),
            monitor.0,
            from.0,
            *status as u8,
            code.number(),
            incident.map(incident_blob)
        ])
    })
    .map_err(engine)?;
    Ok(())
}

/// Remembers whose the last incident was: events and notices of one incident come together.
#[derive(Default)]
struct Accounts(Option<(IncidentId, i64)>);

impl Accounts {
    /// The account of an incident; of the server's own events, which have none, the first account.
    fn of(&mut self, tx: &Transaction<'_>, incident: IncidentId) -> Result<i64> {
        if let Some((known, account)) = self.0
            && known == incident
        {
            return Ok(account);
        }
        let account = tx
            .prepare_cached("SELECT account_id FROM incident WHERE id = ?1")
            .and_then(|mut s| s.query_row([incident_blob(incident)], |row| row.get(0)).optional())
            .map_err(engine)?
            .unwrap_or(AccountId::DEFAULT.0);
        self.0 = Some((incident, account));
        Ok(account)
    }
}

fn write_events(
    tx: &Transaction<'_>,
    events: &[EventRecord],
    acts: &[ActWrite],
    orphans: &[IncidentId],
) -> Result<()> {
    let mut accounts = Accounts::default();
    for event in events.iter().filter(|event| !orphans.contains(&event.incident)) {
        let account = accounts.of(tx, event.incident)?;
        let is_new = tx
            .prepare_cached(
                "INSERT OR IGNORE INTO incident_event (account_id, incident_id, sequence, at, kind, snapshot)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )
            .and_then(|mut s| {
                s.execute(params![
                    account,
                    incident_blob(event.incident),
                    event.sequence,
                    event.at.0,
                    event.kind,
                    event.snapshot
                ])
            })
            .map_err(engine)?
            == 1;
        // A row of the audit log has no identity of its own: what tells a step that was written before is its event.
        for act in acts.iter().filter(|_| is_new) {
            if (act.incident, act.sequence) == (event.incident, event.sequence) {
                write_act(tx, (event.at, AccountId(account)), act)?;
            }
        }
    }
    Ok(())
}

fn write_act(tx: &Transaction<'_>, (at, account): (Timestamp, AccountId), act: &ActWrite) -> Result<()> {
    let entry = Entry { detail: &act.detail, ..Entry::of(act.action, "monitor", act.monitor.0) };
    audit::write(tx, (at, &act.author), account, entry)
}

fn write_evidence(tx: &Transaction<'_>, evidence: &[EvidenceRecord]) -> Result<()> {
    for record in evidence {
        let text = serde_json::to_string(&record.evidence)
            .map_err(|e| StoreError::Conflict(format!("evidence that cannot be written: {e}")))?;
        tx.prepare_cached(
            "INSERT OR IGNORE INTO evidence (account_id, monitor_id, slot, location_id, code, incident_id, evidence)
             SELECT account_id, ?2, ?3, ?4, ?5, ?6, ?7 FROM monitor WHERE key = ?1",
        )
        .and_then(|mut s| {
            s.execute(params![
                key::monitor(record.monitor),
                record.monitor.0,
                record.slot.0,
                record.location.0,
                record.code.number(),
                record.incident.map(incident_blob),
                text
            ])
        })
        .map_err(engine)?;
    }
    Ok(())
}

fn write_outbox(
    tx: &Transaction<'_>,
    outbox: &[OutboxWrite],
    (now, orphans): (Timestamp, &[IncidentId]),
) -> Result<()> {
    let mut accounts = Accounts::default();
    for notice in outbox.iter().filter(|notice| !orphans.contains(&notice.incident)) {
        let account = accounts.of(tx, notice.incident)?;
        tx.prepare_cached(
            "INSERT OR IGNORE INTO outbox
             (account_id, incident_id, sequence, channel_id, state, attempts, due, queued_at)
             VALUES (?1, ?2, ?3, ?4, 0, 0, ?5, ?6)",
        )
        .and_then(|mut s| {
            s.execute(params![
                account,
                incident_blob(notice.incident),
                notice.sequence,
                notice.channel.0,
                notice.due.0,
                now.0
            ])
        })
        .map_err(engine)?;
    }
    Ok(())
}

/// Writes what came of attempts to deliver. An older answer never overwrites a newer one.
pub(super) fn write_deliveries(tx: &Transaction<'_>, updates: &[DeliveryUpdate]) -> Result<()> {
    let mut accounts = Accounts::default();
    for update in updates {
        let account = accounts.of(tx, update.notice.incident)?;
        let id = incident_blob(update.notice.incident);
        let known = tx
            .prepare_cached(
                "UPDATE outbox SET state = ?5, attempts = ?6, due = ?7, remote_id = coalesce(?8, remote_id)
                 WHERE account_id = ?1 AND incident_id = ?2 AND sequence = ?3 AND channel_id = ?4",
            )
            .and_then(|mut s| {
                s.execute(params![
                    account,
                    id,
                    update.notice.sequence,
                    update.notice.channel.0,
                    update.state as u8,
                    update.attempts,
                    update.notice.due.0,
                    update.remote_id
                ])
            })
            .map_err(engine)?;
        if known == 0 && is_purged(tx, (account, id))? {
            continue;
        }
        if known != 1 {
            return Err(StoreError::Conflict(format!(
                "an attempt for a notice that was never queued: {} {} {}",
                update.notice.incident, update.notice.sequence, update.notice.channel
            )));
        }
        write_attempt(tx, account, update)?;
    }
    Ok(())
}

/// Whether nothing is known of an incident any more: its monitor was purged while somebody was being told. An answer that
/// comes for it is no reason to refuse those that come with it.
fn is_purged(tx: &Transaction<'_>, (account, incident): (i64, [u8; 16])) -> Result<bool> {
    let sql = "SELECT 1 FROM incident_event WHERE account_id = ?1 AND incident_id = ?2";
    Ok(!exists(tx, sql, params![account, incident])?)
}

fn write_attempt(tx: &Transaction<'_>, account: i64, update: &DeliveryUpdate) -> Result<()> {
    tx.prepare_cached(
        "INSERT OR IGNORE INTO delivery_attempt
         (account_id, incident_id, sequence, channel_id, attempt, at, class, answer, took_us)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )
    .and_then(|mut s| {
        s.execute(params![
            account,
            incident_blob(update.notice.incident),
            update.notice.sequence,
            update.notice.channel.0,
            update.attempts,
            update.at.0,
            update.class,
            update.answer,
            i64::try_from(update.took.as_micros()).unwrap_or(i64::MAX)
        ])
    })
    .map_err(engine)?;
    Ok(())
}
