//! Bits in and out, least significant first.

use super::{Corrupt, Decoded};

/// Appends bits to bytes.
pub(super) struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    pending: u64,
    count: u32,
}

impl<'a> BitWriter<'a> {
    pub(super) const fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, pending: 0, count: 0 }
    }

    /// Appends the lowest `n` bits of `value`, at most 32; the others must be zero.
    pub(super) fn put(&mut self, value: u64, n: u32) {
        debug_assert!(n <= 32 && value >> n == 0, "{value} does not fit into {n} bits");
        self.pending |= value << self.count;
        self.count += n;
        if self.count >= 32 {
            self.out.extend_from_slice(&(self.pending as u32).to_le_bytes());
            self.pending >>= 32;
            self.count -= 32;
        }
    }

    /// Fills the last byte with zeros.
    pub(super) fn finish(self) {
        let bytes = self.count.div_ceil(8) as usize;
        self.out.extend_from_slice(&self.pending.to_le_bytes()[..bytes]);
    }
}

/// Takes bits from bytes.
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    pending: u64,
    count: u32,
}

impl<'a> BitReader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, pending: 0, count: 0 }
    }

    fn fill(&mut self) {
        if let Some((word, rest)) = self.bytes.split_first_chunk::<4>()
            && self.count <= 32
        {
            self.pending |= u64::from(u32::from_le_bytes(*word)) << self.count;
            self.count += 32;
            self.bytes = rest;
        } else {
            while self.count <= 56
                && let Some((byte, rest)) = self.bytes.split_first()
            {
                self.pending |= u64::from(*byte) << self.count;
                self.count += 8;
                self.bytes = rest;
            }
        }
    }

    /// Takes `n` bits, at most 32.
    pub(super) fn take(&mut self, n: u32) -> Decoded<u64> {
        if self.count < n {
            self.fill();
        }
        if self.count < n {
            return Err(Corrupt("bits end too early"));
        }
        let value = self.pending & ((1_u64 << n) - 1);
        self.pending >>= n;
        self.count -= n;
        Ok(value)
    }

    /// Counts ones up to `limit` (at most 31) and takes them, with the zero behind them where the limit is not met.
    pub(super) fn ones(&mut self, limit: u32) -> Decoded<u32> {
        if self.count <= limit {
            self.fill();
        }
        let ones = self.pending.trailing_ones().min(limit);
        self.take(if ones == limit { ones } else { ones + 1 })?;
        Ok(ones)
    }

    /// What is left once the last byte was finished; more than its padding is an error of the writer.
    pub(super) fn end(&self) -> Decoded<()> {
        if self.bytes.is_empty() && self.count < 8 && self.pending == 0 {
            Ok(())
        } else {
            Err(Corrupt("more bits than it should have"))
        }
    }
}
