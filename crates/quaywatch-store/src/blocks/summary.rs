//! Sums of results: counts by verdict, smallest, largest, sum, and a sparse histogram whose boundaries are the powers
//! of 1.05, so that sums of any hours and monitors are added by adding. Never a stored percentile: percentiles of
//! percentiles mean nothing.

use quaywatch_core::{ErrorCode, Verdict};

use super::varint::{self, Reader};
use super::{Corrupt, Decoded, Row};
use crate::records::Summary;

const VERSION: u8 = 1;
const BUCKETS: usize = 455;

/// `BOUNDS[i]` is the smallest whole number of microseconds in bucket `i`: 1.05^i, rounded up. Multiplied step by step,
/// so that every machine gets the same table.
const BOUNDS: [u32; BUCKETS] = {
    let mut bounds = [u32::MAX; BUCKETS];
    let mut power = 1.0_f64;
    let mut i = 0;
    while i < BUCKETS {
        let floor = power as u64;
        let ceiling = if floor as f64 == power { floor } else { floor + 1 };
        bounds[i] = if ceiling > u32::MAX as u64 { u32::MAX } else { ceiling as u32 };
        power *= 1.05;
        i += 1;
    }
    bounds
};

/// `STARTS[b]` is the first bucket whose bound has more than `b` bits: narrows the search to a few buckets.
const STARTS: [u16; 34] = {
    let mut starts = [BUCKETS as u16; 34];
    let mut bits = 0;
    while bits < 34 {
        let mut i = 0;
        while i < BUCKETS && (32 - BOUNDS[i].leading_zeros()) as usize <= bits {
            i += 1;
        }
        starts[bits] = i as u16;
        bits += 1;
    }
    starts
};

/// The bucket of a latency of at least 1 µs.
fn bucket(us: u32) -> u16 {
    let bits = (32 - us.leading_zeros()) as usize;
    let (from, to) = (usize::from(STARTS[bits.saturating_sub(1)]), usize::from(STARTS[bits]));
    (from + BOUNDS[from..to].partition_point(|bound| *bound <= us)).saturating_sub(1) as u16
}

impl Summary {
    /// All checks in it.
    #[must_use]
    pub const fn checks(&self) -> u64 {
        self.up as u64 + self.degraded as u64 + self.down as u64 + self.unknown as u64 + self.blocked as u64
    }

    /// Latencies in it.
    #[must_use]
    pub fn latencies(&self) -> u64 {
        self.histogram.iter().map(|(_, count)| u64::from(*count)).sum()
    }

    /// The mean latency in microseconds.
    #[must_use]
    pub fn mean_us(&self) -> Option<u64> {
        self.sum_us.checked_div(self.latencies())
    }

    /// The latency that the share `q` (0 to 1) of latencies does not pass, at most 2.5 % off.
    #[must_use]
    pub fn quantile_us(&self, q: f64) -> Option<u32> {
        let total = self.latencies();
        let rank = ((q.clamp(0.0, 1.0) * total as f64).ceil() as u64).clamp(1, total.max(1));
        let mut seen = 0;
        let (bucket, _) = self.histogram.iter().find(|(_, count)| {
            seen += u64::from(*count);
            seen >= rank
        })?;
        // The point of a bucket that is as far, as a share, from its lower as from its upper bound.
        let middle = 1.05_f64.powi(i32::from(*bucket)) * 2.0 * 1.05 / 2.05;
        Some((middle.round() as u32).clamp(self.min_us, self.max_us))
    }

    /// Adds latencies whose checks are counted elsewhere.
    pub fn add_latencies(&mut self, latencies_us: &[u32]) {
        for us in latencies_us.iter().copied().filter(|us| *us != 0) {
            let one = Self {
                min_us: us,
                max_us: us,
                sum_us: u64::from(us),
                histogram: vec![(bucket(us), 1)],
                ..Self::default()
            };
            self.merge(&one);
        }
    }

    /// Adds another's sums.
    pub fn merge(&mut self, other: &Self) {
        let had_latencies = self.max_us != 0;
        self.up = self.up.saturating_add(other.up);
        self.degraded = self.degraded.saturating_add(other.degraded);
        self.down = self.down.saturating_add(other.down);
        self.unknown = self.unknown.saturating_add(other.unknown);
        self.blocked = self.blocked.saturating_add(other.blocked);
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
        if other.max_us != 0 {
            self.min_us = if had_latencies { self.min_us.min(other.min_us) } else { other.min_us };
            self.max_us = self.max_us.max(other.max_us);
        }
        for (bucket, count) in &other.histogram {
            match self.histogram.binary_search_by_key(bucket, |(b, _)| *b) {
                Ok(i) => self.histogram[i].1 = self.histogram[i].1.saturating_add(*count),
                Err(i) => self.histogram.insert(i, (*bucket, *count)),
            }
        }
    }
}

