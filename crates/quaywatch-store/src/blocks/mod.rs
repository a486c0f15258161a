//! How results look on disk: one row format for what is young (log and chunks), one column format for what is old
//! (blocks and days), and the summaries that charts are drawn from.
//!
//! All of it is our own and small on purpose: a column of latencies costs within a few percent of what theory allows,
//! a regular slot costs nothing, and a reader of damaged bytes gets an error, never a panic and never an allocation
//! that the bytes do not pay for. Formats are on disk for ever: each starts with a version byte, and a new one gets
//! a new number.

mod bits;
mod block;
pub(crate) mod key;
mod rice;
pub(crate) mod rows;
mod summary;
mod varint;

pub(crate) use block::{BlockCodec, decode as decode_block};
pub(crate) use summary::{SummaryBuilder, decode_hours, decode_one, encode_hours, encode_one};

use quaywatch_core::{CheckResult, ErrorCode, LocationId, ResultFlags, Timestamp};

use crate::records::CheckRow;

/// Why bytes could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Corrupt(pub &'static str);

type Decoded<T> = Result<T, Corrupt>;

/// One result as the codecs see it: everything that is kept of a check, without its evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    /// The slot in milliseconds since the epoch.
    pub slot_ms: i64,
    /// The monitor's place in its shard (`id div 64`).
    pub monitor: u32,
    /// 0: none.
    pub latency_us: u32,
    pub dns_us: u32,
    pub location: u16,
    pub code: u8,
    pub flags: u8,
    pub retransmits: u8,
}

impl Row {
    pub(crate) fn of(result: &CheckResult) -> Self {
        Self {
            slot_ms: result.slot.millis(),
            monitor: result.monitor.within_shard(),
            latency_us: result.latency_us.map_or(0, std::num::NonZeroU32::get),
            dns_us: result.dns_us,
            location: result.location.0,
            code: result.code.number(),
            flags: result.flags.0,
            retransmits: result.syn_retransmits,
        }
    }

    /// The order of chunks; equal rows are the same check.
    pub(crate) const fn identity(&self) -> (u32, u16, i64) {
        (self.monitor, self.location, self.slot_ms)
    }

    pub(crate) fn to_check(self) -> Decoded<CheckRow> {
        Ok(CheckRow {
            location: LocationId(self.location),
            slot: Timestamp::from_millis(self.slot_ms),
            code: ErrorCode::from_number(self.code)
                .ok_or(Corrupt("an outcome that this version does not know"))?,
            flags: ResultFlags(self.flags),
            syn_retransmits: self.retransmits,
            latency_us: (self.latency_us != 0).then_some(self.latency_us),
            dns_us: self.dns_us,
        })
    }
}
