//! A column of numbers in Golomb–Rice code: the distance of each from the column's median, folded to a positive
//! number, its upper part in unary, its lower `k` bits as they are. `k` is chosen for each column. A number far off
//! is escaped. For handshake times this is within a few percent of their entropy, with a table of two numbers.

use super::bits::{BitReader, BitWriter};
use super::varint::{self, Reader, unzigzag, zigzag};
use super::{Corrupt, Decoded};

/// So many ones say that the number follows in full.
const ESCAPE: u32 = 20;
/// A folded distance of two 32-bit numbers has one bit more than they.
const FULL_BITS: u32 = 33;

/// Appends `values`, whose count the reader must know. `scratch` is only there to be used again.
pub(super) fn encode(out: &mut Vec<u8>, values: &[u32], scratch: &mut Vec<u32>) {
    if values.is_empty() {
        return;
    }
    scratch.clear();
    scratch.extend_from_slice(values);
    let middle = values.len() / 2;
    let median = *scratch.select_nth_unstable(middle).1;
    let k = best_k(values, median);
    varint::put(out, u64::from(median));
    out.push(k as u8);
    let mut bits = BitWriter::new(out);
    for value in values {
        let folded = fold(*value, median);
        let upper = folded >> k;
        if upper >= u64::from(ESCAPE) {
            bits.put((1 << ESCAPE) - 1, ESCAPE);
            bits.put(folded & 1, 1);
            bits.put(folded >> 1, FULL_BITS - 1);
        } else {
            bits.put((1 << upper) - 1, upper as u32 + 1);
            bits.put(folded & ((1 << k) - 1), k);
        }
    }
    bits.finish();
}

/// Reads `count` values, which take all the bytes that are left, into `values`.
pub(super) fn decode(reader: &mut Reader<'_>, count: usize, values: &mut Vec<u32>) -> Decoded<()> {
    values.clear();
    if count == 0 {
        return Ok(());
    }
    let median = i64::from(reader.number_u32()?);
    let k = u32::from(reader.byte()?);
    // Each value takes a bit at least: a count that the bytes do not pay for is refused before room is made for it.
    if k >= 32 || reader.left().saturating_mul(8) < count {
        return Err(Corrupt("a column that is too short"));
    }
    values.reserve(count);
    let mut bits = BitReader::new(reader.take(reader.left())?);
    for _ in 0..count {
        let upper = bits.ones(ESCAPE)?;
        let folded = if upper == ESCAPE {
            bits.take(1)? | (bits.take(FULL_BITS - 1)? << 1)
        } else {
            (u64::from(upper) << k) | bits.take(k)?
        };
        let value = median + unzigzag(folded);
        values.push(u32::try_from(value).map_err(|_| Corrupt("a value out of range"))?);
    }
    bits.end()
}

fn fold(value: u32, median: u32) -> u64 {
    zigzag(i64::from(value) - i64::from(median))
}

/// The `k` with the fewest bits, looked for around the one that theory names.
fn best_k(values: &[u32], median: u32) -> u32 {
    let sum: u64 = values.iter().map(|v| fold(*v, median).min(1 << 20)).sum();
    let mean = sum / values.len() as u64;
    let guess = (64 - mean.leading_zeros()).saturating_sub(1);
    let bits = |k: u32| -> u64 {
        values
            .iter()
            .map(|v| {
                let upper = fold(*v, median) >> k;
                if upper >= u64::from(ESCAPE) {
                    u64::from(ESCAPE + FULL_BITS)
                } else {
                    upper + 1 + u64::from(k)
                }
            })
            .sum()
    };
    (guess.saturating_sub(2)..=(guess + 1).min(31)).min_by_key(|k| bits(*k)).unwrap_or(guess)
}