/// Sums up rows, with room that is used again.
#[derive(Debug)]
pub(crate) struct SummaryBuilder {
    counts: Box<[u32; BUCKETS]>,
}

impl SummaryBuilder {
    pub(crate) fn new() -> Self {
        Self { counts: Box::new([0; BUCKETS]) }
    }

    pub(crate) fn sum<'a>(&mut self, rows: impl Iterator<Item = &'a Row>) -> Summary {
        let mut summary = Summary::default();
        let (mut lowest, mut highest) = (BUCKETS, 0);
        for row in rows {
            // An outcome of a later version counts as our own ignorance.
            match ErrorCode::from_number(row.code).map_or(Verdict::Unknown, ErrorCode::verdict) {
                Verdict::Up => summary.up += 1,
                Verdict::Degraded => summary.degraded += 1,
                Verdict::Down => summary.down += 1,
                Verdict::Unknown => summary.unknown += 1,
                Verdict::Blocked => summary.blocked += 1,
            }
            if row.latency_us != 0 {
                let bucket = usize::from(bucket(row.latency_us));
                self.counts[bucket] += 1;
                (lowest, highest) = (lowest.min(bucket), highest.max(bucket));
                summary.sum_us += u64::from(row.latency_us);
                summary.max_us = summary.max_us.max(row.latency_us);
                summary.min_us =
                    if summary.min_us == 0 { row.latency_us } else { summary.min_us.min(row.latency_us) };
            }
        }
        if lowest <= highest {
            for (bucket, count) in self.counts.iter_mut().enumerate().take(highest + 1).skip(lowest) {
                if *count != 0 {
                    summary.histogram.push((bucket as u16, std::mem::take(count)));
                }
            }
        }
        summary
    }
}

/// The sums of a day's hours: (hour of the day, summary).
pub(crate) fn encode_hours(hours: &[(u8, Summary)], key: i64) -> Vec<u8> {
    let mut out = vec![VERSION, hours.len() as u8];
    for (hour, summary) in hours {
        out.push(*hour);
        put(&mut out, summary);
    }
    varint::seal(&mut out, 0, key as u64);
    out
}

pub(crate) fn decode_hours(bytes: &[u8], key: i64) -> Decoded<Vec<(u8, Summary)>> {
    let mut reader = open(bytes, key)?;
    let count = reader.byte()?;
    let mut hours = Vec::new();
    for _ in 0..count {
        hours.push((reader.byte()?, take(&mut reader)?));
    }
    reader.end()?;
    Ok(hours)
}

pub(crate) fn encode_one(summary: &Summary, key: i64) -> Vec<u8> {
    let mut out = vec![VERSION];
    put(&mut out, summary);
    varint::seal(&mut out, 0, key as u64);
    out
}

pub(crate) fn decode_one(bytes: &[u8], key: i64) -> Decoded<Summary> {
    let mut reader = open(bytes, key)?;
    let summary = take(&mut reader)?;
    reader.end()?;
    Ok(summary)
}

fn open(bytes: &[u8], key: i64) -> Decoded<Reader<'_>> {
    let mut reader = Reader::new(varint::unseal(bytes, key as u64)?);
    if reader.byte()? == VERSION {
        Ok(reader)
    } else {
        Err(Corrupt("a format that this version does not know"))
    }
}

fn put(out: &mut Vec<u8>, summary: &Summary) {
    let others = [summary.degraded, summary.down, summary.unknown, summary.blocked];
    // Most hours hold nothing but `up`: one bit says so.
    let unusual = others.iter().any(|count| *count != 0);
    varint::put(out, u64::from(summary.up) << 1 | u64::from(unusual));
    if unusual {
        for count in others {
            varint::put(out, u64::from(count));
        }
    }
    varint::put(out, summary.histogram.len() as u64);
    if summary.histogram.is_empty() {
        return;
    }
    varint::put(out, u64::from(summary.min_us));
    varint::put(out, u64::from(summary.max_us - summary.min_us));
    varint::put(out, summary.sum_us);
    let mut last = 0;
    for (bucket, count) in &summary.histogram {
        // A step of one to the next bucket and a small count, which is nearly every entry, share a byte.
        let (step, count) = (u64::from(bucket - last), u64::from(*count));
        if step <= 3 && count <= 31 {
            out.push((step << 5 | count) as u8);
        } else {
            out.push(0x80);
            varint::put(out, step);
            varint::put(out, count);
        }
        last = *bucket;
    }
}

