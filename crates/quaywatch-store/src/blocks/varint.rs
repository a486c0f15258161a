//! Numbers of seven bits a byte, and a reader that never runs past the end.

use super::{Corrupt, Decoded};

pub(super) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Small distances in either direction become small numbers.
pub(super) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

pub(super) const fn unzigzag(value: u64) -> i64 {
    ((value >> 1) as i64) ^ -((value & 1) as i64)
}

/// Takes bytes from the front.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) const fn left(&self) -> usize {
        self.0.len()
    }

    pub(super) fn byte(&mut self) -> Decoded<u8> {
        let (first, rest) = self.0.split_first().ok_or(Corrupt("ends too early"))?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn take(&mut self, n: usize) -> Decoded<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n).ok_or(Corrupt("ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn number(&mut self) -> Decoded<u64> {
        let mut value = 0_u64;
        for (i, byte) in self.0.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f).checked_shl(7 * i as u32).unwrap_or(0);
            if byte & 0x80 == 0 {
                self.0 = &self.0[i + 1..];
                return Ok(value);
            }
        }
        Err(Corrupt("a number without an end"))
    }

    pub(super) fn number_u32(&mut self) -> Decoded<u32> {
        u32::try_from(self.number()?).map_err(|_| Corrupt("a number that is too large"))
    }

    pub(super) fn distance(&mut self) -> Decoded<i64> {
        self.number().map(unzigzag)
    }

    /// Whether everything was read.
    pub(super) fn end(&self) -> Decoded<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Corrupt("more bytes than it should have")) }
    }
}

/// Closes `out[start..]` with its check sum; `seed` binds the bytes to the place where they belong.
pub(super) fn seal(out: &mut Vec<u8>, start: usize, seed: u64) {
    let sum = check_sum(&out[start..], seed);
    out.extend_from_slice(&sum.to_le_bytes());
}

/// The bytes without their check sum, if it is right.
pub(super) fn unseal(bytes: &[u8], seed: u64) -> Decoded<&[u8]> {
    let (body, sum) = bytes.split_last_chunk::<4>().ok_or(Corrupt("ends too early"))?;
    if check_sum(body, seed) == u32::from_le_bytes(*sum) {
        Ok(body)
    } else {
        Err(Corrupt("its check sum is wrong"))
    }
}

fn check_sum(bytes: &[u8], seed: u64) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}
