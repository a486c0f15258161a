//! Reading back what was recorded: the rows of an export, and the moments that people name.

use std::fmt::Write as _;

use quaywatch_core::{CheckResult, ErrorStatus, MonitorId, ResultFlags, Timestamp};
use quaywatch_store::records::{CheckRow, MonitorRecord, Window};
use quaywatch_store::{AccountStore, StoreError};

use quaywatch_core::spec::duration;

/// Why a question about the past cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// No such monitor.
    #[error("there is no monitor `{name}`{suggestion}")]
    NoMonitor {
        /// As asked.
        name: String,
        /// `; did you mean …?`, or nothing.
        suggestion: String,
    },
    /// A moment that cannot be read.
    #[error(
        "`{text}` is no moment: write how long ago (`7d`, `90m`) or when (`2026-05-01`, `2026-05-01T16:15:00Z`)"
    )]
    NoMoment {
        /// As asked.
        text: String,
    },
    /// An end before its beginning.
    #[error("the window ends ({to}) before it begins ({from})")]
    Backwards {
        /// The beginning.
        from: Timestamp,
        /// The end.
        to: Timestamp,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A moment as people name it: a duration back from `now`, a date, or a time with its zone.
///
/// # Errors
/// [`HistoryError::NoMoment`].
pub fn moment(text: &str, now: Timestamp) -> Result<Timestamp, HistoryError> {
    if let Ok(ago) = duration::parse(text) {
        return Ok(now - ago);
    }
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(Timestamp(at.as_microsecond()));
    }
    text.parse::<jiff::civil::DateTime>()
        .ok()
        .and_then(|at| at.to_zoned(jiff::tz::TimeZone::UTC).ok())
        .map(|at| Timestamp(at.timestamp().as_microsecond()))
        .ok_or_else(|| HistoryError::NoMoment { text: text.to_owned() })
}

/// The window that two such texts mean; without an end, until `now`.
///
/// # Errors
/// Where one cannot be read, or the end lies before the beginning.
pub fn window(since: &str, until: Option<&str>, now: Timestamp) -> Result<Window, HistoryError> {
    let from = moment(since, now)?;
    let to = until.map_or(Ok(now), |text| moment(text, now))?;
    if to < from {
        return Err(HistoryError::Backwards { from, to });
    }
    Ok(Window { from, to })
}

/// The monitor that a person means: by id (`m42`), by name, or by key.
///
/// # Errors
/// [`HistoryError::NoMonitor`] with the nearest name.
pub async fn find_monitor(store: &dyn AccountStore, text: &str) -> Result<MonitorRecord, HistoryError> {
    if let Some(found) = store.monitor_named(text).await? {
        return Ok(found);
    }
    let all = store.monitors().await?;
    let by_id = text.parse::<MonitorId>().ok();
    if let Some(found) = all.iter().find(|m| Some(m.id) == by_id) {
        return Ok(found.clone());
    }
    let nearest = all
        .iter()
        .map(|m| (strsim::damerau_levenshtein(&m.name.to_lowercase(), &text.to_lowercase()), &m.name))
        .min()
        .filter(|(distance, name)| *distance <= name.len() / 2);
    let suggestion = match nearest {
        Some((_, name)) => format!("; did you mean `{name}`?"),
        None if all.is_empty() => "; this store holds none yet".to_owned(),
        None => String::new(),
    };
    Err(HistoryError::NoMonitor { name: text.to_owned(), suggestion })
}

/// How recorded checks are written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// A header line and a line a check (RFC 4180).
    Csv,
    /// A JSON object a line.
    JsonLines,
}

/// The header of [`ExportFormat::Csv`].
pub const CSV_HEADER: &str = "time,monitor,location,verdict,error_status,error_code,latency_us,dns_us,\
                              syn_retransmits,handshake,shared,stale_dns,recheck\n";