fn take(reader: &mut Reader<'_>) -> Decoded<Summary> {
    let first = reader.number()?;
    let mut summary = Summary {
        up: u32::try_from(first >> 1).map_err(|_| Corrupt("a count out of range"))?,
        ..Summary::default()
    };
    if first & 1 == 1 {
        summary.degraded = reader.number_u32()?;
        summary.down = reader.number_u32()?;
        summary.unknown = reader.number_u32()?;
        summary.blocked = reader.number_u32()?;
    }
    let entries = reader.number()?;
    if entries == 0 {
        return Ok(summary);
    }
    summary.min_us = reader.number_u32()?;
    summary.max_us =
        summary.min_us.checked_add(reader.number_u32()?).ok_or(Corrupt("a latency out of range"))?;
    summary.sum_us = reader.number()?;
    let mut bucket = 0_u64;
    for i in 0..entries {
        let head = reader.byte()?;
        let (step, count) = if head == 0x80 {
            (reader.number()?, reader.number_u32()?)
        } else if head < 0x80 {
            (u64::from(head >> 5), u32::from(head & 31))
        } else {
            return Err(Corrupt("an entry of an unknown kind"));
        };
        bucket = bucket.saturating_add(step);
        if bucket >= BUCKETS as u64 || count == 0 || (step == 0 && i > 0) {
            return Err(Corrupt("a histogram that is none"));
        }
        summary.histogram.push((bucket as u16, count));
    }
    Ok(summary)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(code: u8, latency_us: u32) -> Row {
        Row { slot_ms: 0, monitor: 0, latency_us, dns_us: 0, location: 0, code, flags: 0, retransmits: 0 }
    }

    proptest! {
        #[test]
        fn a_bucket_holds_what_lies_between_its_bounds(us in 1_u32..) {
            let b = i32::from(bucket(us));
            let (low, high) = (1.05_f64.powi(b), 1.05_f64.powi(b + 1));
            prop_assert!(low <= f64::from(us) * 1.000_000_1 && f64::from(us) < high * 1.000_000_1, "{us} in {low}..{high}");
        }

        #[test]
        fn sums_survive_the_disk_and_adding_sums_is_summing_all(
            a in proptest::collection::vec((prop_oneof![Just(0_u8), Just(1), Just(80), Just(100), Just(120)], any::<u32>()), 0..80),
            b in proptest::collection::vec((Just(0_u8), 700_u32..900), 0..80),
        ) {
            let rows = |v: &[(u8, u32)]| v.iter().map(|(c, l)| row(*c, *l)).collect::<Vec<_>>();
            let (a, b) = (rows(&a), rows(&b));
            let mut builder = SummaryBuilder::new();
            let (of_a, of_b) = (builder.sum(a.iter()), builder.sum(b.iter()));
            let of_both = builder.sum(a.iter().chain(&b));
            let mut merged = of_a.clone();
            merged.merge(&of_b);
            prop_assert_eq!(&merged, &of_both);
            let mut grown = Summary { up: of_both.up - of_a.up, ..Summary::default() };
            grown.add_latencies(&b.iter().map(|row| row.latency_us).collect::<Vec<_>>());
            grown.merge(&of_a);
            prop_assert_eq!(&grown, &of_both);
            prop_assert_eq!(decode_one(&encode_one(&of_both, 5), 5), Ok(of_both));
            let hours = vec![(0, of_a), (23, of_b)];
            prop_assert_eq!(decode_hours(&encode_hours(&hours, 5), 5), Ok(hours));
        }

        #[test]
        fn a_quantile_is_at_most_two_and_a_half_percent_off(
            mut v in proptest::collection::vec(20_u32..10_000_000, 1..200), q in 0.0_f64..=1.0,
        ) {
            let rows: Vec<_> = v.iter().map(|l| row(0, *l)).collect();
            let summary = SummaryBuilder::new().sum(rows.iter());
            v.sort_unstable();
            let exact = f64::from(v[((q * v.len() as f64).ceil() as usize).clamp(1, v.len()) - 1]);
            let said = f64::from(summary.quantile_us(q).expect("there are latencies"));
            prop_assert!((said - exact).abs() <= exact * 0.0251 + 1.0, "{said} for {exact}");
        }

        #[test]
        fn garbage_is_refused_without_a_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = take(&mut Reader::new(&bytes));
            bytes.insert(0, VERSION);
            varint::seal(&mut bytes, 0, 5);
            let _ = decode_hours(&bytes, 5);
            let _ = decode_one(&bytes, 5);
        }
    }

    #[test]
    fn a_usual_hour_takes_under_forty_bytes() {
        let rows: Vec<_> = (0..60).map(|i| row(0, 650 + i * 6)).collect();
        assert!(encode_one(&SummaryBuilder::new().sum(rows.iter()), 0).len() < 40);
    }
}