/// Appends one recorded check to `out`, ending with a line feed.
pub fn write_row(
    out: &mut String,
    format: ExportFormat,
    monitor: &MonitorRecord,
    location: &str,
    row: &CheckRow,
) {
    let handshake = if row.flags.has(ResultFlags::FULL) { "full" } else { "half_open" };
    let status = row.code.status().map(ErrorStatus::as_str);
    let verdict = verdict_word(row);
    let marks = |flag| row.flags.has(flag);
    match format {
        ExportFormat::Csv => {
            let latency = row.latency_us.map(|us| us.to_string()).unwrap_or_default();
            let _ = writeln!(
                out,
                "{},{},{},{verdict},{},{},{latency},{},{},{handshake},{},{},{}",
                row.slot,
                csv(&monitor.name),
                csv(location),
                status.unwrap_or_default(),
                row.code,
                row.dns_us,
                row.syn_retransmits,
                marks(ResultFlags::SHARED),
                marks(ResultFlags::STALE_DNS),
                marks(ResultFlags::RECHECK),
            );
        }
        ExportFormat::JsonLines => {
            let line = serde_json::json!({
                "time": row.slot.to_string(),
                "monitor": { "id": monitor.id.to_string(), "name": monitor.name },
                "location": location,
                "verdict": verdict,
                "error_status": status,
                "error_code": row.code,
                "latency_us": row.latency_us,
                "dns_us": row.dns_us,
                "syn_retransmits": row.syn_retransmits,
                "handshake": handshake,
                "shared": marks(ResultFlags::SHARED),
                "stale_dns": marks(ResultFlags::STALE_DNS),
                "recheck": marks(ResultFlags::RECHECK),
            });
            let _ = writeln!(out, "{line}");
        }
    }
}

fn verdict_word(row: &CheckRow) -> &'static str {
    use quaywatch_core::Verdict;
    match row.code.verdict() {
        Verdict::Up => "up",
        Verdict::Degraded => "degraded",
        Verdict::Down => "down",
        Verdict::Unknown => "unknown",
        Verdict::Blocked => "blocked",
    }
}

/// A field of RFC 4180: quoted where it must be. A leading `=`, `+`, `-` or `@` gets an apostrophe before it, so that
/// a spreadsheet does not run a name as a formula.
fn csv(text: &str) -> String {
    let guarded =
        if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() };
    if guarded.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", guarded.replace('"', "\"\""))
    } else {
        guarded
    }
}

/// The row that a result becomes.
#[must_use]
pub fn row_of(result: &CheckResult) -> CheckRow {
    CheckRow {
        location: result.location,
        slot: result.slot,
        code: result.code,
        flags: result.flags,
        syn_retransmits: result.syn_retransmits,
        latency_us: result.latency_us.map(std::num::NonZeroU32::get),
        dns_us: result.dns_us,
    }
}

#[cfg(test)]
mod tests {
    use quaywatch_core::{AccountId, ErrorCode, LocationId};
    use quaywatch_store::records::Owner;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_777_652_100);

    fn monitor(name: &str) -> MonitorRecord {
        MonitorRecord {
            id: MonitorId(7),
            account: AccountId::DEFAULT,
            owner: Owner::File,
            key: name.to_owned(),
            name: name.to_owned(),
            revision: 1,
            spec: String::new(),
            paused: false,
            created_at: NOW,
        }
    }

    #[test]
    fn moments_are_read_as_people_write_them() {
        let hour = std::time::Duration::from_secs(3_600);
        assert_eq!(moment("1h", NOW).expect("a duration"), NOW - hour);
        assert_eq!(moment("2026-05-01T16:15:00Z", NOW).expect("a time"), NOW);
        assert_eq!(moment("2026-05-01T18:15:00+02:00", NOW).expect("a time with a zone"), NOW);
        assert_eq!(moment("2026-05-01", NOW).expect("a date"), NOW - 16 * hour - hour / 4);
        assert!(moment("yesterday", NOW).is_err());
        assert!(window("1h", Some("2h"), NOW).is_err());
    }

    #[test]
    fn an_exported_line_quotes_what_must_be_quoted_and_runs_nothing() {
        let row = CheckRow {
            location: LocationId::LOCAL,
            slot: NOW,
            code: ErrorCode::TcpRefused,
            flags: ResultFlags::RECHECK,
            syn_retransmits: 0,
            latency_us: None,
            dns_us: 12,
        };
        let mut out = String::new();
        write_row(&mut out, ExportFormat::Csv, &monitor("=a,\"b\""), "local", &row);
        assert_eq!(
            out,
            "2026-05-01T16:15:00.000Z,\"'=a,\"\"b\"\"\",local,down,tcp_refused,tcp_refused,,12,0,half_open,false,false,true\n"
        );
        assert_eq!(out.trim_end().split(',').count(), CSV_HEADER.trim_end().split(',').count() + 1);
        out.clear();
        write_row(&mut out, ExportFormat::JsonLines, &monitor("a"), "local", &row);
        let line: serde_json::Value = serde_json::from_str(&out).expect("one JSON object");
        assert_eq!(line["error_status"], "tcp_refused");
        assert!(line["latency_us"].is_null());
    }
}
